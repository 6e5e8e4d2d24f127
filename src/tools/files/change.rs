//! Changes of files beneath the root: through no link, all or nothing, never over what was not meant, and only where
//! the policy of this run permits them.

use std::ffi::OsStr;
use std::fs::{File, Metadata};
use std::io::Read as _;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, mkdirat, openat2, statat, unlinkat};
use rustix::io::Errno;
use sha2::{Digest as _, Sha256};

use super::temp::{Temp, rename_new};
use super::{BENEATH, CAREFUL, OpenDirectory, Workspace};
use crate::tools::fault::Fault;
use crate::tools::{Refusal, names, paths, policy};

/// Larger files are not edited or overwritten: their old and new content are in memory together.
pub(in crate::tools) const EDIT_LIMIT: u64 = 16 << 20;

/// What makes a directory one of git's own, wherever it lies and however it is called.
pub(super) const GIT_PARTS: [&str; 3] = ["HEAD", "objects", "refs"];

/// Which file it is, and what is in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::tools) struct Version {
    pub(in crate::tools) device: u64,
    pub(in crate::tools) inode: u64,
    pub(in crate::tools) hash: [u8; 32],
}

/// A file as it was before it is changed.
#[derive(Debug)]
pub(in crate::tools) struct Original {
    pub(in crate::tools) path: PathBuf,
    pub(in crate::tools) content: Vec<u8>,
    pub(in crate::tools) version: Version,
    modified: (i64, i64),
    /// The rights for user, group and others alone: a new content is not to run as somebody else.
    pub(super) mode: u32,
    pub(super) owner: (u32, u32),
}

impl Version {
    /// The version of an open file with this content.
    pub(in crate::tools) fn of(file: &File, hash: [u8; 32]) -> std::io::Result<Self> {
        let metadata = file.metadata()?;
        Ok(Self { device: metadata.dev(), inode: metadata.ino(), hash })
    }
}

impl Workspace {
    /// The path as one relative to the root, without a look at any file; none where it is none beneath the root.
    pub(in crate::tools) fn plain(&self, path: &str) -> Option<PathBuf> {
        self.beneath(OsStr::new(path)).ok()
    }

    /// The file that a call wants to change, if it may: relative to the root, without `.` and `..`.
    pub(in crate::tools) fn target(&self, path: &str) -> Result<PathBuf, Refusal> {
        let mut target = self.beneath(OsStr::new(path))?;
        if path.contains('\\')
            && !self.is_there(&target)
            && let Some(escaped) = names::unescape(path)
            && let Ok(meant) = self.beneath(&escaped)
            && self.is_there(&meant)
        {
            target = meant;
        }
        self.policy.check_change(&target)?;
        self.check_git(&target)?;
        Ok(target)
    }

    /// The file as it is now; none if there is nothing of that name.
    pub(in crate::tools) fn original(&self, path: &Path) -> Result<Option<Original>, Refusal> {
        let opened = self.place(path).and_then(|(directory, name)| read(&directory, name, path));
        match opened {
            Ok(original) => Ok(Some(original)),
            Err(Fault::Errno(Errno::NOENT)) => Ok(None),
            Err(Fault::Errno(Errno::FBIG)) => {
                let path = paths::shown(path);
                Err(Refusal::new(
                    "too_large",
                    format!("{path} has more than {EDIT_LIMIT} bytes, the most for a change"),
                ))
            }
            Err(fault) => Err(fault.about_change(path)),
        }
    }

    /// Gives a file a new content, unless it is another file by now or has been changed.
    pub(in crate::tools) fn replace(&self, original: &Original, content: &[u8]) -> Result<Version, Refusal> {
        let path = &original.path;
        let replaced = || -> Result<Option<File>, Fault> {
            let (directory, name) = self.place(path)?;
            let temp = Temp::write(&directory, content, Some(original))?;
            match read(&directory, name, path) {
                Ok(now) if now.version == original.version => temp.replace(name, original),
                Ok(_) | Err(Fault::Errno(Errno::NOENT | Errno::FBIG)) => Ok(None),
                Err(fault) => Err(fault),
            }
        };
        match replaced().map_err(|fault| fault.about_change(path))? {
            Some(file) => version(&file, content, path),
            None => Err(changed_on_disk(path)),
        }
    }

