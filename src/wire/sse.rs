//! Cuts bytes into server-sent events as they arrive. Knows nothing of what the events say.

use super::{ApiError, ErrorClass, Flow};

/// The longest event (or unfinished line) that is kept.
pub(super) const MAX_EVENT: usize = 12 << 20;

/// What takes the events: the name, where there was one, and the data.
pub(super) type Handler<'a> = dyn FnMut(Option<&str>, &[u8]) -> Result<Flow, ApiError> + 'a;

/// An incremental parser. Lines are cut at CR, LF or CRLF on bytes, so it does not matter where reads end.
#[derive(Debug, Default)]
pub(super) struct Parser {
    /// The unfinished line.
    line: Vec<u8>,
    /// The data lines of the unfinished event, each followed by a line feed.
    data: Vec<u8>,
    /// The unfinished event's name.
    name: Option<String>,
    /// The last read ended in CR: a LF that comes first in the next one belongs to it.
    after_cr: bool,
    /// The first line is done; before that a byte order mark is dropped.
    begun: bool,
}

impl Parser {
    /// Takes the next bytes and hands over every event that they finish. Stops where `on` is done or fails.
    pub(super) fn feed(&mut self, mut bytes: &[u8], on: &mut Handler<'_>) -> Result<Flow, ApiError> {
        if std::mem::take(&mut self.after_cr) {
            match bytes {
                [] => self.after_cr = true,
                [b'\n', rest @ ..] => bytes = rest,
                _ => {}
            }
        }
        while let Some(end) = memchr::memchr2(b'\n', b'\r', bytes) {
            let (line, rest) = bytes.split_at(end);
            bytes = match rest {
                [b'\r'] => {
                    self.after_cr = true;
                    &[]
                }
                [b'\r', b'\n', rest @ ..] | [_, rest @ ..] => rest,
                [] => &[],
            };
            if self.finish_line(line, on)? == Flow::Done {
                return Ok(Flow::Done);
            }
        }
        self.line.extend_from_slice(bytes);
        self.check_size()?;
        Ok(Flow::More)
    }

    /// The event that the end of the body left without its closing blank line.
    pub(super) fn finish(mut self, on: &mut Handler<'_>) -> Result<Flow, ApiError> {
        if self.finish_line(&[], on)? == Flow::Done {
            return Ok(Flow::Done);
        }
        self.dispatch(on)
    }

    fn finish_line(&mut self, end: &[u8], on: &mut Handler<'_>) -> Result<Flow, ApiError> {
        if self.line.is_empty() {
            return self.take_line(end, on);
        }
        let mut line = std::mem::take(&mut self.line);
        line.extend_from_slice(end);
        let flow = self.take_line(&line, on);
        line.clear();
        self.line = line;
        flow
    }

    fn take_line(&mut self, line: &[u8], on: &mut Handler<'_>) -> Result<Flow, ApiError> {
        let line = if std::mem::replace(&mut self.begun, true) {
            line
        } else {
            line.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(line)
        };
        match line.first() {
            None => return self.dispatch(on),
            Some(b'{') => {
                // No field begins so: a server that writes one JSON document a line instead of events.
                if self.dispatch(on)? == Flow::Done {
                    return Ok(Flow::Done);
                }
                self.push_data(line)?;
                return self.dispatch(on);
            }
            Some(_) => {}
        }
        let (field, value) = match memchr::memchr(b':', line) {
            Some(colon) => (&line[..colon], &line[colon + 1..]),
            None => (line, &[][..]),
        };
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match field {
            b"data" => self.push_data(value)?,
            b"event" => self.name = Some(String::from_utf8_lossy(value).into_owned()),
            // Old llama.cpp servers report a failure in a field of this name.
            b"error" => {
                self.name = Some("error".to_owned());
                self.push_data(value)?;
            }
            _ => {}
        }
        Ok(Flow::More)
    }

