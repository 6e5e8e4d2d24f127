//! The one door to the file system. Every path that a model names is opened here, beneath the root, by the
//! kernel's own rule; whoever swaps a directory with a link meanwhile gains nothing. Calls that exist only on
//! Linux are kept to this folder. It knows nothing of tools, only why something cannot be opened or changed.

mod change;
mod places;
mod survey;
mod temp;
mod watch;

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{
    AtFlags, Dir, FileType, FsWord, Mode, OFlags, ResolveFlags, fstat, fstatfs, openat2, readlinkat, statat,
};
use rustix::io::Errno;

use super::fault::Fault;
use super::policy::{Policy, Withheld};
use super::{Refusal, distance, names, paths};

use places::Place;

pub(super) use change::{EDIT_LIMIT, Original, Version, changed_on_disk};
pub(super) use watch::Change;

/// No link is followed: links are resolved by [`Workspace::real`], so that the true name of what is opened is known.
const BENEATH: ResolveFlags = ResolveFlags::BENEATH.union(ResolveFlags::NO_MAGICLINKS).union(ResolveFlags::NO_SYMLINKS);

/// Never wait for a writer, never gain a terminal, never leave the file open for a child.
const CAREFUL: OFlags = OFlags::RDONLY.union(OFlags::NONBLOCK).union(OFlags::NOCTTY).union(OFlags::CLOEXEC);

/// As many links as the kernel follows.
const MAX_LINKS: usize = 40;

/// How often to try again when others rename what is being opened.
const MAX_TRIES: usize = 100;

/// Entries read of one directory.
pub(super) const MAX_ENTRIES: usize = 200_000;

/// The files that say what is ignored, the weaker one first.
pub(super) const IGNORE_FILES: [&str; 2] = [".gitignore", ".ignore"];

/// Bytes read of an ignore file: what is longer takes long to compile, too.
pub(super) const IGNORE_FILE_LIMIT: u64 = 64 << 10;

/// File systems whose files are windows into the kernel: proc, sys, debug, trace, security, config, cgroup (old and
/// new), pstore, binfmt, fusectl and namespaces.
const KERNEL_FILES: [FsWord; 12] = [
    0x9fa0,
    0x6265_6572,
    0x6462_6720,
    0x7472_6163,
    0x7363_6673,
    0x6265_6570,
    0x27_e0eb,
    0x6367_7270,
    0x6165_676c,
    0x4249_4e4d,
    0x6573_5543,
    0x6e73_6673,
];

/// The directory beneath which everything happens, and what this run may do there.
#[derive(Debug)]
pub struct Workspace {
    root: OwnedFd,
    path: PathBuf,
    given: PathBuf,
    policy: Policy,
    places: Vec<Place>,
    above: Vec<IgnoreFile>,
}

/// An ignore file of the repository around the root, read when the root was opened.
#[derive(Debug)]
pub(super) struct IgnoreFile {
    /// The directory whose files it is about, absolute.
    pub(super) directory: PathBuf,
    /// What is in it.
    pub(super) content: Vec<u8>,
}

/// A regular file, open for reading.
#[derive(Debug)]
pub struct OpenFile {
    /// The file, at its beginning.
    pub file: File,
    /// Its true path, relative to the root and without links.
    pub path: PathBuf,
    /// Its length in bytes when it was opened.
    pub size: u64,
}

/// A directory, open for listing.
#[derive(Debug)]
pub struct OpenDirectory {
    directory: OwnedFd,
    /// Its true path, relative to the root and without links; empty for the root.
    pub path: PathBuf,
}

/// What a path led to.
#[derive(Debug)]
pub enum Opened {
    /// A regular file.
    File(OpenFile),
    /// A directory.
    Directory(OpenDirectory),
}

/// One name in a directory.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    /// The name alone.
    pub name: OsString,
    /// What it is; links are not followed.
    pub kind: Kind,
}

/// What a directory entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Link,
    /// A pipe, socket or device.
    Other,
}

