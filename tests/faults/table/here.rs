//! The rows that are tried by the driver.

use std::fs::{self, File};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::time::Duration;

use rustix::process::Signal;

use super::driver::Row;
use crate::support::flux::Out;
use crate::support::reply::Framing;
use crate::support::{Api, End, Flux, Reply};

const CHAT: Api = Api::Chat;

fn done() -> Vec<Reply> {
    vec![CHAT.text("done")]
}

fn nothing() -> Vec<Reply> {
    Vec::new()
}

fn stalled() -> Vec<Reply> {
    vec![Reply::sse("").end(End::Stall)]
}

fn call(name: &str, arguments: &str) -> Vec<Reply> {
    vec![CHAT.broken_call("call_1", name, arguments), CHAT.text("done")]
}

fn status(status: u16) -> Vec<Reply> {
    vec![CHAT.error(status, "some_error", "no")]
}

fn p(flux: Flux) -> Flux {
    flux.arg("p")
}

/// With exactly these arguments in place of the server's.
fn bare(flux: Flux, args: &[&str]) -> Flux {
    flux.args(args.iter().copied())
}

fn to(out: &str) -> Out {
    Out::Given(Arc::new(File::options().write(true).open(out).expect("a device")))
}

const fn row(
    id: &'static str,
    fault: &'static str,
    replies: fn() -> Vec<Reply>,
    prepare: fn(Flux) -> Flux,
    codes: &'static [i32],
) -> Row {
    Row { id, fault, replies, prepare, codes, signal: None, input: 0 }
}

const fn killed(
    id: &'static str,
    fault: &'static str,
    replies: fn() -> Vec<Reply>,
    prepare: fn(Flux) -> Flux,
    after: u64,
    signal: Signal,
    codes: &'static [i32],
) -> Row {
    Row { id, fault, replies, prepare, codes, signal: Some((after, signal)), input: 0 }
}

