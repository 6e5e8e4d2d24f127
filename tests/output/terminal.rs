//! What is different at a terminal: streaming by default, control sequences stripped, a status line.

use std::sync::Arc;

use super::{answering, two_turns};
use crate::support::flux::Out;
use crate::support::sys::Pty;
use crate::support::{Api, Flux, Run, Server};

/// Runs with stdout on a terminal and gives what it shows.
fn on_terminal(flux: Flux) -> (Run, String) {
    let pty = Pty::open();
    let run = flux.stdout_to(Out::Given(Arc::new(pty.slave()))).run();
    (run, pty.shown())
}

#[test]
fn a_terminal_streams_by_default() {
    let server = Server::script(Api::Chat, two_turns(Api::Chat, "The answer."));
    let (run, shown) = on_terminal(Flux::to(&server).arg("p"));
    let _ = run.code(0);
    assert_eq!(shown, "Let me see.\n\nThe answer.\n");
}

#[test]
fn a_terminal_is_never_sent_the_models_control_sequences_a_pipe_is_sent_the_bytes() {
    let evil = "a\u{1b}]52;c;Zm9v\u{7}b\u{1b}[2Jc\u{9b}31md\u{8}e\ttab";
    let (_server, flux) = answering(evil);
    let (run, shown) = on_terminal(flux.arg("p"));
    let _ = run.code(0);
    let clean = |c: char| c == '\n' || c == '\t' || !c.is_control();
    assert!(shown.chars().all(clean), "{shown:?}");
    assert!(shown.contains('a') && shown.contains("tab"), "{shown:?}");
    let (_server, flux) = answering(evil);
    let _ = flux.arg("p").run().code(0).stdout(format!("{evil}\n"));
}

#[test]
fn a_pipe_gets_no_colour_unless_asked() {
    for (name, value) in [("TERM", "xterm-256color"), ("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")] {
        let (_server, flux) = answering("done");
        let _ = flux.env(name, value).arg("p").run().code(0).stdout("done\n").stderr("");
    }
    for value in ["always", "auto", "never"] {
        let (_server, flux) = answering("done");
        let _ = flux.args(["--color", value, "p"]).run().code(0).stdout("done\n");
    }
}

#[test]
fn a_status_line_stands_only_where_both_streams_are_terminals() {
    let (_server, flux) = answering("done");
    let (run, shown) = on_terminal(flux.arg("p"));
    let _ = run.code(0).stderr("");
    assert_eq!(shown, "done\n");
    let pty = Pty::open();
    let (_server, flux) = answering("done");
    let run = flux.arg("p").stderr_to(Out::Given(Arc::new(pty.slave()))).run();
    let _ = run.code(0).stdout("done\n");
}

#[test]
fn neither_a_transcript_nor_a_list_of_tools_moves_the_cursor() {
    let evil = "a\u{1b}]52;c;Zm9v\u{7}\u{9b}2J\u{7f}\u{202e}\u{e0041}";
    let clean = |shown: &str| shown.chars().all(|c| c == '\n' || !(c.is_control() || "\u{202e}\u{e0041}".contains(c)));
    // With the answer in a file stdout can have the transcript.
    for args in [&["--jsonl"][..], &["-o", "file", "--transcript", "fd:1"]] {
        let (_server, flux) = answering(evil);
        let (run, shown) = on_terminal(flux.args(args.iter().copied()).arg("p"));
        let _ = run.code(0);
        assert!(clean(&shown), "{shown:?}");
        let last: serde_json::Value = serde_json::from_str(shown.lines().last().expect("a line")).expect("JSON");
        assert_eq!(last["result"], evil);
    }
    let describes = format!(
        "#!/bin/sh\nprintf '%s' '{{\"name\":\"t\",\"description\":\"{evil}\",\"inputSchema\":{{\"type\":\"object\"}}}}'\n"
    );
    let (_server, flux) = super::untouched();
    let flux = flux.file("tool", describes.replace('\u{1b}', "\\u001b").replace('\u{7}', "\\u0007"));
    std::fs::set_permissions(flux.here("tool"), std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("chmod");
    let (run, shown) = on_terminal(flux.args(["--tool", "./tool", "--list-tools"]));
    let _ = run.code(0);
    assert!(clean(&shown) && shown.contains("52;c;Zm9v"), "{shown:?}");
}

#[test]
fn a_message_never_shares_a_line_with_the_answer() {
    let server = Server::script(Api::Chat, two_turns(Api::Chat, "The answer."));
    let pty = Pty::open();
    let out = Out::Given(Arc::new(pty.slave()));
    let run = Flux::to(&server).args(["-v", "p"]).stdout_to(out.clone()).stderr_to(out).run().code(0);
    let shown = pty.shown();
    let lines: Vec<&str> = shown.lines().collect();
    assert!(lines.contains(&"Let me see.") && lines.contains(&"The answer."), "{shown:?}\n{}", run.dump());
}
