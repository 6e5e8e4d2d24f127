//! Floor 1: running programs so that they can do no more than the command line permits, and keeping this program
//! itself to the files it needs. The kernel holds the line: namespaces where they can be had, Landlock, seccomp.
//!
//! Children are not this process's own: a spawner, started with a clean environment before any key is read, makes
//! them and collects what they print, so no child ever has an ancestor that holds a key. Nothing here knows what a
//! tool, a grant or a model is.

mod capture;
mod channel;
mod child;
mod descendants;
mod fence;
mod filter;
mod own;
mod privileges;
mod running;
mod spawner;
mod world;

use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::base::exit::Exit;
use crate::base::failure::{Failure, Result};
use crate::base::stop::Stopper;

pub use capture::Capture;
pub use fence::{PROGRAMS, PUBLIC};
pub use own::{OwnNeeds, conceal, lock};
pub use spawner::{is_spawner, serve};

/// What children may do. All paths but those of links are absolute and real.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Rules {
    /// Where children start; they may read what is in it.
    #[serde(with = "channel::path")]
    pub root: PathBuf,
    /// Directories and files beneath the root that children may change.
    #[serde(with = "channel::paths")]
    pub writable: Vec<PathBuf>,
    /// Existing files and directories beneath the root that stay as they are all the same.
    #[serde(with = "channel::paths")]
    pub protected: Vec<PathBuf>,
    /// Those of them that the user forbids to change: where they cannot be kept as they are, children change nothing.
    #[serde(with = "channel::paths")]
    pub forbidden: Vec<PathBuf>,
    /// Existing files and directories beneath the root that children cannot read.
    #[serde(with = "channel::paths")]
    pub hidden: Vec<PathBuf>,
    /// Further places to read and execute from.
    #[serde(with = "channel::paths")]
    pub readable: Vec<PathBuf>,
    /// Links by which programs in those places are found; only what they lead to is opened.
    #[serde(with = "channel::paths")]
    pub links: Vec<PathBuf>,
    /// Existing files and directories outside the root that stay closed, in those places or in the system's own.
    #[serde(with = "channel::paths")]
    pub unreadable: Vec<PathBuf>,
    /// Children may open sockets.
    pub net: bool,
    /// The environment of children, but for what lies in the private directories: HOME, TMPDIR, and what a build makes
    /// where it cannot write to the workspace.
    pub env: Vec<(OsString, OsString)>,
    /// Directories that children find empty, but for what else is named here: the user's home.
    #[serde(with = "channel::paths")]
    pub empty: Vec<PathBuf>,
}

/// How much of a sandbox is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// As much as can be had, but never none.
    Auto,
    /// With namespaces, or nothing runs.
    Strict,
    /// None.
    Off,
}

/// What keeps children in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Level {
    /// Namespaces of their own for mounts, processes and network, together with Landlock and seccomp.
    Namespaces,
    /// Landlock and seccomp alone.
    Landlock,
    /// Nothing but a clean environment.
    Off,
}

impl Level {
    /// Its name for people and transcripts.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Namespaces => "namespaces",
            Self::Landlock => "landlock",
            Self::Off => "off",
        }
    }
}

/// One program to run.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Command {
    /// The file that is executed, absolute.
    #[serde(with = "channel::path")]
    pub program: PathBuf,
    /// Its arguments, the name that it goes by first.
    pub argv: Vec<OsString>,
    /// What it reads on stdin.
    pub stdin: Vec<u8>,
    /// What its environment has besides [`Rules::env`].
    pub env: Vec<(OsString, OsString)>,
    /// How long it may run.
    pub timeout: Duration,
    /// Bytes kept at the head and at the tail of each of its two streams.
    pub keep: usize,
    /// It runs outside the sandbox.
    pub trusted: bool,
}

/// How a program ended, and what it printed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finished {
    /// How it ended.
    pub end: End,
    /// What it wrote to stdout.
    pub stdout: Capture,
    /// What it wrote to stderr.
    pub stderr: Capture,
}

