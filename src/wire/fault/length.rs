//! What a server says of the sizes when it refuses a prompt as too long: none of them has fields for that which others
//! have too, but nearly all name the numbers.

use crate::wire::{TooLong, json};

/// Numbers below this are none of a window or a prompt.
const LEAST: u64 = 256;

/// The numbers in a message that speaks of tokens or a context. Where it says how they belong together, by that; else
/// of the first two the greater is the prompt, the smaller the window, and one alone is the window. Numbers that are
/// part of a name are none.
pub(super) fn of_text(message: &str) -> Option<TooLong> {
    let lower = message.to_ascii_lowercase();
    if !["token", "context"].iter().any(|word| lower.contains(word)) {
        return None;
    }
    let words: Vec<&str> =
        message.split(|c: char| c.is_whitespace() || "()[]:;".contains(c)).filter(|word| !word.is_empty()).collect();
    let numbers: Vec<u64> =
        message.split(|c: char| c.is_whitespace() || "()[]:;<>=".contains(c)).filter_map(number).collect();
    let said = of_terms(&words).or_else(|| of_names(&words)).or_else(|| of_sum(&numbers)).or_else(|| of_pair(&numbers));
    said.filter(|said| said.window >= LEAST)
}

/// `PROMPT + OUTPUT > WINDOW`, `OUTPUT > WINDOW - PROMPT`, `must be <= WINDOW. Given: PROMPT`
fn of_terms(words: &[&str]) -> Option<TooLong> {
    let five = words.windows(5).find_map(|five| match *five {
        [prompt, "+", output, ">", window] if number(output).is_some() => Some((prompt, window)),
        [output, ">", window, "-", prompt] if number(output).is_some() => Some((prompt, window)),
        _ => None,
    });
    let most = || {
        let at = words.iter().position(|word| *word == "<=")?;
        let given = words.iter().skip(at + 2).find(|word| number(word).is_some())?;
        Some((*given, *words.get(at + 1)?))
    };
    let (prompt, window) = five.or_else(most)?;
    Some(TooLong { prompt: number(prompt), window: number(window)? })
}

/// `context length is WINDOW`, `context length is only WINDOW`, and `PROMPT input tokens`. Other numbers stand beside
/// them, in any order: the output limit, sums, differences.
fn of_names(words: &[&str]) -> Option<TooLong> {
    let window = words.windows(5).find_map(|five| match *five {
        ["context", "length", "is", "only", window] | ["context", "length", "is", window, _] => number(window),
        _ => None,
    })?;
    let prompt = words.windows(3).find_map(|three| match *three {
        [prompt, "input", what] if what.starts_with("token") => number(prompt),
        _ => None,
    })?;
    Some(TooLong { prompt: Some(prompt), window })
}

/// A window, a sum, and what it is the sum of: the parts of the prompt and the output limit.
fn of_sum(numbers: &[u64]) -> Option<TooLong> {
    let (&[window, sum], parts) = numbers.split_first_chunk()?;
    let (_, prompt) = parts.split_last().filter(|_| parts.iter().sum::<u64>() == sum)?;
    let prompt = (!prompt.is_empty()).then(|| prompt.iter().sum());
    Some(TooLong { prompt, window })
}

fn of_pair(numbers: &[u64]) -> Option<TooLong> {
    let mut large = numbers.iter().copied().filter(|number| *number >= LEAST);
    match (large.next(), large.next()) {
        (Some(a), Some(b)) if a != b => Some(TooLong { prompt: Some(a.max(b)), window: a.min(b) }),
        (window, _) => window.map(|window| TooLong { prompt: None, window }),
    }
}

/// `200000` or `1,048,576`, at the end of a sentence too.
fn number(word: &str) -> Option<u64> {
    word.trim_end_matches(['.', ',']).replace(',', "").parse().ok().filter(|number| *number <= json::MOST)
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
                Some(4000),
                Some(4096),
            ),
            (
                "This endpoint's maximum context length is 131072 tokens. However, you requested about 140000 tokens \
                 (1000 of text input, 7000 of tool input, 132000 in the output).",
                Some(8000),
                Some(131_072),
            ),
            (
                "input length and `max_tokens` exceed context limit: 195000 + 8192 > 200000, decrease input length or \
                 `max_tokens` and try again",
                Some(195_000),
                Some(200_000),
            ),
            (
                "'max_tokens' or 'max_completion_tokens' is too large: 8192. This model's maximum context length is \
                 4096 tokens and your request has 1240 input tokens (8192 > 4096 - 1240).",
                Some(1240),
                Some(4096),
            ),
            (
                "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4097. Given: 3500 `inputs` \
                 tokens and 1024 `max_new_tokens`",
                Some(3500),
                Some(4097),
            ),
            (
                "This model's maximum prompt length is 131072 but the request contains 200000 tokens.",
                Some(200_000),
                Some(131_072),
            ),
            ("prompt token count of 9000 exceeds the limit of 8192", Some(9000), Some(8192)),
            ("Your request exceeded model token limit: 262144", None, Some(262_144)),
            (
                "The input token count (1,200,000) exceeds the maximum number of tokens allowed (1048576).",
                Some(1_200_000),
                Some(1_048_576),
            ),
            (
                "This model's maximum context length is 32768 tokens. However, you requested 8192 output tokens and \
                 your prompt contains at least 24577 input tokens, for a total of at least 32769 tokens. Please reduce \
                 the length of the input prompt or the number of requested output tokens.",
                Some(24_577),
                Some(32_768),
            ),
            (
                "You passed 27905 input tokens and requested 4096 output tokens. However, the model's context length \
                 is only 32000 tokens, resulting in a maximum input length of 27904 tokens. Please reduce the length \
                 of the input prompt. (parameter=input_tokens, value=27905)",
                Some(27_905),
                Some(32_000),
            ),
            ("This model's maximum context length is 128000 tokens.", None, Some(128_000)),
            ("Your input exceeds the context window of this model.", None, None),
            ("Request exceeds 32 MB", None, None),
            ("413 Request Entity Too Large", None, None),
            ("gpt-4-0613: maximum context length is 8192 tokens.", None, Some(8192)),
            ("claude-sonnet-4-20250514: prompt is too long: 210000 tokens > 200000", Some(210_000), Some(200_000)),
            ("maximum context length is 5000 tokens, not 18446744073709551615", None, Some(5000)),
            ("org_1234567: reduce the length of the context", None, None),
        ];
        for (message, prompt, window) in cases {
            assert_eq!(of_text(message), window.map(|window| TooLong { prompt, window }), "{message}");
        }
    }
}
