//! `--schema`: answers that are valid against a JSON Schema, which is checked here whatever the server promises.

use std::error::Error;

use boon::{CompileError, Compiler, ErrorKind, SchemaIndex, Schemas, UrlLoader, ValidationError};
use serde_json::Value;

use super::Answer;
use super::json::{self, Around};

/// Where the schema stands for references to itself.
const PLACE: &str = "https://flux.invalid/answer";
/// The member that holds the value where a server's own mode demands an object.
pub const WRAPPER: &str = "answer";
/// So many faults are told at once.
const MOST_FAULTS: usize = 8;

/// A JSON Schema (2020-12 unless it says otherwise) that answers are held to.
pub struct Schema {
    source: Value,
    compiled: Schemas,
    index: SchemaIndex,
}

impl std::fmt::Debug for Schema {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Schema").field("source", &self.source).finish_non_exhaustive()
    }
}

/// A schema is what the user gave; it reaches for nothing else.
struct Nothing;

impl UrlLoader for Nothing {
    fn load(&self, url: &str) -> Result<Value, Box<dyn Error>> {
        Err(format!("{url}: references to other documents are not followed").into())
    }
}

impl Schema {
    /// Takes a schema.
    ///
    /// # Errors
    /// It is none.
    pub fn new(source: Value) -> Result<Self, String> {
        let mut compiler = Compiler::new();
        compiler.use_loader(Box::new(Nothing));
        let mut schemas = Schemas::new();
        let fail = |error| format!("not a JSON Schema: {}", what_is_wrong(&error));
        compiler.add_resource(PLACE, source.clone()).map_err(fail)?;
        let index = compiler.compile(PLACE, &mut schemas).map_err(fail)?;
        Ok(Self { source, compiled: schemas, index })
    }

    /// The schema as it was given.
    #[must_use]
    pub fn source(&self) -> &Value {
        &self.source
    }

    /// It says nothing of the value.
    pub(super) fn takes_anything(&self) -> bool {
        self.source.as_object().is_some_and(serde_json::Map::is_empty) || self.source == Value::Bool(true)
    }

    pub(super) fn instruction(&self) -> String {
        let rule = if self.takes_anything() {
            String::new()
        } else {
            format!(" It must be valid against this JSON Schema: {}", self.source)
        };
        format!("Answer with one JSON value and nothing else: no words around it, no code fence.{rule}")
    }

    /// The value in a text, if it is valid.
    pub(super) fn read(&self, text: &str) -> Result<Answer, String> {
        let (value, text) = json::read(text, Around::Words)?;
        let Err(faults) = self.check(&value) else {
            return Ok(Answer { text, structured: Some(value), says_no: false });
        };
        match self.unwrapped(&value) {
            Some(inner) => {
                let own = text.strip_prefix("{\"answer\":").and_then(|rest| rest.strip_suffix('}'));
                let text = own.map_or_else(|| inner.to_string(), str::to_owned);
                Ok(Answer { text, structured: Some(inner.clone()), says_no: false })
            }
            None => Err(faults),
        }
    }

    /// The value out of the object that a server's own mode put around it.
    fn unwrapped<'a>(&self, value: &'a Value) -> Option<&'a Value> {
        let object = value.as_object().filter(|object| object.len() == 1)?;
        object.get(WRAPPER).filter(|inner| self.check(inner).is_ok())
    }

    /// What is wrong with a value: the places within it, as JSON pointers, and why.
    #[must_use]
    pub fn faults(&self, value: &Value) -> Vec<(String, String)> {
        let mut faults = Vec::new();
        if let Err(error) = self.compiled.validate(value, self.index) {
            leaves(&error, &mut faults);
        }
        faults
    }

    /// # Errors
    /// What is wrong with the value.
    pub(super) fn check(&self, value: &Value) -> Result<(), String> {
        let place = |at: String| if at.is_empty() { "the value".to_owned() } else { at };
        let faults = self.faults(value).into_iter().map(|(at, why)| format!("{}: {why}", place(at)));
        let mut faults: Vec<String> = faults.collect();
        if faults.is_empty() {
            return Ok(());
        }
        let left = faults.len().saturating_sub(MOST_FAULTS);
        faults.truncate(MOST_FAULTS);
        if left > 0 {
            faults.push(format!("{left} more"));
        }
        Err(format!("it is not valid against the schema: {}", faults.join("; ")))
    }
}

