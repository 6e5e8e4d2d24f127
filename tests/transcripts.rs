//! `flux transcript`: what the binary has written it can show, hold against its rules, export, count and report.

mod export;
mod inputs;
mod report;
mod schema;
mod show;
mod stats;
mod strangers;
mod validate;

use std::path::Path;

use serde_json::{Value, json};

use crate::support::{Api, Flux, Run, Server, flux};

/// `flux transcript …`, run where `place` ran.
fn transcript(place: &Flux, args: &[&str]) -> Flux {
    flux().cwd(place.here("")).arg("transcript").args(args.iter().copied())
}

/// A place with `transcript.jsonl` and its path: a run with a failed attempt, thinking, two calls of which one fails,
/// and an answer; then a run that says `second`.
fn recorded(api: Api) -> (Flux, String) {
    let calls = [(&*api.id(1), "read_files", json!({"paths": ["a.txt"]})), (&*api.id(2), "no_such_tool", json!({}))];
    let busy = api.error(503, "overloaded_error", "busy").header("retry-after-ms", "10");
    let replies = [busy, api.text_and_calls("Let me see.", &calls), api.text("The <b>answer</b>."), api.text("Again.")];
    let server = Server::script(api, replies);
    let place = Flux::to(&server).file("a.txt", "alpha & <beta>\n").transcript();
    let _ = place.clone().args(["-f", "a.txt", "What is it?"]).run().code(0);
    let _ = place.clone().args(["-n", "second"]).run().code(0);
    let path = place.path("transcript.jsonl").display().to_string();
    (place, path)
}

/// The lines of a file as JSON.
fn lines(path: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(path).expect("a transcript");
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

/// Writes lines of JSON.
fn write(path: impl AsRef<Path>, lines: &[Value]) {
    let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    std::fs::write(path, text).expect("a file");
}

/// stdout as lines of JSON.
fn printed(run: &Run) -> Vec<Value> {
    run.out().lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}
