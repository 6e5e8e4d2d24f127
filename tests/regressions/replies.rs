//! P-05, P-10 to P-16, L-06, L-07: what may be made of a reply that is cut, empty, broken or a refusal.

use std::time::Duration;

use serde_json::json;

use crate::support::wire::{USAGE, Usage};
use crate::support::{Api, End, Flux, Reply, Server, for_each_wire};

/// P-05: the second call of a turn is cut off: the first, though whole, does not run either.
#[test]
fn regression_p05_no_tool_runs_before_the_turn_is_complete() {
    for_each_wire(|api| {
        let (a, b) = (api.id(1), api.id(2));
        let args = json!({"paths": ["a.txt"]});
        let whole = api.calls(&[(&a, "read_files", args.clone()), (&b, "read_files", args)]);
        let server = Server::script(api, [whole.cut_after(&b).end(End::CutInChunk)]);
        let run = Flux::to(&server).file("a.txt", "alpha").args(["--retries", "0"]).transcript().arg("p").run();
        let run = run.failure(75, 1);
        assert_eq!(run.transcript().result()["tool_calls"]["ok"], 0);
        assert!(run.transcript().messages("toolResult").iter().all(|r| r["isError"] == true));
    });
}

/// P-10: a 200 without a byte is tried once more, then an error; an empty turn is "no answer". Nothing empty is sent.
#[test]
fn regression_p10_empty_replies_are_an_error_and_nothing_empty_is_resent() {
    for_each_wire(|api| {
        let server = Server::script(api, [Reply::sse(""), Reply::sse("")]);
        let _ = Flux::to(&server).arg("p").run().failure(75, 1);
        let server = Server::script(api, [api.text("")]);
        let _ = Flux::to(&server).arg("p").run().failure(82, 1);
        let server = Server::script(api, [api.calls(&[(&api.id(1), "list_files", json!({}))]), api.text("")]);
        let _ = Flux::to(&server).arg("p").run().failure(82, 1);
    });
}

/// P-11: an answer that the output limit cut is no answer, and a call that it cut does not run.
#[test]
fn regression_p11_what_the_output_limit_cut_is_neither_passed_nor_run() {
    for_each_wire(|api| {
        let id = api.id(1);
        let calls = [
            None,
            Some((&*id, "read_files", "{\"paths\": [\"a.t")),
            Some((&*id, "read_files", "{\"paths\": [\"a.txt\"]}")),
        ];
        for call in calls {
            let server = Server::script(api, [api.cut("half an ans", call)]);
            let run = Flux::to(&server).file("a.txt", "alpha").transcript().arg("p").run().failure(80, 1);
            assert_eq!(run.transcript().result()["tool_calls"]["ok"], 0);
        }
    });
}

/// P-12: arguments that are not one JSON object are not taken for `{}`: the model hears what is wrong, and goes on.
#[test]
fn regression_p12_bad_arguments_are_an_error_that_names_the_fault() {
    for_each_wire(|api| {
        for bad in ["{\"path\": ", "[1]", "\"text\"", "{}{\"path\": 1}", "nonsense"] {
            let id = api.id(1);
            let server = Server::script(api, [api.broken_call(&id, "list_files", bad), api.text("done")]);
            let run = Flux::to(&server).file("a.txt", "x").transcript().arg("p").run().code(0).stdout("done\n");
            let result = api.result(&server.requests()[1].json, &id);
            assert!(result.is_error.unwrap_or(true), "{bad}: {result:?}");
            assert!(result.text.contains("JSON") && !result.text.contains("a.txt"), "{bad}: {result:?}");
            assert_eq!(run.transcript().result()["tool_calls"], json!({"ok": 0, "error": 1, "denied": 0}));
        }
    });
}

/// P-13: large prompts neither hang nor lose a byte.
#[test]
fn regression_p13_big_prompts_do_not_hang() {
    for_each_wire(|api| {
        for size in [200_000, 1_000_000] {
            let server = Server::script(api, [api.text("done")]);
            let input: String = (0..).map(|n| format!("line {n}\n")).take(size / 9).collect();
            let flux = Flux::to(&server).arg("sum").stdin(input.clone()).deadline(Duration::from_secs(8));
            let run = flux.run().code(0).stdout("done\n");
            let sent = api.first_user_text(&server.only_request().json);
            let _ = run.check(sent.contains(&input), "all of stdin is sent");
        }
    });
}

/// P-14: usage is what the server counted, on every wire, for each turn and in sum.
#[test]
fn regression_p14_usage_is_the_servers() {
    for_each_wire(|api| {
        let second = Usage { input: 1_000, cache_read: 400, output: 77 };
        let first = api.calls(&[(&api.id(1), "list_files", json!({}))]);
        let server = Server::script(api, [first, api.text_using("done", second)]);
        let run = Flux::to(&server).transcript().arg("p").run().code(0);
        let transcript = run.transcript();
        for (message, usage) in transcript.messages("assistant").iter().zip([USAGE, second]) {
            let is = ["input", "cacheRead", "output", "totalTokens"].map(|key| message["usage"][key].as_u64());
            let should = [usage.input - usage.cache_read, usage.cache_read, usage.output, usage.input + usage.output];
            assert_eq!(is, should.map(Some), "{api:?}: {message:#}");
        }
        let total = &transcript.result()["usage"];
        assert_eq!((&total["input"], &total["output"]), (&json!(620), &json!(86)), "{api:?}: {total:#}");
    });
}

/// P-16, L-06, L-07: a prompt that is too long for the server is exit 65, without an answer and without the same
/// request again; the task is in the one request that was sent.
#[test]
fn regression_p16_l06_l07_no_unchanged_resend_of_a_request_that_is_too_long() {
    for_each_wire(|api| {
        let server = Server::of(api).window(20_000).script([]);
        let input = "words and words\n".repeat(20_000);
        let run = Flux::to(&server).transcript().arg("the task").stdin(input).run().failure(65, 1);
        let requests = server.requests();
        let bodies: Vec<_> = requests.iter().map(|r| &r.body).collect();
        assert!(bodies.windows(2).all(|pair| pair[1].len() < pair[0].len()), "the same request was sent again");
        assert!(requests.iter().all(|r| api.first_user_text(&r.json).ends_with("the task")));
        assert_eq!(run.transcript().result()["status"], "error");
    });
    let api = Api::Chat;
    let server = Server::script(api, [api.error(413, "too_large", "too large")]);
    let _ = Flux::to(&server).arg("p").run().failure(65, 1);
}
