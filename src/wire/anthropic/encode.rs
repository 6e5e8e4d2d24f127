//! Conversation to request body for the Messages API.

use super::{IDS, NAME};
use crate::chat::{Block, Entry, Exchange, Media, Sealed, ToolCall, Turn, UserMessage};
use crate::wire::encode::{self, Body};
use crate::wire::ids::tool_name;
use crate::wire::{OutputFormat, RequestHead, json};

/// The API demands a limit; this one stands in where the caller gives none.
const DEFAULT_MAX_TOKENS: u64 = 4096;
/// A text block up to the place of its string.
const TEXT: &str = r#"{"type":"text","text":"#;

pub(super) fn open(head: &RequestHead<'_>, out: &mut Vec<u8>) {
    let mut body = Body::open(head, out);
    body.limit("max_tokens", head.max_tokens.or(Some(DEFAULT_MAX_TOKENS)));
    if head.quirks.anthropic_service {
        body.json("cache_control", r#"{"type":"ephemeral"}"#);
    }
    body.temperature();
    body.tools(|tool, out| {
        out.extend_from_slice(b"{\"name\":");
        json::write_string(&tool.name, out);
        out.extend_from_slice(b",\"description\":");
        json::write_string(&tool.description, out);
        out.extend_from_slice(b",\"input_schema\":");
        out.extend_from_slice(tool.schema.as_bytes());
        out.push(b'}');
    });
    if !head.system.is_empty() {
        body.member("system", |out| json::write_string(head.system, out));
    }
    body.messages("messages");
}

/// The member that holds the answer to a schema. The effort is in the same object.
pub(super) fn format(head: &RequestHead<'_>, format: Option<&OutputFormat>) -> Option<(&'static str, String)> {
    let effort = head.params.effort.as_ref().map(|effort| format!("\"effort\":{}", json::quoted(effort)));
    let schema = format.and_then(|format| format.strict.as_ref());
    let format = schema.map(|schema| format!(r#""format":{{"type":"json_schema","schema":{schema}}}"#));
    let members: Vec<String> = effort.into_iter().chain(format).collect();
    (!members.is_empty()).then(|| ("output_config", format!("{{{}}}", members.join(","))))
}

pub(super) fn entry(head: &RequestHead<'_>, entry: &Entry, out: &mut Vec<u8>) {
    match entry {
        Entry::User(message) => {
            out.extend_from_slice(br#"{"role":"user","content":"#);
            encode::write_content(message, TEXT, write_media, out);
            out.extend_from_slice(b"},");
        }
        Entry::Step { turn, note } => {
            write_message("assistant", out, |out| write_turn(head, turn, out));
            let own = encode::is_author(head, NAME, &turn.origin);
            write_message("user", out, |out| write_answers(turn, own, note.as_deref(), out));
        }
    }
}

/// Writes a message of the blocks that `write` writes, each followed by a comma; nothing if it writes none.
fn write_message(role: &str, out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend_from_slice(format!(r#"{{"role":"{role}","content":["#).as_bytes());
    let empty = out.len();
    write(out);
    if out.len() == empty {
        out.truncate(start);
    } else {
        out.pop();
        out.extend_from_slice(b"]},");
    }
}

fn write_turn(head: &RequestHead<'_>, turn: &Turn<Exchange>, out: &mut Vec<u8>) {
    let own = encode::is_author(head, NAME, &turn.origin);
    for (at, block) in turn.blocks.iter().enumerate() {
        let length = out.len();
        match block {
            Block::Text(text) => {
                let neighbour = |at: Option<usize>| at.and_then(|at| turn.blocks.get(at));
                let between = is_thinking(neighbour(at.checked_sub(1))) && is_thinking(neighbour(Some(at + 1)));
                write_text(text, own, own && between, out);
            }
            Block::Reasoning(Sealed { seal: Some(seal), .. }) | Block::Opaque(seal) if own => {
                out.extend_from_slice(seal.get().as_bytes());
            }
            Block::Tool(exchange) => write_call(&exchange.call, own, out),
            Block::Reasoning(_) | Block::Opaque(_) => {}
        }
        if out.len() > length {
            out.push(b',');
        }
    }
}

fn is_thinking(block: Option<&Block<Exchange>>) -> bool {
    matches!(block, Some(Block::Reasoning(Sealed { seal: Some(_), .. })))
}

/// Writes a text block. A blank one is refused by the service, but for where it keeps thinking blocks in order.
fn write_text(text: &Sealed, own: bool, keep_blank: bool, out: &mut Vec<u8>) {
    if text.text.trim().is_empty() && !keep_blank {
        return;
    }
    match &text.seal {
        Some(seal) if own => out.extend_from_slice(seal.get().as_bytes()),
        _ => {
            out.extend_from_slice(TEXT.as_bytes());
            json::write_string(&text.text, out);
            out.push(b'}');
        }
    }
}

fn write_call(call: &ToolCall, own: bool, out: &mut Vec<u8>) {
    if let (Some(seal), true) = (&call.seal, own) {
        out.extend_from_slice(seal.get().as_bytes());
        return;
    }
    out.extend_from_slice(br#"{"type":"tool_use","id":"#);
    write_id(&call.id, own, out);
    out.extend_from_slice(b",\"name\":");
    json::write_string(&tool_name(&call.name), out);
    out.extend_from_slice(b",\"input\":");
    out.extend_from_slice(call.arguments.replay().as_bytes());
    out.push(b'}');
}

fn write_id(id: &str, own: bool, out: &mut Vec<u8>) {
    json::write_string(&if own { id.into() } else { IDS.map(id) }, out);
}

/// Writes the results of a turn's calls, which must come first and in one message, and what the user adds.
fn write_answers(turn: &Turn<Exchange>, own: bool, note: Option<&UserMessage>, out: &mut Vec<u8>) {
    for exchange in turn.tools() {
        out.extend_from_slice(br#"{"type":"tool_result","tool_use_id":"#);
        write_id(&exchange.call.id, own, out);
        out.extend_from_slice(b",\"content\":");
        json::write_string(encode::result_text(&exchange.result), out);
        if exchange.result.is_error {
            out.extend_from_slice(b",\"is_error\":true");
        }
        out.extend_from_slice(b"},");
    }
    if let Some(note) = note {
        encode::write_blocks(note, TEXT, write_media, out);
    }
}

fn write_media(media: &Media, out: &mut Vec<u8>) {
    let document = media.mime == "application/pdf";
    let kind = if document { "document" } else { "image" };
    out.extend_from_slice(format!(r#"{{"type":"{kind}","source":{{"type":"base64","media_type":"#).as_bytes());
    json::write_string(media.mime, out);
    out.extend_from_slice(b",\"data\":");
    json::write_string(&media.base64, out);
    out.push(b'}');
    if document && !media.name.is_empty() {
        out.extend_from_slice(b",\"title\":");
        json::write_string(&media.name, out);
    }
    out.push(b'}');
}