impl Workspace {
    /// Opens the root. It fails where the kernel cannot keep paths beneath a directory (Linux before 5.6).
    ///
    /// # Errors
    /// What the system says about the directory.
    pub fn open(root: &Path) -> io::Result<Self> {
        let path = root.canonicalize()?;
        let given = std::path::absolute(root)?;
        let fd = rustix::fs::open(&path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
        let root = openat2(&fd, ".", OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty(), BENEATH)?;
        let above = ignore_files_above(&path);
        Ok(Self { root, path, given, policy: Policy::default(), places: Vec::new(), above })
    }

    /// Sets what this run may do beyond reading what is no secret, and opens the further places that it may read.
    ///
    /// # Errors
    /// What the system says about such a place.
    pub fn with_policy(self, policy: Policy) -> io::Result<Self> {
        let places = policy.places().iter().map(|path| Place::open(path)).collect::<io::Result<_>>()?;
        Ok(Self { policy, places, ..self })
    }

    /// What this run may do.
    pub(super) fn policy(&self) -> &Policy {
        &self.policy
    }

    /// The root's own path, absolute and without links.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn ignore_files_above(&self) -> &[IgnoreFile] {
        &self.above
    }

    /// Fails if a file of this name is not to be read in this run. `path` is a true path, as opening tells it.
    pub(super) fn check_read(&self, path: &Path) -> Result<(), Withheld> {
        self.policy.check_read(path)
    }

    /// Opens a regular file for reading.
    ///
    /// # Errors
    /// Why it cannot be opened, in words for the model.
    pub fn open_file(&self, path: &str) -> Result<OpenFile, Refusal> {
        match self.open_any(path)? {
            Opened::File(file) => Ok(file),
            Opened::Directory(directory) => Err(Refusal::new(
                "is_a_directory",
                format!("{} is a directory; list_files shows what is in it", paths::shown(&directory.path)),
            )),
        }
    }

    /// Opens a regular file or a directory.
    ///
    /// # Errors
    /// Why it cannot be opened, in words for the model.
    pub fn open_any(&self, path: &str) -> Result<Opened, Refusal> {
        let literal = self.relative(OsStr::new(path))?;
        match self.open_relative(&literal) {
            Err(Fault::Errno(Errno::NOENT)) => {
                let escaped = names::unescape(path).filter(|_| path.contains('\\'));
                let Some(escaped) = escaped else { return Err(self.missing(&literal)) };
                let meant = self.relative(&escaped)?;
                self.open_relative(&meant).map_err(|fault| self.refusal(&meant, &fault))
            }
            other => other.map_err(|fault| self.refusal(&literal, &fault)),
        }
    }

    /// Opens a directory that a walk came upon; `path` is a true path.
    pub(super) fn open_directory(&self, path: &Path) -> Result<OpenDirectory, Fault> {
        let directory = self.open_plain(path, CAREFUL | OFlags::DIRECTORY)?;
        refuse_kernel_files(&directory)?;
        Ok(OpenDirectory { directory, path: path.to_owned() })
    }

