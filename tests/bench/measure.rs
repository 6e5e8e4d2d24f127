//! Runs a program as a whole process and takes what the system and the server say of it.

#![expect(clippy::cast_precision_loss, reason = "figures for people")]

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use super::server::{Script, Seen, Server, Wire};

/// Who is measured.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    /// The program.
    Flux,
    /// The least that does the same.
    Floor,
}

/// What is measured.
#[derive(Clone, Copy)]
pub struct Case<'a> {
    /// The server's wire; the floor speaks that of Anthropic.
    pub wire: Wire,
    /// What the server says.
    pub script: Script,
    /// Bytes of stdin.
    pub input: usize,
    /// Further arguments of flux.
    pub args: &'a [&'a str],
    /// stdout is read so fast, in bytes a second; at once without.
    pub reading: Option<usize>,
    /// Where the program runs.
    pub folder: &'a Path,
}

/// What one run took.
#[derive(Clone, Default)]
pub struct Figures {
    /// From the start to the end, in milliseconds.
    pub wall_ms: f64,
    /// User and system time, in milliseconds.
    pub cpu_ms: f64,
    /// The largest resident size.
    pub peak_kib: f64,
    /// Milliseconds from the server's first byte of an answer to the first of stdout.
    pub first_ms: f64,
    /// Milliseconds from the server's last byte to the end of the process.
    pub exit_ms: f64,
    /// Bytes of stdout.
    pub output: f64,
    /// What the server saw.
    pub seen: Seen,
}

impl Figures {
    /// The mean time in milliseconds that the program took between two turns: from the last byte of a reply to the
    /// first byte of the next request.
    pub fn own_ms(&self, turns: std::ops::Range<usize>) -> f64 {
        let count = turns.len() as f64;
        let one = |n: usize| Some(self.seen.asked.get(n)?.saturating_duration_since(self.seen.answered.get(n - 1)?.1));
        turns.filter_map(one).map(|own| own.as_secs_f64() * 1000.0).sum::<f64>() / count
    }
}

/// Alternating runs of both, the first of which does not count.
pub fn compare(runs: usize, case: &Case<'_>) -> [Vec<Figures>; 2] {
    let input = input(case);
    let mut all: [Vec<Figures>; 2] = [Vec::new(), Vec::new()];
    for n in 0..=runs {
        for (i, subject) in [Subject::Flux, Subject::Floor].into_iter().enumerate() {
            let (command, server) = against(subject, case);
            let figures = run(command, &server, case, &input);
            if n > 0 || runs == 1 {
                all[i].push(figures);
            }
        }
    }
    all
}

/// The median of a figure.
pub fn median(runs: &[Figures], of: impl Fn(&Figures) -> f64) -> f64 {
    middle(runs.iter().map(of).collect())
}

/// The median of some values.
pub fn middle(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// What a command takes that prints to nobody.
pub fn alone(command: &mut Command) -> Figures {
    let start = Instant::now();
    let child = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().expect("the program");
    let (cpu_ms, peak_kib) = reap(&child);
    Figures { wall_ms: start.elapsed().as_secs_f64() * 1000.0, cpu_ms, peak_kib, ..Figures::default() }
}

/// The wall time of that, in milliseconds.
pub fn time(command: &mut Command) -> f64 {
    alone(command).wall_ms
}

/// A copy of a program, as an installation makes it: what a linker has written lies in the system's cache in small
/// pieces, which makes its start slower.
pub fn installed(program: impl AsRef<Path>) -> PathBuf {
    static COPIES: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());
    let name = program.as_ref().file_name().expect("a name");
    let copy = Path::new(env!("CARGO_TARGET_TMPDIR")).join("installed").join(name);
    if COPIES.lock().expect("the list").insert(copy.clone()) {
        std::fs::create_dir_all(copy.parent().expect("a folder")).expect("a folder");
        let _ = std::fs::remove_file(&copy);
        std::fs::copy(program, &copy).expect("a copy");
    }
    copy
}

/// The program that is measured.
pub fn program() -> PathBuf {
    installed(env!("CARGO_BIN_EXE_flux"))
}

/// The program that is the floor: this one.
pub fn floor() -> PathBuf {
    installed(std::env::current_exe().expect("this program"))
}

