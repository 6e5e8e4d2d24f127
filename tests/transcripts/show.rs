//! `flux transcript show`: what people read, and what a hostile transcript cannot do to their terminal.

use std::io::Write as _;
use std::sync::Arc;

use serde_json::json;

use super::{lines, recorded, transcript, write};
use crate::support::flux::Out;
use crate::support::sys::Pty;
use crate::support::{Api, for_each_wire};

#[test]
fn everything_that_happened_can_be_read() {
    for_each_wire(|api| {
        let (place, path) = recorded(api);
        let run = transcript(&place, &["show", &path]).run().code(0).stderr("");
        let shown = run.out();
        for part in [
            "What is it?",
            "alpha & <beta>",
            "request failed: overloaded",
            "HTTP 503",
            "Let me see.",
            "→ read_files {\"paths\":[\"a.txt\"]}",
            "no_such_tool: unknown_tool",
            "The <b>answer</b>.",
            "result: ok (exit 0)",
            "Again.",
        ] {
            assert!(shown.contains(part), "{part}\n{shown}");
        }
        assert!(!shown.contains('\x1b'), "colour in a pipe");
        let order = ["What is it?", "Let me see.", "The <b>answer</b>.", "second", "Again."];
        let places: Vec<_> = order.iter().map(|part| shown.find(part)).collect();
        assert!(places.is_sorted(), "{places:?}");
    });
}

#[test]
fn long_texts_are_cut_unless_all_is_wanted() {
    let (place, path) = recorded(Api::Chat);
    let mut all = lines(&path);
    let result = all.iter_mut().find(|line| line["message"]["role"] == "toolResult").expect("a result");
    let text: String = (1..=500).map(|n| format!("line {n}\n")).collect();
    result["message"]["content"][0]["text"] = json!(text);
    write(&path, &all);
    let cut = transcript(&place, &["show", &path]).run().code(0).out();
    assert!(cut.contains("line 10\n") && !cut.contains("line 11\n") && cut.contains("490 more lines"), "{cut}");
    let full = transcript(&place, &["show", "--full", &path]).run().code(0).out();
    assert!(full.contains("line 500\n") && !full.contains("more lines"));
}

#[test]
fn a_hostile_transcript_has_no_power_over_the_terminal() {
    let (place, path) = recorded(Api::Chat);
    let hostile = "\u{1b}]0;owned\u{7}\u{1b}[2J\u{9b}31m\u{202e}\u{1b}P";
    let text = std::fs::read_to_string(&path).expect("a transcript");
    let escaped: String = hostile.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect();
    let text = ["Let me see.", "no_such_tool", "overloaded", "busy", "second", "alpha"]
        .iter()
        .fold(text, |text, word| text.replace(word, &format!("{word}{escaped}")));
    std::fs::write(&path, text).expect("a transcript");
    for command in [&["show"][..], &["stats"], &["stats", "--json"], &["export", "--to", "openai"], &["report"]] {
        let pty = Pty::open();
        let out = Out::Given(Arc::new(pty.slave()));
        let drained = std::thread::scope(|scope| {
            let reader = scope.spawn(|| shown_until_quiet(&pty));
            let _ = transcript(&place, &[command, &[&*path][..]].concat()).stdout_to(out).run().code(0);
            reader.join().expect("what was shown")
        });
        let ours = drained.replace("\x1b[0m", "");
        let ours =
            ["1", "2", "31", "33", "1;36", "1;32"].iter().fold(ours, |o, c| o.replace(&format!("\x1b[{c}m"), ""));
        assert!(!ours.contains(['\u{1b}', '\u{7}', '\u{9b}', '\u{202e}']), "{command:?}: {ours:?}");
        assert!(!ours.is_empty());
    }
    // To a pipe the bytes are the transcript's own.
    assert!(transcript(&place, &["show", &path]).run().code(0).out().contains(hostile));
    // Colour in a pipe is for a pager, which is a terminal in the end.
    assert!(!transcript(&place, &["show", "--color", "always", &path]).run().code(0).out().contains("\u{1b}]0"));
}

/// Reads the terminal while the program writes, so that it never waits for a reader.
fn shown_until_quiet(pty: &Pty) -> String {
    let mut shown = String::new();
    let mut quiet = 0;
    while quiet < 10 {
        let more = pty.shown();
        quiet = if more.is_empty() { quiet + 1 } else { 0 };
        shown += &more;
    }
    shown
}

#[test]
fn colour_is_for_terminals_or_on_demand() {
    let (place, path) = recorded(Api::Chat);
    let shown = |args: &[&str]| transcript(&place, &[&["show", &path], args].concat()).run().code(0).out();
    assert!(shown(&["--color", "always"]).contains("\x1b[1;32massistant\x1b[0m"));
    assert!(!shown(&["--color", "never"]).contains('\x1b'));
    let no_color = transcript(&place, &["show", &path]).env("CLICOLOR_FORCE", "1").env("NO_COLOR", "1").run();
    assert!(!no_color.code(0).out().contains('\x1b'));
}

#[test]
fn a_run_is_shown_while_it_goes_on() {
    let (place, path) = recorded(Api::Chat);
    let text = std::fs::read_to_string(&path).expect("a transcript");
    let (ours, theirs) = std::io::pipe().expect("a pipe");
    let out = Out::Given(Arc::new(std::fs::File::from(std::os::fd::OwnedFd::from(theirs))));
    let mut run = transcript(&place, &["show"]).stdout_to(out).stdin_pipe_open().start();
    let mut stdin = run.stdin.take().expect("an open pipe");
    let lines: Vec<&str> = text.split_inclusive('\n').take(3).collect();
    stdin.write_all(lines.concat().as_bytes()).expect("lines");
    let mut shown = String::new();
    let mut reader = std::io::BufReader::new(ours);
    while !shown.contains("What is it?") {
        let read = std::io::BufRead::read_line(&mut reader, &mut shown).expect("text");
        assert!(read > 0, "ended with {shown}");
    }
    drop((stdin, reader));
    let _ = run.wait();
}

#[test]
fn runs_that_stand_mixed_say_whose_line_it_is() {
    let (place, path) = recorded(Api::Chat);
    let all = lines(&path);
    let first = all.iter().position(|line| line["type"] == "result").expect("a result");
    let (one, two) = all.split_at(first + 1);
    let mut mixed = Vec::new();
    for n in 0..one.len().max(two.len()) {
        mixed.extend(one.get(n).cloned());
        mixed.extend(two.get(n).cloned());
    }
    write(&path, &mixed);
    let _ = transcript(&place, &["validate", &path]).run().code(0).stdout("");
    let shown = transcript(&place, &["show", &path]).run().code(0).out();
    let id = two[0]["run"].as_str().expect("a run");
    assert!(shown.matches(&format!("run {id}")).count() > 2, "{shown}");
}
