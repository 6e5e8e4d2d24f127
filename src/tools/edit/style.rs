//! What a text file keeps through every change although the model cannot see it: a byte order mark, the kind of line
//! ends, the end of the last line. Pure.

/// The mark that some editors put before UTF-8.
const MARK: &[u8] = b"\xef\xbb\xbf";

/// How a text file is written.
#[derive(Debug, Clone, Copy)]
pub(in crate::tools) struct Style {
    has_mark: bool,
    lines: usize,
    crlf: usize,
    ends_in_line_end: bool,
    is_empty: bool,
}

impl Style {
    /// The style of a file with this content.
    pub(in crate::tools) fn of(content: &[u8]) -> Self {
        Self {
            has_mark: content.starts_with(MARK),
            lines: memchr::memchr_iter(b'\n', content).count(),
            crlf: memchr::memmem::find_iter(content, b"\r\n").count(),
            ends_in_line_end: content.ends_with(b"\n"),
            is_empty: content.is_empty(),
        }
    }

    /// True if most lines end in CR LF.
    pub(super) fn is_crlf(&self) -> bool {
        2 * self.crlf > self.lines
    }

    /// The edited content with the beginning and the end of the old one.
    pub(super) fn keep_ends(&self, mut content: Vec<u8>) -> Vec<u8> {
        if self.has_mark && !content.starts_with(MARK) {
            content.splice(0..0, MARK.iter().copied());
        }
        let has_text = !content.is_empty() && content != MARK;
        let ends = content.ends_with(b"\n");
        if self.ends_in_line_end && !ends && has_text {
            content.extend_from_slice(if self.is_crlf() { b"\r\n" } else { b"\n" });
        } else if !self.ends_in_line_end && !self.is_empty && ends {
            content.pop();
            if content.ends_with(b"\r") {
                content.pop();
            }
        }
        content
    }

    /// A whole new content in the style of the old one, as far as the model could not see that.
    pub(in crate::tools) fn dress(&self, content: &str) -> Vec<u8> {
        let all_crlf = self.lines > 0 && self.crlf == self.lines && !content.contains("\r\n");
        let mut bytes = if all_crlf { with_crlf(content) } else { content.to_owned() }.into_bytes();
        if self.has_mark && !bytes.starts_with(MARK) {
            bytes.splice(0..0, MARK.iter().copied());
        }
        bytes
    }
}

/// The text with LF at the end of its lines.
pub(super) fn with_lf(text: &str) -> String {
    text.replace("\r\n", "\n")
}

/// The text with CR LF at the end of its lines.
pub(super) fn with_crlf(text: &str) -> String {
    with_lf(text).replace('\n', "\r\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(old: &[u8], new: &[u8]) -> Vec<u8> {
        Style::of(old).keep_ends(new.to_vec())
    }

    #[test]
    fn the_mark_and_the_last_line_end_are_kept() {
        assert_eq!(kept(b"\xef\xbb\xbfa\n", b"b"), b"\xef\xbb\xbfb\n");
        assert_eq!(kept(b"a\r\nb\r\n", b"a"), b"a\r\n");
        assert_eq!(kept(b"a\nb", b"a\n"), b"a");
        assert_eq!(kept(b"a\r\nb", b"a\r\n"), b"a");
        assert_eq!(kept(b"a", b"a\nb\n"), b"a\nb");
        assert_eq!(kept(b"a\n", b""), b"");
    }

    #[test]
    fn a_new_content_is_dressed_as_the_old_one_was() {
        assert_eq!(Style::of(b"\xef\xbb\xbfa\r\n").dress("x\ny\n"), b"\xef\xbb\xbfx\r\ny\r\n");
        assert_eq!(Style::of(b"a\r\nb\n").dress("x\ny\n"), b"x\ny\n");
        assert_eq!(Style::of(b"a\n").dress("x\r\ny\n"), b"x\r\ny\n");
        assert_eq!(Style::of(b"").dress("x\n"), b"x\n");
    }
}
