//! What a tool of the user's own says about itself: its name, what it is for, and what it takes. JSON with a schema, the
//! short JSON and the plain lines of Amp's toolboxes are all read. Pure.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::chat::ToolSpec;

/// The most that is read of a description.
pub(super) const LIMIT: usize = 64 << 10;

/// How a tool takes its arguments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// As one JSON object.
    Json,
    /// As lines of name and value, since it describes itself so.
    Lines,
}

/// The description with a schema, or with Amp's short list of arguments.
#[derive(Deserialize)]
struct Described {
    name: String,
    description: String,
    #[serde(alias = "inputSchema")]
    input_schema: Option<Value>,
    args: Option<Map<String, Value>>,
}

/// Reads a description in JSON.
pub(super) fn json(text: &str) -> Result<ToolSpec, String> {
    let described: Described = serde_json::from_str(text).map_err(|error| format!("no description: {error}"))?;
    let schema = match (described.input_schema, described.args) {
        (Some(schema), _) => schema,
        (None, Some(args)) => short_schema(&args)?,
        (None, None) => json!({"type": "object", "properties": {}}),
    };
    spec(&described.name, &described.description, schema)
}

/// Reads what a tool printed about itself.
pub(super) fn printed(text: &str) -> Result<(ToolSpec, Form), String> {
    if text.trim_start().starts_with('{') { Ok((json(text)?, Form::Json)) } else { Ok((lines(text)?, Form::Lines)) }
}

/// Reads lines: `name: …`, `description: …`, then one line for each argument, as `TYPE what it is`.
fn lines(text: &str) -> Result<ToolSpec, String> {
    let (mut name, mut description, mut properties, mut required) = (None, Vec::new(), Map::new(), Vec::new());
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        let (key, value) = line.split_once(':').ok_or_else(|| format!("no description: '{line}'"))?;
        let (key, value) = (key.trim(), value.trim());
        match key {
            "name" => name = Some(value),
            "description" => description.push(value),
            _ => add(key, value, &mut properties, &mut required),
        }
    }
    let name = name.ok_or("no description: it has no name")?;
    spec(name, &description.join("\n"), object(&properties, &required))
}

/// The schema of Amp's short JSON: `{"dir": ["string", "the directory"]}`.
fn short_schema(args: &Map<String, Value>) -> Result<Value, String> {
    let (mut properties, mut required) = (Map::new(), Vec::new());
    for (name, value) in args {
        let text = match value {
            Value::String(text) => text.clone(),
            Value::Array(words) if words.iter().all(Value::is_string) => {
                words.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" ")
            }
            _ => return Err(format!("args: '{name}' is neither a type nor a type with a description")),
        };
        add(name, &text, &mut properties, &mut required);
    }
    Ok(object(&properties, &required))
}

