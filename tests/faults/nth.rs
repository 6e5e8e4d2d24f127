//! The n-th call of a kind to the system fails, for n = 1, 2, 3 and so on: whatever it hits, the run ends with a code
//! that the contract names, and never with 0 and something missing.
//!
//! The suite tries the first few of each kind; with `FLUX_TEST_NTH=all` it tries all that a run makes, which takes
//! some minutes: `FLUX_TEST_NTH=all cargo test --test tests nth -- --nocapture`. It needs strace.

use std::process::Command;
use std::time::Duration;

use serde_json::json;

use crate::support::{Api, Flux, Run, Server, say};

/// A kind of call, the error it gets, and how many of them the suite tries.
const KINDS: &[(&str, &str, usize)] = &[
    ("write", "ENOSPC", 6),
    ("write", "EIO", 2),
    ("pwrite64", "ENOSPC", 2),
    ("openat", "EMFILE", 8),
    ("openat", "EACCES", 4),
    ("mmap", "ENOMEM", 6),
    ("brk", "ENOMEM", 3),
    ("clone3", "EAGAIN", 4),
    ("socket", "EMFILE", 2),
    ("socketpair", "EMFILE", 2),
    ("connect", "ENETUNREACH", 1),
    ("sendto", "EPIPE", 2),
    ("recvfrom", "ECONNRESET", 3),
    ("fsync", "EIO", 1),
    ("rename", "EXDEV", 1),
    ("renameat", "EXDEV", 1),
    ("linkat", "EMLINK", 1),
    ("fcntl", "EMFILE", 2),
    ("flock", "ENOLCK", 3),
    ("fstat", "EIO", 2),
    ("statx", "EIO", 2),
    ("getrandom", "ENOSYS", 4),
];

/// More than any run makes of one kind.
const MOST: usize = 400;

/// What a run writes, beside its exit code.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Answer {
    Stdout,
    File,
}

fn server() -> Server {
    let call = Api::Chat.calls(&[("call_1", "read_files", json!({"paths": ["a.txt"]}))]);
    let mut turns = vec![call, Api::Chat.text("done")].into_iter();
    Server::of(Api::Chat).lenient().answer(move |request| {
        // A request that is sent anew begins with the turn that it lacks.
        if request.text().contains("\"tool\"") {
            Api::Chat.text("done")
        } else {
            turns.next().unwrap_or(Api::Chat.text("done"))
        }
    })
}

fn traced(server: &Server, answer: Answer, trace: &str) -> Flux {
    let flux = Flux::to(server).file("a.txt", "alpha\n").transcript().args(["--retries", "0"]);
    let flux = if answer == Answer::File { flux.args(["-o", "answer.txt"]) } else { flux };
    let flux = flux.arg("p").deadline(Duration::from_secs(60));
    flux.after(&format!("exec strace -f -qq -o strace.out {trace} \"$0\" \"$@\""))
}

/// How many calls of a kind a sound run makes.
fn calls(answer: Answer, kind: &str) -> usize {
    let server = server();
    let run = traced(&server, answer, &format!("-e trace={kind}")).run();
    String::from_utf8_lossy(&run.file("strace.out")).lines().filter(|line| line.contains(&format!(" {kind}("))).count()
}

/// Why the end of a run with a failing call is not one that the contract allows.
fn wrong(run: &Run, answer: Answer, memory: bool) -> Option<&'static str> {
    let err = run.err();
    let before_main = err.contains("initialization or cleanup bug");
    if (err.contains("panicked") && !before_main) || run.code == Some(70) {
        return Some("a bug");
    }
    let transcript = std::fs::read_to_string(run.flux.path("transcript.jsonl")).unwrap_or_default();
    if !transcript.is_empty() && !transcript.starts_with(r#"{"type":"session""#) {
        return Some("a transcript that does not begin with its header");
    }
    let named = [0, 65, 66, 69, 71, 73, 74, 75, 76, 78, 85];
    match (run.code, run.signal) {
        // Without memory the process ends at once: in the system's loader, in Rust's own start, or by its abort.
        (Some(127), _) | (_, Some(6 | 11)) if memory && run.stdout.is_empty() => None,
        (Some(0), _) => {
            let file = std::fs::read(run.flux.here("answer.txt")).unwrap_or_default();
            let stdout = if answer == Answer::Stdout { run.stdout.as_slice() } else { &file };
            let ended = transcript.lines().last().is_some_and(|line| line.contains("\"exit_code\":0"));
            match (stdout == b"done\n", ended) {
                (false, _) => Some("exit 0 without the answer"),
                (_, false) => Some("exit 0 without the result line"),
                _ => None,
            }
        }
        (Some(code), _) if !named.contains(&code) => Some("a code that is not named"),
        (Some(_), _) if !err.contains("(exit ") => Some("a failure without its line"),
        (Some(_), _) if !run.stdout.is_empty() && run.code != Some(74) => Some("a failure with an answer"),
        (Some(_), _) => None,
        (None, _) => Some("a death"),
    }
}

#[test]
fn the_nth_call_that_fails_is_never_a_success_with_something_missing() {
    if !Command::new("strace").args(["-qq", "-o", "/dev/null", "true"]).status().is_ok_and(|status| status.success()) {
        say("skipped: no strace here");
        return;
    }
    let all = std::env::var_os("FLUX_TEST_NTH").is_some();
    let mut faults = Vec::new();
    for answer in [Answer::Stdout, Answer::File] {
        for (kind, error, few) in KINDS {
            let made = calls(answer, kind);
            let tried = if all { made.min(MOST) } else { made.min(*few) };
            let mut passed = 0;
            // The last ones are those that write.
            for n in (1..=made).rev().take(tried) {
                let server = server();
                let run =
                    traced(&server, answer, &format!("-e trace={kind} -e inject={kind}:error={error}:when={n}")).run();
                match wrong(&run, answer, *error == "ENOMEM") {
                    Some(why) => faults.push(format!("{kind} {n} of {made} {error}: {why}\n{}", run.dump())),
                    None => passed += 1,
                }
            }
            let to = if answer == Answer::File { "-o" } else { "stdout" };
            say(&format!("{kind:<11} {error:<12} {to:<7} {made:>3} made, {tried:>3} tried, {passed:>3} passed"));
        }
    }
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
}
