//! L-02 and T-15 to T-22: what the four read tools tell the model, and what they must not show it.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use serde_json::{Value, json};

use crate::support::tools::{results, turns};
use crate::support::{Flux, for_each_wire};

/// Calls that fail, for every tool.
fn failing_calls() -> Vec<(&'static str, Value)> {
    vec![
        ("read_files", json!({"paths": ["missing.txt"]})),
        ("read_files", json!({"paths": ["../x"]})),
        ("read_files", json!({"paths": ["."]})),
        ("read_files", json!({})),
        ("read_files", json!({"paths": 7})),
        ("read_files", json!({"paths": ["a.txt"], "surprise": 1})),
        ("read_files", json!({"paths": ["a.txt"], "start_line": 999})),
        ("list_files", json!({"path": "missing"})),
        ("list_files", json!({"path": "a.txt"})),
        ("list_files", json!({"path": "/etc"})),
        ("list_files", json!({"depth": "deep"})),
        ("find_files", json!({"pattern": "["})),
        ("find_files", json!({})),
        ("find_files", json!({"pattern": "*", "path": "missing"})),
        ("grep_search", json!({"pattern": "("})),
        ("grep_search", json!({})),
        ("grep_search", json!({"pattern": "x", "path": "missing"})),
        ("grep_search", json!({"pattern": "x", "path": "../"})),
        ("no_such_tool", json!({})),
    ]
}

/// L-02: every error of every tool reaches the model as `CODE: message`, the same on every wire.
#[test]
fn regression_l02_every_error_has_a_code_and_a_message() {
    let calls = failing_calls();
    let mut texts: Vec<Vec<String>> = Vec::new();
    for_each_wire(|api| {
        let answers = results(api, |f| f.file("a.txt", "alpha\n"), &calls);
        for (call, answer) in calls.iter().zip(&answers) {
            let code = answer.text.split(':').next().unwrap_or_default();
            let is_code =
                code.len() > 2 && code.bytes().all(|b| b.is_ascii_alphabetic() || b == b'_' || b.is_ascii_digit());
            assert!(is_code && answer.text.len() > code.len() + 3, "{call:?}: {answer:?}");
            assert!(answer.is_error.unwrap_or(true), "{call:?}: {answer:?}");
        }
        texts.push(answers.into_iter().map(|a| a.text).collect());
    });
    assert_eq!(texts[0], texts[1]);
    assert_eq!(texts[0], texts[2]);
}

const CANARY: &str = "canary-7f3a91";

/// A directory outside the root, reached by links from within it.
fn with_outside(flux: Flux) -> Flux {
    let outside = flux.path("outside");
    fs::create_dir(&outside).expect("a directory");
    fs::write(outside.join("secret.txt"), format!("needle {CANARY}\n")).expect("a file");
    fs::write(outside.join(format!("{CANARY}.txt")), "needle\n").expect("a file");
    symlink(&outside, flux.here("dirlink")).expect("a link");
    symlink(outside.join("secret.txt"), flux.here("filelink")).expect("a link");
    symlink("dirlink", flux.here("chain")).expect("a link");
    flux.file("a.txt", "needle alpha\n")
}

/// The four tools on one path, as a file and as a directory.
fn calls_on(path: &str) -> Vec<(&'static str, Value)> {
    let file = format!("{path}/secret.txt");
    vec![
        ("read_files", json!({"paths": [file]})),
        ("read_files", json!({"paths": [path]})),
        ("list_files", json!({"path": path})),
        ("find_files", json!({"pattern": "*", "path": path})),
        ("find_files", json!({"pattern": format!("{path}/*")})),
        ("grep_search", json!({"pattern": "needle", "path": path})),
        ("grep_search", json!({"pattern": "needle", "path": file})),
        ("grep_search", json!({"pattern": "needle", "glob": format!("{path}/*")})),
    ]
}

