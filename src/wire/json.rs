//! JSON as the wires need it: lenient about what servers send, exact about what goes back. Knows no API.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::chat::Seal;

/// Nesting beyond this is refused, as `serde_json` itself does wherever it recurses.
const MAX_DEPTH: usize = 128;

/// Why a payload is not a JSON document.
#[derive(Debug)]
pub(super) enum Fault {
    /// It breaks off.
    Cut,
    /// It is something else.
    Syntax(String),
    /// It is nested too deeply.
    Deep,
}

/// Replaces the `\u` escapes of surrogates without partner by `\ufffd`: servers that cut text between two deltas
/// send them, and no JSON parser for UTF-8 takes them.
pub(super) fn repair(text: &str) -> Cow<'_, str> {
    let bytes = text.as_bytes();
    if memchr::memmem::find(bytes, b"\\u").is_none() {
        return Cow::Borrowed(text);
    }
    let mut repaired = String::new();
    let (mut copied, mut at) = (0, 0);
    while let Some(found) = bytes.get(at..).and_then(|rest| memchr::memchr(b'\\', rest)) {
        let escape = at + found;
        at = escape + 2;
        match surrogate(bytes, escape) {
            Some(Surrogate::High) if matches!(surrogate(bytes, escape + 6), Some(Surrogate::Low)) => at = escape + 12,
            Some(_) => {
                repaired.push_str(&text[copied..escape]);
                repaired.push_str("\\ufffd");
                at = escape + 6;
                copied = at;
            }
            None => {}
        }
    }
    if copied == 0 {
        return Cow::Borrowed(text);
    }
    repaired.push_str(&text[copied..]);
    Cow::Owned(repaired)
}

enum Surrogate {
    High,
    Low,
}

/// The surrogate whose escape begins at `at`, if one does.
fn surrogate(bytes: &[u8], at: usize) -> Option<Surrogate> {
    let digits = bytes.get(at..at + 6)?.strip_prefix(b"\\u")?;
    let [b'd' | b'D', second, third, fourth] = digits else { return None };
    if !(third.is_ascii_hexdigit() && fourth.is_ascii_hexdigit()) {
        return None;
    }
    match second.to_ascii_lowercase() {
        b'8' | b'9' | b'a' | b'b' => Some(Surrogate::High),
        b'c'..=b'f' => Some(Surrogate::Low),
        _ => None,
    }
}

/// Checks that `text` is one JSON document.
pub(super) fn parse(text: &str) -> Result<&RawValue, Fault> {
    if too_deep(text.as_bytes()) {
        return Err(Fault::Deep);
    }
    serde_json::from_str(text).map_err(|error: serde_json::Error| match error.classify() {
        serde_json::error::Category::Eof => Fault::Cut,
        _ => Fault::Syntax(error.to_string()),
    })
}

fn too_deep(bytes: &[u8]) -> bool {
    if memchr::memchr2_iter(b'{', b'[', bytes).nth(MAX_DEPTH).is_none() {
        return false;
    }
    let (mut depth, mut quoted, mut escaped) = (0_usize, false, false);
    for &byte in bytes {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => quoted = !quoted,
            _ if quoted => {}
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > MAX_DEPTH {
            return true;
        }
    }
    false
}

/// The object `raw`, read into `T`; `None` if it is not one.
pub(super) fn object<'a, T: Deserialize<'a>>(raw: &'a RawValue) -> Option<T> {
    // Derived code also takes an array for a struct, which no API means.
    if raw.get().starts_with('{') { serde_json::from_str(raw.get()).ok() } else { None }
}

/// The string `raw`, without a copy where it has no escapes; `None` if it is not one.
pub(super) fn string(raw: &RawValue) -> Option<Cow<'_, str>> {
    let inner = raw.get().strip_prefix('"')?.strip_suffix('"')?;
    if memchr::memchr(b'\\', inner.as_bytes()).is_none() {
        return Some(Cow::Borrowed(inner));
    }
    serde_json::from_str::<String>(raw.get()).ok().map(Cow::Owned)
}

/// The string in an optional field; empty counts as absent.
pub(super) fn word(raw: Option<&RawValue>) -> Option<String> {
    raw.and_then(string).filter(|word| !word.is_empty()).map(Cow::into_owned)
}

/// Greater numbers count nothing that there is, and sums of them would not be numbers any more.
pub(super) const MOST: u64 = 1 << 40;

/// The count in an optional field: a whole number, also one written as a float or as a string.
pub(super) fn count(raw: Option<&RawValue>) -> Option<u64> {
    let text = raw?.get().trim_matches('"');
    let count: Option<u64> = text.parse().ok().or_else(|| {
        let value: f64 = text.parse().ok().filter(|value: &f64| (0.0..9e15).contains(value))?;
        // The range is checked above; what a float has beyond whole tokens means nothing.
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        Some(value as u64)
    });
    count.filter(|count| *count <= MOST)
}

/// The elements of the array `raw`; none if it is not one.
pub(super) fn elements(raw: Option<&RawValue>) -> Vec<&RawValue> {
    raw.and_then(|raw| serde_json::from_str(raw.get()).ok()).unwrap_or_default()
}

