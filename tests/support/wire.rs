//! The three services as a test sees them: where they live, what their replies and errors look like, and where in
//! a request of theirs the things stand that all three have.

use serde_json::{Value, json};

use super::reply::Reply;

/// A provider API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Api {
    Anthropic,
    Responses,
    Chat,
}

/// All three.
pub const APIS: [Api; 3] = [Api::Anthropic, Api::Responses, Api::Chat];

/// Runs a test once for each wire.
#[track_caller]
pub fn for_each_wire(mut test: impl FnMut(Api)) {
    for api in APIS {
        test(api);
    }
}

/// Usage in the terms of `scenarios.md`: `input` is the whole prompt.
#[derive(Debug, Clone, Copy)]
pub struct Usage {
    pub input: u64,
    pub cache_read: u64,
    pub output: u64,
}

/// What replies report unless a test says otherwise.
pub const USAGE: Usage = Usage { input: 25, cache_read: 5, output: 9 };

/// The answer to a tool call as the model would see it.
#[derive(Debug, Clone)]
pub struct ToolOutput {
    pub id: String,
    pub text: String,
    /// `is_error`, where the wire has such a flag.
    pub is_error: Option<bool>,
}

/// A tool call of a scripted reply: id, name, arguments.
pub type Call<'a> = (&'a str, &'a str, Value);

