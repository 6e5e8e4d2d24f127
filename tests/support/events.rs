//! Replies as the services stream them: server-sent events, byte for byte of the documented form.

use serde_json::{Value, json};

use super::wire::Usage;

type RawCall = (String, String, String);

/// One event; `named` services repeat the type in an `event:` line.
fn event(named: bool, data: &Value) -> String {
    let name = data["type"].as_str().filter(|_| named).map_or(String::new(), |t| format!("event: {t}\n"));
    format!("{name}data: {data}\n\n")
}

fn stream(named: bool, events: &[Value]) -> String {
    events.iter().map(|data| event(named, data)).collect()
}

/// Cuts a text in two at a character boundary, so that deltas are really put together.
fn halves(text: &str) -> [&str; 2] {
    let middle = text.char_indices().nth(text.chars().count() / 2).map_or(0, |(at, _)| at);
    let (a, b) = text.split_at(middle);
    [a, b]
}

/// A turn of the Anthropic Messages API.
pub fn anthropic(text: &str, calls: &[RawCall], usage: Usage, stop: Option<&str>) -> String {
    let start = json!({"type": "message_start", "message": {"id": "msg_1", "type": "message", "role": "assistant",
        "model": "claude-test", "content": [], "stop_reason": null, "stop_sequence": null,
        "usage": {"input_tokens": usage.input - usage.cache_read, "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": usage.cache_read, "output_tokens": 1}}});
    let mut events = vec![start, json!({"type": "ping"})];
    let mut index = 0;
    if !text.is_empty() {
        let deltas = halves(text).map(|part| json!({"type": "text_delta", "text": part}));
        events.extend(block(index, &json!({"type": "text", "text": ""}), &deltas));
        index += 1;
    }
    for (id, name, arguments) in calls {
        let open = json!({"type": "tool_use", "id": id, "name": name, "input": {}});
        let deltas = halves(arguments).map(|part| json!({"type": "input_json_delta", "partial_json": part}));
        events.extend(block(index, &open, &deltas));
        index += 1;
    }
    let stop = stop.unwrap_or(if calls.is_empty() { "end_turn" } else { "tool_use" });
    events.push(json!({"type": "message_delta", "delta": {"stop_reason": stop, "stop_sequence": null},
        "usage": {"output_tokens": usage.output}}));
    events.push(json!({"type": "message_stop"}));
    stream(true, &events)
}

fn block(index: usize, open: &Value, deltas: &[Value]) -> Vec<Value> {
    let mut events = vec![json!({"type": "content_block_start", "index": index, "content_block": open})];
    events.extend(deltas.iter().map(|d| json!({"type": "content_block_delta", "index": index, "delta": d})));
    events.push(json!({"type": "content_block_stop", "index": index}));
    events
}

/// A turn of the Chat Completions API.
pub fn chat(text: &str, calls: &[RawCall], usage: Usage, stop: Option<&str>) -> String {
    let chunk = |choices: Value, usage: Value| {
        json!({"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "gpt-test",
            "choices": choices, "usage": usage})
    };
    let delta = |delta: Value, finish: Value| {
        chunk(json!([{"index": 0, "delta": delta, "finish_reason": finish}]), Value::Null)
    };
    let mut chunks = vec![delta(json!({"role": "assistant", "content": ""}), Value::Null)];
    if !text.is_empty() {
        chunks.extend(halves(text).map(|part| delta(json!({"content": part}), Value::Null)));
    }
    for (index, (id, name, arguments)) in calls.iter().enumerate() {
        let open = json!({"index": index, "id": id, "type": "function", "function": {"name": name, "arguments": ""}});
        chunks.push(delta(json!({"tool_calls": [open]}), Value::Null));
        chunks.extend(halves(arguments).map(|part| {
            delta(json!({"tool_calls": [{"index": index, "function": {"arguments": part}}]}), Value::Null)
        }));
    }
    let stop = stop.unwrap_or(if calls.is_empty() { "stop" } else { "tool_calls" });
    chunks.push(delta(json!({}), json!(stop)));
    chunks.push(chunk(
        json!([]),
        json!({"prompt_tokens": usage.input, "completion_tokens": usage.output, "total_tokens": usage.input + usage.output,
            "prompt_tokens_details": {"cached_tokens": usage.cache_read}}),
    ));
    stream(false, &chunks) + "data: [DONE]\n\n"
}

/// A turn of the Responses API.
pub fn responses(text: &str, calls: &[RawCall], usage: Usage, stop: Option<&str>) -> String {
    let mut items = Vec::new();
    if !text.is_empty() {
        items.push(message(&json!({"type": "output_text", "text": text, "annotations": [], "logprobs": []})));
    }
    let cut = stop == Some("length");
    for (n, (id, name, arguments)) in calls.iter().enumerate() {
        let status = if cut && n + 1 == calls.len() { "incomplete" } else { "completed" };
        items.push(json!({"type": "function_call", "id": format!("fc_{id}"), "call_id": id, "name": name,
            "arguments": arguments, "status": status}));
    }
    responses_stream(&items, usage, cut)
}

/// A refusal of the Responses API.
pub fn responses_refusal(text: &str) -> String {
    responses_stream(&[message(&json!({"type": "refusal", "refusal": text}))], super::wire::USAGE, false)
}

fn message(part: &Value) -> Value {
    json!({"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": [part]})
}

fn responses_stream(items: &[Value], usage: Usage, cut: bool) -> String {
    let response = |status: &str, output: &[Value]| {
        json!({"id": "resp_1", "object": "response", "created_at": 1, "status": status, "model": "gpt-test",
            "error": null, "incomplete_details": if cut { json!({"reason": "max_output_tokens"}) } else { Value::Null },
            "output": output, "usage": {"input_tokens": usage.input, "output_tokens": usage.output,
                "input_tokens_details": {"cached_tokens": usage.cache_read},
                "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": usage.input + usage.output}})
    };
    let mut events = vec![json!({"type": "response.created", "response": {"id": "resp_1", "model": "gpt-test",
        "status": "in_progress", "output": []}})];
    for (index, item) in items.iter().enumerate() {
        events.extend(item_events(index, item));
    }
    let (kind, status) = if cut { ("response.incomplete", "incomplete") } else { ("response.completed", "completed") };
    events.push(json!({"type": kind, "response": response(status, items)}));
    for (number, event) in events.iter_mut().enumerate() {
        event["sequence_number"] = json!(number);
    }
    stream(true, &events)
}

fn item_events(index: usize, item: &Value) -> Vec<Value> {
    let mut open = item.clone();
    open["status"] = json!("in_progress");
    let (field, kind, text) = match item["type"].as_str() {
        Some("function_call") => ("arguments", "response.function_call_arguments", &item["arguments"]),
        _ if item["content"][0]["type"] == "refusal" => ("content", "response.refusal", &item["content"][0]["refusal"]),
        _ => ("content", "response.output_text", &item["content"][0]["text"]),
    };
    open[field] = if field == "content" { json!([]) } else { json!("") };
    let text = text.as_str().unwrap_or_default();
    let mut events = vec![json!({"type": "response.output_item.added", "output_index": index, "item": open})];
    events.extend(halves(text).map(|part| {
        json!({"type": format!("{kind}.delta"), "item_id": item["id"], "output_index": index, "content_index": 0, "delta": part})
    }));
    events.push(json!({"type": "response.output_item.done", "output_index": index, "item": item}));
    events
}
