//! Where an output file that the user names really is: links are followed, but a repository that the run works on
//! must not lead the output out of itself.

use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};

use super::env;
use super::exit::Exit;
use super::failure::{Failure, OrFail as _, Result};

/// Where an output goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A regular file that is there or will be, with all links followed.
    File(PathBuf),
    /// An open descriptor of this process.
    Descriptor(i32),
    /// A device, FIFO or socket: opened and written, never replaced.
    Stream,
}

impl Place {
    /// Finds the place. A path beneath `root` that links lead out of it is refused.
    ///
    /// # Errors
    /// There can be no file of that name.
    pub fn resolve(name: &Path, root: Option<&Path>) -> Result<Self> {
        let fail = || name.display().to_string();
        let refuse = |why: &str| Err(Failure::new(Exit::CannotCreate, format!("{}: {why}", name.display())));
        if let Some(number) = descriptor(name) {
            return Ok(Self::Descriptor(number));
        }
        if let Ok(metadata) = fs::metadata(name) {
            if metadata.is_dir() {
                return refuse("is a directory");
            }
            if !metadata.is_file() {
                return Ok(Self::Stream);
            }
        }
        let target = follow(name).or_fail(Exit::CannotCreate, fail)?;
        let Some(file_name) = target.file_name().filter(|_| !name.as_os_str().as_encoded_bytes().ends_with(b"/"))
        else {
            return refuse("not a file's name");
        };
        let leads_to = directory(&target).canonicalize().or_fail(Exit::CannotCreate, fail)?;
        if let Some(root) = root
            && lexical(name).starts_with(root)
            && !leads_to.starts_with(root)
        {
            return refuse(&format!("a link leads out of {}", root.display()));
        }
        Ok(Self::File(leads_to.join(file_name)))
    }
}

/// The absolute path as it is written, links not followed.
fn lexical(name: &Path) -> PathBuf {
    let mut path = env::current_dir().and_then(|dir| dir.canonicalize().ok()).unwrap_or_default();
    for part in name.components() {
        match part {
            Component::ParentDir => {
                path.pop();
            }
            Component::CurDir => {}
            part => path.push(part),
        }
    }
    path
}

/// The directory that a path lies in.
#[must_use]
pub fn directory(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// The number of an open descriptor that a path stands for.
fn descriptor(path: &Path) -> Option<i32> {
    match path.to_str()? {
        "/dev/stdin" => Some(0),
        "/dev/stdout" => Some(1),
        "/dev/stderr" => Some(2),
        path => path.strip_prefix("/dev/fd/").or_else(|| path.strip_prefix("/proc/self/fd/"))?.parse().ok(),
    }
    .filter(|number| *number >= 0)
}

/// Follows links, also one whose target does not exist yet.
fn follow(name: &Path) -> io::Result<PathBuf> {
    let mut path = name.to_owned();
    for _ in 0..40 {
        match fs::read_link(&path) {
            Ok(target) => path = directory(&path).join(target),
            Err(_) => return Ok(path),
        }
    }
    Err(io::Error::other("too many links"))
}
