//! The floor: a minimal tool loop on ureq and `serde_json`, speaking the Anthropic wire; and a minimal reader of JSONL.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};

use serde_json::{Value, json};

/// Sends stdin to `url`, answers every tool call with `ok`, and prints the last text.
pub fn run(url: &str) {
    let mut input = String::new();
    std::io::stdin().read_to_string(&mut input).expect("stdin");
    let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
    let mut messages = vec![json!({"role": "user", "content": input})];
    loop {
        let body = json!({"model": "m", "max_tokens": 1000, "stream": true, "messages": messages}).to_string();
        let (content, text) = ask(&agent, url, &body);
        let results: Vec<Value> = content
            .iter()
            .filter(|block| block["type"] == "tool_use")
            .map(|block| json!({"type": "tool_result", "tool_use_id": block["id"], "content": "ok"}))
            .collect();
        if results.is_empty() {
            std::io::stdout().write_all(format!("{text}\n").as_bytes()).expect("stdout");
            return;
        }
        messages.push(json!({"role": "assistant", "content": content}));
        messages.push(json!({"role": "user", "content": results}));
    }
}

/// What is counted of a line of a transcript.
#[derive(serde::Deserialize)]
struct Line<'a> {
    #[serde(borrow)]
    r#type: Cow<'a, str>,
    message: Option<Message>,
}

#[derive(serde::Deserialize)]
struct Message {
    usage: Option<Usage>,
}

#[derive(serde::Deserialize)]
struct Usage {
    input: u64,
    output: u64,
}

/// Parses every line of a transcript and prints how many there are of each type, and their tokens.
pub fn lines(path: &str) {
    let mut file = BufReader::with_capacity(64 << 10, std::fs::File::open(path).expect("a file"));
    let (mut types, mut tokens, mut bytes) = (BTreeMap::<String, u64>::new(), 0, Vec::new());
    while file.read_until(b'\n', &mut bytes).expect("a line") > 0 {
        let line: Line<'_> = serde_json::from_slice(&bytes).expect("JSON");
        tokens += line.message.and_then(|message| message.usage).map_or(0, |usage| usage.input + usage.output);
        match types.get_mut(line.r#type.as_ref()) {
            Some(count) => *count += 1,
            None => drop(types.insert(line.r#type.into_owned(), 1)),
        }
        bytes.clear();
    }
    println!("{types:?}, {tokens} tokens");
}

fn ask(agent: &ureq::Agent, url: &str, body: &str) -> (Vec<Value>, String) {
    let response = agent.post(url).header("content-type", "application/json").send(body).expect("a reply");
    let (mut content, mut text, mut arguments) = (Vec::<Value>::new(), String::new(), String::new());
    for line in BufReader::new(response.into_body().into_reader()).lines() {
        let line = line.expect("a line");
        let Some(data) = line.strip_prefix("data: ") else { continue };
        let event: Value = serde_json::from_str(data).expect("JSON");
        match event["type"].as_str() {
            Some("content_block_start") => content.push(event["content_block"].clone()),
            Some("content_block_delta") => {
                text.push_str(event["delta"]["text"].as_str().unwrap_or_default());
                arguments.push_str(event["delta"]["partial_json"].as_str().unwrap_or_default());
            }
            Some("content_block_stop") => {
                if let Some(block) = content.last_mut().filter(|block| block["type"] == "tool_use") {
                    block["input"] =
                        serde_json::from_str(&std::mem::take(&mut arguments)).unwrap_or_else(|_| json!({}));
                }
            }
            _ => {}
        }
    }
    (content, text)
}
