//! Every exit code that can be provoked, with what stands on the streams: a script around flux decides by the code,
//! so a wrong code makes it retry for ever, or go on without an answer.

use std::fs::{File, OpenOptions};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::json;

use crate::support::flux::Out;
use crate::support::wire::Usage;
use crate::support::{Api, End, Flux, Reply, Run, Server, ask, flux, for_each_wire};

/// One way to provoke a code.
struct Case {
    code: i32,
    name: &'static str,
    /// The most lines that may stand on stderr.
    lines: usize,
    run: fn() -> Run,
}

fn case(code: i32, name: &'static str, run: fn() -> Run) -> Case {
    Case { code, name, lines: if code == 2 || code == 78 { 3 } else { 1 }, run }
}

/// Against a server with one reply; the transcript is kept.
fn one(reply: Reply, args: &[&str]) -> Run {
    with(Api::Anthropic, vec![reply], args)
}

fn with(api: Api, replies: Vec<Reply>, args: &[&str]) -> Run {
    let server = Server::script(api, replies);
    let run = Flux::to(&server).args(["--retries", "0"]).transcript().args(args.iter().copied()).run();
    let result = run.transcript().result().clone();
    let run = run.check(true, "");
    let code = run.code;
    run.check(result["exit_code"] == json!(code), "the result line should repeat the exit code")
}

/// Without any server: it must fail before a request.
fn alone(args: &[&str]) -> Run {
    ask().key(Api::Anthropic).args(args.iter().copied()).run()
}

fn error(status: u16, kind: &str) -> Run {
    one(Api::Anthropic.error(status, kind, "no"), &["p"])
}

/// A turn that asks for a tool and costs 10,000 tokens.
fn tool_call(api: Api, n: usize) -> Reply {
    api.turn("", &[(&api.id(n), "list_files", json!({}))], Usage { input: 9_900, cache_read: 0, output: 100 })
}

/// Against a model that always asks for a tool.
fn limit(args: &[&str]) -> Run {
    let mut n = 0;
    let server = Server::of(Api::Chat).answer(move |_| {
        n += 1;
        tool_call(Api::Chat, n)
    });
    let run = Flux::to(&server).args(["--retries", "0"]).transcript().args(args.iter().copied()).run();
    assert!(server.requests().len() <= 2, "{}", server.log().dump());
    let result = run.transcript().result().clone();
    run.check(result["status"] == "limit" && result["exit_code"] == 80, "the result line should say which end it was")
}

