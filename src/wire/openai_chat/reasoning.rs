//! The forms in which servers of this API send thinking, and what of it goes back.

use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::chat::{Seal, Sealed};
use crate::wire::{Delta, json};

const OPEN: &str = "<think>";
/// More blanks than this before a tag are text.
const MAX_HELD: usize = 64;
const CLOSE: &str = "</think>";

/// Content that may begin with thinking between tags.
#[derive(Default)]
pub(super) struct Content {
    state: State,
    /// What could still be the beginning of a tag.
    held: String,
    /// The visible text.
    pub(super) text: String,
    /// What stood between the tags.
    pub(super) thought: String,
}

#[derive(Default, PartialEq, Clone, Copy)]
enum State {
    #[default]
    Start,
    Thinking,
    /// Blank lines between the closing tag and the answer belong to neither.
    Between,
    Text,
}

impl Content {
    /// Takes the next piece.
    pub(super) fn push(&mut self, piece: &str, on: &mut dyn FnMut(Delta<'_>)) {
        match self.state {
            State::Start => {
                self.held.push_str(piece);
                let seen = self.held.trim_start();
                if let Some(thought) = seen.strip_prefix(OPEN) {
                    let thought = thought.to_owned();
                    self.held.clear();
                    self.state = State::Thinking;
                    self.push(&thought, on);
                } else if !OPEN.starts_with(seen) || self.held.len() > MAX_HELD {
                    self.flush(on);
                }
            }
            State::Thinking => self.think(piece, on),
            State::Between => {
                let piece = piece.trim_start();
                if !piece.is_empty() {
                    self.state = State::Text;
                    self.show(piece, on);
                }
            }
            State::Text => self.show(piece, on),
        }
    }

    fn think(&mut self, piece: &str, on: &mut dyn FnMut(Delta<'_>)) {
        self.held.push_str(piece);
        let held = std::mem::take(&mut self.held);
        if let Some((thought, rest)) = held.split_once(CLOSE) {
            self.reason(thought, on);
            self.state = State::Between;
            self.push(rest, on);
            return;
        }
        let mut kept = (1..CLOSE.len()).rev().filter(|&length| held.ends_with(&CLOSE[..length]));
        let (thought, tail) = held.split_at(held.len() - kept.next().unwrap_or(0));
        self.reason(thought, on);
        tail.clone_into(&mut self.held);
    }

    fn show(&mut self, piece: &str, on: &mut dyn FnMut(Delta<'_>)) {
        self.text.push_str(piece);
        if !piece.is_empty() {
            on(Delta::Text(piece));
        }
    }

    fn reason(&mut self, piece: &str, on: &mut dyn FnMut(Delta<'_>)) {
        self.thought.push_str(piece);
        if !piece.is_empty() {
            on(Delta::Reasoning(piece));
        }
    }

    /// Gives up waiting for a tag.
    pub(super) fn flush(&mut self, on: &mut dyn FnMut(Delta<'_>)) {
        let held = std::mem::take(&mut self.held);
        match self.state {
            State::Thinking => self.reason(&held, on),
            State::Start => {
                self.state = State::Text;
                self.show(&held, on);
            }
            State::Between | State::Text => {}
        }
    }
}

/// Thinking that comes in fields of its own.
#[derive(Default)]
pub(super) struct Reasoning {
    text: String,
    content: Returned,
    details: Vec<Value>,
}

/// What came as `reasoning_content`, the one text field that some servers want back.
#[derive(Default)]
enum Returned {
    /// All of the text: it may be long, and need not be kept twice.
    #[default]
    Text,
    /// Some of it.
    Own(String),
}

impl Reasoning {
    /// Takes the fields of one message or delta and returns what to show. Servers that send several of them mean
    /// the same text.
    pub(super) fn add(
        &mut self,
        content: Option<&RawValue>,
        plain: Option<&RawValue>,
        details: Option<&RawValue>,
    ) -> String {
        let content = json::word(content);
        let mut detailed = String::new();
        for entry in json::elements(details) {
            if let Ok(entry) = serde_json::from_str::<Value>(entry.get()) {
                let text = ["text", "summary"].iter().find_map(|name| entry.get(name)?.as_str());
                detailed.push_str(text.unwrap_or_default());
                self.add_detail(entry);
            }
        }
        if let (Returned::Own(own), Some(content)) = (&mut self.content, &content) {
            own.push_str(content);
        }
        let is_own = content.is_none();
        let shown = content.or_else(|| json::word(plain)).unwrap_or(detailed);
        if is_own && !shown.is_empty() && matches!(self.content, Returned::Text) {
            self.content = Returned::Own(self.text.clone());
        }
        self.text.push_str(&shown);
        shown
    }

    fn add_detail(&mut self, entry: Value) {
        let same = |known: &&mut Value| known["type"] == entry["type"] && known["index"] == entry["index"];
        let known = if entry["index"].is_null() { None } else { self.details.iter_mut().find(same) };
        match (known, entry) {
            (Some(Value::Object(known)), Value::Object(entry)) => merge(known, entry),
            (_, entry) => self.details.push(entry),
        }
    }

    /// The block for it, with the fields that go back; none if there was nothing.
    pub(super) fn finish(self, thought: String) -> Option<Sealed> {
        let content = match &self.content {
            Returned::Text => &self.text,
            Returned::Own(own) => own,
        };
        let seal = seal(content, self.details);
        let text = if self.text.is_empty() { thought } else { self.text };
        (seal.is_some() || !text.is_empty()).then_some(Sealed { text, seal })
    }
}

fn seal(content: &str, details: Vec<Value>) -> Option<Seal> {
    let content = if content.is_empty() { None } else { Some(json::quoted(content)) };
    let details = if details.is_empty() { None } else { Some(Value::Array(details).to_string()) };
    let members = [("reasoning_content", content.as_deref()), ("reasoning_details", details.as_deref())];
    let members: Vec<_> = members.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
    if members.is_empty() { None } else { json::object_of(&members) }
}

/// Adds a piece of a detail to what came of it before: texts grow, of everything else the last value counts.
fn merge(known: &mut Map<String, Value>, piece: Map<String, Value>) {
    for (name, value) in piece {
        match (known.get_mut(&name), value) {
            (_, Value::Null) => {}
            (Some(Value::String(text)), Value::String(more)) if matches!(&*name, "text" | "data" | "summary") => {
                text.push_str(&more);
            }
            (_, value) => {
                known.insert(name, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(pieces: &[&str]) -> (String, String) {
        let (mut content, mut shown) = (Content::default(), (String::new(), String::new()));
        let mut on = |delta: Delta<'_>| match delta {
            Delta::Text(text) => shown.1.push_str(text),
            Delta::Reasoning(text) => shown.0.push_str(text),
        };
        for piece in pieces {
            content.push(piece, &mut on);
        }
        content.flush(&mut on);
        assert_eq!(shown, (content.thought.clone(), content.text.clone()));
        shown
    }

    #[test]
    fn tags_at_the_start_mark_thinking() {
        let cases: &[(&str, (&str, &str))] = &[
            ("<think>\na</think>\n\nb", ("\na", "b")),
            ("\n<think>a<b</thin</think>c</think>", ("a<b</thin", "c</think>")),
            ("x <think>a</think>", ("", "x <think>a</think>")),
            ("<thin", ("", "<thin")),
            ("<think>a</th", ("a</th", "")),
            ("  ", ("", "  ")),
        ];
        for (text, (thought, visible)) in cases {
            let expected = ((*thought).to_owned(), (*visible).to_owned());
            assert_eq!(split(&[text]), expected, "{text}");
            let letters: Vec<_> = text.chars().map(String::from).collect();
            assert_eq!(split(&letters.iter().map(String::as_str).collect::<Vec<_>>()), expected, "{text}");
        }
    }
}
