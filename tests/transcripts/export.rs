//! `flux transcript export`: conversations that other programs take.

use serde_json::{Value, json};

use super::{lines, printed, recorded, transcript, write};
use crate::support::{Api, Flux, Server, for_each_wire};

/// The runs of a transcript in a format.
fn exported(place: &Flux, path: &str, format: &str) -> Vec<Value> {
    printed(&transcript(place, &["export", "--to", format, path]).run().code(0).stderr(""))
}

fn roles(run: &Value) -> Vec<&str> {
    run["messages"].as_array().expect("messages").iter().filter_map(|m| m["role"].as_str()).collect()
}

#[test]
fn openai_messages_are_complete_and_arguments_are_text() {
    for_each_wire(|api| {
        let (place, path) = recorded(api);
        let runs = exported(&place, &path, "openai");
        assert_eq!(runs.len(), 2);
        assert_eq!(roles(&runs[0]), ["system", "user", "assistant", "tool", "tool", "assistant"]);
        assert_eq!(roles(&runs[1]), ["system", "user", "assistant"]);
        let messages = &runs[0]["messages"];
        let user = messages[1]["content"].as_str().expect("text");
        assert!(user.contains("alpha & <beta>") && user.ends_with("What is it?"), "{user}");
        let call = &messages[2]["tool_calls"][0];
        assert_eq!((&call["id"], &call["type"]), (&json!(api.id(1)), &json!("function")));
        let function = json!({"name": "read_files", "arguments": "{\"paths\":[\"a.txt\"]}"});
        assert_eq!(call["function"], function);
        assert_eq!(messages[3]["tool_call_id"], json!(api.id(1)));
        assert!(messages[3]["content"].as_str().is_some_and(|text| text.contains("alpha")));
        assert_eq!(messages[3].as_object().map(serde_json::Map::len), Some(3), "{}", messages[3]);
        assert_eq!(messages[5], json!({"role": "assistant", "content": "The <b>answer</b>."}));
        let tool = &runs[0]["tools"][0];
        assert_eq!((&tool["type"], &tool["function"]["parameters"]["type"]), (&json!("function"), &json!("object")));
        assert_eq!(runs[0]["parallel_tool_calls"], true);
    });
}

#[test]
fn hf_messages_have_objects_names_and_thinking() {
    let (place, path) = recorded(Api::Chat);
    let mut all = lines(&path);
    let turn = all.iter_mut().find(|line| line["message"]["role"] == "assistant").expect("a turn");
    let blocks = turn["message"]["content"].as_array_mut().expect("blocks");
    blocks.insert(0, json!({"type": "thinking", "thinking": "Hm.", "thinkingSignature": "\"s\""}));
    write(&path, &all);
    let hf = exported(&place, &path, "hf");
    let turn = &hf[0]["messages"][2];
    assert_eq!(turn["reasoning_content"], "Hm.");
    assert_eq!(turn["tool_calls"][0]["function"]["arguments"], json!({"paths": ["a.txt"]}));
    assert_eq!(hf[0]["messages"][3]["name"], "read_files");
    assert!(!exported(&place, &path, "openai")[0].to_string().contains("Hm."));
}

#[test]
fn a_trajectory_has_every_step_with_its_observations() {
    for_each_wire(|api| {
        let (place, path) = recorded(api);
        let runs = exported(&place, &path, "atif");
        let run = &runs[0];
        assert_eq!((&run["schema_version"], runs.len()), (&json!("ATIF-v1.7"), 2));
        assert_eq!((&run["agent"]["name"], &run["agent"]["model_name"]), (&json!("flux"), &json!("m")));
        let steps = run["steps"].as_array().expect("steps");
        let sources: Vec<_> = steps.iter().map(|step| step["source"].as_str().expect("a source")).collect();
        assert_eq!(sources, ["system", "user", "agent", "agent"]);
        assert!(steps.iter().enumerate().all(|(n, step)| step["step_id"] == n + 1));
        let ids = |list: &Value, key: &str| -> Vec<Value> {
            list.as_array().expect("a list").iter().map(|entry| entry[key].clone()).collect()
        };
        let calls = ids(&steps[2]["tool_calls"], "tool_call_id");
        assert_eq!(calls, [json!(api.id(1)), json!(api.id(2))]);
        assert_eq!(ids(&steps[2]["observation"]["results"], "source_call_id"), calls);
        assert_eq!(steps[2]["extra"]["requests"].as_array().map(Vec::len), Some(2), "the failed attempt is a fact too");
        let last = lines(&path).into_iter().find(|line| line["type"] == "result").expect("a result");
        let count = |key: &str| last["usage"][key].as_u64().expect("tokens");
        let metrics = &run["final_metrics"];
        assert_eq!(metrics["total_prompt_tokens"], count("input") + count("cacheRead") + count("cacheWrite"));
        assert_eq!((&metrics["total_steps"], &metrics["extra"]["exit_code"]), (&json!(4), &json!(0)));
        assert_ne!(runs[0]["trajectory_id"], runs[1]["trajectory_id"]);
    });
}

