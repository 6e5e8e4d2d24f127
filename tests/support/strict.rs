//! The services' strictness: which rule a request breaks, if any.
//!
//! The rules are those at the top of `regressions.md` and of the services' documentation: every call answered in
//! the very next message, once, in order; no unknown field; nothing empty; sound schemas; the right headers.

use std::collections::HashSet;

use serde_json::Value;

use super::log::Request;
use super::wire::Api;
use super::{strict_anthropic, strict_chat, strict_responses};

/// The list that rules add to.
#[derive(Debug, Default)]
pub struct Broken(pub Vec<String>);

impl Broken {
    /// Adds `what` unless `holds`.
    pub fn unless(&mut self, holds: bool, what: impl Into<String>) {
        if !holds {
            self.0.push(what.into());
        }
    }

    /// Adds every field of `value` that is not among `known` (separated by blanks).
    pub fn fields(&mut self, at: &str, value: &Value, known: &str) {
        let Some(object) = value.as_object() else {
            return self.0.push(format!("{at}: must be an object"));
        };
        for key in object.keys() {
            self.unless(known.split(' ').any(|k| k == key), format!("{at}: unknown field {key:?}"));
        }
    }

    /// Adds `at` unless the value is a text with more than white space in it.
    pub fn text(&mut self, at: &str, value: &Value) {
        self.unless(value.as_str().is_some_and(|t| !t.trim().is_empty()), format!("{at}: empty text"));
    }
}

/// All rules that this request breaks.
pub fn violations(api: Api, request: &Request, needs_key: bool) -> Vec<String> {
    let mut broken = Broken::default();
    broken.unless(request.method == "POST", format!("method {}", request.method));
    broken.unless(request.path == api.path(), format!("path {}", request.path));
    headers(api, request, needs_key, &mut broken);
    let body = &request.json;
    if !body.is_object() {
        broken.0.push("body: not a JSON object".into());
        return broken.0;
    }
    broken.unless(body["stream"] == true, "stream: must be true");
    broken.unless(body["model"].as_str().is_some_and(|m| !m.is_empty()), "model: missing");
    tools(api, body, &mut broken);
    match api {
        Api::Anthropic => strict_anthropic::check(body, request.header("anthropic-version"), &mut broken),
        Api::Responses => strict_responses::check(body, &mut broken),
        Api::Chat => strict_chat::check(body, &mut broken),
    }
    broken.0
}

fn headers(api: Api, request: &Request, needs_key: bool, broken: &mut Broken) {
    let json = request.header("content-type").is_some_and(|v| v.starts_with("application/json"));
    broken.unless(json, "content-type: must be application/json");
    let bearer = request.header("authorization").is_some_and(|v| v.len() > 7 && v.starts_with("Bearer "));
    let x_api_key = request.header("x-api-key").is_some_and(|v| !v.is_empty());
    match api {
        Api::Anthropic => {
            let version = request.header("anthropic-version");
            broken
                .unless(matches!(version, Some("2026-10-21" | "2023-06-01")), "anthropic-version: missing or unknown");
            broken.unless(!(bearer && x_api_key), "x-api-key and authorization: both given");
            broken.unless(!needs_key || bearer || x_api_key, "x-api-key and authorization: neither given");
        }
        _ => broken.unless(!needs_key || bearer, "authorization: Bearer is missing"),
    }
    let hosts = request.headers.iter().filter(|(name, _)| name == "host").count();
    broken.unless(hosts == 1, "host: must be given once");
}

fn tools(api: Api, body: &Value, broken: &mut Broken) {
    let tools = body["tools"].as_array().cloned().unwrap_or_default();
    broken.unless(body.get("tools").is_none() || !tools.is_empty(), "tools: must not be empty or null: leave it out");
    broken.unless(body.get("tool_choice").is_none() || !tools.is_empty(), "tool_choice: only with tools");
    for (i, tool) in tools.iter().enumerate() {
        tool_fields(api, &format!("tools[{i}]"), tool, broken);
    }
    let names = api.tool_names(body);
    broken.unless(names.len() == tools.len(), "tools: a tool has no name");
    let distinct: HashSet<&String> = names.iter().collect();
    broken.unless(distinct.len() == names.len(), "tools: a name is given twice");
    for name in &names {
        broken.unless(is_name(name), format!("tools: bad name {name:?}"));
    }
    for (i, schema) in api.tool_schemas(body).iter().enumerate() {
        let at = format!("tools[{i}].schema");
        broken.unless(schema["type"] == "object", format!("{at}: the root must be an object"));
        sound_schema(&at, schema, broken);
    }
}

