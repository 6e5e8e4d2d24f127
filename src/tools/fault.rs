//! Why something beneath the root cannot be opened, and how the model is told. It opens nothing itself.

use std::io;
use std::path::{Path, PathBuf};

use rustix::io::Errno;

use super::policy::Withheld;
use super::{Refusal, paths, policy};

/// Why something cannot be opened, before it is put into words.
#[derive(Debug)]
pub(super) enum Fault {
    /// What the kernel says.
    Errno(Errno),
    /// A pipe, socket or device.
    NotAFile,
    /// On procfs, sysfs or the like.
    KernelFiles,
    /// More links than anybody means.
    LinkLoop,
    /// This true name may not be read in this run.
    Withheld(PathBuf, Withheld),
}

impl From<Errno> for Fault {
    fn from(errno: Errno) -> Self {
        Self::Errno(errno)
    }
}

impl Fault {
    /// The words for it; `path` is relative to the root, as the model gave it.
    pub(super) fn about(&self, path: &Path) -> Refusal {
        let (code, reason) = match self {
            Self::Withheld(real, Withheld::Secret) => return paths::secret(path, real),
            Self::Withheld(real, Withheld::Denied(text)) => return policy::denied(real, text),
            Self::Errno(Errno::XDEV) => return paths::outside(path),
            Self::NotAFile => ("not_a_file", " is a pipe, a socket, a device or the like"),
            Self::KernelFiles => ("not_a_file", " belongs to the kernel, as what is in /proc"),
            Self::LinkLoop => ("link_loop", " is a loop of symbolic links"),
            Self::Errno(Errno::NOENT) => ("not_found", " does not exist"),
            Self::Errno(Errno::ACCESS | Errno::PERM) => ("unreadable", " may not be read by this user"),
            Self::Errno(Errno::NOTDIR) => ("not_a_directory", ": a part of this path is a file, not a directory"),
            Self::Errno(Errno::NAMETOOLONG) => ("bad_path", " is too long for a path"),
            Self::Errno(Errno::AGAIN) => ("unreadable", " is being changed all the time; try again"),
            Self::Errno(errno) => {
                let reason = io::Error::from(*errno);
                return Refusal::new("unreadable", format!("{} cannot be opened: {reason}", paths::shown(path)));
            }
        };
        Refusal::new(code, format!("{}{reason}", paths::shown(path)))
    }

    /// The words for a change that was not made; `path` is relative to the root.
    pub(super) fn about_change(&self, path: &Path) -> Refusal {
        let (code, reason) = match self {
            Self::Errno(Errno::LOOP) => {
                ("symbolic_link", " leads through a symbolic link, and nothing is changed through one; name the file")
            }
            Self::Errno(Errno::ISDIR) => ("is_a_directory", " is a directory; only files can be changed"),
            Self::Errno(Errno::ACCESS | Errno::PERM) => ("unwritable", " may not be changed by this user"),
            Self::Errno(Errno::ROFS) => ("unwritable", " is on a file system that can only be read"),
            Self::Errno(Errno::NOSPC | Errno::DQUOT) => ("no_space", ": the disk is full; nothing was changed"),
            Self::Errno(Errno::EXIST) => ("exists", " exists already and is not overwritten"),
            Self::Errno(Errno::AGAIN | Errno::XDEV | Errno::NOENT | Errno::NOTDIR | Errno::NAMETOOLONG) => {
                return self.about(path);
            }
            Self::Errno(errno) => {
                let reason = io::Error::from(*errno);
                return Refusal::new("unwritable", format!("{} cannot be changed: {reason}", paths::shown(path)));
            }
            _ => return self.about(path),
        };
        Refusal::new(code, format!("{}{reason}", paths::shown(path)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::ToolResult;

    #[test]
    fn every_fault_has_its_code_and_its_words() {
        let cases = [
            (Fault::NotAFile, "not_a_file: a/b is a pipe, a socket, a device or the like"),
            (Fault::KernelFiles, "not_a_file: a/b belongs to the kernel, as what is in /proc"),
            (Fault::LinkLoop, "link_loop: a/b is a loop of symbolic links"),
            (Errno::NOENT.into(), "not_found: a/b does not exist"),
            (Errno::ACCESS.into(), "unreadable: a/b may not be read by this user"),
            (Errno::PERM.into(), "unreadable: a/b may not be read by this user"),
            (Errno::NOTDIR.into(), "not_a_directory: a/b: a part of this path is a file, not a directory"),
            (Errno::NAMETOOLONG.into(), "bad_path: a/b is too long for a path"),
            (Errno::XDEV.into(), "outside_root: a/b is outside the root; give a path beneath it"),
            (Errno::AGAIN.into(), "unreadable: a/b is being changed all the time; try again"),
            (Errno::IO.into(), "unreadable: a/b cannot be opened: Input/output error (os error 5)"),
            (
                Fault::Withheld("c/it's.pem".into(), Withheld::Secret),
                "denied: a/b leads to c/it's.pem; c/it's.pem is named as secrets usually are; \
                 the user may grant --allow 'read:c/it'\\''s.pem'",
            ),
        ];
        for (fault, text) in cases {
            assert_eq!(ToolResult::from(fault.about(Path::new("a/b"))).text, text);
        }
    }

    #[test]
    fn a_grant_is_named_whole_however_long_its_path_is() {
        let long: PathBuf = ["directory"; 40].iter().collect();
        let refusal = Fault::Withheld(long.join(".env"), Withheld::Secret).about(&long.join(".env"));
        let Refusal::Denied { message: text, .. } = refusal else { panic!("{refusal:?}") };
        assert!(text.ends_with(&format!("'read:{}/.env'", long.display())), "{text}");
    }
}
