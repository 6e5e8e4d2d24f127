//! Cutting and escaping text. Pure; knows nothing of where the text comes from or goes to.

use std::borrow::Cow;
use std::fmt::Write as _;

/// Returns the longest prefix of `text` that is at most `limit` bytes and ends between characters.
#[must_use]
pub fn prefix(text: &str, limit: usize) -> &str {
    &text[..text.floor_char_boundary(limit)]
}

/// Returns the longest suffix of `text` that is at most `limit` bytes and begins between characters.
#[must_use]
pub fn suffix(text: &str, limit: usize) -> &str {
    &text[text.ceil_char_boundary(text.len().saturating_sub(limit))..]
}

/// `text` in one line, safe for a terminal: control, bidirectional and invisible characters become visible escapes.
#[must_use]
pub fn line(text: &str) -> Cow<'_, str> {
    escape(text, is_hidden)
}

/// `text` safe for a terminal, with its line breaks and tabs.
#[must_use]
pub fn terminal(text: &str) -> Cow<'_, str> {
    escape(text, |c| c != '\n' && c != '\t' && is_hidden(c))
}

/// A JSON document safe for a terminal: hidden characters in its strings become escapes that mean the same.
#[must_use]
pub fn json(document: &str) -> Cow<'_, str> {
    if !document.contains(is_hidden) {
        return Cow::Borrowed(document);
    }
    let mut safe = String::with_capacity(document.len() + 16);
    for c in document.chars() {
        if is_hidden(c) {
            for unit in c.encode_utf16(&mut [0; 2]) {
                let _ = write!(safe, "\\u{unit:04x}");
            }
        } else {
            safe.push(c);
        }
    }
    Cow::Owned(safe)
}

fn escape(text: &str, bad: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !text.chars().any(&bad) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            '\n' | '\t' if bad(c) => safe.push(' '),
            c if !bad(c) => safe.push(c),
            c if u32::from(c) < 0x100 => {
                let _ = write!(safe, "\\x{:02x}", u32::from(c));
            }
            c => {
                let _ = write!(safe, "\\u{{{:x}}}", u32::from(c));
            }
        }
    }
    Cow::Owned(safe)
}

/// Characters that can move a cursor, change the direction of writing or hide: all controls, bidirectional marks,
/// zero-width and tag characters.
#[must_use]
pub fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
        || matches!(c, '\u{e0000}'..='\u{e007f}')
}

/// Bytes in lower-case hex.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// The Levenshtein distance: how many characters to insert, delete or replace.
#[must_use]
pub fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row.last().copied().unwrap_or_default()
}

/// A number of bytes for people: `512 B`, `3.1 MB`.
#[must_use]
pub fn bytes(n: u64) -> String {
    scaled(n, &[" B", " KB", " MB", " GB"])
}

/// A count for people: `900`, `900k`, `1.2M`.
#[must_use]
pub fn count(n: u64) -> String {
    scaled(n, &["", "k", "M", "G"])
}

fn scaled(n: u64, units: &[&str]) -> String {
    let (mut whole, mut tenths, mut unit) = (n, 0, 0);
    while whole >= 1000 && unit + 1 < units.len() {
        tenths = whole % 1000 / 100;
        whole /= 1000;
        unit += 1;
    }
    if unit == 0 || whole >= 10 || tenths == 0 {
        format!("{whole}{}", units[unit])
    } else {
        format!("{whole}.{tenths}{}", units[unit])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cuts_never_split_a_character() {
        assert_eq!(prefix("aé", 2), "a");
        assert_eq!(suffix("éa", 2), "a");
        assert_eq!(prefix("abc", 10), "abc");
    }

    #[test]
    fn escapes_leave_no_control_character() {
        assert_eq!(line("a\x1b[2Jb\nc"), "a\\x1b[2Jb c");
        assert_eq!(terminal("a\u{9b}b\n\tc\u{202e}"), "a\\x9bb\n\tc\\u{202e}");
        assert!(matches!(line("plain é"), Cow::Borrowed(_)));
    }

    #[test]
    fn json_for_a_terminal_means_the_same() {
        let document = "{\"a\":\"x\u{9b}\u{e0041}\"}";
        assert!(!json(document).contains(is_hidden));
        let parse = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
        assert_eq!(parse(&json(document)), parse(document));
    }

    #[test]
    fn numbers_read_well() {
        assert_eq!(bytes(3_145_000), "3.1 MB");
        assert_eq!(count(900_000), "900k");
        assert_eq!(count(999), "999");
    }
}
