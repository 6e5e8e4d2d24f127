//! What the writer writes, the reader gives back; and what a crash or a stranger leaves does no harm.

use std::fs;
use std::io::Write as _;
use std::path::Path;

use serde_json::json;
use serde_json::value::RawValue;

use super::super::entry::{Assistant, AssistantBlock, UserPart};
use super::super::{Context, Recorder, RunResult, Target, ToolCounts, UsageLine};
use super::*;
use crate::base::stop::Stopper;
use crate::chat::{
    Arguments, Block, Detail, Media, Origin, Part, Reply, Seal, Sealed, StopReason, ToolCall, ToolResult, Usage,
    UserMessage,
};
use crate::wire::{ApiError, Attempt, Cost, ErrorClass};

fn seal(text: &str) -> Seal {
    RawValue::from_string(text.to_owned()).unwrap()
}

fn call(id: &str, arguments: &str) -> ToolCall {
    ToolCall {
        id: id.into(),
        name: "read_files".into(),
        arguments: Arguments::parse(arguments),
        seal: Some(seal("\"ts\"")),
    }
}

fn reply() -> Reply {
    Reply {
        blocks: vec![
            Block::Reasoning(Sealed { text: "hm".into(), seal: Some(seal("{\"signature\":\"s\"}")) }),
            Block::Opaque(seal("{\"type\":\"redacted_thinking\"}")),
            Block::Text(Sealed { text: "Let me\nsee \u{1f600}".into(), seal: Some(seal("{\"id\":\"msg\"}")) }),
            Block::Tool(call("c1", "{\"paths\":[\"a\"],\n\"n\":1.50}")),
            Block::Tool(call("c2", "{broken")),
        ],
        stop: StopReason::ToolUse,
        raw_stop: Some("tool_use".into()),
        refusal: Some("no".into()),
        usage: Usage { input: Some(10), cache_read: Some(4), output: Some(5), reasoning: Some(2), ..Usage::default() },
        origin: Origin { wire: "anthropic", provider: "anthropic".into(), model: "m".into() },
        response_id: Some("r1".into()),
        response_model: Some("m-2".into()),
        warnings: Vec::new(),
        lines: Vec::new(),
    }
}

/// A run with a line of every kind.
fn record(recorder: &Recorder) {
    let inputs = [super::super::Input {
        kind: "file",
        path: Some("a b".into()),
        bytes: 3,
        sha256: "00".into(),
        mime: "text/plain",
    }];
    let tools = vec![json!({"name": "read_files", "description": "d", "input_schema": {"type": "object"}})];
    let (params, permissions, sandbox) = (json!({"effort": "low"}), json!({"root": "/r"}), json!(null));
    recorder.title("/here", "the prompt");
    let context = Context { system: "be short", tools, params, permissions, sandbox, inputs: &inputs };
    recorder.context(&context).unwrap();
    let media = Media { mime: "image/png", name: "x".into(), base64: "QUJD".into() };
    let parts = vec![Part::Text("a".into()), Part::Text("b".into()), Part::Media(media)];
    recorder.user(&UserMessage { parts, lines: Vec::new() }).unwrap();
    let error = ApiError::new(ErrorClass::Overloaded, "busy");
    let attempt = Attempt { turn: 1, attempt: 2, status: Some(503), error: Some(error), ..Attempt::default() };
    recorder.attempt(&attempt, "anthropic", "m", "http://x").unwrap();
    let cost = Cost { input: 0.5, output: 0.25, cache_read: 0.0, cache_write: 0.0 };
    recorder.reply(&reply(), "anthropic-messages", Some(cost), None).unwrap();
    let detail = Detail { duration_ms: 7, bytes: 9, truncated: true, exit_code: Some(-1), ..Detail::default() };
    let result = ToolResult { text: "alpha".into(), is_error: false, detail };
    recorder.tool_result(&call("c1", "{}"), &result).unwrap();
    recorder.tool_result(&call("c2", "{}"), &ToolResult::denied("not there", "--allow x".into())).unwrap();
    assert!(recorder.result(run_result(), |_| run_result()).is_none());
}

fn run_result() -> RunResult {
    RunResult {
        status: "error",
        exit_code: 75,
        stop_reason: None,
        result: String::new(),
        structured: None,
        turns: 1,
        tool_calls: ToolCounts { ok: 1, error: 0, denied: 1 },
        retries: 1,
        prunes: 0,
        duration_ms: 12,
        usage: UsageLine::new(&reply().usage, None),
        cost_usd: Some(0.75),
        error: Some(json!({"class": "overloaded", "message": "busy"})),
    }
}

