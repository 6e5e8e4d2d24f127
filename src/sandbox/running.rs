//! A child that runs: its streams are read as they come, and it ends by itself, at its deadline, when it prints too
//! much, or when it is told to. What it has started ends with it.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::Stdio;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Pid, PidfdFlags, Signal, WaitOptions, kill_process, kill_process_group, pidfd_open, waitpid};

use super::capture::Recording;
use super::channel::{Request, receive};
use super::child::{self, Confinement, Streams};
use super::{Command, End, Finished, Level, Rules, descendants};
use crate::base::clock;

/// A child that prints more than this is ended.
const MOST_OUTPUT: u64 = 16 << 20;
/// How long what a child printed may still be on its way when it has ended.
const GRACE: Duration = Duration::from_millis(200);

/// A child that runs.
pub(super) struct Running {
    child: Pid,
    pidfd: OwnedFd,
    level: Level,
    deadline: Instant,
    stdin: Option<Feed>,
    outputs: [Output; 2],
    report: File,
    /// Why it was ended, if it did not end by itself.
    forced: Option<End>,
}

/// The pipe to a child and what it has still to read.
type Feed = (File, Vec<u8>);

/// One of the streams that a child writes to.
struct Output {
    pipe: Option<File>,
    recording: Recording,
}

impl Running {
    /// Starts a child.
    pub(super) fn start(command: &Command, rules: &Rules, confinement: &Confinement) -> io::Result<Self> {
        let (stdout, their_stdout) = pipe_with(PipeFlags::CLOEXEC)?;
        let (stderr, their_stderr) = pipe_with(PipeFlags::CLOEXEC)?;
        let (report, their_report) = pipe_with(PipeFlags::CLOEXEC)?;
        let (stdin, their_stdin) = input(&command.stdin)?;
        let streams = Streams { stdin: their_stdin, stdout: their_stdout, stderr: their_stderr, report: their_report };
        let deadline = clock::now() + command.timeout;
        let child = child::start(command, rules, confinement, streams)?;
        let output = |pipe: OwnedFd| Output { pipe: Some(pipe.into()), recording: Recording::new(command.keep) };
        Ok(Self {
            child,
            pidfd: pidfd_open(child, PidfdFlags::empty())?,
            level: confinement.level,
            deadline,
            stdin,
            outputs: [output(stdout), output(stderr)],
            report: report.into(),
            forced: None,
        })
    }

    /// Waits for the end of the child. `stream` is where the request to stop comes from, or its end.
    pub(super) fn finish(mut self, stream: &mut UnixStream) -> io::Result<Finished> {
        let mut is_lost = false;
        let status = loop {
            let ready = self.wait(Some(stream.as_fd()), self.deadline);
            if ready.ended {
                break waitpid(Some(self.child), WaitOptions::empty())?.map_or(0, |(_, status)| status.as_raw());
            }
            if ready.asked && self.forced.is_none() {
                is_lost = receive::<Request>(stream).is_err();
                self.kill(End::Stopped);
            }
            if clock::now() >= self.deadline {
                self.kill(End::TimedOut);
            }
            if self.outputs.iter().map(|output| output.recording.total()).sum::<u64>() > MOST_OUTPUT {
                self.kill(End::TooMuchOutput);
            }
        };
        if self.level != Level::Namespaces {
            descendants::end_all();
        }
        let until = clock::now() + GRACE;
        while self.outputs.iter().any(|output| output.pipe.is_some()) && clock::now() < until {
            self.wait(None, until);
        }
        if is_lost {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let end = self.end(status);
        let [stdout, stderr] = self.outputs.map(|output| output.recording.finish());
        Ok(Finished { end, stdout, stderr })
    }

    fn end(&mut self, status: i32) -> End {
        if let Some(forced) = self.forced.take() {
            return forced;
        }
        match (child::read_report(&mut self.report), self.level) {
            (Some(end), _) => end,
            (None, Level::Namespaces) => End::Broken("its first process was killed".to_owned()),
            (None, _) => child::ended(status),
        }
    }

    fn kill(&mut self, why: End) {
        self.forced.get_or_insert(why);
        // It may have ended meanwhile; then there is nobody to kill.
        let _ = kill_process(self.child, Signal::KILL);
        if self.level != Level::Namespaces {
            let _ = kill_process_group(self.child, Signal::KILL);
        }
    }

    /// Waits until something can be done and moves what can be moved.
    fn wait(&mut self, control: Option<BorrowedFd<'_>>, until: Instant) -> Ready {
        let until = if self.forced.is_some() { clock::now() + GRACE } else { until };
        let left = until.saturating_duration_since(clock::now());
        let left = Timespec {
            tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: i64::from(left.subsec_nanos()),
        };
        let control = control.filter(|_| self.forced.is_none());
        let mut fds = vec![PollFd::new(&self.pidfd, PollFlags::IN)];
        let optional = [
            control.map(|control| PollFd::from_borrowed_fd(control, PollFlags::IN)),
            self.stdin.as_ref().map(|(pipe, _)| PollFd::new(pipe, PollFlags::OUT)),
            self.outputs[0].pipe.as_ref().map(|pipe| PollFd::new(pipe, PollFlags::IN)),
            self.outputs[1].pipe.as_ref().map(|pipe| PollFd::new(pipe, PollFlags::IN)),
        ];
        let present: Vec<bool> = optional.iter().map(Option::is_some).collect();
        fds.extend(optional.into_iter().flatten());
        if poll(&mut fds, Some(&left)).is_err() {
            return Ready::default();
        }
        let mut events = fds.iter().map(|fd| !fd.revents().is_empty());
        let ended = events.next().unwrap_or_default();
        let ready: Vec<bool> = present.iter().map(|is| *is && events.next().unwrap_or_default()).collect();
        if ready[1] {
            self.feed();
        }
        for (output, _) in self.outputs.iter_mut().zip(&ready[2..]).filter(|(_, is_ready)| **is_ready) {
            output.read();
        }
        Ready { ended, asked: ready[0] }
    }

    /// Writes as much to stdin as it takes.
    fn feed(&mut self) {
        let Some((pipe, rest)) = &mut self.stdin else { return };
        match pipe.write(rest) {
            Ok(written) => drop(rest.drain(..written)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
            // It does not want the rest.
            Err(_) => rest.clear(),
        }
        if rest.is_empty() {
            self.stdin = None;
        }
    }
}

/// What has happened.
#[derive(Default)]
struct Ready {
    /// The child has ended.
    ended: bool,
    /// Something was asked.
    asked: bool,
}

impl Output {
    fn read(&mut self) {
        let Some(pipe) = &mut self.pipe else { return };
        let mut buffer = [0; 16 << 10];
        match pipe.read(&mut buffer) {
            Ok(0) | Err(_) => self.pipe = None,
            Ok(count) => self.recording.push(&buffer[..count]),
        }
    }
}

/// A pipe with these bytes in it, or nothing to read at all.
fn input(bytes: &[u8]) -> io::Result<(Option<Feed>, Stdio)> {
    if bytes.is_empty() {
        return Ok((None, Stdio::null()));
    }
    let (theirs, ours) = pipe_with(PipeFlags::CLOEXEC)?;
    match rustix::io::ioctl_fionbio(&ours, true) {
        Ok(()) | Err(Errno::NOTTY) => {}
        Err(error) => return Err(error.into()),
    }
    Ok((Some((ours.into(), bytes.to_vec())), Stdio::from(theirs)))
}
