//! One output item of a response, finished or while it arrives.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::IDS;
use crate::chat::{Arguments, Block, Sealed, ToolCall};
use crate::wire::json;

/// An item under construction.
#[derive(Default)]
pub(super) struct Slot {
    /// The place under which events name it.
    pub(super) index: Option<u64>,
    /// Its id, for servers that give no place.
    pub(super) id: Option<String>,
    /// The item as it began.
    pub(super) start: Option<Box<RawValue>>,
    /// The item as it is in the end, which says all.
    pub(super) done: Option<Box<RawValue>>,
    /// What arrived in pieces.
    pub(super) text: String,
    pub(super) refusal: String,
    pub(super) reasoning: String,
    pub(super) arguments: String,
    /// The summary part that reasoning came from last.
    pub(super) part: Option<u64>,
}

/// What an item means.
pub(super) struct Meaning {
    pub(super) block: Option<Block<ToolCall>>,
    /// What the model said instead of an answer.
    pub(super) refusal: String,
}

#[derive(Deserialize)]
struct Item<'a> {
    #[serde(borrow)]
    r#type: Option<&'a RawValue>,
    #[serde(borrow)]
    call_id: Option<&'a RawValue>,
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    #[serde(borrow)]
    name: Option<&'a RawValue>,
    #[serde(borrow)]
    arguments: Option<&'a RawValue>,
    #[serde(borrow)]
    content: Option<&'a RawValue>,
    #[serde(borrow)]
    summary: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Part<'a> {
    #[serde(borrow)]
    text: Option<&'a RawValue>,
    #[serde(borrow)]
    refusal: Option<&'a RawValue>,
}

impl Slot {
    /// What this item means; `reply` and `at` tell calls apart whose id is missing.
    pub(super) fn meaning(self, reply: &str, at: usize) -> Meaning {
        if let Some(done) = &self.done {
            return meaning(done, reply, at);
        }
        let start = self.start.as_deref().and_then(json::object::<Item<'_>>);
        let word = start.as_ref().and_then(|item| item.r#type).and_then(json::string);
        let sealed = |text: String| Sealed { text, seal: None };
        let block = match (word.as_deref(), &start) {
            (Some("function_call"), Some(item)) => call(item, &self.arguments, reply, at).map(Block::Tool),
            _ if !self.text.is_empty() => Some(Block::Text(sealed(self.text))),
            _ if !self.reasoning.is_empty() => Some(Block::Reasoning(sealed(self.reasoning))),
            _ => None,
        };
        Meaning { block, refusal: self.refusal }
    }
}

/// What a finished item means.
pub(super) fn meaning(raw: &RawValue, reply: &str, at: usize) -> Meaning {
    let item: Option<Item<'_>> = json::object(raw);
    let word = item.as_ref().and_then(|item| item.r#type).and_then(json::string);
    let mut refusal = String::new();
    let seal = || Some(raw.to_owned());
    let block = match (word.as_deref(), &item) {
        (Some("message"), Some(item)) => {
            refusal = join(item.content, "", |part| part.refusal);
            Some(Block::Text(Sealed { text: content_text(item), seal: seal() }))
        }
        (Some("reasoning"), Some(item)) => {
            let summary = join(item.summary, "\n\n", |part| part.text);
            let text = if summary.is_empty() { join(item.content, "", |part| part.text) } else { summary };
            Some(Block::Reasoning(Sealed { text, seal: seal() }))
        }
        (Some("function_call"), Some(item)) => sealed_call(item, raw, reply, at).map(Block::Tool),
        (_, Some(_)) => Some(Block::Opaque(raw.to_owned())),
        (_, None) => None,
    };
    Meaning { block, refusal }
}

/// The visible text of a message item; empty for other items.
pub(super) fn visible_text(raw: &RawValue) -> String {
    let item: Option<Item<'_>> = json::object(raw);
    let is_message = |item: &Item<'_>| item.r#type.is_some_and(|word| word.get() == "\"message\"");
    item.filter(is_message).map(|item| content_text(&item)).unwrap_or_default()
}

/// The id of an item.
pub(super) fn id(raw: &RawValue) -> Option<String> {
    json::object::<Item<'_>>(raw).and_then(|item| json::word(item.id))
}

fn content_text(item: &Item<'_>) -> String {
    match item.content.and_then(json::string) {
        Some(text) => text.into_owned(),
        None => join(item.content, "", |part| part.text),
    }
}

fn join<'a>(parts: Option<&'a RawValue>, between: &str, pick: impl Fn(&Part<'a>) -> Option<&'a RawValue>) -> String {
    let parts = json::elements(parts).into_iter().filter_map(json::object::<Part<'_>>);
    let texts: Vec<_> = parts.filter_map(|part| pick(&part).and_then(json::string)).filter(|t| !t.is_empty()).collect();
    texts.join(between)
}

fn sealed_call(item: &Item<'_>, raw: &RawValue, reply: &str, at: usize) -> Option<ToolCall> {
    let text = match item.arguments {
        Some(arguments) => json::string(arguments).unwrap_or(arguments.get().into()),
        None => "".into(),
    };
    let mut call = call(item, &text, reply, at)?;
    let mut changes = Vec::new();
    let (arguments, id) = (json::quoted(call.arguments.replay()), json::quoted(&call.id));
    if matches!(call.arguments, Arguments::Broken { .. }) {
        changes.push(("arguments", arguments.as_str()));
    }
    if json::word(item.call_id).is_none() {
        changes.push(("call_id", id.as_str()));
    }
    call.seal = if changes.is_empty() { Some(raw.to_owned()) } else { json::with(raw, &changes) };
    Some(call)
}

fn call(item: &Item<'_>, text: &str, reply: &str, at: usize) -> Option<ToolCall> {
    let name = json::word(item.name)?;
    let arguments = Arguments::parse(text);
    let id = json::word(item.call_id).or_else(|| json::word(item.id));
    let id = id.unwrap_or_else(|| IDS.digest(&[reply, &at.to_string(), &name, arguments.replay()]));
    Some(ToolCall { id, name, arguments, seal: None })
}
