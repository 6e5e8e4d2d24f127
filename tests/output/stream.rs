//! The answer on stdout: whole at the end, or streamed; the notes on stderr.

use std::io::Read;
use std::time::Duration;

use super::{answering, two_turns, untouched};
use crate::support::flux::Out;
use crate::support::wait::in_time;
use crate::support::{Api, End, Flux, Reply, Server, for_each_wire};

#[test]
fn the_answer_ends_with_exactly_one_newline() {
    for (answer, stdout) in [("a", "a\n"), ("a\n", "a\n"), ("a\n\n\n", "a\n"), ("a\n\nb", "a\n\nb\n"), ("  a", "  a\n")]
    {
        let (_server, flux) = answering(answer);
        let _ = flux.arg("p").run().code(0).stdout(stdout).stderr("");
    }
}

#[test]
fn only_the_last_turns_text_is_the_answer() {
    for_each_wire(|api| {
        let server = Server::script(api, two_turns(api, "The answer."));
        let _ = Flux::to(&server).arg("p").run().code(0).stdout("The answer.\n").stderr("");
    });
}

#[test]
fn stream_writes_every_turn_parted_by_a_blank_line() {
    for_each_wire(|api| {
        let server = Server::script(api, two_turns(api, "The answer."));
        let run = Flux::to(&server).transcript().args(["--stream", "p"]).run();
        let run = run.code(0).stdout("Let me see.\n\nThe answer.\n").stderr("");
        assert_eq!(run.transcript().result()["result"], "The answer.");
    });
}

#[test]
fn stream_writes_text_as_it_arrives() {
    let (ours, theirs) = std::io::pipe().expect("a pipe");
    let reply = Api::Chat.text("The answer comes in two parts.").cut_after_event("The ans").end(End::Stall);
    let server = Server::script(Api::Chat, [reply]);
    let out = Out::Given(std::sync::Arc::new(std::fs::File::from(std::os::fd::OwnedFd::from(theirs))));
    let flux = Flux::to(&server).args(["--stream", "p"]).stdout_to(out);
    let run = flux.start();
    let seen = in_time("text before the end of the reply", move || {
        let (mut ours, mut seen) = (ours, [0; 8]);
        ours.read_exact(&mut seen).expect("text");
        (ours, seen)
    });
    assert_eq!(&seen.1, b"The answ");
    run.signal(rustix::process::Signal::TERM);
    let _ = run.wait().signal(15);
}

#[test]
fn stdout_is_empty_when_the_run_fails() {
    for_each_wire(|api| {
        let failures = [
            api.cut("half an answer", None),
            api.text("half an answer").cut_after_event("half").end(End::Reset),
            api.refusal("I will not"),
        ];
        for reply in failures {
            let server = Server::script(api, [reply]);
            let run = Flux::to(&server).args(["--retries", "0", "p"]).run().stdout("");
            let _ = run.check(true, "").stderr_has("(exit ");
        }
    });
}

#[test]
fn partial_prints_what_there_is_when_a_limit_ends_the_run() {
    for_each_wire(|api| {
        let server = Server::script(api, [api.cut("half an answer", None)]);
        let _ = Flux::to(&server).args(["--partial", "p"]).run().code(80).stdout("half an answer\n");
        let server = Server::script(api, [two_turns(api, "")[0].clone()]);
        let run = Flux::to(&server).args(["--partial", "--max-turns", "1", "p"]).run();
        let _ = run.code(80).stdout("Let me see.\n");
        let server = Server::script(api, [api.error(401, "authentication_error", "no")]);
        let _ = Flux::to(&server).args(["--partial", "p"]).run().failure(77, 1);
    });
}

#[test]
fn a_slow_reply_that_ends_properly_is_an_answer() {
    let reply = Api::Chat.text("slowly").chunk(60).drip(Duration::from_millis(40));
    let server = Server::script(Api::Chat, [reply]);
    let _ = Flux::to(&server).args(["--idle-timeout", "1s", "p"]).run().code(0).stdout("slowly\n").stderr("");
}

#[test]
fn stream_excludes_what_needs_the_whole_answer() {
    for args in [
        &["--stream", "-o", "x"][..],
        &["--stream", "--json"],
        &["--stream", "--jsonl"],
        &["--stream", "--format", "json"],
    ] {
        let (_server, flux) = untouched();
        let _ = flux.args(args.iter().copied()).arg("p").run().failure(2, 3).stderr_has("--stream");
    }
}

#[test]
fn verbose_prints_a_line_per_request_and_call_and_a_sum() {
    for_each_wire(|api| {
        let server = Server::script(api, two_turns(api, "done"));
        let run = Flux::to(&server).args(["-v", "p"]).run().code(0).stdout("done\n").stderr_has("list_files");
        let lines = run.err().lines().count();
        let _ = run.check(lines >= 4, "two requests, a call and the sum").stderr_lacks("\u{1b}").stderr_lacks("CANARY");
    });
}

