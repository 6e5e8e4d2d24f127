//! Where an output file that the user names really is: links are followed, but a repository that the run works on
//! must not lead the output out of itself.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::exit::Exit;
use super::failure::{Failure, OrFail as _, Result};

/// Where an output goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A regular file that is there or will be, with all links followed.
    File(PathBuf),
    /// A device, FIFO or descriptor: opened and written, never replaced.
    Stream,
}

impl Place {
    /// Finds the place. A symlink that lies beneath `root` and leads out of it is refused.
    ///
    /// # Errors
    /// There can be no file of that name.
    pub fn resolve(name: &Path, root: Option<&Path>) -> Result<Self> {
        let fail = || name.display().to_string();
        if let Ok(metadata) = fs::metadata(name) {
            let kind = metadata.file_type();
            if kind.is_dir() {
                return Err(Failure::new(Exit::CannotCreate, format!("{}: is a directory", name.display())));
            }
            if !kind.is_file() || is_descriptor(name) {
                return Ok(Self::Stream);
            }
        }
        let target = follow(name).or_fail(Exit::CannotCreate, fail)?;
        let leads_to = directory(&target).canonicalize().or_fail(Exit::CannotCreate, fail)?;
        let lies_in = directory(name).canonicalize().or_fail(Exit::CannotCreate, fail)?;
        if let Some(root) = root
            && lies_in.starts_with(root)
            && !leads_to.starts_with(root)
        {
            let message = format!("{}: the link leads out of {}", name.display(), root.display());
            return Err(Failure::new(Exit::CannotCreate, message));
        }
        Ok(Self::File(leads_to.join(target.file_name().unwrap_or_default())))
    }
}

/// The directory that a path lies in.
#[must_use]
pub fn directory(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn is_descriptor(path: &Path) -> bool {
    let standard = matches!(path.to_str(), Some("/dev/stdout" | "/dev/stderr"));
    standard || path.starts_with("/dev/fd") || path.starts_with("/proc/self/fd")
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
