//! Reading stdin to its end: however slow, nothing is dropped; a limit or a deadline fails, it never truncates.

use std::time::Duration;

use crate::base::clock;
use crate::base::exit::Exit;
use crate::base::failure::{Failure, OrFail as _, Result};
use crate::base::stdio;
use crate::base::stop::Stopper;
use crate::cli::settings::InputSettings;
use crate::report::Messages;

use super::too_large;

const BLOCK: usize = 64 << 10;

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
            return Err(crate::agent::stopped(why));
        }
        let until_timeout = settings.stdin_timeout.map(|limit| limit.saturating_sub(waited));
        if until_timeout.is_some_and(|wait| wait.is_zero()) {
            let message = "stdin: it has not ended in time: raise --stdin-timeout";
            return Err(Failure::new(Exit::Timeout, message).class("timeout"));
        }
        let wait = [until_timeout, hint.map(|after| after.saturating_sub(waited))].into_iter().flatten().min();
        if !stop.wait_for(Some(stdio::stdin()), wait.unwrap_or(Duration::from_secs(3600))) {
            continue;
        }
        if read_block(&mut bytes)? == 0 {
            return Ok(bytes);
        }
        if left.is_some_and(|most| bytes.len() as u64 > most) {
            return Err(too_large("stdin", settings.max_bytes));
        }
    }
}

fn read_block(bytes: &mut Vec<u8>) -> Result<usize> {
    let length = bytes.len();
    bytes.resize(length + BLOCK, 0);
    let read = stdio::read_stdin(&mut bytes[length..]).or_fail(Exit::NoInput, || "stdin");
    bytes.truncate(length + read.as_ref().map_or(0, |n| *n));
    read
}