fn shows_nothing_outside(prepare: impl Fn(Flux) -> Flux, paths: impl Fn(&Flux) -> Vec<String>) {
    for_each_wire(|api| {
        let mut given = Vec::new();
        let probe = prepare(crate::support::ask());
        for path in paths(&probe) {
            given.extend(calls_on(&path));
        }
        given.push(("read_files", json!({"paths": ["filelink"]})));
        given.push(("grep_search", json!({"pattern": "needle"})));
        given.push(("find_files", json!({"pattern": "**/*"})));
        given.push(("list_files", json!({"depth": 9})));
        let in_turns: Vec<&[(&str, Value)]> = given.chunks(32).collect();
        let answers = turns(api, &prepare, &in_turns);
        for (call, answer) in given.iter().zip(&answers) {
            assert!(!answer.text.contains(CANARY), "{call:?} showed what is outside: {answer:?}");
        }
        let inside = &answers[answers.len() - 3];
        assert!(inside.text.contains("a.txt"), "the root itself can be searched: {inside:?}");
    });
}

/// T-15: `..`, absolute paths and links lead nowhere outside the root, for each of the four tools.
#[test]
fn regression_t15_no_path_leads_out_of_the_root() {
    shows_nothing_outside(with_outside, |flux| {
        let outside = flux.path("outside").display().to_string();
        let work = flux.path("work").display().to_string();
        [
            "../outside",
            "./a/../../outside",
            "dirlink",
            "chain",
            "dirlink/../outside",
            "/etc",
            "/proc/self",
            outside.as_str(),
            format!("{work}/../outside").as_str(),
        ]
        .map(str::to_owned)
        .to_vec()
    });
}

/// T-15: a working directory that is itself reached by a link is a root like any other.
#[test]
fn regression_t15_a_symlinked_working_directory_is_no_way_out() {
    let prepare = |flux: Flux| {
        let flux = with_outside(flux);
        symlink(flux.path("work"), flux.path("alias")).expect("a link");
        let alias = flux.path("alias");
        flux.cwd(alias)
    };
    shows_nothing_outside(prepare, |_| ["../outside", "dirlink", "../work/dirlink"].map(str::to_owned).to_vec());
}

/// T-18: a search with a million hits is bounded, and says so.
#[test]
fn regression_t18_a_search_is_bounded() {
    let many = "match me\n".repeat(1_000_000);
    for_each_wire(|api| {
        let answers = results(api, |f| f.file("many.txt", &many), &[("grep_search", json!({"pattern": "match"}))]);
        let text = &answers[0].text;
        assert!(text.len() < 80_000, "{} bytes", text.len());
        assert!(text.contains("many.txt:1:match me"), "{}", &text[..200]);
        assert!(!text.contains("many.txt:999999:") || text.contains("omitted"), "no mark of what was left out");
    });
}

/// T-19: what looks like an option is a pattern, a glob or a path.
#[test]
fn regression_t19_no_option_can_be_slipped_into_a_search() {
    let calls = [
        ("grep_search", json!({"pattern": "-v"})),
        ("grep_search", json!({"pattern": "--pre=/bin/sh"})),
        ("grep_search", json!({"pattern": "--help"})),
        ("grep_search", json!({"pattern": "x", "path": "--help"})),
        ("grep_search", json!({"pattern": "--pre", "glob": "-g"})),
        ("find_files", json!({"pattern": "--help"})),
    ];
    for_each_wire(|api| {
        let content = "use -v here\n--pre=/bin/sh\nsee --help\n";
        let answers = results(api, |f| f.file("a.txt", content), &calls);
        assert!(answers[0].text.contains("a.txt:1:use -v here"), "{:?}", answers[0]);
        assert!(!answers[0].text.contains("see --help"), "{:?}", answers[0]);
        assert!(answers[1].text.contains("a.txt:2:"), "{:?}", answers[1]);
        assert!(answers[2].text.contains("a.txt:3:"), "{:?}", answers[2]);
        assert!(answers[3].is_error.unwrap_or(true), "{:?}", answers[3]);
        assert!(!answers[5].text.contains("a.txt"), "{:?}", answers[5]);
    });
}

