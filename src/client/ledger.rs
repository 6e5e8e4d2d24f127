//! The one door to the file that runs share their pace through: `$XDG_RUNTIME_DIR/flux/HASH`, one for each key and
//! origin. Locked by the system, so that a run that is killed frees it at once; never waited for longer than ten
//! seconds; and whatever is wrong with it, the run goes on by itself.

use std::fmt::Display;
use std::fs::{DirBuilder, File, Metadata, OpenOptions, TryLockError};
use std::io::{self, Read as _};
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::OFlags;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::throttle::Pace;
use crate::base::clock;
use crate::base::secret::Secret;
use crate::base::stop::Stopper;
use crate::base::text;

const FORMAT: &str = "flux-limits/1";
const LOCK_WAIT: Duration = Duration::from_secs(10);
const LARGEST: u64 = 64 << 10;

/// The first line of the file.
#[derive(Serialize, Deserialize)]
struct Content {
    format: String,
    /// Which start of the machine the times are of.
    boot: String,
    pace: Pace,
}

#[derive(Deserialize)]
struct Format {
    format: String,
}

/// Why the pace cannot be shared.
#[derive(Debug)]
pub(super) enum Trouble {
    /// There is nothing to share it through, or the run is to end: nothing to talk about.
    Quiet,
    /// Nobody has had anything to share yet.
    Absent,
    /// A person may want to know.
    Because(String),
}

/// The shared file of one key and origin.
#[derive(Debug, Clone)]
pub struct Ledger {
    file: PathBuf,
    boot: String,
}

/// The file under its lock.
#[derive(Debug)]
pub(super) struct Locked<'a> {
    file: File,
    ledger: &'a Ledger,
}

impl Ledger {
    /// The ledger for this key at this origin, beneath `$XDG_RUNTIME_DIR`; neither can be told from its name.
    #[must_use]
    pub fn new(runtime_dir: &Path, key: Option<&Secret>, origin: &str) -> Self {
        let mut hash = Sha256::new();
        hash.update(b"flux limits\0");
        hash.update(origin.as_bytes());
        hash.update(b"\0");
        hash.update(key.map_or("", Secret::expose).as_bytes());
        let name = text::hex(&hash.finalize()[..16]);
        Self { file: runtime_dir.join("flux").join(name), boot: clock::boot_id() }
    }

    /// Locks the file and reads the shared pace, if it holds one. A file is made only with `create`: where no server
    /// has limits, no run leaves anything behind.
    pub(super) fn lock(&self, create: bool, stop: &Stopper) -> Result<(Locked<'_>, Option<Pace>), Trouble> {
        let folder = self.file.parent().unwrap_or(Path::new("/"));
        let base = folder.parent().unwrap_or(Path::new("/"));
        // No directory of this user's own: none at all.
        if !base.metadata().is_ok_and(|metadata| metadata.is_dir() && is_own(&metadata)) {
            return Err(Trouble::Quiet);
        }
        if !create && self.file.symlink_metadata().is_err() {
            return Err(Trouble::Absent);
        }
        let mut file = self.open(folder).map_err(|error| self.because(error))?;
        self.wait_for_lock(&file, stop)?;
        let pace = self.read(&mut file)?;
        Ok((Locked { file, ledger: self }, pace))
    }

    fn because(&self, what: impl Display) -> Trouble {
        Trouble::Because(format!("{}: {what}", self.file.display()))
    }

    fn open(&self, folder: &Path) -> io::Result<File> {
        match DirBuilder::new().mode(0o700).create(folder) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        let metadata = folder.symlink_metadata()?;
        if !metadata.is_dir() || !is_own(&metadata) {
            return Err(io::Error::other("its directory can be written by others"));
        }
        let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let flags = i32::try_from(flags.bits()).unwrap_or(0);
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600).custom_flags(flags);
        let file = options.open(&self.file)?;
        let metadata = file.metadata()?;
        if !metadata.is_file() || !is_own(&metadata) || metadata.len() > LARGEST {
            return Err(io::Error::other("not a file that flux has made"));
        }
        Ok(file)
    }

    fn wait_for_lock(&self, file: &File, stop: &Stopper) -> Result<(), Trouble> {
        let start = clock::now();
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(()),
                Err(TryLockError::WouldBlock) if start.elapsed() < LOCK_WAIT => {}
                Err(TryLockError::WouldBlock) => return Err(self.because("locked for too long")),
                Err(TryLockError::Error(error)) => return Err(self.because(error)),
            }
            if stop.sleep(Duration::from_micros(fastrand::u64(500..5000))).is_some() {
                return Err(Trouble::Quiet);
            }
        }
    }

    /// What the file holds. One that is empty, torn or of an earlier start of the machine holds nothing; one of a
    /// newer flux is left alone.
    fn read(&self, file: &mut File) -> Result<Option<Pace>, Trouble> {
        let mut text = Vec::new();
        file.take(LARGEST).read_to_end(&mut text).map_err(|error| self.because(error))?;
        let line = text.split(|byte| *byte == b'\n').next().unwrap_or_default();
        let found = serde_json::from_slice::<Format>(line).ok();
        if found.is_some_and(|found| found.format != FORMAT) {
            return Err(self.because("written by another version of flux"));
        }
        let content = serde_json::from_slice::<Content>(line).ok();
        Ok(content.filter(|content| content.boot == self.boot).map(|content| content.pace))
    }
}

impl Locked<'_> {
    /// Writes the pace; the lock ends with the value.
    pub(super) fn save(self, pace: &Pace) -> Result<(), Trouble> {
        let content = Content { format: FORMAT.to_owned(), boot: self.ledger.boot.clone(), pace: pace.clone() };
        let mut line = serde_json::to_string(&content).map_err(|error| self.ledger.because(error))?;
        line.push('\n');
        // Only the first line counts, so what is left behind it of a longer one does no harm.
        self.file.write_all_at(line.as_bytes(), 0).map_err(|error| self.ledger.because(error))
    }
}

/// Of this user, and written by nobody else.
fn is_own(metadata: &Metadata) -> bool {
    metadata.uid() == rustix::process::geteuid().as_raw() && metadata.mode() & 0o022 == 0
}
