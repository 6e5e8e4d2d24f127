//! What the command line says about changes, and what the model and the user are told.

use serde_json::{Value, json};

use crate::support::tools::{results, turns};
use crate::support::{Api, Flux, Reply, Server, ask, for_each_wire};

fn write(path: &str) -> (&'static str, Value) {
    ("write_file", json!({"path": path, "content": "new\n"}))
}

#[test]
fn without_a_grant_no_changing_tool_is_offered_and_a_call_of_one_changes_nothing() {
    for_each_wire(|api| {
        let server = Server::script(api, [api.calls(&[(&api.id(1), "write_file", write("a").1)]), api.text("a diff")]);
        let flux = Flux::to(&server).arg("fix it");
        let _ = flux.run().code(0);
        assert!(!flux.here("a").exists());
        let requests = server.requests();
        let names = api.tool_names(&requests[0].json);
        assert_eq!(names, ["read_files", "list_files", "find_files", "grep_search"]);
        let system = requests[0].json.to_string();
        assert!(system.contains("answer with a diff") && system.contains("--allow write"), "{system}");
        let result = api.results(&requests[1].json).remove(0);
        assert!(result.text.starts_with("denied: "), "{result:?}");
    });
}

#[test]
fn with_a_grant_the_model_changes_files_on_every_wire() {
    for_each_wire(|api| {
        let steps: [&[(&str, Value)]; 5] = [
            &[("read_files", json!({"paths": ["a.txt"]}))],
            &[
                ("edit_file", json!({"path": "a.txt", "edits": [{"search": "two", "replace": "2"}]})),
                write("d/new.txt"),
            ],
            &[("read_files", json!({"paths": ["a.txt", "d/new.txt"]}))],
            &[("move_file", json!({"path": "a.txt", "to": "e/b.txt"})), ("delete_file", json!({"path": "d/new.txt"}))],
            &[("list_files", json!({}))],
        ];
        let answers = turns(api, |f| f.args(["--allow", "write"]).file("a.txt", "one\ntwo\n"), &steps);
        let texts: Vec<&str> = answers.iter().map(|answer| answer.text.as_str()).collect();
        assert_eq!(texts[1], "a.txt: 1 edit\n--- a/a.txt\n+++ b/a.txt\n@@ -1,2 +1,2 @@\n one\n-two\n+2\n");
        assert_eq!(texts[2], "d/new.txt: created, 1 lines, 4 bytes");
        assert!(texts[3].contains("     2\t2\n") && texts[3].contains("     1\tnew\n"), "{texts:?}");
        assert_eq!(texts[4..], ["a.txt is now e/b.txt", "d/new.txt: deleted", "d/\ne/\n  b.txt\n"]);
    });
}