/// Why a schema is none, without the address that it has here.
fn what_is_wrong(error: &CompileError) -> String {
    let text = match error {
        CompileError::ValidationError { src, .. } => {
            let mut faults = Vec::new();
            leaves(src, &mut faults);
            faults.truncate(MOST_FAULTS);
            faults.into_iter().map(|(at, why)| format!("{at}: {why}")).collect::<Vec<_>>().join("; ")
        }
        CompileError::InvalidRegex { regex, .. } => {
            format!("the pattern '{regex}' cannot be checked: look-around and back-references are not known here")
        }
        CompileError::LoadUrlError { src, .. } => src.to_string(),
        other => other.to_string(),
    };
    let text = text.replace(PLACE, "");
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The faults themselves, without the path through the schema that led to them.
fn leaves(error: &ValidationError<'_, '_>, faults: &mut Vec<(String, String)>) {
    // The validator counts in binary fractions, in which 19.99 is no multiple of 0.01.
    if let ErrorKind::MultipleOf { got, want } = &error.kind
        && is_multiple(&got.to_string(), &want.to_string())
    {
        return;
    }
    let mut own = |kind: &ErrorKind<'_, '_>| faults.push((error.instance_location.to_string(), kind.to_string()));
    if error.causes.is_empty() {
        return own(&error.kind);
    }
    let of_cause = |cause| {
        let mut faults = Vec::new();
        leaves(cause, &mut faults);
        faults
    };
    let causes: Vec<_> = error.causes.iter().map(of_cause).collect();
    let mut clear = causes.iter().enumerate().filter(|(_, faults)| faults.is_empty()).map(|(at, _)| at);
    match (&error.kind, clear.next(), clear.next()) {
        // Of these causes one that is no fault is enough.
        (ErrorKind::AnyOf | ErrorKind::Contains, Some(_), _) | (ErrorKind::OneOf(_), Some(_), None) => {}
        (ErrorKind::OneOf(_), Some(one), Some(other)) => own(&ErrorKind::OneOf(Some((one, other)))),
        _ => faults.extend(causes.into_iter().flatten()),
    }
}

/// Whether one decimal number is a multiple of another, as far as both fit.
fn is_multiple(number: &str, of: &str) -> bool {
    let (Some((a, b)), Some((c, d))) = (decimal(number), decimal(of)) else { return false };
    let exponent = b.min(d);
    let scaled = |digits: i128, own: i32| {
        10_i128.checked_pow(u32::try_from(own - exponent).ok()?).and_then(|scale| digits.checked_mul(scale))
    };
    let (Some(number), Some(of)) = (scaled(a, b), scaled(c, d)) else { return false };
    number.checked_rem(of) == Some(0)
}

/// A JSON number as an integer and a power of ten.
fn decimal(text: &str) -> Option<(i128, i32)> {
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}").parse().ok()?;
    Some((digits, exponent.parse::<i32>().ok()?.checked_sub(i32::try_from(fraction.len()).ok()?)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn schema() -> Schema {
        Schema::new(json!({
            "type": "object",
            "properties": {"n": {"type": "integer", "minimum": 1}, "tags": {"type": "array", "items": {"type": "string"}}},
            "required": ["n"],
        }))
        .unwrap()
    }

    #[test]
    fn a_valid_value_comes_back_compact_and_faults_are_named_with_their_place() {
        let answer = schema().read("{ \"n\": 10000000000000000, \"tags\": [] }").unwrap();
        assert_eq!(answer.text, "{\"n\":10000000000000000,\"tags\":[]}");
        let fault = schema().read("{\"n\": 0, \"tags\": [1]}").unwrap_err();
        assert!(fault.contains("/n") && fault.contains("/tags/0"), "{fault}");
        assert!(schema().read("{\"tags\": []}").unwrap_err().contains('n'));
    }

    #[test]
    fn a_schema_reaches_for_no_file_and_no_address() {
        for url in ["file:///etc/hostname", "https://example.com/s.json", "other.json"] {
            assert!(Schema::new(json!({"$ref": url})).is_err(), "{url}");
        }
        let fault = Schema::new(json!({"properties": {"a": {"type": "nonsense"}}})).unwrap_err();
        assert!(fault.contains("/properties/a/type") && !fault.contains("://"), "{fault}");
        assert!(Schema::new(json!({"$ref": "#/$defs/a", "$defs": {"a": {"type": "string"}}})).is_ok());
    }

    #[test]
    fn multiples_are_decimal() {
        let price = |of: f64| Schema::new(json!({"multipleOf": of})).unwrap();
        for (number, of) in [("19.99", 0.01), ("4.35", 0.01), ("0.3", 0.1), ("-9.95", 0.05), ("1e2", 0.1), ("0", 0.1)] {
            assert!(price(of).read(number).is_ok(), "{number} {of}");
        }
        for (number, of) in [("19.995", 0.01), ("0.35", 0.1), ("1e-9", 0.1), ("7", 2.0)] {
            assert!(price(of).read(number).is_err(), "{number} {of}");
        }
    }

    #[test]
    fn multiples_are_decimal_in_branches_too() {
        let price = json!({"type": "number", "multipleOf": 0.01});
        for word in ["anyOf", "oneOf"] {
            let either = Schema::new(json!({word: [price, {"type": "null"}]})).unwrap();
            let inside =
                Schema::new(json!({"properties": {"p": {word: [{"allOf": [price]}, {"type": "null"}]}}})).unwrap();
            let both = Schema::new(json!({word: [{"type": "null"}, {"allOf": [price, {"maximum": 5}]}]})).unwrap();
            assert!(either.read("19.99").is_ok() && inside.read("{\"p\": 19.99}").is_ok(), "{word}");
            assert!(either.read("19.995").is_err() && inside.read("{\"p\": \"\"}").is_err(), "{word}");
            assert!(both.read("4.35").is_ok() && both.read("19.99").is_err(), "{word}");
        }
        let two = Schema::new(json!({"oneOf": [price, {"multipleOf": 0.005}]})).unwrap();
        assert!(two.read("19.99").unwrap_err().contains("0, 1 matched"));
        let list = Schema::new(json!({"contains": price})).unwrap();
        assert!(list.read("[\"\", 19.99]").is_ok() && list.read("[\"\", 19.995]").is_err());
    }

    #[test]
    fn a_wrapped_list_is_unwrapped() {
        let list = Schema::new(json!({"type": "array", "items": {"type": "integer"}})).unwrap();
        assert_eq!(list.read("{\"answer\": [1, 2]}").unwrap().text, "[1,2]");
        assert!(list.read("{\"answer\": [\"a\"]}").is_err());
        assert!(list.read("{\"answer\": [1], \"more\": 1}").is_err());
    }
}
