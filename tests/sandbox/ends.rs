//! Commands that take too much, stay too long or are killed, and runs that end in the middle of one: nothing hangs and
//! nothing stays.

use std::fs;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

use super::attack::Call;
use crate::support::flux::Running;
use crate::support::kernel::{Kernel, WITHOUT_NAMESPACES};
use crate::support::sys::Pty;
use crate::support::user::User;
use crate::support::wire::ToolOutput;
use crate::support::{Api, Flux, Server, is_long, say};

const API: Api = Api::Anthropic;

/// With namespaces, and without.
const LEVELS: [Option<Kernel>; 2] = [None, Some(WITHOUT_NAMESPACES)];

fn shell(script: &str) -> Call {
    ("run_command", json!({"argv": ["sh", "-c", script], "timeout": 5}))
}

fn flux(server: &Server, kernel: Option<Kernel>) -> Flux {
    let flux = Flux::to(server).args(["--allow", "run:sh **", "--allow", "run:python3 **", "--allow", "write", "p"]);
    match kernel {
        Some(kernel) => flux.kernel(kernel),
        None => flux.args(["--sandbox", "strict"]),
    }
}

/// Makes the calls one after the other; gives their results and how long each of them took.
fn timed(kernel: Option<Kernel>, user: User, calls: Vec<Call>) -> Vec<(ToolOutput, Duration)> {
    let results = Arc::new(Mutex::new(Vec::new()));
    let count = calls.len();
    let (seen, mut calls, mut asked) = (results.clone(), calls.into_iter().enumerate(), None);
    let server = Server::of(API).answer(move |request| {
        if let (Some(asked), Some(result)) = (asked, API.results(&request.json).pop()) {
            seen.lock().expect("results").push((result, Instant::now().duration_since(asked)));
        }
        let Some((at, (name, arguments))) = calls.next() else { return API.text("done") };
        asked = Some(Instant::now());
        API.calls(&[(&API.id(at), name, arguments)])
    });
    let _ = flux(&server, kernel).user(user).deadline(Duration::from_secs(60)).run().code(0).stdout("done\n");
    let results = results.lock().expect("results").clone();
    assert_eq!(results.len(), count, "every call has a result");
    results
}

/// A duration for sleep that no other process sleeps.
fn mark() -> String {
    format!("987.{}", fastrand::u32(..))
}

/// The processes that have this among their arguments.
fn living(mark: &str) -> Vec<Pid> {
    let processes = fs::read_dir("/proc").expect("/proc").flatten();
    let has_it = |entry: &fs::DirEntry| {
        fs::read(entry.path().join("cmdline")).is_ok_and(|line| String::from_utf8_lossy(&line).contains(mark))
    };
    let pid = |entry: fs::DirEntry| entry.file_name().to_str()?.parse().ok().and_then(Pid::from_raw);
    processes.filter(has_it).filter_map(pid).collect()
}

/// It may have ended by itself.
fn end(pid: Pid) {
    let _ = kill_process(pid, Signal::KILL);
}

fn wait_until(what: &str, mut holds: impl FnMut() -> bool) -> Duration {
    let started = Instant::now();
    while !holds() {
        assert!(started.elapsed() < Duration::from_secs(10), "waited ten seconds in vain: {what}");
        thread::sleep(Duration::from_millis(2));
    }
    started.elapsed()
}

