//! Goes through a directory in a fixed order, depth first and by name, without what is ignored and without `.git`.
//! Links are told, never followed. It opens nothing but directories and ignore files, and those through the door.

use std::path::{Path, PathBuf};
use std::vec;

use super::files::{Entry, Kind, MAX_ENTRIES, Workspace};
use super::ignores::Ignores;

/// A walk, one entry at a time.
pub(super) struct Walk<'a> {
    workspace: &'a Workspace,
    ignores: Ignores,
    levels: Vec<Level>,
    max_depth: usize,
    /// Directories that could not be read, or not to their end.
    incomplete: usize,
    /// True if a directory was met at the greatest depth and not entered.
    pub(super) is_cut: bool,
}

/// What a walk came upon.
pub(super) struct Found {
    /// The true path, relative to the root.
    pub(super) path: PathBuf,
    /// What it is.
    pub(super) kind: Kind,
    /// 1 for what is in the directory where the walk began.
    pub(super) depth: usize,
}

struct Level {
    path: PathBuf,
    entries: vec::IntoIter<Entry>,
    has_rules: bool,
}

impl<'a> Walk<'a> {
    /// Begins in the directory `start`, a true path; nothing deeper than `max_depth` is met.
    pub(super) fn new(workspace: &'a Workspace, start: &Path, max_depth: usize) -> Self {
        let ignores = Ignores::above(workspace, start);
        let mut walk = Self { workspace, ignores, levels: Vec::new(), max_depth, incomplete: 0, is_cut: false };
        walk.enter(start.to_owned());
        walk
    }

    /// A line about what the walk did not see; empty if there is nothing to tell.
    pub(super) fn note(&self) -> String {
        match self.incomplete {
            0 => String::new(),
            1 => "[1 directory could not be read, or not to its end]\n".to_owned(),
            many => format!("[{many} directories could not be read, or not to their end]\n"),
        }
    }

    fn enter(&mut self, path: PathBuf) {
        if self.levels.len() == self.max_depth {
            self.is_cut = true;
            return;
        }
        match self.workspace.open_directory(&path).and_then(|opened| opened.entries()) {
            Ok(entries) => {
                self.incomplete += usize::from(entries.len() == MAX_ENTRIES);
                let has_rules = self.ignores.enter(self.workspace, &path, &entries);
                self.levels.push(Level { path, entries: entries.into_iter(), has_rules });
            }
            Err(_) => self.incomplete += 1,
        }
    }
}

impl Iterator for Walk<'_> {
    type Item = Found;

    fn next(&mut self) -> Option<Found> {
        loop {
            let depth = self.levels.len();
            let level = self.levels.last_mut()?;
            let Some(entry) = level.entries.next() else {
                if level.has_rules {
                    self.ignores.leave();
                }
                self.levels.pop();
                continue;
            };
            let path = level.path.join(&entry.name);
            let is_directory = entry.kind == Kind::Directory;
            if entry.name == ".git" || self.ignores.ignore(&path, is_directory) {
                continue;
            }
            if is_directory {
                self.enter(path.clone());
            }
            return Some(Found { path, kind: entry.kind, depth });
        }
    }
}
