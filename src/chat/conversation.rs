//! The conversation: entries that always begin with the user and never hold an open call.

use super::{Exchange, Part, StopReason, Turn, UserMessage};

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
    /// The entry that holds this run's message.
    task: usize,
}

impl Conversation {
    /// Begins with the user's first message.
    #[must_use]
    pub fn new(first: UserMessage) -> Self {
        Self { entries: vec![Entry::User(first)], task: 0 }
    }

    /// All entries in order; the first is the user's.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The place of the entry that holds this run's message, as an entry of its own or as a note.
    #[must_use]
    pub fn task(&self) -> usize {
        self.task
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
            let mut lines = std::mem::take(&mut paused.lines);
            lines.extend(turn.lines);
            *paused = Turn { blocks, lines, ..turn };
        } else {
            self.entries.push(Entry::Step { turn, note: None });
        }
    }

    /// Appends what the user says next. After an assistant turn that ended in tool calls it joins their results
    /// as a note; after a message that was never answered it joins that message.
    pub fn push_user(&mut self, message: UserMessage) {
        match self.entries.last_mut() {
            Some(Entry::User(open)) => open.append(message),
            Some(Entry::Step { turn, note }) if turn.tools().next().is_some() => match note {
                Some(open) => open.append(message),
                None => *note = Some(message),
            },
            _ => self.entries.push(Entry::User(message)),
        }
    }

    /// Appends the message that a run is for. What flux itself had said last in an earlier run, and nobody answered,
    /// is not said again.
    pub fn push_task(&mut self, message: UserMessage) {
        if self.entries.len() > self.task + 1 {
            match self.entries.last_mut() {
                Some(Entry::Step { note, .. }) => *note = None,
                _ => drop(self.entries.pop()),
            }
        }
        self.push_user(message);
        self.task = self.entries.len().saturating_sub(1);
    }

    /// Whether an assistant turn may come next.
    #[must_use]
    pub fn takes_turn(&self) -> bool {
        match self.entries.last() {
            Some(Entry::Step { turn, note: None }) => turn.tools().next().is_some() || turn.stop == StopReason::Pause,
            _ => true,
        }
    }

    /// Takes back what was said after this run's message, but for the tool calls that directly follow it: the same
    /// message is asked again.
    pub fn reopen(&mut self) {
        let is_tools =
            |entry: &Entry| matches!(entry, Entry::Step { turn, note: None } if turn.tools().next().is_some());
        let kept = self.entries.iter().skip(self.task + 1).take_while(|entry| is_tools(entry)).count();
        self.entries.truncate(self.task + 1 + kept);
    }

    /// The entries, to be changed in what they hold.
    pub(super) fn entries_mut(&mut self) -> &mut [Entry] {
        &mut self.entries
    }

    /// Keeps only the entries for which `kept` is true. What is kept must begin with the user and alternate as before.
    pub(super) fn keep(&mut self, kept: &[bool]) {
        let gone_before_task = kept.iter().take(self.task).filter(|kept| !**kept).count();
        self.task -= gone_before_task;
        let mut kept = kept.iter();
        self.entries.retain(|_| kept.next().copied().unwrap_or(true));
    }

    /// Makes the note of an entry the first message, without anything that came before it. Returns what is gone;
    /// nothing happens where there is no note.
    pub(super) fn begin_with_note(&mut self, at: usize) -> Vec<Entry> {
        let Some(Entry::Step { note, .. }) = self.entries.get_mut(at) else { return Vec::new() };
        let Some(message) = note.take() else { return Vec::new() };
        let later = self.entries.split_off(at + 1);
        let gone = std::mem::replace(&mut self.entries, vec![Entry::User(message)]);
        self.entries.extend(later);
        self.task = self.task.saturating_sub(at);
        gone
    }
}

impl UserMessage {
    /// Adds what the user says after this, parted by a blank line.
    fn append(&mut self, later: UserMessage) {
        if !self.parts.is_empty() && !later.parts.is_empty() {
            self.parts.push(Part::Text("\n\n".to_owned()));
        }
        self.parts.extend(later.parts);
        self.lines.extend(later.lines);
    }
}
