//! Runs a program as a whole process and takes what the system says of it.

#![expect(clippy::cast_precision_loss, reason = "figures for people")]

use std::io::{Read as _, Write as _};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use super::server::Server;

/// Who is measured.
#[derive(Clone, Copy)]
pub enum Subject {
    /// The program.
    Flux,
    /// The least that does the same.
    Floor,
}

/// What one run took.
#[derive(Clone, Copy, Default)]
pub struct Figures {
    /// From the start to the end, in milliseconds.
    pub wall_ms: f64,
    /// User and system time, in milliseconds.
    pub cpu_ms: f64,
    /// The largest resident size.
    pub peak_kib: f64,
    /// Connections that the server saw.
    pub connections: f64,
}

/// The medians of `runs` alternating runs of both.
pub fn compare(runs: usize, turns: usize, input: usize) -> [Figures; 2] {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("a.txt"), "alpha\n").expect("a file");
    let input = "a line of input text that means nothing\n".repeat(input / 40 + 1);
    let mut all: [Vec<Figures>; 2] = [Vec::new(), Vec::new()];
    for n in 0..=runs {
        for (i, subject) in [Subject::Flux, Subject::Floor].into_iter().enumerate() {
            let figures = once(subject, turns, &input, folder.path());
            if n > 0 {
                all[i].push(figures);
            }
        }
    }
    all.map(|runs| Figures {
        wall_ms: median(&runs, |f| f.wall_ms),
        cpu_ms: median(&runs, |f| f.cpu_ms),
        peak_kib: median(&runs, |f| f.peak_kib),
        connections: median(&runs, |f| f.connections),
    })
}

fn median(runs: &[Figures], of: impl Fn(&Figures) -> f64) -> f64 {
    let mut values: Vec<f64> = runs.iter().map(of).collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn once(subject: Subject, turns: usize, input: &str, folder: &std::path::Path) -> Figures {
    let server = Server::start(turns);
    let mut command = match subject {
        Subject::Flux => {
            let mut command = Command::new(env!("CARGO_BIN_EXE_flux"));
            command.args(["ask", "--wire", "anthropic", "-m", "m", "--max-turns", "0", "--max-tool-calls", "0"]);
            command.args(["--base-url", &server.url, "say it"]);
            command
        }
        Subject::Floor => {
            let mut command = Command::new(std::env::current_exe().expect("this program"));
            command.args(["floor", &format!("{}/v1/messages", server.url)]);
            command
        }
    };
    command.env_clear().env("HOME", "/nonexistent").current_dir(folder);
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let start = Instant::now();
    let mut child = command.spawn().expect("the program");
    let mut stdin = child.stdin.take().expect("its stdin");
    stdin.write_all(input.as_bytes()).expect("input");
    drop(stdin);
    let mut output = String::new();
    child.stdout.take().expect("its stdout").read_to_string(&mut output).expect("output");
    let (cpu_ms, peak_kib) = reap(&child);
    let wall_ms = start.elapsed().as_secs_f64() * 1000.0;
    assert_eq!(output, "done\n");
    let connections = f64::from(u32::try_from(server.connections()).unwrap_or(u32::MAX));
    Figures { wall_ms, cpu_ms, peak_kib, connections }
}

/// Waits for the end of a child. Returns its CPU time in milliseconds and its largest resident size in KiB.
#[expect(unsafe_code, reason = "the standard library does not tell what a single child used")]
fn reap(child: &Child) -> (f64, f64) {
    let pid = i32::try_from(child.id()).expect("a process id");
    let mut status = 0;
    // SAFETY: both pointers are to locals of the right type; the child is ours and not yet waited for.
    let usage = unsafe {
        let mut usage = std::mem::zeroed();
        assert_eq!(libc::wait4(pid, &raw mut status, 0, &raw mut usage), pid);
        usage
    };
    assert_eq!(status, 0, "the program failed");
    let ms = |time: libc::timeval| time.tv_sec as f64 * 1000.0 + time.tv_usec as f64 / 1000.0;
    (ms(usage.ru_utime) + ms(usage.ru_stime), usage.ru_maxrss as f64)
}
