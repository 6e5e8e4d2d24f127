//! The rules of the Chat Completions API.

use serde_json::Value;

use super::strict::{Broken, Pairing, is_name};

const TOP: &str = "model messages max_completion_tokens max_tokens stream stream_options tools tool_choice \
    parallel_tool_calls response_format reasoning_effort verbosity temperature top_p presence_penalty \
    frequency_penalty logprobs top_logprobs logit_bias seed stop n store metadata service_tier prompt_cache_key \
    prompt_cache_options safety_identifier";

/// Checks a request body.
pub fn check(body: &Value, broken: &mut Broken) {
    broken.fields("body", body, TOP);
    let both = body.get("max_tokens").is_some() && body.get("max_completion_tokens").is_some();
    broken.unless(!both, "max_tokens: not together with max_completion_tokens");
    let tools = body.get("tools").is_some();
    broken.unless(tools || body.get("parallel_tool_calls").is_none(), "parallel_tool_calls: only with tools");
    if let Some(options) = body.get("stream_options") {
        broken.fields("stream_options", options, "include_usage include_obfuscation");
    }
    messages(body["messages"].as_array().map_or(&[], Vec::as_slice), broken);
}

fn messages(messages: &[Value], broken: &mut Broken) {
    let first = messages.iter().position(|m| m["role"] != "system" && m["role"] != "developer").unwrap_or(0);
    broken.unless(first <= 1, "messages: more than one system message at the start");
    broken.unless(messages.get(first).is_some_and(|m| m["role"] == "user"), "messages: the first must be the user's");
    let mut pairing = Pairing::default();
    for (i, message) in messages.iter().enumerate() {
        let at = format!("messages[{i}]");
        match message["role"].as_str() {
            Some("tool") => {
                broken.fields(&at, message, "role tool_call_id content");
                broken
                    .unless(message["content"].as_str().is_some_and(|t| !t.is_empty()), format!("{at}: empty content"));
                pairing.result(&at, message["tool_call_id"].as_str().unwrap_or_default(), broken);
            }
            Some("system" | "developer") => {
                broken.unless(i == 0, format!("{at}: the system message must come first"));
                broken.fields(&at, message, "role content name");
                content(&at, &message["content"], broken);
            }
            Some("user") => {
                pairing.settled(&at, broken);
                broken.fields(&at, message, "role content name");
                content(&at, &message["content"], broken);
            }
            Some("assistant") => assistant(&at, message, &mut pairing, broken),
            _ => broken.0.push(format!("{at}: unknown role {}", message["role"])),
        }
    }
    pairing.settled("messages", broken);
    broken.unless(messages.last().is_none_or(|m| m["role"] != "assistant"), "messages: ends with the assistant's turn");
}

fn content(at: &str, content: &Value, broken: &mut Broken) {
    let Some(parts) = content.as_array() else { return broken.text(at, content) };
    broken.unless(!parts.is_empty(), format!("{at}: empty content"));
    for part in parts {
        match part["type"].as_str() {
            Some("text") => {
                broken.fields(at, part, "type text");
                broken.text(at, &part["text"]);
            }
            Some(kind @ ("image_url" | "file" | "input_audio")) => broken.fields(at, part, &format!("type {kind}")),
            other => broken.0.push(format!("{at}: unknown part {other:?}")),
        }
    }
}

fn assistant(at: &str, message: &Value, pairing: &mut Pairing, broken: &mut Broken) {
    pairing.settled(at, broken);
    broken.fields(at, message, "role content refusal tool_calls name reasoning_content reasoning_details");
    let calls = message["tool_calls"].as_array().map_or(&[][..], Vec::as_slice);
    broken.unless(
        message.get("tool_calls").is_none() || !calls.is_empty(),
        format!("{at}: tool_calls must not be empty"),
    );
    if calls.is_empty() || !message["content"].is_null() {
        content(at, &message["content"], broken);
    }
    for (j, call) in calls.iter().enumerate() {
        let at = format!("{at}.tool_calls[{j}]");
        broken.fields(&at, call, "id type function extra_content");
        broken.fields(&at, &call["function"], "name arguments");
        broken.unless(call["type"] == "function", format!("{at}: type must be function"));
        let id = call["id"].as_str().unwrap_or_default();
        broken.unless((1..=40).contains(&id.len()), format!("{at}: the id must have 1 to 40 characters"));
        let name = call["function"]["name"].as_str().unwrap_or_default();
        broken.unless(is_name(name), format!("{at}: bad name {name:?}"));
        let arguments: Option<Value> =
            call["function"]["arguments"].as_str().and_then(|text| serde_json::from_str(text).ok());
        broken.unless(arguments.is_some_and(|a| a.is_object()), format!("{at}: the arguments are not a JSON object"));
        pairing.call(&at, id, broken);
    }
}