fn cases() -> Vec<Case> {
    vec![
        case(2, "no prompt", || alone(&[])),
        case(2, "unknown flag", || alone(&["--nonsense", "p"])),
        case(2, "flag without value", || alone(&["p", "-m"])),
        case(2, "unknown command", || flux().args(["explain", "this"]).run()),
        case(2, "key on the command line", || alone(&["--api-key", "sk-x", "p"])),
        case(65, "binary input", || alone(&["-f", "/bin/sh", "p"])),
        case(65, "above --max-input", || {
            ask().key(Api::Anthropic).args(["--max-input", "1k", "p"]).stdin([b'a'; 2000]).run()
        }),
        case(65, "413", || error(413, "request_too_large")),
        case(65, "prompt is too long", || one(Api::Anthropic.too_long(300_000, 200_000), &["p"])),
        case(66, "missing file", || alone(&["-f", "nowhere.txt", "p"])),
        case(66, "directory", || alone(&["-f", "/usr", "p"])),
        case(66, "missing system file", || alone(&["--system-file", "nowhere.txt", "p"])),
        case(66, "empty stdin", || ask().key(Api::Anthropic).arg("p").stdin("").run()),
        case(69, "400", || error(400, "invalid_request_error")),
        case(69, "404", || error(404, "not_found_error")),
        case(69, "422", || error(422, "invalid_request_error")),
        case(69, "418", || error(418, "teapot")),
        case(73, "transcript in no directory", || alone(&["--transcript", "no/where.jsonl", "p"])),
        case(73, "transcript is a directory", || alone(&["--transcript", ".", "p"])),
        case(73, "output in no directory", || alone(&["-o", "no/where.txt", "p"])),
        case(75, "nobody listens", || {
            ask()
                .key(Api::Anthropic)
                .args(["--base-url", "http://127.0.0.1:1", "--wire", "anthropic", "-m", "m", "--retries", "0", "p"])
                .run()
        }),
        case(75, "429", || error(429, "rate_limit_error")),
        case(75, "529", || error(529, "overloaded_error")),
        case(75, "500", || error(500, "api_error")),
        case(75, "408", || error(408, "timeout_error")),
        case(75, "425", || error(425, "too_early")),
        case(75, "truncated", || one(Api::Anthropic.text("half").cut_after("text_delta"), &["p"])),
        case(75, "stalled", || {
            one(Api::Anthropic.text("x").end(End::Stall).cut_after("ping"), &["--idle-timeout", "1s", "p"])
        }),
        case(75, "200 without a byte", || one(Reply::sse(""), &["p"])),
        case(76, "not HTTP", || one(Reply::raw("SSH-2.0-OpenSSH_9.2\r\n"), &["p"])),
        case(76, "redirect", || {
            one(Reply::new(302, "text/plain", "").header("location", "http://127.0.0.1:9/"), &["p"])
        }),
        case(76, "HTML", || one(Reply::new(200, "text/html", "<html><title>Log in</title></html>"), &["p"])),
        case(77, "401", || error(401, "authentication_error")),
        case(77, "402", || error(402, "billing_error")),
        case(77, "403", || error(403, "permission_error")),
        case(77, "429 insufficient_quota", || {
            with(Api::Responses, vec![Api::Responses.error(429, "insufficient_quota", "no money")], &["p"])
        }),
        case(78, "no key", || ask().args(["-m", "anthropic", "p"]).run()),
        case(78, "bad config", || ask().config("--no-such-flag\n").arg("p").run()),
        case(78, "bad value in the environment", || ask().env("FLUX_RETRIES", "many").arg("p").run()),
        case(80, "--max-turns", || limit(&["--max-turns", "1", "p"])),
        case(80, "--max-tool-calls", || limit(&["--max-tool-calls", "1", "p"])),
        case(80, "--max-run-tokens", || limit(&["--max-run-tokens", "9000", "p"])),
        case(80, "--max-cost", over_the_cost_limit),
        case(80, "cut at the output limit", || one(Api::Anthropic.cut("half", None), &["p"])),
        case(82, "refusal", || one(Api::Anthropic.refusal(""), &["p"])),
        case(82, "nothing at all", || one(Api::Anthropic.text(""), &["p"])),
        case(124, "--timeout", || one(Reply::sse("").end(End::Stall), &["--timeout", "1s", "p"])),
        case(124, "--stdin-timeout", || {
            ask().key(Api::Anthropic).args(["--stdin-timeout", "1s", "p"]).stdin_pipe_open().run()
        }),
    ]
}

/// A loopback server costs nothing, so the priced one stands behind a proxy.
fn over_the_cost_limit() -> Run {
    let proxy = Server::of(Api::Anthropic)
        .unused_allowed()
        .script([tool_call(Api::Anthropic, 1), tool_call(Api::Anthropic, 2)]);
    ask()
        .log(&proxy)
        .key(Api::Anthropic)
        .env("ANTHROPIC_BASE_URL", "http://priced.test")
        .env("HTTP_PROXY", proxy.origin())
        .env("http_proxy", proxy.origin())
        .args(["--allow-http", "-m", "anthropic/claude-sonnet-5-5", "--max-cost", "0.00001", "--retries", "0", "p"])
        .run()
}

#[test]
fn every_reachable_exit_code_is_what_the_table_says_with_one_line_on_stderr() {
    let mut failures = Vec::new();
    for case in cases() {
        let check = || drop((case.run)().failure(case.code, case.lines));
        if let Err(panic) = std::panic::catch_unwind(check) {
            let text = panic.downcast_ref::<String>().cloned().unwrap_or_default();
            failures.push(format!("{} ({}): {text}", case.name, case.code));
        }
    }
    assert!(failures.is_empty(), "{} cases\n{}", failures.len(), failures.join("\n========\n"));
}

