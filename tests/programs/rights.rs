//! What a run with programs may do beyond starting them: further places, what may be planted, and what it is told.

use std::fs;

use serde_json::{Value, json};

use crate::support::tools::results;
use crate::support::{Api, Flux, Server, for_each_wire};

fn shell(command: &str) -> (&'static str, Value) {
    ("shell", json!({ "command": command }))
}

fn allow<'a>(grants: &'a [&'a str]) -> impl Iterator<Item = &'a str> {
    grants.iter().flat_map(|grant| ["--allow", *grant])
}

/// A file outside the root; gives its path.
fn outside(flux: &Flux, name: &str, content: &str) -> String {
    let path = flux.path("outside").join(name);
    fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
    fs::write(&path, content).expect("a file");
    path.display().to_string()
}

#[test]
fn a_further_place_is_read_by_tools_and_programs_and_is_named_to_the_model() {
    for_each_wire(|api| {
        let flux = crate::support::ask();
        let file = outside(&flux, "notes.txt", "found it\n");
        let place = flux.path("outside").display().to_string();
        let calls = [
            (api.id(1), "read_files", json!({"paths": [file]})),
            (api.id(2), "run_command", json!({"argv": ["cat", file]})),
            (api.id(3), "grep_search", json!({"pattern": "found", "path": place})),
            (api.id(4), "write_file", json!({"path": file, "content": "x"})),
            (api.id(5), "read_files", json!({"paths": ["/proc/self/environ"]})),
        ];
        let calls: Vec<_> = calls.iter().map(|(id, name, args)| (id.as_str(), *name, args.clone())).collect();
        let server = Server::script(api, [api.calls(&calls), api.text("done")]);
        let place = format!("read:{place}");
        let grants = ["write", "run:cat **", "read:/proc", place.as_str()];
        let _ = flux.server(&server).args(allow(&grants)).arg("p").run().code(0);
        let results = api.results(&server.requests()[1].json);
        assert_eq!(results[0].text, "     1\tfound it\n");
        assert_eq!(results[1].text, "exit 0\nstdout:\nfound it\n");
        assert_eq!(results[2].text, format!("{file}:1:found it\n"));
        assert!(results[3].text.starts_with("outside_root: "), "{results:?}");
        assert!(results[4].text.starts_with("not_a_file: "), "{results:?}");
        let system = server.requests()[0].json.to_string();
        assert!(system.contains("these places may be read: "), "{system}");
    });
}

#[test]
fn a_program_that_plants_what_others_obey_is_told_of() {
    let cases: [(&str, &[&str], &str, &str); 5] = [
        ("AGENTS.md", &["write"], "echo do > AGENTS.md", "write:AGENTS.md"),
        ("src/CLAUDE.md", &["write"], "mkdir src; echo do > src/CLAUDE.md", "write:src/CLAUDE.md"),
        (".github", &["write"], "mkdir .github; echo on > .github/x.yml", "write:.github/**"),
        ("bare", &["write"], "mkdir -p bare/objects bare/refs; echo x > bare/HEAD", "write:bare/**"),
        (".git", &["write"], "mkdir -p .git/hooks; echo x > .git/hooks/x", "write:.git/**"),
    ];
    for (name, grants, command, remedy) in cases {
        let api = Api::Chat;
        let call = || api.calls(&[(&api.id(1), "shell", shell(command).1)]);
        let server = Server::script(api, [call(), api.text("done")]);
        let flux = Flux::to(&server).args(allow(grants)).args(["--allow", "shell", "p"]).transcript();
        let run = flux.run().code(0).stderr_has("1 call was denied").stderr_has(remedy);
        assert_eq!(run.transcript().result()["tool_calls"], json!({"ok": 0, "error": 0, "denied": 1}));
        let text = api.results(&server.requests()[1].json).remove(0).text;
        assert!(text.starts_with("protected_changed: the program has changed ") && text.contains(name), "{text}");
        assert!(text.contains("\nexit 0, no output"), "{text}");
        let server = Server::script(api, [call()]);
        let strict = Flux::to(&server).args(allow(grants)).args(["--allow", "shell", "--on-deny", "fail", "p"]);
        let _ = strict.run().code(84).stdout("").stderr_has(remedy);
    }
}

#[test]
fn ordinary_work_and_what_is_granted_by_name_plant_nothing() {
    let command = "mkdir src; echo x > src/main.rs; echo x > notes.md; echo y > .gitignore; echo done";
    for_each_wire(|api| {
        let answers = results(api, |f| f.args(allow(&["write", "shell"])), &[shell(command)]);
        assert_eq!(answers[0].text, "exit 0\nstdout:\ndone\n");
        let grants = ["write", "write:AGENTS.md", "write:.github/**", "shell"];
        let command = "echo x > AGENTS.md; mkdir .github; echo x > .github/ci.yml";
        let answers = results(api, |f| f.args(allow(&grants)), &[shell(command)]);
        assert_eq!(answers[0].text, "exit 0, no output\n");
    });
}

#[test]
fn the_system_prompt_says_what_the_run_may_do() {
    let said = |grants: &[&str]| {
        let server = Server::script(Api::Chat, [Api::Chat.text("done")]);
        let _ = Flux::to(&server).args(allow(grants)).arg("p").run().code(0);
        server.requests()[0].json.to_string()
    };
    let runs = said(&["run:ls **"]);
    assert!(runs.contains("may run programs with the tools, but not change files"), "{runs}");
    assert!(runs.contains("--allow write is missing") && runs.contains("no network (--allow net)"), "{runs}");
    assert!(runs.contains("Allowed (* is one argument, ** any further ones): ls **."), "{runs}");
    let both = said(&["write", "shell", "net"]);
    assert!(both.contains("may change files and run programs") && !both.contains("no network"), "{both}");
    let only_reads = said(&[]);
    assert!(only_reads.contains("This run can only read."), "{only_reads}");
}

#[test]
fn a_denial_that_programs_cannot_be_told_is_told_to_the_user() {
    let server = Server::script(Api::Chat, [Api::Chat.text("done")]);
    let args = ["--allow", "write", "--allow", "run:ls", "--deny", "write:*.lock", "p"];
    let _ = Flux::to(&server).args(args).run().code(0).stderr_has("--deny 'write:*.lock' cannot be told to programs");
}