/// How a program ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum End {
    /// With this exit code.
    Exited(i32),
    /// By this signal.
    Killed(i32),
    /// It was ended because its time was up.
    TimedOut,
    /// It was ended because it printed too much.
    TooMuchOutput,
    /// It was ended because the run ends.
    Stopped,
    /// It could not be started: an error number of the system.
    NotStarted(i32),
    /// The sandbox failed, so nothing ran.
    Broken(String),
}

/// The place where children run.
pub struct Sandbox {
    spawner: Mutex<spawner::Handle>,
    /// Runs what is trusted, outside the sandbox.
    trusted: Option<Mutex<spawner::Handle>>,
    level: Level,
    gaps: Vec<String>,
}

impl Sandbox {
    /// Builds as much of a sandbox as is wanted and tries it out. It must be called before a key is read and before a
    /// thread starts. `trusted` makes it possible to run a [`Command`] that is trusted.
    ///
    /// # Errors
    /// The sandbox that is wanted cannot be built, or `stop` ends the run before it stands.
    pub fn start(rules: &Rules, wanted: Wanted, trusted: bool, stop: &Stopper) -> Result<Self> {
        let levels: &[Level] = match wanted {
            Wanted::Auto => &[Level::Namespaces, Level::Landlock],
            Wanted::Strict => &[Level::Namespaces],
            Wanted::Off => &[Level::Off],
        };
        let mut reasons: Vec<String> = Vec::new();
        for &level in levels {
            match build(rules, level, stop)? {
                Ok((handle, mut gaps)) => {
                    gaps.splice(0..0, reasons);
                    let off = (trusted && level != Level::Off).then(|| build(rules, Level::Off, stop)).transpose()?;
                    let trusted = off.transpose().map_err(|why| unbuildable(&[why]))?;
                    let trusted = trusted.map(|(handle, _)| Mutex::new(handle));
                    return Ok(Self { spawner: Mutex::new(handle), trusted, level, gaps });
                }
                Err(why) if reasons.contains(&why) => {}
                Err(why) => reasons.push(why),
            }
        }
        Err(unbuildable(&reasons))
    }

    /// What keeps children in.
    #[must_use]
    pub fn level(&self) -> Level {
        self.level
    }

    /// What a full sandbox would keep children from, but this one does not: a line each.
    #[must_use]
    pub fn gaps(&self) -> &[String] {
        &self.gaps
    }

    /// Runs a program to its end. `stop` is asked regularly; true ends it.
    #[must_use]
    pub fn run(&self, command: &Command, stop: &(dyn Fn() -> bool + Sync)) -> Finished {
        let spawner = self.trusted.as_ref().filter(|_| command.trusted).unwrap_or(&self.spawner);
        let mut spawner = spawner.lock().unwrap_or_else(PoisonError::into_inner);
        spawner.run(command, stop).unwrap_or_else(|error| {
            let end = End::Broken(format!("the process that starts programs does not answer: {error}"));
            Finished { end, stdout: Capture::default(), stderr: Capture::default() }
        })
    }
}

impl fmt::Debug for Sandbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sandbox").field("level", &self.level).field("gaps", &self.gaps).finish_non_exhaustive()
    }
}

/// A spawner and what its sandbox leaves open, or why there is none.
type Attempt = std::result::Result<(spawner::Handle, Vec<String>), String>;

/// Starts a spawner. The end of the run is no fault of the sandbox.
fn build(rules: &Rules, level: Level, stop: &Stopper) -> Result<Attempt> {
    let started = spawner::Handle::start(rules, level, stop);
    stop.stopped().map_or(Ok(started), |why| Err(why.into()))
}

fn unbuildable(reasons: &[String]) -> Failure {
    Failure::new(Exit::Sandbox, format!("the sandbox cannot be built: {}", reasons.join("; ")))
        .advice("--sandbox off runs programs without it, with all the rights that you have")
}
