//! The places outside the root that programs read from: those that the user names and those that programs need. Only
//! real paths are opened and closed: by way of a link a secret would have a second name, which nothing closes.

use std::path::{Path, PathBuf};

use super::toolchains::{Needed, Reach};
use super::{Environment, STRIDE};
use crate::base::stop::Stopper;
use crate::sandbox;
use crate::tools::Policy;

/// What has to be readable for programs that are none of the system's.
#[derive(Debug, Default)]
pub(super) struct Needs {
    /// Where programs were installed with all that belongs to them.
    pub(super) prefixes: Vec<PathBuf>,
    /// The programs themselves.
    pub(super) files: Vec<PathBuf>,
    /// Links by which they are found.
    pub(super) links: Vec<PathBuf>,
}

impl Needs {
    /// What these programs need, and the programs in these directories.
    pub(super) fn of(files: &[PathBuf], directories: &[PathBuf], environment: &Environment, root: &Path) -> Self {
        let mut needs = Self::default();
        for file in files {
            let real = real(file);
            for path in [file, &real] {
                needs.add_prefix(path, environment, root);
            }
            if real != *file && is_elsewhere(file, root) {
                add(&mut needs.links, file.clone());
            }
            if is_elsewhere(&real, root) {
                add(&mut needs.files, real);
            }
        }
        for directory in directories {
            for path in [directory, &real(directory)] {
                needs.add_prefix(&path.join("sh"), environment, root);
            }
        }
        needs
    }

    /// Adds the directory that a program was installed to, if its name says so and the directory may be opened.
    fn add_prefix(&mut self, file: &Path, environment: &Environment, root: &Path) {
        let Some(named) = file.parent().filter(|bin| bin.ends_with("bin")).and_then(Path::parent) else { return };
        let prefix = real(named);
        let is_closed = environment.is_in_home(&prefix) || environment.holds_home(&prefix) || root.starts_with(&prefix);
        if is_closed || prefix.parent().is_none() || !prefix.is_dir() || !is_elsewhere(&prefix, root) {
            return;
        }
        if prefix != named {
            add(&mut self.links, named.to_owned());
        }
        add(&mut self.prefixes, prefix);
    }
}

/// The places that are opened, and what is found in them that stays closed.
pub(super) struct Opened<'a> {
    policy: &'a Policy,
    stop: &'a Stopper,
    /// Names that may still be looked at.
    left: usize,
    readable: Vec<PathBuf>,
    unreadable: Vec<PathBuf>,
}

impl<'a> Opened<'a> {
    /// None yet, and no more than `most` names will be looked at, nor any once `stop` ends the run.
    pub(super) fn new(policy: &'a Policy, most: usize, stop: &'a Stopper) -> Self {
        Self { policy, stop, left: most, readable: Vec::new(), unreadable: Vec::new() }
    }

    /// Opens a place less what is named as secrets are. Returns false, and opens nothing, if it holds too much.
    pub(super) fn open(&mut self, place: &Path) -> bool {
        let known = self.unreadable.len();
        if !self.holds(place) && !self.close_secrets(place) {
            self.unreadable.truncate(known);
            return false;
        }
        add(&mut self.readable, place.to_owned());
        true
    }

    /// Opens a file, which is no more than one name.
    pub(super) fn open_file(&mut self, file: &Path) {
        if self.holds(file) {
            return;
        }
        if self.is_closed(file, file.is_file()) {
            self.unreadable.push(file.to_owned());
        }
        self.readable.push(file.to_owned());
    }

    /// Opens what programs need. Returns a line about each place that holds too much.
    pub(super) fn open_needed(&mut self, needs: &Needs, toolchains: &[Needed]) -> Vec<String> {
        let searched = toolchains.iter().filter(|toolchain| toolchain.reach == Reach::Searched);
        let mut places: Vec<&PathBuf> = searched.map(|toolchain| &toolchain.directory).chain(&needs.prefixes).collect();
        // In order a directory stands before all that is in it.
        places.sort();
        let refused: Vec<String> =
            places.into_iter().filter(|place| !self.open(place)).map(|place| too_large(place)).collect();
        needs.files.iter().for_each(|file| self.open_file(file));
        refused
    }

    /// What is open and what is closed in it, toolchains that are opened whole included.
    pub(super) fn finish(self, toolchains: &[Needed]) -> (Vec<PathBuf>, Vec<PathBuf>) {
        let Self { policy, mut readable, mut unreadable, .. } = self;
        unreadable.extend(policy.denied_places().iter().filter(|place| place.exists()).cloned());
        // Not searched: a toolchain is large, and what is secret in it is known.
        for toolchain in toolchains.iter().filter(|toolchain| toolchain.reach == Reach::Whole) {
            readable.push(toolchain.directory.clone());
            unreadable.extend(toolchain.closed.iter().cloned());
        }
        unreadable.sort();
        unreadable.dedup();
        (readable, unreadable)
    }

    fn holds(&self, path: &Path) -> bool {
        self.readable.iter().any(|place| path.starts_with(place))
    }

    fn is_closed(&self, path: &Path, is_file: bool) -> bool {
        self.policy.check_read(path).is_err() && (is_file || self.policy.is_denied_outside(path))
    }

    /// Looks at names alone: nothing but directories is opened.
    fn close_secrets(&mut self, place: &Path) -> bool {
        let Ok(metadata) = place.symlink_metadata() else { return true };
        let mut pending = vec![(place.to_owned(), metadata.file_type())];
        while let Some((path, kind)) = pending.pop() {
            let rest = self.left.checked_sub(1).filter(|rest| rest % STRIDE != 0 || self.stop.stopped().is_none());
            let Some(rest) = rest else { return false };
            self.left = rest;
            if self.is_closed(&path, kind.is_file()) {
                self.unreadable.push(path);
                continue;
            }
            if !kind.is_dir() || self.readable.contains(&path) {
                continue;
            }
            let Ok(entries) = path.read_dir() else { continue };
            let kinds = entries.flatten().filter_map(|entry| Some((entry.path(), entry.file_type().ok()?)));
            pending.extend(kinds.filter(|(_, kind)| !kind.is_symlink()));
        }
        true
    }
}

/// Says that programs do without a place that the user did not name, and what can be done about it.
fn too_large(place: &Path) -> String {
    let place = place.display();
    format!(
        "{place} holds too many files to look for secrets among them, so programs read their own files alone there: \
         --allow read:PATH opens a smaller place in it, and --sandbox off keeps nothing from them"
    )
}

/// Whether it has to be opened: the system's own places and the root are anyway.
pub(super) fn is_elsewhere(path: &Path, root: &Path) -> bool {
    let is_system = sandbox::PROGRAMS.iter().chain([&sandbox::PUBLIC]).any(|place| path.starts_with(place));
    !is_system && !path.starts_with(root)
}

fn real(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_owned())
}

fn add(places: &mut Vec<PathBuf>, place: PathBuf) {
    if !places.contains(&place) {
        places.push(place);
    }
}
