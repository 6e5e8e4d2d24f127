//! Foreign text as HTML: nothing in it is markup, and characters that hide or turn text are shown.

use std::fmt::Write as _;

use crate::base::text;

/// The most of one text that a page shows.
const LONGEST: usize = 64 << 10;
/// The largest image that a page shows, in base64.
const LARGEST_IMAGE: usize = 4 << 20;

/// Text for an element or a quoted attribute.
pub(super) fn escape(foreign: &str) -> String {
    let safe = text::terminal(foreign);
    let mut out = String::with_capacity(safe.len() + safe.len() / 8);
    for c in safe.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

/// Each text in an element of its own.
pub(super) fn elements(tag: &str, foreign: impl IntoIterator<Item = String>) -> String {
    foreign.into_iter().fold(String::new(), |mut out, text| {
        let _ = write!(out, "<{tag}>{}</{tag}>", escape(&text));
        out
    })
}

/// The beginning of a text on one line.
pub(super) fn short(foreign: &str, limit: usize) -> String {
    let line = text::line(text::prefix(foreign, limit)).into_owned();
    escape(&if foreign.len() > limit { line + "…" } else { line })
}

/// A text as it stands, in a box of its own. Nothing for none.
pub(super) fn block(class: &str, foreign: &str) -> String {
    let shown = text::prefix(foreign.trim_matches('\n'), LONGEST);
    if shown.trim().is_empty() {
        return String::new();
    }
    let mut out = format!("<pre class=\"{class}\">{}</pre>\n", escape(shown));
    let left = foreign.len() - shown.len();
    if left > 2 && foreign.len() > LONGEST {
        let _ = writeln!(out, "<p class=\"cut\">… {} more: flux transcript show --full</p>", text::bytes(left as u64));
    }
    out
}

/// An attachment: an image that browsers draw without running anything, or nothing.
pub(super) fn image(mime: &str, base64: &str) -> Option<String> {
    let kind = ["image/png", "image/jpeg", "image/gif", "image/webp"].into_iter().find(|kind| *kind == mime)?;
    let is_base64 = base64.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'='));
    let fits = base64.len() <= LARGEST_IMAGE;
    (is_base64 && fits).then(|| format!("<img alt=\"attachment\" src=\"data:{kind};base64,{base64}\">\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_becomes_markup() {
        let hostile = "</pre><script>alert(1)</script>\" onload='x' &lt; \u{202e}\u{1b}[2J\0";
        let safe = escape(hostile);
        assert!(!safe.contains(['<', '>', '"', '\'', '\u{202e}', '\u{1b}', '\0']), "{safe}");
        assert!(safe.contains("&amp;lt;") && safe.contains("\\u{202e}"), "{safe}");
        assert_eq!(block("a", "\n \n"), "");
        assert!(image("image/svg+xml", "AAAA").is_none() && image("image/png", "A\" onerror=\"").is_none());
        assert!(image("image/png", "iVBO+/==").is_some());
    }

    #[test]
    fn a_long_text_is_cut_and_says_so() {
        let out = block("a", &"é".repeat(LONGEST));
        assert!(
            out.len() < LONGEST + 200 && out.contains("65.5 KB more") || out.contains("65 KB more"),
            "{}",
            out.len()
        );
        assert!(!block("a", "short\n\n\n\n").contains("more"));
    }
}
