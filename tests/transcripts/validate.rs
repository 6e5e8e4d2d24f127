//! `flux transcript validate`: silent about what flux writes, and not about anything that breaks the format.

use serde_json::{Value, json};

use super::{lines, recorded, transcript, write};
use crate::support::{Api, Flux, Run, Server, for_each_wire};

#[test]
fn everything_that_flux_writes_is_valid() {
    for_each_wire(|api| {
        let (place, path) = recorded(api);
        let _ = transcript(&place, &["validate", &path]).run().code(0).stdout("").stderr("");
    });
}

#[test]
fn runs_that_fail_leave_valid_transcripts_too() {
    let api = Api::Chat;
    let ends: [(_, &[&str], i32); 5] = [
        (vec![api.cut("half", None)], &[], 80),
        (vec![api.refusal("no")], &[], 82),
        (vec![api.calls(&[(&api.id(1), "list_files", json!({}))])], &["--max-turns", "1"], 80),
        (vec![api.error(400, "invalid_request_error", "no")], &["--retries", "0"], 69),
        (vec![api.broken_call(&api.id(1), "list_files", "{broken"), api.text("done")], &[], 0),
    ];
    for (replies, args, code) in ends {
        let server = Server::script(api, replies);
        let place = Flux::to(&server).transcript().args(args.iter().copied()).arg("p");
        let _ = place.run().code(code);
        let path = place.path("transcript.jsonl").display().to_string();
        let _ = transcript(&place, &["validate", &path]).run().code(0).stdout("");
    }
    // Nothing was sent: there is nothing but the header and the result.
    let place = crate::support::ask().transcript().args(["-m", "openai/gpt-6-sol", "p"]);
    let _ = place.run().code(78);
    let path = place.path("transcript.jsonl").display().to_string();
    let _ = transcript(&place, &["validate", &path]).run().code(0).stdout("");
}

/// The problems of a transcript after a change, as `(line, words)`.
fn problems(change: impl FnOnce(&mut Vec<Value>)) -> Vec<(usize, String)> {
    let (place, path) = recorded(Api::Chat);
    let mut all = lines(&path);
    change(&mut all);
    write(&path, &all);
    let run: Run = transcript(&place, &["validate", &path]).run().code(65).stderr_has("problem");
    let problem = |line: &str| {
        let rest = line.strip_prefix(&format!("{path}:")).unwrap_or_else(|| panic!("no file: {line}"));
        let (number, words) = rest.split_once(": ").expect("FILE:LINE: WORDS");
        (number.parse().expect("a line number"), words.to_owned())
    };
    run.out().lines().map(problem).collect()
}

/// The number of the first line that `is`, from 1.
fn at(lines: &[Value], is: impl Fn(&Value) -> bool) -> usize {
    1 + lines.iter().position(is).expect("such a line")
}

fn is_role(role: &'static str) -> impl Fn(&Value) -> bool {
    move |line| line["message"]["role"] == role
}

#[track_caller]
fn one(problems: &[(usize, String)], line: usize, words: &str) {
    assert!(problems.iter().any(|(at, why)| *at == line && why.contains(words)), "{line}: {words}: {problems:#?}");
}

#[test]
fn each_rule_that_is_broken_is_named_with_its_line() {
    let (_place, path) = recorded(Api::Chat);
    let whole = lines(&path);
    let (call, result, end) =
        (at(&whole, is_role("assistant")), at(&whole, is_role("toolResult")), at(&whole, |l| l["type"] == "result"));
    let found = problems(|all| drop(all.remove(result - 1)));
    one(&found, result, "seq is");
    one(&found, result, "parentId");
    one(&found, result, "call order");
    let found = problems(|all| all.swap(result - 1, result));
    one(&found, result, "call order");
    let found = problems(|all| all[result - 1]["message"]["toolCallId"] = json!("other"));
    one(&found, result, "other, which is no open tool call");
    let found = problems(|all| all[result - 1]["message"]["toolName"] = json!("other"));
    one(&found, result, "names other");
    let found = problems(|all| drop(all.remove(end - 1)));
    one(&found, end - 1, "has no result");
    let found = problems(|all| all.push(all[end - 1].clone()));
    one(&found, whole.len() + 1, "after its result");
    let found = problems(|all| all.push(all[0].clone()));
    one(&found, whole.len() + 1, "second header");
    let found = problems(|all| drop(all.remove(1)));
    one(&found, 2, "does not begin with flux.context");
    let found = problems(|all| {
        let blocks = all[call - 1]["message"]["content"].as_array_mut().expect("blocks");
        blocks.push(blocks.last().expect("a call").clone());
    });
    one(&found, call, "not unique");
    let found = problems(|all| {
        all[call - 1]["message"]["content"]
            .as_array_mut()
            .expect("blocks")
            .push(json!({"type": "toolCall", "id": "more", "name": "x", "arguments": {}}));
    });
    one(&found, call + 4, "before the result of more");
}

#[test]
fn each_line_is_held_against_the_schema() {
    let (_place, path) = recorded(Api::Chat);
    let whole = lines(&path);
    let assistant = at(&whole, is_role("assistant"));
    let request = at(&whole, |l| l["customType"] == "flux.request");
    let found = problems(|all| all[assistant - 1]["message"]["stopReason"] = json!("because"));
    one(&found, assistant, "/message/stopReason");
    let found = problems(|all| drop(all[assistant - 1].as_object_mut().expect("a line").remove("timestamp")));
    one(&found, assistant, "timestamp");
    let found = problems(|all| all[request - 1]["data"]["attempt"] = json!(0));
    one(&found, request, "/data/attempt");
    let found = problems(|all| all[request - 1]["session_id"] = json!("x"));
    assert!(found.iter().any(|(line, _)| *line == request), "{found:?}");
    let found = problems(|all| all[request - 1]["type"] = json!("session_meta"));
    one(&found, request, "/type");
    // The value itself may be long, secret or hostile: it is not shown.
    let found = problems(|all| all[assistant - 1]["message"]["stopReason"] = json!("HOSTILE"));
    assert!(found.iter().all(|(_, why)| !why.contains("HOSTILE")), "{found:?}");
}

#[test]
fn what_a_later_flux_may_add_is_no_problem() {
    let (place, path) = recorded(Api::Chat);
    let mut all = lines(&path);
    for line in &mut all {
        line["added"] = json!({"later": [1]});
    }
    let mut more = all.remove(3);
    more["type"] = json!("invented");
    all.insert(3, more);
    write(&path, &all);
    let _ = transcript(&place, &["validate", &path]).run().code(0).stdout("").stderr("");
}
