//! Each rule of the strict server, broken once: if a rule were lost here, a fault of flux would pass unseen.

use std::time::Instant;

use serde_json::{Value, json};

use super::log::Request;
use super::strict::violations;
use super::wire::{APIS, Api};

/// A request with one tool round that breaks no rule.
fn sound(api: Api) -> Value {
    let schema = json!({"type": "object", "properties": {"a": {"type": "array", "items": {"type": "string"}}},
        "required": ["a"], "additionalProperties": false});
    match api {
        Api::Anthropic => json!({"model": "m", "max_tokens": 9, "stream": true, "system": "s",
            "tools": [{"name": "t", "description": "d", "input_schema": schema}],
            "messages": [{"role": "user", "content": "hi"},
                {"role": "assistant", "content": [{"type": "text", "text": "x"},
                    {"type": "tool_use", "id": "toolu_1", "name": "t", "input": {}},
                    {"type": "tool_use", "id": "toolu_2", "name": "t", "input": {}}]},
                {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_1", "content": "r"},
                    {"type": "tool_result", "tool_use_id": "toolu_2", "content": "r", "is_error": true}]}]}),
        Api::Responses => json!({"model": "m", "stream": true, "store": false, "instructions": "s",
            "tools": [{"type": "function", "name": "t", "description": "d", "strict": false, "parameters": schema}],
            "input": [{"role": "user", "content": "hi"},
                {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "e"},
                {"type": "function_call", "call_id": "call_1", "name": "t", "arguments": "{}"},
                {"type": "function_call", "call_id": "call_2", "name": "t", "arguments": "{}"},
                {"type": "function_call_output", "call_id": "call_1", "output": "r"},
                {"type": "function_call_output", "call_id": "call_2", "output": "r"}]}),
        Api::Chat => json!({"model": "m", "stream": true, "stream_options": {"include_usage": true},
            "tools": [{"type": "function", "function": {"name": "t", "description": "d", "parameters": schema}}],
            "messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "hi"},
                {"role": "assistant", "content": null, "tool_calls": [
                    {"id": "call_1", "type": "function", "function": {"name": "t", "arguments": "{}"}},
                    {"id": "call_2", "type": "function", "function": {"name": "t", "arguments": "{}"}}]},
                {"role": "tool", "tool_call_id": "call_1", "content": "r"},
                {"role": "tool", "tool_call_id": "call_2", "content": "r"}]}),
    }
}

fn request(api: Api, body: Value) -> Request {
    let mut headers = vec![("host", "h"), ("content-type", "application/json")];
    match api {
        Api::Anthropic => headers.extend([("x-api-key", "k"), ("anthropic-version", "2023-06-01")]),
        _ => headers.push(("authorization", "Bearer k")),
    }
    Request {
        method: "POST".into(),
        path: api.path().into(),
        authority: None,
        headers: headers.into_iter().map(|(n, v)| (n.into(), v.into())).collect(),
        body: body.to_string().into_bytes(),
        json: body,
        connection: 1,
        at: Instant::now(),
    }
}

/// Sets the value at a JSON pointer whose parent exists; null removes it.
fn set(body: &mut Value, pointer: &str, value: Value) {
    let (parent, key) = pointer.rsplit_once('/').expect("a pointer");
    let parent = body.pointer_mut(parent).unwrap_or_else(|| panic!("nothing at {pointer}"));
    match parent {
        Value::Array(list) => {
            let at: usize = key.parse().expect("an index");
            match value {
                Value::Null => drop(list.remove(at)),
                _ if at < list.len() => list[at] = value,
                _ => list.push(value),
            }
        }
        Value::Object(map) if value.is_null() => drop(map.remove(key)),
        Value::Object(map) => drop(map.insert(key.into(), value)),
        _ => panic!("nothing can be set at {pointer}"),
    }
}

/// Breaks one rule and expects a violation whose text has `word` in it.
#[track_caller]
fn breaks(api: Api, pointer: &str, value: Value, word: &str) {
    let mut body = sound(api);
    set(&mut body, pointer, value);
    let found = violations(api, &request(api, body), true);
    assert!(found.iter().any(|v| v.contains(word)), "{api:?} {pointer}: {word:?} is not in {found:?}");
}

#[test]
fn strict_server_takes_sound_requests() {
    for api in APIS {
        assert_eq!(violations(api, &request(api, sound(api)), true), Vec::<String>::new());
    }
}

