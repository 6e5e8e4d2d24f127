//! Temporary files: what becomes of a file is written beside it under a name of our own, and takes its place only when
//! it is whole. What dead runs have left behind is removed by the next one that writes in the same directory.

use std::ffi::OsStr;
use std::fs::File;
use std::io::Write as _;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;

use rustix::fs::{
    AtFlags, Dir, FileType, FlockOperation, Gid, Mode, OFlags, RenameFlags, Uid, fchmod, fchown, flock, linkat, openat,
    openat2, renameat, renameat_with, statat, unlinkat,
};
use rustix::io::Errno;
use rustix::process::{Pid, geteuid, test_kill_process};

use super::change::Original;
use super::{BENEATH, CAREFUL};
use crate::tools::fault::Fault;

/// How the names begin; a process id and a random number follow.
const PREFIX: &str = ".flux-";

/// Names tried before somebody is taken to be in the way on purpose.
const MAX_NAMES: usize = 8;

/// A file that nobody else knows of. It is removed unless it takes a name.
pub(super) struct Temp<'a> {
    directory: &'a OwnedFd,
    name: String,
    file: File,
    is_ours: bool,
}

impl<'a> Temp<'a> {
    /// Writes the content to a new file, with the rights of the file whose place it is to take.
    pub(super) fn write(directory: &'a OwnedFd, content: &[u8], original: Option<&Original>) -> Result<Self, Fault> {
        sweep(directory);
        let mode = if original.is_some() { 0o600 } else { 0o666 };
        let mut temp = Self::create(directory, Mode::from_raw_mode(mode))?;
        // Others look at the lock before they take the file for a left-over; without it they still look at the process.
        let _ = flock(&temp.file, FlockOperation::NonBlockingLockExclusive);
        temp.file.write_all(content).map_err(|error| errno(&error))?;
        if let Some(original) = original {
            temp.take_rights(original)?;
        }
        temp.file.sync_all().map_err(|error| errno(&error))?;
        Ok(temp)
    }

    fn create(directory: &'a OwnedFd, mode: Mode) -> Result<Self, Fault> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        for _ in 0..MAX_NAMES {
            let name = format!("{PREFIX}{}-{:016x}", std::process::id(), fastrand::u64(..));
            match openat(directory, &name, flags, mode) {
                Ok(fd) => return Ok(Self { directory, name, file: File::from(fd), is_ours: true }),
                Err(Errno::EXIST) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
        Err(Errno::AGAIN.into())
    }

    /// The owner first, since changing it takes bits away. Where the owner cannot be kept, the file is the user's own.
    fn take_rights(&self, original: &Original) -> Result<(), Fault> {
        let (uid, gid) = original.owner;
        if fchown(&self.file, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid))).is_err() {
            let _ = fchown(&self.file, None, Some(Gid::from_raw(gid)));
        }
        Ok(fchmod(&self.file, Mode::from_raw_mode(original.mode))?)
    }

    /// Takes the place of the file with this name, if that is still the one that was read. The two are exchanged
    /// and the old one is looked at when nobody can reach it by its name any more: so no change is lost that
    /// somebody makes at the last moment.
    pub(super) fn replace(mut self, name: &OsStr, original: &Original) -> Result<Option<File>, Fault> {
        let exchange = || renameat_with(self.directory, &self.name, self.directory, name, RenameFlags::EXCHANGE);
        match exchange() {
            Ok(()) => {
                let old = open_plain(self.directory, OsStr::new(&self.name));
                if !old.and_then(|old| old.metadata()).is_ok_and(|metadata| original.is_still(&metadata)) {
                    exchange()?;
                    return Ok(None);
                }
            }
            // Not every file system knows the flag.
            Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {
                renameat(self.directory, &self.name, self.directory, name)?;
                self.is_ours = false;
            }
            Err(errno) => return Err(errno.into()),
        }
        self.file.try_clone().map(Some).map_err(|error| errno(&error))
    }

    /// Takes a name that nobody has.
    pub(super) fn settle(mut self, name: &OsStr) -> Result<File, Fault> {
        rename_new(self.directory, OsStr::new(&self.name), self.directory, name)?;
        self.is_ours = false;
        self.file.try_clone().map_err(|error| errno(&error))
    }
}