/// The command of flux against this server.
pub fn flux(case: &Case<'_>, url: &str) -> Command {
    let (name, base) = match case.wire {
        Wire::Anthropic => ("anthropic", url.to_owned()),
        Wire::Responses => ("openai-responses", format!("{url}/v1")),
        Wire::Chat => ("openai-chat", format!("{url}/v1")),
    };
    let mut command = Command::new(program());
    command.args(["ask", "--wire", name, "-m", "m", "--max-turns", "0", "--max-tool-calls", "0"]);
    command.args(["--max-input", "0", "--max-context", "1G", "--base-url", &base]).args(case.args);
    command.arg("say it").env_clear().env("HOME", "/nonexistent").current_dir(case.folder);
    command
}

/// The largest resident size of each in KiB. What the system says of a process includes what its parent had in memory,
/// so each is started by a process that has just begun itself.
pub fn peaks(case: &Case<'_>) -> [f64; 2] {
    let input = input(case);
    [Subject::Flux, Subject::Floor].map(|subject| {
        let (whole, server) = against(subject, case);
        let file = tempfile::NamedTempFile::new().expect("a file");
        let mut command = Command::new(floor());
        command.arg("peak").arg(file.path()).arg(whole.get_program()).args(whole.get_args());
        command.env_clear().env("HOME", "/nonexistent").current_dir(case.folder);
        let _ = run(command, &server, case, &input);
        std::fs::read_to_string(file.path()).expect("a file").parse().expect("a size")
    })
}

/// Runs a command to its end and writes its largest resident size to a file.
pub fn peak(file: &str, program: &str, args: &[&str]) {
    let child = Command::new(program).args(args).spawn().expect("the program");
    let (_, peak_kib) = reap(&child);
    std::fs::write(file, peak_kib.to_string()).expect("the file");
}

fn input(case: &Case<'_>) -> String {
    "a line of input text that means nothing\n".repeat(case.input / 40 + 1)
}

/// The command of a program, and the server that it asks.
fn against(subject: Subject, case: &Case<'_>) -> (Command, Server) {
    let wire = if subject == Subject::Flux { case.wire } else { Wire::Anthropic };
    let server = Server::start(wire, case.script);
    let command = match subject {
        Subject::Flux => flux(case, &server.url),
        Subject::Floor => {
            let mut command = Command::new(floor());
            command.args(["floor", &format!("{}/v1/messages", server.url)]);
            command.env_clear().env("HOME", "/nonexistent").current_dir(case.folder);
            command
        }
    };
    (command, server)
}

fn run(mut command: Command, server: &Server, case: &Case<'_>, input: &str) -> Figures {
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let start = Instant::now();
    let mut child = command.spawn().expect("the program");
    let mut stdin = child.stdin.take().expect("its stdin");
    stdin.write_all(input.as_bytes()).expect("input");
    drop(stdin);
    let (output, first) = read(&mut child, case.reading);
    let (cpu_ms, peak_kib) = reap(&child);
    let end = Instant::now();
    let seen = server.seen();
    let since = |from: Instant, to: Instant| to.saturating_duration_since(from).as_secs_f64() * 1000.0;
    let (spoken, silent) = seen.answered.last().copied().unwrap_or((end, end));
    Figures {
        wall_ms: since(start, end),
        cpu_ms,
        peak_kib,
        first_ms: since(spoken, first.unwrap_or(end)),
        exit_ms: since(silent, end),
        output: output as f64,
        seen,
    }
}

/// Reads stdout to its end. Returns how many bytes came, and when the first did.
fn read(child: &mut Child, pace: Option<usize>) -> (usize, Option<Instant>) {
    let mut stdout = child.stdout.take().expect("its stdout");
    let (mut buffer, mut total, mut first) = (vec![0; 64 << 10], 0, None);
    let most = pace.map_or(buffer.len(), |pace| pace / 20);
    loop {
        let count = stdout.read(&mut buffer[..most]).expect("output");
        if count == 0 {
            return (total, first);
        }
        first.get_or_insert_with(Instant::now);
        total += count;
        if pace.is_some() {
            std::thread::sleep(Duration::from_millis(50));
        }
    }
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
