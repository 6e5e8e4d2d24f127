//! Conversation to request body for Chat Completions.

use super::{NAME, ids};
use crate::chat::{Block, Entry, Exchange, Media, Seal, ToolSpec, Turn, UserMessage};
use crate::wire::encode::{self, Body};
use crate::wire::ids::tool_name;
use crate::wire::{EchoReasoning, MaxTokensField, OutputFormat, RequestHead, json};

/// A text part up to the place of its string.
const TEXT: &str = r#"{"type":"text","text":"#;
/// What stands between tool results and a user message for servers that want an assistant message there.
const FILLER: &[u8] = br#"{"role":"assistant","content":"Understood."},"#;

pub(super) fn open(head: &RequestHead<'_>, out: &mut Vec<u8>) {
    let mut body = Body::open(head, out);
    if head.quirks.stream_options && body.streams() {
        body.json("stream_options", r#"{"include_usage":true}"#);
    }
    let limit = match head.quirks.max_tokens_field {
        MaxTokensField::MaxTokens => "max_tokens",
        MaxTokensField::MaxCompletionTokens => "max_completion_tokens",
    };
    body.limit(limit, head.max_tokens);
    if let Some(effort) = &head.params.effort {
        body.json("reasoning_effort", &json::quoted(effort));
    }
    body.temperature();
    if let Some(seed) = head.params.seed {
        body.json("seed", &seed.to_string());
    }
    body.tools(write_tool);
    body.messages("messages");
    if !head.system.is_empty() {
        out.extend_from_slice(br#"{"role":"system","content":"#);
        json::write_string(head.system, out);
        out.extend_from_slice(b"},");
    }
}

fn write_tool(tool: &ToolSpec, out: &mut Vec<u8>) {
    out.extend_from_slice(br#"{"type":"function","function":{"name":"#);
    json::write_string(&tool.name, out);
    out.extend_from_slice(b",\"description\":");
    json::write_string(&tool.description, out);
    out.extend_from_slice(b",\"parameters\":");
    out.extend_from_slice(tool.schema.as_bytes());
    out.extend_from_slice(b"}}");
}

/// The member that holds the answer to a schema.
pub(super) fn format(format: Option<&OutputFormat>) -> Option<(&'static str, String)> {
    let member = |schema| format!(r#"{{"type":"json_schema","json_schema":{{{schema}}}}}"#);
    format?.openai().map(|schema| ("response_format", member(schema)))
}

pub(super) fn entry(head: &RequestHead<'_>, entry: &Entry, out: &mut Vec<u8>) {
    match entry {
        Entry::User(message) => write_user(message, out),
        Entry::Step { turn, note } => {
            let own = encode::is_author(head, NAME, &turn.origin);
            write_turn(head, turn, own, out);
            for exchange in turn.tools() {
                out.extend_from_slice(br#"{"role":"tool","tool_call_id":"#);
                write_id(head, &exchange.call.id, own, out);
                out.extend_from_slice(b",\"content\":");
                json::write_string(encode::result_text(&exchange.result), out);
                out.extend_from_slice(b"},");
            }
            if let Some(note) = note.as_ref().filter(|note| !encode::is_blank(&note.parts)) {
                if head.quirks.assistant_after_tools {
                    out.extend_from_slice(FILLER);
                }
                write_user(note, out);
            }
        }
    }
}

fn write_user(message: &UserMessage, out: &mut Vec<u8>) {
    out.extend_from_slice(br#"{"role":"user","content":"#);
    encode::write_content(message, TEXT, write_media, out);
    out.extend_from_slice(b"},");
}

fn write_turn(head: &RequestHead<'_>, turn: &Turn<Exchange>, own: bool, out: &mut Vec<u8>) {
    let has_text = encode::texts(turn).any(|text| !text.text.trim().is_empty());
    let has_calls = turn.tools().next().is_some();
    if !has_text && !has_calls {
        if head.quirks.assistant_after_tools {
            out.extend_from_slice(FILLER);
        }
        return;
    }
    out.extend_from_slice(br#"{"role":"assistant","content":"#);
    if has_text {
        out.push(b'"');
        for text in encode::texts(turn) {
            json::write_escaped(&text.text, out);
        }
        out.push(b'"');
    } else {
        out.extend_from_slice(b"null");
    }
    write_reasoning(head.quirks.echo_reasoning, turn, own, out);
    if has_calls {
        out.extend_from_slice(b",\"tool_calls\":[");
        for exchange in turn.tools() {
            write_call(head, exchange, own, out);
        }
        out.pop();
        out.push(b']');
    }
    out.extend_from_slice(b"},");
}

fn write_reasoning(echo: EchoReasoning, turn: &Turn<Exchange>, own: bool, out: &mut Vec<u8>) {
    if echo == EchoReasoning::Nothing {
        return;
    }
    let sealed = turn.blocks.iter().find_map(|block| match block {
        Block::Reasoning(reasoning) => reasoning.seal.as_ref(),
        _ => None,
    });
    let has_content = write_seal(sealed.filter(|_| own), out);
    if echo == EchoReasoning::Always && !has_content {
        out.extend_from_slice(b",\"reasoning_content\":\"\"");
    }
}

/// Writes the members of a seal into the object that is open; tells whether `reasoning_content` is among them.
fn write_seal(seal: Option<&Seal>, out: &mut Vec<u8>) -> bool {
    let members = seal.map(|seal| json::members(seal)).unwrap_or_default();
    for (name, value) in &members {
        out.push(b',');
        json::write_string(name, out);
        out.push(b':');
        out.extend_from_slice(value.get().as_bytes());
    }
    members.iter().any(|(name, _)| name == "reasoning_content")
}

fn write_call(head: &RequestHead<'_>, exchange: &Exchange, own: bool, out: &mut Vec<u8>) {
    let call = &exchange.call;
    out.extend_from_slice(b"{\"id\":");
    write_id(head, &call.id, own, out);
    out.extend_from_slice(br#","type":"function","function":{"name":"#);
    json::write_string(&tool_name(&call.name), out);
    out.extend_from_slice(b",\"arguments\":");
    json::write_string(call.arguments.replay(), out);
    out.push(b'}');
    write_seal(call.seal.as_ref().filter(|_| own), out);
    out.extend_from_slice(b"},");
}

fn write_id(head: &RequestHead<'_>, id: &str, own: bool, out: &mut Vec<u8>) {
    json::write_string(&if own { id.into() } else { ids(*head.quirks).map(id) }, out);
}

fn write_media(media: &Media, out: &mut Vec<u8>) {
    if media.mime == "application/pdf" {
        out.extend_from_slice(br#"{"type":"file","file":{"filename":"#);
        json::write_string(if media.name.is_empty() { "document.pdf" } else { &media.name }, out);
        out.extend_from_slice(b",\"file_data\":");
    } else {
        out.extend_from_slice(br#"{"type":"image_url","image_url":{"url":"#);
    }
    encode::write_data_url(media, out);
    out.extend_from_slice(b"}}");
}
