//! One JSON value out of what a model said, and nothing that leaves open what it is.

use serde_json::Value;

use super::code;
use crate::chat::unique_json;

/// What may stand around the value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Around {
    /// White space, or one code fence around it all.
    Nothing,
    /// Also words around the only code fence.
    Words,
}

/// The value and its own text in one line.
pub(super) fn read(text: &str, around: Around) -> Result<(Value, String), String> {
    let mut fenced = code::blocks(text);
    let block = if fenced.blocks.len() == 1 { fenced.blocks.pop() } else { None };
    let inner = block.filter(|_| around == Around::Words || !fenced.beside);
    let source = inner.as_deref().unwrap_or(text).trim();
    let value = unique_json(source).map_err(|error| format!("it is not one JSON value: {error}"))?;
    Ok((value, compact(source)))
}

/// Takes the white space out of JSON. Numbers and escapes stay as they were written, which a detour over parsed
/// values would not promise.
pub(super) fn compact(json: &str) -> String {
    let (mut inside, mut escaped) = (false, false);
    let keeps = |c: &char| {
        let keep = inside || !c.is_ascii_whitespace();
        match c {
            _ if escaped => escaped = false,
            '\\' if inside => escaped = true,
            '"' => inside = !inside,
            _ => {}
        }
        keep
    };
    json.chars().filter(keeps).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compact_json_keeps_numbers_strings_and_escapes() {
        let text = "{ \"a b\" :\n[ 123456789012345678901234567890 , 1.0e+2 ],\t\"\\\" \\\\\" : \"\\u00e4  x\" }";
        let wanted = "{\"a b\":[123456789012345678901234567890,1.0e+2],\"\\\" \\\\\":\"\\u00e4  x\"}";
        assert_eq!(compact(text), wanted);
    }

    #[test]
    fn only_one_value_without_repeated_keys_is_taken() {
        let read = |text: &str| read(text, Around::Nothing).map(|(_, text)| text);
        assert_eq!(read(" {\"a\": 1}\n").as_deref(), Ok("{\"a\":1}"));
        assert_eq!(read("```json\n{\"a\": 1}\n```").as_deref(), Ok("{\"a\":1}"));
        for text in
            ["", "{\"a\":1} {\"a\":1}", "{\"a\":1,\"a\":2}", "So:\n```\n1\n```", "```\n1\n```\n```\n2\n```", "'a'"]
        {
            assert!(read(text).is_err(), "{text:?}");
        }
        assert!(super::read("So:\n```\n1\n```", Around::Words).is_ok());
    }
}
