//! What a scenario's expectations mean for the streams, the exit code, the transcript and the next request.

use serde_json::{Value, json};

use crate::scenarios::Scenario;
use crate::support::{Api, Request, Run, Transcript};

/// The exit code that an expectation implies.
pub fn exit_code(expect: &Value) -> i32 {
    if let Some(class) = expect["error"]["class"].as_str() {
        return match class {
            "auth" | "permission" | "quota" => 77,
            "not_found" | "bad_request" => 69,
            "context_length" | "too_large" => 65,
            "refusal" => 82,
            "protocol" => 76,
            _ => 75,
        };
    }
    match expect["stop"].as_str() {
        Some("length" | "context_full") => 80,
        Some("refusal") => 82,
        Some("end") if expect["text"] == "" => 82,
        _ => 0,
    }
}

/// stdout (with `--stream`), the exit code and the lines on stderr.
pub fn streams(scenario: &Scenario, run: Run) -> Run {
    let expect = scenario.expect();
    let code = exit_code(expect);
    let text = expect["text"].as_str().expect("a text").trim_end_matches('\n');
    let run = run.code(code);
    if code == 0 {
        let turns: Vec<&str> = [Some(text), scenario.goes_on().then_some("fin")].into_iter().flatten().collect();
        let shown: Vec<&str> = turns.into_iter().filter(|t| !t.is_empty()).collect();
        let run = run.stdout(shown.join("\n\n") + "\n");
        // Some scenarios call a tool that nobody has granted, of which the user is told.
        let ungranted = ["edit_file", "write_file", "move_file", "delete_file", "run_command", "shell"];
        let calls = expect["tool_calls"].as_array().map_or(&[][..], Vec::as_slice);
        let is_denied =
            scenario.goes_on() && calls.iter().any(|call| ungranted.iter().any(|name| call["name"] == *name));
        let told = run.err().lines().filter(|line| line.contains(" denied: ")).count();
        let whole = run.err().lines().count() == told && told == usize::from(is_denied);
        return run.check(whole, "a line for a denial was expected on stderr, and nothing else");
    }
    let out = run.out();
    let run = run.check(out == text || out == format!("{text}\n") && !text.is_empty(), &format!("stdout: {text:?}"));
    let lines = run.err().lines().count();
    let run = run.check(lines == 1, "one line was expected on stderr").stderr_has(&format!("(exit {code})"));
    match expect["refusal"].as_str() {
        Some(refusal) => run.stderr_has(refusal),
        None => run,
    }
}

/// The first `flux.request` line: error, warnings, request id.
pub fn request_line(expect: &Value, lines: &[&Value], faults: &mut Vec<String>) {
    let Some(data) = lines.first() else { return faults.push("no flux.request line".into()) };
    let mut differs = |what: &str, is: &Value, should: &Value| {
        if is != should {
            faults.push(format!("{what} is {is}, should be {should}"));
        }
    };
    let words = |list: &Value| {
        let mut words: Vec<Value> = list.as_array().cloned().unwrap_or_default();
        words.sort_by_key(ToString::to_string);
        Value::Array(words)
    };
    differs("warnings", &words(&data["warnings"]), &words(&expect["warnings"]));
    if let Some(id) = expect.get("request_id") {
        differs("request_id", &data["request_id"], id);
    }
    let (error, should) = (&data["error"], &expect["error"]);
    if should.is_null() {
        return differs("error", error, &Value::Null);
    }
    differs("error.class", &error["class"], &should["class"]);
    differs("error.retryable", &error["retryable"], &expect["retryable"]);
    if let Some(code) = should.get("code") {
        differs("error.code", &error["code"], code);
    }
    let delay = |value: &Value| value.as_f64().map_or(Value::Null, |s| json!(s));
    if let Some(wait) = expect.get("retry_after_s") {
        differs("error.retry_after_s", &delay(&error["retry_after_s"]), &delay(wait));
    }
    let message = error["message"].as_str().unwrap_or_default();
    if let Some(part) = should["message_contains"].as_str().filter(|part| !message.contains(part)) {
        faults.push(format!("error.message {message:?} lacks {part:?}"));
    }
}

/// The first assistant message.
pub fn assistant_line(scenario: &Scenario, transcript: &Transcript, faults: &mut Vec<String>) {
    let expect = scenario.expect();
    let message = transcript.messages("assistant").first().copied().cloned();
    let failed = !expect["error"].is_null();
    let Some(message) = message else {
        if !failed {
            faults.push("no assistant message".into());
        }
        return;
    };
    let mut differs = |what: &str, is: &Value, should: &Value| {
        if is != should {
            faults.push(format!("message: {what} is {is}, should be {should}"));
        }
    };
    differs("api", &message["api"], &json!(scenario.api.transcript_name()));
    if failed {
        return differs("stopReason", &message["stopReason"], &json!("error"));
    }
    if let Some(stop) = stop_reason(expect) {
        differs("stopReason", &message["stopReason"], &json!(stop));
    }
    differs("rawStopReason", &message["rawStopReason"], &expect["raw_stop"]);
    if let Some(model) = expect.get("model") {
        differs("responseModel", &message["responseModel"], model);
    }
    let blocks = message["content"].as_array().cloned().unwrap_or_default();
    let joined = |kind: &str| -> Value {
        let texts = blocks.iter().filter(|b| b["type"] == kind).filter_map(|b| b[kind].as_str());
        json!(texts.collect::<String>())
    };
    differs("text", &joined("text"), &expect["text"]);
    if let Some(reasoning) = expect.get("reasoning") {
        differs("thinking", &joined("thinking"), reasoning);
    }
    calls(&blocks, expect["tool_calls"].as_array().map_or(&[], Vec::as_slice), &mut differs);
    usage(&message["usage"], &expect["usage"], &mut differs);
}

