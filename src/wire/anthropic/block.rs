//! One content block of a message while it arrives, and what becomes of it.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::IDS;
use crate::chat::{Arguments, Block, Seal, Sealed, ToolCall};
use crate::wire::{Delta, json};

/// A block under construction.
pub(super) struct Slot {
    /// The index under which deltas name it.
    pub(super) index: Option<u64>,
    kind: Kind,
    /// The block as it began.
    start: Box<RawValue>,
    /// Text, thinking or argument JSON, as the kind has it.
    text: String,
    signature: Option<String>,
    citations: Vec<Box<RawValue>>,
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Text,
    Thinking,
    /// Thinking that only its author can read.
    Redacted,
    Tool,
    Other,
}

#[derive(Deserialize)]
struct Start<'a> {
    #[serde(borrow)]
    r#type: Option<&'a RawValue>,
    #[serde(borrow)]
    text: Option<&'a RawValue>,
    #[serde(borrow)]
    thinking: Option<&'a RawValue>,
    #[serde(borrow)]
    signature: Option<&'a RawValue>,
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    #[serde(borrow)]
    name: Option<&'a RawValue>,
    #[serde(borrow)]
    input: Option<&'a RawValue>,
    #[serde(borrow)]
    citations: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct BlockDelta<'a> {
    #[serde(borrow)]
    r#type: Option<&'a RawValue>,
    #[serde(borrow)]
    text: Option<&'a RawValue>,
    #[serde(borrow)]
    partial_json: Option<&'a RawValue>,
    #[serde(borrow)]
    thinking: Option<&'a RawValue>,
    #[serde(borrow)]
    signature: Option<&'a RawValue>,
    #[serde(borrow)]
    citation: Option<&'a RawValue>,
}

