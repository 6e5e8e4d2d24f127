//! The answer in a file: written beside it and renamed on success, so that a failure leaves the old file whole.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write as _};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _, fchown};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::base::clock;
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
    /// What the file holds stays, below the answer. Runs that do this in one directory do it one after another: its
    /// lock outlives the file, which is replaced.
    prepends: Option<File>,
}

/// How long a run waits for others that write to the same directory.
const PATIENCE: Duration = Duration::from_secs(10);

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
                is_writable(&path).or_fail(Exit::CannotCreate, fail)?;
                // Permissions do not tell all: a file is made there and removed.
                temporary(&path).map_err(plain).or_fail(Exit::CannotCreate, fail)?;
                Sink::File(path)
            }
        };
        Ok(Self { name: name.to_owned(), sink, prepends: None })
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
        let lock = content(path).and_then(|_| File::open(directory(path)));
        self.prepends = Some(lock.or_fail(Exit::CannotCreate, || name)?);
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
        let result = match (&self.sink, &self.prepends) {
            (Sink::File(path), Some(directory)) => prepend(path, text, directory),
            (Sink::File(path), None) => replace(path, text.as_bytes()).map_err(plain),
            (Sink::Open(file), _) => stdio::write_all(file, text.as_bytes()),
            (Sink::Fifo, _) => open(&self.name).and_then(|file| stdio::write_all(file, text.as_bytes())),
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

/// Fails for an existing file that is closed to this user: replacing it would go around that.
fn is_writable(path: &Path) -> io::Result<()> {
    match open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        opened => opened.map(drop),
    }
}

/// Puts a text above what the file holds, while no other run does that in the same directory.
fn prepend(path: &Path, text: &str, directory: &File) -> io::Result<()> {
    let start = clock::now();
    // Where there are no locks there is nothing to wait for.
    while let Err(TryLockError::WouldBlock) = directory.try_lock() {
        if start.elapsed() >= PATIENCE {
            return Err(io::Error::new(io::ErrorKind::TimedOut, "its directory is locked by another program"));
        }
        clock::pause(Duration::from_millis(5));
    }
    let outcome = content(path).and_then(|old| replace(path, &[text.as_bytes(), &old].concat()).map_err(plain));
    let _ = directory.unlock();
    outcome
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
    let old = fs::metadata(path).ok();
    let mut file = temporary(path)?;
    file.write_all(bytes)?;
    if let Some(old) = old {
        // Only root can give a file back to its owner. Set-id bits were for what the file held.
        let _ = fchown(file.as_file(), Some(old.uid()), Some(old.gid()));
        file.as_file().set_permissions(fs::Permissions::from_mode(old.mode() & 0o777))?;
    }
    file.as_file().sync_all()?;
    file.persist(path)?;
    Ok(())
}
