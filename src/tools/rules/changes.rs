//! The places beneath the root that programs may change. A denial that the sandbox cannot be told closes all of them.

use std::path::{Path, PathBuf};

use super::super::Policy;
use super::super::policy::Extent;

/// What programs may change and what not, relative to the root.
#[derive(Debug, Default)]
pub(super) struct Changes {
    pub(super) writable: Vec<PathBuf>,
    /// What is denied within them, or around them.
    pub(super) forbidden: Vec<PathBuf>,
    /// Where that is less than the user may think.
    pub(super) note: Option<String>,
}

impl Changes {
    pub(super) fn of(policy: &Policy, root: &Path) -> Self {
        let mut changes = Self { writable: writable(policy, root), ..Self::default() };
        for (extent, text) in policy.unwritable().into_iter().filter(|_| !changes.writable.is_empty()) {
            match place(&extent, root) {
                Some(path) if root.join(&path).exists() => changes.forbidden.push(path),
                Some(path) if !changes.writable.iter().any(|place| path.starts_with(place)) => {}
                _ => {
                    let note = format!("--deny '{text}' cannot be told to programs, so they can change nothing");
                    return Self { note: Some(note), ..Self::default() };
                }
            }
        }
        let forbidden = std::mem::take(&mut changes.forbidden);
        changes.forbidden = forbidden.into_iter().filter(|path| changes.touch(path)).collect();
        changes
    }

    /// Whether something that may be changed is in a place, or around it.
    pub(super) fn touch(&self, path: &Path) -> bool {
        self.writable.iter().any(|place| path.starts_with(place) || place.starts_with(path))
    }
}

/// The places that programs may change, relative to the root. A grant that names none is for flux's own tools alone.
fn writable(policy: &Policy, root: &Path) -> Vec<PathBuf> {
    let is_granted = |extent: &Extent| match extent {
        Extent::Exactly(path) => root.join(path).is_file() && policy.check_change(path).is_ok(),
        Extent::Beneath(path) => root.join(path).is_dir(),
        Extent::Everything => true,
        Extent::Scattered => false,
    };
    let granted = policy.writable();
    let places = granted.iter().filter(|extent| is_granted(extent)).filter_map(|extent| place(extent, root));
    let mut places: Vec<PathBuf> = places.collect();
    places.sort();
    // In order a directory stands before all that is in it.
    places.dedup_by(|inner, outer| inner.starts_with(&*outer));
    places
}

/// The place that an extent names, if no link is on the way there.
fn place(extent: &Extent, root: &Path) -> Option<PathBuf> {
    let path = match extent {
        Extent::Everything => return Some(PathBuf::new()),
        Extent::Beneath(path) | Extent::Exactly(path) => path,
        Extent::Scattered => return None,
    };
    let full = root.join(path);
    let is_plain = full.canonicalize().map_or_else(|_| full.symlink_metadata().is_err(), |real| real == full);
    is_plain.then(|| path.clone())
}
