//! Puts the matches of many files together, in the order in which it gets them.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use super::search::{Gap, Room, Searched};
use crate::chat::ToolResult;
use crate::tools::names;

/// Files named at most for each reason why they were not searched.
const MAX_NAMED: usize = 3;

/// The result as it grows.
pub(super) struct Report {
    room: Room,
    text: String,
    shown: usize,
    is_full: bool,
    /// With context, files are set apart as places within a file are.
    separated: bool,
    gaps: BTreeMap<Gap, Missed>,
    note: String,
}

#[derive(Default)]
struct Missed {
    names: Vec<String>,
    count: usize,
}

impl Report {
    pub(super) fn new(room: Room, separated: bool) -> Self {
        Self {
            room,
            text: String::new(),
            shown: 0,
            is_full: false,
            separated,
            gaps: BTreeMap::new(),
            note: String::new(),
        }
    }

    /// Adds a file. Once the room is used up, nothing that comes later counts.
    pub(super) fn add(&mut self, path: &Path, searched: Searched) {
        if self.is_full {
            return;
        }
        if self.separated && !self.text.is_empty() && !searched.hits.is_empty() {
            self.text.push_str("--\n");
        }
        for hit in searched.hits {
            if (hit.is_match && self.shown == self.room.matches) || self.text.len() + hit.text.len() > self.room.bytes {
                self.is_full = true;
                return;
            }
            self.text.push_str(&hit.text);
            self.shown += usize::from(hit.is_match);
        }
        self.is_full = searched.has_more;
        if let Some(gap) = searched.gap {
            let missed = self.gaps.entry(gap).or_default();
            missed.count += 1;
            if missed.count <= MAX_NAMED {
                missed.names.push(names::escape(path).into_owned());
            }
        }
    }

    /// Adds a line about what was not seen. Where the room was not enough, that much was not seen anyway.
    pub(super) fn add_note(&mut self, note: &str) {
        if !self.is_full {
            self.note.push_str(note);
        }
    }

    /// True if nothing can be added any more.
    pub(super) fn is_full(&self) -> bool {
        self.is_full
    }

    /// The result; `asked_for` is true if one file was named and not a directory.
    pub(super) fn finish(self, asked_for: bool) -> ToolResult {
        let mut text = self.text;
        if self.is_full && text.ends_with("\n--\n") {
            text.truncate(text.len() - "--\n".len());
        }
        if self.shown == 0 {
            text.push_str("no matches\n");
        }
        let shown = text.len() as u64;
        if self.is_full {
            // Writing into a String cannot fail.
            let _ = writeln!(text, "[the first {} matches; there are more: narrow pattern, path or glob]", self.shown);
        }
        for (gap, missed) in self.gaps {
            // Nobody misses what a binary file holds, unless it was named.
            if gap != Gap::Binary || asked_for {
                text += &missed.note(gap);
            }
        }
        text += &self.note;
        let mut result = ToolResult::ok(text);
        if self.is_full {
            result.detail.truncated = true;
            result.detail.bytes = shown;
        }
        result
    }
}

impl Missed {
    fn note(&self, gap: Gap) -> String {
        let why = match gap {
            Gap::Secret => "not searched, named like secrets",
            Gap::Denied => "not searched, denied in this run",
            Gap::LongLine => "not searched to the end, a line is too long",
            Gap::Unreadable => "cannot be read",
            Gap::Binary => "not searched, binary",
        };
        let rest = self.count - self.names.len();
        let more = if rest > 0 { format!(" and {rest} more") } else { String::new() };
        format!("[{why}: {}{more}]\n", self.names.join(", "))
    }
}
