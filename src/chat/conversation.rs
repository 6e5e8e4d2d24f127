//! The conversation: entries that always begin with the user and never hold an open call.

use super::{Exchange, StopReason, Turn, UserMessage};

/// One entry of a conversation.
#[derive(Debug, Clone)]
#[expect(clippy::large_enum_variant, reason = "nearly every entry is a step")]
pub enum Entry {
    /// A message of the user.
    User(UserMessage),
    /// An assistant turn whose every tool call has been answered.
    Step {
        /// The turn.
        turn: Turn<Exchange>,
        /// What the user adds after the results, in the same message on wires that have them in one.
        note: Option<UserMessage>,
    },
}

/// A conversation. By construction its first entry is the user's, user messages never follow each other, and
/// every tool call stands beside its result.
#[derive(Debug, Clone)]
pub struct Conversation {
    entries: Vec<Entry>,
}

impl Conversation {
    /// Begins with the user's first message.
    #[must_use]
    pub fn new(first: UserMessage) -> Self {
        Self { entries: vec![Entry::User(first)] }
    }

    /// All entries in order; the first is the user's.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// How many messages there are, the results of a turn counted as one.
    #[must_use]
    pub fn messages(&self) -> usize {
        let of = |entry: &Entry| match entry {
            Entry::User(_) => 1,
            Entry::Step { turn, note } => 1 + usize::from(turn.tools().next().is_some() || note.is_some()),
        };
        self.entries.iter().map(of).sum()
    }

    /// Appends an assistant turn; one that follows a paused turn continues it.
    pub fn push(&mut self, turn: Turn<Exchange>) {
        if let Some(Entry::Step { turn: paused, note: None }) = self.entries.last_mut()
            && paused.stop == StopReason::Pause
        {
            let mut blocks = std::mem::take(&mut paused.blocks);
            blocks.extend(turn.blocks);
            *paused = Turn { blocks, ..turn };
        } else {
            self.entries.push(Entry::Step { turn, note: None });
        }
    }

    /// Appends what the user says next. After an assistant turn that ended in tool calls it joins their results
    /// as a note; after a message that was never answered it joins that message.
    pub fn push_user(&mut self, message: UserMessage) {
        match self.entries.last_mut() {
            Some(Entry::User(open)) => open.parts.extend(message.parts),
            Some(Entry::Step { turn, note }) if turn.tools().next().is_some() => {
                note.get_or_insert_default().parts.extend(message.parts);
            }
            _ => self.entries.push(Entry::User(message)),
        }
    }
}
