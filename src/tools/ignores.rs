//! What the ignore files of a tree say. A deeper file outweighs a higher one, `.ignore` a `.gitignore` beside it,
//! and no `.git` directory is needed. Only what [`Workspace`] reads comes in.

use std::path::{Path, PathBuf};

use ignore::gitignore::{Gitignore, GitignoreBuilder};

use super::files::{Entry, IGNORE_FILE_LIMIT, IGNORE_FILES, Kind, Workspace};

/// The rules that hold for the directory where a walk is.
pub(super) struct Ignores {
    root: PathBuf,
    rules: Vec<Gitignore>,
}

impl Ignores {
    /// The rules from above the directory `start`. They do not hold if `start` is ignored itself: whoever names
    /// an ignored directory wants to see what is in it.
    pub(super) fn above(workspace: &Workspace, start: &Path) -> Self {
        let mut ignores = Self { root: workspace.path().to_owned(), rules: Vec::new() };
        // What a repository says holds nowhere else.
        for file in workspace.ignore_files_above().iter().filter(|_| start.is_relative()) {
            ignores.add(&file.directory, &[&file.content]);
        }
        let mut higher: Vec<&Path> = start.ancestors().skip(1).collect();
        higher.reverse();
        for directory in higher {
            ignores.load(workspace, directory, |_| true);
        }
        let is_path = |path: &&Path| !path.as_os_str().is_empty();
        if start.ancestors().filter(is_path).any(|path| ignores.ignore(path, true)) {
            ignores.rules.clear();
        }
        ignores
    }

    /// Adds the rules of a directory; true if it has any, and they must be left with [`Ignores::leave`].
    pub(super) fn enter(&mut self, workspace: &Workspace, directory: &Path, entries: &[Entry]) -> bool {
        let has = |name: &str| entries.iter().any(|entry| entry.kind == Kind::File && entry.name == name);
        self.load(workspace, directory, has)
    }

    fn load(&mut self, workspace: &Workspace, directory: &Path, has: impl Fn(&str) -> bool) -> bool {
        let contents: Vec<Vec<u8>> = IGNORE_FILES
            .into_iter()
            .filter(|name| has(name))
            .map(|name| workspace.head_of(&directory.join(name), IGNORE_FILE_LIMIT))
            .collect();
        let contents: Vec<&[u8]> = contents.iter().map(Vec::as_slice).collect();
        !contents.is_empty() && self.add(&self.root.join(directory), &contents)
    }

    /// Drops the rules that were entered last.
    pub(super) fn leave(&mut self) {
        self.rules.pop();
    }

    /// True if the rules say so for this path, relative to the root.
    pub(super) fn ignore(&self, path: &Path, is_directory: bool) -> bool {
        if self.rules.is_empty() {
            return false;
        }
        let path = self.root.join(path);
        let decided = self.rules.iter().rev().map(|rules| rules.matched(&path, is_directory)).find(|m| !m.is_none());
        decided.is_some_and(|decision| decision.is_ignore())
    }

    fn add(&mut self, directory: &Path, contents: &[&[u8]]) -> bool {
        let mut builder = GitignoreBuilder::new(directory);
        for content in contents {
            for line in String::from_utf8_lossy(content).trim_start_matches('\u{feff}').lines() {
                // A line that is no pattern is passed over, as git does.
                drop(builder.add_line(None, line));
            }
        }
        match builder.build() {
            Ok(rules) if !rules.is_empty() => {
                self.rules.push(rules);
                true
            }
            _ => false,
        }
    }
}
