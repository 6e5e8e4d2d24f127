//! Reads the reply to one request from its head to its end: tells streams from documents, pages and errors, and
//! hands the payloads to the wire's decoder. It does no I/O and knows no API.

use std::borrow::Cow;

use super::{ApiError, Decoder, Delta, End, ErrorClass, Flow, ReplyHead, fault, json, outcome, sse};
use crate::base::text;
use crate::chat::Reply;

/// The most that one reply may take on the wire.
const MAX_BODY: usize = 256 << 20;
/// The most of a reply that comes as one document, as of one event.
const MAX_DOCUMENT: usize = sse::MAX_EVENT;
/// The most that is read of an error body or a page.
const MAX_ERROR: usize = 1 << 20;

/// How a reply ended.
#[derive(Debug)]
pub struct Ended {
    /// The reply, or what had arrived of it.
    pub reply: Reply,
    /// Why it is not a reply to go on with. `stop` then means nothing.
    pub error: Option<ApiError>,
}

/// Takes the bytes of one reply.
pub struct ReplyReader {
    head: ReplyHead,
    decoder: Box<dyn Decoder>,
    body: Body,
    /// Bytes read so far.
    taken: usize,
    /// The decoder has been given something.
    begun: bool,
    /// How it ended, where it ended before its bytes did.
    end: Option<End>,
}

/// What the body is, with what of it waits to be read as a whole.
enum Body {
    Unknown(Vec<u8>),
    Stream(sse::Parser),
    Json(Vec<u8>),
    Page(Vec<u8>),
    Error(Vec<u8>),
}

impl std::fmt::Debug for ReplyReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ReplyReader").field("head", &self.head).field("taken", &self.taken).finish_non_exhaustive()
    }
}

impl ReplyReader {
    /// Begins with the head of the response.
    #[must_use]
    pub fn new(decoder: Box<dyn Decoder>, head: ReplyHead) -> Self {
        let body = if head.status >= 400 { Body::Error(Vec::new()) } else { Body::Unknown(Vec::new()) };
        let end = refuse(&head).map(End::Failed);
        Self { head, decoder, body, taken: 0, begun: false, end }
    }

    /// Whether an event of the reply has come.
    #[must_use]
    pub fn has_begun(&self) -> bool {
        self.begun
    }

