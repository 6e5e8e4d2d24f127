//! Ids of tool calls: made where a server sends none, and mapped where another server's break a rule. The same
//! input always gives the same id, so a call and its result, and one turn and the next, agree.

use std::borrow::Cow;

use sha2::{Digest, Sha256};

/// What a server takes as the id of a tool call.
#[derive(Debug, Clone, Copy)]
pub(super) enum Rule {
    /// Anthropic: letters, digits, `_` and `-`.
    Word,
    /// At most so many characters.
    Length(usize),
    /// Mistral: exactly nine letters or digits.
    Nine,
}

impl Rule {
    fn allows(self, id: &str) -> bool {
        let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
        match self {
            Self::Word => !id.is_empty() && id.len() <= 64 && id.bytes().all(word),
            Self::Length(limit) => !id.is_empty() && id.len() <= limit && id.bytes().all(|b| b.is_ascii_graphic()),
            Self::Nine => id.len() == 9 && id.bytes().all(|byte| byte.is_ascii_alphanumeric()),
        }
    }

    /// `id` itself if the rule allows it, else one that stands for it.
    pub(super) fn map(self, id: &str) -> Cow<'_, str> {
        if self.allows(id) { Cow::Borrowed(id) } else { Cow::Owned(self.digest(&[id])) }
    }

    /// An id made from `seeds`.
    pub(super) fn digest(self, seeds: &[&str]) -> String {
        const LETTERS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
        let mut hash = Sha256::new();
        for seed in seeds {
            hash.update(seed.len().to_le_bytes());
            hash.update(seed.as_bytes());
        }
        let letters = hash.finalize().into_iter().map(|byte| char::from(LETTERS[usize::from(byte) % LETTERS.len()]));
        match self {
            Self::Nine => letters.take(9).collect(),
            Self::Word | Self::Length(_) => "call_".chars().chain(letters.take(24)).collect(),
        }
    }
}

/// The name of a call as every server takes it: the model may have made up one that none does.
pub(super) fn tool_name(name: &str) -> Cow<'_, str> {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    match name {
        "" => Cow::Borrowed("unnamed"),
        _ if name.len() <= 64 && name.chars().all(word) => Cow::Borrowed(name),
        _ => name.chars().take(64).map(|c| if word(c) { c } else { '_' }).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::{Rule, tool_name};

    #[test]
    fn a_made_up_name_goes_back_as_one_that_servers_take() {
        assert_eq!(tool_name("read_files"), "read_files");
        assert_eq!(tool_name("../bin/sh"), "___bin_sh");
        assert_eq!(tool_name(&"é".repeat(100)), "_".repeat(64));
    }

    #[test]
    fn allowed_ids_stay_and_others_are_mapped_alike() {
        assert_eq!(Rule::Word.map("toolu_01-A"), "toolu_01-A");
        assert_eq!(Rule::Nine.map("abcDEF123"), "abcDEF123");
        for (rule, id) in [
            (Rule::Word, "functions.f:0"),
            (Rule::Length(40), &"x".repeat(41)),
            (Rule::Nine, "call_1"),
            (Rule::Word, ""),
        ] {
            let mapped = rule.map(id);
            assert_ne!(mapped, id);
            assert_eq!(mapped, rule.map(id));
            assert!(rule.allows(&mapped), "{mapped}");
        }
    }
}
