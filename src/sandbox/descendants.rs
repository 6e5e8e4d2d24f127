//! Ending what a child leaves behind where there is no namespace that ends with it: orphans become the spawner's own
//! children, so there is always a list of them.

use std::fs;
use std::time::Duration;

use rustix::process::{Pid, Signal, WaitOptions, getpid, kill_process, wait};

use crate::base::clock;

/// How long it may take.
const PATIENCE: Duration = Duration::from_secs(2);

/// Kills all children of this process, and theirs, until none is left.
pub(super) fn end_all() {
    let until = clock::now() + PATIENCE;
    while clock::now() < until {
        for child in children() {
            let _ = kill_process(child, Signal::KILL);
        }
        loop {
            match wait(WaitOptions::NOHANG) {
                Ok(Some(_)) => {}
                Ok(None) => break,
                Err(_) => return,
            }
        }
        clock::pause(Duration::from_millis(1));
    }
}

/// The children of this process, by the kernel's list or else by asking every process for its parent.
fn children() -> Vec<Pid> {
    let own = getpid();
    let list = fs::read_to_string(format!("/proc/self/task/{}/children", own.as_raw_nonzero()));
    let numbers: Vec<i32> = match list {
        Ok(list) => list.split_whitespace().filter_map(|number| number.parse().ok()).collect(),
        Err(_) => fs::read_dir("/proc")
            .into_iter()
            .flatten()
            .flatten()
            .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
            .filter(|number| parent(*number) == Some(own.as_raw_nonzero().get()))
            .collect(),
    };
    numbers.into_iter().filter_map(Pid::from_raw).collect()
}

fn parent(process: i32) -> Option<i32> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // The name, in parentheses, may hold anything.
    stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
}
