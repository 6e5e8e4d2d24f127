//! One conversation on all wires, word for word, and the user's own parameters.

use serde_json::{Value, json, value::RawValue};

use super::testing::{head, quirks};
use super::{MaxTokensField, Params, Quirks, RequestHead, ToolChoice, encode, named, providers};
use crate::chat::{
    Arguments, Block, Conversation, Exchange, Media, Origin, Part, Sealed, StopReason, ToolCall, ToolResult, ToolSpec,
    Turn, Usage, UserMessage,
};

fn turn(blocks: Vec<Block<Exchange>>, stop: StopReason) -> Turn<Exchange> {
    Turn {
        blocks,
        stop,
        raw_stop: None,
        refusal: None,
        usage: Usage::default(),
        origin: Origin::default(),
        response_id: None,
        response_model: None,
        warnings: Vec::new(),
        lines: Vec::new(),
    }
}

fn text(text: &str) -> Block<Exchange> {
    Block::Text(Sealed { text: text.to_owned(), seal: None })
}

fn call(id: &str, arguments: &str, result: ToolResult) -> Block<Exchange> {
    let arguments = Arguments::parse(arguments);
    let call = ToolCall { id: id.to_owned(), name: "ls".to_owned(), arguments, seal: None };
    Block::Tool(Exchange { call, result })
}

