//! Runs the scripted replies of `tests/fixtures/scenarios.jsonl` through [`ReplyReader`] at several read sizes.

use std::collections::BTreeSet;

use base64::Engine;
use serde_json::{Value, json};

use super::testing::{head, quirks};
use super::{ApiError, Delta, End, Ended, ErrorClass, Flow, ReplyHead, ReplyReader, Wire, encode, named};
use crate::chat::{Arguments, Block, Conversation, Reply, StopReason, ToolCall, ToolResult, UserMessage};

const SCENARIOS: &str = include_str!("../../tests/fixtures/scenarios.jsonl");

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_default()
}

fn body(scenario: &Value) -> Vec<u8> {
    let body = text(scenario, "body");
    if scenario["body_encoding"] == "base64" {
        base64::engine::general_purpose::STANDARD.decode(body).unwrap()
    } else {
        body.as_bytes().to_vec()
    }
}

fn end(scenario: &Value) -> End {
    match scenario["transport"]["end"].as_str() {
        Some("reset") => End::Failed(ApiError::new(ErrorClass::Truncated, "connection reset")),
        Some("stall") => End::Failed(ApiError::new(ErrorClass::Timeout, "nothing came")),
        _ => End::Eof,
    }
}

fn run(wire: &dyn Wire, scenario: &Value, size: usize) -> (Ended, String) {
    let headers = scenario["headers"].as_object().unwrap();
    let headers = headers.iter().map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned())).collect();
    let status = u16::try_from(scenario["http_status"].as_u64().unwrap()).unwrap();
    let quirks = quirks();
    let mut reader = ReplyReader::new(wire.decoder(&head(&quirks)), ReplyHead { status, headers });
    let mut shown = String::new();
    let mut on = |delta: Delta<'_>| {
        if let Delta::Text(text) = delta {
            shown.push_str(text);
        }
    };
    for chunk in body(scenario).chunks(size) {
        if reader.feed(chunk, &mut on) == Flow::Done {
            break;
        }
    }
    let ended = reader.finish(end(scenario), &mut on);
    (ended, shown)
}

fn call(call: &ToolCall, expected: &Value) -> Value {
    let arguments = match &call.arguments {
        Arguments::Object(raw) => serde_json::from_str(raw.get()).unwrap(),
        Arguments::Broken { .. } => Value::Null,
    };
    let id = if expected["id"] == "*" { "*" } else { &call.id };
    json!({"id": id, "name": call.name, "arguments": arguments})
}

fn stop(stop: StopReason) -> &'static str {
    match stop {
        StopReason::End => "end",
        StopReason::ToolUse => "tool_use",
        StopReason::Length => "length",
        StopReason::StopSequence => "stop_sequence",
        StopReason::Refusal => "refusal",
        StopReason::Pause => "pause",
        StopReason::ContextFull => "context_full",
    }
}

fn usage(reply: &Reply) -> Value {
    let usage = &reply.usage;
    let counts = [
        ("input", usage.input),
        ("cache_read", usage.cache_read),
        ("cache_write", usage.cache_write),
        ("output", usage.output),
        ("reasoning", usage.reasoning),
    ];
    counts.into_iter().filter_map(|(name, count)| Some((name.to_owned(), json!(count?)))).collect()
}

/// The assistant's part of the next request.
fn replay(wire: &dyn Wire, reply: Reply) -> Value {
    let quirks = quirks();
    let head = head(&quirks);
    let mut conversation = Conversation::new(UserMessage::text("hi"));
    let results = reply.tools().map(|_| ToolResult::ok("done")).collect();
    conversation.push(reply.resolve(results));
    let body: Value = serde_json::from_slice(&encode(wire, &head, &conversation)).unwrap();
    match wire.name() {
        "openai-responses" => {
            let items = body["input"].as_array().unwrap().iter().skip(1);
            items.filter(|item| item["type"] != "function_call_output").cloned().collect()
        }
        "anthropic" => body["messages"][1]["content"].clone(),
        _ => body["messages"][1].clone(),
    }
}

