//! What the encoders of all wires share: the members of a body, user text that lies in pieces, authorship.

use super::{OutputFormat, RequestHead, Structured, ToolChoice, json};
use crate::chat::{Block, Media, Origin, Part, Sealed, ToolResult, Turn, UserMessage};

/// Stands for a user message with nothing in it, which no server takes.
const NO_TEXT: &str = "(empty message)";
/// Stands for a result with nothing in it, which not every server takes.
const NO_OUTPUT: &str = "(no output)";

/// Writes the members of a request body one after the other, but for those that the user's own parameters replace.
pub(super) struct Body<'a> {
    head: &'a RequestHead<'a>,
    out: &'a mut Vec<u8>,
}

impl<'a> Body<'a> {
    /// Begins a body with what every wire has.
    pub(super) fn open(head: &'a RequestHead<'a>, out: &'a mut Vec<u8>) -> Self {
        out.push(b'{');
        let mut body = Self { head, out };
        body.member("model", |out| json::write_string(head.model, out));
        body.member("stream", |out| out.extend_from_slice(b"true"));
        body
    }

    /// Writes one member.
    pub(super) fn member(&mut self, name: &str, write: impl FnOnce(&mut Vec<u8>)) {
        if extra(self.head, name).is_none() {
            write_member(name, write, self.out);
        }
    }

    /// Writes a member that is JSON already.
    pub(super) fn json(&mut self, name: &str, value: &str) {
        self.member(name, |out| out.extend_from_slice(value.as_bytes()));
    }

    /// Whether the reply is to be a stream, which the user's own parameters can change.
    pub(super) fn streams(&self) -> bool {
        extra(self.head, "stream").is_none_or(|value| value == "true")
    }

    /// Writes the output limit, unless the user gave one under any name.
    pub(super) fn limit(&mut self, name: &str, value: Option<u64>) {
        let names = ["max_tokens", "max_completion_tokens", "max_output_tokens"];
        if let Some(value) = value.filter(|_| names.iter().all(|name| extra(self.head, name).is_none())) {
            self.json(name, &value.to_string());
        }
    }

    /// Writes the temperature, if one was given.
    pub(super) fn temperature(&mut self) {
        if let Some(value) = self.head.params.temperature.filter(|value| value.is_finite()) {
            self.json("temperature", &value.to_string());
        }
    }

    /// Writes the tools, if there are any, each by `write`.
    pub(super) fn tools(&mut self, write: impl Fn(&crate::chat::ToolSpec, &mut Vec<u8>)) {
        let tools = self.head.tools;
        if tools.is_empty() {
            return;
        }
        self.member("tools", |out| {
            out.push(b'[');
            for (at, tool) in tools.iter().enumerate() {
                if at > 0 {
                    out.push(b',');
                }
                write(tool, out);
            }
            out.push(b']');
        });
    }

    /// Writes the user's own parameters and begins the list of messages.
    pub(super) fn messages(self, name: &str) {
        let extras = &self.head.params.extra;
        for (at, (extra, value)) in extras.iter().enumerate() {
            let repeated = extras.iter().skip(at + 1).any(|(later, _)| later == extra);
            // The choice may change from turn to turn, so it stands behind the messages.
            if !repeated && extra != name && extra != "tool_choice" {
                write_member(extra, |out| out.extend_from_slice(value.get().as_bytes()), self.out);
            }
        }
        self.out.extend_from_slice(format!("\"{name}\":[").as_bytes());
    }
}

fn write_member(name: &str, write: impl FnOnce(&mut Vec<u8>), out: &mut Vec<u8>) {
    json::write_string(name, out);
    out.push(b':');
    write(out);
    out.push(b',');
}

/// The user's own parameter of that name.
fn extra<'a>(head: &RequestHead<'a>, name: &str) -> Option<&'a str> {
    head.params.extra.iter().rev().find(|(extra, _)| extra == name).map(|(_, value)| value.get())
}