    /// Opens what a directory says is a regular file; `path` is a true path. Whoever puts something else there meanwhile
    /// gains that a pipe is opened without waiting for a writer, and closed again.
    pub(super) fn open_found(&self, path: &Path) -> Result<OpenFile, Fault> {
        self.check_read(path).map_err(|why| Fault::Withheld(path.to_owned(), why))?;
        let file = self.open_plain(path, CAREFUL)?;
        let stat = fstat(&file)?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err(Fault::NotAFile);
        }
        refuse_kernel_files(&file)?;
        let size = u64::try_from(stat.st_size).unwrap_or_default();
        Ok(OpenFile { file: File::from(file), path: path.to_owned(), size })
    }

    /// Up to `limit` bytes of a regular file; nothing if there is none, or it cannot be read. `path` is a true path.
    pub(super) fn head_of(&self, path: &Path, limit: u64) -> Vec<u8> {
        let mut bytes = Vec::new();
        if let Ok(Opened::File(found)) = self.open_true(path) {
            // A file that fails midway counts as far as it came.
            drop(found.file.take(limit).read_to_end(&mut bytes));
        }
        bytes
    }

    fn relative(&self, path: &OsStr) -> Result<PathBuf, Refusal> {
        paths::relative(path, [&self.path, &self.given], &|path| self.is_in_place(path))
    }

    fn open_relative(&self, path: &Path) -> Result<Opened, Fault> {
        let named = paths::plain(path);
        let climbs = path.components().any(|component| component == Component::ParentDir);
        let mut real = if climbs { self.real(path)? } else { named.clone() };
        for _ in 0..MAX_TRIES {
            match self.open_true(&real) {
                Err(Fault::Errno(Errno::LOOP)) => real = self.real(path)?,
                Ok(Opened::File(_)) if path.as_os_str().as_bytes().ends_with(b"/") => return Err(Errno::NOTDIR.into()),
                Ok(Opened::File(file)) => {
                    self.check_read(&named).map_err(|why| Fault::Withheld(named, why))?;
                    return Ok(Opened::File(file));
                }
                other => return other,
            }
        }
        Err(Errno::AGAIN.into())
    }

    /// Opens by a path without links. What it is, is known before it is opened for reading: opening a pipe or a
    /// device can already do something.
    fn open_true(&self, path: &Path) -> Result<Opened, Fault> {
        let seen = self.open_plain(path, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC)?;
        match FileType::from_raw_mode(fstat(&seen)?.st_mode) {
            FileType::Directory => return self.open_directory(path).map(Opened::Directory),
            FileType::Symlink => return Err(Errno::LOOP.into()),
            FileType::RegularFile => {}
            _ => return Err(Fault::NotAFile),
        }
        self.open_found(path).map(Opened::File)
    }

    /// The one call that opens: beneath the root or a further place, through no link.
    fn open_plain(&self, path: &Path, flags: OFlags) -> Result<OwnedFd, Fault> {
        let (base, path) = self.base(path)?;
        for _ in 0..MAX_TRIES {
            match openat2(base, path, flags, Mode::empty(), BENEATH) {
                Err(Errno::AGAIN | Errno::INTR) => {}
                other => return other.map_err(Fault::Errno),
            }
        }
        Err(Errno::AGAIN.into())
    }

    /// The path with all its links resolved. Only a proposal: it is opened through no link, so if it has become
    /// wrong meanwhile, opening it fails.
    fn real(&self, path: &Path) -> Result<PathBuf, Fault> {
        let foot = self.foot(path);
        let mut real = foot.clone();
        let rest = path.strip_prefix(&foot).unwrap_or(path);
        let mut pending: VecDeque<OsString> = rest.iter().map(OsStr::to_owned).collect();
        let mut links = 0;
        while let Some(name) = pending.pop_front() {
            match name.as_bytes() {
                b"." => continue,
                b".." if real != foot && real.pop() => continue,
                b".." => return Err(Errno::XDEV.into()),
                _ => real.push(&name),
            }
            let Some(target) = self.link_target(&real)? else { continue };
            links += 1;
            if links > MAX_LINKS {
                return Err(Fault::LinkLoop);
            }
            real.pop();
            let target = if target.is_absolute() {
                real.clone_from(&foot);
                let own = if foot.as_os_str().is_empty() { [&self.path, &self.given] } else { [&foot, &foot] };
                let beneath = own.iter().find_map(|own| target.strip_prefix(own).ok());
                beneath.ok_or(Fault::Errno(Errno::XDEV))?
            } else {
                &target
            };
            target.iter().rev().for_each(|name| pending.push_front(name.to_owned()));
        }
        Ok(real)
    }

    fn link_target(&self, path: &Path) -> Result<Option<PathBuf>, Fault> {
        let fd = self.open_plain(path, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC)?;
        if FileType::from_raw_mode(fstat(&fd)?.st_mode) != FileType::Symlink {
            return Ok(None);
        }
        // The links of procfs lead elsewhere than their text says.
        refuse_kernel_files(&fd)?;
        let target = readlinkat(&fd, "", Vec::new())?;
        Ok(Some(PathBuf::from(OsStr::from_bytes(target.as_bytes()))))
    }

    fn refusal(&self, path: &Path, fault: &Fault) -> Refusal {
        if let Fault::Errno(Errno::NOENT) = fault { self.missing(path) } else { fault.about(path) }
    }

    pub(super) fn missing(&self, path: &Path) -> Refusal {
        let near = self.near(path).unwrap_or_default();
        let hint = if near.is_empty() { String::new() } else { format!("; near names: {}", near.join(", ")) };
        Refusal::new("not_found", format!("{} does not exist{hint}", paths::shown(path)))
    }

    /// Names like the first part of the path that is missing, from the directory where it would be.
    fn near(&self, path: &Path) -> Option<Vec<String>> {
        let path = paths::plain(path);
        let wanted =
            path.ancestors().find(|p| p.parent().is_some_and(|parent| self.open_relative_directory(parent)))?;
        let directory = wanted.parent()?;
        let real = self.real(directory).ok()?;
        let entries = self.open_directory(&real).ok()?.entries().ok()?;
        let others = entries.iter().filter(|entry| Some(entry.name.as_os_str()) != wanted.file_name());
        let names = others.map(|entry| names::escape(Path::new(&entry.name)).into_owned());
        let near = distance::nearest(&wanted.file_name()?.to_string_lossy(), names, 3);
        Some(near.iter().map(|name| paths::shown(&directory.join(name)).into_owned()).collect())
    }

    fn open_relative_directory(&self, path: &Path) -> bool {
        path.as_os_str().is_empty() || matches!(self.open_relative(path), Ok(Opened::Directory(_)))
    }
}

