//! The one door to processes. It knows nothing of why a program is run.
#![expect(clippy::disallowed_methods, reason = "this is the module that owns processes")]

use std::io::{self, Read as _};
use std::os::fd::AsFd as _;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::stop::Stopper;

/// Runs a program of the user's own and returns what it printed on stdout, at most `limit` bytes. stdin and stderr
/// are the user's, so that it may ask for a passphrase.
///
/// # Errors
/// It cannot be started, does not end in time, prints too much, or fails.
pub fn output_of(argv: &[String], limit: usize, timeout: Duration, stop: &Stopper) -> io::Result<Vec<u8>> {
    let [program, arguments @ ..] = argv else { return Err(io::Error::other("no program is named")) };
    let mut child = Command::new(program).args(arguments).stdout(Stdio::piped()).spawn()?;
    let result = read_bounded(&mut child, limit, timeout, stop);
    if result.is_err() {
        let _ = child.kill();
    }
    let status = child.wait()?;
    let bytes = result?;
    if status.success() { Ok(bytes) } else { Err(io::Error::other(status.to_string())) }
}

fn read_bounded(child: &mut Child, limit: usize, timeout: Duration, stop: &Stopper) -> io::Result<Vec<u8>> {
    let Some(mut pipe) = child.stdout.take() else { return Ok(Vec::new()) };
    let until = super::clock::now() + timeout;
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let left = until.saturating_duration_since(super::clock::now());
        if left.is_zero() || stop.stopped().is_some() {
            return Err(io::Error::new(io::ErrorKind::TimedOut, "it did not end in time"));
        }
        if !stop.wait_for(Some(pipe.as_fd()), left) {
            continue;
        }
        match pipe.read(&mut buffer)? {
            0 => return Ok(bytes),
            n if bytes.len() + n > limit => return Err(io::Error::other("it printed too much for a key")),
            n => bytes.extend_from_slice(&buffer[..n]),
        }
    }
}
