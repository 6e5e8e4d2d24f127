//! Goes through everything beneath the root, ignored or not, for the names about which programs must be told: what
//! stays read-only and what they cannot read. Links are not followed.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};

use super::{Kind, Workspace};
use crate::base::stop::Stopper;
use crate::tools::policy::Withheld;
use crate::tools::protected;

/// What was found, by paths relative to the root.
#[derive(Debug, Default)]
pub(in crate::tools) struct Survey {
    /// Files and directories of protected names that no grant of their own unlocks; nothing in them is named again.
    pub(in crate::tools) protected: Vec<PathBuf>,
    /// Files and directories that may not be read.
    pub(in crate::tools) hidden: Vec<PathBuf>,
    /// There is more than was looked at.
    pub(in crate::tools) is_cut: bool,
}

/// Bytes of a file that says where a repository is.
const POINTER_LIMIT: u64 = 4096;

impl Workspace {
    /// Looks at no more than `limit` names, and no longer than the run lasts.
    pub(in crate::tools) fn survey(&self, limit: usize, stop: &Stopper) -> Survey {
        let mut survey = Survey::default();
        let mut pending = VecDeque::from([(PathBuf::new(), false)]);
        let mut left = limit;
        while let Some((directory, is_inside)) = pending.pop_front() {
            if stop.stopped().is_some() {
                survey.is_cut = true;
                return survey;
            }
            let Ok(entries) = self.open_directory(&directory).and_then(|opened| opened.entries()) else { continue };
            for entry in entries {
                if left == 0 {
                    survey.is_cut = true;
                    return survey;
                }
                left -= 1;
                let path = directory.join(&entry.name);
                let is_protected = is_inside || self.is_protected(&path);
                if is_protected && !is_inside && matches!(entry.kind, Kind::File | Kind::Directory) {
                    survey.protected.extend(self.repositories(&path, entry.kind));
                    survey.protected.push(path.clone());
                }
                match entry.kind {
                    Kind::File if self.check_read(&path).is_err() => survey.hidden.push(path),
                    Kind::Directory if matches!(self.check_read(&path), Err(Withheld::Denied(_))) => {
                        survey.hidden.push(path);
                    }
                    // What git calls its objects is no name that anybody gave.
                    Kind::Directory if !path.ends_with(".git/objects") => pending.push_back((path, is_protected)),
                    _ => {}
                }
            }
        }
        survey
    }

    fn is_protected(&self, path: &Path) -> bool {
        !protected::names(path).is_empty() && !self.policy.unlocks(path)
    }

    /// The directories of git's own beneath the root to which a `.git` file leads.
    fn repositories(&self, path: &Path, kind: Kind) -> Vec<PathBuf> {
        if kind != Kind::File || path.file_name().is_none_or(|name| name != ".git") {
            return Vec::new();
        }
        let Some(directory) = path.parent().and_then(|parent| self.pointer(path, parent, "gitdir:")) else {
            return Vec::new();
        };
        let common = self.pointer(&directory.join("commondir"), &directory, "");
        std::iter::once(directory).chain(common).collect()
    }

    /// The directory beneath the root that a file names, after these words.
    fn pointer(&self, file: &Path, from: &Path, words: &str) -> Option<PathBuf> {
        let content = String::from_utf8(self.head_of(file, POINTER_LIMIT)).ok()?;
        let target = self.path().join(from).join(content.strip_prefix(words)?.trim()).canonicalize().ok()?;
        let beneath = target.strip_prefix(self.path()).ok()?;
        (!beneath.as_os_str().is_empty()).then(|| beneath.to_owned())
    }
}
