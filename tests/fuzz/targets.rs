//! What is fuzzed: functions of bytes that must end, must not panic, and must keep what they promise. The fuzzer and
//! the tests run the very same functions.

use std::path::Path;
use std::sync::OnceLock;

use flux::base::text;
use flux::chat::{Arguments, ToolCall, UserMessage};
use flux::cli::config::{self, Place};
use flux::tools::{Policy, Toolbox, Workspace, reading_tools};
use flux::transcript::{Past, Reader};
use flux::wire::{
    self, Announced, End, Ended, Flow, Params, Quirks, ReplyHead, ReplyReader, RequestBody, RequestHead, ToolChoice,
};

/// A name and the function of it.
pub type Target = (&'static str, fn(&[u8]));

/// All targets.
pub const TARGETS: &[Target] = &[
    ("sse", sse),
    ("anthropic", anthropic),
    ("responses", responses),
    ("chat", chat),
    ("headers", headers),
    ("arguments", arguments),
    ("grants", grants),
    ("args_file", args_file),
    ("sanitiser", sanitiser),
    ("session", session),
];

/// The events themselves: wherever the bytes are cut, the same comes out.
pub fn sse(data: &[u8]) {
    let (size, data) = data.split_first().map_or((1, data), |(first, rest)| (usize::from(*first % 16) + 1, rest));
    let whole = read("openai-chat", "text/event-stream", data, data.len().max(1));
    let pieces = read("openai-chat", "text/event-stream", data, size);
    assert_eq!(whole.reply.text(), pieces.reply.text());
    assert_eq!(whole.error.map(|e| e.class), pieces.error.map(|e| e.class));
}

/// A stream or a document of the Anthropic wire.
pub fn anthropic(data: &[u8]) {
    decode("anthropic", data);
}

/// A stream or a document of the Responses wire.
pub fn responses(data: &[u8]) {
    decode("openai-responses", data);
}

/// A stream or a document of the Chat Completions wire.
pub fn chat(data: &[u8]) {
    decode("openai-chat", data);
}

fn decode(wire: &str, data: &[u8]) {
    let (first, data) = data.split_first().map_or((0, data), |(first, rest)| (*first, rest));
    let kind = if first % 4 == 0 { "application/json" } else { "text/event-stream" };
    let ended = read(wire, kind, data, usize::from(first / 4) + 1);
    for call in ended.reply.tools() {
        // What goes back to the server is one JSON object, whatever came.
        let replayed: serde_json::Value = serde_json::from_str(call.arguments.replay()).expect("JSON goes back");
        assert!(replayed.is_object(), "{replayed}");
    }
    if let Some(error) = ended.error {
        assert!(!error.message.contains('\n'), "one line: {:?}", error.message);
    }
}

/// The file of a session: whatever stands in it, what is sent after it is one JSON object that ends with the new
/// message.
pub fn session(data: &[u8]) {
    for wire in wire::WIRES {
        let lines = Reader::new(data).filter_map(Result::ok).collect();
        let (quirks, params) = (wire::providers::CUSTOM.quirks, Params::default());
        let head = head(&quirks, &params);
        let conversation = Past::of_lines(lines).continued(UserMessage::text("go on, please"), &head, true);
        let mut body = RequestBody::default();
        let sent = String::from_utf8(body.update(*wire, &head, &conversation).to_vec()).expect("UTF-8");
        let request: serde_json::Value = serde_json::from_str(&sent).expect("a request is JSON");
        assert!(request.is_object() && sent.matches("go on, please").count() == 1, "{sent}");
    }
}

fn head<'a>(quirks: &'a Quirks, params: &'a Params) -> RequestHead<'a> {
    RequestHead {
        format: None,
        provider: "p",
        model: "m",
        system: "",
        tools: &[],
        max_tokens: Some(1000),
        params,
        quirks,
        tool_choice: ToolChoice::Auto,
    }
}

fn read(wire: &str, kind: &str, data: &[u8], size: usize) -> Ended {
    let wire = wire::named(wire).expect("a wire");
    let quirks: Quirks = wire::providers::CUSTOM.quirks;
    let params = Params::default();
    let head = head(&quirks, &params);
    let headers = vec![("content-type".to_owned(), kind.to_owned())];
    let mut reader = ReplyReader::new(wire.decoder(&head), ReplyHead { status: 200, headers });
    for piece in data.chunks(size) {
        if reader.feed(piece, &mut |_| ()) == Flow::Done {
            return reader.finish(End::Marker, &mut |_| ());
        }
    }
    reader.finish(End::Eof, &mut |_| ())
}

/// The headers that announce limits.
pub fn headers(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let header = |line: &str| line.split_once(':').map(|(name, value)| (name.to_lowercase(), value.to_owned()));
    let mut headers: Vec<_> = text.lines().filter_map(header).collect();
    for name in ["limit", "remaining", "reset"] {
        headers.extend([("requests", 0), ("tokens", 1)].map(|(what, at)| {
            (format!("x-ratelimit-{name}-{what}"), text.lines().nth(at).unwrap_or_default().to_owned())
        }));
    }
    let announced = Announced::of(&ReplyHead { status: 429, headers });
    for budget in [announced.requests, announced.tokens].into_iter().flatten() {
        assert!(budget.limit >= 1.0 && budget.remaining >= 0.0 && budget.remaining <= budget.limit, "{budget:?}");
    }
}

/// The arguments of a tool call, for every tool that reads, in an empty directory.
pub fn arguments(data: &[u8]) {
    static TOOLBOX: OnceLock<(Toolbox, tempfile::TempDir)> = OnceLock::new();
    let (toolbox, _directory) = TOOLBOX.get_or_init(|| {
        let directory = tempfile::tempdir().expect("a directory");
        let workspace = Workspace::open(directory.path()).expect("a workspace");
        (Toolbox::new(workspace, reading_tools()), directory)
    });
    let text = String::from_utf8_lossy(data);
    for spec in toolbox.specs() {
        let arguments = Arguments::parse(&text);
        let call = ToolCall { id: "1".to_owned(), name: spec.name.to_string(), arguments, seal: None };
        let result = toolbox.call(&call, &|| false);
        assert!(result.text.len() < 1 << 20, "a result has bounds");
    }
}

/// Grants and denials, one a line.
pub fn grants(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let (allow, deny) = lines.split_at(lines.len() / 2);
    if let Ok(policy) = Policy::parse(allow, deny) {
        let _ = (policy.may_write(), policy.limits(), policy.words());
    }
}

/// A configuration file and a profile.
pub fn args_file(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    for place in [Place::Config, Place::Profile] {
        let _ = config::parse_file(Path::new("config"), &text, place);
    }
}

/// Text for a terminal: nothing in it can move the cursor, and cleaning it twice changes nothing.
pub fn sanitiser(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let shown = text::terminal(&text);
    assert!(shown.chars().all(|c| c == '\n' || c == '\t' || !c.is_control()), "{shown:?}");
    assert_eq!(text::terminal(&shown), shown);
    let line = text::line(&text);
    assert!(line.chars().all(|c| !c.is_control()), "{line:?}");
}
