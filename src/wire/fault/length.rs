//! What a server says of the sizes when it refuses a prompt as too long: none of them has fields for that which others
//! have too, but nearly all name the numbers.

use crate::wire::TooLong;

/// Numbers below this are none of a window or a prompt.
const LEAST: u64 = 256;

/// The numbers in a message that speaks of tokens or a context: of the first two the greater is the prompt, the smaller
/// the window; one alone is the window. Numbers that are part of a name are none.
pub(super) fn of_text(message: &str) -> Option<TooLong> {
    let lower = message.to_ascii_lowercase();
    if !["token", "context"].iter().any(|word| lower.contains(word)) {
        return None;
    }
    let mut numbers = message.split(|c: char| c.is_whitespace() || "()[]:;<>=".contains(c)).filter_map(number);
    match (numbers.next(), numbers.next()) {
        (Some(a), Some(b)) if a != b => Some(TooLong { prompt: Some(a.max(b)), window: a.min(b) }),
        (window, _) => window.map(|window| TooLong { prompt: None, window }),
    }
}

/// `200000` or `1,048,576`, at the end of a sentence too.
fn number(word: &str) -> Option<u64> {
    word.trim_end_matches(['.', ',']).replace(',', "").parse().ok().filter(|number| *number >= LEAST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_of_the_services() {
        let cases = [
            ("prompt is too long: 210000 tokens > 200000 maximum", Some(210_000), Some(200_000)),
            ("request (40020 tokens) exceeds the available context size (16384 tokens)", Some(40_020), Some(16_384)),
            (
                "This model's maximum context length is 4096 tokens. However, you requested 5000 tokens (4000 in the \
                 messages, 1000 in the completion).",
                Some(5000),
                Some(4096),
            ),
            (
                "The input token count (1,200,000) exceeds the maximum number of tokens allowed (1048576).",
                Some(1_200_000),
                Some(1_048_576),
            ),
            ("This model's maximum context length is 128000 tokens.", None, Some(128_000)),
            ("Your input exceeds the context window of this model.", None, None),
            ("Request exceeds 32 MB", None, None),
            ("413 Request Entity Too Large", None, None),
            ("gpt-4-0613: maximum context length is 8192 tokens.", None, Some(8192)),
            ("claude-sonnet-4-20250514: prompt is too long: 210000 tokens > 200000", Some(210_000), Some(200_000)),
            ("org_1234567: reduce the length of the context", None, None),
        ];
        for (message, prompt, window) in cases {
            assert_eq!(of_text(message), window.map(|window| TooLong { prompt, window }), "{message}");
        }
    }
}
