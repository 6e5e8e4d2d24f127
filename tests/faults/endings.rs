//! Endings: whatever a run is doing when it is told to end, or when its time is up, it ends soon and says the truth.

use std::fs;
use std::time::Duration;

use rustix::process::Signal;

use crate::support::flux::ask;
use crate::support::sys::unanswered;
use crate::support::{Api, Flux, Reply, Server};

/// A run that waits for a writer of a FIFO that nobody will ever open.
fn waiting_for_a_pipe(server: &Server, args: &[&str]) -> Flux {
    let flux = Flux::to(server).args(args.iter().copied()).args(["-f", "pipe", "p"]);
    let made = std::process::Command::new("mkfifo").arg(flux.here("pipe")).status().expect("mkfifo");
    assert!(made.success());
    flux
}

#[test]
fn a_pipe_that_nobody_writes_holds_up_neither_the_deadline_nor_a_signal() {
    let server = Server::of(Api::Chat).script([]);
    let flux = waiting_for_a_pipe(&server, &["--timeout", "1s"]).transcript();
    let run = flux.run().failure(124, 1);
    assert!(run.elapsed < Duration::from_secs(3), "{:?}", run.elapsed);
    assert_eq!((run.transcript().result()["exit_code"].as_i64(), run.transcript().faults()), (Some(124), vec![]));
    let running = waiting_for_a_pipe(&server, &[]).transcript().start();
    std::thread::sleep(Duration::from_millis(300));
    running.signal(Signal::TERM);
    let run = running.wait().signal(15);
    assert!(run.elapsed < Duration::from_millis(1500), "{:?}", run.elapsed);
    assert_eq!(run.transcript().result()["exit_code"], 143);
}

#[test]
fn a_run_that_is_ended_while_it_connects_says_so_in_its_last_line() {
    let (address, _queued, _listener) = unanswered();
    let url = format!("http://{address}/v1");
    let flux = |args: &[&str]| {
        ask().args(["--base-url", &url, "--wire", "openai-chat", "-m", "m", "p"]).args(args.iter().copied())
    };
    let end = |signals: &[Signal]| {
        let running = flux(&[]).transcript().start();
        std::thread::sleep(Duration::from_millis(400));
        for signal in signals {
            running.signal(*signal);
            std::thread::sleep(Duration::from_millis(50));
        }
        let run = running.wait().signal(15);
        assert!(run.elapsed < Duration::from_millis(1500), "{:?}", run.elapsed);
        let transcript = run.transcript();
        assert_eq!(transcript.messages("user").len(), 1);
        let result = transcript.result();
        assert_eq!((result["status"].as_str(), result["exit_code"].as_i64()), (Some("aborted"), Some(143)));
    };
    end(&[Signal::TERM]);
    end(&[Signal::INT, Signal::TERM]);
    let run = flux(&["--timeout", "1s", "--json"]).transcript().run().code(124);
    let object: serde_json::Value = serde_json::from_str(&run.out()).expect("the result object");
    assert_eq!((&object["exit_code"], &run.transcript().result()["exit_code"]), (&124.into(), &124.into()));
    // A transcript that nobody reads holds up nothing.
    let fifo = "mkfifo lines; sleep 3 < lines > /dev/null 2>&1 & dd if=/dev/zero of=lines bs=4096 count=16 2>/dev/null";
    let run = flux(&["--transcript", "lines", "--timeout", "1s"]).after(fifo).run().code(124);
    assert!(run.elapsed < Duration::from_secs(4), "{:?}", run.elapsed);
}

#[test]
fn a_run_that_is_stuck_in_writing_still_ends_with_its_last_line() {
    // A pipe that is full and stays so: nobody reads it for a while.
    let stuck = |pipe: &str| {
        format!(
            "mkfifo {pipe}; sleep 4 < {pipe} > /dev/null 2>&1 & dd if=/dev/zero of={pipe} bs=4096 count=16 2>/dev/null 1<>{pipe}"
        )
    };
    let ends = |flux: Flux| {
        let run = flux.args(["--timeout", "1s", "p"]).transcript().run();
        assert!(run.elapsed < Duration::from_millis(3500), "{:?}\n{}", run.elapsed, run.dump());
        let run = run.code(124);
        assert_eq!(run.transcript().result()["exit_code"], 124);
    };
    let answering = || Server::of(Api::Chat).unused_allowed().script([Api::Chat.text("done")]);
    let server = answering();
    ends(Flux::to(&server).args(["-o", "out"]).after("mkfifo out"));
    let server = answering();
    ends(Flux::to(&server).arg("--jsonl").after(&format!("{}; exec 1<>out", stuck("out"))));
    let server = answering();
    ends(Flux::to(&server).args(["-v", "--debug"]).after(&format!("{}; exec 2<>err", stuck("err"))));
}

#[test]
fn a_key_command_that_hangs_ends_with_the_run_and_as_the_run_ends() {
    let server = Server::of(Api::Chat).script([]);
    let args = ["--api-key-cmd", "sleep 30", "p"];
    let _ = Flux::to(&server).args(["--timeout", "1s"]).args(args).run().failure(124, 1);
    let running = Flux::to(&server).args(args).start();
    std::thread::sleep(Duration::from_millis(300));
    running.signal(Signal::INT);
    let _ = running.wait().signal(2);
}

#[test]
fn what_a_key_command_has_started_ends_with_it() {
    let server = Server::of(Api::Chat).script([]);
    // The innermost sleep holds stderr open, and the runner waits for that to be closed.
    let args = ["--api-key-cmd", "sh -c '(sleep 30; true) | cat; echo sk-x'", "p"];
    let run = Flux::to(&server).args(["--timeout", "1s"]).args(args).run().failure(124, 1);
    assert!(run.elapsed < Duration::from_secs(3), "{:?}", run.elapsed);
    for signal in [Signal::INT, Signal::TERM] {
        let running = Flux::to(&server).args(args).start();
        std::thread::sleep(Duration::from_millis(300));
        running.signal(signal);
        let run = running.wait().signal(signal.as_raw());
        assert!(run.elapsed < Duration::from_secs(3), "{:?}", run.elapsed);
    }
}

