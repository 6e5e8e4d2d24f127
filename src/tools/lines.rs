//! A file as lines of text, in bounded memory whatever is in it: encodings, binary files, lines without end.
//! Knows nothing of how the lines are shown.

use std::io::{self, BufRead, BufReader, Cursor, Read};
use std::time::{Duration, Instant};

use super::utf16::Utf16;
use crate::base::clock;

/// How far into a file a NUL makes it binary.
const SNIFF: usize = 8 << 10;

/// How long nobody is asked whether to stop, which costs as much as a read.
const UNASKED: Duration = Duration::from_millis(10);

/// Bytes read only to count lines or to find the end of one. More would let one call run for minutes.
const PATIENCE: u64 = 256 << 20;

/// How text is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoding {
    /// UTF-8, or something near it.
    Utf8,
    /// UTF-16 with a byte order mark.
    Utf16,
}

/// The file as a stream of (nearly) UTF-8 without a byte order mark; none for a binary file. Reading ends with an
/// error soon after `stop` says so.
pub(super) fn text<'a>(
    file: impl Read + 'a,
    stop: &'a (dyn Fn() -> bool + Sync),
) -> io::Result<Option<(Encoding, Box<dyn Read + 'a>)>> {
    let mut file = Stoppable { file, stop, asked: None };
    // With room for all of it from the start, it takes no more reads than needed.
    let mut head = Vec::with_capacity(SNIFF);
    file.by_ref().take(SNIFF as u64).read_to_end(&mut head)?;
    let skipped = |mark: usize| Cursor::new(head[mark..].to_vec());
    Ok(match head.as_slice() {
        [0xff, 0xfe, 0, 0, ..] => None,
        [0xff, 0xfe, ..] => Some((Encoding::Utf16, Box::new(Utf16::new(skipped(2).chain(file), u16::from_le_bytes)))),
        [0xfe, 0xff, ..] => Some((Encoding::Utf16, Box::new(Utf16::new(skipped(2).chain(file), u16::from_be_bytes)))),
        bytes if memchr::memchr(0, bytes).is_some() => None,
        [0xef, 0xbb, 0xbf, ..] => Some((Encoding::Utf8, Box::new(skipped(3).chain(file)))),
        _ => Some((Encoding::Utf8, Box::new(Cursor::new(head).chain(file)))),
    })
}

struct Stoppable<'a, R> {
    file: R,
    stop: &'a (dyn Fn() -> bool + Sync),
    /// When it was asked last.
    asked: Option<Instant>,
}

impl<R: Read> Read for Stoppable<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let now = clock::now();
        if self.asked.is_none_or(|asked| now.duration_since(asked) >= UNASKED) {
            self.asked = Some(now);
            if (self.stop)() {
                return Err(io::Error::other("the run was stopped"));
            }
        }
        self.file.read(buffer)
    }
}

/// Reads line by line.
pub(super) struct Lines<'a> {
    input: BufReader<Box<dyn Read + 'a>>,
    patience: u64,
}

/// One line.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Line {
    /// The line without its end; only its beginning if it is long.
    pub(super) text: String,
    /// Its whole length in bytes; less if its end was not found.
    pub(super) length: u64,
    /// True if `text` is not all of it.
    pub(super) is_cut: bool,
    /// True if U+FFFD stands for bytes that are no text.
    pub(super) is_lossy: bool,
}

impl<'a> Lines<'a> {
    pub(super) fn new(input: Box<dyn Read + 'a>) -> Self {
        Self { input: BufReader::with_capacity(64 << 10, input), patience: PATIENCE }
    }

    /// True if all of the file was read that was asked for.
    pub(super) fn is_complete(&self) -> bool {
        self.patience > 0
    }

    /// Passes over up to `count` lines and returns how many there were.
    pub(super) fn skip(&mut self, count: u64) -> io::Result<u64> {
        let mut passed = 0;
        let mut is_in_line = false;
        while passed < count {
            let buffer = self.input.fill_buf()?;
            if buffer.is_empty() {
                return Ok(passed + u64::from(is_in_line));
            }
            let wanted = usize::try_from(count - passed - 1).unwrap_or(usize::MAX);
            let (used, ends) = match memchr::memchr_iter(b'\n', buffer).nth(wanted) {
                Some(last) => (last + 1, count - passed),
                None => (buffer.len(), memchr::memchr_iter(b'\n', buffer).count() as u64),
            };
            is_in_line = buffer[used - 1] != b'\n';
            passed += ends;
            self.input.consume(used);
        }
        Ok(passed)
    }