fn check_error(name: &str, error: &ApiError, expect: &Value, shown: &str) {
    let expected = &expect["error"];
    assert_eq!(error.class.word(), text(expected, "class"), "{name}: {error:?}");
    if let Some(code) = expected["code"].as_str() {
        assert_eq!(error.code.as_deref(), Some(code), "{name}: {error:?}");
    }
    let part = text(expected, "message_contains");
    assert!(error.message.contains(part) && !error.message.contains('\n'), "{name}: {error:?}");
    assert!(!error.message.is_empty(), "{name}");
    let retryable = error.retryable && shown.is_empty();
    assert_eq!(retryable, expect["retryable"].as_bool().unwrap(), "{name}: {error:?}");
    let wait = error.retry_after.map(|wait| wait.as_secs_f64());
    if expect["retry_after_s"].is_number() || !error.message.contains("try again in") {
        assert_eq!(wait, expect["retry_after_s"].as_f64(), "{name}");
    }
}

fn check_replay(name: &str, wire: &dyn Wire, reply: Reply, expected: &Value) {
    let replayed = replay(wire, reply);
    if wire.name() != "openai-chat" {
        assert_eq!(&replayed, expected, "{name}");
        return;
    }
    for (field, value) in expected.as_object().unwrap() {
        if field == "extra_content" {
            let calls = replayed["tool_calls"].as_array().unwrap();
            let seen: Vec<_> = calls.iter().map(|call| call["extra_content"].clone()).collect();
            assert_eq!(&json!(seen), value, "{name}: {replayed}");
        } else {
            assert_eq!(&replayed[field], value, "{name}: {replayed}");
        }
    }
}

fn check(scenario: &Value, size: usize) {
    let name = format!("{} at {size}", text(scenario, "name"));
    let expect = &scenario["expect"];
    let wire = named(text(scenario, "wire")).unwrap();
    let (ended, shown) = run(wire, scenario, size);
    if scenario["optional"] == true && ended.error.as_ref().is_some_and(|e| e.class == ErrorClass::Protocol) {
        return;
    }
    let reply = ended.reply;
    assert_eq!(reply.text(), text(expect, "text"), "{name}: {:?}", ended.error);
    assert_eq!(shown, text(expect, "text"), "{name}");
    match (&ended.error, expect["error"].is_null()) {
        (Some(error), false) => check_error(&name, error, expect, &shown),
        (None, true) => assert_eq!(stop(reply.stop), text(expect, "stop"), "{name}"),
        (error, _) => panic!("{name}: {error:?} {reply:?}"),
    }
    let expected_calls = expect["tool_calls"].as_array().unwrap();
    assert_eq!(reply.tools().count(), expected_calls.len(), "{name}");
    for (seen, expected) in reply.tools().zip(expected_calls) {
        assert_eq!(&call(seen, expected), expected, "{name}");
    }
    assert_eq!(json!(reply.raw_stop), expect["raw_stop"], "{name}");
    assert_eq!(usage(&reply), expect["usage"], "{name}");
    let warnings: BTreeSet<_> = reply.warnings.iter().map(|warning| warning.word()).collect();
    let expected: BTreeSet<_> = expect["warnings"].as_array().unwrap().iter().map(|w| w.as_str().unwrap()).collect();
    assert_eq!(warnings, expected, "{name}");
    let runs = ended.error.is_none() && reply.stop == StopReason::ToolUse;
    assert_eq!(runs, expect["run_tools"] == true, "{name}");
    check_extras(&name, wire, reply, expect);
}

fn check_extras(name: &str, wire: &dyn Wire, reply: Reply, expect: &Value) {
    if let Some(reasoning) = expect["reasoning"].as_str() {
        let seen: String = reply
            .blocks
            .iter()
            .filter_map(|b| if let Block::Reasoning(r) = b { Some(&*r.text) } else { None })
            .collect();
        assert_eq!(seen, reasoning, "{name}");
    }
    if let Some(refusal) = expect["refusal"].as_str() {
        assert_eq!(reply.refusal.as_deref(), Some(refusal), "{name}");
    }
    if let Some(model) = expect["model"].as_str() {
        assert_eq!(reply.response_model.as_deref(), Some(model), "{name}");
    }
    if !expect["replay"].is_null() {
        check_replay(name, wire, reply, &expect["replay"]);
    }
}

#[test]
fn all_scenarios() {
    let mut failed = Vec::new();
    let mut count = 0;
    for line in SCENARIOS.lines() {
        let scenario: Value = serde_json::from_str(line).unwrap();
        count += 1;
        for size in [usize::MAX, 1, 7, 64] {
            if std::panic::catch_unwind(|| check(&scenario, size)).is_err() {
                failed.push(format!("{} at {size}", text(&scenario, "name")));
            }
        }
    }
    assert_eq!(count, 144);
    assert!(failed.is_empty(), "{failed:#?}");
}
