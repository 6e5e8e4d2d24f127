//! Hundreds of tool rounds against the strict server, with windows from small to large.
//!
//! `FLUX_TEST_LONG=1 cargo test --test tests long_run_ -- --nocapture` runs the whole matrix, up to 1,000 rounds with
//! windows up to 200,000 tokens, and says the figures; with `FLUX_TEST_BINARY` those of that binary.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::wire::Usage;
use crate::support::{Api, Flux, Reply, Request, Server, for_each_wire, say};

/// What the server saw of a run.
#[derive(Debug, Default)]
struct Seen {
    requests: usize,
    bytes: usize,
    largest: usize,
    /// How often the bytes before the last message were not those of the request before.
    breaks: usize,
    first_user_text: String,
    before: Vec<u8>,
    /// What the program has worked between two requests, without its helping threads.
    own: Vec<Duration>,
    worked: Duration,
    peak_kib: u64,
}

impl Seen {
    fn request(&mut self, api: Api, request: &Request, window: usize, pid: u32) {
        let worked = worked(pid);
        if self.requests > 0 {
            self.own.push(worked.saturating_sub(self.worked));
        }
        self.worked = worked;
        self.requests += 1;
        self.bytes += request.body.len();
        self.largest = self.largest.max(request.body.len());
        let task = api.first_user_text(&request.json);
        if self.before.is_empty() {
            self.first_user_text.clone_from(&task);
        }
        assert!(task == self.first_user_text, "the task has changed in request {}", self.requests);
        let ids: Vec<String> = api.results(&request.json).into_iter().map(|result| result.id).collect();
        assert!(ids.is_sorted(), "the order has changed in request {}", self.requests);
        let most = window - (window / 4).min(32_000);
        assert!(request.body.len() / 4 <= most, "{} tokens in a window of {window}", request.body.len() / 4);
        // What follows the last message: `]}` and at most a few fields.
        let end = self.before.len().saturating_sub(64);
        self.breaks += usize::from(!request.body.starts_with(&self.before[..end]));
        self.before.clone_from(&request.body);
        self.peak_kib = self.peak_kib.max(peak_kib(pid));
    }
}

/// The largest resident size of a process so far.
fn peak_kib(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
    line.trim().trim_end_matches(" kB").parse().unwrap_or(0)
}

/// The processor time of a process's first thread.
fn worked(pid: u32) -> Duration {
    let text = std::fs::read_to_string(format!("/proc/{pid}/schedstat")).unwrap_or_default();
    Duration::from_nanos(text.split(' ').next().and_then(|word| word.parse().ok()).unwrap_or(0))
}

/// Three calls: results of 50 bytes to 5 MB, and every round an error.
fn calls(api: Api, round: usize) -> Vec<(String, &'static str, Value)> {
    let size = match round % 10 {
        0 => "large.txt",
        1..=3 => "medium.txt",
        _ => "small.txt",
    };
    let id = |n: usize| format!("{}{n}", &api.id(100_000 + round));
    vec![
        (id(1), "read_files", json!({"paths": [size]})),
        (id(2), "read_files", json!({"paths": [format!("missing-{round}.txt")]})),
        (id(3), "grep_search", json!({"pattern": "word 7"})),
    ]
}

fn reply(api: Api, request: &Request, round: usize, rounds: usize) -> Reply {
    let usage = Usage { input: request.body.len() as u64 / 4, cache_read: 0, output: 40 };
    if round == rounds {
        return api.text_using("The end.", usage);
    }
    let calls = calls(api, round);
    let calls: Vec<_> = calls.iter().map(|(id, name, args)| (id.as_str(), *name, args.clone())).collect();
    api.turn("Looking.", &calls, usage)
}

