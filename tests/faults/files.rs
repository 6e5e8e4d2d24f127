//! Odd files beneath the root, and odd arguments for them.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::time::{Duration, Instant};

use serde_json::json;

use super::call;
use crate::support::Flux;
use crate::support::tools::results;
use crate::support::{Api, Server};

#[test]
fn pipes_sockets_and_devices_are_refused_at_once() {
    let odd = |flux: Flux| {
        assert!(std::process::Command::new("mkfifo").arg(flux.here("fifo")).status().expect("mkfifo").success());
        drop(UnixListener::bind(flux.here("socket")).expect("a socket"));
        symlink("/dev/zero", flux.here("zero")).expect("a link");
        flux.deadline(Duration::from_secs(8))
    };
    for name in ["fifo", "socket", "zero", "/dev/zero", "/proc/self/environ", "/dev/fd/0"] {
        let answer = call(odd, "read_files", json!({"paths": [name]}));
        assert_eq!(answer.is_error, Some(true), "{name}: {answer:?}");
        let answer = call(odd, "grep_search", json!({"pattern": "x", "path": name}));
        assert!(!answer.text.contains("PATH="), "{name}: {answer:?}");
    }
    let _ = call(odd, "grep_search", json!({"pattern": "x"}));
}

#[test]
fn impossible_paths_are_errors_that_name_them() {
    let long = "x".repeat(300);
    let deep = "d/".repeat(3000);
    for path in ["", "a\0b", long.as_str(), deep.as_str(), "none", "a.txt/b"] {
        let answer = call(|f| f.file("a.txt", "alpha"), "read_files", json!({"paths": [path]}));
        assert_eq!(answer.is_error, Some(true), "{path:?}: {answer:?}");
        assert!(!answer.text.contains("/tmp/") && answer.text.len() < 20_000, "{path:?}: {answer:?}");
    }
}

#[test]
fn links_in_circles_and_to_nowhere_end() {
    let links = |flux: Flux| {
        symlink("loop", flux.here("loop")).expect("a link");
        symlink("nowhere", flux.here("dangling")).expect("a link");
        symlink(".", flux.here("self")).expect("a link");
        symlink("a.txt", flux.here("inside")).expect("a link");
        flux.file("a.txt", "alpha\n")
    };
    for name in ["loop", "dangling"] {
        assert_eq!(call(links, "read_files", json!({"paths": [name]})).is_error, Some(true), "{name}");
    }
    assert!(call(links, "read_files", json!({"paths": ["inside"]})).text.contains("alpha"));
    let found = call(links, "find_files", json!({"pattern": "**/a.txt"}));
    assert_eq!(found.text.matches("a.txt").count(), 1, "{found:?}");
    let listed = call(links, "list_files", json!({"depth": 50}));
    assert!(listed.text.len() < 2000, "{listed:?}");
}

#[test]
fn huge_and_sparse_files_are_read_in_bounds() {
    let sparse = |flux: Flux| {
        File::create(flux.here("sparse")).expect("a file").set_len(10 << 30).expect("a size");
        flux.deadline(Duration::from_secs(15))
    };
    let start = Instant::now();
    let answer = call(sparse, "read_files", json!({"paths": ["sparse"]}));
    assert!(answer.text.len() < 80_000, "{}", answer.text.len());
    let _ = call(sparse, "grep_search", json!({"pattern": "x"}));
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
}

#[test]
fn file_names_are_shown_escaped_and_usable() {
    let odd = |flux: Flux| {
        for name in ["new\nline.txt", "esc\u{1b}[31m.txt", "-dash.txt", "🚀.txt", "tab\t.txt"] {
            fs::write(flux.here(name), "needle\n").expect("a file");
        }
        fs::write(flux.here("").join(OsStr::from_bytes(b"bad\xff.txt")), "needle\n").expect("a file");
        flux
    };
    let calls = [
        ("list_files", json!({})),
        ("find_files", json!({"pattern": "*.txt"})),
        ("grep_search", json!({"pattern": "needle"})),
        ("read_files", json!({"paths": ["-dash.txt", "🚀.txt"]})),
    ];
    let answers = results(Api::Chat, odd, &calls);
    for answer in &answers[..3] {
        assert!(!answer.text.contains('\u{1b}') && !answer.text.contains("new\nline"), "{answer:?}");
        for part in ["-dash.txt", "🚀.txt", "bad", "line.txt"] {
            assert!(answer.text.contains(part), "{part}: {answer:?}");
        }
    }
    assert_eq!(answers[3].text.matches("needle").count(), 2, "{:?}", answers[3]);
}

