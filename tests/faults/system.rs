//! Limits of the system, signals, several runs at once.

use std::fs;
use std::io::Read;
use std::net::TcpListener;
use std::os::unix::fs::symlink;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use rustix::process::Signal;

use crate::support::flux::Out;
use crate::support::wait::in_time;
use crate::support::{Api, Flux, Server, Transcript, ask};

fn answering() -> (Server, Flux) {
    let server = Server::script(Api::Chat, [Api::Chat.text("done")]);
    let flux = Flux::to(&server).arg("p");
    (server, flux)
}

#[test]
fn an_open_pipe_ends_at_the_timeout_of_the_run() {
    let server = Server::script(Api::Chat, []);
    let run = Flux::to(&server).args(["--timeout", "1s", "p"]).stdin_pipe_open().run().failure(124, 1);
    assert!(run.elapsed < Duration::from_secs(3), "{:?}", run.elapsed);
}

#[test]
fn input_above_64_mebibytes_is_refused_and_the_writer_is_not_kept_waiting() {
    let server = Server::script(Api::Chat, []);
    let _ = Flux::to(&server).arg("p").stdin(vec![b'a'; 70 << 20]).run().failure(65, 1).stderr_has("--max-input");
}

#[test]
fn the_transcript_is_no_input() {
    let server = Server::script(Api::Chat, []);
    let flux = Flux::to(&server).file("t.jsonl", "").args(["--transcript", "t.jsonl", "p"]);
    let path = flux.here("t.jsonl");
    let _ = flux.stdin_file(path).run().failure(66, 1);
}

#[test]
fn a_transcript_link_beneath_the_root_is_not_followed_out_of_it() {
    let server = Server::script(Api::Chat, []);
    let flux = Flux::to(&server).args(["--transcript", "t.jsonl", "p"]);
    symlink(flux.path("home/.bashrc"), flux.here("t.jsonl")).expect("a link");
    let run = flux.run().failure(73, 1);
    assert!(!flux.path("home/.bashrc").exists(), "{}", run.dump());
}

#[test]
fn a_pipe_that_does_not_block_gets_the_whole_answer() {
    let answer = "0123456789abcdef".repeat(60_000);
    let server = Server::script(Api::Chat, [Api::Chat.text(&answer)]);
    let (mut ours, theirs) = std::io::pipe().expect("a pipe");
    let flags = rustix::fs::fcntl_getfl(&theirs).expect("flags");
    rustix::fs::fcntl_setfl(&theirs, flags | rustix::fs::OFlags::NONBLOCK).expect("flags");
    let theirs = fs::File::from(std::os::fd::OwnedFd::from(theirs));
    let flux = Flux::to(&server).arg("p").stdout_to(Out::Given(Arc::new(theirs)));
    let run = flux.start();
    let text = thread::spawn(move || {
        thread::sleep(Duration::from_millis(500));
        let mut text = vec![0; 960_001];
        ours.read_exact(&mut text).expect("the whole answer");
        text
    });
    let _ = run.wait().code(0).stderr("");
    let text = in_time("the answer", move || text.join().expect("a reader"));
    assert!(text.ends_with(b"abcdef\n"));
}

#[test]
fn both_streams_gone_is_no_endless_loop() {
    let server = Server::of(Api::Chat).unused_allowed().script([Api::Chat.text("done")]);
    let run = Flux::to(&server).args(["-v", "p"]).stdout_to(Out::Gone).stderr_to(Out::Gone).run();
    let code = (run.signal, run.code);
    let _ = run.check(matches!(code, (Some(13), _) | (_, Some(74))), "death by SIGPIPE was expected");
}

#[test]
fn a_parent_that_ignores_sigpipe_changes_only_how_flux_says_it() {
    let server = Server::of(Api::Chat).unused_allowed().script([Api::Chat.text("done")]);
    let run = Flux::to(&server).arg("p").after("trap '' PIPE").stdout_to(Out::Gone).run();
    let code = (run.signal, run.code);
    let _ = run.check(matches!(code, (Some(13), _) | (_, Some(74 | 141))), "74 or 141 was expected");
}

#[test]
fn a_file_size_limit_is_a_write_error() {
    let server = Server::of(Api::Chat).unused_allowed().script([Api::Chat.text("done")]);
    let run = Flux::to(&server).transcript().arg("p").after("ulimit -f 0").run();
    let _ = run.code(74).stdout("");
}

#[test]
fn few_descriptors_are_enough_or_named_as_the_reason() {
    for limit in ["8", "16", "32"] {
        let server = Server::of(Api::Chat).unused_allowed().script([Api::Chat.text("done")]);
        let run = Flux::to(&server).arg("p").after(&format!("ulimit -n {limit}")).run();
        let code = run.code;
        let _ = run.check(matches!(code, Some(0 | 71 | 75)), "0 or 71 was expected").stderr_lacks("panicked");
    }
}

#[test]
fn half_a_gigabyte_of_address_space_is_plenty() {
    let (_server, flux) = answering();
    let _ = flux.after("ulimit -v 524288").run().code(0).stdout("done\n");
}

#[test]
fn odd_environments_do_no_harm() {
    let odd: [fn(Flux) -> Flux; 4] = [
        |f| f.env("TZ", "Nowhere/Nothing").env_remove("TERM"),
        |f| f.env("COLUMNS", "-1").env("TERM", "dumb"),
        |f| f.env_remove("LANG").env_remove("XDG_RUNTIME_DIR"),
        |f| f.env("TMPDIR", "/nonexistent").env("XDG_RUNTIME_DIR", "/nonexistent"),
    ];
    for prepare in odd {
        let (_server, flux) = answering();
        let _ = prepare(flux).run().code(0).stdout("done\n").stderr("");
    }
}

#[test]
fn control_c_ends_the_wait_for_input() {
    let server = Server::script(Api::Chat, []);
    let run = Flux::to(&server).arg("p").stdin_pipe_open().start();
    thread::sleep(Duration::from_millis(400));
    run.signal(Signal::INT);
    let run = run.wait().signal(2).stdout("");
    assert!(run.elapsed < Duration::from_secs(2), "{:?}", run.elapsed);
}

#[test]
fn a_server_that_comes_up_late_is_found_by_a_retry() {
    let port = TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a port").port();
    let url = format!("http://127.0.0.1:{port}/v1");
    let flux = ask().key(Api::Chat).args(["--base-url", &url, "-m", "m"]).transcript().arg("p");
    let run = flux.start();
    thread::sleep(Duration::from_millis(250));
    let server = Server::of(Api::Chat).port(port).script([Api::Chat.text("done")]);
    let run = run.wait().code(0).stdout("done\n").stderr("");
    drop(server);
    assert!(run.transcript().result()["retries"].as_u64().is_some_and(|n| n >= 1));
}

#[test]
fn several_runs_may_append_to_one_transcript() {
    let server = Server::of(Api::Chat).answer(|_| Api::Chat.text(&"answer ".repeat(3000)));
    let flux = Flux::to(&server).transcript().arg("p");
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| drop(flux.run().code(0)));
        }
    });
    let transcript = Transcript::read(&flux.path("transcript.jsonl")).expect("valid lines");
    assert_eq!(transcript.of_type("result").len(), 8);
    for run in transcript.of_type("session") {
        let lines = transcript.0.iter().filter(|line| line["run"] == run["run"]).count();
        assert!(lines >= 5, "{lines} lines of one run");
    }
}
