//! Places outside the root that the command line permits to read, each beneath a descriptor of its own, by the same
//! rule as the root: no link and no `..` leads out of one. A path there is absolute, so it is always told from one
//! beneath the root, and nothing is ever changed through it.

use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use super::{Fault, Workspace};

/// A directory, or one file in it.
#[derive(Debug)]
pub(super) struct Place {
    directory: OwnedFd,
    /// The directory's own path, absolute and without links.
    path: PathBuf,
    /// The one file that is meant.
    file: Option<PathBuf>,
}

impl Place {
    /// Opens a place by its absolute path without links.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let is_file = !path.symlink_metadata()?.is_dir();
        let directory = if is_file { path.parent().unwrap_or(path) } else { path };
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = rustix::fs::open(directory, flags, Mode::empty())?;
        Ok(Self { directory: fd, path: directory.to_owned(), file: is_file.then(|| path.to_owned()) })
    }

    fn holds(&self, path: &Path) -> bool {
        self.file.as_ref().map_or_else(|| path.starts_with(&self.path), |file| file == path)
    }
}

impl Workspace {
    /// The directory beneath which a path without links lies, and the rest of the path.
    pub(super) fn base<'a>(&'a self, path: &'a Path) -> Result<(BorrowedFd<'a>, &'a Path), Fault> {
        let (directory, rest) = if path.is_absolute() {
            let place = self.places.iter().find(|place| place.holds(path)).ok_or(Errno::XDEV)?;
            (&place.directory, path.strip_prefix(&place.path).map_err(|_| Errno::XDEV)?)
        } else {
            (&self.root, path)
        };
        Ok((directory.as_fd(), if rest.as_os_str().is_empty() { Path::new(".") } else { rest }))
    }

    /// How much of a path is the place itself, which `..` does not leave; nothing for the root.
    pub(super) fn foot(&self, path: &Path) -> PathBuf {
        let place = self.places.iter().find(|place| path.is_absolute() && path.starts_with(&place.path));
        place.map(|place| place.path.clone()).unwrap_or_default()
    }

    /// Whether a path outside the root lies, by its text, in a place that may be read.
    pub(super) fn is_in_place(&self, path: &Path) -> bool {
        self.places.iter().any(|place| path.starts_with(&place.path))
    }
}
