//! The conversation: entries that always begin with the user and never hold an open call.

use super::pieces::Pieces;
use super::{Exchange, Part, Said, StopReason, Turn, UserMessage};

/// One entry of a conversation.
#[derive(Debug, Clone)]
#[expect(clippy::large_enum_variant, reason = "nearly every entry is a step")]
pub enum Entry {
    /// A message of the user.
    User(Said),
    /// An assistant turn whose every tool call has been answered.
    Step {
        /// The turn.
        turn: Turn<Exchange>,
        /// What the user adds after the results, in the same message on wires that have them in one.
        note: Option<Said>,
    },
}

impl Entry {
    /// How many messages it is, the results of a turn counted as one.
    #[must_use]
    pub fn messages(&self) -> usize {
        match self {
            Self::User(_) => 1,
            Self::Step { turn, note } => 1 + usize::from(turn.tools().next().is_some() || note.is_some()),
        }
    }
}

/// A conversation. By construction its first entry is the user's, user messages never follow each other, and
/// every tool call stands beside its result.
#[derive(Debug, Clone)]
pub struct Conversation {
    entries: Vec<Entry>,
    task: Place,
}

/// Where this run's message stands.
#[derive(Debug, Clone, Copy, Default)]
struct Place {
    entry: usize,
    /// Which of the messages that were said there.
    message: usize,
}

impl Conversation {
    /// Begins with the user's first message.
    #[must_use]
    pub fn new(first: UserMessage) -> Self {
        Self { entries: vec![Entry::User(first.into())], task: Place::default() }
    }

    /// All entries in order; the first is the user's.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The place of the entry that holds this run's message, as an entry of its own or as a note.
    #[must_use]
    pub fn task(&self) -> usize {
        self.task.entry
    }

    /// What this run's message says.
    #[must_use]
    pub fn task_parts(&self) -> &[Part] {
        let said = self.entries.get(self.task.entry).and_then(said);
        said.map(|said| said.parts_of(self.task.message)).unwrap_or_default()
    }

    /// How many messages there are, the results of a turn counted as one.
    #[must_use]
    pub fn messages(&self) -> usize {
        self.entries.iter().map(Entry::messages).sum()
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
            Some(Entry::User(open) | Entry::Step { note: Some(open), .. }) => open.push(message),
            Some(Entry::Step { turn, note }) if turn.tools().next().is_some() => *note = Some(message.into()),
            _ => self.entries.push(Entry::User(message.into())),
        }
    }

    /// Appends the message that a run is for. What flux itself had said last in an earlier run, and nobody answered,
    /// is not said again.
    pub fn push_task(&mut self, message: UserMessage) {
        if self.entries.len() > self.task.entry + 1 {
            match self.entries.last_mut() {
                Some(Entry::Step { note, .. }) => *note = None,
                _ => drop(self.entries.pop()),
            }
        } else {
            self.part_from_task();
        }
        self.push_user(message);
        self.task = self.end();
    }

    /// Takes back what was said in one message with this run's, behind it: that stood behind a turn which is gone.
    /// Tells whether there was any.
    fn part_from_task(&mut self) -> bool {
        let (kept, entry) = (self.task.message + 1, self.entries.get_mut(self.task.entry));
        let Some(Entry::User(said) | Entry::Step { note: Some(said), .. }) = entry else { return false };
        let was_more = said.count() > kept;
        said.truncate(kept);
        was_more
    }

    /// The place of the message that was said last.
    fn end(&self) -> Place {
        let message = self.entries.last().and_then(said).map_or(0, |said| said.count() - 1);
        Place { entry: self.entries.len().saturating_sub(1), message }
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
        let kept = self.entries.iter().skip(self.task.entry + 1).take_while(|entry| is_tools(entry)).count();
        let kept = if self.part_from_task() { 0 } else { kept };
        self.entries.truncate(self.task.entry + 1 + kept);
    }

    /// What was said before this run's message; nothing if that was the first.
    #[must_use]
    pub fn before_task(mut self) -> Option<Self> {
        self.entries.truncate(self.task.entry + 1);
        match (self.task.message, self.entries.last_mut()) {
            (0, Some(Entry::Step { note, .. })) => *note = None,
            (0, _) => drop(self.entries.pop()),
            (kept, Some(Entry::User(said) | Entry::Step { note: Some(said), .. })) => said.truncate(kept),
            (_, _) => {}
        }
        self.task = self.end();
        (!self.entries.is_empty()).then_some(self)
    }

    /// The entries, to be changed in what they hold.
    pub(super) fn entries_mut(&mut self) -> &mut [Entry] {
        &mut self.entries
    }

    /// Has `work` remove what it will of the pieces that this is made of.
    pub(super) fn in_pieces<T>(&mut self, work: impl FnOnce(&mut Pieces) -> T) -> T {
        let (mut all, mut task) = (Vec::with_capacity(self.entries.len()), 0);
        for (at, entry) in std::mem::take(&mut self.entries).into_iter().enumerate() {
            let said = match entry {
                Entry::User(said) => Some(said),
                Entry::Step { turn, note } => {
                    all.push(Entry::Step { turn, note: None });
                    note
                }
            };
            if at == self.task.entry {
                task = all.len() + self.task.message;
            }
            let messages = said.map(Said::into_messages).into_iter().flatten();
            all.extend(messages.map(|message| Entry::User(message.into())));
        }
        let mut pieces = Pieces::new(all, task);
        let result = work(&mut pieces);
        *self = pieces.join();
        result
    }

    /// Of pieces that stand in a sound order, one of which is this run's message.
    pub(super) fn of_pieces(pieces: impl Iterator<Item = (Entry, bool)>) -> Self {
        let mut whole = Self { entries: Vec::new(), task: Place::default() };
        for (piece, is_task) in pieces {
            match piece {
                Entry::User(said) => said.into_messages().into_iter().for_each(|message| whole.push_user(message)),
                Entry::Step { turn, .. } => whole.push(turn),
            }
            if is_task {
                whole.task = whole.end();
            }
        }
        whole
    }
}

/// What the user says in an entry.
pub(super) fn said(entry: &Entry) -> Option<&Said> {
    match entry {
        Entry::User(said) => Some(said),
        Entry::Step { note, .. } => note.as_ref(),
    }
}