fn stop_reason(expect: &Value) -> Option<&'static str> {
    match expect["stop"].as_str() {
        Some("end" | "stop_sequence") => Some("stop"),
        Some("tool_use") => Some("toolUse"),
        Some("length" | "context_full") => Some("length"),
        _ => None,
    }
}

fn calls(blocks: &[Value], expected: &[Value], differs: &mut impl FnMut(&str, &Value, &Value)) {
    let calls: Vec<&Value> = blocks.iter().filter(|b| b["type"] == "toolCall").collect();
    differs("number of calls", &json!(calls.len()), &json!(expected.len()));
    for (call, should) in calls.iter().zip(expected) {
        if should["id"] != "*" {
            differs("call id", &call["id"], &should["id"]);
        }
        differs("call name", &call["name"], &should["name"]);
        let arguments = if should["arguments"].is_null() { &json!({}) } else { &should["arguments"] };
        differs("arguments", &call["arguments"], arguments);
    }
}

/// The transcript's `input` is what was neither read from nor written to a cache.
fn usage(usage: &Value, expected: &Value, differs: &mut impl FnMut(&str, &Value, &Value)) {
    let number = |key: &str| expected[key].as_u64();
    let cached = number("cache_read").unwrap_or(0) + number("cache_write").unwrap_or(0);
    let should = [
        ("input", number("input").map(|n| n - cached)),
        ("output", number("output")),
        ("cacheRead", number("cache_read")),
        ("cacheWrite", number("cache_write")),
        ("reasoning", number("reasoning")),
    ];
    for (key, value) in should {
        if let Some(value) = value {
            differs(&format!("usage.{key}"), &usage[key], &json!(value));
        }
    }
    if let (Some(input), Some(output)) = (number("input"), number("output")) {
        differs("usage.totalTokens", &usage["totalTokens"], &json!(input + output));
    }
}

/// No call with unusable arguments, and none that may not run, has a result that says it ran.
pub fn tools(expect: &Value, transcript: &Transcript, faults: &mut Vec<String>) {
    let runs = expect["run_tools"] == true;
    let expected = expect["tool_calls"].as_array().cloned().unwrap_or_default();
    let unusable = |id: &Value| expected.iter().any(|c| c["id"] == *id && c["arguments"].is_null());
    for result in transcript.messages("toolResult") {
        if result["isError"] != true && (!runs || unusable(&result["toolCallId"])) {
            faults.push(format!("this call must not run: {result}"));
        }
    }
    let answered = transcript.messages("toolResult").len();
    if runs && answered != expected.len() {
        faults.push(format!("{answered} results for {} calls", expected.len()));
    }
    if !runs && transcript.result()["tool_calls"]["ok"].as_u64().unwrap_or(0) > 0 {
        faults.push("the result line counts a tool that ran".into());
    }
}

/// The request after the reply: the turn as it came, then one turn of results, nothing else.
pub fn second_request(scenario: &Scenario, requests: &[Request], faults: &mut Vec<String>) {
    let (api, expect) = (scenario.api, scenario.expect());
    let should = if scenario.goes_on() { 2 } else { 1 };
    if requests.len() != should {
        return faults.push(format!("{} requests, should be {should}", requests.len()));
    }
    let Some(second) = requests.get(1) else { return };
    let first = api.messages(&requests[0].json);
    let messages = api.messages(&second.json);
    if messages.get(..first.len()) != Some(&first[..]) {
        faults.push("the second request does not begin as the first".into());
    }
    let calls = expect["tool_calls"].as_array().cloned().unwrap_or_default();
    let results = api.results(&second.json);
    if results.len() != calls.len() {
        return faults.push(format!("{} results were sent for {} calls", results.len(), calls.len()));
    }
    for (call, result) in calls.iter().zip(&results) {
        if call["id"] != "*" && call["id"] != result.id.as_str() {
            faults.push(format!("result for {} where {} was called", result.id, call["id"]));
        }
        if call["arguments"].is_null() && result.is_error == Some(false) {
            faults.push(format!("unusable arguments, but no error: {result:?}"));
        }
    }
    if let Some(replay) = expect["replay"].as_array() {
        replayed(api, replay, &messages[first.len().min(messages.len())..], faults);
    }
}

fn replayed(api: Api, replay: &[Value], added: &[Value], faults: &mut Vec<String>) {
    let content = match api {
        Api::Anthropic => added.first().and_then(|m| m["content"].as_array()).cloned().unwrap_or_default(),
        _ => added.to_vec(),
    };
    if content.get(..replay.len()) != Some(replay) {
        faults.push(format!("{} was sent back, should be {}", json!(content), json!(replay)));
    }
}
