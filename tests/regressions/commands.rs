//! S-06 to S-11 and the commands' part of L-01: what a grant lets run, how it ends, and what it can see.

use std::fs;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::tools::{results, turns};
use crate::support::wait::in_time;
use crate::support::{Flux, Server, for_each_wire};

fn run(argv: &[&str]) -> (&'static str, Value) {
    ("run_command", json!({ "argv": argv }))
}

fn line(command: &str) -> (&'static str, Value) {
    ("run_command", json!({ "argv": command }))
}

fn allow<'a>(grants: &'a [&'a str]) -> impl Iterator<Item = &'a str> {
    grants.iter().flat_map(|grant| ["--allow", *grant])
}

/// S-06, S-08: no separator, substitution, redirection or variable gets past a grant; what is refused leaves no mark.
#[test]
fn regression_s06_no_text_gets_past_a_grant() {
    let lines = [
        "ls\ntouch marker",
        "ls; touch marker",
        "ls && touch marker",
        "ls $(touch marker)",
        "ls `touch marker`",
        "ls > marker",
        "ls | tee marker",
        "ls & touch marker",
        "ls # x\ntouch marker",
        "A=1 ls",
        "touch marker",
        "sh -c 'touch marker'",
        "/bin/ls",
        "./ls",
        "LS",
        "ｌｓ",
        "command ls",
        "ls -l",
        "export PAGER=x",
    ];
    for_each_wire(|api| {
        // Between them something that works, since five denials in a row would end the run.
        let calls: Vec<_> = lines.iter().flat_map(|text| [line(text), run(&["ls"])]).collect();
        let prepare = |f: Flux| f.args(allow(&["write", "run:ls"])).file("a.txt", "x");
        let answers = results(api, prepare, &calls);
        for (call, answer) in calls.iter().zip(&answers).step_by(2) {
            let code = answer.text.split(':').next().unwrap_or_default();
            assert!(["denied", "bad_arguments"].contains(&code), "{call:?}: {answer:?}");
        }
        for answer in answers.iter().skip(1).step_by(2) {
            assert_eq!(answer.text, "exit 0\nstdout:\na.txt\n");
        }
    });
}

/// S-07: the key of the model is in no variable, no output and no transcript, whatever a command prints.
#[test]
fn regression_s07_the_key_is_out_of_reach() {
    for_each_wire(|api| {
        let calls = [run(&["env"]), run(&["sh", "-c", "cat /proc/self/environ; set"])];
        let server = Server::script(api, [api.calls(&numbered(api, &calls)), api.text("done")]);
        let flux = Flux::to(&server).args(allow(&["run:env", "run:sh **"])).transcript();
        let flux = flux.env("OTHER_SECRET", "canary-5d1f").env("WANTED", "seen");
        let flux = flux.args(["--allow", "env:WANTED", "p"]);
        let run = flux.run().code(0);
        let request = server.requests()[1].json.to_string();
        let transcript = fs::read_to_string(flux.path("transcript.jsonl")).expect("the transcript");
        for text in [&request, &transcript, &run.err()] {
            assert!(!text.contains(api.key()) && !text.contains("canary-5d1f"), "{text}");
        }
        let environment = &api.results(&server.requests()[1].json)[0].text;
        assert!(environment.contains("WANTED=seen") && environment.contains("TERM=dumb"), "{environment}");
        assert!(!environment.contains("_API_KEY"), "{environment}");
    });
}

fn numbered(api: crate::support::Api, calls: &[(&'static str, Value)]) -> Vec<(&'static str, &'static str, Value)> {
    let id = |n: usize| -> &'static str { Box::leak(api.id(n + 1).into_boxed_str()) };
    calls.iter().enumerate().map(|(n, (name, arguments))| (id(n), *name, arguments.clone())).collect()
}

/// S-09, S-10: what is quoted is a plain argument in a list, and in one string it is refused with the reason; a pipe
/// is never passed on as an argument.
#[test]
fn regression_s09_a_quoted_separator_is_an_argument() {
    let calls = [
        run(&["echo", "a;b"]),
        run(&["echo", "a", "|", "b"]),
        line("echo 'a;b'"),
        line("echo a | cat"),
        line("echo 'a b'"),
    ];
    for_each_wire(|api| {
        let answers = results(api, |f| f.args(allow(&["run:echo **"])), &calls);
        let texts: Vec<&str> = answers.iter().map(|answer| answer.text.as_str()).collect();
        assert_eq!(texts[..2], ["exit 0\nstdout:\na;b\n", "exit 0\nstdout:\na | b\n"]);
        assert!(texts[2].contains("may not hold `;`") && texts[2].contains("argv as a list"), "{texts:?}");
        assert!(texts[3].contains("may not hold `|`"), "{texts:?}");
        assert_eq!(texts[4], "exit 0\nstdout:\na b\n");
    });
}

/// S-11: a command's time ends with all that it has started, and its stdin is empty.
#[test]
fn regression_s11_grandchildren_end_and_stdin_is_empty() {
    for_each_wire(|api| {
        let calls = [
            run(&["cat"]),
            ("run_command", json!({"argv": ["sh", "-c", "sleep 61.5 & sleep 61.5"], "timeout": 1})),
            run(&["sh", "-c", "sleep 61.5 & echo started"]),
        ];
        let begun = Instant::now();
        let answers = results(api, |f| f.args(allow(&["run:cat", "run:sh **"])).stdin("not for the child"), &calls);
        assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
        assert_eq!(answers[0].text, "exit 0, no output\n");
        assert!(answers[1].text.starts_with("timeout: still running after 1 s"), "{answers:?}");
        assert_eq!(answers[2].text, "exit 0\nstdout:\nstarted\n");
    });
    // A process that was killed is gone a moment later.
    in_time("the end of the sleeps", || {
        while running("sleep\x0061.5\0") {
            std::thread::sleep(Duration::from_millis(10));
        }
    });
}

/// Whether some process has this command line.
fn running(command: &str) -> bool {
    let processes = fs::read_dir("/proc").expect("/proc").flatten();
    processes
        .into_iter()
        .any(|entry| fs::read(entry.path().join("cmdline")).is_ok_and(|line| line == command.as_bytes()))
}

/// L-01: a failing command is blocked the third time, unless a file was changed meanwhile; a read clears nothing.
#[test]
fn regression_l01_a_change_lets_a_failing_command_run_again() {
    let test = || run(&["sh", "check.sh"]);
    let write = |text: &str| ("write_file", json!({"path": "b.txt", "content": text}));
    let read = || ("read_files", json!({"paths": ["check.sh"]}));
    for_each_wire(|api| {
        let steps = [test(), read(), test(), read(), test(), write("1"), test(), test(), test()];
        let steps: Vec<[_; 1]> = steps.into_iter().map(|call| [call]).collect();
        let steps: Vec<&[_]> = steps.iter().map(<[_; 1]>::as_slice).collect();
        let prepare = |f: Flux| f.args(allow(&["write", "run:sh check.sh"])).file("check.sh", "echo no >&2; exit 3\n");
        let answers = turns(api, prepare, &steps);
        let texts: Vec<&str> = answers.iter().map(|answer| answer.text.as_str()).collect();
        let failed = "exit_status: exit 3\nstderr:\nno\n";
        assert_eq!((texts[0], texts[2]), (failed, failed));
        assert!(texts[4].starts_with("RETRY_LOOP_DETECTED"), "{texts:?}");
        assert_eq!((texts[6], texts[7]), (failed, failed));
        assert!(texts[8].starts_with("RETRY_LOOP_DETECTED"), "{texts:?}");
    });
}