/// T-20: the result of a search does not depend on a program on PATH, and none is run.
#[test]
fn regression_t20_searches_do_not_depend_on_rg() {
    let calls = [
        ("grep_search", json!({"pattern": r"fn\s+\w+", "context": 1})),
        ("grep_search", json!({"pattern": "ALPHA", "ignore_case": true, "glob": "*.rs"})),
        ("find_files", json!({"pattern": "**/*.rs"})),
        ("list_files", json!({})),
    ];
    let files = |flux: Flux| flux.file("a.rs", "// alpha\nfn main() {\n}\n").file("sub/b.rs", "fn b() {}\n");
    let with_rg = |flux: Flux| {
        let bin = flux.path("bin");
        fs::create_dir(&bin).expect("a directory");
        for name in ["rg", "grep", "find", "git", "ls"] {
            fs::write(bin.join(name), format!("#!/bin/sh\necho hacked; touch {}\n", flux.here("ran").display()))
                .expect("a file");
            fs::set_permissions(bin.join(name), fs::Permissions::from_mode(0o755)).expect("chmod");
        }
        let path = format!("{}:/usr/bin:/bin", bin.display());
        files(flux).env("PATH", path)
    };
    for_each_wire(|api| {
        let text = |answers: Vec<crate::support::wire::ToolOutput>| -> Vec<String> {
            answers.into_iter().map(|a| a.text).collect()
        };
        let without = text(results(api, files, &calls));
        let nothing = text(results(api, |f| files(f).env_remove("PATH"), &calls));
        assert_eq!(without, text(results(api, with_rg, &calls)));
        assert_eq!(without, nothing);
        assert!(without[0].contains("a.rs:2:fn main() {"), "{without:#?}");
    });
}

/// T-22: what an ignore file names is not listed, found or searched, but can be read by its name.
#[test]
fn regression_t22_ignored_files_are_not_listed() {
    let files = |flux: Flux| {
        fs::create_dir_all(flux.here(".git")).expect("a directory");
        let flux = flux.file(".gitignore", "*.log\ntarget/\n").file("sub/.gitignore", "local.txt\n");
        flux.file("a.txt", "word\n")
            .file("noise.log", "word\n")
            .file("target/out.txt", "word\n")
            .file("sub/local.txt", "word\n")
            .file("sub/kept.txt", "word\n")
    };
    let calls = [
        ("list_files", json!({"depth": 5})),
        ("find_files", json!({"pattern": "**/*"})),
        ("grep_search", json!({"pattern": "word"})),
        ("read_files", json!({"paths": ["noise.log"]})),
    ];
    for_each_wire(|api| {
        let answers = results(api, files, &calls);
        for answer in &answers[..3] {
            for ignored in ["noise.log", "out.txt", "local.txt"] {
                assert!(!answer.text.contains(ignored), "{answer:?}");
            }
            assert!(answer.text.contains("a.txt") && answer.text.contains("kept.txt"), "{answer:?}");
        }
        assert!(answers[3].text.contains("word"), "{:?}", answers[3]);
    });
}

/// T-15, T-22: names that usually hold secrets are denied until they are named by a grant.
#[test]
fn regression_t15_secret_names_are_denied() {
    let files = |flux: Flux| {
        let flux = flux.file("a.txt", "word\n").file(".git/config", format!("word {CANARY}\n"));
        [
            ".env",
            ".env.local",
            "server.pem",
            "private.key",
            "id_rsa",
            ".netrc",
            ".npmrc",
            ".git-credentials",
            "credentials.json",
        ]
        .iter()
        .fold(flux, |flux, name| flux.file(name, format!("word {CANARY}\n")))
    };
    let mut calls =
        vec![("grep_search", json!({"pattern": "word"})), ("grep_search", json!({"pattern": "word", "path": ".env"}))];
    for name in [".env", "server.pem", "private.key", "id_rsa", ".netrc", ".npmrc", ".git-credentials", ".git/config"] {
        calls.push(("read_files", json!({"paths": [name]})));
        // Five denials in a row would end the run.
        calls.push(("read_files", json!({"paths": ["a.txt"]})));
    }
    for_each_wire(|api| {
        for (call, answer) in calls.iter().zip(results(api, files, &calls)) {
            assert!(!answer.text.contains(CANARY), "{call:?}: {answer:?}");
        }
    });
}
