//! A conversation taken apart for a prune: every turn with its results and every message of the user by itself.

use super::{Conversation, Entry, StopReason};

/// The pieces of a conversation, of which only such can be removed as leave it sound: it begins with the user, and an
/// answer is followed by the user again. Messages that come to stand beside each other become one.
pub(super) struct Pieces {
    /// Users' entries of one message each, and turns without a note.
    all: Vec<Entry>,
    kept: Vec<bool>,
    task: usize,
}

impl Pieces {
    /// Of entries that are in pieces already; `task` is the place of this run's message.
    pub(super) fn new(all: Vec<Entry>, task: usize) -> Self {
        let kept = vec![true; all.len()];
        Self { all, kept, task }
    }

    /// All pieces, those that are gone too.
    pub(super) fn all(&self) -> &[Entry] {
        &self.all
    }

    /// A piece, to be changed in what it holds.
    pub(super) fn get_mut(&mut self, at: usize) -> Option<&mut Entry> {
        self.all.get_mut(at)
    }

    /// The place of this run's message.
    pub(super) fn task(&self) -> usize {
        self.task
    }

    /// Whether a piece is still there.
    pub(super) fn has(&self, at: usize) -> bool {
        self.kept[at]
    }

    /// Removes a piece if what is left is sound; tells whether it did.
    pub(super) fn remove(&mut self, at: usize) -> bool {
        let before = (0..at).rev().find(|at| self.kept[*at]).map(|at| &self.all[at]);
        let after = (at + 1..self.all.len()).find(|at| self.kept[*at]).map(|at| &self.all[at]);
        let goes = self.kept[at] && at != self.task && after.is_some_and(|after| may_follow(before, after));
        self.kept[at] &= !goes;
        goes
    }

    /// Removes all pieces for which `kept` is false, if what is left is sound.
    pub(super) fn keep(&mut self, kept: Vec<bool>) {
        let left: Vec<&Entry> = self.all.iter().zip(&kept).filter(|(_, kept)| **kept).map(|(entry, _)| entry).collect();
        let begins = left.first().is_some_and(|first| may_follow(None, first));
        if begins && kept[self.task] && left.windows(2).all(|pair| may_follow(Some(pair[0]), pair[1])) {
            self.kept = kept;
        }
    }

    /// Puts what is left together again.
    pub(super) fn join(self) -> Conversation {
        let task = self.task;
        let left = self.all.into_iter().zip(self.kept).enumerate();
        let left = left.filter(|(_, (_, kept))| *kept).map(|(at, (entry, _))| (entry, at == task));
        Conversation::of_pieces(left)
    }
}

/// Whether a piece may stand behind another, or as the first.
fn may_follow(before: Option<&Entry>, after: &Entry) -> bool {
    match (before, after) {
        (_, Entry::User(_)) | (Some(Entry::User(_)), _) => true,
        (Some(Entry::Step { turn, .. }), _) => turn.tools().next().is_some() && turn.stop != StopReason::Pause,
        (None, _) => false,
    }
}
