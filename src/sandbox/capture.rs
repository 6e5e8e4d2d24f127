//! Keeping the head and the tail of a stream of any length in a bounded space.

use std::collections::VecDeque;

/// The first and the last bytes of a stream, and how many lay between.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Capture {
    /// The first bytes.
    pub head: Vec<u8>,
    /// The last bytes, where the head is not all.
    pub tail: Vec<u8>,
    /// Bytes between the two.
    pub omitted: u64,
}

/// A capture that grows.
#[derive(Debug)]
pub(super) struct Recording {
    keep: usize,
    head: Vec<u8>,
    tail: VecDeque<u8>,
    total: u64,
}

impl Recording {
    /// Keeps `keep` bytes at the head and as many at the tail.
    pub(super) fn new(keep: usize) -> Self {
        Self { keep, head: Vec::new(), tail: VecDeque::new(), total: 0 }
    }

    /// Adds what has been read.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.total += bytes.len() as u64;
        let (head, rest) = bytes.split_at(bytes.len().min(self.keep - self.head.len()));
        self.head.extend_from_slice(head);
        let rest = &rest[rest.len().saturating_sub(self.keep)..];
        let excess = (self.tail.len() + rest.len()).saturating_sub(self.keep);
        self.tail.drain(..excess);
        self.tail.extend(rest);
    }

    /// Bytes added so far.
    pub(super) fn total(&self) -> u64 {
        self.total
    }

    /// What was kept.
    pub(super) fn finish(self) -> Capture {
        let kept = (self.head.len() + self.tail.len()) as u64;
        Capture { head: self.head, tail: self.tail.into(), omitted: self.total - kept }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn head_and_tail_are_those_of_the_whole_however_it_came(
            bytes in proptest::collection::vec(any::<u8>(), 0..64), keep in 0usize..20, piece in 1usize..64,
        ) {
            let mut recording = Recording::new(keep);
            bytes.chunks(piece).for_each(|chunk| recording.push(chunk));
            let capture = recording.finish();
            let head = bytes.len().min(keep);
            let tail = (bytes.len() - head).min(keep);
            prop_assert_eq!(&capture.head, &bytes[..head]);
            prop_assert_eq!(&capture.tail, &bytes[bytes.len() - tail..]);
            prop_assert_eq!(capture.omitted, (bytes.len() - head - tail) as u64);
        }
    }
}
