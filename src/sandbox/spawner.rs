//! The spawner: this same program, started anew with a clean environment, which starts children when it is told to and
//! says how they ended. It ends when the stream to it does, and nothing that it started outlives it.
#![expect(clippy::disallowed_methods, reason = "the spawner is a process, too")]

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::fs::DirBuilderExt as _;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command as Program, Stdio};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tempfile::TempDir;

use super::channel::{Request, Started, receive, receive_finished, send, send_finished};
use super::child::{Confinement, Walls};
use super::fence::{Fence, version};
use super::filter::Filter;
use super::running::Running;
use super::{Command, End, Finished, Level, Rules, world};
use crate::base::stop::Stopper;
use crate::base::{clock, env, signals, stdio};

/// What this program is called when it is the spawner.
const NAME: &str = "flux: spawner";
/// How long building the sandbox may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often a run that waits for a child looks whether it is to end.
const GLANCE: Timespec = Timespec { tv_sec: 0, tv_nsec: 20_000_000 };
/// How long the spawner may take to end.
const FAREWELL: Duration = Duration::from_secs(1);
/// The least version of Landlock that holds beside namespaces, and without them: there it must know of truncation.
const LEAST: [i64; 2] = [1, 3];
/// The version of Landlock that keeps signals in.
const SIGNALS: i64 = 6;

/// The directories that children have for themselves.
#[derive(Debug)]
pub(super) struct Private {
    /// Their home directory.
    pub(super) home: PathBuf,
    /// Their directory for temporary files.
    pub(super) temporary: PathBuf,
    /// What they may change besides the workspace.
    pub(super) writable: Vec<PathBuf>,
}

/// This program's side.
pub(super) struct Handle {
    child: Child,
    stream: UnixStream,
}

impl Handle {
    /// Starts a spawner that builds this sandbox, unless `stop` ends the run before. Returns what the sandbox leaves open.
    ///
    /// # Errors
    /// Why it cannot, in words.
    pub(super) fn start(rules: &Rules, level: Level, stop: &Stopper) -> Result<(Self, Vec<String>), String> {
        let mut handle = Self::launch().map_err(|error| format!("no process to start others: {error}"))?;
        match handle.ask(rules, level, stop) {
            Ok(Started::Ready(gaps)) => Ok((handle, gaps)),
            Ok(Started::Refused(why)) => Err(why),
            Err(error) => Err(format!("the process that starts others does not answer: {error}")),
        }
    }

    fn launch() -> io::Result<Self> {
        let (stream, theirs) = UnixStream::pair()?;
        let child = Program::new("/proc/self/exe")
            .arg0(NAME)
            .env_clear()
            .env("TMPDIR", env::temporary_dir())
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        Ok(Self { child, stream })
    }

    fn ask(&mut self, rules: &Rules, level: Level, stop: &Stopper) -> io::Result<Started> {
        send(&mut self.stream, &Request::Start { rules: rules.clone(), level })?;
        let until = clock::now() + PATIENCE;
        while !stop.wait_for(Some((self.stream.as_fd(), PollFlags::IN)), until.saturating_duration_since(clock::now()))
        {
            if clock::now() >= until || stop.stopped().is_some() {
                return Err(io::ErrorKind::TimedOut.into());
            }
        }
        receive(&mut self.stream)
    }

    /// Runs a program to its end.
    ///
    /// # Errors
    /// The spawner has died.
    pub(super) fn run(&mut self, command: &Command, stop: &(dyn Fn() -> bool + Sync)) -> io::Result<Finished> {
        send(&mut self.stream, &Request::Run(command.clone()))?;
        let mut stopped = false;
        loop {
            let mut fds = [PollFd::from_borrowed_fd(self.stream.as_fd(), PollFlags::IN)];
            if poll(&mut fds, Some(&GLANCE)).is_ok_and(|ready| ready > 0) {
                return receive_finished(&mut self.stream);
            }
            if !stopped && stop() {
                stopped = true;
                send(&mut self.stream, &Request::Stop)?;
            }
        }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        let _ = self.stream.shutdown(std::net::Shutdown::Both);
        let until = clock::now() + FAREWELL;
        while clock::now() < until && matches!(self.child.try_wait(), Ok(None)) {
            clock::pause(Duration::from_millis(1));
        }
    }
}