    /// Makes a new file, and the directories for it.
    pub(in crate::tools) fn create(&self, path: &Path, content: &[u8]) -> Result<Version, Refusal> {
        let created = || -> Result<File, Fault> {
            let parents = Parents::make(self, path)?;
            let (directory, name) = self.place(path)?;
            let file = Temp::write(&directory, content, None)?.settle(name)?;
            parents.keep();
            Ok(file)
        };
        version(&created().map_err(|fault| fault.about_change(path))?, content, path)
    }

    /// Gives a file another path, whatever is in it.
    pub(in crate::tools) fn rename(&self, from: &Path, to: &Path) -> Result<(), Refusal> {
        let (directory, name) = self.regular(from).map_err(|fault| self.unchanged(from, &fault))?;
        let renamed = || -> Result<(), Fault> {
            let parents = Parents::make(self, to)?;
            let (other, new) = self.place(to)?;
            rename_new(&directory, name, &other, new)?;
            parents.keep();
            Ok(())
        };
        renamed().map_err(|fault| match fault {
            Fault::Errno(Errno::XDEV) => {
                Refusal::new("other_file_system", format!("{} is on another file system", paths::shown(to)))
            }
            fault => fault.about_change(to),
        })
    }

    /// Deletes a file; never a directory.
    pub(in crate::tools) fn remove(&self, path: &Path) -> Result<(), Refusal> {
        let removed = self.regular(path).and_then(|(directory, name)| {
            unlinkat(&directory, name, AtFlags::empty())?;
            Ok(())
        });
        removed.map_err(|fault| self.unchanged(path, &fault))
    }

    /// Why nothing was done to a file that should be there.
    fn unchanged(&self, path: &Path, fault: &Fault) -> Refusal {
        if let Fault::Errno(Errno::NOENT) = fault { self.missing(path) } else { fault.about_change(path) }
    }

    /// The path without `.` and `..`, if it cannot lead out of the root by its text and names something in it. Right
    /// although links could change what `..` means: no change goes through a link.
    fn beneath(&self, path: &OsStr) -> Result<PathBuf, Refusal> {
        let relative = self.relative(path)?;
        if relative.is_absolute() {
            return Err(paths::outside(&relative));
        }
        let mut depth = 0_usize;
        for component in relative.components() {
            match component {
                Component::ParentDir if depth == 0 => return Err(paths::outside(&relative)),
                Component::ParentDir => depth -= 1,
                Component::Normal(_) => depth += 1,
                _ => {}
            }
        }
        let shown = paths::shown(&relative);
        if depth == 0 {
            return Err(Refusal::new("bad_path", format!("{shown} is the root itself; name a file in it")));
        }
        if relative.as_os_str().as_bytes().ends_with(b"/") {
            return Err(Refusal::new("bad_path", format!("{shown} ends in /, so it names no file")));
        }
        Ok(paths::plain(&relative))
    }

    fn is_there(&self, path: &Path) -> bool {
        self.open_plain(path, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC).is_ok()
    }

    /// The directory of a file, and the file's name in it.
    fn place<'p>(&self, path: &'p Path) -> Result<(OwnedFd, &'p OsStr), Fault> {
        let (Some(directory), Some(name)) = (path.parent(), path.file_name()) else { return Err(Errno::ISDIR.into()) };
        Ok((self.open_directory(directory)?.directory, name))
    }

    /// The place of a regular file that is there.
    fn regular<'p>(&self, path: &'p Path) -> Result<(OwnedFd, &'p OsStr), Fault> {
        let (directory, name) = self.place(path)?;
        check_regular(&directory, name)?;
        Ok((directory, name))
    }

    /// Refuses what is in a repository's own directory, or would make one: programs run what its files say. The root
    /// itself may be one, since the user chose it.
    fn check_git(&self, path: &Path) -> Result<(), Refusal> {
        let is_git = path.ancestors().skip(1).any(|directory| {
            let Ok(next) = path.strip_prefix(directory) else { return false };
            let first = next.components().next().map(|c| c.as_os_str().to_owned()).unwrap_or_default();
            let has = |name: &str| self.is_there(&directory.join(name));
            let is_one = GIT_PARTS.iter().all(|name| has(name));
            let becomes_one = GIT_PARTS.iter().all(|name| first == *name || has(name));
            if directory.as_os_str().is_empty() { becomes_one && !is_one } else { becomes_one || is_one }
        });
        if !is_git || self.policy.names(path) {
            return Ok(());
        }
        let why = format!("{} is in a directory of git's own, which programs obey", paths::shown(path));
        Err(policy::lacking(&why, &[format!("write:{}", names::escape(path))]))
    }
}

