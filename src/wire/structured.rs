//! The services' own modes for answers that are valid against a schema. Each takes a subset of JSON Schema; a schema
//! is adapted where that is safe, since the answer is checked against the user's own schema in any case.

use serde_json::{Map, Value, json};

/// Whether a server takes a JSON Schema for the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Structured {
    /// It does not.
    Never,
    /// Only in a request in which no tool may be called: with tools the schema would keep the model from them.
    WithoutTools,
    /// Also beside tools, which can still be called.
    BesideTools,
}

/// A schema in the forms in which servers take it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutputFormat {
    /// Within the subset that a server can enforce, its root an object; for Anthropic.
    pub strict: Option<String>,
    /// The same where all members are required, which `OpenAI` demands too.
    enforced: Option<String>,
    /// As the user gave it, where its root is an object: `OpenAI` takes that as a strong hint.
    loose: Option<String>,
}

/// Keywords that say nothing of the value, or that the local check alone can hold the answer to.
const DROPPED: &[&str] = &[
    "$schema",
    "$comment",
    "default",
    "examples",
    "deprecated",
    "readOnly",
    "writeOnly",
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "multipleOf",
    "minLength",
    "maxLength",
    "pattern",
    "minItems",
    "maxItems",
    "uniqueItems",
    "format",
];

impl OutputFormat {
    /// Adapts a schema. `wrapper` names the member that holds the value where its root is no object.
    #[must_use]
    pub fn new(schema: &Value, wrapper: &str) -> Self {
        let is_object = |schema: &Value| schema["type"] == "object";
        let mut all_required = true;
        let strict = adapt(schema, true, &mut all_required);
        let strict = match strict {
            Some(schema) if is_object(&schema) => Some(schema),
            // References into the schema would lead nowhere from within a wrapper.
            Some(schema) if schema.get("$ref").is_none() && schema.get("$defs").is_none() => Some(json!({
                "type": "object",
                "properties": {wrapper: schema},
                "required": [wrapper],
                "additionalProperties": false,
            })),
            _ => None,
        };
        let strict = strict.map(|schema| schema.to_string());
        Self {
            enforced: strict.clone().filter(|_| all_required),
            strict,
            loose: is_object(schema).then(|| schema.to_string()),
        }
    }

    /// The members in which both APIs of `OpenAI` name the schema.
    pub(super) fn openai(&self) -> Option<String> {
        let (schema, strict) = match (&self.enforced, &self.loose) {
            (Some(schema), _) => (schema, true),
            (None, Some(schema)) => (schema, false),
            (None, None) => return None,
        };
        Some(format!(r#""name":"answer","schema":{schema},"strict":{strict}"#))
    }
}

/// The schema within the subset, or `None` if it says what the subset cannot. What is narrower than the user's schema
/// (no further members) is safe, and so is what is wider (no bounds): the answer is checked anyway.
fn adapt(schema: &Value, outermost: bool, all_required: &mut bool) -> Option<Value> {
    let mut adapted = Map::new();
    for (keyword, value) in schema.as_object()? {
        let value = match keyword.as_str() {
            "title" | "description" | "required" => value.clone(),
            "type" if *value != "object" || schema.get("properties").is_some() => value.clone(),
            "enum" if value.as_array()?.iter().all(is_scalar) => value.clone(),
            "const" if is_scalar(value) => value.clone(),
            "additionalProperties" if *value == false => value.clone(),
            "items" => adapt(value, false, all_required)?,
            "anyOf" => value.as_array()?.iter().map(|one| adapt(one, false, all_required)).collect::<Option<_>>()?,
            "properties" => members(value, all_required)?,
            "$defs" if outermost && !value.to_string().contains("\"$ref\"") => members(value, all_required)?,
            "$ref" if value.as_str()?.starts_with("#/$defs/") => value.clone(),
            dropped if DROPPED.contains(&dropped) => continue,
            _ => return None,
        };
        adapted.insert(keyword.clone(), value);
    }
    if let Some(properties) = adapted.get("properties").and_then(Value::as_object) {
        let required = adapted.get("required").and_then(Value::as_array);
        let is_required = |name: &String| required.is_some_and(|names| names.iter().any(|other| *other == **name));
        *all_required &= properties.keys().all(is_required);
        adapted.entry("type").or_insert_with(|| "object".into());
        adapted.insert("additionalProperties".to_owned(), false.into());
    }
    let says_what = ["type", "enum", "const", "anyOf", "$ref"].iter().any(|keyword| adapted.contains_key(*keyword));
    says_what.then_some(Value::Object(adapted))
}

fn members(schemas: &Value, all_required: &mut bool) -> Option<Value> {
    let adapted = schemas.as_object()?.iter().map(|(name, one)| Some((name.clone(), adapt(one, false, all_required)?)));
    adapted.collect::<Option<Map<_, _>>>().map(Value::Object)
}

fn is_scalar(value: &Value) -> bool {
    !value.is_array() && !value.is_object()
}

/// Whether a server's refusal is about the format: then the model is told in words alone.
#[must_use]
pub fn refuses_format(error: &super::ApiError) -> bool {
    let words = ["format", "schema", "grammar", "structured", "output_config"];
    let about = |text: &str| words.iter().any(|word| text.to_ascii_lowercase().contains(word));
    error.class == super::ErrorClass::BadRequest && (about(&error.message) || error.code.as_deref().is_some_and(about))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn format(schema: &Value) -> OutputFormat {
        OutputFormat::new(schema, "answer")
    }

    #[test]
    fn bounds_are_dropped_and_objects_closed() {
        let adapted = format(&json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "type": "object",
            "properties": {"n": {"type": "integer", "minimum": 1}, "s": {"enum": ["a", null]}},
            "required": ["n", "s"],
        }));
        let wanted = json!({
            "type": "object",
            "properties": {"n": {"type": "integer"}, "s": {"enum": ["a", null]}},
            "required": ["n", "s"],
            "additionalProperties": false,
        });
        assert_eq!(adapted.strict, Some(wanted.to_string()));
        assert!(adapted.openai().unwrap().ends_with("\"strict\":true"));
    }

    #[test]
    fn optional_members_are_only_a_hint_for_openai() {
        let adapted = format(&json!({"type": "object", "properties": {"n": {"type": "integer"}}}));
        assert!(adapted.strict.is_some());
        assert!(adapted.openai().unwrap().ends_with("\"strict\":false"));
    }

    #[test]
    fn a_list_is_wrapped_and_what_cannot_be_said_is_left_out() {
        let list = format(&json!({"type": "array", "items": {"type": "string"}}));
        assert!(list.strict.unwrap().contains("\"properties\":{\"answer\":{\"type\":\"array\""));
        for schema in [
            json!(true),
            json!({"type": "object"}),
            json!({"not": {"type": "string"}}),
            json!({"type": "object", "properties": {"a": {}}}),
            json!({"type": "object", "properties": {}, "additionalProperties": {"type": "string"}}),
            json!({"type": "object", "properties": {"a": {"$ref": "#"}}}),
        ] {
            assert_eq!(format(&schema).strict, None, "{schema}");
        }
    }
}