/// Whether this process was started to be the spawner.
#[must_use]
pub fn is_spawner(name: Option<&OsStr>) -> bool {
    name == Some(OsStr::new(NAME))
}

/// Is the spawner until the stream on stdin ends.
pub fn serve() {
    stdio::close_from(3);
    signals::reset();
    let _ = rustix::process::setsid();
    raise_open_files();
    let Ok(stream) = stdio::duplicate(0).map(|file| UnixStream::from(OwnedFd::from(file))) else { return };
    // An error is the end of the stream: this program has ended.
    let _ = answer(stream);
}

/// As many open files as this process may have: children get fewer.
fn raise_open_files() {
    let limit = getrlimit(Resource::Nofile);
    // Best effort: the sandbox does with less, and says so where it cannot.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
}

fn answer(mut stream: UnixStream) -> io::Result<()> {
    let Request::Start { rules, level } = receive(&mut stream)? else { return Ok(()) };
    let mut spawner = match Spawner::build(rules, level) {
        Ok(spawner) => spawner,
        Err(why) => return send(&mut stream, &Started::Refused(why)),
    };
    send(&mut stream, &Started::Ready(spawner.gaps()))?;
    loop {
        // A request to stop may come when the program has just ended by itself.
        if let Request::Run(command) = receive(&mut stream)? {
            let finished = spawner.run(&command, &mut stream)?;
            send_finished(&mut stream, &finished)?;
        }
    }
}

/// The spawner's side.
struct Spawner {
    rules: Rules,
    confinement: Confinement,
    /// Removed when the spawner ends.
    _temporary: Option<TempDir>,
}

impl Spawner {
    /// Builds the sandbox and tries it out.
    fn build(mut rules: Rules, level: Level) -> Result<Self, String> {
        check(level, &rules)?;
        let (private, temporary) = if level == Level::Namespaces {
            (world::enter(&rules)?, None)
        } else {
            rustix::process::set_child_subreaper(rustix::process::Pid::from_raw(1))
                .map_err(|error| format!("no way to end what children leave behind: {error}"))?;
            let (private, temporary) =
                on_disk().map_err(|error| format!("no directory for temporary files: {error}"))?;
            (private, Some(temporary))
        };
        if level == Level::Landlock && !rules.forbidden.is_empty() {
            rules.writable.clear();
        }
        rules.env.extend(environment(&rules, level, &private));
        let walls = if level == Level::Off { None } else { Some(walls(&rules, level, &private)?) };
        let confinement = Confinement { level, walls };
        let mut spawner = Self { rules, confinement, _temporary: temporary };
        spawner.try_out()?;
        Ok(spawner)
    }

    /// A sandbox that cannot hold a program is found out before a request is paid for.
    fn try_out(&mut self) -> Result<(), String> {
        let (mut nobody, _other) = UnixStream::pair().map_err(|error| error.to_string())?;
        let trial = Command {
            program: "/".into(),
            argv: vec!["/".into()],
            stdin: Vec::new(),
            env: Vec::new(),
            timeout: PATIENCE,
            keep: 0,
            trusted: false,
        };
        // A directory is no program: everything but the last step is done.
        match self.run(&trial, &mut nobody).map_err(|error| error.to_string())?.end {
            End::NotStarted(libc::EACCES) => Ok(()),
            End::Broken(why) => Err(format!("no child in it: {why}")),
            other => Err(format!("no child in it: {other:?}")),
        }
    }

