//! D-01 to D-06: what stands on the streams and on the disk.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde_json::{Value, json};

use crate::scenarios;
use crate::support::{Api, Flux, Server, for_each_wire};

/// D-01: `--debug` changes neither stdout nor the requests nor the exit code, and shows no key.
#[test]
fn regression_d01_debug_changes_nothing() {
    for scenario in scenarios::all().iter().step_by(4) {
        let meet = |debug: bool| {
            let server = scenario.server(scenario.reply());
            let flux = scenario.command(&server);
            let run = if debug { flux.arg("--debug").run() } else { flux.run() };
            let bodies: Vec<Vec<u8>> = server.requests().into_iter().map(|r| r.body).collect();
            (run, bodies)
        };
        let (plain, requests) = meet(false);
        let (debug, debug_requests) = meet(true);
        let err = debug.err();
        let debug = debug.check(err.contains("[DEBUG]"), "--debug should say something");
        assert_eq!(plain.stdout, debug.stdout, "{}", scenario.name);
        assert_eq!(plain.code, debug.code, "{}", scenario.name);
        assert!(requests == debug_requests, "{}", scenario.name);
        assert!(!err.contains("CANARY"), "the key is shown: {err}");
    }
}

/// D-01: the lines that `--debug` prints for each request.
#[test]
fn regression_d01_debug_shows_the_history() {
    for_each_wire(|api| {
        let server = Server::script(api, [api.calls(&[(&api.id(1), "list_files", json!({}))]), api.text("done")]);
        let run = Flux::to(&server).args(["--debug", "the task"]).run().code(0).stdout("done\n");
        let run = run.stderr_has("[DEBUG] Continuing with ").stderr_has(" messages in history");
        let _ = run.stderr_has("[DEBUG] Last message role: ").stderr_has("[DEBUG] Last message content preview: ");
    });
}

/// D-02: a run that succeeds says nothing on stderr.
#[test]
fn regression_d02_nothing_unasked_on_stderr() {
    for_each_wire(|api| {
        let read = api.calls(&[(&api.id(1), "read_files", json!({"paths": ["a.txt"]}))]);
        let server = Server::script(api, [read, api.text("done")]);
        let flux = Flux::to(&server).file("a.txt", "alpha").arg("sum").stdin("some input\n");
        let _ = flux.run().code(0).stdout("done\n").stderr("");
    });
}

/// D-04: Unicode passes in both directions in the C locale; invalid bytes become U+FFFD with one note.
#[test]
fn regression_d04_unicode_passes_and_invalid_bytes_are_replaced() {
    let text = "naïve café 你好 🚀👨\u{200d}👩\u{200d}👧 \u{2028} z̈";
    for_each_wire(|api| {
        for locale in ["C", "POSIX", "C.UTF-8", "nonsense"] {
            let server = Server::script(api, [api.text(text)]);
            let flux = Flux::to(&server).env("LC_ALL", locale).arg(text).stdin(format!("{text}\n"));
            let _ = flux.run().code(0).stdout(format!("{text}\n")).stderr("");
            let sent = api.first_user_text(&server.only_request().json);
            assert_eq!(sent.matches(text).count(), 2, "{sent}");
        }
        let server = Server::script(api, [api.text("done")]);
        let run = Flux::to(&server).env("LC_ALL", "C").arg("p").stdin(b"a\xff\xfeb\xf0\x9f\x9a\x80\n").run();
        let run = run.code(0).stdout("done\n");
        let lines = run.err().lines().count();
        let _ = run.check(lines == 1, "one note on stderr was expected");
        let sent = api.first_user_text(&server.only_request().json);
        assert!(sent.contains("a\u{fffd}\u{fffd}b🚀"), "{sent}");
    });
}

/// D-05: stdout is the answer byte for byte; in JSONL every line is JSON.
#[test]
fn regression_d05_no_status_text_on_stdout() {
    let answer = "  two\n\n\tlines \u{1b}[1mbold\u{1b}[0m\r\nend  ";
    for_each_wire(|api| {
        let script = || [api.text_and_calls("Let me see.", &[(&api.id(1), "list_files", json!({}))]), api.text(answer)];
        let server = Server::script(api, script());
        let _ = Flux::to(&server).args(["-v", "p"]).run().code(0).stdout(format!("{answer}\n"));
        let server = Server::script(api, script());
        let run = Flux::to(&server).args(["--jsonl", "p"]).run().code(0).stderr("");
        let lines: Vec<Value> = run.out().lines().map(|l| serde_json::from_str(l).expect("a JSON line")).collect();
        assert_eq!(lines.last().map(|l| l["result"].clone()), Some(json!(answer)));
        let _ = run.check(lines.len() >= 7, "the transcript, line by line");
    });
}

fn tree(root: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut open = vec![root.to_path_buf()];
    while let Some(dir) = open.pop() {
        for entry in fs::read_dir(&dir).expect("a directory").flatten() {
            let path = entry.path();
            let kind = entry.file_type().expect("a type");
            if kind.is_dir() {
                open.push(path.clone());
            }
            let content = if kind.is_file() { fs::read(&path).expect("a file") } else { Vec::new() };
            found.insert(path.display().to_string(), content);
        }
    }
    found
}

/// D-06: a run leaves no file behind, anywhere, and works where nothing can be written.
#[test]
fn regression_d06_no_files_are_created() {
    for_each_wire(|api| {
        let read = api.calls(&[(&api.id(1), "read_files", json!({"paths": ["a.txt"]}))]);
        let server = Server::script(api, [read, api.text("done")]);
        let flux = Flux::to(&server).file("a.txt", "alpha").arg("p");
        let root = flux.path("");
        let before = tree(&root);
        for dir in ["work", "home", "config", "run", "tmp"] {
            fs::set_permissions(flux.path(dir), fs::Permissions::from_mode(0o555)).expect("chmod");
        }
        let run = flux.run();
        for dir in ["work", "home", "config", "run", "tmp"] {
            fs::set_permissions(flux.path(dir), fs::Permissions::from_mode(0o755)).expect("chmod");
        }
        let _ = run.code(0).stdout("done\n").stderr("");
        assert_eq!(tree(&root), before);
    });
}

/// D-06: a missing or unusable HOME is no reason to fail.
#[test]
fn regression_d06_home_may_be_missing() {
    let variants: [fn(Flux) -> Flux; 3] = [
        |f| f.env_remove("HOME").env_remove("XDG_CONFIG_HOME"),
        |f| f.env("HOME", "/nonexistent"),
        |f| f.env_remove("TMPDIR"),
    ];
    for variant in variants {
        let server = Server::script(Api::Chat, [Api::Chat.text("done")]);
        let _ = variant(Flux::to(&server)).arg("p").run().code(0).stdout("done\n").stderr("");
    }
}
