//! The token counts of both `OpenAI` APIs, which differ in their names alone. Knows the servers that count oddly.

use serde_json::value::RawValue;

use super::json;
use crate::chat::Usage;

/// What an API calls its counts.
pub(super) struct Names {
    input: &'static str,
    input_details: &'static str,
    output: &'static str,
    output_details: &'static str,
}

impl Names {
    /// Chat Completions.
    pub(super) const CHAT: Self = Self {
        input: "prompt_tokens",
        input_details: "prompt_tokens_details",
        output: "completion_tokens",
        output_details: "completion_tokens_details",
    };
    /// Responses.
    pub(super) const RESPONSES: Self = Self {
        input: "input_tokens",
        input_details: "input_tokens_details",
        output: "output_tokens",
        output_details: "output_tokens_details",
    };
}

/// Reads a usage object; `None` if it is not one or says nothing.
pub(super) fn read(raw: &RawValue, names: &Names) -> Option<Usage> {
    let members = json::members(raw);
    let field = |name: &str| pick(&members, name);
    let inner = |outer: &str, name: &str| {
        let details = field(outer).map(json::members).unwrap_or_default();
        json::count(pick(&details, name))
    };
    let input = json::count(field(names.input));
    let usage = Usage {
        input,
        cache_read: inner(names.input_details, "cached_tokens").or(json::count(field("prompt_cache_hit_tokens"))),
        cache_write: inner(names.input_details, "cache_write_tokens"),
        // xAI and Gemini leave reasoning out of the output, but not out of the total.
        output: json::count(field(names.output)).map(|output| {
            let rest =
                json::count(field("total_tokens")).zip(input).map_or(0, |(total, input)| total.saturating_sub(input));
            output.max(rest)
        }),
        reasoning: inner(names.output_details, "reasoning_tokens"),
    };
    (usage != Usage::default()).then_some(usage)
}

fn pick<'a>(members: &[(String, &'a RawValue)], name: &str) -> Option<&'a RawValue> {
    members.iter().find(|(known, _)| known == name).map(|(_, value)| *value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_counts() {
        let read = |text: &str| read(&RawValue::from_string(text.to_owned()).unwrap(), &Names::CHAT);
        let xai = concat!(
            r#"{"prompt_tokens":10,"completion_tokens":2,"total_tokens":42,"#,
            r#""completion_tokens_details":{"reasoning_tokens":30}}"#
        );
        assert_eq!(read(xai).unwrap().output, Some(32));
        let cached = r#"{"prompt_tokens":10,"completion_tokens":2,"total_tokens":3,"prompt_cache_hit_tokens":4}"#;
        let usage = read(cached).unwrap();
        assert_eq!((usage.output, usage.cache_read, usage.reasoning), (Some(2), Some(4), None));
        assert_eq!(read("null"), None);
    }
}
