//! Conversations of many runs, some of them killed at any moment.
//!
//! `FLUX_TEST_LONG=1 cargo test --test tests session_of_many_runs` makes 300 runs with 50 kills.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::support::wire::Usage;
use crate::support::{Api, End, Server, ask, for_each_wire, say};

fn many_runs(api: Api, runs: usize, every: usize) {
    let number = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&number);
    let server = Server::of(api).forgets_bodies().answer(move |request| {
        let n = count.fetch_add(1, Ordering::Relaxed);
        let usage = Usage { input: request.body.len() as u64 / 4, cache_read: 0, output: 20 };
        // Every other request of a run asks for a call.
        let last = request.json.to_string();
        let asks = n.is_multiple_of(2) && !last.ends_with("done");
        let call = (&*api.id(n), "read_files", json!({"paths": ["a.txt"]}));
        if asks { api.turn("", &[call], usage) } else { api.text_using(&format!("answer {n}"), usage) }
    });
    let flux = ask().server(&server).file("a.txt", "alpha beta\n".repeat(100));
    let (mut killed, mut lost, mut whole) = (0, 0, Duration::from_millis(10));
    for n in 0..runs {
        let before = fs::read_to_string(flux.here("talk.jsonl")).unwrap_or_default();
        let question = format!("question {n}");
        let flux = flux.clone().args(["-c", "talk.jsonl", "--max-context", "16000", &question]);
        if n % every == every - 1 {
            let running = flux.start();
            std::thread::sleep(whole.mul_f64(fastrand::f64()));
            running.signal_if_there(Signal::KILL);
            killed += usize::from(running.wait().signal == Some(9));
        } else {
            // A kill is to come while a run lasts, however fast the machine is just now.
            whole = flux.run().code(0).elapsed;
        }
        let after = fs::read_to_string(flux.here("talk.jsonl")).unwrap_or_default();
        // A torn tail is the most that a kill can cost; the next run removes it.
        let kept = before.rfind('\n').map_or(0, |at| at + 1);
        assert!(after.starts_with(&before[..kept]), "run {n} lost what was there");
        lost += after.lines().filter(|line| serde_json::from_str::<Value>(line).is_err()).count();
    }
    let text = fs::read_to_string(flux.here("talk.jsonl")).expect("the session");
    let lines = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let results = lines.filter(|line| line["type"] == "result" && line["exit_code"] == 0).count();
    assert!(killed > 0 && lost <= killed, "{killed} runs were killed, {lost} lines torn");
    assert!(results >= runs - killed, "{results} of {runs} runs ended well, {killed} were killed");
    say(&format!(
        "session: {} {runs} runs, {killed} killed, {lost} torn lines met, {} requests, {} prunes, file {} KB",
        api.wire(),
        number.load(Ordering::Relaxed),
        text.matches("\"flux.prune\"").count(),
        text.len() / 1000,
    ));
}

/// L-11: an interrupt during a request leaves a session that goes on.
#[test]
fn session_goes_on_after_an_interrupt() {
    for_each_wire(|api| {
        let call = api.calls(&[(&api.id(1), "read_files", json!({"paths": ["a.txt"]}))]);
        let server = Server::script(api, [call, api.text("zebraXzebra").cut_after_event("zebra").end(End::Stall)]);
        let flux = ask().file("a.txt", "alpha\n");
        let running = flux.clone().server(&server).args(["-c", "talk.jsonl", "the question"]).start();
        server.log().wait_for_requests(2);
        // Until the beginning of the second reply has been read.
        std::thread::sleep(Duration::from_millis(300));
        running.signal(Signal::INT);
        let _ = running.wait().signal(2).stdout("");
        let text = fs::read_to_string(flux.here("talk.jsonl")).expect("the session");
        assert!(text.contains("zebra") && text.contains("\"aborted\""), "{text}");
        let server = Server::script(api, [api.text("answer")]);
        let _ = flux.clone().server(&server).args(["-c", "talk.jsonl", "and now?"]).run().code(0).stdout("answer\n");
        let request = server.only_request();
        assert!(request.text().contains("the question") && request.text().contains("and now?"));
        assert!(!request.text().contains("zebra"), "what had arrived of a reply is no reply");
        assert_eq!(api.results(&request.json).len(), 1);
    });
}

#[test]
fn session_of_many_runs_survives_kills() {
    if std::env::var_os("FLUX_TEST_LONG").is_some() {
        for_each_wire(|api| many_runs(api, 300, 5));
    } else {
        for_each_wire(|api| many_runs(api, 12, 3));
    }
}
