//! Bounds the size of a result: the head and the tail are kept, and a line between them says what was left out and
//! how to get it. The one way in which a tool's text becomes its result.

use std::fmt::Write as _;

use crate::base::text;
use crate::chat::ToolResult;

/// Collects text in bounded memory.
#[derive(Debug)]
pub(super) struct Clip {
    cap: usize,
    head: String,
    tail: String,
    is_full: bool,
    dropped: u64,
    /// `None` if nobody counted them.
    dropped_lines: Option<u64>,
}

impl Clip {
    /// Keeps `cap` bytes at the head and `cap` at the tail.
    pub(super) fn new(cap: usize) -> Self {
        Self { cap, head: String::new(), tail: String::new(), is_full: false, dropped: 0, dropped_lines: Some(0) }
    }

    /// Appends text, with or without line ends.
    pub(super) fn push(&mut self, text: &str) {
        if self.is_full {
            self.tail.push_str(text);
        } else {
            self.head.push_str(text);
            if self.head.len() > self.cap {
                let place = end_of_head(&self.head, self.cap);
                self.tail = self.head.split_off(place);
                self.is_full = true;
            }
        }
        // Twice the cap, so that what is moved is little compared with what is read.
        if self.tail.len() > 2 * self.cap + 4096 {
            self.shorten_tail();
        }
    }

    /// Appends a line.
    pub(super) fn push_line(&mut self, line: &str) {
        self.push(line);
        self.push("\n");
    }

    /// Goes on after `bytes` that are lost.
    pub(super) fn skip(&mut self, bytes: u64) {
        self.is_full = true;
        self.dropped += self.tail.len() as u64 + bytes;
        self.dropped_lines = None;
        self.tail.clear();
    }

    /// The result; `hint` says how to get what was left out.
    pub(super) fn finish(mut self, hint: &str) -> ToolResult {
        let bytes = (self.head.len() + self.tail.len()) as u64 + self.dropped;
        if bytes > 2 * self.cap as u64 {
            self.shorten_tail();
        }
        let mut text = self.head;
        if self.dropped > 0 {
            let gap = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
            let lines = self.dropped_lines.map_or_else(String::new, |lines| format!(", {lines} lines"));
            // Writing into a String cannot fail.
            let _ = writeln!(text, "{gap}[{} bytes{lines} left out here; {hint}]", self.dropped);
        }
        text.push_str(&self.tail);
        let mut result = ToolResult::ok(text);
        result.detail.bytes = bytes;
        result.detail.truncated = self.dropped > 0;
        result
    }

    fn shorten_tail(&mut self) {
        let place = self.tail.len() - start_of_tail(&self.tail, self.cap).len();
        let lines = memchr::memchr_iter(b'\n', &self.tail.as_bytes()[..place]).count() as u64;
        self.dropped_lines = self.dropped_lines.map(|before| before + lines);
        self.dropped += place as u64;
        self.tail.drain(..place);
    }
}

/// Where the head ends: after the last line end within `cap`, unless that would leave out more than half of it.
fn end_of_head(all: &str, cap: usize) -> usize {
    let most = text::prefix(all, cap);
    match most.rfind('\n') {
        Some(newline) if newline >= cap / 2 => newline + 1,
        _ => most.len(),
    }
}

fn start_of_tail(all: &str, cap: usize) -> &str {
    let most = text::suffix(all, cap);
    let starts_a_line = all.len() == most.len() || all.as_bytes()[all.len() - most.len() - 1] == b'\n';
    match most.find('\n') {
        Some(newline) if !starts_a_line && newline <= cap / 2 => &most[newline + 1..],
        _ => most,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clip(pieces: &[&str], cap: usize) -> ToolResult {
        let mut clip = Clip::new(cap);
        for piece in pieces {
            clip.push(piece);
        }
        clip.finish("HINT")
    }

    #[test]
    fn what_fits_is_not_touched() {
        for text in ["", "a\n", "0123456789\n012345678\n"] {
            let result = clip(&[text], 11);
            assert_eq!((result.text.as_str(), result.detail.truncated), (text, false));
            assert_eq!(result.detail.bytes, text.len() as u64);
        }
    }

    #[test]
    fn head_and_tail_are_cut_at_line_ends_and_the_marker_counts_the_rest() {
        let lines: Vec<String> = (0..10_000).map(|n| format!("line {n}\n")).collect();
        let pieces: Vec<&str> = lines.iter().map(String::as_str).collect();
        let result = clip(&pieces, 30);
        assert_eq!(
            result.text,
            "line 0\nline 1\nline 2\nline 3\n[98832 bytes, 9993 lines left out here; HINT]\nline 9997\nline 9998\nline 9999\n"
        );
        assert_eq!(result.detail.bytes, lines.concat().len() as u64);
        assert!(result.detail.truncated);
    }

    #[test]
    fn one_endless_line_is_cut_between_characters() {
        let result = clip(&["é".repeat(5000).as_str()], 11);
        assert_eq!(result.text, "ééééé\n[9980 bytes, 0 lines left out here; HINT]\nééééé");
    }

    #[test]
    fn the_words_in_a_text_change_nothing() {
        let text = "error: failed\n".repeat(1000);
        let result = clip(&[&text], 100);
        assert!(!result.is_error && result.detail.truncated && result.text.len() < 300);
    }
}
