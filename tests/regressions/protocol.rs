//! P-01 to P-09: what a request may hold. A fault here is a 400 in the middle of a run.

use serde_json::{Value, json};

use crate::support::growth::grows_by_turns;
use crate::support::tools::{results, turns};
use crate::support::{Api, Flux, Server, for_each_wire};

fn read(path: &str) -> (&'static str, Value) {
    ("read_files", json!({"paths": [path]}))
}

/// P-01, P-07: nothing but the turn and its results is added, with text before the calls too.
#[test]
fn regression_p01_p07_no_extra_continue_message_nor_text_between_call_and_result() {
    for_each_wire(|api| {
        let (a, b, c) = (api.id(1), api.id(2), api.id(3));
        let (name, arguments) = read("a.txt");
        let server = Server::script(
            api,
            [
                api.text_and_calls("First.", &[(&a, name, arguments.clone())]),
                api.calls(&[(&b, name, json!({"paths": ["none.txt"]})), (&c, "list_files", json!({}))]),
                api.text("done"),
            ],
        );
        let _ = Flux::to(&server).file("a.txt", "alpha").arg("the task").run().code(0).stdout("done\n");
        let requests = server.requests();
        grows_by_turns(api, &requests);
        let text = requests[2].text();
        assert!(!text.to_lowercase().contains("\"continue"), "{text}");
        assert!(api.first_user_text(&requests[2].json).ends_with("the task"));
    });
}

/// P-02: a failing call is answered under its own id and no other.
#[test]
fn regression_p02_no_result_for_an_id_that_nobody_asked() {
    for_each_wire(|api| {
        let answers = turns(api, |f| f, &[&[read("none.txt")], &[("no_such_tool", json!({})), read("none2.txt")]]);
        let ids: Vec<String> = answers.into_iter().map(|r| r.id).collect();
        assert_eq!(ids, [api.id(1), api.id(2), api.id(3)]);
    });
}

/// P-03, P-04: three parallel calls, one blocked, one of an unknown tool, one good: three results.
#[test]
fn regression_p03_p04_every_call_has_its_result_whatever_happened_to_it() {
    for_each_wire(|api| {
        let bad = || read("none.txt");
        let last = [bad(), ("no_such_tool", json!({"x": 1})), read("a.txt")];
        let answers = turns(api, |f| f.file("a.txt", "alpha"), &[&[bad()], &[bad()], &last]);
        let [_, _, blocked, unknown, good] = &answers[..] else { panic!("{answers:#?}") };
        assert!(blocked.text.contains("RETRY_LOOP_DETECTED"), "{blocked:?}");
        assert!(unknown.text.contains("no_such_tool"), "{unknown:?}");
        assert!(good.text.contains("alpha"), "{good:?}");
        for (result, fails) in [(blocked, true), (unknown, true), (good, false)] {
            assert!(result.is_error.is_none_or(|is| is == fails), "{result:?}");
        }
    });
}

/// P-06: every array has items, every object properties, the four read tools are offered and no other.
#[test]
fn regression_p06_schemas_are_sound() {
    for_each_wire(|api| {
        let server = Server::script(api, [api.text("done")]);
        let _ = Flux::to(&server).arg("p").run().code(0);
        let body = server.only_request().json;
        let mut names = api.tool_names(&body);
        names.sort();
        assert_eq!(names, ["find_files", "grep_search", "list_files", "read_files"]);
        for schema in api.tool_schemas(&body) {
            assert_eq!(schema["type"], "object", "{schema}");
            assert!(!schema.to_string().contains("$schema"), "{schema}");
        }
    });
}

/// P-08: no field that the service does not know, after successes, failures and blocked calls.
#[test]
fn regression_p08_no_internal_field_on_the_wire() {
    for_each_wire(|api| {
        let bad = || read("none.txt");
        let answers =
            turns(api, |f| f.file("a.txt", "alpha"), &[&[bad(), read("a.txt")], &[bad()], &[bad()], &[read("a.txt")]]);
        assert_eq!(answers.len(), 5);
    });
}

/// P-09: the results of one turn stand in one message, in call order, though the first takes longest.
#[test]
fn regression_p09_parallel_results_are_not_split_nor_reordered() {
    for_each_wire(|api| {
        let big = "line of some length\n".repeat(200_000);
        let calls = [("grep_search", json!({"pattern": "no such text"})), read("a.txt"), ("list_files", json!({}))];
        let answers = results(api, |f| f.file("a.txt", "alpha").file("big.txt", &big), &calls);
        let ids: Vec<String> = answers.iter().map(|r| r.id.clone()).collect();
        assert_eq!(ids, [api.id(1), api.id(2), api.id(3)]);
        assert!(answers[1].text.contains("alpha"));
    });
    let api = Api::Anthropic;
    let server = Server::script(
        api,
        [api.calls(&[("toolu_1", "list_files", json!({})), ("toolu_2", "list_files", json!({}))]), api.text("done")],
    );
    let _ = Flux::to(&server).arg("p").run().code(0);
    let messages = api.messages(&server.requests()[1].json);
    assert_eq!(messages.len(), 3, "{messages:#?}");
    assert_eq!(messages[2]["content"].as_array().map(Vec::len), Some(2));
}