fn tool_fields(api: Api, at: &str, tool: &Value, broken: &mut Broken) {
    match api {
        Api::Anthropic => broken.fields(at, tool, "type name description input_schema strict cache_control"),
        Api::Responses => {
            broken.fields(at, tool, "type name description parameters strict");
            broken.unless(tool["type"] == "function", format!("{at}: type must be function"));
            broken.unless(tool["strict"] == false, format!("{at}: strict is missing, which means true"));
        }
        Api::Chat => {
            broken.fields(at, tool, "type function");
            broken.unless(tool["type"] == "function", format!("{at}: type must be function"));
            broken.fields(&format!("{at}.function"), &tool["function"], "name description parameters strict");
        }
    }
}

/// Every array has `items`, every object has `properties`, and what is required exists.
fn sound_schema(at: &str, schema: &Value, broken: &mut Broken) {
    let Some(object) = schema.as_object() else { return };
    let is = |kind: &str| match &schema["type"] {
        Value::String(t) => t == kind,
        Value::Array(ts) => ts.iter().any(|t| t == kind),
        _ => false,
    };
    broken.unless(!is("array") || schema["items"].is_object(), format!("{at}: array without items"));
    broken.unless(!is("object") || schema["properties"].is_object(), format!("{at}: object without properties"));
    for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        broken.unless(schema["properties"].get(name).is_some(), format!("{at}: {name} is required but not there"));
    }
    for (key, inner) in object {
        match inner {
            Value::Object(named) if key == "properties" => {
                named.iter().for_each(|(name, s)| sound_schema(&format!("{at}.{name}"), s, broken));
            }
            Value::Object(_) => sound_schema(&format!("{at}.{key}"), inner, broken),
            Value::Array(list) if key != "required" && key != "enum" => {
                list.iter().for_each(|s| sound_schema(&format!("{at}.{key}"), s, broken));
            }
            _ => {}
        }
    }
}

/// `[a-zA-Z0-9_-]{1,64}`
pub fn is_name(name: &str) -> bool {
    (1..=64).contains(&name.len()) && is_id(name)
}

/// `[a-zA-Z0-9_-]+`
pub fn is_id(id: &str) -> bool {
    !id.is_empty() && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}

/// The calls that wait for their results, in call order.
#[derive(Debug, Default)]
pub struct Pairing {
    seen: HashSet<String>,
    waiting: Vec<String>,
}

impl Pairing {
    /// Notes a call.
    pub fn call(&mut self, at: &str, id: &str, broken: &mut Broken) {
        broken.unless(self.seen.insert(id.to_owned()), format!("{at}: id {id:?} is not unique"));
        self.waiting.push(id.to_owned());
    }

    /// Notes a result, which must be that of the first call that waits.
    pub fn result(&mut self, at: &str, id: &str, broken: &mut Broken) {
        match self.waiting.iter().position(|w| w == id) {
            Some(0) => drop(self.waiting.remove(0)),
            Some(n) => {
                broken.0.push(format!("{at}: the result of {id:?} is out of call order"));
                self.waiting.remove(n);
            }
            None if self.seen.contains(id) => {
                broken.0.push(format!("{at}: {id:?} is answered a second time or too late"));
            }
            None => broken.0.push(format!("{at}: result for {id:?}, which nobody called")),
        }
    }

    /// Notes something that may stand only where no call waits.
    pub fn settled(&mut self, at: &str, broken: &mut Broken) {
        broken.unless(self.waiting.is_empty(), format!("{at}: no result for {:?} just after the calls", self.waiting));
        self.waiting.clear();
    }
}
