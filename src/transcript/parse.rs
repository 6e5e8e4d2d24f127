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

/// What a message is. Its other fields are read as that and nothing else, since what a later
/// version adds to one kind may have the name of another's.
#[derive(Deserialize)]
struct Role<'a> {
    #[serde(borrow)]
    role: Cow<'a, str>,
}

/// What a block of a message is.
#[derive(Deserialize)]
struct Kind<'a> {
    #[serde(borrow)]
    r#type: Cow<'a, str>,
}

#[derive(Deserialize)]
struct RawUser<'a> {
    #[serde(borrow)]
    content: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawAssistant<'a> {
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
    timestamp: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawToolResult<'a> {
    #[serde(borrow)]
    content: Option<&'a RawValue>,
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

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawText {
    #[serde(default, deserialize_with = "or_default")]
    text: String,
    text_signature: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawThinking {
    #[serde(default, deserialize_with = "or_default")]
    thinking: String,
    thinking_signature: Option<String>,
    #[serde(default)]
    opaque: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawCall {
    #[serde(default, deserialize_with = "or_default")]
    id: String,
    #[serde(default, deserialize_with = "or_default")]
    name: String,
    #[serde(default = "empty_object")]
    arguments: Box<RawValue>,
    broken_arguments: Option<String>,
    thought_signature: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawImage {
    #[serde(default, deserialize_with = "or_default")]
    name: String,
    #[serde(default, deserialize_with = "or_default")]
    data: String,
    #[serde(default, deserialize_with = "or_default")]
    mime_type: String,
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
    let Role { role } = serde_json::from_str(text)?;
    Ok(match &*role {
        "user" => {
            let raw: RawUser<'_> = serde_json::from_str(text)?;
            Entry::User(UserEntry { parts: each_block(raw.content, user_part)? })
        }
        "assistant" => Entry::Assistant(Box::new(assistant(text)?)),
        "toolResult" => Entry::ToolResult(Box::new(tool_result(text)?)),
        role => Entry::Unknown(format!("message of {role}")),
    })
}

fn assistant(text: &str) -> serde_json::Result<Assistant> {
    let raw: RawAssistant<'_> = serde_json::from_str(text)?;
    Ok(Assistant {
        blocks: each_block(raw.content, assistant_block)?,
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
    })
}

fn tool_result(text: &str) -> serde_json::Result<ToolResultEntry> {
    let raw: RawToolResult<'_> = serde_json::from_str(text)?;
    let texts = each_block(raw.content, |kind, block| match kind {
        "text" => serde_json::from_str(block).map(|RawText { text, .. }| Some(text)),
        _ => Ok(None),
    })?;
    Ok(ToolResultEntry {
        call_id: raw.tool_call_id,
        tool: raw.tool_name,
        text: texts.concat(),
        details: raw.details,
        is_error: raw.is_error,
        timestamp: raw.timestamp,
    })
}

/// What `read` makes of each block of a content, given its type and itself; a string is one text block.
fn each_block<T>(
    content: Option<&RawValue>,
    read: impl Fn(&str, &str) -> serde_json::Result<Option<T>>,
) -> serde_json::Result<Vec<T>> {
    let content = match content.map(RawValue::get) {
        None | Some("null") => return Ok(Vec::new()),
        Some(text) if text.starts_with('"') => {
            let block = format!("{{\"text\":{text}}}");
            return Ok(read("text", &block)?.into_iter().collect());
        }
        Some(content) => content,
    };
    let blocks: Vec<&RawValue> = serde_json::from_str(content)?;
    let read = |block: &RawValue| {
        let Kind { r#type } = serde_json::from_str(block.get())?;
        read(&r#type, block.get())
    };
    blocks.into_iter().filter_map(|block| read(block).transpose()).collect()
}

fn user_part(kind: &str, block: &str) -> serde_json::Result<Option<UserPart>> {
    Ok(match kind {
        "text" => Some(UserPart::Text(serde_json::from_str::<RawText>(block)?.text)),
        "image" => {
            let RawImage { data, mime_type: mime, name } = serde_json::from_str(block)?;
            Some(UserPart::Media { mime, data, name })
        }
        _ => None,
    })
}

fn assistant_block(kind: &str, block: &str) -> serde_json::Result<Option<AssistantBlock>> {
    Ok(match kind {
        "text" => {
            let RawText { text, text_signature: signature } = serde_json::from_str(block)?;
            Some(AssistantBlock::Text { text, signature })
        }
        "thinking" => Some(match serde_json::from_str(block)? {
            RawThinking { thinking_signature: Some(signature), opaque: true, .. } => {
                AssistantBlock::Opaque { signature }
            }
            RawThinking { thinking: text, thinking_signature: signature, .. } => {
                AssistantBlock::Thinking { text, signature }
            }
        }),
        "toolCall" => {
            let raw: RawCall = serde_json::from_str(block)?;
            Some(AssistantBlock::Call(Call {
                id: raw.id,
                name: raw.name,
                arguments: raw.arguments,
                broken: raw.broken_arguments,
                signature: raw.thought_signature,
            }))
        }
        _ => None,
    })
}
