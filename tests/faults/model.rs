//! Hostile or broken model output.

use std::time::Duration;

use serde_json::json;

use crate::support::{Api, Flux, Reply, Server, for_each_wire};

#[test]
fn calls_beyond_the_64th_of_one_turn_are_errors() {
    for_each_wire(|api| {
        let ids: Vec<String> = (0..66).map(|n| api.id(n)).collect();
        let calls: Vec<_> = ids.iter().map(|id| (id.as_str(), "list_files", json!({}))).collect();
        let server = Server::script(api, [api.calls(&calls), api.text("done")]);
        let run =
            Flux::to(&server).args(["--max-tool-calls", "0"]).transcript().arg("p").run().code(0).stdout("done\n");
        let results = run.transcript().messages("toolResult").into_iter().cloned().collect::<Vec<_>>();
        assert_eq!(results.len(), 66);
        let errors: Vec<bool> = results.iter().map(|r| r["isError"] == true).collect();
        assert!(errors[..64].iter().all(|e| !e) && errors[64..].iter().all(|e| *e), "{errors:?}");
    });
}

#[test]
fn arguments_above_a_mebibyte_are_an_error_not_a_run() {
    for_each_wire(|api| {
        let id = api.id(1);
        let arguments = json!({"paths": ["a.txt"], "padding": "x".repeat(5_000_000)}).to_string();
        let server = Server::script(api, [api.broken_call(&id, "read_files", &arguments), api.text("done")]);
        let _ = Flux::to(&server).file("a.txt", "alpha").arg("p").run().code(0).stdout("done\n");
        let second = &server.requests()[1];
        let result = api.result(&second.json, &id);
        assert!(result.is_error.unwrap_or(true) && !result.text.contains("alpha"), "{result:?}");
    });
}

#[test]
fn arguments_with_a_field_given_twice_are_an_error() {
    for_each_wire(|api| {
        let id = api.id(1);
        let call = api.broken_call(&id, "read_files", "{\"paths\": [\"a.txt\"], \"paths\": [\"b.txt\"]}");
        let server = Server::script(api, [call, api.text("done")]);
        let _ = Flux::to(&server).file("a.txt", "alpha").file("b.txt", "beta").arg("p").run().code(0);
        let result = api.result(&server.requests()[1].json, &id);
        assert!(!result.text.contains("alpha") && !result.text.contains("beta"), "{result:?}");
    });
}

#[test]
fn deeply_nested_arguments_do_not_overflow_the_stack() {
    for_each_wire(|api| {
        let deep = format!("{{\"path\": {}{}}}", "[".repeat(50_000), "]".repeat(50_000));
        let server = Server::script(api, [api.broken_call(&api.id(1), "list_files", &deep), api.text("done")]);
        let _ = Flux::to(&server).arg("p").run().code(0).stdout("done\n");
    });
}

#[test]
fn hostile_tool_names_are_answered_and_never_shown_raw() {
    let names = ["../../bin/sh", "read_files\u{1b}[2J\u{7}", "flux: forged\nline", &"n".repeat(10_000)];
    for name in names {
        let server =
            Server::of(Api::Chat).script([Api::Chat.calls(&[("call_1", name, json!({}))]), Api::Chat.text("done")]);
        let run = Flux::to(&server).args(["-v", "p"]).run().code(0).stdout("done\n");
        let clean = run.err().chars().all(|c| c == '\n' || !c.is_control());
        let run = run.check(clean, "control characters on stderr");
        let forged = run.err().lines().any(|line| line.starts_with("line"));
        let _ = run.check(!forged, "a forged line on stderr");
        assert!(Api::Chat.result(&server.requests()[1].json, "call_1").text.len() < 3000);
    }
}

#[test]
fn usage_that_makes_no_sense_is_no_usage() {
    for usage in ["-5", "1e300", "\"many\"", "null", "99999999999999999999999"] {
        let mut reply = Api::Chat.text("done");
        let body = String::from_utf8(reply.body).expect("text");
        reply.body = body.replace("\"prompt_tokens\":25", &format!("\"prompt_tokens\":{usage}")).into_bytes();
        let server = Server::script(Api::Chat, [reply]);
        let run = Flux::to(&server).transcript().arg("p").run().code(0).stdout("done\n");
        assert_eq!(run.transcript().faults(), Vec::<String>::new());
    }
}

#[test]
fn odd_characters_of_an_answer_arrive_as_they_are() {
    let answer = "nul \0, line separator \u{2028}, bom \u{feff}, tag \u{e0041}, end";
    for_each_wire(|api| {
        let server = Server::script(api, [api.text(answer)]);
        let run = Flux::to(&server).transcript().arg("p").run().code(0).stdout(format!("{answer}\n"));
        assert_eq!(run.transcript().result()["result"], answer);
    });
}

#[test]
fn an_endless_event_is_cut_off_with_a_protocol_error() {
    let mut body = b"data: ".to_vec();
    body.resize(40 << 20, b'x');
    let server = Server::script(Api::Chat, [Reply::sse(body)]);
    let flux = Flux::to(&server).args(["--retries", "0", "p"]).deadline(Duration::from_secs(30));
    let _ = flux.run().failure(76, 1);
}

#[test]
fn ten_mebibytes_of_answer_are_an_answer() {
    let answer = "0123456789abcde\n".repeat(10 << 16);
    let server = Server::script(Api::Chat, [Api::Chat.text(&answer)]);
    let run = Flux::to(&server).arg("p").deadline(Duration::from_secs(30)).run().code(0);
    assert_eq!(run.stdout.len(), answer.len());
}