#[test]
fn what_had_arrived_when_the_time_was_up_is_printed_and_recorded() {
    for api in crate::support::wire::APIS {
        let reply = api.text("The first half of an answer.").cut_after_event("half").end(crate::support::End::Stall);
        let server = Server::script(api, [reply]);
        let flux = Flux::to(&server).args(["--timeout", "1s", "--partial", "p"]).transcript();
        let run = flux.run().code(124);
        let came = run.out().starts_with("The first half");
        let run = run.check(came, "the part that came");
        let transcript = run.transcript();
        assert_eq!(transcript.messages("assistant")[0]["stopReason"], "aborted");
        let request = transcript.custom("flux.request")[0];
        assert_eq!(request["error"]["class"], "cancelled");
    }
}

#[test]
fn the_transcript_says_the_code_that_the_shell_sees_when_stdout_is_full() {
    let server = Server::script(Api::Chat, [Api::Chat.text("done")]);
    let full = fs::File::options().write(true).open("/dev/full").expect("/dev/full");
    let flux = Flux::to(&server).args(["--json", "p"]).transcript();
    let run = flux.stdout_to(crate::support::flux::Out::Given(full.into())).run().code(74);
    assert_eq!(run.transcript().result()["exit_code"], 74);
}

#[test]
fn a_failing_target_does_not_spoil_the_other() {
    let server = Server::of(Api::Chat).unused_allowed().script([Api::Chat.text("done")]);
    let full = fs::File::options().write(true).open("/dev/full").expect("/dev/full");
    let flux = Flux::to(&server).args(["--jsonl", "p"]).transcript();
    let run = flux.stdout_to(crate::support::flux::Out::Given(full.into())).run().code(74);
    let transcript = run.transcript();
    assert_eq!(transcript.of_type("session").len(), 1, "a file without its header could never be appended to");
    assert_eq!(transcript.result()["exit_code"], 74);
}

#[test]
fn keep_alives_without_end_are_not_believed_for_ever() {
    let pings = Reply::sse(": ping\n\n".repeat(400)).chunk(9).drip(Duration::from_millis(50));
    let server = Server::of(Api::Anthropic).script([pings]);
    let run = Flux::to(&server).args(["--idle-timeout", "200ms", "--retries", "0", "p"]).run().failure(75, 1);
    assert!(run.elapsed < Duration::from_secs(8), "{:?}", run.elapsed);
}

#[test]
fn a_signal_that_the_parent_ignores_or_blocks_is_treated_as_it_should_be() {
    let stalled = || Server::script(Api::Chat, [Reply::sse("").end(crate::support::End::Stall)]);
    let server = stalled();
    let running = Flux::to(&server).arg("p").after("trap '' INT").start();
    std::thread::sleep(Duration::from_millis(300));
    running.signal(Signal::INT);
    std::thread::sleep(Duration::from_millis(700));
    running.signal(Signal::TERM);
    let _ = running.wait().signal(15);
}

#[test]
fn a_run_whose_time_is_nearly_over_asks_once_more_without_tools() {
    for api in crate::support::wire::APIS {
        let calls = |n| api.calls(&[(&api.id(n), "list_files", serde_json::json!({}))]);
        let server = Server::script(api, [calls(1), api.text("What I have so far.")]);
        let flux = Flux::to(&server).args(["--timeout", "8s", "--partial", "p"]).transcript();
        let run = flux.run().code(124).stdout("What I have so far.\n").stderr_has("(exit 124)");
        let requests = server.requests();
        let choice = &requests[1].json["tool_choice"];
        let none = choice == "none" || choice["type"] == "none";
        assert!(none, "{choice}");
        assert_eq!(requests[0].json["tools"], requests[1].json["tools"]);
        let (before, after) = (api.messages(&requests[0].json).len(), requests[1].text());
        assert!(before < api.messages(&requests[1].json).len() && after.contains("nearly over"), "{after}");
        assert_eq!(run.transcript().result()["result"], "What I have so far.");
        // Without --partial, and with time to spare, nothing of that happens.
        for args in [&["--timeout", "8s"][..], &["--timeout", "60s", "--partial"]] {
            let server = Server::script(api, [calls(1), api.text("done")]);
            let _ = Flux::to(&server).args(args.iter().copied()).arg("p").run().code(0).stdout("done\n");
            assert!(!server.requests()[1].text().contains("nearly over"));
        }
    }
}

#[test]
fn last_words_that_do_not_come_leave_what_was_said_before() {
    for api in crate::support::wire::APIS {
        let said = api.text_and_calls("I will look.", &[(&api.id(1), "list_files", serde_json::json!({}))]);
        let server = Server::script(api, [said, api.error(400, "invalid_request_error", "no")]);
        let flux = Flux::to(&server).args(["--timeout", "8s", "--partial", "p"]);
        let _ = flux.run().code(124).stdout("I will look.\n");
        // A server that does not keep to the tool choice.
        let call = |n| api.text_and_calls("I will look.", &[(&api.id(n), "list_files", serde_json::json!({}))]);
        let server = Server::script(api, [call(1), call(2)]);
        let flux = Flux::to(&server).args(["--timeout", "8s", "--partial", "p"]).transcript();
        let run = flux.run().code(124).stdout("I will look.\n");
        assert_eq!(run.transcript().faults(), Vec::<String>::new());
    }
}