pub(super) const ROWS: &[Row] = &[
    row("A1", "empty stdin and a prompt", done, |f| p(f.stdin_null()), &[0]),
    row("A2", "empty stdin and no prompt", nothing, Flux::stdin_null, &[2]),
    row("A3", "closed stdin and a prompt", done, |f| p(f.stdin_closed()), &[0]),
    row("A5", "a pipe that never closes", nothing, |f| p(f.arg("--timeout=1s").stdin_pipe_open()), &[124]),
    row("A5", "the same with --no-stdin", done, |f| p(f.arg("-n").stdin_pipe_open()), &[0]),
    Row {
        input: 64,
        ..row("A7", "a gigabyte of a", nothing, |f| p(f.becomes_reader("head -c 1G /dev/zero | tr '\\0' a")), &[65])
    },
    row("A9", "invalid UTF-8", done, |f| p(f.stdin(b"a\xff\xfeb\xc3".to_vec())), &[0]),
    row("A10", "NUL bytes", nothing, |f| p(f.stdin(b"a\0b".to_vec())), &[65]),
    row("A11", "a byte order mark", done, |f| p(f.stdin("\u{feff}text")), &[0]),
    row("A13", "carriage returns", done, |f| p(f.stdin("a\r\nb\r\n")), &[0]),
    row(
        "A15",
        "stdin is a directory",
        nothing,
        |f| {
            let dir = f.path("home");
            p(f.stdin_given(File::open(dir).expect("a directory")))
        },
        &[66],
    ),
    row("B1", "stdout on a full device", done, |f| p(f.stdout_to(to("/dev/full"))), &[74]),
    row("B2", "stdout closed", nothing, |f| p(f.stdout_to(Out::Closed)), &[74]),
    row("B3", "nobody reads stdout", done, |f| p(f.stdout_to(Out::Gone)), &[141]),
    row("B9", "nobody reads stdout nor stderr", done, |f| p(f.stdout_to(Out::Gone).stderr_to(Out::Gone)), &[141]),
    row("B9", "stderr closed", done, |f| p(f.stderr_to(Out::Closed)), &[0]),
    row("B10", "the transcript on a full device", nothing, |f| p(f.args(["--transcript", "/dev/full"])), &[74]),
    row("B11", "the transcript is a directory", nothing, |f| p(f.args(["--transcript", "."])), &[73]),
    row("B11", "the transcript's directory is missing", nothing, |f| p(f.args(["--transcript", "none/t"])), &[73]),
    row("B15", "no file may grow", done, |f| p(f.after("ulimit -f 0")), &[74]),
    row("C1", "an unknown flag", nothing, |f| p(f.arg("--no-such-flag")), &[2]),
    row("C1", "a flag without its value", nothing, |f| p(f).arg("--retries"), &[2]),
    row("C1", "flags that contradict each other", nothing, |f| p(f.args(["--no-tools", "--allow", "write"])), &[2]),
    row("C5", "a key on the command line", nothing, |f| p(f.args(["--api-key", "sk-secret"])), &[2]),
    row(
        "C6",
        "a key file that others can write",
        nothing,
        |f| {
            let f = f.file("key", "sk-of-the-file");
            fs::set_permissions(f.here("key"), fs::Permissions::from_mode(0o666)).expect("chmod");
            p(f.args(["--api-key-file", "key"]))
        },
        &[78],
    ),
    row("C7", "a config that does not parse", nothing, |f| p(f.config("--retries 'open\n")), &[78]),
    row(
        "C9",
        "a config that is a directory",
        nothing,
        |f| {
            fs::create_dir(f.path("config/flux/config")).expect("mkdir");
            p(f)
        },
        &[78],
    ),
    row(
        "C10",
        "a config that everybody can write",
        nothing,
        |f| {
            let f = f.config("--retries 1\n");
            fs::set_permissions(f.path("config/flux/config"), fs::Permissions::from_mode(0o666)).expect("chmod");
            p(f)
        },
        &[78],
    ),
    row("C14", "a file URL", nothing, |f| p(f.args(["--base-url", "file:///etc/passwd"])), &[78]),
    row("C14", "a password in the URL", nothing, |f| p(f.args(["--base-url", "http://u:p@127.0.0.1/v1"])), &[78]),
    row("C14", "plain http to another host", nothing, |f| p(f.args(["--base-url", "http://192.0.2.1/v1"])), &[78]),
    row("C14", "control characters in the host", nothing, |f| p(f.args(["--base-url", "http://a\rb/v1"])), &[78]),
    row(
        "C15",
        "a proxy that is none",
        nothing,
        |f| {
            p(f.env("HTTP_PROXY", "http://[").args([
                "--base-url",
                "http://192.0.2.1/v1",
                "--allow-http",
                "--api-key-env",
                CHAT.key_variable(),
            ]))
        },
        &[78],
    ),
    row("C17", "a missing file", nothing, |f| p(f.args(["-f", "none"])), &[66]),
    row("C17", "a directory as a file", nothing, |f| p(f.args(["-f", "."])), &[66]),
    row("C17", "a missing system file", nothing, |f| p(f.args(["--system-file", "none"])), &[66]),
    row("C18", "grants that are none", nothing, |f| p(f.args(["--allow", "write:../**"])), &[2]),
    row("C18", "an empty grant", nothing, |f| p(f.args(["--allow", ""])), &[2]),
    row("C19", "no HOME", done, |f| p(f.env_remove("HOME").env_remove("XDG_CONFIG_HOME")), &[0]),
    row("C19", "HOME is nowhere", done, |f| p(f.env("XDG_CONFIG_HOME", "/nonexistent")), &[0]),
    row(
        "C21",
        "LANG=C, no TERM, a TZ that is none",
        done,
        |f| p(f.env("LANG", "C").env("TZ", "::::").env_remove("TERM")),
        &[0],
    ),
    row("D1", "nobody listens", nothing, |f| p(bare(f, &["--base-url", "http://127.0.0.1:1/v1"])), &[75]),
    row(
        "D3",
        "no such host",
        nothing,
        |f| p(bare(f, &["--base-url", "https://no.such.host.invalid/v1", "--api-key-env", CHAT.key_variable()])),
        &[75],
    ),
    row("D7", "accepted, then nothing", stalled, |f| p(f.arg("--idle-timeout=1s")), &[75]),
    row("D9", "SSH in place of HTTP", || vec![Reply::raw("SSH-2.0-OpenSSH_9.9\r\n")], p, &[76]),
    row("D10", "closed before any byte", || vec![Reply::raw("")], p, &[75]),
    row("D10", "reset before any byte", || vec![Reply::raw("").end(End::Reset)], p, &[75]),
    row(
        "D11",
        "a stall in the stream",
        || vec![CHAT.text("half").cut_after_event("ha").end(End::Stall)],
        |f| p(f.arg("--idle-timeout=1s")),
        &[75],
    ),
    row("D13", "cut inside a chunk", || vec![CHAT.text("half").cut_after_event("ha").end(End::CutInChunk)], p, &[75]),
    row(
        "D14",
        "more promised than sent",
        || {
            vec![Reply::raw(
                "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: 100000\r\n\r\ndata: {}\n\n",
            )]
        },
        p,
        &[75, 76],
    ),
    row(
        "D15",
        "ended by the connection without an end marker",
        || vec![CHAT.text("half").cut_after_event("ha").framing(Framing::Eof)],
        p,
        &[75],
    ),
    row(
        "D17",
        "a slow reply that ends properly",
        || vec![CHAT.text("done").chunk(40).drip(Duration::from_millis(50))],
        |f| p(f.arg("--idle-timeout=1s")),
        &[0],
    ),
    row(
        "D18",
        "a slow reply without end",
        || vec![Reply::sse(": ping\n\n".repeat(2000)).chunk(9).drip(Duration::from_millis(50))],
        |f| p(f.arg("--timeout=2s")),
        &[124],
    ),
    row(
        "D19",
        "an event without end",
        || vec![Reply::sse([b"data: ".as_slice(), &vec![b'x'; 40 << 20]].concat())],
        p,
        &[76],
    ),
    row(
        "D21",
        "a header of two megabytes",
        || vec![Reply::raw(format!("HTTP/1.1 200 OK\r\nx: {}\r\n\r\n", "y".repeat(2 << 20)))],
        p,
        &[76],
    ),
    row(
        "D21",
        "five thousand headers",
        || vec![Reply::raw(format!("HTTP/1.1 200 OK\r\n{}\r\n", "a: b\r\n".repeat(5000)))],
        p,
        &[76],
    ),
    row(
        "D22",
        "two lengths",
        || vec![Reply::raw("HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 9\r\n\r\nhello")],
        p,
        &[76],
    ),
    row("D23", "a web page", || vec![Reply::new(200, "text/html", "<html><title>Log in</title></html>")], p, &[76]),
    row(
        "D25",
        "a redirect",
        || vec![Reply::new(302, "text/plain", "").header("location", "http://127.0.0.1:1/")],
        p,
        &[76],
    ),
    row("D26", "204", || vec![Reply::raw("HTTP/1.1 204 No Content\r\n\r\n")], p, &[76]),
    row("D26", "200 without a byte", || vec![Reply::sse("")], p, &[75]),
    row("D27", "400", || status(400), p, &[69]),
    row("D27", "413", || status(413), p, &[65]),
    row("D29", "503", || status(503), p, &[75]),
    row("D29", "429", || status(429), p, &[75]),
    row("D30", "418", || status(418), p, &[69]),
    row("D30", "599", || status(599), p, &[75]),
    row("D30", "999", || status(999), p, &[76]),
    row(
        "D33",
        "retry-after in the year 9999",
        || vec![CHAT.error(503, "x", "no").header("retry-after", "Fri, 31 Dec 9999 23:59:59 GMT")],
        |f| p(f.arg("--retries=4")),
        &[75],
    ),
    row(
        "D35",
        "three times 100 Continue",
        || vec![Reply { before: b"HTTP/1.1 100 Continue\r\n\r\n".repeat(3), ..CHAT.text("done") }],
        p,
        &[0],
    ),
    row(
        "D37",
        "an error in the stream",
        || vec![Reply::sse("data: {\"error\":{\"message\":\"busy\",\"code\":\"overloaded\"}}\n\n")],
        p,
        &[75],
    ),
    row(
        "D38",
        "a proxy that is down",
        nothing,
        |f| {
            p(f.env("HTTP_PROXY", "http://127.0.0.1:1").args([
                "--base-url",
                "http://192.0.2.1/v1",
                "--allow-http",
                "--api-key-env",
                CHAT.key_variable(),
            ]))
        },
        &[75],
    ),
    row("E1", "arguments that are no JSON", || call("list_files", "{\"path\":"), p, &[0]),
    row("E1", "arguments that are a list", || call("list_files", "[1]"), p, &[0]),
    row("E2", "a tool that is none", || call("../bin/sh\u{1b}[2J", "{}"), p, &[0]),
    row(
        "E3",
        "a number that is too large",
        || call("read_files", "{\"paths\":[\"a\"],\"start_line\":99999999999999999999}"),
        p,
        &[0],
    ),
    row("E7", "a deeply nested event", || vec![Reply::sse(format!("data: {}\n\n", "[".repeat(100_000)))], p, &[75, 76]),
    row(
        "E10",
        "invalid UTF-8 in an event",
        || vec![Reply::sse(b"data: {\"choices\":[{\"delta\":{\"content\":\"\xff\"}}]}\n\n".to_vec())],
        p,
        &[75, 76],
    ),
    row("E14", "cut at the output limit", || vec![CHAT.cut("half", None)], p, &[80]),
    row("E15", "a refusal", || vec![CHAT.refusal("no")], p, &[82]),
    row("F1", "a path that no file can have", || call("read_files", "{\"paths\":[\"a\\u0000b\"]}"), p, &[0]),
    row("F2", "a directory in place of a file", || call("read_files", "{\"paths\":[\".\"]}"), p, &[0]),
    Row {
        input: 8,
        ..row(
            "F6",
            "a line of ten megabytes",
            || call("read_files", "{\"paths\":[\"long\"]}"),
            |f| p(f.file("long", vec![b'x'; 10 << 20])),
            &[0],
        )
    },
    row("F35", "a pattern that explodes", || call("grep_search", "{\"pattern\":\"((a{1000}){1000}){1000}\"}"), p, &[0]),
    killed("G1", "SIGINT while reading stdin", nothing, |f| p(f.stdin_pipe_open()), 400, Signal::INT, &[130]),
    killed("G1", "SIGTERM while waiting for the reply", stalled, p, 400, Signal::TERM, &[143]),
    killed(
        "G1",
        "SIGHUP before a retry",
        || vec![CHAT.error(503, "x", "no").header("retry-after", "50")],
        |f| p(f.arg("--retries=4")),
        400,
        Signal::HUP,
        &[129],
    ),
    killed(
        "G1",
        "SIGINT while a pipe is opened",
        nothing,
        |f| {
            assert!(std::process::Command::new("mkfifo").arg(f.here("pipe")).status().expect("mkfifo").success());
            p(f.args(["-f", "pipe"]))
        },
        400,
        Signal::INT,
        &[130],
    ),
    killed(
        "G5",
        "started with a signal ignored",
        || vec![CHAT.text("done").delay(Duration::from_millis(900))],
        |f| p(f.after("trap '' HUP")),
        400,
        Signal::HUP,
        &[0],
    ),
    row("G6", "SIGPIPE ignored by the parent", done, |f| p(f.after("trap '' PIPE").stdout_to(Out::Gone)), &[74, 141]),
    killed(
        "G11",
        "SIGWINCH",
        || vec![CHAT.text("done").delay(Duration::from_millis(900))],
        p,
        400,
        Signal::WINCH,
        &[0],
    ),
    row("I1", "eight descriptors", done, |f| p(f.after("ulimit -n 8")), &[0, 71, 73, 75]),
    row("I1", "four descriptors", done, |f| p(f.after("ulimit -n 4")), &[0, 71, 73, 75, 127]),
    row("I2", "128 MiB of address space", done, |f| p(f.after("ulimit -v 131072")), &[0]),
    row("I5", "TMPDIR is nowhere", done, |f| p(f.env("TMPDIR", "/nonexistent")), &[0]),
    row("I5", "TMPDIR is relative", done, |f| p(f.env("TMPDIR", "none")), &[0]),
    row(
        "H6",
        "the state directory cannot be written",
        done,
        |f| {
            fs::set_permissions(f.path("run"), fs::Permissions::from_mode(0o500)).expect("chmod");
            p(f.args(["--rpm", "600"]))
        },
        &[0],
    ),
    row(
        "H6",
        "the state directory is a file",
        done,
        |f| {
            fs::write(f.path("run/flux"), "").expect("a file");
            p(f.args(["--rpm", "600"]))
        },
        &[0],
    ),
];

impl Flux {
    /// stdin is what this command writes.
    fn becomes_reader(self, command: &str) -> Flux {
        let mut writer = std::process::Command::new("sh");
        let (ours, theirs) = std::io::pipe().expect("a pipe");
        let child =
            writer.args(["-c", command]).stdout(OwnedFd::from(theirs)).stderr(std::process::Stdio::null()).spawn();
        let mut child = child.expect("a writer");
        std::thread::spawn(move || child.wait());
        self.stdin_given(File::from(OwnedFd::from(ours)))
    }
}