/// The members of the object `raw` in their order; none if it is not one.
pub(super) fn members(raw: &RawValue) -> Vec<(String, &RawValue)> {
    object::<Members<'_>>(raw).map(|members| members.0).unwrap_or_default()
}

struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Ordered;
        impl<'de> Visitor<'de> for Ordered {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Ordered)
    }
}

/// The object `raw` with some members replaced or added, everything else as it was written. The values are JSON.
pub(super) fn with(raw: &RawValue, changes: &[(&str, &str)]) -> Option<Seal> {
    let old = members(raw);
    let mut out = String::from("{");
    for (name, value) in &old {
        let value = changes.iter().find(|(changed, _)| changed == name).map_or(value.get(), |(_, new)| new);
        push_member(name, value, &mut out);
    }
    for (name, value) in changes.iter().filter(|(name, _)| !old.iter().any(|(known, _)| known == name)) {
        push_member(name, value, &mut out);
    }
    out.truncate(out.trim_end_matches(',').len());
    out.push('}');
    RawValue::from_string(out).ok()
}

/// An object of the given members, whose values are JSON.
pub(super) fn object_of(members: &[(&str, &str)]) -> Option<Seal> {
    with(RawValue::NULL, members)
}

fn push_member(name: &str, value: &str, out: &mut String) {
    out.push_str(&quoted(name));
    out.push(':');
    out.push_str(value);
    out.push(',');
}

/// `text` as a JSON string.
pub(super) fn quoted(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len() + 2);
    write_string(text, &mut out);
    String::from_utf8(out).unwrap_or_default()
}

/// Writes `text` as a JSON string.
pub(super) fn write_string(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    write_escaped(text, out);
    out.push(b'"');
}

/// Writes `text` as the inside of a JSON string, so that one string can be written in pieces.
pub(super) fn write_escaped(text: &str, out: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let bytes = text.as_bytes();
    let mut copied = 0;
    for (at, &byte) in bytes.iter().enumerate() {
        if byte >= b' ' && byte != b'"' && byte != b'\\' {
            continue;
        }
        out.extend_from_slice(&bytes[copied..at]);
        copied = at + 1;
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            _ => {
                out.extend_from_slice(b"\\u00");
                out.push(HEX[usize::from(byte >> 4)]);
                out.push(HEX[usize::from(byte & 15)]);
            }
        }
    }
    out.extend_from_slice(&bytes[copied..]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::Part;
    use crate::chat::estimate::weight_of_parts;
    use proptest::prelude::*;

    fn raw(text: &str) -> Box<RawValue> {
        RawValue::from_string(text.to_owned()).unwrap()
    }

    proptest! {
        #[test]
        fn a_text_weighs_what_is_written_of_it(text in "[\u{0}-\u{ff}]{0,40}") {
            let mut written = Vec::new();
            write_escaped(&text, &mut written);
            prop_assert_eq!(weight_of_parts(&[Part::Text(text)]), written.len() as u64);
        }
    }

    #[test]
    fn lone_surrogates_are_replaced_and_pairs_kept() {
        assert_eq!(repair(r#""a\ud83d""#), r#""a\ufffd""#);
        assert_eq!(repair(r#""\uDE80\ud83d\ude80\ud83dx""#), r#""\ufffd\ud83d\ude80\ufffdx""#);
        assert_eq!(repair(r#""\\ud83d \u00e9""#), r#""\\ud83d \u00e9""#);
        assert_eq!(repair(r#""\ud83d"#), r#""\ufffd"#);
        assert_eq!(repair(r#""\ud8"#), r#""\ud8"#);
    }

    #[test]
    fn documents_have_a_depth_limit() {
        assert!(parse(&format!("{}{}", "[".repeat(128), "]".repeat(128))).is_ok());
        assert!(matches!(parse(&format!("{}{}", "[".repeat(129), "]".repeat(129))), Err(Fault::Deep)));
        assert!(parse(&format!("\"{}\"", "[".repeat(500))).is_ok());
        assert!(matches!(parse("{\"a\":"), Err(Fault::Cut)));
        assert!(matches!(parse("nonsense"), Err(Fault::Syntax(_))));
    }

    #[test]
    fn counts_are_lenient() {
        for (text, expected) in [("3", Some(3)), ("3.0", Some(3)), ("\"7\"", Some(7)), ("-1", None), ("\"x\"", None)] {
            assert_eq!(count(Some(&raw(text))), expected, "{text}");
        }
        for text in ["18446744073709551615", "\"1099511627777\"", "8e15"] {
            assert_eq!(count(Some(&raw(text))), None, "{text}");
        }
    }

    #[test]
    fn members_are_replaced_in_place() {
        let changed = with(&raw(r#"{"a":1,"b":{"x":1.0},"c":3}"#), &[("a", "[]"), ("d", "null")]).unwrap();
        assert_eq!(changed.get(), r#"{"a":[],"b":{"x":1.0},"c":3,"d":null}"#);
        assert_eq!(object_of(&[("k", "1")]).unwrap().get(), r#"{"k":1}"#);
    }

    proptest! {
        #[test]
        fn written_strings_read_back(text in any::<String>()) {
            let written = quoted(&text);
            prop_assert_eq!(serde_json::from_str::<String>(&written).unwrap(), text.clone());
            let written = raw(&written);
            prop_assert_eq!(string(&written).unwrap(), text);
        }
    }
}
