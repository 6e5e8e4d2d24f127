//! Secrets, and keeping them out of everything that is written.

use std::borrow::Cow;
use std::fmt::{self, Write as _};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};

use super::text;

/// A key. It can be sent, but neither printed nor logged.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a key.
    #[must_use]
    pub fn new(value: String) -> Self {
        Self(value)
    }

    /// The key itself, for the header that carries it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(redacted)")
    }
}

/// How keys of the services begin.
const BEGINNINGS: [&str; 8] = ["sk-", "sk_", "gsk_", "xai-", "hf_", "AIza", "pplx-", "csk-"];

/// The length from which on a word with both letters and digits, and no dot or slash, may be a key. A long name may
/// look so, too: it is only a reason not to show it.
const UNREADABLE: usize = 32;

/// Whether somebody may have typed a key where this word stands, so that it must not be shown.
#[must_use]
pub fn looks_like_key(word: &str) -> bool {
    let is_random = || {
        let has = |is: fn(&char) -> bool| word.chars().any(|c| is(&c));
        word.chars().all(|c| c.is_ascii_alphanumeric() || "-_=+".contains(c))
            && (has(char::is_ascii_digit) && has(char::is_ascii_alphabetic))
    };
    BEGINNINGS.iter().any(|beginning| word.starts_with(beginning)) || (word.len() >= UNREADABLE && is_random())
}

/// Replaces the secrets of this run wherever they would appear: raw, base64, hex and percent-encoded.
#[derive(Debug, Clone, Default)]
pub struct Redactor {
    forms: Vec<String>,
}

/// Shorter keys are placeholders such as `none` that local servers take; to replace them would garble text.
const SHORTEST: usize = 8;

impl Redactor {
    /// A redactor for these secrets.
    #[must_use]
    pub fn new<'a>(secrets: impl IntoIterator<Item = &'a Secret>) -> Self {
        let mut forms: Vec<String> = secrets.into_iter().filter(|s| s.0.len() >= SHORTEST).flat_map(forms).collect();
        forms.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        forms.dedup();
        Self { forms }
    }

    /// How much of `text` can be shown before more of it comes: its end may be the beginning of a secret.
    #[must_use]
    pub fn settled(&self, text: &str) -> usize {
        let longest = self.forms.first().map_or(0, String::len);
        let first = text.ceil_char_boundary(text.len().saturating_sub(longest.saturating_sub(1)));
        let begins =
            |at: &usize| text.get(*at..).is_some_and(|tail| self.forms.iter().any(|form| form.starts_with(tail)));
        (first..text.len()).find(begins).unwrap_or(text.len())
    }

    /// `text` with `[REDACTED]` in place of every secret.
    #[must_use]
    pub fn clean<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let mut text = Cow::Borrowed(text);
        for form in &self.forms {
            if memchr::memmem::find(text.as_bytes(), form.as_bytes()).is_some() {
                text = Cow::Owned(text.replace(form.as_str(), "[REDACTED]"));
            }
        }
        text
    }

    /// The same for text that is not needed as it was, without a copy where there is no secret in it.
    #[must_use]
    pub fn cleaned(&self, text: String) -> String {
        match self.clean(&text) {
            Cow::Owned(clean) => clean,
            Cow::Borrowed(_) => text,
        }
    }
}

fn forms(secret: &Secret) -> Vec<String> {
    let raw = secret.0.as_str();
    let hex = text::hex(raw.as_bytes());
    // As it stands in JSON, in which the lines of a transcript are cleaned.
    let json = raw.replace('\\', r"\\").replace('"', r#"\""#);
    let mut forms = vec![raw.to_owned(), json, hex.to_uppercase(), hex];
    for plain in [&b"-_.~"[..], b"-_.~/", b"-_.~:/?#[]@!$&'()*+,;="] {
        let escape = |b: u8| !b.is_ascii_alphanumeric() && !plain.contains(&b);
        forms.extend([percent(raw, escape, false), percent(raw, escape, true)]);
    }
    forms.extend([percent(raw, |_| true, false), percent(raw, |_| true, true)]);
    forms.extend([STANDARD.encode(raw), URL_SAFE.encode(raw)]);
    forms.extend(
        (0..3).flat_map(|offset| [within(&STANDARD_NO_PAD, raw, offset), within(&URL_SAFE_NO_PAD, raw, offset)]),
    );
    forms.retain(|form| form.len() >= SHORTEST);
    forms
}

/// As it stands in a URL where these bytes are escaped.
fn percent(raw: &str, escape: impl Fn(u8) -> bool, lower: bool) -> String {
    let mut text = String::with_capacity(raw.len());
    for byte in raw.bytes() {
        let _ = match byte {
            b if !escape(b) => write!(text, "{}", char::from(b)),
            b if lower => write!(text, "%{b:02x}"),
            b => write!(text, "%{b:02X}"),
        };
    }
    text
}

/// What its base64 has in common wherever it stands in a longer text, `offset` bytes behind a group's beginning.
fn within(alphabet: &impl Engine, raw: &str, offset: usize) -> String {
    let padded = [&[0; 2][..offset], raw.as_bytes()].concat();
    let (first, end) = ((offset * 8).div_ceil(6), padded.len() * 8 / 6);
    alphabet.encode(&padded).get(first..end).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_told_from_the_name_of_a_file_or_a_program() {
        for key in ["sk-ant-api03-x", "gsk_x", "AIzaSyB", "0a1b2c3d4e5f60718293a4b5c6d7e8f9"] {
            assert!(looks_like_key(key), "{key}");
        }
        for name in ["pass", "/run/secrets/0a1b2c3d4e5f60718293a4b5c6d7e8f9", "key.txt", "OPENAI_API_KEY", "skill"] {
            assert!(!looks_like_key(name), "{name}");
        }
    }

    #[test]
    fn a_key_is_replaced_in_every_form() {
        let secret = Secret::new(r#"sk-"CAN\ARY+1234"#.to_owned());
        let line = serde_json::to_string(&format!("a {} b", secret.expose())).unwrap();
        assert_eq!(Redactor::new([&secret]).clean(&line), r#""a [REDACTED] b""#);
        let redactor = Redactor::new([&secret]);
        for form in forms(&secret) {
            assert!(!redactor.clean(&format!("a {form} b")).contains(&form), "{form}");
        }
        for before in ["", "u:", "Bearer "] {
            let code = STANDARD.encode(format!("{before}{} and more", secret.expose()));
            assert!(redactor.clean(&code).contains("[REDACTED]"), "{code}");
        }
        for (form, clean) in [("sk-%22CAN%5cARY%2b1234", "[REDACTED]"), ("sk-%22CAN%5CARY+1234", "[REDACTED]")] {
            assert_eq!(redactor.clean(form), clean);
        }
        assert_eq!(format!("{secret:?}"), "(redacted)");
    }

    #[test]
    fn a_key_that_comes_in_pieces_is_held_back_until_it_is_whole() {
        let redactor = Redactor::new([&Secret::new("sk-CANARY".to_owned())]);
        assert_eq!(redactor.settled("the key sk-CAN"), 8);
        assert_eq!(redactor.settled("the key sk-CANARY!"), 18);
        assert_eq!(redactor.settled("é"), 2);
    }

    #[test]
    fn placeholder_keys_do_not_garble_text() {
        assert_eq!(Redactor::new([&Secret::new("none".to_owned())]).clean("none of it"), "none of it");
    }
}
