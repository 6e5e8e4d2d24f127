//! Replies that the scripted scenarios leave out: thinking in all its forms, large streams, garbage.

use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::testing::{head, quirks};
use super::{Delta, EchoReasoning, End, Ended, ErrorClass, Flow, Quirks, ReplyHead, ReplyReader, WIRES, encode, named};
use crate::chat::{Arguments, Block, Conversation, StopReason, ToolResult, UserMessage, Warning};

fn sse() -> ReplyHead {
    reply_head(200, &[("content-type", "text/event-stream")])
}

fn reply_head(status: u16, headers: &[(&str, &str)]) -> ReplyHead {
    let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    ReplyHead { status, headers }
}

/// Reads a body; also returns the text and the thinking that were shown.
fn read(wire: &str, head_: ReplyHead, body: &str) -> (Ended, String, String) {
    let quirks = quirks();
    let mut reader = ReplyReader::new(named(wire).unwrap().decoder(&head(&quirks)), head_);
    let (mut text, mut thought) = (String::new(), String::new());
    let mut on = |delta: Delta<'_>| match delta {
        Delta::Text(piece) => text.push_str(piece),
        Delta::Reasoning(piece) => thought.push_str(piece),
    };
    let _ = reader.feed(body.as_bytes(), &mut on);
    let ended = reader.finish(End::Eof, &mut on);
    (ended, text, thought)
}

#[test]
fn what_is_kept_twice_counts_twice_and_is_not_called_text() {
    let thought = "x".repeat(7 << 20);
    let (ended, ..) = chat(&[json!({"reasoning_content": thought})], "stop");
    let error = ended.error.unwrap();
    assert_eq!(error.message, "the reply takes more than 12 MiB of memory");
    let (ended, ..) = chat(&[json!({"content": thought})], "stop");
    assert!(ended.error.is_none());
}

fn event(data: &Value) -> String {
    format!("data: {data}\n\n")
}

fn chat(deltas: &[Value], finish: &str) -> (Ended, String, String) {
    let mut body = String::new();
    for delta in deltas {
        body.push_str(&event(&json!({"id": "r", "choices": [{"delta": delta}]})));
    }
    body.push_str(&event(&json!({"choices": [{"delta": {}, "finish_reason": finish}]})));
    body.push_str("data: [DONE]\n\n");
    read("openai-chat", sse(), &body)
}

/// The assistant's message in the next request.
fn replayed(ended: Ended, echo: EchoReasoning) -> Value {
    let quirks = Quirks { echo_reasoning: echo, ..quirks() };
    let mut conversation = Conversation::new(UserMessage::text("hi"));
    let results = ended.reply.tools().map(|_| ToolResult::ok("done")).collect();
    conversation.push(ended.reply.resolve(results));
    let body = encode(named("openai-chat").unwrap(), &head(&quirks), &conversation);
    serde_json::from_slice::<Value>(&body).unwrap()["messages"][1].clone()
}

#[test]
fn reasoning_content_goes_back_where_it_is_wanted() {
    let deltas = [
        json!({"content": "", "reasoning_content": "a"}),
        json!({"reasoning_content": "b", "reasoning": "b"}),
        json!({"content": "c", "reasoning_content": null}),
    ];
    for (echo, expected) in [
        (EchoReasoning::Nothing, Value::Null),
        (EchoReasoning::AsReceived, json!("ab")),
        (EchoReasoning::Always, json!("ab")),
    ] {
        let (ended, text, thought) = chat(&deltas, "stop");
        assert_eq!((text.as_str(), thought.as_str()), ("c", "ab"));
        assert_eq!(replayed(ended, echo)["reasoning_content"], expected);
    }
    let (ended, ..) = chat(&[json!({"content": "c"})], "stop");
    assert_eq!(replayed(ended, EchoReasoning::Always)["reasoning_content"], "");
    let (ended, _, thought) = chat(&[json!({"content": "c", "reasoning": "a"})], "stop");
    assert_eq!(thought, "a");
    assert!(replayed(ended, EchoReasoning::AsReceived)["reasoning_content"].is_null());
}

#[test]
fn reasoning_details_are_put_together() {
    let detail = |text: &str| json!({"type": "reasoning.text", "index": 0, "text": text, "signature": null});
    let deltas = [
        json!({"reasoning": "a", "reasoning_details": [detail("a")]}),
        json!({"reasoning": "b", "reasoning_details": [detail("b")]}),
        json!({"reasoning_details": [
            {"type": "reasoning.text", "index": 0, "signature": "s"},
            {"type": "reasoning.encrypted", "data": "x"},
        ]}),
        json!({"tool_calls": [{"id": "c", "index": 0, "function": {"name": "f", "arguments": "{}"}}]}),
    ];
    let (ended, _, thought) = chat(&deltas, "tool_calls");
    assert_eq!(thought, "ab");
    let expected = json!([
        {"type": "reasoning.text", "index": 0, "text": "ab", "signature": "s"},
        {"type": "reasoning.encrypted", "data": "x"},
    ]);
    assert_eq!(replayed(ended, EchoReasoning::AsReceived)["reasoning_details"], expected);
}