fn conversation() -> Conversation {
    let image = Media { mime: "image/png", name: "a.png".to_owned(), base64: "iVBO".to_owned() };
    let paper = Media { mime: "application/pdf", name: "b.pdf".to_owned(), base64: "JVBE".to_owned() };
    let texts = ["Look", " at\n", "\"this\""].map(|text| Part::Text(text.to_owned()));
    let parts = [Part::Media(image), Part::Media(paper)].into_iter().chain(texts).collect();
    let mut conversation = Conversation::new(UserMessage { parts, ..UserMessage::default() });
    let blocks = vec![
        Block::Reasoning(Sealed { text: "hm".to_owned(), seal: None }),
        text("Listing."),
        call("c1", r#"{"dir":"."}"#, ToolResult::ok("a.txt")),
        call("c2", r#"{"dir":"#, ToolResult::error("bad_arguments", "not JSON")),
        call("c3", "", ToolResult::ok("")),
    ];
    conversation.push(turn(blocks, StopReason::ToolUse));
    conversation.push_user(UserMessage::text("Go on."));
    conversation.push(turn(vec![text("Done.")], StopReason::End));
    conversation.push_user(UserMessage::text("Thanks"));
    conversation
}

fn tools() -> Vec<ToolSpec> {
    let schema = r#"{"type":"object","properties":{}}"#.into();
    vec![ToolSpec { name: "ls".into(), description: "Lists".into(), schema }]
}

fn body(wire: &str, head: &RequestHead<'_>) -> Value {
    serde_json::from_slice(&encode(named(wire).unwrap(), head, &conversation())).unwrap()
}

fn params() -> Params {
    Params { effort: Some("low".to_owned()), temperature: Some(0.5), seed: Some(7), extra: Vec::new() }
}

#[test]
fn anthropic() {
    let (tools, params, quirks) = (tools(), params(), quirks());
    let head = RequestHead { tools: &tools, params: &params, system: "Be terse.", ..head(&quirks) };
    let expected = json!({
        "model": "m", "stream": true, "max_tokens": 1000, "cache_control": {"type": "ephemeral"},
        "output_config": {"effort": "low"}, "temperature": 0.5,
        "tools": [{"name": "ls", "description": "Lists", "input_schema": {"type": "object", "properties": {}}}],
        "system": "Be terse.",
        "messages": [
            {"role": "user", "content": [
                {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBO"}},
                {"type": "document", "title": "b.pdf",
                 "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBE"}},
                {"type": "text", "text": "Look at\n\"this\""}]},
            {"role": "assistant", "content": [
                {"type": "text", "text": "Listing."},
                {"type": "tool_use", "id": "c1", "name": "ls", "input": {"dir": "."}},
                {"type": "tool_use", "id": "c2", "name": "ls", "input": {}},
                {"type": "tool_use", "id": "c3", "name": "ls", "input": {}}]},
            {"role": "user", "content": [
                {"type": "tool_result", "tool_use_id": "c1", "content": "a.txt"},
                {"type": "tool_result", "tool_use_id": "c2", "content": "bad_arguments: not JSON", "is_error": true},
                {"type": "tool_result", "tool_use_id": "c3", "content": "(no output)"},
                {"type": "text", "text": "Go on."}]},
            {"role": "assistant", "content": [{"type": "text", "text": "Done."}]},
            {"role": "user", "content": "Thanks"}],
    });
    assert_eq!(body("anthropic", &head), expected);
    let wire = named("anthropic").unwrap();
    assert_eq!(wire.headers(&head), [("anthropic-version", "2023-06-01")]);
    assert_eq!(wire.headers(&super::testing::head(&quirks)), [("anthropic-version", "2026-10-21")]);
    let none = body("anthropic", &RequestHead { tool_choice: ToolChoice::None, ..head });
    assert_eq!(none["tool_choice"], json!({"type": "none"}));
}

#[test]
fn openai_responses() {
    let (tools, params, quirks) = (tools(), params(), quirks());
    let head = RequestHead { tools: &tools, params: &params, system: "Be terse.", ..head(&quirks) };
    let call = |id: &str, arguments: &str| {
        let kind = "function_call";
        json!({"type": kind, "call_id": id, "name": "ls", "arguments": arguments})
    };
    let output = |id: &str, text: &str| json!({"type": "function_call_output", "call_id": id, "output": text});
    let expected = json!({
        "model": "m", "stream": true, "store": false, "include": ["reasoning.encrypted_content"],
        "max_output_tokens": 1000, "reasoning": {"effort": "low"}, "temperature": 0.5,
        "tools": [{"type": "function", "name": "ls", "description": "Lists", "strict": false,
                   "parameters": {"type": "object", "properties": {}}}],
        "instructions": "Be terse.",
        "input": [
            {"role": "user", "content": [
                {"type": "input_image", "detail": "auto", "image_url": "data:image/png;base64,iVBO"},
                {"type": "input_file", "filename": "b.pdf", "file_data": "data:application/pdf;base64,JVBE"},
                {"type": "input_text", "text": "Look at\n\"this\""}]},
            {"role": "assistant", "content": "Listing."},
            call("c1", r#"{"dir":"."}"#), call("c2", "{}"), call("c3", "{}"),
            output("c1", "a.txt"), output("c2", "bad_arguments: not JSON"), output("c3", "(no output)"),
            {"role": "user", "content": "Go on."},
            {"role": "assistant", "content": "Done."},
            {"role": "user", "content": "Thanks"}],
    });
    assert_eq!(body("openai-responses", &head), expected);
}

#[test]
fn openai_chat() {
    let (tools, params) = (tools(), params());
    let quirks = Quirks { max_tokens_field: MaxTokensField::MaxCompletionTokens, ..quirks() };
    let head = RequestHead { tools: &tools, params: &params, system: "Be terse.", ..head(&quirks) };
    let call = |id: &str, arguments: &str| {
        let function = json!({"name": "ls", "arguments": arguments});
        json!({"id": id, "type": "function", "function": function})
    };
    let output = |id: &str, text: &str| json!({"role": "tool", "tool_call_id": id, "content": text});
    let expected = json!({
        "model": "m", "stream": true, "stream_options": {"include_usage": true}, "max_completion_tokens": 1000,
        "reasoning_effort": "low", "temperature": 0.5, "seed": 7,
        "tools": [{"type": "function", "function": {"name": "ls", "description": "Lists",
                   "parameters": {"type": "object", "properties": {}}}}],
        "messages": [
            {"role": "system", "content": "Be terse."},
            {"role": "user", "content": [
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBO"}},
                {"type": "file", "file": {"filename": "b.pdf", "file_data": "data:application/pdf;base64,JVBE"}},
                {"type": "text", "text": "Look at\n\"this\""}]},
            {"role": "assistant", "content": "Listing.",
             "tool_calls": [call("c1", r#"{"dir":"."}"#), call("c2", "{}"), call("c3", "{}")]},
            output("c1", "a.txt"), output("c2", "bad_arguments: not JSON"), output("c3", "(no output)"),
            {"role": "user", "content": "Go on."},
            {"role": "assistant", "content": "Done."},
            {"role": "user", "content": "Thanks"}],
    });
    assert_eq!(body("openai-chat", &head), expected);
}

#[test]
fn mistral_has_an_assistant_between_results_and_user_and_ids_of_nine_letters() {
    let quirks = providers::named("mistral").unwrap().quirks;
    let body = body("openai-chat", &head(&quirks));
    let roles: Vec<_> = body["messages"].as_array().unwrap().iter().map(|m| m["role"].as_str().unwrap()).collect();
    assert_eq!(roles, ["user", "assistant", "tool", "tool", "tool", "assistant", "user", "assistant", "user"]);
    assert_eq!(body["messages"][1]["tool_calls"][0]["id"].as_str().unwrap().len(), 9);
    assert!(body.get("stream_options").is_none() && body.get("tools").is_none() && body.get("tool_choice").is_none());
}

#[test]
fn own_parameters_replace_and_never_repeat() {
    let raw = |text: &str| RawValue::from_string(text.to_owned()).unwrap();
    let extra = [
        ("max_completion_tokens", "5"),
        ("stream", "false"),
        ("temperature", "1"),
        ("top_k", "2"),
        ("top_k", "3"),
        ("messages", "[]"),
        ("tool_choice", "\"required\""),
    ];
    let extra = extra.iter().map(|(name, value)| ((*name).to_owned(), raw(value))).collect();
    let (tools, params, quirks) = (tools(), Params { extra, ..params() }, quirks());
    let head = RequestHead { tools: &tools, params: &params, ..head(&quirks) };
    let bytes = encode(named("openai-chat").unwrap(), &head, &conversation());
    let body: Value = serde_json::from_slice(&bytes).unwrap();
    for (name, value) in
        [("max_completion_tokens", json!(5)), ("stream", json!(false)), ("temperature", json!(1)), ("top_k", json!(3))]
    {
        assert_eq!(body[name], value, "{name}");
        let key = format!("\"{name}\":");
        assert_eq!(String::from_utf8_lossy(&bytes).matches(&key).count(), 1, "{name}");
    }
    assert!(body.get("max_tokens").is_none() && body.get("stream_options").is_none());
    assert!(!body["messages"].as_array().unwrap().is_empty());
    assert_eq!(body["tool_choice"], "required");
}
