//! Reading stdin and pipes to their end: however slow, nothing is dropped; a limit or a deadline fails, it never
//! truncates, and the end of the run is not held up.

use std::fs::File;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::time::Duration;

use rustix::event::PollFlags;

use crate::base::clock;
use crate::base::exit::Exit;
use crate::base::failure::{Failure, OrFail as _, Result};
use crate::base::stdio;
use crate::base::stop::Stopper;
use crate::cli::settings::InputSettings;
use crate::report::Messages;

use super::too_large;

/// Some programs begin a text with it, also an empty one.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";
const BLOCK: usize = 64 << 10;
const LONG: Duration = Duration::from_secs(3600);

/// Reads stdin to its end, at most `left` bytes. With `hint` a line says what is being waited for, if nothing comes.
pub(super) fn read(
    settings: &InputSettings,
    stop: &Stopper,
    left: Option<u64>,
    hint: bool,
    messages: &mut Messages,
) -> Result<Vec<u8>> {
    let start = clock::now();
    let patience = Duration::from_secs(if messages.at_terminal { 2 } else { 10 });
    let mut hint = hint.then_some(patience);
    let mut bytes = Vec::new();
    loop {
        let waited = start.elapsed();
        if hint.is_some_and(|after| bytes.is_empty() && waited >= after) {
            messages.note("waiting for stdin to end; it is not meant? add -n");
            hint = None;
        }
        if let Some(why) = stop.stopped() {
            return Err(why.into());
        }
        let until_timeout = settings.stdin_timeout.map(|limit| limit.saturating_sub(waited));
        if until_timeout.is_some_and(|wait| wait.is_zero()) {
            let message = "stdin: it has not ended in time: raise --stdin-timeout";
            return Err(Failure::new(Exit::Timeout, message).class("timeout"));
        }
        let wait = [until_timeout, hint.map(|after| after.saturating_sub(waited))].into_iter().flatten().min();
        let ready = Some((stdio::stdin(), PollFlags::IN));
        if !stop.wait_for(ready, wait.unwrap_or(LONG)) {
            continue;
        }
        if read_block(stdio::stdin(), &mut bytes, "stdin")? == 0 {
            if bytes == BYTE_ORDER_MARK {
                bytes.clear();
            }
            return Ok(bytes);
        }
        if left.is_some_and(|most| bytes.len() as u64 > most) {
            return Err(too_large("stdin", settings.max_bytes));
        }
    }
}

/// Reads a FIFO or device that the user named, at most `left` bytes and one more.
pub(super) fn read_pipe(file: &File, name: &str, stop: &Stopper, left: Option<u64>) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    while left.is_none_or(|most| bytes.len() as u64 <= most) {
        if let Some(why) = stop.stopped() {
            return Err(why.into());
        }
        if stop.wait_for(Some((file.as_fd(), PollFlags::IN)), LONG) && read_block(file.as_fd(), &mut bytes, name)? == 0
        {
            break;
        }
    }
    Ok(bytes)
}

/// Always with room for a whole block: what does not fit of a message of some sockets is lost.
fn read_block(fd: BorrowedFd<'_>, bytes: &mut Vec<u8>, name: &str) -> Result<usize> {
    bytes.reserve(BLOCK);
    stdio::read_more(fd, bytes).or_fail(Exit::NoInput, || name.to_owned())
}
