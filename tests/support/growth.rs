//! How a conversation may grow from one request to the next: the assistant's turn, then one turn of results.

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::log::Request;
use super::wire::Api;

/// Expects of every request after the first: the messages of the one before, unchanged, plus the assistant's turn
/// and its results, and nothing else; and that its bytes begin as those of the one before do.
#[track_caller]
pub fn grows_by_turns(api: Api, requests: &[Request]) {
    for (n, pair) in requests.windows(2).enumerate() {
        let (before, after) = (api.messages(&pair[0].json), api.messages(&pair[1].json));
        assert!(after.starts_with(&before), "{api:?}: request {} does not begin with request {}", n + 2, n + 1);
        one_turn(api, &after[before.len()..], n + 2);
        for (key, value) in pair[0].json.as_object().expect("an object") {
            let grows = key == "messages" || key == "input";
            assert!(grows || pair[1].json[key] == *value, "{api:?}: {key} changed in request {}", n + 2);
        }
        same_prefix(api, pair, n + 2);
    }
}

#[track_caller]
fn one_turn(api: Api, added: &[Value], number: usize) {
    let kinds: Vec<&str> = added.iter().map(|m| kind(api, m)).collect();
    let answered = kinds.iter().position(|k| *k == "result").unwrap_or(kinds.len());
    let (turn, results) = kinds.split_at(answered);
    let sound = !turn.is_empty() && !results.is_empty() && turn.iter().all(|k| *k == "assistant");
    let single = api != Api::Anthropic || (turn.len() == 1 && results.len() == 1);
    assert!(
        sound && single && results.iter().all(|k| *k == "result"),
        "{api:?}: request {number} adds {added:#?}, should add the turn and its results alone"
    );
}

fn kind(api: Api, message: &Value) -> &'static str {
    let role = message["role"].as_str().unwrap_or_default();
    let only_results = || {
        let blocks = message["content"].as_array().map_or(&[][..], Vec::as_slice);
        !blocks.is_empty() && blocks.iter().all(|b| b["type"] == "tool_result")
    };
    match (api, role, message["type"].as_str().unwrap_or_default()) {
        (Api::Anthropic, "user", _) if only_results() => "result",
        (Api::Chat, "tool", _) | (Api::Responses, _, "function_call_output") => "result",
        (_, "assistant", _) | (Api::Responses, _, "function_call" | "reasoning" | "web_search_call") => "assistant",
        _ => "other",
    }
}

#[derive(Deserialize)]
struct Body<'a> {
    #[serde(borrow, alias = "input")]
    messages: Vec<&'a RawValue>,
}

/// The bytes before the last message of one request open the next one, so that prompt caches hold.
#[track_caller]
fn same_prefix(api: Api, pair: &[Request], number: usize) {
    let text = std::str::from_utf8(&pair[0].body).expect("a body is UTF-8");
    let body: Body<'_> = serde_json::from_str(text).expect("a body has messages");
    let last = body.messages.last().expect("a message").get();
    let end = last.as_ptr() as usize - text.as_ptr() as usize;
    let common = pair[0].body.iter().zip(&pair[1].body).take_while(|(a, b)| a == b).count();
    assert!(
        common >= end,
        "{api:?}: only {common} bytes of request {number} are those of the one before, should be {end}"
    );
}
