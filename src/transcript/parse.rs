//! One line of JSON becomes an [`Entry`]. Pure; knows no file and no order of lines.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::entry::{
    Assistant, AssistantBlock, Call, Entry, Line, Place, ResultDetails, ToolResultEntry, UserEntry, UserPart,
    empty_object, or_default,
};
use super::lines::UsageLine;

/// The fields that decide what a line is; what they hold is read afterwards, as what it is.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawLine<'a> {
    #[serde(borrow)]
    r#type: Cow<'a, str>,
    #[serde(default, deserialize_with = "or_default")]
    run: String,
    seq: Option<u64>,
    #[serde(default, deserialize_with = "or_default")]
    id: String,
    parent_id: Option<String>,
    #[serde(default, deserialize_with = "or_default")]
    timestamp: String,
    #[serde(borrow)]
    custom_type: Option<Cow<'a, str>>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
    #[serde(borrow)]
    message: Option<&'a RawValue>,
}

/// Every field that a message of any role may have.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawMessage<'a> {
    #[serde(borrow)]
    role: Cow<'a, str>,
    #[serde(borrow)]
    content: Option<&'a RawValue>,
    #[serde(default, deserialize_with = "or_default")]
    api: String,
    #[serde(default, deserialize_with = "or_default")]
    provider: String,
    #[serde(default, deserialize_with = "or_default")]
    model: String,
    response_model: Option<String>,
    response_id: Option<String>,
    usage: Option<UsageLine>,
    #[serde(default, deserialize_with = "or_default")]
    stop_reason: String,
    raw_stop_reason: Option<String>,
    refusal: Option<String>,
    error_message: Option<String>,
    #[serde(default, deserialize_with = "or_default")]
    tool_call_id: String,
    #[serde(default, deserialize_with = "or_default")]
    tool_name: String,
    #[serde(default, deserialize_with = "or_default")]
    details: ResultDetails,
    #[serde(default)]
    is_error: bool,
    #[serde(default, deserialize_with = "or_default")]
    timestamp: u64,
}

/// Every field that a block of any type may have.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawBlock<'a> {
    #[serde(borrow)]
    r#type: Cow<'a, str>,
    text: Option<String>,
    text_signature: Option<String>,
    thinking: Option<String>,
    thinking_signature: Option<String>,
    #[serde(default)]
    opaque: bool,
    id: Option<String>,
    name: Option<String>,
    arguments: Option<Box<RawValue>>,
    broken_arguments: Option<String>,
    thought_signature: Option<String>,
    data: Option<String>,
    mime_type: Option<String>,
}

impl Line {
    /// Reads the line of this number.
    ///
    /// # Errors
    /// It is not JSON, or not what a line of its kind is.
    pub fn parse(text: &str, number: u64) -> serde_json::Result<Self> {
        let raw: RawLine<'_> = serde_json::from_str(text)?;
        let data = || raw.data.map_or("{}", RawValue::get);
        let entry = match (&*raw.r#type, raw.custom_type.as_deref()) {
            ("session", _) => Entry::Session(serde_json::from_str(text)?),
            ("result", _) => Entry::Result(serde_json::from_str(text)?),
            ("message", _) => message(raw.message.map_or("{}", RawValue::get))?,
            ("custom", Some("flux.context")) => Entry::Context(serde_json::from_str(data())?),
            ("custom", Some("flux.request")) => Entry::Request(serde_json::from_str(data())?),
            ("custom", Some("flux.prune")) => Entry::Prune(serde_json::from_str(data())?),
            ("custom", Some(name)) => Entry::Unknown(name.to_owned()),
            (kind, _) => Entry::Unknown(kind.to_owned()),
        };
        let place = Place { run: raw.run, seq: raw.seq, id: raw.id, parent: raw.parent_id, timestamp: raw.timestamp };
        Ok(Self { number, place, entry })
    }
}

fn message(text: &str) -> serde_json::Result<Entry> {
    let raw: RawMessage<'_> = serde_json::from_str(text)?;
    Ok(match &*raw.role {
        "user" => Entry::User(UserEntry { parts: user_parts(raw.content)? }),
        "assistant" => Entry::Assistant(Box::new(Assistant {
            blocks: blocks(raw.content)?.into_iter().filter_map(assistant_block).collect(),
            api: raw.api,
            provider: raw.provider,
            model: raw.model,
            response_model: raw.response_model,
            response_id: raw.response_id,
            usage: raw.usage,
            stop_reason: raw.stop_reason,
            raw_stop_reason: raw.raw_stop_reason,
            refusal: raw.refusal,
            error_message: raw.error_message,
            timestamp: raw.timestamp,
        })),
        "toolResult" => Entry::ToolResult(Box::new(ToolResultEntry {
            call_id: raw.tool_call_id,
            tool: raw.tool_name,
            text: blocks(raw.content)?.into_iter().filter_map(|block| block.text).collect(),
            details: raw.details,
            is_error: raw.is_error,
            timestamp: raw.timestamp,
        })),
        role => Entry::Unknown(format!("message of {role}")),
    })
}

/// The blocks of a message. A text alone is one text block.
fn blocks(content: Option<&RawValue>) -> serde_json::Result<Vec<RawBlock<'_>>> {
    match content.map(RawValue::get) {
        None | Some("null") => Ok(Vec::new()),
        Some(text) if text.starts_with('"') => Ok(vec![RawBlock::text(serde_json::from_str(text)?)]),
        Some(list) => serde_json::from_str(list),
    }
}

impl RawBlock<'_> {
    fn text(text: String) -> Self {
        Self {
            r#type: "text".into(),
            text: Some(text),
            text_signature: None,
            thinking: None,
            thinking_signature: None,
            opaque: false,
            id: None,
            name: None,
            arguments: None,
            broken_arguments: None,
            thought_signature: None,
            data: None,
            mime_type: None,
        }
    }
}

fn user_parts(content: Option<&RawValue>) -> serde_json::Result<Vec<UserPart>> {
    let part = |block: RawBlock<'_>| match &*block.r#type {
        "text" => Some(UserPart::Text(block.text.unwrap_or_default())),
        "image" => {
            Some(UserPart::Media { mime: block.mime_type.unwrap_or_default(), data: block.data.unwrap_or_default() })
        }
        _ => None,
    };
    Ok(blocks(content)?.into_iter().filter_map(part).collect())
}

fn assistant_block(block: RawBlock<'_>) -> Option<AssistantBlock> {
    match &*block.r#type {
        "text" => Some(AssistantBlock::Text { text: block.text.unwrap_or_default(), signature: block.text_signature }),
        "thinking" => Some(match block.thinking_signature {
            Some(signature) if block.opaque => AssistantBlock::Opaque { signature },
            signature => AssistantBlock::Thinking { text: block.thinking.unwrap_or_default(), signature },
        }),
        "toolCall" => Some(AssistantBlock::Call(Call {
            id: block.id.unwrap_or_default(),
            name: block.name.unwrap_or_default(),
            arguments: block.arguments.unwrap_or_else(empty_object),
            broken: block.broken_arguments,
            signature: block.thought_signature,
        })),
        _ => None,
    }
}