#[test]
fn a_command_that_takes_too_much_or_asks_for_input_ends_and_the_run_goes_on() {
    let terminal = Pty::open();
    let tty = format!(": < {}", terminal.path());
    let cases: [(&str, &str); 14] = [
        ("cat; read x; echo end", "end"),
        ("head -c 1 | wc -c", "0\n"),
        (": < /dev/tty", "cannot open /dev/tty"),
        (&tty, "cannot open /dev/pts/"),
        ("exec >&- 2>&- <&-; sleep 0.2; exit 7", "exit_status: exit 7"),
        ("python3 -c 'bytearray(100 << 30)'", "MemoryError"),
        ("truncate -s 10G \"$TMPDIR/big\"; stat -c %s \"$TMPDIR/big\"", "\n0\n"),
        ("dd if=/dev/zero of=\"$TMPDIR/big\" bs=1 count=1 seek=2G; stat -c %s \"$TMPDIR/big\"", "\n0\n"),
        ("yes", "too_much_output"),
        ("yes >&2", "too_much_output"),
        ("trap '' TERM INT HUP; sleep 100; sleep 100", "timeout"),
        ("kill -9 $$", "signal: killed by signal 9"),
        ("kill -SEGV $$", "signal 11"),
        ("python3 -c 'import os\nfor n in range(300):\n if os.fork() == 0: __import__(\"time\").sleep(100)'", "exit 0"),
    ];
    for kernel in LEVELS {
        let calls = cases.iter().map(|(script, _)| shell(script)).collect();
        for ((script, wanted), (result, took)) in cases.iter().zip(timed(kernel, User::Own, calls)) {
            assert!(result.text.contains(wanted), "{script}: {result:?}");
            assert!(took < Duration::from_secs(8), "{script}: {took:?}");
        }
    }
}

/// F25: whoever holds the pipe open does not keep the call waiting.
#[test]
fn what_a_command_leaves_behind_neither_delays_its_result_nor_stays() {
    let mut slowest = Duration::ZERO;
    for kernel in LEVELS {
        let mark = mark();
        let left = [
            format!("sleep {mark} &"),
            format!("setsid sleep {mark} &"),
            format!("(setsid sh -c 'trap \"\" TERM HUP; (setsid sleep {mark} &) &' &) & sleep 0.05"),
            format!(
                "python3 -c 'import os, time\nif os.fork() == 0:\n os.setsid()\n if os.fork() == 0: os.execlp(\"sleep\", \"sleep\", \"{mark}\")'"
            ),
        ];
        for (result, took) in timed(kernel, User::Own, left.iter().map(|script| shell(script)).collect()) {
            assert!(result.text.starts_with("exit 0"), "{result:?}");
            slowest = slowest.max(took);
        }
        assert!(living(&mark).is_empty(), "processes were left: {:?}", living(&mark));
    }
    say(&format!("a command that leaves processes: its result after {slowest:?} at most"));
    assert!(slowest < Duration::from_secs(1), "{slowest:?}");
}

/// A run that is in the middle of a command that sleeps.
fn sleeping(server: &Server, kernel: Option<Kernel>, mark: &str) -> Running {
    let running = flux(server, kernel).start();
    wait_until("the command runs", || {
        living(mark).iter().any(|pid| {
            let name = fs::read_to_string(format!("/proc/{}/comm", pid.as_raw_nonzero()));
            name.is_ok_and(|name| name == "sleep\n")
        })
    });
    running
}

fn sleeper(mark: &str) -> Server {
    let (name, arguments) = shell(&format!("setsid sleep {mark} & sleep {mark}; echo never"));
    Server::of(API).unused_allowed().script([API.calls(&[(&API.id(1), name, arguments)]), API.text("done")])
}

/// G1: by that signal, at once, with all that runs.
#[test]
fn an_interrupted_run_ends_its_command() {
    let mut slowest = Duration::ZERO;
    for kernel in LEVELS {
        for signal in [Signal::INT, Signal::TERM, Signal::HUP] {
            let mark = mark();
            let server = sleeper(&mark);
            let running = sleeping(&server, kernel, &mark);
            let sent = Instant::now();
            running.signal(signal);
            let _ = running.wait().signal(signal.as_raw()).stdout("");
            slowest = slowest.max(sent.elapsed());
            assert!(living(&mark).is_empty(), "the command goes on after {signal:?}");
        }
    }
    say(&format!("a run that is interrupted during a command: ended after {slowest:?} at most"));
    assert!(slowest < Duration::from_secs(1), "{slowest:?}");
}

