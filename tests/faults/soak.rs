//! Many turns with tool outputs: memory and descriptors stay flat.
//!
//! The suite takes 300 turns without a pause. A thousand turns over two minutes, or over eight hours:
//! `FLUX_TEST_SOAK=120 cargo test --test tests soak -- --nocapture`, `FLUX_TEST_SOAK=28800 …` (seconds).

use std::fs;
use std::time::Duration;

use serde_json::json;

use crate::support::{Api, Flux, Server, say};

/// What a process holds.
#[derive(Debug, Clone, Copy, Default)]
struct Held {
    kib: u64,
    descriptors: usize,
}

fn held(pid: u32) -> Option<Held> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let kib =
        status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?.trim().trim_end_matches(" kB").parse().ok()?;
    Some(Held { kib, descriptors: fs::read_dir(format!("/proc/{pid}/fd")).ok()?.count() })
}

#[test]
fn memory_and_descriptors_stay_flat_over_many_turns() {
    let seconds: Option<u64> = std::env::var("FLUX_TEST_SOAK").ok().and_then(|seconds| seconds.parse().ok());
    let turns = if seconds.is_some() { 1000 } else { 300 };
    let pause = Duration::from_secs(seconds.unwrap_or(0)) / turns;
    let (tell, told) = std::sync::mpsc::channel();
    let mut turn = 0;
    let server = Server::of(Api::Chat).lenient().answer(move |_| {
        turn += 1;
        let _ = tell.send(turn);
        if turn > turns {
            return Api::Chat.text("done");
        }
        let (id, start) = (format!("call_{turn}"), turn % 50 + 1);
        let arguments = json!({"paths": ["a.txt"], "start_line": start, "end_line": start});
        Api::Chat.calls(&[(&id, "read_files", arguments)]).delay(pause)
    });
    let lines: String = (0..60).map(|n| format!("line {n}\n")).collect();
    let flux = Flux::to(&server).args(["--max-turns", "0", "--max-tool-calls", "0", "p"]).file("a.txt", lines);
    let flux = flux.transcript().deadline(Duration::from_secs(seconds.unwrap_or(0) + 120));
    let running = flux.start();
    let mut samples: Vec<(u32, Held)> = Vec::new();
    while let Ok(turn) = told.recv_timeout(pause + Duration::from_secs(30)) {
        if turn % 20 == 0
            && let Some(held) = held(running.pid())
        {
            samples.push((turn, held));
        }
        if turn > turns {
            break;
        }
    }
    let _ = running.wait().code(0).stdout("done\n").stderr("");
    let of = |from: u32| samples.iter().filter(move |(turn, _)| *turn >= from).map(|(_, held)| *held);
    let (first, most) = (of(100).next().expect("samples"), of(100).map(|held| held.kib).max().expect("samples"));
    let descriptors = of(20).map(|held| held.descriptors);
    let (fewest, at_most) = (descriptors.clone().min().unwrap_or(0), descriptors.max().unwrap_or(0));
    say(&format!(
        "{turns} turns: {} KiB at turn 100, at most {most} KiB after; {fewest} to {at_most} descriptors",
        first.kib
    ));
    // The conversation itself grows by some hundred bytes a turn, in memory and in the request.
    assert!(most < first.kib + first.kib / 10 + u64::from(turns), "{samples:?}");
    // Between two requests a connection may be looked at by a second descriptor or two.
    assert!(at_most <= fewest + 3, "{samples:?}");
}
