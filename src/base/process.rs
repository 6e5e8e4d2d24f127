//! The one door to processes. It knows nothing of why a program is run.
#![expect(clippy::disallowed_methods, reason = "this is the module that owns processes")]

use std::io::{self, Read as _};
use std::os::fd::AsFd as _;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::event::PollFlags;
use rustix::io::Errno;
use rustix::process::{Pid, Signal, kill_process};

use super::stop::Stopper;

/// Runs a program of the user's own and returns what it printed on stdout, at most `limit` bytes. stdin and stderr
/// are the user's, so that it may ask for a passphrase.
///
/// # Errors
/// It cannot be started, does not end in time, prints too much, or fails.
pub fn output_of(argv: &[String], limit: usize, timeout: Duration, stop: &Stopper) -> io::Result<Vec<u8>> {
    let [program, arguments @ ..] = argv else { return Err(io::Error::other("no program is named")) };
    let mut child = Command::new(program).args(arguments).stdout(Stdio::piped()).spawn()?;
    let until = super::clock::now() + timeout;
    let bytes = read_bounded(&mut child, limit, until, stop);
    let status = bytes.and_then(|bytes| Ok((bytes, wait(&mut child, until, stop)?)));
    if status.is_err() {
        end(&mut child);
    }
    let (bytes, status) = status?;
    if status.success() { Ok(bytes) } else { Err(io::Error::other(status.to_string())) }
}

/// Whether a program could not be started because the system has too little of something.
#[must_use]
pub fn is_shortage(error: &io::Error) -> bool {
    let error = Errno::from_io_error(error);
    error.is_some_and(|error| [Errno::AGAIN, Errno::NOMEM, Errno::MFILE, Errno::NFILE].contains(&error))
}

/// Ends a child with what it has started, which would hold the user's stderr open. It stays in the user's own process
/// group, or it could not ask for a passphrase, so the kernel's lists of children are followed.
fn end(child: &mut Child) {
    let mut pending = vec![i32::try_from(child.id()).ok().and_then(Pid::from_raw)];
    while let Some(next) = pending.pop() {
        let Some(process) = next else { continue };
        // What is stopped starts nothing more while its children are listed.
        let _ = kill_process(process, Signal::STOP);
        pending.extend(children_of(process));
        let _ = kill_process(process, Signal::KILL);
    }
    let _ = child.kill();
    let _ = child.wait();
}

/// The children that any thread of a process has, where the kernel tells.
fn children_of(process: Pid) -> Vec<Option<Pid>> {
    let threads = std::fs::read_dir(format!("/proc/{}/task", process.as_raw_nonzero()));
    let lists = threads.into_iter().flatten().flatten().filter_map(|thread| {
        let list = std::fs::read_to_string(thread.path().join("children")).ok()?;
        Some(list.split_whitespace().filter_map(|number| number.parse().ok().map(Pid::from_raw)).collect::<Vec<_>>())
    });
    lists.flatten().collect()
}

/// Waits for the end of a child that has closed its stdout.
fn wait(child: &mut Child, until: Instant, stop: &Stopper) -> io::Result<ExitStatus> {
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        if super::clock::now() >= until || stop.sleep(Duration::from_millis(10)).is_some() {
            return Err(too_late());
        }
    }
}

fn too_late() -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, "it did not end in time")
}

fn read_bounded(child: &mut Child, limit: usize, until: Instant, stop: &Stopper) -> io::Result<Vec<u8>> {
    let Some(mut pipe) = child.stdout.take() else { return Ok(Vec::new()) };
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let left = until.saturating_duration_since(super::clock::now());
        if left.is_zero() || stop.stopped().is_some() {
            return Err(too_late());
        }
        if !stop.wait_for(Some((pipe.as_fd(), PollFlags::IN)), left) {
            continue;
        }
        match pipe.read(&mut buffer)? {
            0 => return Ok(bytes),
            n if bytes.len() + n > limit => return Err(io::Error::other("it printed too much")),
            n => bytes.extend_from_slice(&buffer[..n]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_system_lacks_is_no_fault_of_the_command() {
        assert!(is_shortage(&io::Error::from(Errno::AGAIN)));
        assert!(!is_shortage(&io::Error::from(Errno::NOENT)) && !is_shortage(&too_late()));
    }
}
