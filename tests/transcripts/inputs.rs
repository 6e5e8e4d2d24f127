//! What is given: files, stdin, what is no transcript, readers that go away, a lot of it.

use std::fs::{self, File};
use std::io::{BufWriter, Write as _};
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use super::{lines, printed, recorded, transcript, write};
use crate::support::flux::Out;
use crate::support::{Api, flux, say};

const COMMANDS: &[&[&str]] = &[&["show"], &["validate"], &["export", "--to", "openai"], &["stats"], &["report"]];

#[test]
fn what_is_no_transcript_is_65_and_what_cannot_be_read_66() {
    let (place, _) = recorded(Api::Chat);
    fs::create_dir(place.here("folder")).expect("a folder");
    let place = place.file("notes", "important notes\n").file("empty", "").file("other", "{\"type\":\"session\"}\n");
    for command in COMMANDS {
        for (name, code) in [("notes", 65), ("other", 65), ("missing", 66), ("folder", 66), ("empty", 66)] {
            let _ = transcript(&place, &[command, &[name][..]].concat()).run().failure(code, 1).stderr_has(name);
        }
        let _ = transcript(&place, command).run().failure(66, 1).stderr_has("stdin: empty");
    }
}

#[test]
fn a_newer_transcript_is_named_as_such() {
    let (place, path) = recorded(Api::Chat);
    let mut all = lines(&path);
    all[0]["schema"] = json!("flux-transcript/2");
    write(&path, &all);
    let _ = transcript(&place, &["stats", &path]).run().failure(65, 1).stderr_has("flux-transcript/2");
}

#[test]
fn one_bad_file_does_not_cost_the_others() {
    let (place, path) = recorded(Api::Chat);
    let place = place.file("notes", "important notes\n");
    let run = transcript(&place, &["export", "--to", "hf", "missing", &path, "notes"]).run().code(66);
    assert_eq!(printed(&run).len(), 2);
    assert_eq!(run.err().lines().count(), 2, "{}", run.dump());
}

#[test]
fn a_damaged_line_is_left_out_and_said() {
    let (place, path) = recorded(Api::Chat);
    let mut text = fs::read_to_string(&path).expect("a transcript");
    text.insert_str(text.find('\n').expect("a line") + 1, "{\"type\": broken\n");
    fs::write(&path, text).expect("a transcript");
    let run = transcript(&place, &["stats", "--json", &path]).run().code(65).stderr_has(":2: ");
    assert_eq!(printed(&run)[0]["runs"]["total"], 2);
}

#[test]
fn a_crash_leaves_a_transcript_that_every_command_reads() {
    let (place, path) = recorded(Api::Chat);
    let text = fs::read_to_string(&path).expect("a transcript");
    // Killed while it wrote the first of two results.
    let at = text.find("\"toolResult\"").expect("a result");
    fs::write(&path, &text[..at]).expect("a transcript");
    for command in COMMANDS.iter().filter(|command| command[0] != "validate") {
        let run = transcript(&place, &[command, &[&*path][..]].concat()).run().code(0).stderr("");
        assert!(!run.stdout.is_empty());
    }
    let run = transcript(&place, &["validate", &path]).run().code(65);
    assert!(run.out().contains("torn") && run.out().contains("has no result"), "{}", run.dump());
}

#[test]
fn a_transcript_comes_from_stdin_as_from_a_file() {
    let (place, path) = recorded(Api::Chat);
    for command in COMMANDS {
        let file = transcript(&place, &[command, &[&*path][..]].concat()).run().code(0);
        for stdin in [&[][..], &["-"]] {
            let piped = transcript(&place, &[command, stdin].concat()).stdin_file(&path).run().code(0);
            assert_eq!(piped.out().replace("stdin", &path), file.out(), "{command:?}");
        }
    }
}

