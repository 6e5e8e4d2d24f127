//! Whom the program under test runs as. What holds for root need not hold for others, and the other way round.

use std::fs;
use std::os::unix::fs::{MetadataExt, lchown};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

/// The user and the group that own nothing.
const NOBODY: u32 = 65534;

/// A user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum User {
    /// The one who runs the tests.
    Own,
    /// One who owns nothing; only root can become this one.
    Nobody,
}

impl User {
    /// Those that the tests can run the program as.
    pub fn all() -> &'static [User] {
        if rustix::process::getuid().is_root() { &[User::Own, User::Nobody] } else { &[User::Own] }
    }

    /// The name in tables.
    pub fn name(self) -> &'static str {
        match self {
            User::Own if rustix::process::getuid().is_root() => "root",
            User::Own => "user",
            User::Nobody => "nobody",
        }
    }

    /// Gives this user a directory and all that is in it.
    pub fn owns(self, path: &Path) {
        if self == User::Own {
            return;
        }
        let Ok(metadata) = path.symlink_metadata() else { return };
        if metadata.uid() != NOBODY {
            lchown(path, Some(NOBODY), Some(NOBODY)).expect("chown");
        }
        if metadata.is_dir() {
            fs::read_dir(path).expect("a directory").flatten().for_each(|entry| self.owns(&entry.path()));
        }
    }

    /// Has a command run as this user.
    pub fn becomes(self, command: &mut Command) {
        if self == User::Nobody {
            command.uid(NOBODY).gid(NOBODY);
        }
    }
}
