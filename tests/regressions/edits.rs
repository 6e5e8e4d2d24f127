//! T-01 to T-23, S-03, S-14, L-01 and L-04/05 as far as they concern changes: what an edit does to a file, what it
//! refuses, and how the model gets out of a loop of failing edits.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use serde_json::{Value, json};

use crate::support::tools::{results, turns};
use crate::support::wire::ToolOutput;
use crate::support::{Api, Flux, for_each_wire};

type Call = (&'static str, Value);

fn edit(path: &str, search: &str, replace: &str) -> Call {
    ("edit_file", json!({"path": path, "edits": [{"search": search, "replace": replace}]}))
}

fn write(path: &str, content: &str) -> Call {
    ("write_file", json!({"path": path, "content": content}))
}

fn read(path: &str) -> Call {
    ("read_files", json!({"paths": [path]}))
}

/// Makes the calls in one turn, with the grant; gives the place as well.
#[track_caller]
fn change(api: Api, prepare: impl FnOnce(Flux) -> Flux, calls: &[Call]) -> (Flux, Vec<ToolOutput>) {
    let mut place = None;
    let answers = results(
        api,
        |flux| {
            let flux = prepare(flux.args(["--allow", "write"]));
            place = Some(flux.clone());
            flux
        },
        calls,
    );
    (place.expect("a place"), answers)
}

fn content(flux: &Flux, path: &str) -> Vec<u8> {
    fs::read(flux.here(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
}

/// T-01: what is read after an edit is what the edit has made.
#[test]
fn regression_t01_a_read_after_an_edit_shows_the_new_text() {
    for_each_wire(|api| {
        let calls = [read("a.txt"), edit("a.txt", "alpha", "omega"), read("a.txt")];
        let (_, answers) = change(api, |f| f.file("a.txt", "alpha\n"), &calls);
        assert_eq!(answers[2].text, "     1\tomega\n");
    });
}

/// T-04: lines that were pasted with the numbers that `read_files` shows are found.
#[test]
fn regression_t04_line_numbers_pasted_into_the_search_are_stripped() {
    for_each_wire(|api| {
        let calls = [
            read("a.txt"),
            edit("a.txt", "     2\ttwo\n     3\tthree", "     2\t2\n     3\t3"),
            edit("a.txt", "12|nothing", "x"),
            edit("a.txt", "1|one", "1|uno"),
        ];
        let (place, answers) = change(api, |f| f.file("a.txt", "one\ntwo\nthree\n"), &calls);
        assert_eq!(content(&place, "a.txt"), b"uno\n2\n3\n", "{answers:?}");
        assert!(answers[2].text.starts_with("no_match: "), "{answers:?}");
    });
}

/// T-06, T-10: a file that was not read is not overwritten.
#[test]
fn regression_t06_t10_an_unread_file_is_not_overwritten() {
    for_each_wire(|api| {
        let calls = [write("a.txt", "new\n"), edit("a.txt", "precious", "x"), write("./b/../a.txt", "new\n")];
        let (place, answers) = change(api, |f| f.file("a.txt", "precious\n"), &calls);
        assert!(answers.iter().all(|answer| answer.text.starts_with("not_read: ")), "{answers:?}");
        assert_eq!(content(&place, "a.txt"), b"precious\n");
    });
}

/// T-08: a refused write leaves no directory behind.
#[test]
fn regression_t08_a_refused_write_leaves_no_directory() {
    let name = "n".repeat(300);
    let long = format!("new/{name}");
    let calls = [
        write("a/b/../../../x/y", "x"),
        write("new/.git/hooks/x", "x"),
        write("file/new/x", "x"),
        write(&long, "x"),
        write("link/new/x", "x"),
        ("move_file", json!({"path": "missing", "to": "new/x"})),
        ("move_file", json!({"path": "link", "to": "new/x"})),
    ];
    let prepare = |flux: Flux| {
        symlink(flux.path("outside"), flux.here("link")).expect("a link");
        flux.file("file", "x")
    };
    let (place, answers) = change(Api::Chat, prepare, &calls);
    assert!(answers.iter().all(|answer| answer.text.contains(": ") && !answer.text.contains("created")), "{answers:?}");
    let mut names: Vec<_> =
        fs::read_dir(place.here("")).expect("a directory").flatten().map(|e| e.file_name()).collect();
    names.sort();
    assert_eq!(names, ["file", "link"]);
}

/// T-11: outside the edited piece not a byte and not the mode changes.
#[test]
fn regression_t11_an_edit_keeps_line_ends_mark_mode_and_last_line() {
    let cases: [(&str, &[u8], &[u8]); 4] = [
        ("crlf", b"a\r\nb\r\nc\r\n", b"a\r\nx\r\ny\r\nc\r\n"),
        ("last", b"a\nb\nc", b"a\nx\ny\nc"),
        ("mark", b"\xef\xbb\xbfa\nb\n", b"\xef\xbb\xbfa\nx\ny\n"),
        ("bytes", b"\xff\nb\n\xfe\n", b"\xff\nx\ny\n\xfe\n"),
    ];
    for_each_wire(|api| {
        let calls: Vec<Call> = cases.iter().flat_map(|(name, ..)| [read(name), edit(name, "b", "x\ny")]).collect();
        let prepare = |flux: Flux| {
            cases.iter().fold(flux, |flux, (name, before, _)| {
                let flux = flux.file(name, before);
                fs::set_permissions(flux.here(name), fs::Permissions::from_mode(0o754)).expect("chmod");
                flux
            })
        };
        let (place, answers) = change(api, prepare, &calls);
        for (name, _, after) in cases {
            assert_eq!(content(&place, name), after, "{name}: {answers:?}");
            let mode = fs::metadata(place.here(name)).expect("a file").permissions().mode();
            assert_eq!(mode & 0o7777, 0o754, "{name}");
        }
    });
}

/// T-13, T-14: a program and a binary are moved as they are.
#[test]
fn regression_t13_t14_a_move_keeps_mode_and_bytes() {
    let bytes: Vec<u8> = (0..=255).cycle().take(5000).collect();
    for_each_wire(|api| {
        let prepare = |flux: Flux| {
            let flux = flux.file("run", &bytes);
            fs::set_permissions(flux.here("run"), fs::Permissions::from_mode(0o755)).expect("chmod");
            flux
        };
        let (place, answers) = change(api, prepare, &[("move_file", json!({"path": "run", "to": "bin/run"}))]);
        assert_eq!(content(&place, "bin/run"), bytes, "{answers:?}");
        assert!(!place.here("run").exists());
        let mode = fs::metadata(place.here("bin/run")).expect("a file").permissions().mode();
        assert_eq!(mode & 0o7777, 0o755);
    });
}

/// T-15: no path leads a change out of the root.
#[test]
fn regression_t15_no_change_leads_out_of_the_root() {
    for_each_wire(|api| {
        let mut calls = Vec::new();
        for path in ["../outside/f", "./a/../../outside/f", "dirlink/f", "filelink", "/etc/flux-evil", "chain/new"] {
            calls.push(write(path, "evil"));
            calls.push(edit(path, "kept", "evil"));
            calls.push(("delete_file", json!({ "path": path })));
            calls.push(("move_file", json!({"path": path, "to": "stolen"})));
            calls.push(("move_file", json!({"path": "a.txt", "to": path})));
        }
        let prepare = |flux: Flux| {
            let outside = flux.path("outside");
            fs::create_dir(&outside).expect("a directory");
            fs::write(outside.join("f"), "kept\n").expect("a file");
            symlink(&outside, flux.here("dirlink")).expect("a link");
            symlink(outside.join("f"), flux.here("filelink")).expect("a link");
            symlink("dirlink", flux.here("chain")).expect("a link");
            flux.file("a.txt", "kept\n")
        };
        let (place, answers) = change(api, prepare, &calls);
        for (call, answer) in calls.iter().zip(&answers) {
            let refused = ["outside_root: ", "symbolic_link: ", "exists: "].iter().any(|c| answer.text.starts_with(c));
            assert!(refused, "{call:?}: {answer:?}");
        }
        assert_eq!(fs::read(place.path("outside/f")).expect("a file"), b"kept\n");
        assert_eq!(fs::read_dir(place.path("outside")).expect("a directory").count(), 1);
        assert_eq!(content(&place, "a.txt"), b"kept\n");
        assert!(!place.here("stolen").exists());
    });
}

/// T-23: what an old parser would reject is no business of an edit.
#[test]
fn regression_t23_modern_code_is_not_rejected() {
    let calls = [
        read("a.js"),
        edit("a.js", "const x = 1", "export const x = await load<string>()"),
        write("b.ts", "export type A<T> = { a: T }\n"),
        write("c.mjs", "import a from './a.js'\n"),
    ];
    let (place, answers) = change(Api::Chat, |f| f.file("a.js", "const x = 1\n"), &calls);
    assert_eq!(content(&place, "a.js"), b"export const x = await load<string>()\n", "{answers:?}");
    assert!(answers[2].text.contains("created") && answers[3].text.contains("created"), "{answers:?}");
}

/// S-03: code about tokens and secrets can be written.
#[test]
fn regression_s03_code_with_a_suspicious_name_is_written() {
    for_each_wire(|api| {
        let calls = [
            write("src/tokenizer.rs", "a\n"),
            write("token-secrets/tokenizer.rs", "b\n"),
            write("auth/password.py", "c\n"),
        ];
        let (place, answers) = change(api, |f| f, &calls);
        assert_eq!(content(&place, "src/tokenizer.rs"), b"a\n", "{answers:?}");
        assert_eq!(content(&place, "token-secrets/tokenizer.rs"), b"b\n", "{answers:?}");
        assert_eq!(content(&place, "auth/password.py"), b"c\n", "{answers:?}");
    });
}

/// S-14: in an empty directory a file can be made, and a refusal says what is wrong.
#[test]
fn regression_s14_a_new_file_is_possible_in_an_empty_directory() {
    for_each_wire(|api| {
        let (place, answers) = change(api, |f| f, &[write("new.txt", "text\n"), edit("other.txt", "a", "b")]);
        assert_eq!(content(&place, "new.txt"), b"text\n", "{answers:?}");
        assert!(answers[1].text.starts_with("not_found: other.txt does not exist"), "{answers:?}");
    });
}

/// L-01: the same failing edit is blocked the third time, whatever is read in between.
#[test]
fn regression_l01_the_same_bad_edit_is_blocked_the_third_time() {
    let bad = || edit("a.txt", "missing", "x");
    let again: Vec<Vec<Call>> = vec![vec![read("a.txt")], vec![bad()], vec![bad()], vec![bad()]];
    let between: Vec<Vec<Call>> =
        vec![vec![read("a.txt"), bad()], vec![read("a.txt"), bad()], vec![read("a.txt"), bad()]];
    for_each_wire(|api| {
        for steps in [&again, &between] {
            let steps: Vec<&[Call]> = steps.iter().map(Vec::as_slice).collect();
            let mut place = None;
            let answers = turns(
                api,
                |flux| {
                    let flux = flux.args(["--allow", "write"]).file("a.txt", "text\n");
                    place = Some(flux.clone());
                    flux
                },
                &steps,
            );
            let failed: Vec<&str> =
                answers.iter().map(|a| a.text.as_str()).filter(|text| !text.contains("     1\t")).collect();
            assert_eq!(failed.len(), 3, "{answers:?}");
            assert!(failed[1].starts_with("no_match: "), "{answers:?}");
            assert!(failed[2].starts_with("RETRY_LOOP_DETECTED: "), "{answers:?}");
            assert_eq!(content(&place.expect("a place"), "a.txt"), b"text\n");
        }
    });
}

/// L-04, L-05: a change of the file clears what failed on it; a change of another file clears nothing.
#[test]
fn regression_l04_l05_only_a_change_of_that_file_clears_a_failing_call() {
    for_each_wire(|api| {
        let bad = || edit("a.txt", "later", "x");
        let steps: [&[Call]; 6] = [
            &[read("a.txt"), bad()],
            &[bad()],
            &[write("b.txt", "later\n")],
            &[bad()],
            &[edit("./a.txt", "text", "later")],
            &[bad()],
        ];
        let answers = turns(api, |f| f.args(["--allow", "write"]).file("a.txt", "text\n"), &steps);
        assert!(answers[4].text.starts_with("RETRY_LOOP_DETECTED: "), "{answers:?}");
        assert!(answers[6].text.starts_with("a.txt: 1 edit\n"), "{answers:?}");
    });
}
