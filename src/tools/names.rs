//! File names as text for a model: a name with characters that cannot be seen or are no text is shown escaped,
//! and the escaped form leads back to the name. Pure; knows no file system.

use std::borrow::Cow;
use std::ffi::OsString;
use std::fmt::Write as _;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

use crate::base::text::is_hidden;

/// The path as shown. Only where something has to be escaped, backslashes are doubled too.
#[must_use]
pub fn escape(path: &Path) -> Cow<'_, str> {
    match path.to_str() {
        Some(plain) => shown(plain),
        None => Cow::Owned(escape_bytes(path.as_os_str().as_bytes())),
    }
}

/// The name as shown; see [`escape`].
#[must_use]
pub fn shown(name: &str) -> Cow<'_, str> {
    if name.contains(is_hidden) { Cow::Owned(escape_bytes(name.as_bytes())) } else { Cow::Borrowed(name) }
}

/// The path whose escaped form is `text`; none if it is no escaped form.
#[must_use]
pub fn unescape(text: &str) -> Option<OsString> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((plain, escaped)) = rest.split_once('\\') {
        bytes.extend_from_slice(plain.as_bytes());
        let mut following = escaped.chars();
        match following.next()? {
            '\\' => bytes.push(b'\\'),
            'n' => bytes.push(b'\n'),
            'r' => bytes.push(b'\r'),
            't' => bytes.push(b'\t'),
            'x' => {
                bytes.push(u8::try_from(hexadecimal(escaped.get(1..3)?)?).ok()?);
                following = escaped[3..].chars();
            }
            'u' => {
                let (digits, after) = escaped.strip_prefix("u{")?.split_once('}')?;
                let character = char::from_u32(hexadecimal(digits)?)?;
                bytes.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
                following = after.chars();
            }
            _ => return None,
        }
        rest = following.as_str();
    }
    bytes.extend_from_slice(rest.as_bytes());
    Some(OsString::from_vec(bytes))
}

fn hexadecimal(digits: &str) -> Option<u32> {
    // The standard library would take a sign, too.
    if digits.starts_with('+') { None } else { u32::from_str_radix(digits, 16).ok() }
}

fn escape_bytes(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len() + 16);
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            // Writing into a String cannot fail.
            let _ = match c {
                '\\' => out.write_str("\\\\"),
                '\n' => out.write_str("\\n"),
                '\r' => out.write_str("\\r"),
                '\t' => out.write_str("\\t"),
                c if c.is_ascii_control() => write!(out, "\\x{:02x}", u32::from(c)),
                c if is_hidden(c) => write!(out, "\\u{{{:x}}}", u32::from(c)),
                c => out.write_char(c),
            };
        }
        for byte in chunk.invalid() {
            let _ = write!(out, "\\x{byte:02x}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_can_be_read_is_shown_as_it_is() {
        for name in ["src/main.rs", "-rf", "a b", "back\\slash", "grüße", "\u{1f980}.txt", "$(touch x)"] {
            assert_eq!(escape(Path::new(name)), name);
        }
    }

    #[test]
    fn a_name_that_cannot_be_read_is_shown_escaped_and_leads_back() {
        let cases: [(&[u8], &str); 7] = [
            (b"a\nb", "a\\nb"),
            (b"a\x1b[2Jb", "a\\x1b[2Jb"),
            (b"a\xffb", "a\\xffb"),
            (b"back\\slash\t\r", "back\\\\slash\\t\\r"),
            ("x\u{202e}y".as_bytes(), "x\\u{202e}y"),
            ("x\u{9b}y".as_bytes(), "x\\u{9b}y"),
            (b"\xf0\x9f\n", "\\xf0\\x9f\\n"),
        ];
        for (raw, shown) in cases {
            let name = OsString::from_vec(raw.to_vec());
            assert_eq!(escape(Path::new(&name)), shown);
            assert_eq!(unescape(shown).as_ref(), Some(&name));
        }
    }

    #[test]
    fn what_is_no_escaped_form_leads_nowhere() {
        for text in
            ["\\", "\\q", "\\x1", "\\xzz", "\\x\u{e9}\u{e9}", "\\u{110000}", "\\u{12", "\\x+f", "\\u{+41}", "\\u12"]
        {
            assert_eq!(unescape(text), None, "{text}");
        }
    }
}
