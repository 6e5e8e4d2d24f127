//! The answer in a file: written beside it and renamed on success, so that a failure leaves the old file whole.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use crate::base::exit::Exit;
use crate::base::failure::{Failure, OrFail as _, Result};
use crate::base::place::{Place, directory};
use crate::base::stdio;

/// The value of `-o`.
#[derive(Debug)]
pub struct AnswerFile {
    /// As the user named it.
    name: PathBuf,
    sink: Sink,
    /// What the file holds stays, below the answer.
    prepends: bool,
}

#[derive(Debug)]
enum Sink {
    /// Replaced on success.
    File(PathBuf),
    /// Open already.
    Open(File),
    /// Opened when there is something to write, since opening it waits for a reader.
    Fifo,
}

impl AnswerFile {
    /// Finds out where the answer will go, so that a place that cannot be written is known before anything is spent.
    /// A path beneath `root` that links lead out of it is refused: a repository may have planted them.
    ///
    /// # Errors
    /// Nothing can be created there.
    pub fn prepare(name: &Path, root: Option<&Path>) -> Result<Self> {
        let fail = || name.display().to_string();
        let is_fifo = fs::metadata(name).is_ok_and(|metadata| metadata.file_type().is_fifo());
        let sink = match Place::resolve(name, root)? {
            Place::Stream if is_fifo => Sink::Fifo,
            Place::Stream => Sink::Open(open(name).or_fail(Exit::CannotCreate, fail)?),
            Place::Descriptor(number) => Sink::Open(stdio::duplicate(number).or_fail(Exit::CannotCreate, fail)?),
            Place::File(path) => {
                // Permissions do not tell all: a file is made there and removed.
                temporary(&path).map_err(plain).or_fail(Exit::CannotCreate, fail)?;
                Sink::File(path)
            }
        };
        Ok(Self { name: name.to_owned(), sink, prepends: false })
    }

    /// Keeps what the file holds below the answer.
    ///
    /// # Errors
    /// It is no regular file, or cannot be read.
    pub fn prepending(mut self) -> Result<Self> {
        let name = self.name.display().to_string();
        let Sink::File(path) = &self.sink else {
            return Err(Failure::new(Exit::CannotCreate, format!("{name}: --prepend-to takes a regular file")));
        };
        content(path).or_fail(Exit::CannotCreate, || name)?;
        self.prepends = true;
        Ok(self)
    }

    /// The file that will be replaced.
    #[must_use]
    pub fn replaces(&self) -> Option<&Path> {
        if let Sink::File(path) = &self.sink { Some(path) } else { None }
    }

    /// What has still to be opened when the answer is written: the directory of the file that is replaced, or a FIFO.
    #[must_use]
    pub fn still_opens(&self) -> Option<&Path> {
        match &self.sink {
            Sink::File(path) => Some(directory(path)),
            Sink::Open(_) => None,
            Sink::Fifo => Some(&self.name),
        }
    }

    /// Writes the answer.
    ///
    /// # Errors
    /// It cannot be written; the old file is as it was.
    pub fn write(&self, text: &str) -> Result<()> {
        let result = match &self.sink {
            Sink::File(path) if self.prepends => {
                content(path).and_then(|old| replace(path, &[text.as_bytes(), &old].concat()).map_err(plain))
            }
            Sink::File(path) => replace(path, text.as_bytes()).map_err(plain),
            Sink::Open(file) => stdio::write_all(file, text.as_bytes()),
            Sink::Fifo => open(&self.name).and_then(|file| stdio::write_all(file, text.as_bytes())),
        };
        result.or_fail(Exit::Io, || self.name.display().to_string())
    }
}

/// What a file holds; nothing where there is none.
fn content(path: &Path) -> io::Result<Vec<u8>> {
    match fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        content => content,
    }
}

fn open(name: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).open(name)
}

/// The reason without the name of the temporary file, which says nothing to the user.
fn plain(error: io::Error) -> io::Error {
    match error.get_ref().and_then(|inner| inner.source()) {
        Some(source) => io::Error::other(source.to_string()),
        None => error,
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
