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
