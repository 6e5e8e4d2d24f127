//! The user's own files. Those that give rights or keys away are read only if nobody else could have written them.

use std::fs::{File, Metadata};
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use super::exit::Exit;
use super::failure::{Failure, OrFail as _, Result};

/// Reads a configuration or key file, at most `limit` bytes; `None` if there is none. The file that is judged is the
/// one that is read. A pipe (`<(pass show …)`) is the user's own.
///
/// # Errors
/// It cannot be read, or others can write it.
pub fn read_trusted(path: &Path, limit: u64) -> Result<Option<Vec<u8>>> {
    let fail = || path.display().to_string();
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file.or_fail(Exit::Config, fail)?,
    };
    if let Some(why) = distrust(&file.metadata().or_fail(Exit::Config, fail)?) {
        return Err(Failure::new(Exit::Config, format!("{}: {why}", path.display())));
    }
    let mut bytes = Vec::new();
    file.take(limit).read_to_end(&mut bytes).or_fail(Exit::Config, fail)?;
    Ok(Some(bytes))
}

/// The same of what must be a regular file: opening a pipe would wait for somebody to write it.
///
/// # Errors
/// It is none, cannot be read, or others can write it.
pub fn read_trusted_file(path: &Path, limit: u64) -> Result<Option<Vec<u8>>> {
    if path.metadata().is_ok_and(|metadata| !metadata.is_file()) {
        return Err(Failure::new(Exit::Config, format!("{}: not a regular file", path.display())));
    }
    read_trusted(path, limit)
}

/// Fails if others could have written this file, which is to be executed.
///
/// # Errors
/// They could, or it cannot be looked at.
pub fn check_trusted(path: &Path) -> Result<()> {
    let metadata = path.metadata().or_fail(Exit::NoInput, || path.display().to_string())?;
    match distrust(&metadata) {
        Some(why) => Err(Failure::new(Exit::Config, format!("{}: {why}", path.display()))),
        None => Ok(()),
    }
}

/// Opens a file that is only data.
///
/// # Errors
/// It is missing or unreadable.
pub fn open(path: &Path) -> Result<File> {
    let fail = || path.display().to_string();
    let file = File::open(path).or_fail(Exit::NoInput, fail)?;
    if file.metadata().or_fail(Exit::NoInput, fail)?.is_dir() {
        return Err(Failure::new(Exit::NoInput, format!("{}: is a directory", path.display())));
    }
    Ok(file)
}

/// Reads a file that is only data, or a pipe that is named like one.
///
/// # Errors
/// It cannot be read, or is longer than `limit`.
pub fn read(path: &Path, limit: u64) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open(path)?.take(limit + 1).read_to_end(&mut bytes).or_fail(Exit::NoInput, || path.display().to_string())?;
    if bytes.len() as u64 > limit {
        return Err(Failure::new(Exit::Data, format!("{}: too large", path.display())));
    }
    Ok(bytes)
}

/// Why a file is not to be trusted.
fn distrust(metadata: &Metadata) -> Option<&'static str> {
    let others = metadata.mode() & 0o002 != 0;
    let group = metadata.mode() & 0o020 != 0 && metadata.gid() != rustix::process::getegid().as_raw();
    let owner = metadata.uid() != rustix::process::geteuid().as_raw() && metadata.uid() != 0;
    match metadata {
        _ if metadata.is_dir() => Some("is a directory"),
        _ if !metadata.is_file() => None,
        _ if others || group => Some("can be written by others: chmod go-w it"),
        _ if owner => Some("belongs to another user"),
        _ => None,
    }
}
