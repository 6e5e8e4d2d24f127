//! Tries one row: prepares the world, runs, and holds the end against everything that holds for all rows.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use crate::support::flux::copy_binary;
use crate::support::wire::APIS;
use crate::support::{Api, Flux, Reply, Run, Server};

/// Who runs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum User {
    /// Who runs the suite.
    Own,
    /// uid 65534, without any group.
    Nobody,
}

/// One fault.
pub(super) struct Row {
    pub(super) id: &'static str,
    pub(super) fault: &'static str,
    pub(super) replies: fn() -> Vec<Reply>,
    pub(super) prepare: fn(Flux) -> Flux,
    /// The exit codes that are right; a signal counts as 128 and its number.
    pub(super) codes: &'static [i32],
    /// A signal that is sent after so many milliseconds.
    pub(super) signal: Option<(u64, rustix::process::Signal)>,
    /// What goes in, in MiB, for the bound of memory.
    pub(super) input: u64,
}

const IN_TIME: Duration = Duration::from_secs(12);
/// The most memory that a run may take besides its input.
pub(in crate::faults) const MEMORY: u64 = 64 << 20;

pub(super) fn try_row(row: &Row, user: User) -> Result<(), String> {
    let mut replies = (row.replies)().into_iter();
    let unasked = || Api::Chat.error(400, "unasked", "no request was expected");
    let server = Server::of(Api::Chat).lenient().answer(move |_| replies.next().unwrap_or_else(unasked));
    let flux = Flux::to(&server).args(["--retries", "0"]).transcript().deadline(IN_TIME + Duration::from_secs(20));
    let flux = (row.prepare)(flux);
    let home = flux.path("home").display().to_string();
    let flux = if user == User::Nobody { as_nobody(flux) } else { flux };
    let start = Instant::now();
    let running = flux.start();
    let peak = watch(running.pid());
    if let Some((after, signal)) = row.signal {
        thread::sleep(Duration::from_millis(after));
        running.signal(signal);
    }
    let run = running.wait();
    let peak = peak.join().expect("the watch ends with the process");
    judge(row, &run, start.elapsed(), peak, &home).map_err(|why| format!("{why}\n{}", run.dump()))
}

fn judge(row: &Row, run: &Run, took: Duration, peak: u64, home: &str) -> Result<(), String> {
    let code = run.code.unwrap_or_else(|| 128 + run.signal.unwrap_or(0));
    let err = run.err();
    let fails: [(bool, &str); 9] = [
        (!row.codes.contains(&code), "the wrong end"),
        (took > IN_TIME, "too late"),
        (code != 0 && !run.stdout.is_empty(), "a failure with an answer"),
        (code == 0 && run.stdout != b"done\n", "a success without the answer"),
        (code < 128 && code != 0 && !err.contains(&format!("(exit {code})")), "a failure that does not say its code"),
        (err.lines().filter(|line| line.contains("(exit ")).count() > 1, "more than one line of failure"),
        (holds_key(&run.flux.path(".")), "a key in a file"),
        (is_left(home), "a process is left"),
        (peak > MEMORY + (row.input << 20), "too much memory"),
    ];
    match fails.iter().find(|(failed, _)| *failed) {
        Some((_, why)) => Err(format!("{why} (code {code}, {took:?}, {} MiB)", peak >> 20)),
        None => Ok(()),
    }
}

/// A copy of the binary where nobody can run it, and all directories nobody's own.
fn as_nobody(flux: Flux) -> Flux {
    let copy = flux.path("flux");
    copy_binary(&copy);
    let owned = Command::new("chown").args(["-R", "65534:65534"]).arg(flux.path(".")).status();
    assert!(owned.is_ok_and(|status| status.success()), "chown");
    flux.becomes(&format!("setpriv --reuid 65534 --regid 65534 --clear-groups '{}'", copy.display()))
}

/// The most memory that the process had, seen from outside while it ran.
pub(in crate::faults) fn watch(pid: u32) -> thread::JoinHandle<u64> {
    thread::spawn(move || {
        let mut peak = 0;
        while let Ok(status) = fs::read_to_string(format!("/proc/{pid}/status")) {
            let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
            let Some(kib) = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok()) else {
                break;
            };
            peak = peak.max(kib << 10);
            thread::sleep(Duration::from_millis(10));
        }
        peak
    })
}

/// Whether a process of that run is still there, which its environment tells.
fn is_left(home: &str) -> bool {
    let marked = |path: &Path| fs::read(path.join("environ")).is_ok_and(|env| contains(&env, home.as_bytes()));
    fs::read_dir("/proc").into_iter().flatten().flatten().any(|entry| marked(&entry.path()))
}

/// Whether a key stands in any file that the run wrote.
fn holds_key(folder: &Path) -> bool {
    fs::read_dir(folder).into_iter().flatten().flatten().any(|entry| {
        let path = entry.path();
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => holds_key(&path),
            Ok(kind) if kind.is_file() && !path.ends_with("flux") && !path.ends_with("key") => {
                let bytes = fs::read(&path).unwrap_or_default();
                APIS.iter().any(|api| contains(&bytes, api.key().as_bytes()))
            }
            _ => false,
        }
    })
}

fn contains(bytes: &[u8], what: &[u8]) -> bool {
    bytes.windows(what.len()).any(|window| window == what)
}
