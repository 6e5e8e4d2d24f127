//! Reasoning that a service binds to the messages before it: behind a history that was shortened it must not go back.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash as _, Hasher as _};

use serde_json::{Value, json};

use crate::support::{Api, Flux, Reply, Request, Server};

/// A signature that is good only behind these messages.
fn signature(messages: &[Value]) -> String {
    let mut hasher = DefaultHasher::new();
    Value::from(messages).to_string().hash(&mut hasher);
    format!("sig-{:016x}", hasher.finish())
}

/// Fails where a thinking block does not stand behind the messages that it was signed for.
fn check(messages: &[Value]) -> usize {
    let mut thoughts = 0;
    for (at, message) in messages.iter().enumerate() {
        for block in message["content"].as_array().into_iter().flatten().filter(|b| b["type"] == "thinking") {
            thoughts += 1;
            assert_eq!(block["signature"], signature(&messages[..at]), "bound to another history");
        }
    }
    thoughts
}

fn thinking_turn(messages: &[Value], round: usize, tokens: usize) -> Reply {
    let events = [
        json!({"type": "message_start", "message": {"id": "msg", "type": "message", "role": "assistant", "model": "m",
            "content": [], "usage": {"input_tokens": tokens, "output_tokens": 1}}}),
        json!({"type": "content_block_start", "index": 0,
            "content_block": {"type": "thinking", "thinking": "", "signature": ""}}),
        json!({"type": "content_block_delta", "index": 0,
            "delta": {"type": "signature_delta", "signature": signature(messages)}}),
        json!({"type": "content_block_stop", "index": 0}),
        json!({"type": "content_block_start", "index": 1,
            "content_block": {"type": "tool_use", "id": format!("toolu_{round}"), "name": "read_files", "input": {}}}),
        json!({"type": "content_block_delta", "index": 1, "delta": {"type": "input_json_delta",
            "partial_json": json!({"paths": ["a.txt"], "start_line": round}).to_string()}}),
        json!({"type": "content_block_stop", "index": 1}),
        json!({"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 9}}),
        json!({"type": "message_stop"}),
    ];
    let event = |data: &Value| format!("event: {}\ndata: {data}\n\n", data["type"].as_str().unwrap_or_default());
    Reply::sse(events.iter().map(event).collect::<String>())
}

#[test]
fn reasoning_bound_to_a_pruned_history_is_not_sent_back() {
    let api = Api::Anthropic;
    let (mut round, mut most) = (0, 0);
    let server = Server::of(api).answer(move |request: &Request| {
        let messages = api.messages(&request.json);
        let thoughts = check(&messages);
        most = most.max(thoughts);
        round += 1;
        if round < 40 {
            return thinking_turn(&messages, round, request.body.len() / 4);
        }
        assert!(most > 1, "thinking goes back as long as nothing is pruned");
        api.text("done")
    });
    let lines = (0..60).map(|n| format!("{n} words and more words\n")).collect::<String>();
    let flux = Flux::to(&server).args(["--max-context", "8000", "the task"]).file("a.txt", lines).transcript();
    let transcript = flux.run().code(0).stdout("done\n").transcript();
    let prunes = transcript.custom("flux.prune");
    assert!(prunes.len() > 1 && prunes.iter().any(|prune| prune["reasoning_removed"] == true), "{prunes:?}");
}

/// A server that wants every thought behind the messages it was signed for, and has these thoughts before it answers.
fn thinker(rounds: usize) -> Server {
    let mut round = 0;
    Server::of(Api::Anthropic).answer(move |request: &Request| {
        let messages = Api::Anthropic.messages(&request.json);
        check(&messages);
        round += 1;
        if round <= rounds {
            return thinking_turn(&messages, round, request.body.len() / 4);
        }
        Api::Anthropic.text("done")
    })
}

fn session(server: &Server, flux: &Flux, args: &[&str]) -> Request {
    let _ = flux.clone().server(server).args(["-c", "talk.jsonl"]).args(args.to_vec()).run().code(0);
    server.requests().pop().expect("a request")
}

#[test]
fn reasoning_does_not_go_back_behind_what_another_wire_has_pruned() {
    let lines = (0..200).map(|n| format!("{n} words and more words\n")).collect::<String>();
    let flux = crate::support::ask().file("a.txt", lines);
    session(&thinker(4), &flux, &["q1"]);
    for api in [Api::Chat, Api::Responses] {
        let other = Server::script(api, [api.text("other")]);
        session(&other, &flux, &["-m", "other", "--max-context", "6000", "q2"]);
    }
    assert!(std::fs::read_to_string(flux.here("talk.jsonl")).expect("the session").contains("\"flux.prune\""));
    let request = session(&thinker(2), &flux, &["q3"]);
    assert_eq!(check(&Api::Anthropic.messages(&request.json)), 2, "what was thought since goes back");
    let request = session(&thinker(1), &flux, &["q4"]);
    assert_eq!(check(&Api::Anthropic.messages(&request.json)), 3, "in a later run too");
}

#[test]
fn reasoning_does_not_go_back_behind_a_system_prompt_that_has_changed_in_between() {
    let flux = crate::support::ask().file("a.txt", "words\n".repeat(20));
    session(&thinker(2), &flux, &["q1"]);
    session(&thinker(2), &flux, &["-s", "Be brief.", "q2"]);
    let request = session(&thinker(1), &flux, &["-s", "Be brief.", "q3"]);
    assert_eq!(check(&Api::Anthropic.messages(&request.json)), 3, "that of the same head goes back");
}
