//! The arguments of a call as a typed value. Lenient only where no meaning can be lost: one string for a list
//! of strings, digits in quotes for a number. Knows no tool.

use std::collections::BTreeMap;

use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use serde_json::value::RawValue;

use super::Refusal;
use crate::base::text;
use crate::chat::Arguments;

/// Arguments above this are refused unread.
const LIMIT: usize = 1 << 20;

/// The arguments as one JSON object, or why they are none.
pub(super) fn checked(arguments: &Arguments) -> Result<&RawValue, Refusal> {
    let length = match arguments {
        Arguments::Object(raw) => raw.get().len(),
        Arguments::Broken { text, .. } => text.len(),
    };
    if length > LIMIT {
        return Err(bad(format!("the arguments are {length} bytes long, at most {LIMIT} are allowed")));
    }
    match arguments {
        Arguments::Object(raw) => Ok(raw),
        Arguments::Broken { fault, .. } => {
            Err(bad(format!("the arguments are not one JSON object: {}", text::prefix(fault, 300))))
        }
    }
}

/// Reads the arguments into `T`; the refusal names the field at fault.
pub(super) fn parse<T: DeserializeOwned>(arguments: &RawValue) -> Result<T, Refusal> {
    serde_json::from_str(arguments.get()).map_err(|error| bad(fault(arguments.get(), &error)))
}

/// A refusal for arguments that can be read, but make no sense.
pub(super) fn bad(message: impl std::fmt::Display) -> Refusal {
    Refusal::new("bad_arguments", message)
}

/// serde names a field if it is missing, unknown or there twice; of a wrong value it tells only the place.
fn fault(text: &str, error: &serde_json::Error) -> String {
    let full = error.to_string();
    let reason = full.rsplit_once(" at line ").map_or(full.as_str(), |(reason, _)| reason);
    let reason = text::prefix(reason, 500);
    let names_it =
        ["missing", "unknown", "duplicate"].iter().any(|word| reason.starts_with(&format!("{word} field `")));
    match field_before(text, error.line(), error.column()) {
        Some(field) if !names_it => format!("`{field}`: {reason}"),
        _ => reason.to_owned(),
    }
}

/// The field whose value begins last before a place; the place is at the end of the value or a little behind it.
fn field_before(text: &str, line: usize, column: usize) -> Option<String> {
    let line_start: usize = text.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum();
    let place = text.as_ptr() as usize + line_start + column;
    let fields: BTreeMap<String, &RawValue> = serde_json::from_str(text).ok()?;
    let begun = fields.into_iter().map(|(name, value)| (value.get().as_ptr() as usize, name));
    begun.filter(|(start, _)| *start <= place).max().map(|(_, name)| name)
}

/// The paths in the arguments of any of the tools that work on files.
pub(super) fn paths(arguments: &RawValue) -> Vec<String> {
    let arguments: Value = serde_json::from_str(arguments.get()).unwrap_or_default();
    let named = ["path", "to", "paths"].into_iter().filter_map(|field| arguments.get(field));
    named.flat_map(|value| one_or_many(value).unwrap_or_default()).collect()
}

/// An optional path; none, and an empty one too, means the root.
pub(super) fn path_or_root(path: Option<&str>) -> &str {
    path.filter(|path| !path.is_empty()).unwrap_or(".")
}

/// A list of strings, one string for a list of one, or a list that was put into a string.
pub(super) fn one_or_many<'de, D: Deserializer<'de>>(input: D) -> Result<Vec<String>, D::Error> {
    let wrong = || D::Error::custom("expected a list of strings");
    match Value::deserialize(input)? {
        Value::String(one) if one.starts_with('[') => Ok(serde_json::from_str(&one).unwrap_or_else(|_| vec![one])),
        Value::String(one) => Ok(vec![one]),
        Value::Array(many) => {
            many.into_iter().map(|item| if let Value::String(s) = item { Ok(s) } else { Err(wrong()) }).collect()
        }
        _ => Err(wrong()),
    }
}

/// A whole number, also as digits in quotes; null is none.
pub(super) fn whole<'de, D: Deserializer<'de>>(input: D) -> Result<Option<u64>, D::Error> {
    let number = match Value::deserialize(input)? {
        Value::Null => return Ok(None),
        Value::Number(number) => number.to_string(),
        Value::String(digits) => digits,
        _ => return Err(D::Error::custom("expected a whole number")),
    };
    let digits = number.trim();
    let digits = digits.strip_suffix(".0").unwrap_or(digits);
    digits.parse().map(Some).map_err(|_| D::Error::custom("expected a whole number, not negative"))
}

/// True or false, also in quotes; null is false.
pub(super) fn truth<'de, D: Deserializer<'de>>(input: D) -> Result<bool, D::Error> {
    match Value::deserialize(input)? {
        Value::Null => Ok(false),
        Value::Bool(yes) => Ok(yes),
        Value::String(word) if word == "true" => Ok(true),
        Value::String(word) if word == "false" => Ok(false),
        _ => Err(D::Error::custom("expected true or false")),
    }
}