#[test]
fn strict_server_knows_the_rules_that_all_wires_have() {
    for api in APIS {
        breaks(api, "/stream", json!(false), "stream");
        breaks(api, "/model", json!(""), "model");
        breaks(api, "/extra", json!(1), "unknown field");
        breaks(api, "/tools", json!([]), "tools: must not be empty");
        breaks(api, "/tools/0/extra", json!(1), "unknown field");
        let tool = sound(api)["tools"][0].clone();
        breaks(api, "/tools/1", tool, "given twice");
        let (schema, name) = match api {
            Api::Anthropic => ("/tools/0/input_schema", "/tools/0/name"),
            Api::Responses => ("/tools/0/parameters", "/tools/0/name"),
            Api::Chat => ("/tools/0/function/parameters", "/tools/0/function/name"),
        };
        breaks(api, name, json!("a b"), "bad name");
        breaks(api, &format!("{schema}/type"), json!("string"), "root must be an object");
        breaks(api, &format!("{schema}/properties/a"), json!({"type": "array"}), "array without items");
        breaks(api, &format!("{schema}/properties/a"), json!({"type": "object"}), "object without properties");
        breaks(api, &format!("{schema}/required"), json!(["zz"]), "required but not there");
    }
}

#[test]
fn strict_server_wants_the_right_headers() {
    let without = |api: Api, name: &str| {
        let mut request = request(api, sound(api));
        request.headers.retain(|(n, _)| n != name);
        violations(api, &request, true)
    };
    for api in APIS {
        assert_eq!(without(api, "content-type").len(), 1);
        assert_eq!(without(api, if api == Api::Anthropic { "x-api-key" } else { "authorization" }).len(), 1);
        assert_eq!(without(api, "host").len(), 1);
    }
    assert_eq!(without(Api::Anthropic, "anthropic-version").len(), 1);
    let mut both = request(Api::Anthropic, sound(Api::Anthropic));
    both.headers.push(("authorization".into(), "Bearer k".into()));
    assert_eq!(violations(Api::Anthropic, &both, true), ["x-api-key and authorization: both given"]);
}

#[test]
fn strict_server_wants_tools_where_there_is_a_tool_choice() {
    for api in APIS {
        let mut body = sound(api);
        set(&mut body, "/tools", Value::Null);
        set(&mut body, "/tool_choice", json!("auto"));
        let found = violations(api, &request(api, body), true);
        assert!(found.iter().any(|v| v.contains("only with tools")), "{found:?}");
    }
}

#[test]
fn strict_server_knows_anthropics_rules() {
    let api = Api::Anthropic;
    let result = |id: &str| json!({"type": "tool_result", "tool_use_id": id, "content": "r"});
    let text = json!({"type": "text", "text": "t"});
    breaks(api, "/max_tokens", Value::Null, "max_tokens");
    breaks(api, "/system", json!(" "), "empty text");
    breaks(api, "/messages", json!([]), "at least one");
    breaks(api, "/messages/0", Value::Null, "first must be the user's");
    breaks(api, "/messages/0/content", json!(""), "empty text");
    breaks(api, "/messages/0/content", json!([]), "empty content");
    breaks(api, "/messages/0/id", json!("x"), "unknown field");
    breaks(api, "/messages/2", Value::Null, "no result for");
    breaks(api, "/messages/2/content/1", Value::Null, "no result for");
    breaks(api, "/messages/2/content/2", result("toolu_2"), "a second time");
    breaks(api, "/messages/2/content/2", result("toolu_9"), "nobody called");
    breaks(api, "/messages/2/content", json!([result("toolu_2"), result("toolu_1")]), "out of call order");
    breaks(api, "/messages/2/content", json!([text, result("toolu_1"), result("toolu_2")]), "must come first");
    breaks(api, "/messages/2/content/0/content", json!(""), "empty content");
    breaks(api, "/messages/2/content/0/extra", json!(1), "unknown field");
    breaks(api, "/messages/1/content/0/text", json!(""), "empty text");
    breaks(api, "/messages/1/content/2/id", json!("toolu_1"), "not unique");
    breaks(api, "/messages/1/content/2/id", json!("a.b"), "bad id");
    breaks(api, "/messages/1/content/2/input", json!("{}"), "must be an object");
    breaks(api, "/messages/1/content/0/type", json!("sparkle"), "unknown block");
    breaks(api, "/messages/3", json!({"role": "user", "content": "more"}), "roles must alternate");
    breaks(api, "/messages/3", json!({"role": "assistant", "content": "more"}), "prefill");
    breaks(api, "/messages/0/role", json!("system"), "unknown role");
    breaks(api, "/messages/1/content/0", json!({"type": "thinking", "thinking": ""}), "empty text");
    let marked = json!({"type": "text", "text": "t", "cache_control": {"type": "ephemeral"}});
    breaks(api, "/system", json!([marked, marked, marked, marked, marked]), "5 marks");
}

