//! Namespaces: a view of the system in which everything is read-only but what children may change, what is hidden or
//! private lies under other mounts, and no network exists. Built once a run; each child gets its own processes in it.
//! It must be built before any Landlock rule is enforced, since a process behind one cannot mount.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use rustix::fs::CWD;
use rustix::mount::{
    MountFlags, MountPropagationFlags, MoveMountFlags, OpenTreeFlags, mount, mount_change, move_mount, open_tree,
};
use rustix::process::{getgid, getuid};
use rustix::thread::{UnshareFlags, unshare_unsafe};

use super::Rules;
use super::spawner::Private;

/// Bytes that children may use of each of their own directories, which lie in memory.
const PRIVATE_SIZE: &std::ffi::CStr = c"mode=0700,size=1g";
/// Where other programs leave files and sockets: children find these places empty.
const COVERED: &[&str] = &["/tmp", "/var/tmp", "/run", "/dev/shm"];
/// Shared memory, which some programs cannot do without.
const SHARED_MEMORY: &str = "/dev/shm";
/// How name lookup is configured; often a link into a covered place.
const RESOLVER: &str = "/etc/resolv.conf";
/// Read by git, which does without its content, but not without the file.
const GIT_CONFIG: &str = ".git/config";

/// Moves this process into the view. It must have only one thread.
///
/// # Errors
/// What could not be done, in words.
pub(super) fn enter(rules: &Rules) -> Result<Private, String> {
    leave_namespaces(rules.net).map_err(|error| format!("no namespaces: {error}"))?;
    rearrange(rules).map_err(|error| format!("no mounts in a namespace: {error}"))
}

/// Shows the processes of this process's own namespace, instead of those outside, under `/proc`.
pub(super) fn mount_processes() -> io::Result<()> {
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    Ok(mount("proc", "/proc", "proc", flags, None)?)
}

fn leave_namespaces(net: bool) -> io::Result<()> {
    let mut flags = UnshareFlags::NEWNS | UnshareFlags::NEWIPC | UnshareFlags::NEWUTS;
    if !net {
        flags |= UnshareFlags::NEWNET;
    }
    let (user, group) = (getuid(), getgid());
    #[expect(unsafe_code, reason = "the one way to leave a namespace")]
    // SAFETY: this process has one thread and shares its descriptors with nobody.
    let leave = |flags| unsafe { unshare_unsafe(flags) };
    if user.is_root() && leave(flags).is_ok() {
        return Ok(());
    }
    leave(flags | UnshareFlags::NEWUSER)?;
    // In a user namespace of its own the process is who it was, and may mount.
    fs::write("/proc/self/setgroups", "deny")?;
    fs::write("/proc/self/uid_map", format!("{0} {0} 1", user.as_raw()))?;
    fs::write("/proc/self/gid_map", format!("{0} {0} 1", group.as_raw()))
}

fn rearrange(rules: &Rules) -> io::Result<Private> {
    mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)?;
    let covered = covered(rules);
    // Taken before anything is covered, put back after.
    let mut trees = Vec::new();
    for path in kept(rules, &covered).into_iter().filter(|path| !rules.writable.contains(path)) {
        trees.push((copy(&path, true)?, path));
    }
    for path in sorted(&rules.writable) {
        trees.push((copy(&path, false)?, path));
    }
    let links = links(rules, &covered);
    set_flags(CWD.as_raw_fd(), c"/", libc::MOUNT_ATTR_RDONLY | libc::MOUNT_ATTR_NOSUID)?;
    covered.iter().try_for_each(|path| cover(path))?;
    let own = covered.first().ok_or_else(|| io::Error::other("no directory to put in private ones"))?;
    trees.iter().try_for_each(|(tree, path)| attach(tree, path))?;
    for (path, real) in &links {
        link(path, real);
    }
    // A directory above what must not change could be put aside together with it; mounted, it cannot be renamed.
    for path in above(&rules.forbidden, &rules.writable) {
        attach(&copy(&path, false)?, &path)?;
    }
    for path in sorted(&rules.protected) {
        attach(&copy(&path, true)?, &path)?;
    }
    let private = tempfile::Builder::new().prefix("flux-").tempdir_in(own)?.keep();
    // Where other mounts lie in a private directory, no Landlock rule can tell them from it.
    let hidden: BTreeSet<&Path> = rules.hidden.iter().chain(&rules.unreadable).map(PathBuf::as_path).collect();
    hide(&hidden, &private)?;
    let home = private.join("home");
    fs::DirBuilder::new().mode(0o700).create(&home)?;
    let shared = covered.iter().find(|path| *path == Path::new(SHARED_MEMORY)).cloned();
    let writable = std::iter::once(own.clone()).chain(shared).collect();
    Ok(Private { home, temporary: own.clone(), writable })
}

/// The directories that children find empty; the first one is theirs. None of them holds the workspace's own files.
fn covered(rules: &Rules) -> Vec<PathBuf> {
    let places = COVERED.iter().map(PathBuf::from).chain(rules.empty.iter().cloned());
    let places = places.filter(|path| path.is_dir() && path.parent().is_some() && !path.starts_with(&rules.root));
    let mut distinct: Vec<PathBuf> = Vec::new();
    for path in places {
        if !distinct.iter().any(|other| path.starts_with(other)) {
            distinct.push(path);
        }
    }
    distinct
}