/// The refusal for a file that somebody else has changed.
pub(in crate::tools) fn changed_on_disk(path: &Path) -> Refusal {
    let message =
        "has been changed on disk since this run read it; read it again with read_files, then repeat the call";
    Refusal::new("changed_on_disk", format!("{} {message}", paths::shown(path)))
}

fn version(file: &File, content: &[u8], path: &Path) -> Result<Version, Refusal> {
    let version = Version::of(file, Sha256::digest(content).into());
    version.map_err(|error| Refusal::new("unreadable", format!("{}: {error}", paths::shown(path))))
}

/// Looks before it opens: opening a pipe or a device can already do something.
fn check_regular(directory: &OwnedFd, name: &OsStr) -> Result<(), Fault> {
    let stat = statat(directory, name, AtFlags::SYMLINK_NOFOLLOW)?;
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => Ok(()),
        FileType::Symlink => Err(Errno::LOOP.into()),
        FileType::Directory => Err(Errno::ISDIR.into()),
        _ => Err(Fault::NotAFile),
    }
}

fn read(directory: &OwnedFd, name: &OsStr, path: &Path) -> Result<Original, Fault> {
    check_regular(directory, name)?;
    let file = File::from(openat2(directory, name, CAREFUL | OFlags::NOFOLLOW, Mode::empty(), BENEATH)?);
    let failed = |error: std::io::Error| Fault::Errno(Errno::from_io_error(&error).unwrap_or(Errno::IO));
    let metadata = file.metadata().map_err(failed)?;
    if !metadata.is_file() {
        return Err(Fault::NotAFile);
    }
    if metadata.len() > EDIT_LIMIT {
        return Err(Errno::FBIG.into());
    }
    let mut content = Vec::new();
    (&file).take(EDIT_LIMIT + 1).read_to_end(&mut content).map_err(failed)?;
    if content.len() as u64 > EDIT_LIMIT {
        return Err(Errno::FBIG.into());
    }
    let hash = Sha256::digest(&content).into();
    Ok(Original {
        path: path.to_owned(),
        content,
        version: Version { device: metadata.dev(), inode: metadata.ino(), hash },
        modified: (metadata.mtime(), metadata.mtime_nsec()),
        mode: metadata.mode() & 0o777,
        owner: (metadata.uid(), metadata.gid()),
    })
}

impl Original {
    /// True if the metadata are those of the file as it was.
    pub(super) fn is_still(&self, now: &Metadata) -> bool {
        (now.dev(), now.ino(), now.len()) == (self.version.device, self.version.inode, self.content.len() as u64)
            && (now.mtime(), now.mtime_nsec()) == self.modified
    }
}

/// The directories that were made for a file; they are removed unless the file is made too.
struct Parents<'a> {
    workspace: &'a Workspace,
    made: Vec<PathBuf>,
}

impl<'a> Parents<'a> {
    fn make(workspace: &'a Workspace, path: &Path) -> Result<Self, Fault> {
        let mut parents = Self { workspace, made: Vec::new() };
        let is_missing = |directory: &&Path| {
            let opened: Result<OpenDirectory, Fault> = workspace.open_directory(directory);
            matches!(opened, Err(Fault::Errno(Errno::NOENT)))
        };
        let missing: Vec<&Path> = path.ancestors().skip(1).take_while(is_missing).collect();
        for directory in missing.into_iter().rev() {
            let (above, name) = workspace.place(directory)?;
            match mkdirat(&above, name, Mode::from_raw_mode(0o777)) {
                Ok(()) => parents.made.push(directory.to_owned()),
                // Somebody else has made it meanwhile.
                Err(Errno::EXIST) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
        Ok(parents)
    }

    fn keep(mut self) {
        self.made.clear();
    }
}

impl Drop for Parents<'_> {
    fn drop(&mut self) {
        for directory in self.made.iter().rev() {
            if let Ok((above, name)) = self.workspace.place(directory) {
                let _ = unlinkat(&above, name, AtFlags::REMOVEDIR);
            }
        }
    }
}
