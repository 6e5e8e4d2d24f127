//! `--format`, `--json`, `--jsonl`.

use serde_json::{Value, json};

use super::{answering, two_turns, untouched};
use crate::support::{Api, Flux, Server, Transcript, for_each_wire};

#[test]
fn json_is_the_result_object_also_when_the_run_fails() {
    for_each_wire(|api| {
        for flag in [&["--json"][..], &["--format", "json"]] {
            let server = Server::script(api, two_turns(api, "The answer."));
            let run = Flux::to(&server).args(flag.iter().copied()).arg("p").run().code(0).stderr("");
            let object: Value = serde_json::from_slice(&run.stdout).unwrap_or_else(|e| panic!("{e}\n{}", run.dump()));
            assert_eq!(object["type"], "result");
            assert_eq!((&object["result"], &object["exit_code"]), (&json!("The answer."), &json!(0)));
            assert_eq!(object["turns"], 2);
            assert_eq!(object["tool_calls"], json!({"ok": 1, "error": 0, "denied": 0}));
            assert_eq!((&object["usage"]["input"], &object["usage"]["output"]), (&json!(40), &json!(18)));
        }
        let server = Server::script(api, [api.error(401, "authentication_error", "no such key")]);
        let run = Flux::to(&server).args(["--json", "p"]).run().code(77).stderr_has("(exit 77)");
        let object: Value = serde_json::from_slice(&run.stdout).unwrap_or_else(|e| panic!("{e}\n{}", run.dump()));
        assert_eq!((&object["exit_code"], &object["error"]["class"]), (&json!(77), &json!("auth")));
        assert_eq!(run.out().lines().count(), 1);
    });
}

#[test]
fn a_run_whose_flags_cannot_be_settled_has_a_result_too() {
    for flag in ["--json", "--jsonl"] {
        let run = crate::support::ask().args([flag, "-p", "nosuch", "p"]).run().code(78);
        let out = run.out();
        let object: Value = serde_json::from_str(out.lines().last().expect("a line")).expect("JSON");
        assert_eq!((&object["type"], &object["exit_code"]), (&json!("result"), &json!(78)));
        assert_eq!(out.lines().count(), if flag == "--json" { 1 } else { 2 });
    }
}

#[test]
fn text_is_the_default_format() {
    let (_server, flux) = answering("done");
    let _ = flux.args(["--format", "text", "p"]).run().code(0).stdout("done\n");
    let (_server, flux) = untouched();
    let _ = flux.args(["--format", "yaml", "p"]).run().failure(2, 3).stderr_has("yaml");
}

#[test]
fn jsonl_is_the_transcript_on_stdout() {
    for_each_wire(|api| {
        for args in [&["--jsonl"][..], &["--format", "jsonl"], &["--format", "jsonl", "--transcript", "-"]] {
            let server = Server::script(api, two_turns(api, "The answer."));
            let run = Flux::to(&server).args(args.iter().copied()).arg("p").run().code(0).stderr("");
            let transcript = Transcript::parse(&run.out()).unwrap_or_else(|e| panic!("{e}\n{}", run.dump()));
            assert_eq!(transcript.faults(), Vec::<String>::new());
            assert_eq!(transcript.result()["result"], "The answer.");
        }
        let server = Server::script(api, [api.error(401, "authentication_error", "no")]);
        let run = Flux::to(&server).args(["--jsonl", "p"]).run().code(77);
        let transcript = Transcript::parse(&run.out()).unwrap_or_else(|e| panic!("{e}\n{}", run.dump()));
        assert_eq!(transcript.result()["exit_code"], 77);
    });
}

#[test]
fn a_transcript_on_stdout_needs_the_jsonl_format() {
    let (_server, flux) = untouched();
    let _ = flux.args(["--transcript", "-", "p"]).run().failure(2, 3).stderr_has("jsonl");
    let (_server, flux) = untouched();
    let _ = flux.args(["--transcript", "-", "--json", "p"]).run().failure(2, 3);
}

#[test]
fn the_jq_lines_of_the_manual_find_what_they_look_for() {
    let api = Api::Chat;
    let server = Server::script(api, two_turns(api, "The answer."));
    let run = Flux::to(&server).args(["--jsonl", "p"]).run().code(0);
    let transcript = Transcript::parse(&run.out()).expect("a transcript");
    let results = transcript.messages("toolResult");
    assert_eq!(
        (results.len(), &results[0]["toolName"], &results[0]["isError"]),
        (1, &json!("list_files"), &json!(false))
    );
    assert!(results[0]["details"]["duration_ms"].is_number());
    assert!(transcript.messages("assistant").iter().all(|m| m["usage"]["input"].is_number()));
    let cost = &transcript.result()["cost_usd"];
    assert!(cost.is_null() || cost.as_f64() == Some(0.0), "a loopback server costs nothing: {cost}");
}
