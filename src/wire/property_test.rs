//! Whatever a conversation holds, its request keeps the rules of the API: every call answered once and in place,
//! nothing empty, ids that the server takes, bytes that only grow.

use std::borrow::Cow;
use std::collections::HashSet;

use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Value, value::RawValue};

use super::testing::{head, quirks};
use super::{EchoReasoning, Quirks, RequestBody, RequestHead, ToolChoice, WIRES, Wire, encode, json};
use crate::chat::prune::{Goal, prune};
use crate::chat::{
    Arguments, Block, Conversation, Entry, Exchange, Media, Origin, Part, Sealed, StopReason, ToolCall, ToolResult,
    ToolSpec, Turn, UserMessage,
};

/// What a random block holds: kind, text, a number for choices.
type Seed = (u8, String, u8);
/// A turn (author and blocks) or a user message.
type Step = Result<(usize, bool, Vec<Seed>), Vec<Seed>>;

fn texts() -> impl Strategy<Value = String> {
    prop_oneof![Just(String::new()), Just(" \n".to_owned()), ".{1,8}", Just("\"\\\u{1}\u{1f680}".to_owned())]
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let seeds = || vec((0_u8..6, texts(), any::<u8>()), 0..6);
    let step = prop_oneof![
        3 => (0_usize..4, any::<bool>(), seeds()).prop_map(Ok),
        2 => seeds().prop_map(Err),
    ];
    vec(step, 0..10)
}

fn raw(text: String) -> Box<RawValue> {
    RawValue::from_string(text).unwrap()
}

fn user(seeds: Vec<Seed>) -> UserMessage {
    let parts = seeds.into_iter().map(|(kind, text, choice)| match kind {
        0 | 1 => Part::Media(Media {
            mime: if choice % 2 == 0 { "image/png" } else { "application/pdf" },
            name: text,
            base64: "AAAA".to_owned(),
        }),
        _ => Part::Text(text),
    });
    UserMessage { parts: parts.collect(), lines: Vec::new() }
}