#[test]
fn a_thought_signature_stays_with_its_call() {
    let google = json!({"google": {"thought_signature": "S"}});
    let deltas = [
        json!({"tool_calls": [{"id": "", "function": {"name": "f", "arguments": "{\"a\":1}"}}]}),
        json!({"tool_calls": [{"extra_content": google}]}),
        json!({"tool_calls": [{"id": "", "function": {"name": "f", "arguments": "{\"a\":2}"}}]}),
    ];
    let (ended, ..) = chat(&deltas, "stop");
    assert_eq!(ended.reply.stop, StopReason::ToolUse);
    let message = replayed(ended, EchoReasoning::AsReceived);
    assert_eq!(message["content"], Value::Null);
    assert_eq!(message["tool_calls"][0]["extra_content"], google);
    assert_eq!(message["tool_calls"][1]["extra_content"], Value::Null);
    assert_ne!(message["tool_calls"][0]["id"], message["tool_calls"][1]["id"]);
}

#[test]
fn tagged_and_listed_thinking_is_not_text() {
    let (ended, text, thought) = chat(&[json!({"content": "<thi"}), json!({"content": "nk>a</think>\n\nb"})], "stop");
    assert_eq!((text.as_str(), thought.as_str()), ("b", "a"));
    assert_eq!(replayed(ended, EchoReasoning::AsReceived), json!({"role": "assistant", "content": "b"}));
    let parts =
        json!([{"type": "thinking", "thinking": [{"type": "text", "text": "a"}]}, {"type": "text", "text": "b"}]);
    let (_, text, thought) = chat(&[json!({"content": parts})], "stop");
    assert_eq!((text.as_str(), thought.as_str()), ("b", "a"));
}

#[test]
fn citations_and_callers_go_back() {
    let content = json!([
        {"type": "text", "text": "x", "citations": [{"cited_text": "y"}]},
        {"type": "thinking", "thinking": "t", "signature": "s"},
        {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"n": 1.0}, "caller": {"type": "direct"}},
    ]);
    let body = json!({"type": "message", "model": "m", "content": content, "stop_reason": "tool_use"}).to_string();
    let (ended, ..) = read("anthropic", reply_head(200, &[]), &body);
    let quirks = quirks();
    let mut conversation = Conversation::new(UserMessage::text("hi"));
    conversation.push(ended.reply.resolve(vec![ToolResult::error("x", "y")]));
    let wire = named("anthropic").unwrap();
    let next: Value = serde_json::from_slice(&encode(wire, &head(&quirks), &conversation)).unwrap();
    assert_eq!(next["messages"][1]["content"], content);
    let other = super::RequestHead { model: "another", ..head(&quirks) };
    let next: Value = serde_json::from_slice(&encode(wire, &other, &conversation)).unwrap();
    let expected =
        json!([{"type": "text", "text": "x"}, {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"n": 1.0}}]);
    assert_eq!(next["messages"][1]["content"], expected);
    assert_eq!(next["messages"][2]["content"][0]["is_error"], true);
}

#[test]
fn heads_that_are_no_reply() {
    for (status, headers) in
        [(204, &[][..]), (302, &[("location", "https://x.test/")]), (200, &[("content-encoding", "gzip")])]
    {
        let (ended, ..) = read("openai-chat", reply_head(status, headers), "data: {}\n\n");
        let error = ended.error.unwrap();
        assert_eq!((error.class, error.retryable), (ErrorClass::Protocol, false), "{status}");
    }
    let (ended, ..) = read("openai-chat", reply_head(200, &[("content-type", "text/html")]), "hello");
    assert!(!ended.error.unwrap().retryable);
    let (ended, ..) = read("anthropic", reply_head(200, &[("content-type", "application/json")]), "{\"choices\":[]}");
    assert_eq!(ended.error.unwrap().class, ErrorClass::Protocol);
}

#[test]
fn endless_error_bodies_end() {
    let quirks = quirks();
    let mut reader = ReplyReader::new(named("openai-chat").unwrap().decoder(&head(&quirks)), reply_head(503, &[]));
    let reads = (0..400).take_while(|_| reader.feed(&[b'x'; 1 << 13], &mut |_| {}) == Flow::More).count();
    assert!(reads < 130);
    assert_eq!(reader.finish(End::Eof, &mut |_| {}).error.unwrap().class, ErrorClass::Overloaded);
}

