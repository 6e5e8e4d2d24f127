//! The one door to processes. It knows nothing of why a program is run.
#![expect(clippy::disallowed_methods, reason = "this is the module that owns processes")]

use std::io::{self, Read as _};
use std::os::fd::AsFd as _;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::event::PollFlags;

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
        let _ = child.kill();
        let _ = child.wait();
    }
    let (bytes, status) = status?;
    if status.success() { Ok(bytes) } else { Err(io::Error::other(status.to_string())) }
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
