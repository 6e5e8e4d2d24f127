//! What this run has read: nothing is written over a file whose content the model has not seen, or not as it is now.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::files::{Original, Version, changed_on_disk};
use super::{Refusal, paths};

/// The files that this run has read or written, by their true paths.
#[derive(Debug, Default)]
pub(super) struct Reads {
    seen: Mutex<HashMap<PathBuf, Seen>>,
}

#[derive(Debug)]
struct Seen {
    version: Version,
    lines: Lines,
}

/// How much of a file is known.
#[derive(Debug)]
enum Lines {
    All,
    /// These ranges, first and last line, in order and apart from each other.
    Some(Vec<(u64, u64)>),
}

impl Reads {
    /// Remembers that these lines were shown; `total` is how many the file has.
    pub(super) fn shown(&self, path: &Path, version: Version, lines: (u64, u64), total: u64) {
        let mut seen = self.lock();
        let known = match seen.remove(path) {
            Some(known) if known.version == version => known.lines,
            _ => Lines::Some(Vec::new()),
        };
        seen.insert(path.to_owned(), Seen { version, lines: known.with(lines, total) });
    }

    /// Remembers a file of which not everything can be shown.
    pub(super) fn shown_in_part(&self, path: &Path, version: Version) {
        // A range that joins no other.
        self.shown(path, version, (u64::MAX, u64::MAX), u64::MAX - 1);
    }

    /// Remembers what this run has written; all of it is known if all was known before.
    pub(super) fn edited(&self, path: &Path, version: Version) {
        let mut seen = self.lock();
        let lines = match seen.remove(path) {
            Some(Seen { lines: Lines::All, .. }) => Lines::All,
            // The lines have moved, so which of them are known is not.
            _ => Lines::Some(Vec::new()),
        };
        seen.insert(path.to_owned(), Seen { version, lines });
    }

    /// Remembers a file of which this run has written every byte.
    pub(super) fn written(&self, path: &Path, version: Version) {
        self.lock().insert(path.to_owned(), Seen { version, lines: Lines::All });
    }

    /// A file has another path now; without one it is gone.
    pub(super) fn moved(&self, from: &Path, to: Option<&Path>) {
        let mut seen = self.lock();
        let known = seen.remove(from);
        if let (Some(known), Some(to)) = (known, to) {
            seen.insert(to.to_owned(), known);
        }
    }

    /// Fails unless some of the file has been read and it is as it was then.
    pub(super) fn check_edit(&self, original: &Original) -> Result<(), Refusal> {
        match self.lock().get(&original.path) {
            None => Err(not_read(&original.path, "has not been read in this run; read it first with read_files")),
            Some(seen) if seen.version != original.version => Err(changed_on_disk(&original.path)),
            Some(_) => Ok(()),
        }
    }

    /// Fails unless all of the file has been read and it is as it was then.
    pub(super) fn check_overwrite(&self, original: &Original) -> Result<(), Refusal> {
        match self.lock().get(&original.path) {
            None => {
                let why = "exists and has not been read in this run; read all of it first with read_files";
                Err(not_read(&original.path, why))
            }
            Some(seen) if seen.version != original.version => Err(changed_on_disk(&original.path)),
            Some(Seen { lines: Lines::Some(_), .. }) => {
                let why = "has been read only in part; read all of it first with read_files, or use edit_file";
                Err(not_read(&original.path, why))
            }
            Some(_) => Ok(()),
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<PathBuf, Seen>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lines {
    fn with(self, new: (u64, u64), total: u64) -> Self {
        let Self::Some(mut ranges) = self else { return Self::All };
        ranges.push(new);
        ranges.sort_unstable();
        let mut joined: Vec<(u64, u64)> = Vec::with_capacity(ranges.len());
        for (first, last) in ranges {
            match joined.last_mut() {
                Some(before) if first <= before.1.saturating_add(1) => before.1 = before.1.max(last),
                _ => joined.push((first, last)),
            }
        }
        match joined.first() {
            Some((..=1, last)) if *last >= total => Self::All,
            _ => Self::Some(joined),
        }
    }
}

fn not_read(path: &Path, why: &str) -> Refusal {
    Refusal::new("not_read", format!("{} {why}", paths::shown(path)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_that_cover_a_file_are_all_of_it() {
        let with = |ranges: &[(u64, u64)], total| {
            let lines = ranges.iter().fold(Lines::Some(Vec::new()), |lines, range| lines.with(*range, total));
            matches!(lines, Lines::All)
        };
        assert!(with(&[(1, 9)], 9) && with(&[(5, 9), (1, 4)], 9) && with(&[(1, 6), (4, 9)], 9) && with(&[(1, 0)], 0));
        assert!(!with(&[(2, 9)], 9) && !with(&[(1, 8)], 9) && !with(&[(1, 3), (5, 9)], 9));
        assert!(!with(&[(u64::MAX, u64::MAX)], u64::MAX - 1) && !with(&[(1, 5), (u64::MAX, u64::MAX)], u64::MAX - 1));
    }
}
