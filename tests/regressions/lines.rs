//! L-03 to L-13 and N-01 to N-05: the loop's limits, the command line, and prompts that look like commands.

use std::time::Duration;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::support::sys::Pty;
use crate::support::tools::turns;
use crate::support::{Api, End, Flux, Reply, Server, for_each_wire};

/// L-03: a model that always asks for a tool is stopped at the cap.
#[test]
fn regression_l03_an_endless_loop_stops_at_the_cap() {
    for_each_wire(|api| {
        let mut n = 0;
        let server = Server::of(api).answer(move |_| {
            n += 1;
            api.calls(&[(&api.id(n), "list_files", json!({}))])
        });
        let run = Flux::to(&server).transcript().arg("p").run().failure(80, 1).stderr_has("--max-turns");
        let result = run.transcript().result().clone();
        assert_eq!(server.requests().len(), 50);
        assert_eq!(
            (&result["status"], &result["exit_code"], &result["turns"]),
            (&json!("limit"), &json!(80), &json!(50))
        );
    });
}

/// L-04, L-05: the third call of an unknown tool is blocked, also with good reads in between.
#[test]
fn regression_l04_l05_failures_of_unknown_tools_count_and_reads_do_not_reset_them() {
    let bad = || ("no_such_tool", json!({"x": 1}));
    let good = || ("read_files", json!({"paths": ["a.txt"]}));
    for_each_wire(|api| {
        let plain: Vec<[(&str, Value); 1]> = vec![[bad()], [bad()], [bad()], [bad()]];
        let mixed: Vec<[(&str, Value); 1]> = vec![[bad()], [good()], [bad()], [good()], [bad()]];
        for script in [plain, mixed] {
            let script: Vec<&[(&str, Value)]> = script.iter().map(<[_; 1]>::as_slice).collect();
            let answers = turns(api, |f| f.file("a.txt", "alpha"), &script);
            let failed = answers.iter().filter(|r| !r.text.contains("alpha"));
            let blocked: Vec<bool> = failed.map(|r| r.text.contains("RETRY_LOOP_DETECTED")).collect();
            assert_eq!(blocked[..3], [false, false, true], "{answers:#?}");
            assert!(blocked[3..].iter().all(|b| *b), "{answers:#?}");
        }
    });
}

/// L-05: the same call is one that names the same tool and the same arguments; another order of the fields or
/// another path is judged by itself.
#[test]
fn regression_l05_other_arguments_are_another_call() {
    let read = |path: &str| ("read_files", json!({"paths": [path]}));
    let answers = turns(Api::Chat, |f| f, &[&[read("1")], &[read("2")], &[read("3")], &[read("4")], &[read("1")]]);
    assert!(answers.iter().all(|r| !r.text.contains("RETRY_LOOP_DETECTED")), "{answers:#?}");
}

/// L-08: no input is no reason to wait or to fail.
#[test]
fn regression_l08_no_stdin_is_no_loop() {
    let pty = Pty::open();
    let variants: [fn(Flux, &Pty) -> Flux; 3] =
        [|f, _| f.stdin_null(), |f, _| f.stdin_closed(), |f, pty| f.stdin_given(pty.slave())];
    for (n, variant) in variants.into_iter().enumerate() {
        let server = Server::script(Api::Chat, [Api::Chat.text("done")]);
        let run = variant(Flux::to(&server), &pty).arg("p").run().code(0).stdout("done\n").stderr("");
        let text = Api::Chat.first_user_text(&server.only_request().json);
        assert_eq!(text, "p", "variant {n}");
        assert!(run.elapsed < Duration::from_secs(5));
    }
}

/// L-09: the prompt is the prompt, whatever it looks like.
#[test]
fn regression_l09_argument_parsing_does_not_eat_the_prompt() {
    for prompt in ["ask", "transcript", "models", "completions", "help", "show", "--", "-x", "--help"] {
        let server = Server::script(Api::Chat, [Api::Chat.text("done")]);
        let _ = Flux::to(&server).args(["--", prompt]).run().code(0).stdout("done\n");
        assert_eq!(Api::Chat.first_user_text(&server.only_request().json), prompt);
    }
    for prompt in ["transcript", "models", "completions", "help"] {
        let server = Server::script(Api::Chat, [Api::Chat.text("done")]);
        let _ = Flux::to(&server).arg(prompt).run().code(0).stdout("done\n");
        assert_eq!(Api::Chat.first_user_text(&server.only_request().json), prompt);
    }
    let server = Server::script(Api::Chat, []);
    let _ = Flux::to(&server).arg("").run().failure(2, 3);
}

/// L-13: Ctrl-C during a request: flux dies of it, and the transcript is whole.
#[test]
fn regression_l13_an_interrupt_leaves_a_valid_transcript() {
    for_each_wire(|api| {
        let first = api.calls(&[(&api.id(1), "list_files", json!({}))]);
        let server = Server::script(api, [first, Reply::sse(": wait\n\n").end(End::Stall)]);
        let run = Flux::to(&server).transcript().arg("p").start();
        server.log().wait_for_requests(2);
        run.signal(Signal::INT);
        let run = run.wait().signal(2).stdout("");
        let transcript = run.transcript();
        assert_eq!(transcript.faults(), Vec::<String>::new());
        assert_eq!(transcript.result()["status"], "aborted");
        assert_eq!(transcript.result()["exit_code"], 130);
        assert_eq!(transcript.messages("toolResult").len(), 1);
    });
}

/// N-01, N-02, N-03, N-04, N-05: prompts that the predecessor took for commands reach the model as they are.
#[test]
fn regression_n01_to_n05_a_prompt_is_never_interpreted() {
    let prompts = [
        "can you help with this?",
        "help",
        "/help",
        "/clear",
        "should I commit the changes or wait?",
        "undo that",
        "exit",
        "quit",
        "y",
        "version",
        "list models",
        "list tools",
        "don't start over",
    ];
    for prompt in prompts {
        for_each_wire(|api| {
            let server = Server::script(api, [api.text("done")]);
            let _ = Flux::to(&server).arg(prompt).run().code(0).stdout("done\n").stderr("");
            assert_eq!(api.first_user_text(&server.only_request().json), prompt);
        });
        let server = Server::script(Api::Chat, [Api::Chat.text("done")]);
        let _ = Flux::to(&server).arg("-").stdin(prompt).run().code(0).stdout("done\n").stderr("");
        assert_eq!(Api::Chat.first_user_text(&server.only_request().json), prompt);
    }
}
