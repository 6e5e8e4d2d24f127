//! `--schema`: one line of valid JSON, or exit 83.

use serde_json::{Value, json};

use super::{format, last_user_text, provider};
use crate::support::{Api, Flux, Server, ask, for_each_wire};

const VALID: &str = "{ \"service\": \"db\", \"n\": 3 }";
const COMPACT: &str = "{\"service\":\"db\",\"n\":3}\n";

#[test]
fn schema_prints_compact_json_and_the_result_holds_it_as_data() {
    for_each_wire(|api| {
        for given in ["service, n int", r#"{"type":"object","required":["service"],"properties":{"n":{"minimum":1}}}"#]
        {
            let server = Server::script(api, [api.text(&format!("```json\n{VALID}\n```"))]);
            let run = Flux::to(&server).args(["--schema", given, "p"]).transcript().run().code(0).stdout(COMPACT);
            assert_eq!(run.transcript().result()["structured"], json!({"service": "db", "n": 3}));
        }
        let server = Server::script(api, [api.text("[1,\n 2]")]);
        let _ = Flux::to(&server).args(["--schema", "{}", "p"]).run().code(0).stdout("[1,2]\n");
    });
}

#[test]
fn schema_of_a_file_and_from_a_pipe() {
    let schema = r#"{"type":"object","required":["service"]}"#;
    let server = Server::script(Api::Chat, [Api::Chat.text(VALID)]);
    let flux = Flux::to(&server).file("s.json", schema).args(["--schema", "s.json", "p"]);
    let _ = flux.run().code(0).stdout(COMPACT);
    let _ = ask().args(["--schema", "missing.json", "p"]).run().failure(66, 1).stderr_has("missing.json");
    let _ = ask().file("bad.json", "{").args(["--schema", "bad.json", "p"]).run().failure(65, 1);
    let _ = ask().file("name", schema).args(["--schema", "name", "p"]).run().failure(2, 1).stderr_has("./name");
}

#[test]
fn what_is_no_schema_is_refused_before_a_request() {
    for given in ["{", r#"{"type":"nonsense"}"#, "a b c", "[a", r#"{"$ref":"file:///etc/passwd"}"#, ""] {
        let _ = ask().args(["--schema", given, "p"]).run().failure(2, 1).stderr_has("--schema");
    }
}

#[test]
fn a_schema_that_cannot_be_used_is_told_in_the_result_object_too() {
    let server = Server::of(Api::Chat).script([]);
    let flux = Flux::to(&server).file("bad.json", "{\"type\": 1}");
    let run = flux.args(["--json", "--schema", "./bad.json", "p"]).run().code(65);
    let object: Value = serde_json::from_str(&run.out()).expect("the result object");
    assert_eq!((&object["exit_code"], &object["status"]), (&65.into(), &"error".into()));
}

#[test]
fn the_model_is_told_the_errors_at_most_twice() {
    for_each_wire(|api| {
        let replies = [api.text("{\"service\":1,\"n\":3}"), api.text("no JSON"), api.text(VALID)];
        let server = Server::script(api, replies);
        let _ = Flux::to(&server).args(["--schema", "service, n int", "p"]).run().code(0).stdout(COMPACT);
        let requests = server.requests();
        let first = last_user_text(api, &requests[1].json);
        assert!(first.contains("/service") && first.contains("string"), "{first}");
        assert!(last_user_text(api, &requests[2].json).contains("not one JSON value"));

        let server = Server::script(api, [api.text("1"), api.text("2"), api.text("3")]);
        let run = Flux::to(&server).args(["--json", "--schema", "service", "p"]).run().code(83);
        let result: Value = serde_json::from_slice(&run.stdout).expect("JSON");
        assert_eq!((&result["exit_code"], &result["result"], &result["turns"]), (&json!(83), &json!("3"), &json!(3)));
        assert_eq!(result["error"]["class"], "form");
    });
}

#[test]
fn the_service_holds_the_answer_to_the_schema_and_tools_work_before_it() {
    for api in [Api::Anthropic, Api::Responses, Api::Chat] {
        let call = [(&*api.id(1), "list_files", json!({}))];
        let (server, flux) = provider(api, vec![api.calls(&call), api.text(VALID)]);
        let _ = flux.args(["--effort", "low", "--schema", "service, n int", "p"]).run().code(0).stdout(COMPACT);
        for request in server.requests() {
            let format = format(api, &request.json);
            assert_eq!(format["type"], "json_schema", "{}", request.text());
            let schema = if api == Api::Chat { &format["json_schema"]["schema"] } else { &format["schema"] };
            assert_eq!(schema["required"], json!(["service", "n"]));
            assert_eq!(schema["additionalProperties"], json!(false));
            let strict = if api == Api::Chat { &format["json_schema"]["strict"] } else { &format["strict"] };
            assert!(api == Api::Anthropic || *strict == true, "{}", request.text());
            assert!(!api.tool_names(&request.json).is_empty(), "the tools are still offered");
            assert!(request.text().contains("\"low\""), "the effort stays");
        }
    }
}

#[test]
fn what_a_strict_mode_cannot_say_is_a_hint_or_told_in_words() {
    let schema = r#"{"type":"object","properties":{"a":{"type":"object"}}}"#;
    for_each_wire(|api| {
        let (server, flux) = provider(api, vec![api.text("{\"a\":{\"x\":1}}")]);
        let _ = flux.args(["--no-tools", "--schema", schema, "p"]).run().code(0).stdout("{\"a\":{\"x\":1}}\n");
        let request = server.only_request();
        let format = format(api, &request.json);
        match api {
            Api::Anthropic => assert!(format.is_null(), "{format}"),
            Api::Responses => assert_eq!(format["strict"], false),
            Api::Chat => assert_eq!(format["json_schema"]["strict"], false),
        }
        assert!(api.system(&request.json).contains(schema));
    });
}

#[test]
fn a_list_comes_back_without_the_object_that_the_service_demands() {
    for_each_wire(|api| {
        let (server, flux) = provider(api, vec![api.text("{\"answer\": [{\"n\": 1}]}")]);
        let _ = flux.args(["--schema", "[n int]", "p"]).run().code(0).stdout("[{\"n\":1}]\n");
        assert!(server.only_request().text().contains("\"required\":[\"answer\"]"));
    });
}

#[test]
fn other_servers_get_the_schema_only_where_it_cannot_keep_the_model_from_its_tools() {
    for_each_wire(|api| {
        let call = [(&*api.id(1), "list_files", json!({}))];
        let server = Server::script(api, [api.calls(&call), api.text("prose"), api.text(VALID)]);
        let _ = Flux::to(&server).args(["--schema", "service, n int", "p"]).run().code(0).stdout(COMPACT);
        let requests = server.requests();
        let given: Vec<bool> = requests.iter().map(|request| !format(api, &request.json).is_null()).collect();
        assert_eq!(given, [false, false, true], "only the repair, in which no tool may be called");
        assert!(requests[2].text().contains("tool_choice"));
    });
}

#[test]
fn a_server_that_refuses_the_schema_is_asked_without_it() {
    for_each_wire(|api| {
        let refusal = api.error(400, "invalid_request_error", "Unknown parameter: 'response_format'");
        let server = Server::script(api, [refusal, api.text(VALID)]);
        let flux = Flux::to(&server).args(["--no-tools", "--schema", "service, n int", "p"]);
        let _ = flux.run().code(0).stdout(COMPACT);
        let requests = server.requests();
        assert!(!format(api, &requests[0].json).is_null() && format(api, &requests[1].json).is_null());

        let server = Server::script(api, [api.error(400, "invalid_request_error", "no such thing")]);
        let _ = Flux::to(&server).args(["--no-tools", "--schema", "n int", "p"]).run().failure(69, 1);
    });
}

#[test]
fn a_reply_that_is_cut_or_declined_is_not_repaired() {
    for_each_wire(|api| {
        let server = Server::script(api, [api.cut("{\"service\":", None)]);
        let _ = Flux::to(&server).args(["--schema", "service", "p"]).run().failure(80, 1);
        let server = Server::script(api, [api.refusal("No.")]);
        let _ = Flux::to(&server).args(["--schema", "service", "p"]).run().failure(82, 1);
    });
}

#[test]
fn a_server_that_lets_tools_be_called_after_all_does_not_keep_the_run_going() {
    for_each_wire(|api| {
        let call = |n: usize| api.calls(&[(&api.id(n), "list_files", json!({}))]);
        for (flag, requests) in [(["--schema", "a int"], 3), (["--choice", "a,b"], 2)] {
            let server = Server::of(api).unused_allowed().script([api.text("no"), call(1), call(2), call(3)]);
            let run = Flux::to(&server).args(flag).arg("p").transcript().run().failure(83, 1);
            assert_eq!(server.requests().len(), requests, "{flag:?}");
            let transcript = run.transcript();
            assert_eq!(transcript.faults(), Vec::<String>::new());
            let results = transcript.messages("toolResult");
            assert!(results.iter().all(|result| result.to_string().contains("no tool can be called any more")));
        }
    });
}