impl Drop for Temp<'_> {
    fn drop(&mut self) {
        if self.is_ours {
            let _ = unlinkat(self.directory, &self.name, AtFlags::empty());
        }
    }
}

/// Gives a file another name, but never one that is taken.
pub(super) fn rename_new(from: &OwnedFd, name: &OsStr, to: &OwnedFd, new: &OsStr) -> Result<(), Fault> {
    match renameat_with(from, name, to, new, RenameFlags::NOREPLACE) {
        // Not every file system knows the flag; a link fails on a taken name everywhere.
        Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {
            linkat(from, name, to, new, AtFlags::empty())?;
            Ok(unlinkat(from, name, AtFlags::empty())?)
        }
        other => Ok(other?),
    }
}

/// Opens whatever has this name, only to look at it.
fn open_plain(directory: &OwnedFd, name: &OsStr) -> std::io::Result<File> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(File::from(openat2(directory, name, flags, Mode::empty(), BENEATH)?))
}

/// Removes the temporary files of runs that are dead. What fails is left to the next run.
fn sweep(directory: &OwnedFd) {
    let Ok(entries) = Dir::read_from(directory) else { return };
    for entry in entries.flatten() {
        let name = OsStr::from_bytes(entry.file_name().to_bytes());
        if owner(name).is_some_and(|pid| test_kill_process(pid) == Err(Errno::SRCH)) && is_abandoned(directory, name) {
            let _ = unlinkat(directory, name, AtFlags::empty());
        }
    }
}

/// The process that a temporary file belongs to, by its name.
fn owner(name: &OsStr) -> Option<Pid> {
    let (pid, random) = name.to_str()?.strip_prefix(PREFIX)?.split_once('-')?;
    let is_ours = random.len() == 16 && random.bytes().all(|byte| byte.is_ascii_hexdigit());
    let is_number = pid.bytes().all(|byte| byte.is_ascii_digit());
    if is_ours && is_number { Pid::from_raw(pid.parse().ok()?) } else { None }
}

/// A process that cannot be seen from here, in another container, still holds its lock.
fn is_abandoned(directory: &OwnedFd, name: &OsStr) -> bool {
    let is_own_file = statat(directory, name, AtFlags::SYMLINK_NOFOLLOW).is_ok_and(|stat| {
        FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile && stat.st_uid == geteuid().as_raw()
    });
    // One that was killed early may be unreadable, as its mode was to be; then its dead process is proof enough.
    is_own_file
        && match openat2(directory, name, CAREFUL | OFlags::NOFOLLOW, Mode::empty(), BENEATH) {
            Ok(file) => flock(&file, FlockOperation::NonBlockingLockExclusive) != Err(Errno::WOULDBLOCK),
            Err(errno) => errno == Errno::ACCESS,
        }
}

fn errno(error: &std::io::Error) -> Fault {
    Fault::Errno(Errno::from_io_error(error).unwrap_or(Errno::IO))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_our_own_form_have_an_owner() {
        assert_eq!(owner(OsStr::new(".flux-42-0123456789abcdef")), Pid::from_raw(42));
        for name in [
            ".flux-",
            ".flux-42",
            ".flux-42-",
            ".flux-0-0123456789abcdef",
            ".flux-4 2-0123456789abcdef",
            ".flux--1-0123456789abcdef",
            ".flux-+1-0123456789abcdef",
            ".flux-42-0123456789abcdeg",
            ".flux-rc",
            "flux-42-0123456789abcdef",
            ".flux-99999999999-0123456789abcdef",
        ] {
            assert_eq!(owner(OsStr::new(name)), None, "{name}");
        }
    }
}