impl OpenDirectory {
    /// What is in the directory, sorted by name.
    pub(super) fn entries(&self) -> Result<Vec<Entry>, Fault> {
        let mut entries = Vec::new();
        for entry in Dir::read_from(&self.directory)? {
            let entry = entry?;
            let name = entry.file_name();
            if entries.len() == MAX_ENTRIES {
                break;
            }
            if name != c"." && name != c".." {
                let kind = match entry.file_type() {
                    FileType::Unknown => statat(&self.directory, name, AtFlags::SYMLINK_NOFOLLOW)
                        .map_or(Kind::Other, |stat| kind(FileType::from_raw_mode(stat.st_mode))),
                    known => kind(known),
                };
                entries.push(Entry { name: OsStr::from_bytes(name.to_bytes()).to_owned(), kind });
            }
        }
        entries.sort();
        Ok(entries)
    }
}

fn refuse_kernel_files(fd: impl AsFd) -> Result<(), Fault> {
    let kind = fstatfs(fd)?.f_type;
    if KERNEL_FILES.contains(&kind) { Err(Fault::KernelFiles) } else { Ok(()) }
}

fn kind(file_type: FileType) -> Kind {
    match file_type {
        FileType::RegularFile => Kind::File,
        FileType::Directory => Kind::Directory,
        FileType::Symlink => Kind::Link,
        _ => Kind::Other,
    }
}

/// The repository around the root says what is ignored in it, its own list of excludes first. These files are the
/// only ones outside the root that are read, and nothing of them is shown.
fn ignore_files_above(root: &Path) -> Vec<IgnoreFile> {
    let Some(repository) = root.ancestors().find(|directory| directory.join(".git").symlink_metadata().is_ok()) else {
        return Vec::new();
    };
    let mut files = vec![(repository, repository.join(".git/info/exclude"))];
    let mut between: Vec<&Path> =
        root.ancestors().skip(1).take_while(|directory| directory.starts_with(repository)).collect();
    between.reverse();
    files.extend(between.into_iter().flat_map(|d| IGNORE_FILES.map(|name| (d, d.join(name)))));
    files
        .into_iter()
        .filter_map(|(directory, file)| {
            let content = small_file(&file).ok()?;
            Some(IgnoreFile { directory: directory.to_owned(), content })
        })
        .collect()
}

fn small_file(path: &Path) -> io::Result<Vec<u8>> {
    let file = rustix::fs::open(path, CAREFUL | OFlags::NOFOLLOW, Mode::empty())?;
    let mut content = Vec::new();
    if FileType::from_raw_mode(fstat(&file)?.st_mode) == FileType::RegularFile {
        File::from(file).take(IGNORE_FILE_LIMIT).read_to_end(&mut content)?;
    }
    Ok(content)
}
