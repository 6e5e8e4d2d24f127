//! The Landlock fence around a child: which files it may read, execute and change, and that it signals nobody outside.
//! Landlock only permits, so what is hidden inside a permitted directory means permitting its neighbours one by one.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use landlock::{
    ABI, Access as _, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible as _, NetPort, PathBeneath, Ruleset,
    RulesetAttr as _, RulesetCreated, RulesetCreatedAttr as _, Scope,
};
use rustix::fs::{FileType, Mode, OFlags, fstat, open};

use super::Rules;

/// Where systems keep their programs and libraries.
pub const PROGRAMS: &[&str] =
    &["/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/nix/store", "/gnu/store"];

/// Where they keep what everybody may know, and what nobody may.
pub const PUBLIC: &str = "/etc";

/// What programs need to know of the machine.
const MACHINE: &[&str] =
    &["/sys/devices/system/cpu", "/sys/devices/system/node", "/sys/fs/cgroup", "/sys/kernel/mm/transparent_hugepage"];

/// Devices that hold nothing.
const DEVICES: &[&str] = &["/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom"];

/// The newest rights that are known here; older kernels enforce those that they know.
const NEWEST: ABI = ABI::V9;

/// Reading and executing.
pub(super) fn reading() -> BitFlags<AccessFs> {
    AccessFs::Execute | AccessFs::ReadFile | AccessFs::ReadDir
}

/// Creating, changing and removing files and directories, but neither devices nor sockets.
pub(super) fn changing() -> BitFlags<AccessFs> {
    AccessFs::WriteFile
        | AccessFs::RemoveDir
        | AccessFs::RemoveFile
        | AccessFs::MakeDir
        | AccessFs::MakeReg
        | AccessFs::MakeFifo
        | AccessFs::MakeSym
        | AccessFs::Refer
        | AccessFs::Truncate
}

/// The rights that a file, as opposed to a directory, can have.
fn of_files() -> BitFlags<AccessFs> {
    AccessFs::from_file(NEWEST)
}

/// The version of Landlock that the kernel has; 0 for none.
pub(super) fn version() -> i64 {
    const ASK: libc::c_uint = 1;
    #[expect(unsafe_code, reason = "no crate at hand tells the version before something is enforced")]
    // SAFETY: with this flag the kernel takes no attributes and only answers.
    unsafe {
        libc::syscall(libc::SYS_landlock_create_ruleset, std::ptr::null::<u8>(), 0_usize, ASK).max(0)
    }
}

/// A set of rules, not yet enforced.
#[derive(Debug)]
pub(super) struct Fence {
    rules: RulesetCreated,
}

impl Fence {
    /// An empty fence: it permits nothing.
    pub(super) fn new(net: bool) -> io::Result<Self> {
        let rules = Ruleset::default().handle_access(AccessFs::from_all(NEWEST)).map_err(io::Error::other)?;
        let rules = rules.scope(Scope::from_all(NEWEST)).map_err(io::Error::other)?;
        let rules = if net { Ok(rules) } else { rules.handle_access(AccessNet::from_all(NEWEST)) };
        Ok(Self { rules: rules.map_err(io::Error::other)?.create().map_err(io::Error::other)? })
    }

    /// The empty fence of this program itself, which has a terminal and talks to sockets of the system. Files and ports
    /// are one set: a second one would forbid moves between directories.
    pub(super) fn of_program() -> io::Result<Self> {
        let handled = AccessFs::from_all(NEWEST) & !(AccessFs::IoctlDev | AccessFs::ResolveUnix);
        let rules = Ruleset::default().handle_access(handled).map_err(io::Error::other)?;
        let rules = rules.handle_access(AccessNet::from_all(NEWEST)).map_err(io::Error::other)?;
        Ok(Self { rules: rules.create().map_err(io::Error::other)? })
    }

    /// The fence of children. Where mounts do not hide what is hidden, it is left out here; `private` are the
    /// directories that children have for themselves.
    pub(super) fn of_children(rules: &Rules, hides: bool, private: &[PathBuf]) -> io::Result<Self> {
        let mut fence = Self::new(rules.net)?;
        // Rules add up, so what one of them leaves out all of them have to.
        let hidden = if hides { rules.hidden.as_slice() } else { &[] };
        let closed: Vec<PathBuf> = hidden.iter().chain(&rules.unreadable).cloned().collect();
        for path in PROGRAMS.iter().chain(MACHINE).filter_map(|path| Path::new(path).canonicalize().ok()) {
            fence.permit_around(&path, reading(), &closed)?;
        }
        let devices = AccessFs::ReadFile | AccessFs::WriteFile | AccessFs::Truncate;
        DEVICES.iter().try_for_each(|path| fence.permit(Path::new(path), devices))?;
        fence.permit_public(Path::new(PUBLIC), &closed)?;
        fence.permit_around(&rules.root, reading(), &closed)?;
        for path in &rules.writable {
            fence.permit_around(path, reading() | changing(), &closed)?;
        }
        for path in &rules.readable {
            fence.permit_around(path, reading(), &closed)?;
        }
        private.iter().try_for_each(|path| fence.permit(path, reading() | changing()))?;
        Ok(fence)
    }

