//! C-05 and C-10 to C-13: large inputs keep the task, tool results have a cap and a marker.

use serde_json::json;

use crate::support::tools::results;
use crate::support::{Flux, Server, for_each_wire};

/// C-05: with a large input the first message is the same in every request, the task at its end.
#[test]
fn regression_c05_the_task_survives_a_large_input() {
    for_each_wire(|api| {
        for size in [30_000, 300_000, 1_000_000] {
            let call = |n| api.calls(&[(&api.id(n), "list_files", json!({}))]);
            let server = Server::script(api, [call(1), call(2), api.text("done")]);
            let input = "0123456789\n".repeat(size / 11);
            let _ = Flux::to(&server).arg("the task").stdin(input).run().code(0).stdout("done\n");
            let firsts: Vec<String> = server.requests().iter().map(|r| api.first_user_text(&r.json)).collect();
            assert!(firsts.iter().all(|text| *text == firsts[0] && text.ends_with("the task")));
        }
    });
}

/// C-10: many small turns are not a full window: nothing is pruned.
#[test]
fn regression_c10_lifetime_usage_is_not_context_size() {
    for_each_wire(|api| {
        let usage = crate::support::wire::Usage { input: 20_000, cache_read: 0, output: 500 };
        let mut n = 0;
        let server = Server::of(api).answer(move |_| {
            n += 1;
            if n > 20 { api.text("done") } else { api.turn("", &[(&api.id(n), "list_files", json!({}))], usage) }
        });
        let run = Flux::to(&server).transcript().arg("p").run().code(0).stdout("done\n");
        assert_eq!(run.transcript().custom("flux.prune").len(), 0);
        assert_eq!(run.transcript().result()["prunes"], 0);
    });
}

/// C-11, C-12, C-13: a result is cut at the same size on every wire, whatever words are in it, and says what is
/// missing and how to get it.
#[test]
fn regression_c11_c12_c13_results_are_capped_with_a_marker_on_every_wire() {
    let plain = "a line of plain words\n".repeat(250_000);
    let errors = "a line with an error\n".repeat(250_000);
    let long_line = "x".repeat(5_000_000);
    let calls = [
        ("read_files", json!({"paths": ["plain.txt"]})),
        ("read_files", json!({"paths": ["errors.txt"]})),
        ("read_files", json!({"paths": ["long.txt"]})),
        ("read_files", json!({"paths": ["plain.txt", "errors.txt", "long.txt"]})),
        ("grep_search", json!({"pattern": "line"})),
        ("grep_search", json!({"pattern": "error"})),
        ("grep_search", json!({"pattern": "xxx"})),
    ];
    for_each_wire(|api| {
        let files = |f: Flux| f.file("plain.txt", &plain).file("errors.txt", &errors).file("long.txt", &long_line);
        let answers = results(api, files, &calls);
        for (call, answer) in calls.iter().zip(&answers) {
            let size = answer.text.len();
            assert!((1..80_000).contains(&size), "{call:?}: {size} bytes");
            assert!(answer.is_error != Some(true), "{call:?}: {}", &answer.text[..300.min(size)]);
        }
        for (call, answer) in calls.iter().zip(&answers).filter(|(call, _)| call.0 == "read_files") {
            let says_the_size = ["250000", "250,000", "5000000", "5,000,000", "start_line", "omitted"];
            assert!(says_the_size.iter().any(|s| answer.text.contains(s)), "{call:?}: no marker");
        }
        let difference = answers[0].text.len().abs_diff(answers[1].text.len());
        assert!(difference < answers[0].text.len() / 4, "the word error changes the cap by {difference}");
    });
}