/// Seals as the decoders of that wire make them.
fn seal(wire: &str, kind: &str, text: &str, id: &str) -> Option<Box<RawValue>> {
    let text = json::quoted(text);
    Some(raw(match (wire, kind) {
        ("anthropic", "text") => format!(r#"{{"type":"text","text":{text},"citations":[]}}"#),
        ("anthropic", "reasoning") => format!(r#"{{"type":"thinking","thinking":{text},"signature":"s"}}"#),
        ("openai-responses", "text") => {
            format!(r#"{{"type":"message","role":"assistant","content":[{{"type":"output_text","text":{text}}}]}}"#)
        }
        ("openai-responses", "reasoning") => {
            format!(r#"{{"type":"reasoning","summary":[],"encrypted_content":{text}}}"#)
        }
        ("openai-responses", "call") => {
            format!(
                r#"{{"type":"function_call","id":"fc","call_id":{},"name":"f","arguments":"{{}}"}}"#,
                json::quoted(id)
            )
        }
        ("openai-chat", "reasoning") => format!(r#"{{"reasoning_content":{text}}}"#),
        ("openai-chat", "call") => r#"{"extra_content":{"google":1}}"#.to_owned(),
        (_, "opaque") => r#"{"type":"web_search_call"}"#.to_owned(),
        _ => return None,
    }))
}

fn block(wire: &str, (kind, text, choice): Seed, number: &mut usize) -> Block<Exchange> {
    let sealed = |kind| Sealed { seal: seal(wire, kind, &text, "").filter(|_| choice % 2 == 0), text: text.clone() };
    match kind {
        0 => Block::Text(sealed("text")),
        1 => Block::Reasoning(sealed("reasoning")),
        2 if wire != "openai-chat" => Block::Opaque(seal(wire, "opaque", "", "").unwrap()),
        3 => Block::Text(Sealed { text, seal: None }),
        _ => {
            *number += 1;
            let prefix = [Cow::Borrowed("call_"), "functions.f:".into(), "x".repeat(70).into(), "\n".into()];
            let id = format!("{}{number}", prefix[usize::from(choice) % 4]);
            let arguments = Arguments::parse(["", "{\"a\":1}", "{\"a\":", "[]"][usize::from(choice / 4) % 4]);
            let call = ToolCall { seal: seal(wire, "call", "", &id), id, name: "f".to_owned(), arguments };
            let result = ToolResult { text, is_error: choice % 3 == 0, ..ToolResult::default() };
            Block::Tool(Exchange { call, result })
        }
    }
}

fn apply(conversation: &mut Conversation, step: Step, number: &mut usize) {
    let (author, same, seeds) = match step {
        Ok(turn) => turn,
        Err(seeds) => return conversation.push_user(user(seeds)),
    };
    let wire = WIRES[author % 3].name();
    let blocks: Vec<_> = seeds.into_iter().map(|seed| block(wire, seed, number)).collect();
    let has_calls = blocks.iter().any(|block| matches!(block, Block::Tool(_)));
    if let Some(Entry::Step { turn, .. }) = conversation.entries().last()
        && turn.tools().next().is_none()
        && turn.stop != StopReason::Pause
    {
        conversation.push_user(UserMessage::text("go on"));
    }
    conversation.push(Turn {
        blocks,
        stop: if has_calls {
            StopReason::ToolUse
        } else if author == 3 {
            StopReason::Pause
        } else {
            StopReason::End
        },
        raw_stop: None,
        refusal: None,
        usage: crate::chat::Usage::default(),
        origin: Origin { wire, provider: "p".to_owned(), model: if same { "m" } else { "other" }.to_owned() },
        response_id: None,
        response_model: None,
        warnings: Vec::new(),
        lines: Vec::new(),
    });
}

/// A text that must say something, or a list of parts of which the texts must.
fn says_something(content: &Value) -> bool {
    match content {
        Value::String(text) => !text.trim().is_empty(),
        Value::Array(parts) => {
            let blank = |part: &Value| part["text"].as_str().is_some_and(|text| text.trim().is_empty());
            // A blank text stays only where it parts two thinking blocks.
            let excused = |at: usize| at > 0 && [at - 1, at + 1].iter().all(|at| parts[*at]["type"] == "thinking");
            !parts.is_empty() && parts.iter().enumerate().all(|(at, part)| !blank(part) || excused(at))
        }
        _ => false,
    }
}

fn check_anthropic(body: &Value) {
    let messages = body["messages"].as_array().unwrap();
    assert_eq!(messages[0]["role"], "user");
    let mut ids = HashSet::new();
    let mut open: Vec<Value> = Vec::new();
    for (at, message) in messages.iter().enumerate() {
        assert!(says_something(&message["content"]), "{message}");
        let blocks: &[Value] = message["content"].as_array().map_or(&[], Vec::as_slice);
        let of_type = |kind: &'static str| blocks.iter().filter(move |block| block["type"] == kind);
        let results: Vec<_> = of_type("tool_result").map(|block| block["tool_use_id"].clone()).collect();
        assert_eq!(results, open, "{body}");
        assert!(of_type("tool_result").all(|block| says_something(&block["content"])));
        assert!(blocks.iter().take(open.len()).all(|block| block["type"] == "tool_result"), "{message}");
        open = of_type("tool_use").map(|block| block["id"].clone()).collect();
        assert!(open.is_empty() || message["role"] == "assistant");
        assert!(of_type("tool_use").all(|block| block["input"].is_object()));
        for id in &open {
            assert!(ids.insert(id.clone()), "{id} twice");
        }
        assert!(at == 0 || message["role"] == "user" || messages[at - 1]["role"] == "user", "{body}");
    }
    assert!(open.is_empty(), "{body}");
}

fn check_chat(body: &Value, quirks: Quirks) {
    let mut open = std::collections::VecDeque::new();
    let mut before = "";
    for message in body["messages"].as_array().unwrap() {
        let role = message["role"].as_str().unwrap();
        if role == "tool" {
            assert_eq!(open.pop_front().as_ref(), Some(&message["tool_call_id"]), "{body}");
        } else {
            assert!(open.is_empty(), "{body}");
        }
        let calls = message["tool_calls"].as_array().cloned().unwrap_or_default();
        assert!(
            says_something(&message["content"]) || (message["content"].is_null() && !calls.is_empty()),
            "{message}"
        );
        for call in &calls {
            let arguments = call["function"]["arguments"].as_str().unwrap();
            assert!(serde_json::from_str::<Value>(arguments).unwrap().is_object());
            open.push_back(call["id"].clone());
        }
        assert!(role != "user" || before != "tool" || !quirks.assistant_after_tools);
        assert!(
            role != "assistant"
                || quirks.echo_reasoning != EchoReasoning::Always
                || message["reasoning_content"].is_string()
                || message["content"] == "Understood."
        );
        before = role;
    }
    assert!(open.is_empty(), "{body}");
}

fn check_responses(body: &Value) {
    let mut open: Vec<Value> = Vec::new();
    let mut reasoning = false;
    for item in body["input"].as_array().unwrap() {
        let kind = item["type"].as_str().unwrap_or("message");
        match kind {
            "function_call" => {
                assert!(item["arguments"].is_string());
                open.push(item["call_id"].clone());
            }
            "function_call_output" => {
                assert_eq!(open.remove(0), item["call_id"], "{body}");
                assert!(says_something(&item["output"]));
            }
            "message" => {
                assert!(item["role"] == "assistant" || open.is_empty(), "{body}");
                // What the server itself wrote goes back as it is.
                assert!(item["type"] == "message" || says_something(&item["content"]), "{item}");
            }
            _ => {}
        }
        assert!(!reasoning || !(item["role"] == "user" || kind == "function_call_output"), "{body}");
        reasoning = kind == "reasoning";
    }
    assert!(open.is_empty() && !reasoning, "{body}");
}

fn check_ids(value: &Value, own: &HashSet<String>, allows: &dyn Fn(&str) -> bool) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| check_ids(item, own, allows)),
        Value::Object(members) => {
            for (name, value) in members {
                if let ("tool_use_id" | "tool_call_id" | "call_id", Some(id)) = (name.as_str(), value.as_str()) {
                    assert!(own.contains(id) || allows(id), "{id}");
                }
                check_ids(value, own, allows);
            }
        }
        _ => {}
    }
}

/// The ids that this wire's own server made, which it gets back as they are.
fn own_ids(wire: &dyn Wire, conversation: &Conversation) -> HashSet<String> {
    let turns = conversation.entries().iter().filter_map(|entry| match entry {
        Entry::Step { turn, .. } => Some(turn),
        Entry::User(_) => None,
    });
    let own = turns.filter(|turn| turn.origin.wire == wire.name() && turn.origin.model == "m");
    own.flat_map(|turn| turn.tools().map(|exchange| exchange.call.id.clone())).collect()
}

fn check(wire: &dyn Wire, head: &RequestHead<'_>, conversation: &Conversation) {
    let bytes = encode(wire, head, conversation);
    let body: Value = serde_json::from_slice(&bytes).unwrap();
    let word = |id: &str| id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
    let own = own_ids(wire, conversation);
    match wire.name() {
        "anthropic" => {
            check_anthropic(&body);
            check_ids(&body, &own, &word);
        }
        "openai-responses" => {
            check_responses(&body);
            check_ids(&body, &own, &|id| id.len() <= 64);
        }
        _ => {
            check_chat(&body, *head.quirks);
            let nine = head.quirks.nine_letter_ids;
            check_ids(&body, &own, &|id| if nine { id.len() == 9 && word(id) } else { id.len() <= 40 });
        }
    }
}

fn tools() -> Vec<ToolSpec> {
    let schema = r#"{"type":"object","properties":{}}"#.into();
    vec![ToolSpec { name: "f".into(), description: "does".into(), schema }]
}

fn all_quirks() -> [Quirks; 2] {
    let mistral = Quirks {
        nine_letter_ids: true,
        assistant_after_tools: true,
        echo_reasoning: EchoReasoning::Always,
        anthropic_service: false,
        ..quirks()
    };
    [quirks(), mistral]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn requests_keep_the_rules(first in vec((0_u8..6, texts(), any::<u8>()), 0..4), steps in steps()) {
        let tools = tools();
        for wire in WIRES {
            for quirks in all_quirks() {
                let head = RequestHead { tools: &tools, system: "be\nterse", ..head(&quirks) };
                let (mut conversation, mut number) = (Conversation::new(user(first.clone())), 0);
                check(*wire, &head, &conversation);
                for step in steps.clone() {
                    apply(&mut conversation, step, &mut number);
                    check(*wire, &head, &conversation);
                }
            }
        }
    }

    #[test]
    fn pruned_requests_keep_the_rules(steps in steps(), budget in 300_u64..3_000) {
        let tools = tools();
        for wire in WIRES {
            for quirks in all_quirks() {
                let head = RequestHead { tools: &tools, ..head(&quirks) };
                let (mut conversation, mut number) = (Conversation::new(UserMessage::text("the task")), 0);
                for step in steps.clone() {
                    apply(&mut conversation, step, &mut number);
                    let goal = Goal { fixed: 300, budget, binds_reasoning: wire.binds_reasoning() };
                    let done = prune(&mut conversation, goal, &mut |entry| {
                        let mut bytes = Vec::new();
                        wire.entry(&head, entry, &mut bytes);
                        bytes.len() as u64
                    });
                    check(*wire, &head, &conversation);
                    let body = String::from_utf8(encode(*wire, &head, &conversation)).unwrap();
                    prop_assert!(body.contains("the task"));
                    prop_assert!(!done.changed || wire.name() != "anthropic" || !body.contains("\"signature\""));
                }
            }
        }
    }

    #[test]
    fn bodies_only_grow(steps in steps()) {
        let tools = tools();
        for wire in WIRES {
            for quirks in all_quirks() {
                let mut head = RequestHead { tools: &tools, ..head(&quirks) };
                let (mut conversation, mut number) = (Conversation::new(user(Vec::new())), 0);
                let mut body = RequestBody::default();
                let (mut settled, mut at) = (Vec::new(), 0);
                for step in steps.clone() {
                    let bytes = body.update(*wire, &head, &conversation).to_vec();
                    prop_assert!(bytes.starts_with(&settled));
                    prop_assert_eq!(&bytes, &encode(*wire, &head, &conversation));
                    let mut whole = RequestBody::default();
                    whole.update(*wire, &head, &conversation);
                    prop_assert_eq!(body.weight(), whole.weight());
                    prop_assert_eq!(body.messages(), conversation.messages());
                    settled = bytes[..body.settled()].to_vec();
                    apply(&mut conversation, step, &mut number);
                    at += 1;
                    head.tool_choice = if at % 2 == 0 { ToolChoice::Auto } else { ToolChoice::None };
                }
            }
        }
    }
}