fn written(runs: usize) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.jsonl");
    for _ in 0..runs {
        record(&Recorder::new(vec![open(&path)]));
    }
    fs::read(path).unwrap()
}

fn open(path: &Path) -> Target {
    let stop = Stopper::new(None).unwrap();
    Target::open(path.to_str().unwrap(), None, &stop, &mut Vec::new()).unwrap()
}

#[test]
fn a_line_that_another_run_was_killed_in_does_not_spoil_the_next() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.jsonl");
    let recorder = Recorder::new(vec![open(&path)]);
    recorder.user(&UserMessage::text("first")).unwrap();
    let mut other = fs::OpenOptions::new().append(true).open(&path).unwrap();
    other.write_all(b"{\"type\":\"mess").unwrap();
    recorder.user(&UserMessage::text("second")).unwrap();
    let text = fs::read_to_string(&path).unwrap();
    assert_eq!(text.lines().count(), 3, "{text}");
    assert!(text.lines().all(|line| serde_json::from_str::<serde_json::Value>(line).is_ok()), "{text}");
}

fn entries(bytes: &[u8]) -> Vec<Entry> {
    Reader::new(bytes).map(|line| line.unwrap().entry).collect()
}

fn faults(bytes: &[u8]) -> Vec<Fault> {
    Reader::new(bytes).filter_map(Result::err).collect()
}

#[test]
fn every_fact_that_is_written_is_read_back() {
    let entries = entries(&written(1));
    let [
        Entry::Session(header),
        Entry::Context(context),
        Entry::User(user),
        Entry::Request(request),
        Entry::Assistant(assistant),
        Entry::ToolResult(first),
        Entry::ToolResult(second),
        Entry::Result(end),
    ] = &entries[..]
    else {
        panic!("{entries:#?}")
    };
    assert_eq!(
        (&*header.cwd, &*header.name, &*header.flux.version),
        ("/here", "the prompt", env!("CARGO_PKG_VERSION"))
    );
    assert_eq!((&*context.system, &context.params["effort"]), ("be short", &json!("low")));
    assert_eq!((&*context.tools[0].name, context.tools[0].input_schema.get()), ("read_files", "{\"type\":\"object\"}"));
    assert_eq!((context.inputs[0].path.as_deref(), context.inputs[0].bytes), (Some("a b"), 3));
    let media = UserPart::Media { mime: "image/png".into(), data: "QUJD".into(), name: "x".into() };
    assert_eq!(user.parts, [UserPart::Text("ab".into()), media]);
    assert_eq!((request.turn, request.attempt, request.status), (1, 2, Some(503)));
    assert_eq!(request.error.as_ref().map(|e| (&*e.class, &*e.message)), Some(("overloaded", "busy")));
    check_assistant(assistant);
    assert_eq!((&*first.call_id, &*first.tool, &*first.text, first.is_error), ("c1", "read_files", "alpha", false));
    let details = &first.details;
    assert_eq!(
        (details.duration_ms, details.bytes, details.truncated, details.exit_code),
        (Some(7), 9, true, Some(-1))
    );
    assert_eq!((second.is_error, second.details.denied, second.details.code.as_deref()), (true, true, Some("denied")));
    assert_eq!((&*end.status, end.exit_code, end.tool_calls.denied, end.cost_usd), ("error", 75, 1, Some(0.75)));
    assert_eq!((end.usage.input, end.usage.cache_read, end.usage.total_tokens), (6, 4, 15));
    assert_eq!(end.error.as_ref().map(|e| &*e.class), Some("overloaded"));
}

fn check_assistant(turn: &Assistant) {
    assert_eq!((&*turn.api, &*turn.provider, &*turn.model), ("anthropic-messages", "anthropic", "m"));
    assert_eq!((turn.response_model.as_deref(), turn.response_id.as_deref()), (Some("m-2"), Some("r1")));
    assert_eq!((&*turn.stop_reason, turn.raw_stop_reason.as_deref()), ("toolUse", Some("tool_use")));
    assert_eq!((turn.refusal.as_deref(), turn.error_message.as_deref()), (Some("no"), None));
    let usage = turn.usage.as_ref().unwrap();
    assert_eq!((usage.reasoning, usage.cost.unwrap().total.to_string()), (Some(2), "0.75".to_owned()));
    let [
        AssistantBlock::Thinking { text: thought, signature: Some(thinking) },
        AssistantBlock::Opaque { signature: opaque },
        AssistantBlock::Text { text, signature: Some(signature) },
        AssistantBlock::Call(whole),
        AssistantBlock::Call(broken),
    ] = &turn.blocks[..]
    else {
        panic!("{:#?}", turn.blocks)
    };
    assert_eq!(
        (&**thought, &**thinking, &**opaque),
        ("hm", "{\"signature\":\"s\"}", "{\"type\":\"redacted_thinking\"}")
    );
    assert_eq!(
        (&**text, &**signature, &*turn.text()),
        ("Let me\nsee \u{1f600}", "{\"id\":\"msg\"}", "Let me\nsee \u{1f600}")
    );
    assert_eq!((&*whole.id, whole.arguments.get(), &whole.broken), ("c1", "{\"paths\":[\"a\"], \"n\":1.50}", &None));
    assert_eq!(whole.signature.as_deref(), Some("\"ts\""));
    assert_eq!((broken.arguments.get(), broken.broken.as_deref()), ("{}", Some("{broken")));
}

