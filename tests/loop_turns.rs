//! Long tool loops against the strict server: every request valid, nothing added between the turns, one connection.
//!
//! If one of these fails, a long run dies half-way with a 400, pays for a cold prompt cache on every turn, or
//! prints something that is not the answer.

use serde_json::{Value, json};

use crate::support::growth::grows_by_turns;
use crate::support::{Api, Flux, Reply, Server, for_each_wire};

/// The calls of one round: one to three, of all four tools, some of them failing.
fn round(api: Api, n: usize) -> Vec<(String, &'static str, Value)> {
    let tools = [
        ("read_files", json!({"paths": ["a.txt"]})),
        ("list_files", json!({"path": "."})),
        ("find_files", json!({"pattern": "*.txt"})),
        ("grep_search", json!({"pattern": "alpha"})),
        ("read_files", json!({"paths": [format!("missing-{n}.txt")]})),
    ];
    let call = |k: usize| {
        let (name, arguments) = tools[(n + k) % tools.len()].clone();
        (api.id(n * 3 + k), name, arguments)
    };
    (0..=n % 3).map(call).collect()
}

fn reply(api: Api, n: usize, rounds: usize) -> Reply {
    if n == rounds {
        return api.text("The end.");
    }
    let calls = round(api, n);
    let calls: Vec<_> = calls.iter().map(|(id, name, args)| (id.as_str(), *name, args.clone())).collect();
    if n.is_multiple_of(2) { api.calls(&calls) } else { api.text_and_calls("Looking.", &calls) }
}

fn run_rounds(api: Api, rounds: usize) {
    let mut n = 0;
    let server = Server::of(api).answer(move |_| {
        n += 1;
        reply(api, n - 1, rounds)
    });
    let run = Flux::to(&server)
        .args(["--max-turns", "0", "--max-tool-calls", "0", "--max-context", "1M", "look around"])
        .file("a.txt", "alpha\n")
        .file("b.txt", "beta\n")
        .transcript()
        .run()
        .code(0)
        .stdout("The end.\n")
        .stderr("");
    let requests = server.requests();
    assert_eq!(requests.len(), rounds + 1);
    assert_eq!(server.connections(), 1, "the whole run should use one connection");
    grows_by_turns(api, &requests);
    check_results(api, &requests[rounds].json, rounds);
    let transcript = run.transcript();
    assert_eq!(transcript.faults(), Vec::<String>::new());
    assert_eq!(transcript.result()["turns"], rounds + 1);
}

/// Every call has its result, in call order, and exactly those that fail say so.
fn check_results(api: Api, body: &Value, rounds: usize) {
    let calls: Vec<_> = (0..rounds).flat_map(|n| round(api, n)).collect();
    let results = api.results(body);
    let ids: Vec<&String> = results.iter().map(|r| &r.id).collect();
    assert_eq!(ids, calls.iter().map(|(id, ..)| id).collect::<Vec<_>>());
    for ((_, name, arguments), result) in calls.iter().zip(&results) {
        let fails = arguments.to_string().contains("missing-");
        assert!(result.is_error.is_none_or(|is| is == fails), "{name} {arguments}: {result:?}");
        let found = if fails { "missing-" } else { "a" };
        assert!(result.text.contains(found), "{name} {arguments}: {result:?}");
    }
}

#[test]
fn loop_of_one_round_is_valid_on_every_wire() {
    for_each_wire(|api| run_rounds(api, 1));
}

#[test]
fn loop_of_25_rounds_is_valid_on_every_wire() {
    for_each_wire(|api| run_rounds(api, 25));
}

#[test]
fn loop_of_200_rounds_is_valid_on_anthropic() {
    run_rounds(Api::Anthropic, 200);
}

#[test]
fn loop_of_200_rounds_is_valid_on_responses() {
    run_rounds(Api::Responses, 200);
}

#[test]
fn loop_of_200_rounds_is_valid_on_chat_completions() {
    run_rounds(Api::Chat, 200);
}

/// Some servers send calls whose id is empty: the call and its result go back with one that is not.
#[test]
fn calls_with_an_empty_id_are_answered_under_one_of_their_own() {
    for_each_wire(|api| {
        let call = |path: &str| ("", "read_files", json!({"paths": [path]}));
        let server = Server::script(api, [api.calls(&[call("a.txt"), call("b.txt")]), api.text("done")]);
        let flux = Flux::to(&server).file("a.txt", "alpha\n").file("b.txt", "beta\n");
        let _ = flux.arg("the task").run().code(0).stdout("done\n");
        let results = api.results(&server.requests()[1].json);
        let [first, second] = &results[..] else { panic!("{api:?}: {results:?}") };
        assert!(!first.id.is_empty() && !second.id.is_empty() && first.id != second.id, "{results:?}");
        assert!(first.text.contains("alpha") && second.text.contains("beta"), "{results:?}");
    });
}

/// flux's own words and the descriptions of tools are paid for in every request.
#[test]
fn a_small_question_is_a_small_request() {
    for_each_wire(|api| {
        for (args, most) in [(&[][..], 5_000), (&["--no-tools"][..], 1_800)] {
            let server = Server::script(api, [api.text("done")]);
            let question = "a line of input that means nothing\n".repeat(30);
            let _ = Flux::to(&server).args(args.iter().copied()).arg("say it").stdin(&question[..1024]).run().code(0);
            let bytes = server.only_request().body.len();
            assert!(bytes <= most, "{api:?} {args:?}: {bytes} bytes");
        }
    });
}