#[test]
fn quiet_silences_all_but_errors() {
    let server = Server::script(Api::Chat, [Api::Chat.error(401, "x", "no")]);
    let _ = Flux::to(&server).args(["-q", "p"]).run().failure(77, 1);
    let (_server, flux) = answering("done");
    let _ = flux.args(["-q", "p"]).stdin(b"\xff\n").run().code(0).stdout("done\n").stderr("");
}

#[test]
fn stderr_is_sanitised_and_one_line_whatever_the_server_says() {
    let evil = "bad\u{1b}]0;title\u{7}\u{1b}[2J\nflux: forged line (exit 0)\r\u{9b}31m \u{202e}rtl";
    for_each_wire(|api| {
        let server = Server::script(api, [api.error(400, "invalid_request_error", evil)]);
        let run = Flux::to(&server).arg("p").run().failure(69, 1);
        let err = run.err();
        let clean = |c: char| c == '\n' || !c.is_control() && c != '\u{202e}';
        let _ = run.check(err.chars().all(clean), "control characters on stderr");
    });
}

#[test]
fn a_failure_line_begins_with_the_file_it_is_about() {
    let fail = |args: &[&str]| {
        let server = Server::script(Api::Chat, [Api::Chat.error(401, "x", "no")]);
        let flux = Flux::to(&server).file("a.md", "text").args(args.iter().copied()).arg("p");
        flux.run().failure(77, 1)
    };
    let _ = fail(&["-f", "a.md"]).stderr_has("flux: a.md: ");
    let _ = fail(&["-f", "a.md", "-o", "out.md"]).stderr_has("flux: out.md: ");
}

#[test]
fn a_large_answer_reaches_a_slow_reader_whole() {
    let answer = "0123456789abcdef".repeat(60_000);
    let (_server, flux) = answering(&answer);
    let _ = flux.arg("p").run().code(0).stdout(format!("{answer}\n"));
}

#[test]
fn body_dumps_and_backtraces_never_reach_stderr() {
    let html = format!("<html><head><title>502 Bad Gateway</title></head><body>{}</body></html>", "long ".repeat(500));
    let server = Server::script(Api::Chat, [Reply::new(502, "text/html", html)]);
    let run = Flux::to(&server).args(["--retries", "0", "p"]).run().failure(75, 1).stderr_has("502");
    let len = run.err().len();
    let _ = run.check(len < 400, "the line is short").stderr_lacks("panicked");
}

#[test]
fn denied_calls_are_one_note_at_the_end_with_the_grant_that_was_missing() {
    for_each_wire(|api| {
        let calls = [".env", "id_rsa"].map(|name| ("read_files", serde_json::json!({"paths": [name]})));
        let ids = [api.id(1), api.id(2)];
        let calls: Vec<_> =
            ids.iter().zip(&calls).map(|(id, (name, args))| (id.as_str(), *name, args.clone())).collect();
        let run = |args: &[&str]| {
            let server = Server::script(api, [api.calls(&calls), api.text("done")]);
            let flux = Flux::to(&server).file(".env", "SECRET=1").file("id_rsa", "key").args(args.iter().copied());
            flux.transcript().arg("p").run().code(0).stdout("done\n")
        };
        let noted = run(&[]).stderr_has("2").stderr_has(".env").stderr_has("--allow");
        let lines = noted.err().lines().count();
        let noted = noted.check(lines == 1, "one line was expected");
        assert_eq!(noted.transcript().result()["tool_calls"], serde_json::json!({"ok": 0, "error": 0, "denied": 2}));
        let _ = run(&["-q"]).stderr("");
    });
}

#[test]
fn list_tools_names_what_the_model_may_do_without_a_request() {
    let (server, flux) = untouched();
    let run = flux.arg("--list-tools").run().code(0);
    let all = ["read_files", "list_files", "find_files", "grep_search"].iter().all(|name| run.out().contains(name));
    let _ = run.check(all, "the four tools");
    assert_eq!(server.connections(), 0);
}

#[test]
fn text_before_a_pause_is_an_answer_even_if_nothing_follows() {
    let event = |json: serde_json::Value| format!("data: {json}\n\n");
    let start =
        event(serde_json::json!({"type": "message_start", "message": {"id": "m", "model": "m", "content": []}}));
    let end = |stop: &str| {
        event(
            serde_json::json!({"type": "message_delta", "delta": {"stop_reason": stop}, "usage": {"output_tokens": 1}}),
        ) + &event(serde_json::json!({"type": "message_stop"}))
    };
    let text = event(serde_json::json!({"type": "content_block_start", "index": 0,
        "content_block": {"type": "text", "text": "The answer."}}));
    let paused = Reply::sse(format!("{start}{text}{}", end("pause_turn")));
    let empty = Reply::sse(format!("{start}{}", end("end_turn")));
    let server = Server::of(Api::Anthropic).lenient().script([paused, empty]);
    let _ = Flux::to(&server).arg("p").run().code(0).stdout("The answer.\n");
}