impl Slot {
    pub(super) fn new(index: Option<u64>, raw: &RawValue) -> Self {
        let start = json::object::<Start<'_>>(raw);
        let word = start.as_ref().and_then(|start| start.r#type).and_then(json::string);
        let kind = match word.as_deref() {
            Some("text") => Kind::Text,
            Some("thinking") => Kind::Thinking,
            Some("redacted_thinking") => Kind::Redacted,
            Some("tool_use") => Kind::Tool,
            _ => Kind::Other,
        };
        let text = start.as_ref().and_then(|start| match kind {
            Kind::Text => start.text,
            Kind::Thinking => start.thinking,
            Kind::Redacted | Kind::Tool | Kind::Other => None,
        });
        let text = text.and_then(json::string).unwrap_or_default().into_owned();
        let signature = start.and_then(|start| start.signature).and_then(json::string).map(Into::into);
        Self { index, kind, start: raw.to_owned(), text, signature, citations: Vec::new() }
    }

    /// A text block in which nothing has arrived.
    pub(super) fn text(index: Option<u64>) -> Self {
        let start = json::object_of(&[("type", "\"text\""), ("text", "\"\"")]);
        Self::new(index, start.as_deref().unwrap_or(RawValue::NULL))
    }

    /// Whether this is a tool call without a name, which nobody could answer.
    pub(super) fn is_nameless_call(&self) -> bool {
        self.kind == Kind::Tool && self.name().is_none()
    }

    fn name(&self) -> Option<String> {
        json::object::<Start<'_>>(&self.start).and_then(|start| json::word(start.name))
    }

    /// Shows what the block began with.
    pub(super) fn show(&self, on: &mut dyn FnMut(Delta<'_>)) {
        show(self.kind, &self.text, on);
    }

    /// Takes one delta; kinds that are unknown or do not fit the block are ignored.
    pub(super) fn delta(&mut self, raw: &RawValue, on: &mut dyn FnMut(Delta<'_>)) {
        let Some(delta) = json::object::<BlockDelta<'_>>(raw) else { return };
        let word = delta.r#type.and_then(json::string);
        let piece = match (word.as_deref(), self.kind) {
            (Some("text_delta"), Kind::Text) => delta.text,
            (Some("thinking_delta"), Kind::Thinking) => delta.thinking,
            (Some("input_json_delta"), Kind::Tool | Kind::Other) => delta.partial_json,
            (Some("signature_delta"), _) => {
                self.signature = delta.signature.and_then(json::string).map(Into::into).or(self.signature.take());
                None
            }
            (Some("citations_delta"), _) => {
                self.citations.extend(delta.citation.map(ToOwned::to_owned));
                None
            }
            _ => None,
        };
        if let Some(piece) = piece.and_then(json::string) {
            self.text.push_str(&piece);
            show(self.kind, &piece, on);
        }
    }

    /// The finished block. `reply` and `at` tell calls apart whose id is missing.
    pub(super) fn finish(self, reply: &str, at: usize) -> Option<Block<ToolCall>> {
        match self.kind {
            Kind::Text => Some(Block::Text(Sealed { seal: self.text_seal(), text: self.text })),
            Kind::Thinking => Some(Block::Reasoning(Sealed { seal: self.thinking_seal(), text: self.text })),
            Kind::Redacted => Some(Block::Reasoning(Sealed { text: String::new(), seal: Some(self.start) })),
            Kind::Tool => Some(Block::Tool(self.call(reply, at))),
            Kind::Other => self.start.get().starts_with('{').then(|| Block::Opaque(self.opaque())),
        }
    }

    fn text_seal(&self) -> Option<Seal> {
        if self.citations.is_empty() && !self.has_more_than(&["type", "text"]) {
            return None;
        }
        let text = json::quoted(&self.text);
        if self.citations.is_empty() {
            return json::with(&self.start, &[("text", &text)]);
        }
        let first =
            json::object::<Start<'_>>(&self.start).map(|start| json::elements(start.citations)).unwrap_or_default();
        let all = first.into_iter().chain(self.citations.iter().map(AsRef::as_ref)).map(RawValue::get);
        let citations = format!("[{}]", all.collect::<Vec<_>>().join(","));
        json::with(&self.start, &[("text", &text), ("citations", &citations)])
    }

    /// Thinking goes back only with the signature that proves it.
    fn thinking_seal(&self) -> Option<Seal> {
        let signature = json::quoted(self.signature.as_ref()?);
        json::with(&self.start, &[("thinking", &json::quoted(&self.text)), ("signature", &signature)])
    }

    fn call(&self, reply: &str, at: usize) -> ToolCall {
        let start = json::object::<Start<'_>>(&self.start);
        let name = self.name().unwrap_or_default();
        let given = start.as_ref().and_then(|start| start.input).map_or("", RawValue::get);
        let arguments = Arguments::parse(if self.text.trim().is_empty() { given } else { &self.text });
        let id = start.as_ref().and_then(|start| json::word(start.id));
        let id = id.unwrap_or_else(|| IDS.digest(&[reply, &at.to_string(), &name, arguments.replay()]));
        let seal = if self.has_more_than(&["type", "id", "name", "input"]) {
            json::with(&self.start, &[("id", &json::quoted(&id)), ("input", arguments.replay())])
        } else {
            None
        };
        ToolCall { id, name, arguments, seal }
    }

    fn opaque(self) -> Seal {
        let input = Arguments::parse(&self.text);
        match json::with(&self.start, &[("input", input.replay())]) {
            Some(changed) if !self.text.trim().is_empty() => changed,
            _ => self.start,
        }
    }

    fn has_more_than(&self, known: &[&str]) -> bool {
        json::members(&self.start).iter().any(|(name, _)| !known.contains(&name.as_str()))
    }
}

fn show(kind: Kind, piece: &str, on: &mut dyn FnMut(Delta<'_>)) {
    match kind {
        _ if piece.is_empty() => {}
        Kind::Text => on(Delta::Text(piece)),
        Kind::Thinking => on(Delta::Reasoning(piece)),
        Kind::Redacted | Kind::Tool | Kind::Other => {}
    }
}