#[test]
fn a_terminal_is_no_transcript() {
    let pty = crate::support::sys::Pty::open();
    let _ = flux().args(["transcript", "show"]).terminal(&pty).run().code(2);
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let (place, path) = recorded(Api::Chat);
    let text = fs::read_to_string(&path).expect("a transcript");
    let (header, rest) = text.split_once('\n').expect("lines");
    fs::write(&path, format!("{header}\n{}", rest.repeat(50))).expect("a transcript");
    for command in COMMANDS.iter().filter(|command| command[0] != "validate") {
        let run = transcript(&place, &[command, &[&*path][..]].concat()).stdout_to(Out::Gone).run();
        let _ = run.signal(rustix::process::Signal::PIPE.as_raw()).stderr("");
    }
}

#[test]
fn a_full_disk_is_74() {
    let (place, path) = recorded(Api::Chat);
    for command in [&["show"][..], &["report"], &["stats"], &["schema"]] {
        let full = Arc::new(File::options().write(true).open("/dev/full").expect("/dev/full"));
        let files = if command[0] == "schema" { vec![] } else { vec![&*path] };
        let run = transcript(&place, &[command, &files].concat()).stdout_to(Out::Given(full)).run().code(74);
        assert_eq!(run.err().lines().count(), 1, "{}", run.dump());
    }
}

/// The program alone needs 24 MB of address space. With `FLUX_TEST_HUGE=1` the transcript has 1 GB.
#[test]
fn a_huge_transcript_needs_little_memory() {
    let huge = std::env::var_os("FLUX_TEST_HUGE").is_some();
    let (size, limit): (u64, u64) = if huge { (1 << 30, 128_000) } else { (20 << 20, 40_000) };
    let (place, path) = recorded(Api::Chat);
    let runs = many_runs(&path, &place.here("huge.jsonl"), size);
    for command in COMMANDS {
        let command = [command, &["huge.jsonl"][..]].concat();
        let null = Arc::new(File::options().write(true).open("/dev/null").expect("/dev/null"));
        let run = transcript(&place, &command).after(&format!("ulimit -v {limit}")).deadline(Duration::from_secs(900));
        let run = if command[0] == "stats" { run.arg("--json") } else { run.stdout_to(Out::Given(null)) };
        let run = run.run().code(0).stderr("");
        if command[0] == "stats" {
            assert_eq!(printed(&run)[0]["runs"]["total"], runs);
        }
        let (mb, space, seconds) = (size >> 20, limit / 1000, run.elapsed.as_secs_f32());
        say(&format!("transcript {} of {mb} MB in {space} MB of address space: {seconds:.1} s", command[0]));
    }
}

/// Copies the runs of a transcript, with ids of their own, until the file has that size; how many runs it then holds.
fn many_runs(from: &str, to: &std::path::Path, size: u64) -> u64 {
    let all = lines(from);
    let header = &all[0];
    let mut out = BufWriter::new(File::create(to).expect("a file"));
    writeln!(out, "{header}").expect("a line");
    let run = all[1]["run"].as_str().expect("a run").to_owned();
    // What a tool printed makes most of a real transcript.
    let text = "x".repeat(8000);
    let mut template = String::new();
    for line in all.iter().skip(1).filter(|line| line["run"] == *run) {
        let mut line = line.clone();
        if line["message"]["role"] == "toolResult" {
            line["message"]["content"][0]["text"] = json!(text);
        }
        template += &format!("{line}\n");
    }
    let (mut written, mut runs) = (0, 0);
    while written < size {
        // The first run began with the header.
        let id = if runs == 0 { run.clone() } else { format!("00000000-0000-7000-8000-{runs:012x}") };
        let mut copy = template.replace(&run, &id);
        if runs > 0 {
            copy = shifted(&copy);
        }
        out.write_all(copy.as_bytes()).expect("lines");
        written += copy.len() as u64;
        runs += 1;
    }
    runs
}

/// A run without a header begins with 0.
fn shifted(run: &str) -> String {
    (1..40).fold(run.to_owned(), |run, seq| run.replace(&format!("\"seq\":{seq},"), &format!("\"seq\":{},", seq - 1)))
}