#[test]
fn the_system_prompt_and_the_transcript_say_what_the_run_may_do() {
    let server = Server::script(
        Api::Chat,
        [
            Api::Chat.calls(&[(&Api::Chat.id(1), "write_file", json!({"path": "src/a", "content": "x\n"}))]),
            Api::Chat.text("done"),
        ],
    );
    let flux = Flux::to(&server).args(["--allow", "write:src/**", "--deny", "write:src/gen", "p"]).transcript();
    let _ = flux.run().code(0);
    let system = server.requests()[0].json.to_string();
    assert!(system.contains("may change files, but not run programs"), "{system}");
    assert!(system.contains("--allow 'write:src/**' --deny 'write:src/gen'"), "{system}");
    let text = std::fs::read_to_string(flux.path("transcript.jsonl")).expect("the transcript");
    assert!(text.contains(r#""allow":["write:src/**"],"deny":["write:src/gen"]"#), "{text}");
    assert!(text.contains(r#""diff":"--- /dev/null\n+++ b/src/a\n@@ -0,0 +1 @@\n+x\n""#), "{text}");
}

#[test]
fn a_word_that_is_no_grant_is_refused_at_once_with_the_part_at_fault() {
    let cases = [
        ("--allow", "cargo test", "probably meant: 'run:cargo test **'"),
        ("--allow", "npm", "probably meant: 'run:npm **'"),
        ("--allow", "run", "flux help permissions"),
        ("--allow", "bash", "flux help permissions"),
        ("--allow", "all", "flux help permissions"),
        ("--allow", "network", "probably meant: 'net'"),
        ("--allow", "run:cargo test*", "'run:cargo **'"),
        ("--allow", "run:make && make test", "for a shell"),
        ("--allow", "run:", "name a program"),
        ("--allow", "shell:ls", "takes no pattern"),
        ("--allow", "net:443", "no port"),
        ("--allow", "env:LD_PRELOAD", "no child gets it"),
        ("--allow", "env:ANTHROPIC_API_KEY", "goes to no program"),
        ("--allow", "env:GROQ_API_KEY", "goes to no program"),
        ("--deny", "cargo test", "probably meant: 'run:cargo test **'"),
        ("--allow", "write:/etc/**", "--allow write:/etc/**: "),
        ("--allow", "write:../**", "--allow write:../**: "),
        ("--allow", "write:", "--allow write:: "),
        ("--allow", "write:[", "no glob"),
        ("--allow", "read:/a/../b", "--allow read:/a/../b: "),
        ("--deny", "write:/etc/**", "--deny write:/etc/**: "),
        ("--deny", "everything", "--deny everything: "),
        ("--on-deny", "maybe", "maybe"),
    ];
    for (flag, word, part) in cases {
        let _ = ask().args([flag, word, "-m", "anthropic", "p"]).run().failure(2, 1).stderr_has(part);
    }
    let own = ["--allow", "env:MY_KEY", "--api-key-env", "MY_KEY", "-m", "anthropic", "p"];
    let _ = ask().args(own).run().failure(2, 1).stderr_has("goes to no program");
    let _ = ask().args(["--allow", "read:/no/such/place", "p"]).run().failure(66, 1).stderr_has("/no/such/place");
    let _ = ask().args(["--no-tools", "--allow", "write", "p"]).run().failure(2, 1).stderr_has("--no-tools");
}

#[test]
fn list_tools_says_why_a_tool_is_not_offered() {
    let list = |args: &[&str]| ask().args(args.iter().copied()).arg("--list-tools").run().code(0).out();
    let default = list(&[]);
    assert!(default.starts_with("read_files "), "{default}");
    for tool in ["edit_file", "write_file", "move_file", "delete_file"] {
        assert!(default.contains(&format!("{tool:<12} not offered: needs --allow write\n")), "{default}");
    }
    assert!(default.contains("run_command  not offered: needs --allow 'run:PROGRAM **'\n"), "{default}");
    assert!(default.contains("shell        not offered: needs --allow shell\n"), "{default}");
    assert!(!list(&["--allow", "write", "--allow", "run:ls", "--allow", "shell"]).contains("not offered"));
    let missing = list(&["--allow", "run:ls **", "--allow", "run:no-such-program"]);
    assert!(missing.contains("run_command  Run a program") && missing.contains("ls **; no-such-program."), "{missing}");
    assert!(missing.contains("run_command  'no-such-program' is not on the search path"), "{missing}");
    assert!(list(&["--allow", "run:ls", "--deny", "run"]).contains("run_command  not offered: --deny run\n"));
    assert!(list(&["--allow", "shell", "--deny", "shell"]).contains("shell        not offered: --deny shell\n"));
    assert!(list(&["--allow", "shell", "--deny", "read"]).contains("shell        not offered: --deny read\n"));
    assert!(list(&["--allow", "write", "--deny", "write"]).contains("edit_file    not offered: --deny write\n"));
    assert!(list(&["--no-tools"]).contains("read_files   not offered: --no-tools\n"));
}

#[test]
fn the_grant_that_a_denied_call_lacked_is_named_at_the_end() {
    let server = Server::script(
        Api::Chat,
        [
            Api::Chat.calls(&[(&Api::Chat.id(1), "write_file", json!({"path": ".github/x.yml", "content": "x"}))]),
            Api::Chat.text("done"),
        ],
    );
    let run = Flux::to(&server).args(["--allow", "write", "p"]).transcript().run().code(0).stdout("done\n");
    let run = run.stderr_has("--allow 'write:.github/x.yml'");
    assert_eq!(run.transcript().result()["tool_calls"], json!({"ok": 0, "error": 0, "denied": 1}));
}

fn denied(api: Api, n: usize) -> Reply {
    let id = api.id(n);
    api.calls(&[(&id, "write_file", json!({"path": format!(".git/{n}"), "content": "x"}))])
}

#[test]
fn on_deny_fail_ends_the_run_with_84_at_the_first_denial() {
    for_each_wire(|api| {
        let ids = [api.id(1), api.id(2), api.id(3)];
        let calls = [
            (ids[0].as_str(), "write_file", json!({"path": ".git/a", "content": "x"})),
            (ids[1].as_str(), "write_file", json!({"path": "b", "content": "x"})),
            (ids[2].as_str(), "read_files", json!({"paths": ["b"]})),
        ];
        let server = Server::script(api, [api.calls(&calls)]);
        let flux = Flux::to(&server).args(["--allow", "write", "--on-deny", "fail", "p"]).transcript();
        let run = flux.run().code(84).stdout("").stderr_has("flux: a call was denied").stderr_has("(exit 84)");
        let result = run.transcript().result().clone();
        assert_eq!((&result["status"], &result["exit_code"]), (&json!("denied"), &json!(84)));
        assert_eq!(result["tool_calls"], json!({"ok": 0, "error": 2, "denied": 1}));
        assert!(!flux.here("b").exists());
    });
}

#[test]
fn five_denials_in_a_row_end_the_run_and_others_do_not() {
    let api = Api::Anthropic;
    let server = Server::script(api, (1..=5).map(|n| denied(api, n)));
    let run = Flux::to(&server).args(["--allow", "write", "p"]).run().code(84).stdout("");
    let _ = run.stderr_has("five calls in a row were denied; to permit it: --allow 'write:.git/5'");
    let mut replies: Vec<Reply> = (1..=4).map(|n| denied(api, n)).collect();
    replies.push(api.calls(&[(&api.id(9), "list_files", json!({}))]));
    replies.extend((11..=14).map(|n| denied(api, n)));
    replies.push(api.text("done"));
    let server = Server::script(api, replies);
    let _ = Flux::to(&server).args(["--allow", "write", "p"]).run().code(0).stdout("done\n");
    // The same call again and again is blocked, and still a denial.
    let same = (1..=5).map(|n| api.calls(&[(&api.id(n), "delete_file", json!({"path": ".git/x"}))]));
    let server = Server::script(api, same);
    let _ = Flux::to(&server).args(["--allow", "write", "p"]).run().code(84);
}

#[test]
fn a_denial_outweighs_a_grant() {
    let calls = [
        write("src/a.rs"),
        write("src/gen/a.rs"),
        ("read_files", json!({"paths": ["notes/private.txt"]})),
        ("grep_search", json!({"pattern": "CANARY"})),
    ];
    let args = ["--allow", "write", "--deny", "write:src/gen/**", "--deny", "read:notes"];
    let answers = results(Api::Chat, |f| f.args(args).file("notes/private.txt", "CANARY\n"), &calls);
    assert!(answers[0].text.contains("created"), "{answers:?}");
    assert!(answers[1].text.contains("--deny 'write:src/gen/**' forbids it"), "{answers:?}");
    assert!(answers[2].text.contains("--deny 'read:notes' forbids it"), "{answers:?}");
    assert!(!answers[3].text.contains("CANARY\n"), "{answers:?}");
}
