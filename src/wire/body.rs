//! The bytes of a request, kept from turn to turn: a new turn costs what it adds, however long the history.

use super::{RequestHead, Wire};
use crate::chat::Conversation;
use crate::chat::estimate::Size;

/// A request body that grows with its conversation. What precedes the newest entry is never encoded again.
#[derive(Debug, Default)]
pub struct RequestBody {
    bytes: Vec<u8>,
    /// Length of the opening and all entries but the newest, which may still change (a note, a continued turn).
    /// A comma at their end is not counted, since it stays only if the newest entry writes something.
    settled: usize,
    /// How many entries are within `settled`.
    entries: usize,
    /// How large those are.
    settled_size: Size,
    /// How large all entries are.
    size: Size,
}

impl RequestBody {
    /// Brings the body up to date and returns it. `head` and the settled entries must be those of the last call.
    pub fn update(&mut self, wire: &dyn Wire, head: &RequestHead<'_>, conversation: &Conversation) -> &[u8] {
        self.bytes.truncate(self.settled);
        if self.settled == 0 {
            wire.open(head, &mut self.bytes);
        } else if self.bytes.last() != Some(&b'[') {
            self.bytes.push(b',');
        }
        let entries = conversation.entries();
        self.size = self.settled_size;
        for entry in entries.iter().skip(self.entries) {
            (self.settled, self.settled_size) = (self.length_without_comma(), self.size);
            wire.entry(head, entry, &mut self.bytes);
            self.size.add(entry);
        }
        self.entries = entries.len().saturating_sub(1);
        self.bytes.truncate(self.length_without_comma());
        wire.close(head, &mut self.bytes);
        &self.bytes
    }

    /// Forgets the entries: they have changed and are written anew by the next update.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// How many bytes the next turn will not change.
    #[cfg(test)]
    pub(super) fn settled(&self) -> usize {
        self.settled
    }

    /// How many messages of the conversation are in it.
    #[must_use]
    pub fn messages(&self) -> usize {
        self.size.messages
    }

    /// What it weighs, for an estimate of its tokens.
    #[must_use]
    pub fn weight(&self) -> u64 {
        self.size.weight(self.bytes.len() as u64)
    }

    /// The body as the last update left it.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    fn length_without_comma(&self) -> usize {
        self.bytes.len() - usize::from(self.bytes.last() == Some(&b','))
    }
}