#[test]
fn documents_a_line_are_events() {
    let line = |delta: &str, finish: &str| {
        format!(r#"{{"choices":[{{"delta":{{"content":"{delta}"}},"finish_reason":{finish}}}]}}"#)
    };
    let body = format!("{}\n{}\n", line("a", "null"), line("b", "\"stop\""));
    let (ended, text, _) = read("openai-chat", reply_head(200, &[("content-type", "application/x-ndjson")]), &body);
    assert_eq!((text.as_str(), ended.error.is_none()), ("ab", true));
}

#[test]
fn deep_json_and_long_replies_fail_for_good() {
    let body = format!("data: {}{}\n\n", "{\"a\":".repeat(200), "1".to_owned() + &"}".repeat(200));
    let (ended, ..) = read("anthropic", sse(), &body);
    let error = ended.error.unwrap();
    assert_eq!((error.class, error.retryable), (ErrorClass::Protocol, false));
    let piece = "x".repeat(1 << 20);
    let deltas = vec![json!({"content": piece}); 40];
    let (ended, ..) = chat(&deltas, "stop");
    assert!(!ended.error.unwrap().retryable);
}

#[test]
fn large_streams_take_linear_time() {
    let chunk = format!(
        "data: {}\n\n",
        json!({"id": "r", "choices": [{"index": 0, "delta": {"content": "word "}, "finish_reason": null}]})
    );
    let mut body = chunk.repeat(100_000);
    body.push_str("data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n");
    let begun = crate::base::clock::now();
    let (ended, ..) = read("openai-chat", sse(), &body);
    assert_eq!(ended.reply.text().len(), 500_000);
    assert!(begun.elapsed().as_secs() < 20, "{:?}", begun.elapsed());
    let quirks = quirks();
    let mut reader = ReplyReader::new(named("openai-chat").unwrap().decoder(&head(&quirks)), sse());
    let line = format!("data: {{\"choices\":[{{\"delta\":{{\"content\":\"{}\"}}}}]}}\n\n", "x".repeat(3_000_000));
    for byte in line.as_bytes().chunks(1) {
        assert_eq!(reader.feed(byte, &mut |_| {}), Flow::More);
    }
    assert!(begun.elapsed().as_secs() < 20, "{:?}", begun.elapsed());
}

#[test]
fn a_reply_of_countless_parts_fails_before_it_takes_for_ever() {
    let item = |n: usize| match n % 3 {
        0 => ("anthropic", json!({"type": "content_block_start", "content_block": {"type": "text", "text": ""}})),
        1 => ("openai-responses", json!({"type": "response.output_item.added", "item": {"type": "message"}})),
        _ => ("openai-chat", json!({"choices": [{"delta": {"tool_calls": [{"function": {"name": "f"}}]}}]})),
    };
    for n in 0..3 {
        let (wire, mut event) = item(n);
        let mut body = String::new();
        for at in 0..20_000 {
            event["index"] = at.into();
            event["output_index"] = at.into();
            if let Some(call) = event.pointer_mut("/choices/0/delta/tool_calls/0") {
                call["id"] = format!("c{at}").into();
            }
            body.extend(["data: ", &event.to_string(), "\n\n"]);
        }
        let error = read(wire, sse(), &body).0.error.unwrap();
        assert_eq!((error.class, error.retryable), (ErrorClass::Protocol, false), "{wire}");
    }
}

#[test]
fn arguments_cut_by_the_limit_are_broken() {
    let call = json!({"tool_calls": [{"id": "c", "index": 0, "function": {"name": "f", "arguments": "{\"a\":"}}]});
    let (ended, ..) = chat(&[call], "length");
    assert!(matches!(ended.reply.tools().next().unwrap().arguments, Arguments::Broken { .. }));
    assert_eq!(ended.reply.warnings, [Warning::Length, Warning::BadArguments]);
    assert!(ended.reply.blocks.iter().all(|block| matches!(block, Block::Tool(_))));
}

/// JSON that looks like events, with anything in any place.
fn values() -> impl Strategy<Value = Value> {
    let words = prop::sample::select(vec![
        "text",
        "message_start",
        "content_block_start",
        "content_block_delta",
        "text_delta",
        "message_stop",
        "tool_use",
        "response.output_item.done",
        "response.completed",
        "response.output_text.delta",
        "function_call",
        "stop",
        "{}",
        "",
    ]);
    let leaf = prop_oneof![
        words.prop_map(Value::from),
        Just(Value::Null),
        any::<i64>().prop_map(Value::from),
        Just(json!(true))
    ];
    let names = prop::sample::select(vec![
        "type",
        "index",
        "delta",
        "content_block",
        "message",
        "usage",
        "choices",
        "tool_calls",
        "function",
        "arguments",
        "id",
        "name",
        "content",
        "response",
        "item",
        "output",
        "status",
        "text",
        "error",
        "finish_reason",
        "reasoning_details",
        "output_index",
        "input",
        "summary",
        "refusal",
        "model",
    ]);
    leaf.prop_recursive(5, 60, 8, move |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::Array),
            vec((names.clone(), inner), 0..8).prop_map(|m| m.into_iter().map(|(n, v)| (n.to_owned(), v)).collect()),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn nothing_that_a_server_sends_makes_a_panic(events in vec(values(), 0..8), failed in any::<bool>()) {
        let status = if failed { 429 } else { 200 };
        for wire in WIRES {
            let body: String = events.iter().map(event).collect();
            let _ = read(wire.name(), reply_head(status, &[]), &body);
            for event in &events {
                let (ended, ..) = read(wire.name(), reply_head(status, &[]), &event.to_string());
                prop_assert!(ended.error.is_none() || !ended.error.unwrap().message.is_empty());
            }
        }
    }
}