    fn run(&mut self, command: &Command, stream: &mut UnixStream) -> io::Result<Finished> {
        match Running::start(command, &self.rules, &self.confinement) {
            Ok(running) => running.finish(stream),
            Err(error) => Ok(Finished {
                end: End::Broken(format!("no process: {error}")),
                stdout: super::Capture::default(),
                stderr: super::Capture::default(),
            }),
        }
    }

    /// What this sandbox leaves open, compared to a full one.
    fn gaps(&self) -> Vec<String> {
        let mut gaps = Vec::new();
        let mut gap = |is_open: bool, what: &str| gaps.extend(is_open.then(|| what.to_owned()));
        let level = self.confinement.level;
        if level == Level::Off {
            return gaps;
        }
        let alone = level == Level::Landlock;
        gap(alone, "other processes' names and arguments can be seen");
        gap(alone, "modes and times of the user's own files outside can be changed");
        gap(alone, "the user's own processes can be slowed down");
        gap(alone, "what a command leaves running ends with the run, unless flux itself is killed");
        gap(alone, "protected names are watched, not read-only");
        let hidden = !self.rules.hidden.is_empty();
        gap(alone && hidden, "a directory that holds a secret keeps the entries that it has");
        let forbidden = !self.rules.forbidden.is_empty();
        gap(alone && forbidden, "a denial to change files takes namespaces, so programs can change none");
        gap(alone && version() < SIGNALS, "the user's own processes can be signalled");
        gaps
    }
}

fn walls(rules: &Rules, level: Level, private: &Private) -> Result<Walls, String> {
    let alone = level == Level::Landlock;
    let fence = Fence::of_children(rules, alone, &private.writable);
    let fence = fence.map_err(|error| format!("no Landlock rules: {error}"))?;
    let filter = Filter::compile(rules.net, alone).map_err(|error| format!("no seccomp filter: {error}"))?;
    Ok(Walls { fence, filter, memory: memory() })
}

fn check(level: Level, rules: &Rules) -> Result<(), String> {
    let least = match level {
        Level::Off => return Ok(()),
        Level::Namespaces => LEAST[0],
        Level::Landlock => LEAST[1],
    };
    if rules.root.parent().is_none() {
        return Err("the root is /, so nothing would be outside: name a directory with --root".to_owned());
    }
    match version() {
        0 => Err("this kernel has no Landlock".to_owned()),
        version if version < least => {
            Err(format!("this kernel's Landlock is version {version}; without namespaces it takes {least}"))
        }
        _ => Ok(()),
    }
}

/// Private directories on disk.
fn on_disk() -> io::Result<(Private, TempDir)> {
    let directory = tempfile::Builder::new().prefix("flux-").tempdir()?;
    let path = directory.path().canonicalize()?;
    let (home, temporary) = (path.join("home"), path.join("tmp"));
    for path in [&home, &temporary] {
        std::fs::DirBuilder::new().mode(0o700).create(path)?;
    }
    Ok((Private { home, temporary, writable: vec![path] }, directory))
}

/// What only the sandbox knows of the environment.
fn environment(rules: &Rules, level: Level, private: &Private) -> Vec<(OsString, OsString)> {
    let pair = |name: &str, path: &Path| (OsString::from(name), path.as_os_str().to_owned());
    let mut environment = vec![pair("HOME", &private.home), pair("TMPDIR", &private.temporary)];
    let is_fixed = !rules.writable.contains(&rules.root) || (level == Level::Landlock && !rules.hidden.is_empty());
    if level != Level::Off && is_fixed {
        // A build cannot add a directory to the workspace.
        environment.push(pair("CARGO_TARGET_DIR", &private.temporary.join("target")));
    }
    environment
}

/// Three quarters of this machine's memory.
fn memory() -> Option<u64> {
    let system = rustix::system::sysinfo();
    system.totalram.checked_mul(u64::from(system.mem_unit)).map(|bytes| bytes / 4 * 3)
}