#[test]
fn help_prints_the_table_of_exit_codes() {
    let run = flux().args(["help", "exit-codes"]).run().code(0).stderr("");
    let text = run.out();
    let codes = [0, 1, 2, 65, 66, 69, 70, 71, 73, 74, 75, 76, 77, 78, 80, 82, 83, 84, 85, 124, 129, 130, 141, 143];
    let words: Vec<&str> = text.split(|c: char| !c.is_ascii_digit()).collect();
    let missing: Vec<_> = codes.iter().filter(|code| !words.contains(&code.to_string().as_str())).collect();
    let _ = run.check(missing.is_empty(), &format!("{missing:?} are missing"));
}

#[test]
fn exit_0_has_an_answer_and_a_result_line() {
    let run = one(Api::Anthropic.text("fine"), &["p"]).code(0).stdout("fine\n").stderr("");
    assert_eq!(run.transcript().result()["status"], "ok");
}

#[test]
fn exit_80_names_the_flag_to_raise() {
    for (flag, value) in [("--max-turns", "1"), ("--max-tool-calls", "1"), ("--max-run-tokens", "9000")] {
        let _ = limit(&[flag, value, "p"]).failure(80, 1).stderr_has(flag);
    }
    let _ = one(Api::Anthropic.cut("half", None), &["p"]).failure(80, 1).stderr_has("--max-tokens");
}

#[test]
fn exit_74_when_the_answer_cannot_be_written() {
    let server = Server::script(Api::Anthropic, [Api::Anthropic.text("fine")]);
    let full = Arc::new(OpenOptions::new().write(true).open("/dev/full").expect("/dev/full"));
    let run = Flux::to(&server).transcript().arg("p").stdout_to(Out::Given(full)).run();
    let run = run.failure(74, 1).stderr_has("No space left");
    assert_eq!(run.transcript().result()["exit_code"], 74);
}

#[test]
fn exit_74_for_a_closed_stdout_before_any_request_is_paid() {
    let server = Server::script(Api::Anthropic, []);
    let _ = Flux::to(&server).arg("p").stdout_to(Out::Closed).run().failure(74, 1);
    assert_eq!(server.connections(), 0);
}

#[test]
fn signals_kill_flux_by_that_signal_with_a_result_line() {
    for (signal, number) in [(Signal::INT, 2), (Signal::TERM, 15), (Signal::HUP, 1)] {
        let server = Server::script(Api::Anthropic, [Reply::sse("").end(End::Stall)]);
        let run = Flux::to(&server).transcript().arg("p").start();
        server.log().wait_for_requests(1);
        run.signal(signal);
        let run = run.wait().signal(number).stdout("");
        let result = run.transcript().result().clone();
        assert_eq!((&result["exit_code"], &result["status"]), (&json!(128 + number), &json!("aborted")));
        let _ = run.check(true, "");
    }
}

#[test]
fn reader_gone_from_the_start_means_a_silent_death_by_sigpipe() {
    let server = Server::of(Api::Anthropic).unused_allowed().script([Api::Anthropic.text("fine")]);
    let _ = Flux::to(&server).arg("p").stdout_to(Out::Gone).run().signal(13).stderr("");
}

#[test]
fn reader_gone_between_turns_stops_the_paying() {
    for_each_wire(|api| {
        let replies = [1, 2].map(|n| tool_call(api, n).delay(Duration::from_millis(300)));
        let server = Server::of(api).unused_allowed().script(replies);
        let (ours, theirs) = std::io::pipe().expect("a pipe");
        let theirs = Arc::new(File::from(OwnedFd::from(theirs)));
        let run = Flux::to(&server).arg("p").stdout_to(Out::Given(theirs)).start();
        server.log().wait_for_requests(1);
        drop(ours);
        let _ = run.wait().signal(13).stderr("");
        assert_eq!(server.requests().len(), 1, "{}", server.log().dump());
    });
}