    fn push_data(&mut self, value: &[u8]) -> Result<(), ApiError> {
        self.data.extend_from_slice(value);
        self.data.push(b'\n');
        self.check_size()
    }

    fn dispatch(&mut self, on: &mut Handler<'_>) -> Result<Flow, ApiError> {
        let name = self.name.take();
        if self.data.pop().is_none() {
            return Ok(Flow::More);
        }
        let flow = on(name.as_deref(), &self.data);
        self.data.clear();
        flow
    }

    fn check_size(&self) -> Result<(), ApiError> {
        if self.line.len() + self.data.len() <= MAX_EVENT {
            return Ok(());
        }
        Err(ApiError::new(ErrorClass::Protocol, "the server sent an event of more than 12 MiB").for_good())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    type Case = (&'static [u8], &'static [(Option<&'static str>, &'static str)]);
    type Seen = Vec<(Option<String>, String)>;

    fn events(body: &[u8], size: usize) -> Seen {
        let mut seen = Vec::new();
        let mut on = |name: Option<&str>, data: &[u8]| {
            seen.push((name.map(str::to_owned), String::from_utf8_lossy(data).into_owned()));
            Ok(Flow::More)
        };
        let mut parser = Parser::default();
        for chunk in body.chunks(size) {
            parser.feed(chunk, &mut on).unwrap();
        }
        seen
    }

    #[test]
    fn vectors() {
        let cases: &[Case] = &[
            (b"\xEF\xBB\xBFdata: a\n\n", &[(None, "a")]),
            (b"data:a\r\rdata: b\r\n\r\n", &[(None, "a"), (None, "b")]),
            (b"data: a\ndata:  b\n\n", &[(None, "a\n b")]),
            (b"data\n\n", &[(None, "")]),
            (b":x\n\n", &[]),
            (b"event: e\n\n", &[]),
            (b"event: e\n\ndata: 1\n\n", &[(None, "1")]),
            (b"event: e\nevent: f\ndata: a:b\nid: 3\n\n", &[(Some("f"), "a:b")]),
            (b"data: a", &[]),
            (b"error: {\"x\":1}\n\n", &[(Some("error"), "{\"x\":1}")]),
            (b"{\"a\":1}\n{\"a\":2}\n", &[(None, "{\"a\":1}"), (None, "{\"a\":2}")]),
            (b"data: \xEF\xBB\xBFx\n\n", &[(None, "\u{feff}x")]),
        ];
        for (body, expected) in cases {
            for size in [1, 2, 3, 64] {
                let seen = events(body, size);
                let seen: Vec<_> = seen.iter().map(|(n, d)| (n.as_deref(), d.as_str())).collect();
                assert_eq!(&seen, expected, "{:?} at {size}", String::from_utf8_lossy(body));
            }
        }
    }

    #[test]
    fn the_last_event_is_handed_over_at_the_end() {
        let mut seen = Vec::new();
        let mut on = |_: Option<&str>, data: &[u8]| {
            seen.push(data.to_vec());
            Ok(Flow::More)
        };
        let mut parser = Parser::default();
        parser.feed(b"data: a\n\ndata: b", &mut on).unwrap();
        parser.finish(&mut on).unwrap();
        assert_eq!(seen, [b"a", b"b"]);
    }

    #[test]
    fn an_endless_line_fails() {
        let mut parser = Parser::default();
        let chunk = vec![b'x'; 1 << 20];
        let failed = (0..40).any(|_| parser.feed(&chunk, &mut |_, _| Ok(Flow::More)).is_err());
        assert!(failed);
    }

    proptest! {
        #[test]
        fn read_sizes_do_not_matter(body in "(data|event|:|\\{|x|é|[ :\r\n]){0,40}", size in 1_usize..9) {
            prop_assert_eq!(events(body.as_bytes(), size), events(body.as_bytes(), usize::MAX));
        }
    }
}