#[test]
fn runs_of_one_file_are_told_apart() {
    let bytes = written(2);
    let lines: Vec<Line> = Reader::new(&bytes[..]).map(Result::unwrap).collect();
    let headers = lines.iter().filter(|line| matches!(line.entry, Entry::Session(_))).count();
    let runs: std::collections::BTreeSet<&str> = lines.iter().map(|line| &*line.place.run).collect();
    assert_eq!((headers, runs.len()), (1, 2));
    let second = lines.iter().rposition(|line| matches!(line.entry, Entry::Context(_))).unwrap();
    assert_eq!((lines[second].place.seq, &lines[second].place.parent), (Some(0), &None));
    assert_eq!(lines[second + 1].place.parent.as_deref(), Some(&*lines[second].place.id));
    assert_eq!(lines.last().unwrap().number, lines.len() as u64);
}

#[test]
fn a_torn_tail_costs_that_line_alone() {
    let mut bytes = written(1);
    let whole = entries(&bytes).len();
    bytes.pop();
    assert_eq!(entries(&bytes).len(), whole, "a complete line without its line break counts");
    bytes.truncate(bytes.len() - 5);
    let read: Vec<_> = Reader::new(&bytes[..]).collect();
    assert_eq!(read.len(), whole);
    assert!(matches!(read.last(), Some(Err(Fault { kind: FaultKind::Torn, .. }))));
}

#[test]
fn damage_is_named_by_its_line_and_reading_goes_on() {
    let text = String::from_utf8(written(1)).unwrap();
    let (first, rest) = text.split_once('\n').unwrap();
    let mut bytes = format!("{first}\n{{\"type\":\n{{\"type\":\"message\",\"message\":7}}\n").into_bytes();
    bytes.extend(b"\xff\n{\"type\":\"new_thing\",\"x\":[]}\n");
    bytes.extend(rest.as_bytes());
    assert_eq!(faults(&bytes).iter().map(|fault| fault.line).collect::<Vec<_>>(), [2, 3, 4]);
    let kinds = Reader::new(&bytes[..]).filter_map(Result::ok).map(|line| line.entry);
    assert_eq!(kinds.filter(|entry| matches!(entry, Entry::Unknown(name) if name == "new_thing")).count(), 1);
    assert_eq!(Reader::new(&bytes[..]).flatten().count(), text.lines().count() + 1);
}

#[test]
fn what_is_no_transcript_is_not_read() {
    let kind = |bytes: &[u8]| {
        let mut all: Vec<_> = Reader::new(bytes).collect();
        assert_eq!(all.len(), 1, "{all:?}");
        all.remove(0).unwrap_err().kind
    };
    assert!(matches!(kind(b""), FaultKind::Empty));
    for foreign in ["{}\n{}\n", "hello\n", "{\"type\":\"session\",\"version\":3}\n", "\n", "\0\u{1}"] {
        assert!(matches!(kind(foreign.as_bytes()), FaultKind::Foreign), "{foreign:?}");
    }
    let newer = b"{\"type\":\"session\",\"schema\":\"flux-transcript/2\"}\n{}\n";
    assert!(matches!(kind(newer), FaultKind::Version(other) if other == "flux-transcript/2"));
}

#[test]
fn an_endless_line_does_not_fill_the_memory() {
    let text = String::from_utf8(written(1)).unwrap();
    let (first, rest) = text.split_once('\n').unwrap();
    let bytes = format!("{first}\n\"{}\"\n{rest}", "x".repeat(10_000));
    let mut reader = Reader { longest: 8_000, ..Reader::new(bytes.as_bytes()) };
    let read: Vec<_> = reader.by_ref().collect();
    assert_eq!(read.len(), text.lines().count() + 1);
    assert!(matches!(&read[1], Err(Fault { kind: FaultKind::TooLong, line: 2 })), "{:?}", read[1]);
    assert!(reader.line.capacity() < 20_000);
}
