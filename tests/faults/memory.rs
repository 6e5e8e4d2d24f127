//! Replies that never end: however they are made, they fail before memory does.

use std::io::Read as _;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use serde_json::{Value, json};

use super::table::driver::{MEMORY, watch};
use crate::support::flux::Out;
use crate::support::{Api, Flux, Reply, Server, for_each_wire};

/// More than any limit.
const MUCH: usize = 48 << 20;
/// What one event carries.
const PIECE: usize = 60_000;

/// A stream that begins as this wire's do and repeats a piece of this kind.
fn endless(api: Api, kind: &str) -> Reply {
    let piece = "y".repeat(PIECE);
    let (open, delta) = match (api, kind) {
        (Api::Anthropic, "text") => (json!({"type": "text", "text": ""}), json!({"type": "text_delta", "text": piece})),
        (Api::Anthropic, _) => {
            (json!({"type": "thinking", "thinking": ""}), json!({"type": "thinking_delta", "thinking": piece}))
        }
        (Api::Responses, "text") => (Value::Null, json!({"type": "response.output_text.delta", "delta": piece})),
        (Api::Responses, _) => (Value::Null, json!({"type": "response.reasoning_summary_text.delta", "delta": piece})),
        (Api::Chat, "text") => (Value::Null, json!({"content": piece})),
        (Api::Chat, _) => (Value::Null, json!({"reasoning_content": piece})),
    };
    let event = |data: Value| format!("data: {data}\n\n");
    let (begin, repeated) = match api {
        Api::Anthropic => {
            let begin = event(json!({"type": "content_block_start", "index": 0, "content_block": open}));
            (begin, event(json!({"type": "content_block_delta", "index": 0, "delta": delta})))
        }
        Api::Responses => (String::new(), event(delta)),
        Api::Chat => (String::new(), event(json!({"choices": [{"index": 0, "delta": delta}]}))),
    };
    Reply::sse(begin + &repeated.repeat(MUCH / PIECE))
}

/// A JSON document that does not come to its end.
fn document() -> Reply {
    let mut body = br#"{"id": "x", "content": [{"type": "text", "text": ""#.to_vec();
    body.resize(MUCH, b'x');
    Reply::new(200, "application/json", body)
}

#[track_caller]
fn fails_small(api: Api, reply: Reply, args: &[&str]) {
    let server = Server::script(api, [reply]);
    let (mut reader, out) = std::io::pipe().expect("a pipe");
    let drain = std::thread::spawn(move || reader.read_to_end(&mut Vec::new()));
    let out = Out::Given(Arc::new(std::fs::File::from(OwnedFd::from(out))));
    let flux = Flux::to(&server).args(["--retries", "0"]).args(args.iter().copied()).arg("p");
    let running = flux.stdout_to(out).start();
    let peak = watch(running.pid());
    let run = running.wait().code(76);
    let peak = peak.join().expect("the watch ends with the process");
    let _ = run.check(peak <= MEMORY, &format!("{api:?} {args:?}: {} MiB", peak >> 20));
    drop(drain);
}

#[test]
fn a_reply_without_end_fails_before_memory_does() {
    for_each_wire(|api| {
        for args in [&[][..], &["--stream"], &["--json"], &["--transcript", "t.jsonl"]] {
            fails_small(api, endless(api, "reasoning"), args);
            fails_small(api, endless(api, "text"), args);
        }
        fails_small(api, document(), &[]);
        fails_small(api, Reply::sse([b"data: ".as_slice(), &vec![b'x'; MUCH]].concat()), &[]);
    });
}
