//! How a command ends, told apart: denied, not found, not executable, exit code, signal, timeout; and its output within
//! bounds.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use serde_json::{Value, json};

use crate::support::tools::results;
use crate::support::{Api, Flux, Server, for_each_wire};

fn run(argv: &[&str]) -> (&'static str, Value) {
    ("run_command", json!({ "argv": argv }))
}

fn allow<'a>(grants: &'a [&'a str]) -> impl Iterator<Item = &'a str> {
    grants.iter().flat_map(|grant| ["--allow", *grant])
}

#[test]
fn every_end_of_a_command_is_told_apart() {
    let grants = ["run:true", "run:sh **", "run:no-such-program", "run:./plain", "run:./gone", "run:./script"];
    let calls = [
        run(&["true"]),
        run(&["sh", "-c", "echo out; echo err >&2; exit 3"]),
        run(&["sh", "-c", "kill -SEGV $$"]),
        run(&["false"]),
        run(&["no-such-program"]),
        run(&["./plain"]),
        run(&["./gone"]),
        run(&["./script"]),
    ];
    let wanted = [
        "exit 0, no output\n",
        "exit_status: exit 3\nstdout:\nout\nstderr:\nerr\n",
        "signal: killed by signal 11 (SIGSEGV), no output\n",
        "denied: false is none of the commands of this run (",
        "command_not_found: there is no program `no-such-program` on this system (exit 127)",
        "not_executable: `./plain` may not be executed (exit 126)",
        "command_not_found: there is no program `./gone`",
        "exit 0\nstdout:\nit runs\n",
    ];
    for_each_wire(|api| {
        let prepare = |f: Flux| {
            let flux = f.args(allow(&grants)).file("plain", "x").file("script", "#!/bin/sh\necho it runs\n");
            fs::set_permissions(flux.here("script"), fs::Permissions::from_mode(0o755)).expect("chmod");
            flux
        };
        for ((call, answer), wanted) in calls.iter().zip(results(api, prepare, &calls)).zip(wanted) {
            assert!(answer.text.starts_with(wanted), "{call:?}: {answer:?}");
            assert_eq!(answer.is_error.unwrap_or(!wanted.starts_with("exit 0")), !wanted.starts_with("exit 0"));
        }
    });
}

#[test]
fn the_transcript_has_the_exit_code() {
    let api = Api::Chat;
    let ids = [api.id(1), api.id(2), api.id(3)];
    let calls = [
        (ids[0].as_str(), "run_command", json!({"argv": ["true"]})),
        (ids[1].as_str(), "run_command", json!({"argv": ["sh", "-c", "exit 7"]})),
        (ids[2].as_str(), "run_command", json!({"argv": ["false"]})),
    ];
    let server = Server::script(api, [api.calls(&calls), api.text("done")]);
    let flux = Flux::to(&server).args(allow(&["run:true", "run:sh **"])).arg("p").transcript();
    let run = flux.run().code(0).stderr_has("1 call was denied").stderr_has("--allow 'run:false **'");
    let details: Vec<Value> = run.transcript().messages("toolResult").iter().map(|m| m["details"].clone()).collect();
    assert_eq!((&details[0]["exit_code"], &details[0]["code"]), (&json!(0), &Value::Null), "{details:?}");
    assert_eq!((&details[1]["exit_code"], &details[1]["code"]), (&json!(7), &json!("exit_status")), "{details:?}");
    assert_eq!((&details[2]["exit_code"], &details[2]["denied"]), (&Value::Null, &json!(true)));
    let text = fs::read_to_string(flux.path("transcript.jsonl")).expect("the transcript");
    assert!(text.contains(r#""allow":["run:true","run:sh **"]"#), "{text}");
}

#[test]
fn output_is_bounded_at_both_ends_and_is_text() {
    let shell = |command: &str| run(&["sh", "-c", command]);
    let calls = [
        shell("i=0; while [ $i -lt 20000 ]; do echo line $i; i=$((i+1)); done; echo last >&2"),
        shell(r"printf 'a\377b\n'"),
        shell(r"printf 'ELF\000\001'"),
        shell("yes"),
    ];
    for_each_wire(|api| {
        let answers = results(api, |f| f.args(allow(&["run:sh **"])), &calls);
        let many = &answers[0].text;
        assert!(many.len() < 70_000 && many.starts_with("exit 0\nstdout:\nline 0\n"), "{}", many.len());
        assert!(many.contains("left out here") && many.ends_with("line 19999\nstderr:\nlast\n"), "{many}");
        assert!(answers[1].text.contains("a\u{fffd}b\n[what is no UTF-8"), "{answers:?}");
        assert!(answers[2].text.contains("stdout: binary, 5 bytes, sha256 "), "{answers:?}");
        assert!(answers[3].text.starts_with("too_much_output: ") && answers[3].text.len() < 70_000);
    });
}

#[test]
fn arguments_that_are_none_are_refused() {
    let calls = [
        ("run_command", json!({"argv": []})),
        ("run_command", json!({"argv": ["true"], "cwd": "/"})),
        ("run_command", json!({"argv": ["true"], "env": {"A": "b"}})),
        ("run_command", json!({"argv": ["true"], "timeout": 0})),
        ("run_command", json!({"argv": ["A=b", "true"]})),
        ("run_command", json!({"argv": ["-x"]})),
        ("run_command", json!({"argv": vec!["true"; 10_000]})),
        ("run_command", json!({"command": "true"})),
        ("shell", json!({"command": ""})),
        ("shell", json!({"command": "true", "cwd": "/"})),
    ];
    for_each_wire(|api| {
        for (call, answer) in calls.iter().zip(results(api, |f| f.args(allow(&["run:true", "shell"])), &calls)) {
            assert!(answer.text.starts_with("bad_arguments: "), "{call:?}: {answer:?}");
        }
    });
}

#[test]
fn a_shell_is_offered_only_by_its_own_grant() {
    for_each_wire(|api| {
        let command = "echo one | tr o 0; echo two >&2; exit 4";
        let answers = results(
            api,
            |f| f.args(allow(&["shell"])),
            &[("shell", json!({ "command": command })), ("run_command", json!({"argv": ["true"]}))],
        );
        assert_eq!(answers[0].text, "exit_status: exit 4\nstdout:\n0ne\nstderr:\ntwo\n");
        assert!(answers[1].text.starts_with("denied: "), "{answers:?}");
        let answers = results(api, |f| f.args(allow(&["run:true"])), &[("shell", json!({"command": "true"}))]);
        assert!(answers[0].text.starts_with("denied: "), "{answers:?}");
    });
}

#[test]
fn nothing_planted_in_the_root_is_run_by_a_bare_name() {
    let prepare = |f: Flux| {
        let flux = f.file("ls", "#!/bin/sh\necho planted\n").file("bin/ls", "#!/bin/sh\necho planted\n");
        for name in ["ls", "bin/ls"] {
            fs::set_permissions(flux.here(name), fs::Permissions::from_mode(0o755)).expect("chmod");
        }
        let path = format!(".::bin:{}:{}:/usr/bin:/bin", flux.here("").display(), flux.here("bin").display());
        flux.env("PATH", path).args(allow(&["run:ls", "run:sh **"]))
    };
    let answers = results(Api::Chat, prepare, &[run(&["ls"]), run(&["sh", "-c", "ls; echo $PATH"])]);
    assert_eq!(answers[0].text, "exit 0\nstdout:\nbin\nls\n");
    assert_eq!(answers[1].text, "exit 0\nstdout:\nbin\nls\n/usr/bin:/bin\n");
}