impl Api {
    /// As `--wire` names it.
    pub fn wire(self) -> &'static str {
        match self {
            Api::Anthropic => "anthropic",
            Api::Responses => "openai-responses",
            Api::Chat => "openai-chat",
        }
    }

    /// The wire of that `--wire` name.
    pub fn of_wire(name: &str) -> Api {
        APIS.into_iter().find(|api| api.wire() == name).unwrap_or_else(|| panic!("no wire is named {name}"))
    }

    /// As the transcript names it.
    pub fn transcript_name(self) -> &'static str {
        match self {
            Api::Anthropic => "anthropic-messages",
            Api::Responses => "openai-responses",
            Api::Chat => "openai-completions",
        }
    }

    /// The part of the path that belongs to the base URL.
    pub fn base_path(self) -> &'static str {
        if self == Api::Anthropic { "" } else { "/v1" }
    }

    /// The whole path of a request.
    pub fn path(self) -> &'static str {
        match self {
            Api::Anthropic => "/v1/messages",
            Api::Responses => "/v1/responses",
            Api::Chat => "/v1/chat/completions",
        }
    }

    /// The variable that holds the key.
    pub fn key_variable(self) -> &'static str {
        if self == Api::Anthropic { "ANTHROPIC_API_KEY" } else { "OPENAI_API_KEY" }
    }

    /// A key of the right form.
    pub fn key(self) -> &'static str {
        if self == Api::Anthropic { "sk-ant-CANARY-0123456789" } else { "sk-CANARY-9876543210" }
    }

    /// The ids of the n-th call in this service's form.
    pub fn id(self, n: usize) -> String {
        if self == Api::Anthropic { format!("toolu_{n:04}") } else { format!("call_{n:04}") }
    }

    /// A reply of text alone.
    pub fn text(self, text: &str) -> Reply {
        self.turn(text, &[], USAGE)
    }

    /// A reply of text alone that reports this usage.
    pub fn text_using(self, text: &str, usage: Usage) -> Reply {
        self.turn(text, &[], usage)
    }

    /// A reply of tool calls alone.
    pub fn calls(self, calls: &[Call<'_>]) -> Reply {
        self.turn("", calls, USAGE)
    }

    /// A reply of text and tool calls.
    pub fn text_and_calls(self, text: &str, calls: &[Call<'_>]) -> Reply {
        self.turn(text, calls, USAGE)
    }

    /// A whole reply.
    pub fn turn(self, text: &str, calls: &[Call<'_>], usage: Usage) -> Reply {
        let calls: Vec<(String, String, String)> =
            calls.iter().map(|(id, name, args)| ((*id).into(), (*name).into(), args.to_string())).collect();
        self.raw_turn(text, &calls, usage, None)
    }

    /// A reply with one tool call whose arguments are this text, JSON or not.
    pub fn broken_call(self, id: &str, name: &str, arguments: &str) -> Reply {
        self.raw_turn("", &[(id.into(), name.into(), arguments.into())], USAGE, None)
    }

    /// A reply that the output limit cut, with an unfinished call at its end if `call` is given.
    pub fn cut(self, text: &str, call: Option<(&str, &str, &str)>) -> Reply {
        let calls: Vec<_> =
            call.iter().map(|(id, name, args)| ((*id).into(), (*name).into(), (*args).into())).collect();
        let stop = if self == Api::Anthropic { "max_tokens" } else { "length" };
        self.raw_turn(text, &calls, USAGE, Some(stop))
    }

    /// A refusal.
    pub fn refusal(self, text: &str) -> Reply {
        match self {
            Api::Anthropic => self.raw_turn(text, &[], USAGE, Some("refusal")),
            Api::Chat => self.raw_turn(text, &[], USAGE, Some("content_filter")),
            Api::Responses => Reply::sse(super::events::responses_refusal(text)),
        }
    }

    fn raw_turn(self, text: &str, calls: &[(String, String, String)], usage: Usage, stop: Option<&str>) -> Reply {
        Reply::sse(match self {
            Api::Anthropic => super::events::anthropic(text, calls, usage, stop),
            Api::Responses => super::events::responses(text, calls, usage, stop),
            Api::Chat => super::events::chat(text, calls, usage, stop),
        })
    }

    /// An HTTP error in this service's form.
    pub fn error(self, status: u16, kind: &str, message: &str) -> Reply {
        let body = match self {
            Api::Anthropic => {
                json!({"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_1"})
            }
            _ => json!({"error": {"message": message, "type": kind, "param": null, "code": kind}}),
        };
        Reply::json(status, &body)
    }

    /// The refusal of a prompt that does not fit.
    pub fn too_long(self, tokens: usize, window: usize) -> Reply {
        if self == Api::Anthropic {
            let message = format!("prompt is too long: {tokens} tokens > {window} maximum");
            self.error(400, "invalid_request_error", &message)
        } else {
            let message =
                format!("This model's maximum context length is {window} tokens, the prompt is too long: {tokens}");
            self.error(400, "context_length_exceeded", &message)
        }
    }

    /// The messages (or items) of a request body.
    pub fn messages(self, body: &Value) -> Vec<Value> {
        let key = if self == Api::Responses { "input" } else { "messages" };
        body[key].as_array().cloned().unwrap_or_default()
    }

    /// The system prompt of a request body.
    pub fn system(self, body: &Value) -> String {
        match self {
            Api::Anthropic => text_of(&body["system"]),
            Api::Responses => text_of(&body["instructions"]),
            Api::Chat => {
                let messages = self.messages(body);
                let first = messages.into_iter().find(|m| m["role"] == "system" || m["role"] == "developer");
                first.map_or(String::new(), |m| text_of(&m["content"]))
            }
        }
    }

    /// The text of the first user message.
    pub fn first_user_text(self, body: &Value) -> String {
        let first = self.messages(body).into_iter().find(|m| m["role"] == "user");
        text_of(&first.expect("a request has a user message")["content"])
    }

    /// The names of the tools offered.
    pub fn tool_names(self, body: &Value) -> Vec<String> {
        let tools = body["tools"].as_array().cloned().unwrap_or_default();
        let name = |t: &Value| if self == Api::Chat { t["function"]["name"].clone() } else { t["name"].clone() };
        tools.iter().filter_map(|t| name(t).as_str().map(str::to_owned)).collect()
    }

    /// The JSON schemas of the tools offered.
    pub fn tool_schemas(self, body: &Value) -> Vec<Value> {
        let tools = body["tools"].as_array().cloned().unwrap_or_default();
        let schema = |t: &Value| match self {
            Api::Anthropic => t["input_schema"].clone(),
            Api::Responses => t["parameters"].clone(),
            Api::Chat => t["function"]["parameters"].clone(),
        };
        tools.iter().map(schema).collect()
    }

    /// All tool results of a request body, in order.
    pub fn results(self, body: &Value) -> Vec<ToolOutput> {
        self.messages(body).iter().flat_map(|m| self.results_in(m)).collect()
    }

    /// The result for that call; fails if there is none.
    #[track_caller]
    pub fn result(self, body: &Value, id: &str) -> ToolOutput {
        let found = self.results(body).into_iter().find(|r| r.id == id);
        found.unwrap_or_else(|| panic!("no result for {id} in {body:#}"))
    }

    fn results_in(self, message: &Value) -> Vec<ToolOutput> {
        let output = |id: &Value, content: &Value, is_error: Option<bool>| ToolOutput {
            id: id.as_str().unwrap_or_default().into(),
            text: text_of(content),
            is_error,
        };
        match self {
            Api::Anthropic => {
                let blocks = message["content"].as_array().cloned().unwrap_or_default();
                let results = blocks.iter().filter(|b| b["type"] == "tool_result");
                let is_error = |b: &Value| Some(b["is_error"].as_bool().unwrap_or(false));
                results.map(|b| output(&b["tool_use_id"], &b["content"], is_error(b))).collect()
            }
            Api::Responses if message["type"] == "function_call_output" => {
                vec![output(&message["call_id"], &message["output"], None)]
            }
            Api::Chat if message["role"] == "tool" => vec![output(&message["tool_call_id"], &message["content"], None)],
            _ => Vec::new(),
        }
    }
}

/// The text of a content that is a string or a list of blocks.
pub fn text_of(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(blocks) => blocks.iter().filter_map(|b| b["text"].as_str()).collect(),
        _ => String::new(),
    }
}
