//! The program is killed in the middle of changes, again and again: every file is as it was or as it was to be.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::support::{Api, Flux, Reply, Request, Server, is_long, say};

/// How often the program is killed.
fn kills() -> usize {
    if is_long() { 1000 } else { 50 }
}

/// Files that are written in turn, and their size: not more than one result shows as a whole.
const FILES: usize = 4;
const SIZE: usize = 20_000;

/// A content that shows whether it is whole.
fn content(n: usize) -> String {
    let letter = char::from(b'a' + u8::try_from(n % 26).expect("a letter"));
    format!("{}\n", letter.to_string().repeat(99)).repeat(SIZE / 100)
}

/// A model that reads and writes the files in turn, without end.
fn writing(api: Api) -> impl FnMut(&Request) -> Reply + Send + 'static {
    let mut n = 0;
    move |_| {
        let mut calls: Vec<(String, &str, Value)> = Vec::new();
        for file in 0..FILES {
            n += 2;
            let path = format!("d/f{file}");
            calls.push((api.id(n), "read_files", json!({"paths": [path]})));
            calls.push((api.id(n + 1), "write_file", json!({"path": path, "content": content(n / 2)})));
        }
        let calls: Vec<_> = calls.iter().map(|(id, name, args)| (id.as_str(), *name, args.clone())).collect();
        api.calls(&calls)
    }
}

/// How many temporary files lie in the directory of the files, whose content must be whole.
fn left_over(flux: &Flux) -> usize {
    let mut left = 0;
    for entry in fs::read_dir(flux.here("d")).expect("the directory").flatten() {
        if entry.file_name().to_string_lossy().starts_with(".flux-") {
            left += 1;
        } else {
            let text = fs::read_to_string(entry.path()).expect("text");
            assert!((0..26).any(|n| text == content(n)), "{}: torn, {} bytes", entry.path().display(), text.len());
        }
    }
    left
}

/// G1: a run that is interrupted ends soon, of that signal, and clears up itself.
#[test]
fn an_interrupted_run_leaves_whole_files_and_no_temporary_ones() {
    let api = Api::Chat;
    let server = Server::of(api).unused_allowed().answer(writing(api));
    let flux = Flux::to(&server).args(["--allow", "write", "--max-turns", "0", "--max-tool-calls", "0", "p"]);
    let flux = (0..FILES).fold(flux, |flux, n| flux.file(&format!("d/f{n}"), content(n)));
    for signal in [Signal::INT, Signal::TERM].into_iter().cycle().take(30) {
        let running = flux.start();
        thread::sleep(Duration::from_micros(fastrand::u64(40_000..90_000)));
        let sent = Instant::now();
        running.signal(signal);
        let run = running.wait().signal(signal.as_raw());
        let _ = run.check(sent.elapsed() < Duration::from_secs(2), "it ends soon").stdout("");
        assert_eq!(left_over(&flux), 0, "a temporary file was left");
    }
}

#[test]
fn a_killed_run_leaves_whole_files_and_the_next_run_no_temporary_ones() {
    let api = Api::Chat;
    let server = Server::of(api).unused_allowed().answer(writing(api));
    let flux = Flux::to(&server).args(["--allow", "write", "--max-turns", "0", "--max-tool-calls", "0", "p"]);
    let flux = (0..FILES).fold(flux, |flux, n| flux.file(&format!("d/f{n}"), content(n)));
    let (mut found, mut changed) = (0, 0);
    for _ in 0..kills() {
        let before = fs::read(flux.here("d/f0")).expect("a file");
        let running = flux.start();
        thread::sleep(Duration::from_micros(fastrand::u64(20_000..90_000)));
        running.signal(Signal::KILL);
        let _ = running.wait().signal(9);
        found += left_over(&flux);
        changed += usize::from(before != fs::read(flux.here("d/f0")).expect("a file"));
    }
    let last = Server::script(
        api,
        [api.calls(&[(&api.id(1), "write_file", json!({"path": "d/new", "content": content(0)}))]), api.text("done")],
    );
    let next = flux.clone().server(&last);
    let _ = next.run().code(0);
    assert_eq!(left_over(&next), 0, "a temporary file was left");
    assert!(changed > kills() / 4, "the runs were killed too early: {changed} changed something");
    say(&format!(
        "{} kills, {changed} after a change, {found} temporary files met, 0 torn, 0 left by the next run",
        kills()
    ));
}
