//! Waiting: per byte, in all, and none after Ctrl-C.

use std::io::Write as _;
use std::net::TcpListener;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::json;

use super::meet;
use crate::support::sys::unanswered;
use crate::support::{Api, End, Flux, Reply, Server, ask, for_each_wire};

#[test]
fn a_stalled_reply_ends_at_the_idle_timeout_before_and_after_the_first_byte() {
    for_each_wire(|api| {
        let stalls = [
            Reply::sse("").delay(Duration::from_secs(4)),
            Reply::sse("").end(End::Stall),
            api.text("some text").cut_after("some").end(End::Stall),
        ];
        for stall in stalls {
            let (run, _server) = meet(api, vec![stall], &["--idle-timeout", "1s", "--retries", "0"]);
            let run = run.failure(75, 1);
            assert!(
                run.elapsed >= Duration::from_millis(900) && run.elapsed < Duration::from_secs(3),
                "{:?}",
                run.elapsed
            );
        }
    });
}

#[test]
fn a_stalled_reply_is_tried_again() {
    let stall = Reply::sse(": hello\n\n").end(End::Stall);
    let (run, _server) =
        meet(Api::Chat, vec![stall, Api::Chat.text("done")], &["--idle-timeout", "1s", "--retries", "1"]);
    let _ = run.code(0).stdout("done\n");
}

#[test]
fn comments_and_pings_keep_a_reply_alive() {
    let mut reply = Api::Chat.text("done");
    reply.body = [": keep-alive\n\n".repeat(6).as_bytes(), &reply.body].concat();
    let reply = reply.chunk(14).drip(Duration::from_millis(60));
    let (run, _server) = meet(Api::Chat, vec![reply], &["--idle-timeout", "1s"]);
    let _ = run.code(0).stdout("done\n").stderr("");
}

#[test]
fn a_reply_whose_body_never_ends_after_its_marker_costs_a_connection_and_no_time() {
    for_each_wire(|api| {
        let call = || api.calls(&[(&api.id(1), "list_files", json!({}))]);
        let mut dripping = call();
        dripping.body.extend(": and so on\n\n".repeat(500).bytes());
        // The marker comes in the first piece.
        let size = call().body.len();
        for endless in [call().end(End::Stall), dripping.chunk(size).drip(Duration::from_millis(20))] {
            // What limits the rest must not limit the reply that follows.
            let late = api.text("done").delay(Duration::from_millis(300));
            let (run, server) = meet(api, vec![endless, late], &["--retries", "0"]);
            let run = run.code(0).stdout("done\n").stderr("");
            assert!(run.elapsed < Duration::from_secs(2), "{:?}", run.elapsed);
            assert_eq!(server.connections(), 2);
            assert_eq!(run.transcript().result()["retries"], 0);
        }
    });
}

#[test]
fn a_drip_without_end_is_ended_by_the_timeout_of_the_run() {
    let reply = Reply::sse(": x\n".repeat(200)).chunk(4).drip(Duration::from_millis(100));
    let (run, _server) = meet(Api::Chat, vec![reply], &["--timeout", "1s"]);
    let run = run.failure(124, 1).stderr_has("--timeout");
    assert!(run.elapsed < Duration::from_secs(3), "{:?}", run.elapsed);
    assert_eq!(run.transcript().result()["exit_code"], 124);
}

#[test]
fn the_timeout_of_the_run_counts_as_such_while_it_connects() {
    let (address, _queued, _listener) = unanswered();
    let flux = |api: Api| {
        let url = format!("http://{address}{}", api.base_path());
        ask().key(api).args(["--base-url", &url, "--wire", api.wire(), "-m", "m", "--timeout", "300ms", "p"])
    };
    for_each_wire(|api| {
        for _ in 0..8 {
            let _ = flux(api).run().failure(124, 1);
        }
    });
}

/// A local server is asked how large its window is, before a long prompt is sent.
#[test]
fn the_timeout_of_the_run_also_ends_the_question_for_the_window() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}/v1", listener.local_addr().expect("an address"));
    let flux = ask().args(["--base-url", &url, "-m", "m", "--timeout", "500ms", "p"]);
    let run = flux.stdin("some words that go on\n".repeat(2000)).run().failure(124, 1);
    assert!(run.elapsed < Duration::from_millis(1200), "{:?}", run.elapsed);
}

#[test]
fn heads_that_never_get_anywhere_are_not_believed_for_ever() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}/v1", listener.local_addr().expect("an address"));
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("flux");
        while stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").is_ok() {
            std::thread::sleep(Duration::from_millis(50));
        }
    });
    let args = ["--base-url", &url, "-m", "m", "--idle-timeout", "200ms", "--retries", "0", "-n", "p"];
    let run = ask().args(args).run().failure(75, 1).stderr_has("no reply began");
    let within = Duration::from_millis(1800)..Duration::from_secs(5);
    assert!(within.contains(&run.elapsed), "{:?}", run.elapsed);
}

#[test]
fn the_timeout_of_the_run_also_ends_the_wait_before_a_retry() {
    let busy = Api::Chat.error(503, "x", "busy").header("retry-after", "30");
    let (run, _server) = meet(Api::Chat, vec![busy], &["--timeout", "1s"]);
    let run = run.check(true, "");
    assert!(run.elapsed < Duration::from_secs(3), "{:?}", run.elapsed);
    let code = run.code;
    let _ = run.check(code == Some(124) || code == Some(75), "exit 124 was expected").stdout("");
}

#[test]
fn control_c_ends_the_wait_before_a_retry_at_once() {
    let busy = Api::Chat.error(503, "x", "busy").header("retry-after", "30");
    let server = Server::script(Api::Chat, [busy]);
    let run = Flux::to(&server).transcript().arg("p").start();
    server.log().wait_for_requests(1);
    std::thread::sleep(Duration::from_millis(200));
    let start = Instant::now();
    run.signal(Signal::INT);
    let run = run.wait().signal(2).stdout("");
    assert!(start.elapsed() < Duration::from_millis(800), "{:?}", start.elapsed());
    assert_eq!(run.transcript().result()["exit_code"], 130);
}

#[test]
fn control_c_ends_a_stalled_read_at_once() {
    for_each_wire(|api| {
        let server = Server::script(api, [api.text("text").cut_after("te").end(End::Stall)]);
        let run = Flux::to(&server).transcript().arg("p").start();
        server.log().wait_for_requests(1);
        std::thread::sleep(Duration::from_millis(200));
        let start = Instant::now();
        run.signal(Signal::TERM);
        let _ = run.wait().signal(15).stdout("");
        assert!(start.elapsed() < Duration::from_millis(800), "{:?}", start.elapsed());
    });
}