#[test]
fn an_image_goes_along_in_every_format() {
    let png = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR";
    let server = Server::script(Api::Anthropic, [Api::Anthropic.text("A picture.")]);
    let place = Flux::to(&server).file("x.png", png).transcript().args(["-n", "-f", "x.png", "What is it?"]);
    let _ = place.run().code(0);
    let path = place.path("transcript.jsonl").display().to_string();
    let url = "data:image/png;base64,iVBORw0KGgo";
    let chat = exported(&place, &path, "openai")[0]["messages"][1]["content"].clone();
    assert!(chat.as_array().is_some_and(|parts| parts.iter().any(|part| part["type"] == "image_url")), "{chat}");
    assert!(chat.to_string().contains(url));
    let atif = exported(&place, &path, "atif")[0]["steps"][1]["message"].clone();
    let image = atif.as_array().expect("parts").iter().find(|part| part["type"] == "image").expect("an image");
    assert_eq!(image["source"]["media_type"], "image/png");
}

#[test]
fn calls_that_a_crash_left_open_get_an_answer() {
    let (place, path) = recorded(Api::Chat);
    let mut all = lines(&path);
    let first = all.iter().position(|line| line["message"]["role"] == "toolResult").expect("a result");
    all.truncate(first + 1);
    write(&path, &all);
    for format in ["openai", "hf"] {
        let runs = exported(&place, &path, format);
        assert_eq!(roles(&runs[0]), ["system", "user", "assistant", "tool", "tool"]);
        assert!(
            runs[0]["messages"][4]["content"]
                .as_str()
                .is_some_and(|text| text.contains("before this call had a result"))
        );
    }
    assert_eq!(exported(&place, &path, "atif")[0]["final_metrics"]["extra"]["status"], "crashed");
}

#[test]
fn what_arrived_of_a_failed_turn_is_not_part_of_the_conversation() {
    let api = Api::Chat;
    let half = api.text("half of it, half of it, half of it").cut_after("half");
    let server = Server::script(api, [half, api.text("whole")]);
    let place = Flux::to(&server).transcript().args(["-n", "--retries", "0", "p"]);
    let _ = place.run().code(75);
    let _ = place.run().code(0);
    let path = place.path("transcript.jsonl").display().to_string();
    let runs = exported(&place, &path, "openai");
    assert_eq!((roles(&runs[0]), roles(&runs[1])), (vec!["system", "user"], vec!["system", "user", "assistant"]));
}

#[test]
fn mixed_runs_come_out_one_by_one() {
    let (place, path) = recorded(Api::Chat);
    let whole = exported(&place, &path, "hf");
    let all = lines(&path);
    let first = all.iter().position(|line| line["type"] == "result").expect("a result");
    let (one, two) = all.split_at(first + 1);
    let mut mixed = vec![one[0].clone()];
    for n in 0..one.len() {
        mixed.extend(two.get(n).cloned());
        mixed.extend(one.get(n + 1).cloned());
    }
    write(&path, &mixed);
    let mut runs = exported(&place, &path, "hf");
    runs.reverse();
    assert_eq!(runs, whole, "the second, shorter run ended first");
}

#[test]
fn many_crashed_runs_are_all_exported() {
    let (place, path) = recorded(Api::Chat);
    let all = lines(&path);
    let mut many = vec![all[0].clone()];
    for n in 0..300 {
        for mut line in all[1..3].iter().cloned() {
            line["run"] = json!(format!("00000000-0000-7000-8000-{n:012x}"));
            many.push(line);
        }
    }
    write(&path, &many);
    assert_eq!(exported(&place, &path, "openai").len(), 300);
}