#[test]
fn strict_server_knows_the_rules_of_chat_completions() {
    let api = Api::Chat;
    let result = |id: &str| json!({"role": "tool", "tool_call_id": id, "content": "r"});
    breaks(api, "/messages/1", Value::Null, "first must be the user's");
    breaks(api, "/messages/1/content", json!(""), "empty text");
    breaks(api, "/messages/1/id", json!("x"), "unknown field");
    breaks(api, "/messages/4", Value::Null, "no result for");
    breaks(api, "/messages/4", json!({"role": "user", "content": "go on"}), "no result for");
    breaks(api, "/messages/5", result("call_2"), "a second time");
    breaks(api, "/messages/5", result("call_9"), "nobody called");
    breaks(api, "/messages/3/tool_call_id", json!("call_2"), "out of call order");
    breaks(api, "/messages/3/content", json!(""), "empty content");
    breaks(api, "/messages/3/is_error", json!(true), "unknown field");
    breaks(api, "/messages/2/tool_calls", json!([]), "must not be empty");
    breaks(api, "/messages/2/tool_calls/0/function/arguments", json!("{"), "not a JSON object");
    breaks(api, "/messages/2/tool_calls/0/id", json!(""), "1 to 40");
    breaks(api, "/messages/2/tool_calls/1/id", json!("call_1"), "not unique");
    breaks(api, "/messages/2/tool_calls/0/function/name", json!("a b"), "bad name");
    breaks(api, "/messages/2/tool_calls/0/index", json!(0), "unknown field");
    breaks(api, "/messages/5", json!({"role": "assistant", "content": "x"}), "ends with the assistant's");
    breaks(api, "/messages/5", json!({"role": "system", "content": "x"}), "must come first");
    breaks(api, "/stream_options/extra", json!(1), "unknown field");
    let mut body = sound(api);
    set(&mut body, "/max_tokens", json!(1));
    set(&mut body, "/max_completion_tokens", json!(1));
    assert_eq!(violations(api, &request(api, body), true).len(), 1);
}

#[test]
fn strict_server_knows_the_rules_of_responses() {
    let api = Api::Responses;
    let output = |id: &str| json!({"type": "function_call_output", "call_id": id, "output": "r"});
    breaks(api, "/store", Value::Null, "store");
    breaks(api, "/max_output_tokens", json!(1), "at least 16");
    breaks(api, "/tools/0/strict", Value::Null, "strict");
    breaks(api, "/input/0", Value::Null, "first must be the user's");
    breaks(api, "/input/0/content", json!(""), "empty text");
    breaks(api, "/input/0/content", json!([{"type": "output_text", "text": "x"}]), "may not stand here");
    let image = json!([{"type": "input_image", "image_url": "data:image/png;base64,AAAA"}]);
    breaks(api, "/input/0/content", image, "without detail");
    breaks(api, "/input/0/name", json!("x"), "unknown field");
    breaks(api, "/input/5", Value::Null, "no result for");
    breaks(api, "/input/4", json!({"role": "user", "content": "go on"}), "no result for");
    breaks(api, "/input/6", output("call_2"), "a second time");
    breaks(api, "/input/6", output("call_9"), "nobody called");
    breaks(api, "/input/4/call_id", json!("call_2"), "out of call order");
    breaks(api, "/input/4/output", json!(""), "empty output");
    breaks(api, "/input/3/call_id", json!("call_1"), "not unique");
    breaks(api, "/input/3/arguments", json!("{"), "not a JSON object");
    breaks(api, "/input/1/encrypted_content", Value::Null, "encrypted_content");
    breaks(api, "/input/6", sound(api)["input"][1].clone(), "required following item");
    breaks(api, "/input/6", json!({"role": "assistant", "content": "x"}), "ends with the assistant's");
    breaks(api, "/input/6", json!({"type": "sparkle"}), "unknown item");
}