/// Ends the list of messages and the body. In this wire's words `none` forbids tool calls and `format` gives the
/// member that holds the answer to a schema, if the wire takes that schema.
pub(super) fn close(
    head: &RequestHead<'_>,
    none: &str,
    format: impl Fn(Option<&OutputFormat>) -> Option<(&'static str, String)>,
    out: &mut Vec<u8>,
) {
    out.push(b']');
    let has_tools = !head.tools.is_empty() || extra(head, "tools").is_some();
    let choice = match head.tool_choice {
        ToolChoice::None => has_tools.then_some(none),
        ToolChoice::Auto => extra(head, "tool_choice"),
    };
    if let Some(choice) = choice {
        write_behind("tool_choice", choice, out);
    }
    let free = !has_tools || head.tool_choice == ToolChoice::None;
    let fits = free || head.quirks.structured == Structured::BesideTools;
    if let Some((name, value)) = format(head.format.filter(|_| fits))
        && extra(head, name).is_none()
    {
        write_behind(name, &value, out);
    }
    out.push(b'}');
}

/// Writes a member behind the messages.
fn write_behind(name: &str, value: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(format!(",\"{name}\":{value}").as_bytes());
}

/// Whether the turn was written by the one that is asked now, so that its seals may go back.
pub(super) fn is_author(head: &RequestHead<'_>, wire: &str, origin: &Origin) -> bool {
    origin.wire == wire && origin.provider == head.provider && origin.model == head.model
}

/// Writes what a user message holds: one string if it is all text, else an array with an element for each run of
/// text and each attachment.
pub(super) fn write_content(
    message: &UserMessage,
    text_open: &str,
    media: impl Fn(&Media, &mut Vec<u8>),
    out: &mut Vec<u8>,
) {
    if message.is_text() {
        write_runs(&message.parts, out);
    } else {
        out.push(b'[');
        write_blocks(message, text_open, media, out);
        out.pop();
        out.push(b']');
    }
}

/// Writes an object for each run of text and each attachment, each followed by a comma. `text_open` is the object
/// of a text up to the string's place.
pub(super) fn write_blocks(
    message: &UserMessage,
    text_open: &str,
    media: impl Fn(&Media, &mut Vec<u8>),
    out: &mut Vec<u8>,
) {
    for run in message.parts.chunk_by(|a, b| matches!((a, b), (Part::Text(_), Part::Text(_)))) {
        match run {
            [Part::Media(one)] => media(one, out),
            _ if is_blank(run) => continue,
            _ => {
                out.extend_from_slice(text_open.as_bytes());
                write_runs(run, out);
                out.push(b'}');
            }
        }
        out.push(b',');
    }
}

/// Whether a note has nothing in it.
pub(super) fn is_blank(parts: &[Part]) -> bool {
    parts.iter().all(|part| matches!(part, Part::Text(text) if text.trim().is_empty()))
}

/// Writes neighbouring texts as one string.
fn write_runs(parts: &[Part], out: &mut Vec<u8>) {
    out.push(b'"');
    if is_blank(parts) {
        out.extend_from_slice(NO_TEXT.as_bytes());
    }
    for part in parts {
        if let Part::Text(text) = part {
            json::write_escaped(text, out);
        }
    }
    out.push(b'"');
}

/// Writes `data:` and what follows as a string.
pub(super) fn write_data_url(media: &Media, out: &mut Vec<u8>) {
    out.extend_from_slice(b"\"data:");
    out.extend_from_slice(media.mime.as_bytes());
    out.extend_from_slice(b";base64,");
    json::write_escaped(&media.base64, out);
    out.push(b'"');
}

/// What the model is told as the result of a call.
pub(super) fn result_text(result: &ToolResult) -> &str {
    if result.text.trim().is_empty() { NO_OUTPUT } else { &result.text }
}

/// The visible text of a turn in pieces.
pub(super) fn texts<T>(turn: &Turn<T>) -> impl Iterator<Item = &Sealed> {
    turn.blocks.iter().filter_map(|block| if let Block::Text(text) = block { Some(text) } else { None })
}
