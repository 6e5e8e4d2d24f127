//! One child, from fork to exec: each step takes something away that the next ones do not need. In namespaces of its
//! own it has a first process above it, which reaps what is left over and whose end is the end of all of them.
#![expect(clippy::disallowed_methods, reason = "children are made here")]

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command as Program, Stdio};

use rustix::process::{Pid, Signal, WaitOptions, chdir, set_parent_process_death_signal, setsid, wait};

use super::fence::Fence;
use super::filter::Filter;
use super::{Command, End, Level, Rules, privileges, world};
use crate::base::{signals, stdio};

/// What every child of a run has in common.
#[derive(Debug)]
pub(super) struct Confinement {
    pub(super) level: Level,
    /// Nothing keeps children of [`Level::Off`] in.
    pub(super) walls: Option<Walls>,
}

/// What keeps a child in.
#[derive(Debug)]
pub(super) struct Walls {
    pub(super) fence: Fence,
    pub(super) filter: Filter,
    /// Bytes of data that one process may have.
    pub(super) memory: Option<u64>,
}

/// The ends of the pipes that a child gets.
#[derive(Debug)]
pub(super) struct Streams {
    pub(super) stdin: Stdio,
    pub(super) stdout: OwnedFd,
    pub(super) stderr: OwnedFd,
    /// Where it says how it fared; closed by a successful exec.
    pub(super) report: OwnedFd,
}

/// Starts a child. What it says on the report pipe is for [`read_report`].
pub(super) fn start(command: &Command, rules: &Rules, confinement: &Confinement, streams: Streams) -> io::Result<Pid> {
    let own_processes = if confinement.level == Level::Namespaces { libc::CLONE_NEWPID | libc::CLONE_NEWNS } else { 0 };
    if let Some(child) = fork(own_processes)? {
        return Ok(child);
    }
    let mut report = File::from(streams.report);
    let streams = (streams.stdin, streams.stdout, streams.stderr);
    let error = if confinement.level == Level::Namespaces {
        match first_process(&report) {
            Ok(()) => become_program(command, rules, confinement, streams),
            Err(error) => Fault::Broken(error),
        }
    } else {
        become_program(command, rules, confinement, streams)
    };
    let _ = report.write_all(&error.message());
    signals::exit(1)
}

/// Makes this process the first one of its namespace: it starts another one, in which this function returns, and ends
/// when that one has ended.
fn first_process(report: &File) -> io::Result<()> {
    set_parent_process_death_signal(Some(Signal::KILL))?;
    world::mount_processes()?;
    let Some(child) = fork(0)? else { return Ok(()) };
    // An end of a pipe that stays open here would keep the child waiting at the other one.
    stdio::close_all_but(report.as_fd());
    privileges::drop_all()?;
    loop {
        let Some((pid, status)) = wait(WaitOptions::empty())? else { continue };
        if pid == child {
            let mut report = report;
            let _ = report.write_all(&message(b'E', status.as_raw()));
            signals::exit(0);
        }
    }
}

/// Why a child did not become the program.
enum Fault {
    /// The sandbox could not be put around it.
    Broken(io::Error),
    /// The system could not start the program.
    NotStarted(io::Error),
}

impl Fault {
    fn message(&self) -> [u8; 5] {
        match self {
            Self::Broken(error) => message(b'B', error.raw_os_error().unwrap_or(0)),
            Self::NotStarted(error) => message(b'N', error.raw_os_error().unwrap_or(libc::EINVAL)),
        }
    }
}

fn message(tag: u8, number: i32) -> [u8; 5] {
    let [a, b, c, d] = number.to_le_bytes();
    [tag, a, b, c, d]
}

/// What a child said before it became the program or instead, or how its first process saw it end.
pub(super) fn read_report(report: &mut File) -> Option<End> {
    let mut message = [0; 5];
    report.read_exact(&mut message).ok()?;
    let [tag, number @ ..] = message;
    let number = i32::from_le_bytes(number);
    match tag {
        b'N' => Some(End::NotStarted(number)),
        b'E' => Some(ended(number)),
        _ if number == 0 => Some(End::Broken("the kernel refuses a rule of the sandbox".to_owned())),
        _ => Some(End::Broken(io::Error::from_raw_os_error(number).to_string())),
    }
}

/// How a process ended, from its wait status.
pub(super) fn ended(status: i32) -> End {
    if libc::WIFSIGNALED(status) { End::Killed(libc::WTERMSIG(status)) } else { End::Exited(libc::WEXITSTATUS(status)) }
}

fn become_program(
    command: &Command,
    rules: &Rules,
    confinement: &Confinement,
    (stdin, stdout, stderr): (Stdio, OwnedFd, OwnedFd),
) -> Fault {
    let seconds = command.timeout.as_secs();
    if let Err(error) = confine(confinement, seconds).and_then(|()| Ok(chdir(&rules.root)?)) {
        return Fault::Broken(error);
    }
    let mut program = Program::new(&command.program);
    let (name, arguments) = command.argv.split_first().map_or((None, &[][..]), |(name, rest)| (Some(name), rest));
    program.arg0(name.unwrap_or(&command.program.clone().into_os_string())).args(arguments);
    program.env_clear().envs(rules.env.iter().cloned()).envs(command.env.iter().cloned());
    program.stdin(stdin).stdout(stdout).stderr(stderr);
    Fault::NotStarted(program.exec())
}

fn confine(confinement: &Confinement, seconds: u64) -> io::Result<()> {
    setsid()?;
    let Some(walls) = &confinement.walls else { return Ok(()) };
    set_parent_process_death_signal(Some(Signal::KILL))?;
    privileges::limit(seconds, walls.memory)?;
    privileges::drop_all()?;
    let mut fence = walls.fence.share()?;
    // The directory of a child's own processes is a new one each time.
    fence.permit(Path::new("/proc"), super::fence::reading())?;
    fence.enforce()?;
    walls.filter.enforce()
}

/// Forks, into new namespaces where `flags` say so. Returns the child's id in the parent, nothing in the child.
pub(super) fn fork(flags: i32) -> io::Result<Option<Pid>> {
    #[expect(unsafe_code, reason = "no crate at hand forks into namespaces")]
    // SAFETY: this process has one thread, so no lock is held by another one that the child would not have; without a
    // stack given, the child goes on with a copy of this one.
    let child = unsafe {
        libc::syscall(libc::SYS_clone, libc::c_long::from(flags | libc::SIGCHLD), 0_usize, 0_usize, 0_usize, 0_usize)
    };
    match i32::try_from(child) {
        Ok(0) => Ok(None),
        Ok(pid) if pid > 0 => Ok(Pid::from_raw(pid)),
        _ => Err(io::Error::last_os_error()),
    }
}