    /// The next line, of which at most `limit` bytes are kept.
    pub(super) fn next(&mut self, limit: usize) -> io::Result<Option<Line>> {
        let mut kept = Vec::new();
        let mut length = 0;
        let mut ended = false;
        while !ended && self.patience > 0 {
            let buffer = self.input.fill_buf()?;
            if buffer.is_empty() {
                break;
            }
            let newline = memchr::memchr(b'\n', buffer);
            let part = &buffer[..newline.unwrap_or(buffer.len())];
            // One byte more than the limit tells a CR before the line end from one within the line.
            kept.extend_from_slice(&part[..part.len().min((limit + 1).saturating_sub(kept.len()))]);
            length += part.len() as u64;
            if length > limit as u64 {
                self.patience = self.patience.saturating_sub(part.len() as u64);
            }
            ended = newline.is_some();
            let used = part.len() + usize::from(ended);
            self.input.consume(used);
        }
        Ok((length > 0 || ended).then(|| line(kept, length, limit)))
    }

    /// How many lines follow; at least so many, if [`Lines::is_complete`] says no afterwards.
    pub(super) fn count_rest(&mut self) -> io::Result<u64> {
        let mut count = 0;
        let mut is_in_line = false;
        while self.patience > 0 {
            let buffer = self.input.fill_buf()?;
            if buffer.is_empty() {
                break;
            }
            count += memchr::memchr_iter(b'\n', buffer).count() as u64;
            is_in_line = buffer.last() != Some(&b'\n');
            let used = buffer.len();
            self.patience = self.patience.saturating_sub(used as u64);
            self.input.consume(used);
        }
        Ok(count + u64::from(is_in_line))
    }
}

fn line(mut kept: Vec<u8>, mut length: u64, limit: usize) -> Line {
    if kept.len() as u64 == length && kept.last() == Some(&b'\r') {
        kept.pop();
        length -= 1;
    }
    let is_cut = length > limit as u64;
    if is_cut {
        kept.truncate(limit);
        // Half a character at the cut is no fault of the file.
        let whole = kept.utf8_chunks().last().map_or(0, |chunk| chunk.invalid().len());
        if whole < 4 {
            kept.truncate(kept.len() - whole);
        }
    }
    let is_lossy = kept.contains(&0) || std::str::from_utf8(&kept).is_err();
    let text = String::from_utf8_lossy(&kept).replace('\0', "\u{fffd}");
    Line { text, length, is_cut, is_lossy }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    fn lines(text: &[u8]) -> Lines<'_> {
        Lines::new(Box::new(text))
    }

    fn all(bytes: &[u8], limit: usize) -> Vec<String> {
        let mut lines = lines(bytes);
        std::iter::from_fn(|| lines.next(limit).unwrap().map(|line| line.text)).collect()
    }

    #[test]
    fn every_line_is_read_whatever_ends_it() {
        assert_eq!(all(b"", 9), [""; 0]);
        assert_eq!(all(b"a\nb", 9), ["a", "b"]);
        assert_eq!(all(b"a\r\n\r\n\nb\r\n", 9), ["a", "", "", "b"]);
        assert_eq!(all(b"a\rb\n", 9), ["a\rb"]);
    }

    #[test]
    fn reading_slowly_ends_soon_after_a_stop() {
        struct Slow<'a>(&'a Cell<u32>);
        impl Read for Slow<'_> {
            fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
                clock::pause(Duration::from_millis(2));
                self.0.set(self.0.get() + 1);
                buffer[0] = b'x';
                Ok(1)
            }
        }
        let (reads, asked) = (Cell::new(0), AtomicU32::new(0));
        let stop = || asked.fetch_add(1, Ordering::Relaxed) == 2;
        assert!(text(Slow(&reads), &stop).is_err());
        assert!(reads.get() < 20, "{} reads", reads.get());
    }

    #[test]
    fn a_long_line_is_cut_between_characters_and_the_next_one_is_right() {
        assert_eq!(all("ééééé\nb\n".as_bytes(), 5), ["éé", "b"]);
        assert_eq!(all(b"12345\r\n123456\r\nb", 5), ["12345", "12345", "b"]);
        let line = lines(b"123456789\n").next(5).unwrap().unwrap();
        assert_eq!((line.length, line.is_cut, line.is_lossy), (9, true, false));
    }

    #[test]
    fn bytes_that_are_no_text_are_shown_as_such() {
        let line = lines(b"a\xffb\0c\n").next(99).unwrap().unwrap();
        assert_eq!((line.text.as_str(), line.is_lossy), ("a\u{fffd}b\u{fffd}c", true));
    }

    #[test]
    fn skipping_and_counting_agree_on_what_a_line_is() {
        for text in ["", "a", "a\n", "a\nb", "\n\n\n", "a\n\nb\n"] {
            let count = lines(text.as_bytes()).count_rest().unwrap();
            assert_eq!(count, text.lines().count() as u64, "{text:?}");
            assert_eq!(lines(text.as_bytes()).skip(99).unwrap(), count, "{text:?}");
            for skipped in 0..count {
                let mut rest = lines(text.as_bytes());
                assert_eq!(rest.skip(skipped).unwrap(), skipped);
                assert_eq!(rest.count_rest().unwrap(), count - skipped, "{text:?}");
            }
        }
    }
}