fn long_run(api: Api, rounds: usize, window: usize) {
    let seen = Arc::new(Mutex::new(Seen::default()));
    let pid = Arc::new(AtomicU32::new(0));
    let (for_server, pid_for_server) = (Arc::clone(&seen), Arc::clone(&pid));
    let server = Server::of(api).window(window).forgets_bodies().answer(move |request| {
        let mut seen = for_server.lock().expect("no panic before");
        let round = seen.requests;
        seen.request(api, request, window, pid_for_server.load(Ordering::Relaxed));
        reply(api, request, round, rounds)
    });
    let lines = |count: usize| (0..count).map(|n| format!("a line of words, word {n}\n")).collect::<String>();
    let running = Flux::to(&server)
        .args(["--max-turns", "0", "--max-tool-calls", "0", "--max-context", &window.to_string(), "look around"])
        .stdin("context of the task\n".repeat(20))
        .file("small.txt", lines(2))
        .file("medium.txt", lines(300))
        .file("large.txt", lines(180_000))
        .transcript()
        .deadline(Duration::from_secs(900))
        .start();
    pid.store(running.pid(), Ordering::Relaxed);
    let run = running.wait().code(0).stdout("The end.\n").stderr("");
    let transcript = run.transcript();
    assert_eq!(transcript.faults(), Vec::<String>::new());
    let prunes = transcript.custom("flux.prune").len();
    let seen = seen.lock().expect("no panic before");
    assert_eq!(transcript.result()["prunes"], prunes);
    assert_eq!(seen.requests, rounds + 1);
    assert!(seen.breaks <= prunes, "the prefix changes at a prune and only there: {} > {prunes}", seen.breaks);
    assert!(window > 8_000 || rounds < 20 || prunes > 0, "a small window is pruned");
    transcript.removed_in_whole_turns();
    say(&figures(api, rounds, window, prunes, &seen));
}

fn figures(api: Api, rounds: usize, window: usize, prunes: usize, seen: &Seen) -> String {
    let at = |turn: usize| {
        let range = turn.saturating_sub(6)..(turn + 5).min(seen.own.len());
        let mut near: Vec<_> = seen.own.get(range).unwrap_or_default().to_vec();
        near.sort();
        near.get(near.len() / 2).map_or("-".to_owned(), |own| format!("{:.1}", own.as_secs_f64() * 1e3))
    };
    format!(
        "long run: {} {rounds} rounds, window {window}: {prunes} prunes, {} MB sent, largest {} KB, peak {} MiB, \
         own CPU ms at turn 10/100/1000: {}/{}/{}",
        api.wire(),
        seen.bytes / 1_000_000,
        seen.largest / 1000,
        seen.peak_kib / 1024,
        at(10),
        at(100),
        at(1000),
    )
}

#[test]
fn long_run_in_a_small_window_is_valid_on_every_wire() {
    for_each_wire(|api| long_run(api, 60, 4_000));
}

/// C-01, C-02, C-03, C-04, C-06, C-08, C-09: the lengths at which the predecessor broke pairs, reordered, collapsed
/// or pruned nothing.
#[test]
fn long_run_is_valid_at_every_length_where_the_predecessor_broke() {
    for rounds in [10, 16, 20, 30] {
        long_run(Api::Anthropic, rounds, 8_000);
    }
}

/// C-07: results that exceed the window alone are cut, and the task is not.
#[test]
fn long_run_of_one_turn_with_more_results_than_fit() {
    for_each_wire(|api| {
        let calls: Vec<_> = (0..20).map(|n| (api.id(n), "read_files", json!({"paths": ["large.txt"]}))).collect();
        let calls: Vec<_> = calls.iter().map(|(id, name, args)| (id.as_str(), *name, args.clone())).collect();
        let server = Server::script(api, [api.calls(&calls), api.text("done")]);
        let flux = Flux::to(&server).args(["--max-context", "8000", "the task"]).stdin("context\n".repeat(100));
        let run = flux.file("large.txt", "a line of words\n".repeat(320_000)).transcript().run().code(0);
        let requests = server.requests();
        assert!(requests[1].body.len() / 4 <= 6_000, "{api:?}: {} bytes", requests[1].body.len());
        assert_eq!(api.first_user_text(&requests[0].json), api.first_user_text(&requests[1].json));
        let results = api.results(&requests[1].json);
        assert!(results.len() == 20 && results.iter().all(|result| result.text.contains("left out here")));
        assert_eq!(run.transcript().custom("flux.prune").len(), 1);
    });
}

#[test]
fn long_run_matrix() {
    if std::env::var_os("FLUX_TEST_LONG").is_none() {
        return;
    }
    for window in [4_000, 8_000, 32_000, 200_000] {
        for rounds in [10, 16, 20, 30, 60, 120, 1_000] {
            for_each_wire(|api| long_run(api, rounds, window));
        }
    }
}