/// What is to be seen although it lies in a covered directory, outer directories first.
fn kept(rules: &Rules, covered: &[PathBuf]) -> Vec<PathBuf> {
    let resolver = rules.net.then(|| Path::new(RESOLVER).canonicalize().ok()).flatten();
    let wanted = std::iter::once(&rules.root).chain(&rules.readable).chain(&resolver);
    let inside = |path: &&PathBuf| covered.iter().any(|place| path.starts_with(place)) && path.exists();
    sorted(&wanted.filter(inside).cloned().collect::<Vec<_>>())
}

/// The links that lie in a covered directory, outer ones first, and what they lead to.
fn links(rules: &Rules, covered: &[PathBuf]) -> Vec<(PathBuf, PathBuf)> {
    let inside = |path: &PathBuf| covered.iter().any(|place| path.starts_with(place));
    let links = sorted(&rules.links).into_iter().filter(inside);
    links.filter_map(|path| path.canonicalize().ok().map(|real| (path, real))).collect()
}

/// Makes a link where a private directory lies over it, unless what is seen there leads to the same already. Where that
/// cannot be, the call that looks for the program says that it is missing.
fn link(path: &Path, real: &Path) {
    if path.symlink_metadata().is_ok() {
        return;
    }
    let _ = fs::DirBuilder::new().recursive(true).mode(0o755).create(path.parent().unwrap_or(path));
    let _ = symlink(real, path);
}

/// The directories between these paths and the writable places that they lie in, outer ones first.
fn above(paths: &[PathBuf], writable: &[PathBuf]) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = Vec::new();
    for path in paths {
        let Some(place) = writable.iter().find(|place| path.starts_with(place)) else { continue };
        let between = path.ancestors().skip(1).take_while(|above| above.starts_with(place) && above != place);
        found.extend(between.map(Path::to_owned));
    }
    found.sort();
    found.dedup();
    found
}

/// Outer directories first.
fn sorted(paths: &[PathBuf]) -> Vec<PathBuf> {
    let mut paths = paths.to_vec();
    paths.sort_by_key(|path| path.components().count());
    paths
}

/// A copy of what is mounted at and beneath a path, attached nowhere.
fn copy(path: &Path, readonly: bool) -> io::Result<OwnedFd> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_RECURSIVE;
    let tree = open_tree(CWD, path, flags)?;
    let readonly = if readonly { libc::MOUNT_ATTR_RDONLY } else { 0 };
    set_flags(tree.as_raw_fd(), c"", readonly | libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NODEV)?;
    Ok(tree)
}

/// Attaches a copy at a path, which is made where a private directory lies over it.
fn attach(tree: &OwnedFd, path: &Path) -> io::Result<()> {
    if path.symlink_metadata().is_err() {
        let parent = path.parent().unwrap_or(path);
        fs::DirBuilder::new().recursive(true).mode(0o755).create(parent)?;
        if fs::metadata(format!("/proc/self/fd/{}", tree.as_raw_fd()))?.is_dir() {
            fs::create_dir(path)?;
        } else {
            fs::File::create(path)?;
        }
    }
    Ok(move_mount(tree, "", CWD, path, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)?)
}

fn cover(path: &Path) -> io::Result<()> {
    Ok(mount("tmpfs", path, "tmpfs", MountFlags::NOSUID | MountFlags::NODEV, Some(PRIVATE_SIZE))?)
}

/// Lays something empty over each of the paths that nobody can open, or, where that would stop git, only nothing.
fn hide(paths: &BTreeSet<&Path>, own: &Path) -> io::Result<()> {
    let (directory, file, blank) = (own.join(".directory"), own.join(".file"), own.join(".blank"));
    fs::create_dir(&directory)?;
    fs::File::create(&file)?;
    fs::File::create(&blank)?;
    fs::set_permissions(&directory, fs::Permissions::from_mode(0o0))?;
    fs::set_permissions(&file, fs::Permissions::from_mode(0o0))?;
    for path in paths {
        let Ok(metadata) = path.symlink_metadata() else { continue };
        let over = if metadata.is_dir() {
            &directory
        } else if path.ends_with(GIT_CONFIG) {
            &blank
        } else {
            &file
        };
        attach(&copy(over, true)?, path)?;
    }
    fs::remove_file(&blank)?;
    fs::remove_file(&file)?;
    fs::remove_dir(&directory)
}

fn set_flags(tree: i32, path: &std::ffi::CStr, flags: u64) -> io::Result<()> {
    let attributes = libc::mount_attr { attr_set: flags, attr_clr: 0, propagation: 0, userns_fd: 0 };
    let how = libc::AT_RECURSIVE | if path.is_empty() { libc::AT_EMPTY_PATH } else { 0 };
    #[expect(unsafe_code, reason = "no crate at hand has this system call")]
    // SAFETY: the path ends in NUL and the attributes live as long as the call.
    let result = unsafe {
        let size = size_of::<libc::mount_attr>();
        libc::syscall(libc::SYS_mount_setattr, tree, path.as_ptr(), how, &raw const attributes, size)
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
