//! The rules of the Anthropic Messages API.

use serde_json::Value;

use super::strict::{Broken, Pairing, is_id};

const TOP: &str = "model max_tokens messages system stream tools tool_choice thinking output_config cache_control \
    stop_sequences metadata service_tier speed inference_geo container diagnostics";

/// Checks a request body.
pub fn check(body: &Value, version: Option<&str>, broken: &mut Broken) {
    let sampling = if version == Some("2023-06-01") { " temperature top_p top_k" } else { "" };
    broken.fields("body", body, &format!("{TOP}{sampling}"));
    broken.unless(body["max_tokens"].as_u64().is_some_and(|n| n > 0), "max_tokens: must be at least 1");
    system(&body["system"], broken);
    cache_marks(body, broken);
    messages(body["messages"].as_array().map_or(&[], Vec::as_slice), broken);
}

fn system(system: &Value, broken: &mut Broken) {
    match system {
        Value::Null => {}
        Value::Array(blocks) => {
            for block in blocks {
                broken.fields("system", block, "type text cache_control");
                broken.text("system", &block["text"]);
            }
        }
        text => broken.text("system", text),
    }
}

fn cache_marks(body: &Value, broken: &mut Broken) {
    let marks = body.to_string().matches("\"cache_control\":").count();
    broken.unless(marks <= 4, format!("cache_control: {marks} marks, at most 4 may be"));
}

fn messages(messages: &[Value], broken: &mut Broken) {
    broken.unless(!messages.is_empty(), "messages: at least one is needed");
    broken.unless(messages.first().is_none_or(|m| m["role"] == "user"), "messages[0]: the first must be the user's");
    let (mut pairing, mut previous) = (Pairing::default(), Value::Null);
    for (i, message) in messages.iter().enumerate() {
        let at = format!("messages[{i}]");
        broken.fields(&at, message, "role content");
        broken.unless(message["role"] != previous, format!("{at}: roles must alternate"));
        previous = message["role"].clone();
        match message["role"].as_str() {
            Some("user") => user(&at, &message["content"], &mut pairing, broken),
            Some("assistant") => assistant(&at, &message["content"], &mut pairing, broken),
            _ => broken.0.push(format!("{at}: unknown role {}", message["role"])),
        }
    }
    pairing.settled("messages", broken);
    if let Some(last) = messages.last().filter(|m| m["role"] == "assistant") {
        broken.unless(is_paused(last), "messages: ends with the assistant's turn (prefill)");
    }
}

/// Only a turn that the server itself paused may stand last.
fn is_paused(message: &Value) -> bool {
    message["content"].as_array().is_some_and(|blocks| blocks.iter().any(|b| b["type"] == "server_tool_use"))
}

fn user(at: &str, content: &Value, pairing: &mut Pairing, broken: &mut Broken) {
    let Some(blocks) = content.as_array() else {
        pairing.settled(at, broken);
        return broken.text(at, content);
    };
    broken.unless(!blocks.is_empty(), format!("{at}: empty content"));
    let mut other = false;
    for (j, block) in blocks.iter().enumerate() {
        let at = format!("{at}.content[{j}]");
        if block["type"] == "tool_result" {
            broken.unless(!other, format!("{at}: tool results must come first"));
            tool_result(&at, block, broken);
            pairing.result(&at, block["tool_use_id"].as_str().unwrap_or_default(), broken);
        } else {
            other = true;
            pairing.settled(&at, broken);
            plain_block(&at, block, broken);
        }
    }
    pairing.settled(at, broken);
}

fn tool_result(at: &str, block: &Value, broken: &mut Broken) {
    broken.fields(at, block, "type tool_use_id content is_error cache_control");
    match &block["content"] {
        Value::Array(blocks) => {
            broken.unless(!blocks.is_empty(), format!("{at}: empty content"));
            blocks.iter().for_each(|b| plain_block(at, b, broken));
        }
        text => broken.unless(text.as_str().is_some_and(|t| !t.is_empty()), format!("{at}: empty content")),
    }
}

fn plain_block(at: &str, block: &Value, broken: &mut Broken) {
    match block["type"].as_str() {
        Some("text") => {
            broken.fields(at, block, "type text cache_control");
            broken.text(at, &block["text"]);
        }
        Some("image") => broken.fields(at, block, "type source cache_control"),
        Some("document") => broken.fields(at, block, "type source title context citations cache_control"),
        other => broken.0.push(format!("{at}: unknown block {other:?}")),
    }
}

fn assistant(at: &str, content: &Value, pairing: &mut Pairing, broken: &mut Broken) {
    pairing.settled(at, broken);
    let Some(blocks) = content.as_array() else { return broken.text(at, content) };
    broken.unless(!blocks.is_empty(), format!("{at}: empty content"));
    for (j, block) in blocks.iter().enumerate() {
        let at = format!("{at}.content[{j}]");
        match block["type"].as_str() {
            Some("tool_use") => {
                broken.fields(&at, block, "type id name input cache_control caller");
                broken.unless(block["input"].is_object(), format!("{at}: input must be an object"));
                let id = block["id"].as_str().unwrap_or_default();
                broken.unless(is_id(id), format!("{at}: bad id {id:?}"));
                broken.text(&at, &block["name"]);
                pairing.call(&at, id, broken);
            }
            Some("thinking") => {
                broken.fields(&at, block, "type thinking signature");
                broken.text(&format!("{at}.signature"), &block["signature"]);
            }
            Some("redacted_thinking") => broken.fields(&at, block, "type data"),
            Some("text") => {
                broken.fields(&at, block, "type text citations cache_control");
                broken.text(&at, &block["text"]);
            }
            Some("server_tool_use" | "container_upload") => {}
            Some(kind) if kind.ends_with("_tool_result") => {}
            other => broken.0.push(format!("{at}: unknown block {other:?}")),
        }
    }
}
