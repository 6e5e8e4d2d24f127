//! `--choice`: one of the words that the user names.

/// At least two words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choices(Vec<String>);

impl Choices {
    /// Takes `a,b,c`.
    ///
    /// # Errors
    /// It is no list of different words.
    pub fn parse(text: &str) -> Result<Self, String> {
        let words: Vec<String> = text.split(',').map(|word| word.trim().to_owned()).collect();
        let alike = |a: &str, b: &str| a.to_lowercase() == b.to_lowercase();
        let repeated =
            words.iter().enumerate().find(|(at, word)| words.iter().take(*at).any(|other| alike(other, word)));
        match repeated {
            _ if words.iter().any(|word| word.is_empty() || word.chars().any(char::is_control)) => {
                Err("it takes words with commas between them".to_owned())
            }
            _ if words.len() < 2 => Err("it takes two words or more: yes,no".to_owned()),
            Some((_, word)) => Err(format!("'{word}' is given twice")),
            None => Ok(Self(words)),
        }
    }

    pub(super) fn instruction(&self) -> String {
        format!("Answer with exactly one of these and nothing else, spelled as here: {}", self.0.join(" | "))
    }

    /// The word that the text is. Quotes, emphasis and a full stop around it are no part of the answer; any further
    /// word is too much.
    pub(super) fn read(&self, text: &str) -> Result<String, String> {
        if let Some(word) = self.0.iter().find(|word| *word == text.trim()) {
            return Ok(word.clone());
        }
        let said = |c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '`' | '*');
        let bare = text.trim_matches(said);
        let bare =
            if self.0.iter().any(|word| word == bare) { bare } else { bare.trim_end_matches('.').trim_matches(said) };
        let exact = self.0.iter().find(|word| *word == bare);
        let found = exact.or_else(|| self.0.iter().find(|word| word.eq_ignore_ascii_case(bare)));
        found.cloned().ok_or_else(|| "it is none of the words alone.".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_word_alone_counts() {
        let choices = Choices::parse("bug, feature request,C.").unwrap();
        for (text, wanted) in [
            ("bug", "bug"),
            ("  Bug.\n", "bug"),
            ("**feature request**", "feature request"),
            ("\"BUG\"", "bug"),
            ("C.", "C."),
        ] {
            assert_eq!(choices.read(text).as_deref(), Ok(wanted), "{text}");
        }
        let marked = Choices::parse("**a**,a,*").unwrap();
        for (text, wanted) in [("**a**\n", "**a**"), ("a", "a"), ("*", "*"), ("'a'", "a")] {
            assert_eq!(marked.read(text).as_deref(), Ok(wanted), "{text}");
        }
        for text in ["", "a bug", "bug or feature request", "bug\nbug", "debug", "bυg", "bug, C."] {
            assert!(choices.read(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_list_that_is_none_is_refused() {
        for text in ["", "a", "a,", "a,,b", "a,b,A"] {
            assert!(Choices::parse(text).is_err(), "{text:?}");
        }
    }
}