/// Where flux itself is killed nobody can clear up but the kernel.
#[test]
fn a_killed_run_leaves_no_process_behind_namespaces() {
    let kills = if is_long() { 200 } else { 20 };
    let (mut slowest, mut left) = (Duration::ZERO, 0);
    for kernel in LEVELS {
        for _ in 0..kills {
            let mark = mark();
            let server = sleeper(&mark);
            let running = if fastrand::bool() {
                sleeping(&server, kernel, &mark)
            } else {
                let running = flux(&server, kernel).start();
                server.log().wait_for_requests(1);
                thread::sleep(Duration::from_micros(fastrand::u64(0..30_000)));
                running
            };
            running.signal(Signal::KILL);
            let _ = running.wait().signal(9);
            if kernel.is_none() {
                slowest = slowest.max(wait_until("everything has ended", || living(&mark).is_empty()));
            } else {
                thread::sleep(Duration::from_millis(50));
                left += usize::from(!living(&mark).is_empty());
                living(&mark).into_iter().for_each(end);
            }
        }
    }
    say(&format!(
        "{kills} kills during commands: with namespaces 0 processes left after {slowest:?}; without, {left} runs left some"
    ));
}

/// G9: what makes the sandbox is killed, by whomever.
#[test]
fn a_run_whose_spawner_or_first_process_is_killed_does_not_hang() {
    for kernel in LEVELS {
        for depth in [1, 2] {
            let mark = mark();
            let server = sleeper(&mark);
            let running = sleeping(&server, kernel, &mark);
            let victim = (0..depth).fold(i32::try_from(running.pid()).expect("a process id"), |pid, _| child(pid));
            kill_process(Pid::from_raw(victim).expect("a process id"), Signal::KILL).expect("it is there");
            let run = running.wait();
            let ended = matches!(run.code, Some(0 | 71 | 85));
            let run = run.check(ended, "it goes on with an error for the model, or ends with 71 or 85");
            let told = server.requests().last().and_then(|request| API.results(&request.json).pop());
            let wanted = if kernel.is_some() && depth == 2 { "signal" } else { "sandbox" };
            assert!(run.code != Some(0) || told.as_ref().is_some_and(|r| r.text.starts_with(wanted)), "{told:?}");
            if kernel.is_some() && depth == 1 {
                // Nobody is left who knows of it: a gap that is named.
                living(&mark).into_iter().for_each(end);
            }
            wait_until("everything has ended", || living(&mark).is_empty());
        }
    }
}

/// The first child of a process.
fn child(pid: i32) -> i32 {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).expect("its threads").flatten();
    let lists = tasks.filter_map(|task| fs::read_to_string(task.path().join("children")).ok());
    lists
        .flat_map(|list| list.split_whitespace().filter_map(|pid| pid.parse().ok()).collect::<Vec<i32>>())
        .next()
        .expect("a child")
}

/// F19: not even root changes it, and neither does a command.
#[test]
fn a_file_that_the_system_holds_fast_stays_as_it_is() {
    let calls = [
        ("read_files", json!({"paths": ["fast"]})),
        ("edit_file", json!({"path": "fast", "edits": [{"search": "kept", "replace": "new"}]})),
        ("write_file", json!({"path": "fast", "content": "new\n"})),
        ("delete_file", json!({"path": "fast"})),
        ("move_file", json!({"path": "fast", "to": "free"})),
        shell("echo new > fast || rm -f fast || mv fast free"),
    ];
    let calls = calls.map(|(name, arguments)| (name, arguments));
    let turns: Vec<_> = calls
        .iter()
        .enumerate()
        .map(|(at, (name, arguments))| API.calls(&[(&API.id(at), name, arguments.clone())]))
        .collect();
    let server = Server::of(API).unused_allowed().script(turns.into_iter().chain([API.text("done")]));
    let flux = flux(&server, None).file("fast", "kept\n");
    let chattr = |flag: &str| {
        let status = std::process::Command::new("chattr").arg(flag).arg(flux.here("fast")).status();
        status.is_ok_and(|status| status.success())
    };
    if !chattr("+i") {
        return say("files cannot be held fast here (chattr +i): not tried");
    }
    let run = flux.run();
    let content = run.file("fast");
    assert!(chattr("-i"), "chattr -i");
    let _ = run.code(0);
    assert_eq!(content, b"kept\n");
    let results = API.results(&server.requests().pop().expect("a request").json);
    assert!(results[1..].iter().all(|result| result.is_error == Some(true)), "{results:?}");
}
