//! The rules of the OpenAI Responses API, without server-side state.

use serde_json::Value;

use super::strict::{Broken, Pairing};

const TOP: &str = "model input instructions tools tool_choice parallel_tool_calls max_output_tokens reasoning text \
    store include stream stream_options truncation temperature top_p top_logprobs metadata service_tier \
    prompt_cache_key prompt_cache_options safety_identifier max_tool_calls";

/// Checks a request body.
pub fn check(body: &Value, broken: &mut Broken) {
    broken.fields("body", body, TOP);
    broken.unless(body["store"] == false, "store: must be false, it is true by default");
    let limit = body.get("max_output_tokens");
    broken.unless(limit.is_none_or(|n| n.as_u64().is_some_and(|n| n >= 16)), "max_output_tokens: at least 16");
    let instructions = body.get("instructions");
    if let Some(text) = instructions {
        broken.text("instructions", text);
    }
    let Some(items) = body["input"].as_array() else { return broken.text("input", &body["input"]) };
    broken.unless(items.first().is_some_and(|i| i["role"] == "user"), "input[0]: the first must be the user's");
    self::items(items, broken);
}

fn items(items: &[Value], broken: &mut Broken) {
    let mut pairing = Pairing::default();
    let mut answering = false;
    for (i, item) in items.iter().enumerate() {
        let at = format!("input[{i}]");
        match item["type"].as_str().unwrap_or("message") {
            "function_call_output" => {
                answering = true;
                broken.fields(&at, item, "type call_id output id status");
                output(&at, &item["output"], broken);
                pairing.result(&at, item["call_id"].as_str().unwrap_or_default(), broken);
            }
            "function_call" => {
                settle(&mut answering, &at, &mut pairing, broken);
                call(&at, item, broken);
                pairing.call(&at, item["call_id"].as_str().unwrap_or_default(), broken);
            }
            "reasoning" => {
                settle(&mut answering, &at, &mut pairing, broken);
                broken.fields(&at, item, "type id summary encrypted_content content status");
                broken.unless(item["encrypted_content"].is_string(), format!("{at}: encrypted_content is missing"));
                let next = items.get(i + 1).map_or("", |n| n["type"].as_str().unwrap_or("message"));
                let follows = !matches!(next, "" | "function_call_output") && items[i + 1]["role"] != "user";
                broken.unless(follows, format!("{at}: reasoning without its required following item"));
            }
            "message" if item["role"] == "assistant" => {
                settle(&mut answering, &at, &mut pairing, broken);
                message(&at, item, "output_text refusal", broken);
            }
            "message" => {
                pairing.settled(&at, broken);
                answering = false;
                message(&at, item, "input_text input_image input_file", broken);
            }
            "web_search_call" | "custom_tool_call" | "compaction" => settle(&mut answering, &at, &mut pairing, broken),
            other => broken.0.push(format!("{at}: unknown item {other:?}")),
        }
    }
    pairing.settled("input", broken);
    let last = items.last().map_or(&Value::Null, |i| &i["role"]);
    broken.unless(last != "assistant", "input: ends with the assistant's turn");
}

/// Within one turn calls may follow calls, but once its results have begun, the turn is over.
fn settle(answering: &mut bool, at: &str, pairing: &mut Pairing, broken: &mut Broken) {
    if *answering {
        pairing.settled(at, broken);
    }
    *answering = false;
}

fn call(at: &str, item: &Value, broken: &mut Broken) {
    broken.fields(at, item, "type id call_id name arguments status");
    let id = item["call_id"].as_str().unwrap_or_default();
    broken.unless((1..=64).contains(&id.len()), format!("{at}: call_id must have 1 to 64 characters"));
    broken.text(at, &item["name"]);
    let arguments: Option<Value> = item["arguments"].as_str().and_then(|text| serde_json::from_str(text).ok());
    broken.unless(arguments.is_some_and(|a| a.is_object()), format!("{at}: the arguments are not a JSON object"));
}

fn output(at: &str, output: &Value, broken: &mut Broken) {
    let empty = match output {
        Value::String(text) => text.is_empty(),
        Value::Array(parts) => parts.is_empty(),
        _ => true,
    };
    broken.unless(!empty, format!("{at}: empty output"));
}

fn message(at: &str, item: &Value, kinds: &str, broken: &mut Broken) {
    broken.fields(at, item, "type role content id status phase");
    broken.unless(
        matches!(item["role"].as_str(), Some("user" | "assistant" | "system" | "developer")),
        format!("{at}: unknown role"),
    );
    let Some(parts) = item["content"].as_array() else { return broken.text(at, &item["content"]) };
    broken.unless(!parts.is_empty(), format!("{at}: empty content"));
    for part in parts {
        let kind = part["type"].as_str().unwrap_or_default();
        broken.unless(kinds.split(' ').any(|k| k == kind), format!("{at}: a part of type {kind:?} may not stand here"));
        match kind {
            "input_text" => {
                broken.fields(at, part, "type text");
                broken.text(at, &part["text"]);
            }
            "output_text" => {
                broken.fields(at, part, "type text annotations logprobs");
                broken.text(at, &part["text"]);
            }
            "refusal" => broken.fields(at, part, "type refusal"),
            "input_image" if part.get("detail").is_none() => broken.0.push(format!("{at}: an image without detail")),
            "input_image" => broken.fields(at, part, "type image_url detail file_id"),
            _ => broken.fields(at, part, "type filename file_data file_url file_id"),
        }
    }
}