/// Adds an argument that is described as `string`, `string?`, `string (optional) what it is`.
fn add(name: &str, text: &str, properties: &mut Map<String, Value>, required: &mut Vec<Value>) {
    let (word, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    let kind = word.trim_end_matches('?');
    let is_type = ["string", "number", "integer", "boolean", "array", "object"].contains(&kind);
    let (kind, rest) = if is_type { (kind, rest.trim()) } else { ("string", text) };
    let without = rest.strip_prefix("(optional)").or_else(|| rest.strip_prefix("optional "));
    if without.is_none() && !(is_type && word.ends_with('?')) {
        required.push(name.into());
    }
    properties.insert(name.to_owned(), json!({"type": kind, "description": without.unwrap_or(rest).trim()}));
}

fn object(properties: &Map<String, Value>, required: &[Value]) -> Value {
    json!({"type": "object", "properties": properties, "required": required})
}

/// Checks what every service demands of a tool.
fn spec(name: &str, description: &str, mut schema: Value) -> Result<ToolSpec, String> {
    let is_letter = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if name.is_empty() || name.len() > 64 || !name.chars().all(is_letter) {
        return Err(format!("'{name}' is no name for a tool: up to 64 letters, digits, '_' and '-'"));
    }
    if description.trim().is_empty() {
        return Err(format!("{name} has no description, without which a model cannot use it"));
    }
    let Some(fields) = schema.as_object_mut().filter(|fields| fields.get("type") == Some(&json!("object"))) else {
        return Err(format!("the input_schema of {name} is no JSON schema of type object"));
    };
    if !fields.entry("properties").or_insert_with(|| json!({})).is_object() {
        return Err(format!("the properties in the input_schema of {name} are no object"));
    }
    Ok(ToolSpec {
        name: Cow::Owned(name.to_owned()),
        description: Cow::Owned(description.trim().to_owned()),
        schema: Cow::Owned(schema.to_string()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schema(spec: &ToolSpec) -> Value {
        serde_json::from_str(&spec.schema).unwrap()
    }

    #[test]
    fn all_forms_of_a_description_are_read() {
        let wanted = json!({
            "type": "object",
            "properties": {"dir": {"type": "string", "description": "the directory"}},
            "required": ["dir"],
        });
        let texts = [
            json!({"name": "t", "description": "d", "input_schema": wanted}).to_string(),
            json!({"name": "t", "description": "d", "inputSchema": wanted}).to_string(),
            json!({"name": "t", "description": "d", "args": {"dir": ["string", "the directory"]}}).to_string(),
            "name: t\ndescription: d\ndir: string the directory\n".to_owned(),
            "name: t\n\ndescription: d\ndir: the directory\n".to_owned(),
        ];
        for text in texts {
            let (spec, form) = printed(&text).unwrap();
            assert_eq!((spec.name.as_ref(), spec.description.as_ref()), ("t", "d"));
            assert_eq!(schema(&spec), wanted, "{text}");
            assert_eq!(form == Form::Json, text.starts_with('{'));
        }
    }

    #[test]
    fn an_argument_may_be_optional() {
        let text =
            "name: t\ndescription: a\ndescription: b\nx: number? how many\ny: string (optional) w\nz: boolean yes\n";
        let (spec, _) = printed(text).unwrap();
        assert_eq!(spec.description, "a\nb");
        let schema = schema(&spec);
        assert_eq!(schema["required"], json!(["z"]));
        assert_eq!(schema["properties"]["x"], json!({"type": "number", "description": "how many"}));
        assert_eq!(schema["properties"]["y"], json!({"type": "string", "description": "w"}));
        let bare = json(r#"{"name": "t", "description": "d"}"#).unwrap();
        assert_eq!(self::schema(&bare), json!({"type": "object", "properties": {}}));
    }

    #[test]
    fn what_no_service_would_take_is_refused() {
        let long = "x".repeat(65);
        let cases = [
            ("", "no name"),
            ("hello\n", "no description"),
            ("{", "no description"),
            ("[]", "no description"),
            (r#"{"description": "d"}"#, "name"),
            (r#"{"name": "a b", "description": "d"}"#, "no name for a tool"),
            (r#"{"name": "", "description": "d"}"#, "no name for a tool"),
            (r#"{"name": "t", "description": " "}"#, "no description"),
            (r#"{"name": "t", "description": "d", "input_schema": {"type": "string"}}"#, "type object"),
            (r#"{"name": "t", "description": "d", "input_schema": 7}"#, "type object"),
            (r#"{"name": "t", "description": "d", "input_schema": {"type": "object", "properties": 7}}"#, "no object"),
            (r#"{"name": "t", "description": "d", "args": {"a": 7}}"#, "neither a type"),
        ];
        for (text, why) in cases {
            assert!(printed(text).unwrap_err().contains(why), "{text}: {:?}", printed(text));
        }
        assert!(json(&format!(r#"{{"name": "{long}", "description": "d"}}"#)).is_err());
    }
}