    /// Takes the next bytes. After [`Flow::Done`] nothing more is wanted.
    pub fn feed(&mut self, bytes: &[u8], on: &mut dyn FnMut(Delta<'_>)) -> Flow {
        if self.end.is_some() {
            return Flow::Done;
        }
        self.taken += bytes.len();
        let flow = if self.taken > MAX_BODY {
            Err(ApiError::new(ErrorClass::Protocol, "the reply is larger than 256 MiB").for_good())
        } else {
            self.take(bytes, on)
        };
        match flow {
            Ok(Flow::More) => return Flow::More,
            Ok(Flow::Done) => self.end = Some(End::Marker),
            Err(error) => self.end = Some(End::Failed(error)),
        }
        Flow::Done
    }

    fn take(&mut self, bytes: &[u8], on: &mut dyn FnMut(Delta<'_>)) -> Result<Flow, ApiError> {
        match &mut self.body {
            Body::Unknown(seen) => {
                seen.extend_from_slice(bytes);
                let Some(body) = recognise(&self.head, seen) else { return Ok(Flow::More) };
                let seen = std::mem::take(seen);
                self.body = body;
                self.take(&seen, on)
            }
            Body::Stream(parser) => {
                let (decoder, begun) = (self.decoder.as_mut(), &mut self.begun);
                parser.feed(bytes, &mut |name, data| event(decoder, begun, name, data, on))
            }
            Body::Json(text) if text.len() + bytes.len() > MAX_DOCUMENT => {
                Err(ApiError::new(ErrorClass::Protocol, "the server sent a document of more than 12 MiB").for_good())
            }
            Body::Json(text) => {
                text.extend_from_slice(bytes);
                Ok(Flow::More)
            }
            Body::Page(text) => extend(text, bytes).map_or(Ok(Flow::More), |text| Err(page(text))),
            Body::Error(text) => extend(text, bytes).map_or(Ok(Flow::More), |text| Err(fault::http(&self.head, text))),
        }
    }

    /// Ends the reply. `end` says how its bytes ended, which counts only if they had not told the end themselves.
    #[must_use]
    pub fn finish(mut self, end: End, on: &mut dyn FnMut(Delta<'_>)) -> Ended {
        let end = match self.end.take() {
            Some(end) => end,
            None => self.conclude(end, on),
        };
        let end = match end {
            End::Eof | End::Marker if !self.begun => {
                End::Failed(ApiError::new(ErrorClass::Empty, "the server sent an empty reply"))
            }
            end => end,
        };
        self.decoder.finish(end, on)
    }

    fn conclude(&mut self, end: End, on: &mut dyn FnMut(Delta<'_>)) -> End {
        match std::mem::replace(&mut self.body, Body::Unknown(Vec::new())) {
            Body::Unknown(_) => end,
            Body::Error(body) => End::Failed(fault::http(&self.head, &body)),
            Body::Page(body) => End::Failed(page(&body)),
            Body::Json(body) => self.document(&body, end, on),
            Body::Stream(parser) => self.last_event(parser, end, on),
        }
    }

    /// Reads a body that seems to be one JSON document.
    fn document(&mut self, body: &[u8], end: End, on: &mut dyn FnMut(Delta<'_>)) -> End {
        let text = String::from_utf8_lossy(body);
        let text = json::repair(text.trim_start_matches('\u{feff}').trim());
        let result = match json::parse(&text) {
            Ok(data) if fault::is_report(data) => Err(fault::streamed(data)),
            Ok(data) => {
                self.begun = true;
                self.decoder.whole(data, on)
            }
            Err(_) if is_lines(&text) => return self.lines(body, end, on),
            Err(_) if matches!(end, End::Failed(_)) => return end,
            Err(json::Fault::Cut) => Err(outcome::truncated()),
            Err(fault) => Err(not_json(&text, fault)),
        };
        result.map_or_else(End::Failed, |()| End::Marker)
    }

    /// Reads a body of several JSON documents, one a line.
    fn lines(&mut self, body: &[u8], end: End, on: &mut dyn FnMut(Delta<'_>)) -> End {
        let mut parser = sse::Parser::default();
        let (decoder, begun) = (self.decoder.as_mut(), &mut self.begun);
        match parser.feed(body, &mut |name, data| event(decoder, begun, name, data, on)) {
            Ok(Flow::More) => self.last_event(parser, end, on),
            Ok(Flow::Done) => End::Marker,
            Err(error) => End::Failed(error),
        }
    }

    /// Takes an event whose closing blank line is missing, if it is a whole one.
    fn last_event(&mut self, parser: sse::Parser, end: End, on: &mut dyn FnMut(Delta<'_>)) -> End {
        let (decoder, begun) = (self.decoder.as_mut(), &mut self.begun);
        let flow = parser.finish(&mut |name, data| {
            let text = String::from_utf8_lossy(data);
            let whole =
                text.trim() == "[DONE]" || name == Some("error") || json::parse(&json::repair(text.trim())).is_ok();
            if whole { event(decoder, begun, name, data, on) } else { Ok(Flow::More) }
        });
        match flow {
            Ok(Flow::More) => end,
            Ok(Flow::Done) => End::Marker,
            Err(error) => End::Failed(error),
        }
    }
}

/// Adds `bytes` to a body that is read for its message alone, and returns it once that is enough of it.
fn extend<'a>(text: &'a mut Vec<u8>, bytes: &[u8]) -> Option<&'a [u8]> {
    text.extend_from_slice(bytes.get(..MAX_ERROR.saturating_sub(text.len())).unwrap_or(bytes));
    (text.len() >= MAX_ERROR).then_some(text)
}

/// Takes one event of a stream.
fn event(
    decoder: &mut dyn Decoder,
    begun: &mut bool,
    name: Option<&str>,
    data: &[u8],
    on: &mut dyn FnMut(Delta<'_>),
) -> Result<Flow, ApiError> {
    // Nearly all data is text as it stands, which is seen faster than mended.
    let text = std::str::from_utf8(data).map_or_else(|_| String::from_utf8_lossy(data), Cow::Borrowed);
    let text = text.trim_ascii();
    if name == Some("error") {
        return Err(fault::streamed_text(text));
    }
    if text == "[DONE]" {
        return Ok(Flow::Done);
    }
    if matches!(text, "" | "{}" | "null") {
        return Ok(Flow::More);
    }
    let text = json::repair(text);
    let data = json::parse(&text).map_err(|fault| not_json(&text, fault))?;
    if text.starts_with('{') {
        *begun = true;
        return decoder.event(name, data, on);
    }
    if fault::is_report(data) {
        return Err(fault::streamed(data));
    }
    Err(not_json(&text, json::Fault::Syntax("not an object".to_owned())))
}

/// Heads after which the body does not matter.
fn refuse(head: &ReplyHead) -> Option<ApiError> {
    let message = match head.status {
        200..=299 if fault::is_encoded(head) => {
            "the server compressed its reply although it was asked not to".to_owned()
        }
        200..=203 | 205..=299 | 400.. => return None,
        300..=399 => {
            let place = head.header("location").map(|place| format!(" to {}", text::prefix(place, 200)));
            format!(
                "the server redirects{} (HTTP status {}); give that as the base URL if it is right",
                place.unwrap_or_default(),
                head.status
            )
        }
        status => format!("the server sent no reply (HTTP status {status})"),
    };
    let status = (head.status >= 300).then_some(head.status);
    Some(ApiError { status, ..ApiError::new(ErrorClass::Protocol, message).for_good() })
}

/// What a body is, from its type and its first byte that is not blank; `None` if that has not come.
fn recognise(head: &ReplyHead, seen: &mut Vec<u8>) -> Option<Body> {
    const MARK: &[u8] = b"\xEF\xBB\xBF";
    let media_type = head.media_type();
    if media_type == "text/html" && !seen.is_empty() {
        return Some(Body::Page(Vec::new()));
    }
    // Blank lines that keep the connection alive mean nothing, and neither do marks: however they are cut into reads.
    let mut text = seen.trim_ascii_start();
    while let Some(rest) = text.strip_prefix(MARK) {
        text = rest.trim_ascii_start();
    }
    seen.drain(..seen.len() - text.len());
    let first = seen.first().filter(|_| !MARK.starts_with(seen))?;
    Some(match first {
        b'{' | b'[' => Body::Json(Vec::new()),
        b'<' => Body::Page(Vec::new()),
        b'a'..=b'z' | b':' if media_type.ends_with("json") && !matches!(first, b'd' | b'e' | b'i' | b'r' | b':') => {
            Body::Json(Vec::new())
        }
        _ => Body::Stream(sse::Parser::default()),
    })
}

/// Whether a text that is not one JSON document begins with a line that is one.
fn is_lines(text: &str) -> bool {
    text.split_once('\n').is_some_and(|(first, _)| json::parse(first.trim()).is_ok())
}

fn page(body: &[u8]) -> ApiError {
    let message =
        format!("got an HTML page ({}): wrong base URL, captive portal, or login proxy", fault::headline(body));
    ApiError::new(ErrorClass::Protocol, message).for_good()
}

fn not_json(text: &str, fault: json::Fault) -> ApiError {
    let shown: String = text::prefix(text, 200).chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    match fault {
        json::Fault::Deep => {
            ApiError::new(ErrorClass::Protocol, "the server sent JSON nested more than 128 deep").for_good()
        }
        json::Fault::Cut => {
            ApiError::new(ErrorClass::Protocol, format!("the server sent half a JSON document: {shown}"))
        }
        json::Fault::Syntax(why) => {
            ApiError::new(ErrorClass::Protocol, format!("the server sent something other than JSON ({why}): {shown}"))
        }
    }
}