#[test]
fn a_range_of_a_long_file_is_read_and_the_rest_is_offered() {
    let content: String = (1..=100_000).map(|n| format!("row {n}\n")).collect();
    let files = |f: Flux| f.file("long.txt", &content);
    let range = call(files, "read_files", json!({"paths": ["long.txt"], "start_line": 500, "end_line": 502}));
    for (part, there) in [("row 499\n", false), ("row 500\n", true), ("row 502", true), ("row 503", false)] {
        assert_eq!(range.text.contains(part), there, "{part}: {range:?}");
    }
    assert!(range.text.contains("502"), "lines are numbered: {range:?}");
    let whole = call(files, "read_files", json!({"paths": ["long.txt"]}));
    assert!(whole.text.contains("start_line"), "{}", &whole.text[whole.text.len() - 300..]);
    for (start, end) in [(0, 5), (5, 2), (200_000, 200_001)] {
        let answer = call(files, "read_files", json!({"paths": ["long.txt"], "start_line": start, "end_line": end}));
        assert!(answer.is_error == Some(true) || answer.text.len() < 1000, "{start}-{end}: {answer:?}");
    }
}

#[test]
fn search_patterns_cannot_stop_the_run() {
    let line = "a".repeat(100_000) + "b\n";
    let start = Instant::now();
    let answer = call(|f| f.file("a.txt", &line), "grep_search", json!({"pattern": "(a+)+$"}));
    assert!(answer.text.len() < 80_000);
    let huge = "(x|y)".repeat(400_000);
    let answer = call(|f| f.file("a.txt", "x"), "grep_search", json!({"pattern": huge}));
    assert_eq!(answer.is_error, Some(true));
    let bomb = call(|f| f.file("a.txt", "x"), "grep_search", json!({"pattern": "((a{1000}){1000}){1000}"}));
    assert_eq!(bomb.is_error, Some(true));
    assert!(start.elapsed() < Duration::from_secs(15), "{:?}", start.elapsed());
}

#[test]
fn where_the_root_is_the_home_directory_no_file_tool_is_offered() {
    let api = Api::Chat;
    let offered = |prepare: &dyn Fn(Flux) -> Flux| {
        let server = Server::script(api, [api.text("done")]);
        let _ = prepare(Flux::to(&server)).arg("p").run().code(0).stdout("done\n");
        api.tool_names(&server.only_request().json).len()
    };
    let home = |f: Flux| {
        let home = f.path("home");
        f.cwd(home)
    };
    assert_eq!(offered(&home), 0);
    assert_eq!(offered(&|f| f.cwd("/")), 0);
    assert_eq!(offered(&|f| f.cwd("..")), 0, "above the home directory");
    assert_eq!(offered(&|f| home(f).args(["--root", "."])), 4);
    assert_eq!(offered(&|f| f), 4);
}

#[test]
fn another_root_is_the_limit_for_all_tools() {
    let files = |f: Flux| {
        let f = f.file("in/a.txt", "needle in\n").file("b.txt", "needle out\n");
        f.args(["--root", "in"])
    };
    let answers = results(
        Api::Chat,
        files,
        &[
            ("grep_search", json!({"pattern": "needle"})),
            ("read_files", json!({"paths": ["../b.txt"]})),
            ("read_files", json!({"paths": ["a.txt"]})),
        ],
    );
    assert!(answers[0].text.contains("needle in") && !answers[0].text.contains("needle out"), "{answers:#?}");
    assert!(!answers[1].text.contains("needle") && answers[2].text.contains("needle in"), "{answers:#?}");
}
