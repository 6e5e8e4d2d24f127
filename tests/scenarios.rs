//! All scripted replies of `fixtures/scenarios.jsonl` through the binary, over a socket, at four read sizes.
//!
//! Each line is what a server really sends and what a correct client must conclude; if one of these tests fails,
//! some user of that server gets a wrong answer, a wrong exit code, or a tool run that nobody asked for.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::thread;

use serde_json::{Value, json};

use crate::scenario_checks as checks;
use crate::support::reply::Framing;
use crate::support::{Api, End, Flux, Reply, Run, Server, say};

/// Bytes a write, with the way in which the body's end is marked.
const SIZES: [(Option<usize>, Framing); 4] =
    [(None, Framing::Length), (Some(1), Framing::Chunked), (Some(7), Framing::Eof), (Some(64), Framing::Chunked)];

/// One scripted reply with its expectations.
#[derive(Debug, Clone)]
pub struct Scenario {
    pub name: String,
    pub api: Api,
    line: Value,
}

impl Scenario {
    /// The expectations.
    pub fn expect(&self) -> &Value {
        &self.line["expect"]
    }

    /// True if a second request must follow.
    pub fn goes_on(&self) -> bool {
        self.expect()["run_tools"] == true || self.expect()["stop"] == "pause"
    }

    /// True if the client may also fail with class `protocol`.
    pub fn is_optional(&self) -> bool {
        self.line["optional"] == true
    }

    /// The whole body at once.
    pub fn reply(&self) -> Reply {
        self.reply_in((None, Framing::Chunked))
    }

    fn reply_in(&self, (chunk, framing): (Option<usize>, Framing)) -> Reply {
        let text = self.line["body"].as_str().expect("a body");
        let body = if self.line["body_encoding"] == "base64" { base64(text) } else { text.as_bytes().to_vec() };
        let status = u16::try_from(self.line["http_status"].as_u64().expect("a status")).expect("a status");
        let transport = &self.line["transport"];
        let end = match transport["end"].as_str() {
            Some("reset") => End::Reset,
            Some("stall") => End::Stall,
            _ => End::KeepAlive,
        };
        let chunk = chunk.or(transport["chunk"].as_u64().and_then(|n| n.try_into().ok()));
        let mut reply = Reply { chunk, ..Reply::new(status, "", body).framing(framing).end(end) };
        let headers = self.line["headers"].as_object().expect("headers");
        reply.headers = headers.iter().map(|(n, v)| (n.clone(), v.as_str().unwrap_or_default().into())).collect();
        reply
    }

    /// The command that meets the reply.
    pub fn command(&self, server: &Server) -> Flux {
        let flux = Flux::to(server).args(["--stream", "--retries", "0"]).transcript();
        let stalls = self.line["transport"]["end"] == "stall";
        if stalls { flux.args(["--idle-timeout", "1s", "p"]) } else { flux.arg("p") }
    }

    /// The server with this reply, and a plain answer after it where the run goes on.
    pub fn server(&self, first: Reply) -> Server {
        let last = self.goes_on().then(|| self.api.text("fin"));
        Server::script(self.api, std::iter::once(first).chain(last))
    }
}

/// All scenarios of the file.
pub fn all() -> Vec<Scenario> {
    let lines = include_str!("fixtures/scenarios.jsonl").lines();
    let scenario = |line: &str| {
        let line: Value = serde_json::from_str(line).expect("a line of scenarios.jsonl is JSON");
        let text = |key: &str| line[key].as_str().expect("a text").to_owned();
        Scenario { name: text("name"), api: Api::of_wire(&text("wire")), line: line.clone() }
    };
    lines.map(scenario).collect()
}

fn base64(text: &str) -> Vec<u8> {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.decode(text).expect("base64")
}

#[test]
fn every_scenario_at_every_read_size_is_understood() {
    let jobs: Vec<_> = all().into_iter().flat_map(|s| SIZES.map(|size| (s.clone(), size))).collect();
    let queue = Mutex::new(jobs.into_iter());
    let (done, failures) = (Mutex::new(Vec::new()), Mutex::new(Vec::new()));
    thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| {
                while let Some((scenario, size)) = next(&queue) {
                    let result = catch_unwind(AssertUnwindSafe(|| meet(&scenario, size)));
                    done.lock().expect("a list").push(scenario.name.clone());
                    if let Err(panic) = result {
                        let text = panic.downcast_ref::<String>().cloned().unwrap_or_default();
                        failures.lock().expect("a list").push(format!("{} at {size:?}: {text}", scenario.name));
                    }
                }
            });
        }
    });
    report(done.into_inner().expect("a list"), &failures.into_inner().expect("a list"));
}

fn next<T>(queue: &Mutex<impl Iterator<Item = T>>) -> Option<T> {
    queue.lock().expect("the queue").next()
}

fn report(done: Vec<String>, failures: &[String]) {
    let runs = done.len();
    let names: BTreeSet<String> = done.into_iter().collect();
    let in_file: BTreeSet<String> = all().into_iter().map(|s| s.name).collect();
    assert_eq!(names, in_file, "the scenarios run are not those in the file");
    assert_eq!(names.len(), 144);
    say(&format!("scenarios: {} of {}, {runs} runs, {} failed", names.len(), in_file.len(), failures.len()));
    assert!(failures.is_empty(), "{}", failures.join("\n========\n"));
}

fn meet(scenario: &Scenario, size: (Option<usize>, Framing)) {
    let server = scenario.server(scenario.reply_in(size));
    let run = scenario.command(&server).run();
    judge(scenario, run, &server);
}

fn judge(scenario: &Scenario, run: Run, server: &Server) {
    let expect = scenario.expect();
    if scenario.is_optional() && run.code != Some(0) {
        let _ = run.code(76).stdout("");
        return;
    }
    let run = checks::streams(scenario, run);
    let transcript = run.transcript();
    let mut faults = transcript.faults();
    checks::request_line(expect, &transcript.custom("flux.request"), &mut faults);
    checks::assistant_line(scenario, &transcript, &mut faults);
    checks::tools(expect, &transcript, &mut faults);
    checks::second_request(scenario, &server.requests(), &mut faults);
    let result = transcript.result();
    if result["exit_code"] != json!(run.code) {
        faults.push(format!("the result line says {}", result["exit_code"]));
    }
    let lines: Vec<String> = transcript.0.iter().map(ToString::to_string).collect();
    let _ = run.check(faults.is_empty(), &format!("{faults:#?}\n{}", lines.join("\n")));
}
