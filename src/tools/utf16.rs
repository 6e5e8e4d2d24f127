//! Reads UTF-16 as UTF-8 in bounded memory. What is no UTF-16 becomes U+FFFD.

use std::io::{self, Read};

/// How much is taken from the input at once.
const CHUNK: usize = 8 << 10;

/// A reader that gives UTF-8 for UTF-16 without its byte order mark.
pub(super) struct Utf16<R> {
    input: R,
    unit: fn([u8; 2]) -> u16,
    pending: Vec<u8>,
    output: Vec<u8>,
    given: usize,
    at_end: bool,
}

impl<R: Read> Utf16<R> {
    /// `unit` is `u16::from_le_bytes` or `u16::from_be_bytes`.
    pub(super) fn new(input: R, unit: fn([u8; 2]) -> u16) -> Self {
        Self { input, unit, pending: Vec::new(), output: Vec::new(), given: 0, at_end: false }
    }

    fn refill(&mut self) -> io::Result<()> {
        let before = self.pending.len();
        self.pending.resize(before + CHUNK, 0);
        let read = self.input.read(&mut self.pending[before..]);
        self.pending.truncate(before + *read.as_ref().unwrap_or(&0));
        self.at_end = read? == 0;
        self.output.clear();
        self.given = 0;
        let mut units: Vec<u16> = self.pending.chunks_exact(2).map(|pair| (self.unit)([pair[0], pair[1]])).collect();
        // The first half of a pair waits for its second.
        if !self.at_end && units.last().is_some_and(|unit| (0xd800..0xdc00).contains(unit)) {
            units.pop();
        }
        self.pending.drain(..units.len() * 2);
        for decoded in char::decode_utf16(units) {
            let character = decoded.unwrap_or(char::REPLACEMENT_CHARACTER);
            self.output.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
        }
        if self.at_end && !self.pending.is_empty() {
            self.pending.clear();
            self.output.extend_from_slice("\u{fffd}".as_bytes());
        }
        Ok(())
    }
}

impl<R: Read> Read for Utf16<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.given == self.output.len() && !self.at_end {
            self.refill()?;
        }
        let count = (&self.output[self.given..]).read(buffer)?;
        self.given += count;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives three bytes at a time, so that every character is split somewhere.
    struct Drip<'a>(&'a [u8]);

    impl Read for Drip<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let limit = buffer.len().min(3);
            self.0.read(&mut buffer[..limit])
        }
    }

    fn decode(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> String {
        let mut text = String::new();
        Utf16::new(Drip(bytes), unit).read_to_string(&mut text).unwrap();
        text
    }

    #[test]
    fn text_of_either_byte_order_is_read_right_however_it_is_split() {
        let text = "aé\u{1f980}b\n\u{1f980}".repeat(100);
        let little: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let big: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
        assert_eq!(decode(&little, u16::from_le_bytes), text);
        assert_eq!(decode(&big, u16::from_be_bytes), text);
    }

    #[test]
    fn a_broken_end_is_shown_as_such() {
        assert_eq!(decode(b"a\0b", u16::from_le_bytes), "a\u{fffd}");
        assert_eq!(decode(b"a\0\x3d\xd8", u16::from_le_bytes), "a\u{fffd}");
        assert_eq!(decode(b"", u16::from_le_bytes), "");
    }
}
