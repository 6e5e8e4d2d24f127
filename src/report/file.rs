//! The answer in a file: written beside it and renamed on success, so that a failure leaves the old file whole.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use crate::base::exit::Exit;
use crate::base::failure::{OrFail as _, Result};
use crate::base::place::{Place, directory};
use crate::base::stdio;

/// The value of `-o`.
#[derive(Debug)]
pub struct AnswerFile {
    /// As the user named it.
    name: PathBuf,
    place: Place,
}

impl AnswerFile {
    /// Finds out where the answer will go, so that a place that cannot be written is known before anything is spent.
    /// A symlink is followed, unless it lies beneath `root` and leads out of it: a repository may have planted it.
    ///
    /// # Errors
    /// Nothing can be created there.
    pub fn prepare(name: &Path, root: Option<&Path>) -> Result<Self> {
        let place = Place::resolve(name, root)?;
        if let Place::File(file) = &place {
            // Permissions do not tell all: a file is made there and removed.
            temporary(file).or_fail(Exit::CannotCreate, || name.display().to_string())?;
        }
        Ok(Self { name: name.to_owned(), place })
    }

    /// Writes the answer.
    ///
    /// # Errors
    /// It cannot be written; the old file is as it was.
    pub fn write(&self, text: &str) -> Result<()> {
        let result = match &self.place {
            Place::File(path) => replace(path, text.as_bytes()),
            Place::Stream => {
                OpenOptions::new().write(true).open(&self.name).and_then(|f| stdio::write_all(f, text.as_bytes()))
            }
        };
        result.or_fail(Exit::Io, || self.name.display().to_string())
    }
}

/// A new file beside `path`, with the mode that the umask gives; it goes away unless it is renamed.
fn temporary(path: &Path) -> io::Result<tempfile::NamedTempFile> {
    let mode = fs::Permissions::from_mode(0o666);
    tempfile::Builder::new().prefix(".flux-").permissions(mode).tempfile_in(directory(path))
}

fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let permissions = fs::metadata(path).map(|m| m.permissions()).ok();
    let mut file = temporary(path)?;
    file.write_all(bytes)?;
    if let Some(permissions) = permissions {
        file.as_file().set_permissions(permissions)?;
    }
    file.as_file().sync_all()?;
    file.persist(path)?;
    Ok(())
}
