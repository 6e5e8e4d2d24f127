//! Conversation to request body for the Responses API.

use super::{IDS, NAME};
use crate::chat::{Block, Entry, Exchange, Media, Sealed, Turn, UserMessage};
use crate::wire::encode::{self, Body};
use crate::wire::ids::tool_name;
use crate::wire::{OutputFormat, RequestHead, json};

/// A text part up to the place of its string.
const TEXT: &str = r#"{"type":"input_text","text":"#;

pub(super) fn open(head: &RequestHead<'_>, out: &mut Vec<u8>) {
    let mut body = Body::open(head, out);
    body.json("store", "false");
    body.json("include", r#"["reasoning.encrypted_content"]"#);
    body.limit("max_output_tokens", head.max_tokens);
    if let Some(effort) = &head.params.effort {
        body.json("reasoning", &format!("{{\"effort\":{}}}", json::quoted(effort)));
    }
    body.temperature();
    body.tools(|tool, out| {
        out.extend_from_slice(br#"{"type":"function","name":"#);
        json::write_string(&tool.name, out);
        out.extend_from_slice(b",\"description\":");
        json::write_string(&tool.description, out);
        out.extend_from_slice(b",\"strict\":false,\"parameters\":");
        out.extend_from_slice(tool.schema.as_bytes());
        out.push(b'}');
    });
    if !head.system.is_empty() {
        body.member("instructions", |out| json::write_string(head.system, out));
    }
    body.messages("input");
}

/// The member that holds the answer to a schema.
pub(super) fn format(format: Option<&OutputFormat>) -> Option<(&'static str, String)> {
    format?.openai().map(|schema| ("text", format!(r#"{{"format":{{"type":"json_schema",{schema}}}}}"#)))
}

pub(super) fn entry(head: &RequestHead<'_>, entry: &Entry, out: &mut Vec<u8>) {
    match entry {
        Entry::User(message) => write_user(message, out),
        Entry::Step { turn, note } => {
            let own = encode::is_author(head, NAME, &turn.origin);
            write_turn(turn, own, out);
            for exchange in turn.tools() {
                out.extend_from_slice(br#"{"type":"function_call_output","call_id":"#);
                write_id(&exchange.call.id, own, out);
                out.extend_from_slice(b",\"output\":");
                json::write_string(encode::result_text(&exchange.result), out);
                out.extend_from_slice(b"},");
            }
            if let Some(note) = note.as_ref().filter(|note| !encode::is_blank(&note.parts)) {
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

fn write_turn(turn: &Turn<Exchange>, own: bool, out: &mut Vec<u8>) {
    // The ids of items stand for the reasoning that led to them: without all of that they must not go back either.
    let sealed = own && !turn.blocks.iter().any(|block| matches!(block, Block::Reasoning(r) if !is_encrypted(r)));
    for (at, block) in turn.blocks.iter().enumerate() {
        let length = out.len();
        match block {
            // Reasoning must be followed by what it led to.
            Block::Reasoning(Sealed { seal: Some(seal), .. }) if sealed && leads_on(&turn.blocks, at) => {
                out.extend_from_slice(seal.get().as_bytes());
            }
            Block::Opaque(seal) if own => out.extend_from_slice(seal.get().as_bytes()),
            Block::Text(text) => write_text(text, sealed, out),
            Block::Tool(exchange) => write_call(exchange, own, sealed, out),
            Block::Reasoning(_) | Block::Opaque(_) => {}
        }
        if out.len() > length {
            out.push(b',');
        }
    }
}

/// Whether a reasoning item can go back: without server-side state only its encrypted form means anything.
fn is_encrypted(reasoning: &Sealed) -> bool {
    let members = reasoning.seal.as_deref().map(json::members).unwrap_or_default();
    members.iter().any(|(name, value)| name == "encrypted_content" && value.get() != "null")
}

fn leads_on(blocks: &[Block<Exchange>], at: usize) -> bool {
    blocks.iter().skip(at + 1).any(|block| match block {
        Block::Reasoning(_) => false,
        Block::Text(text) => text.seal.is_some() || !text.text.trim().is_empty(),
        Block::Tool(_) | Block::Opaque(_) => true,
    })
}

fn write_text(text: &Sealed, sealed: bool, out: &mut Vec<u8>) {
    match &text.seal {
        Some(seal) if sealed => out.extend_from_slice(seal.get().as_bytes()),
        _ if text.text.trim().is_empty() => {}
        _ => {
            out.extend_from_slice(br#"{"role":"assistant","content":"#);
            json::write_string(&text.text, out);
            out.push(b'}');
        }
    }
}

fn write_call(exchange: &Exchange, own: bool, sealed: bool, out: &mut Vec<u8>) {
    let call = &exchange.call;
    if let (Some(seal), true) = (&call.seal, sealed) {
        out.extend_from_slice(seal.get().as_bytes());
        return;
    }
    out.extend_from_slice(br#"{"type":"function_call","call_id":"#);
    write_id(&call.id, own, out);
    out.extend_from_slice(b",\"name\":");
    json::write_string(&tool_name(&call.name), out);
    out.extend_from_slice(b",\"arguments\":");
    json::write_string(call.arguments.replay(), out);
    out.push(b'}');
}

fn write_id(id: &str, own: bool, out: &mut Vec<u8>) {
    json::write_string(&if own { id.into() } else { IDS.map(id) }, out);
}

fn write_media(media: &Media, out: &mut Vec<u8>) {
    if media.mime == "application/pdf" {
        out.extend_from_slice(br#"{"type":"input_file","filename":"#);
        json::write_string(if media.name.is_empty() { "document.pdf" } else { &media.name }, out);
        out.extend_from_slice(b",\"file_data\":");
    } else {
        out.extend_from_slice(br#"{"type":"input_image","detail":"auto","image_url":"#);
    }
    encode::write_data_url(media, out);
    out.push(b'}');
}