    /// Permits the rights beneath a path. What does not exist needs no permission.
    pub(super) fn permit(&mut self, path: &Path, rights: BitFlags<AccessFs>) -> io::Result<()> {
        match open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()) {
            Ok(fd) => self.permit_open(fd, rights),
            Err(_) => Ok(()),
        }
    }

    /// Permits connections to a TCP port.
    pub(super) fn permit_port(&mut self, port: u16) -> io::Result<()> {
        let rule = NetPort::new(port, AccessNet::ConnectTcp);
        (&mut self.rules).add_rule(rule).map(drop).map_err(io::Error::other)
    }

    fn permit_open(&mut self, fd: OwnedFd, rights: BitFlags<AccessFs>) -> io::Result<()> {
        let is_directory = FileType::from_raw_mode(fstat(&fd)?.st_mode) == FileType::Directory;
        let rights = if is_directory { rights } else { rights & of_files() };
        let rule = PathBeneath::new(fd, rights).set_compatibility(CompatLevel::BestEffort);
        (&mut self.rules).add_rule(rule).map(drop).map_err(io::Error::other)
    }

    /// Permits the rights beneath a path except for what is `hidden` there. A directory with something hidden in it
    /// keeps the entries that it has; only what is in these can be read and changed.
    fn permit_around(&mut self, path: &Path, rights: BitFlags<AccessFs>, hidden: &[PathBuf]) -> io::Result<()> {
        if hidden.iter().any(|hidden| path.starts_with(hidden)) {
            return Ok(());
        }
        // Links are not followed: what they lead to has its own rule or none.
        let Ok(fd) = open(path, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty()) else {
            return Ok(());
        };
        if FileType::from_raw_mode(fstat(&fd)?.st_mode) == FileType::Symlink {
            return Ok(());
        }
        // Few of them lie in any one directory, and each of its entries is compared with them.
        let inside: Vec<PathBuf> = hidden.iter().filter(|hidden| hidden.starts_with(path)).cloned().collect();
        if inside.is_empty() {
            return self.permit_open(fd, rights);
        }
        self.permit_open(fd, AccessFs::ReadDir.into())?;
        let Ok(entries) = std::fs::read_dir(path) else { return Ok(()) };
        entries.flatten().try_for_each(|entry| self.permit_around(&entry.path(), rights, &inside))
    }

    /// Permits reading what everybody may read in this directory, but no keys of this machine: root owns them, so modes
    /// alone would not keep it from them. A directory is permitted as a whole only if everything in it is public.
    fn permit_public(&mut self, directory: &Path, closed: &[PathBuf]) -> io::Result<()> {
        if is_all_public(directory, closed) {
            return self.permit(directory, reading());
        }
        // The names in it, and beneath it.
        self.permit(directory, AccessFs::ReadDir.into())?;
        let Ok(entries) = std::fs::read_dir(directory) else { return Ok(()) };
        for entry in entries.flatten() {
            let path = entry.path();
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => self.permit_public(&path, closed)?,
                // A link to a file; directories elsewhere have their own rules or none.
                Ok(_) if path.is_file() && is_public(&path) && !closed.contains(&path) => {
                    self.permit(&path, reading())?;
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// The same rules once more; a rule that is added to one is added to both.
    pub(super) fn share(&self) -> io::Result<Self> {
        Ok(Self { rules: self.rules.try_clone()? })
    }

    /// Enforces the rules on this process and all that it becomes.
    pub(super) fn enforce(self) -> io::Result<()> {
        self.rules.restrict_self().map(drop).map_err(io::Error::other)
    }
}

/// Whether everybody may read it.
fn is_public(path: &Path) -> bool {
    path.metadata().is_ok_and(|metadata| metadata.mode() & 0o004 != 0)
}

/// Whether everybody may read all that is in this directory; links lead elsewhere and count for nothing.
fn is_all_public(directory: &Path, closed: &[PathBuf]) -> bool {
    if !is_public(directory) || closed.iter().any(|closed| closed.starts_with(directory)) {
        return false;
    }
    let Ok(entries) = std::fs::read_dir(directory) else { return false };
    entries.flatten().all(|entry| match entry.file_type() {
        Ok(kind) if kind.is_dir() => is_all_public(&entry.path(), closed),
        Ok(kind) if kind.is_symlink() => false,
        Ok(_) => is_public(&entry.path()),
        Err(_) => false,
    })
}
