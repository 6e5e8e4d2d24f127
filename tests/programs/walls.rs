//! Ways around the walls that once stood open: each is tried as a program or a model would take it.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::os::unix::net::UnixDatagram;

use serde_json::{Value, json};

use crate::support::kernel::WITHOUT_NAMESPACES;
use crate::support::tools::results;
use crate::support::{Api, Flux, Server};

const GRANTED: &[&str] = &["--allow", "shell", "--allow", "write"];

fn shell(command: &str) -> (&'static str, Value) {
    ("shell", json!({ "command": command }))
}

/// What the model sees of one call, with namespaces and without them.
#[track_caller]
fn seen(prepare: impl Fn(Flux) -> Flux, call: (&str, Value)) -> [String; 2] {
    let with = results(Api::Chat, &prepare, std::slice::from_ref(&call)).remove(0).text;
    [with, results(Api::Chat, |f| prepare(f).kernel(WITHOUT_NAMESPACES), &[call]).remove(0).text]
}

#[test]
fn a_secret_in_a_further_place_is_hidden_from_programs_too() {
    let flux = crate::support::ask();
    let place = flux.path("outside");
    fs::create_dir_all(place.join("sub")).expect("a directory");
    for name in ["plain", ".env", "sub/id_rsa", "sub/denied"] {
        fs::write(place.join(name), format!("CONTENT-OF {name}\n")).expect("a file");
    }
    let shown = place.display().to_string();
    let prepare = |f: Flux| {
        let denied = format!("read:{shown}/sub/denied");
        f.args(GRANTED).args(["--allow", &format!("read:{shown}"), "--deny", &denied])
    };
    for text in seen(prepare, shell(&format!("cd {shown}; cat plain .env sub/id_rsa sub/denied; true"))) {
        assert!(text.contains("CONTENT-OF plain") && text.matches("CONTENT-OF").count() == 1, "{text}");
    }
}

#[test]
fn a_secret_in_two_readable_places_costs_no_namespaces() {
    let prepare = |f: Flux| {
        let (around, below) = (f.path("").display().to_string(), f.path("outside").display().to_string());
        let f = f.file(".env", "CONTENT-OF one").file("../outside/id_rsa", "CONTENT-OF two");
        let f = f.args(GRANTED).args(["--sandbox", "strict"]);
        f.args(["--allow", &format!("read:{}", around.trim_end_matches('/')), "--allow", &format!("read:{below}")])
    };
    let text = results(Api::Chat, prepare, &[shell("cat .env ../outside/id_rsa; echo done")]).remove(0).text;
    assert!(text.contains("done") && !text.contains("CONTENT-OF"), "{text}");
}

#[test]
fn a_secret_behind_a_link_to_a_program_is_hidden_and_the_program_runs() {
    let prepare = |f: Flux| {
        let f = f.file("../app/releases/2/node/.env", "CONTENT-OF secret\n").file("../app/plain", "CONTENT-OF plain\n");
        let app = f.path("app");
        for (file, command) in [("bin/y", "exec cat"), ("releases/2/node/bin/node", "echo node; exec cat")] {
            let path = app.join(file);
            fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
            fs::write(&path, format!("#!/bin/sh\n{command} \"$@\"\n")).expect("a file");
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("a mode");
        }
        symlink("releases/2", app.join("current")).expect("a link");
        symlink("/usr/bin/wc", app.join("bin/count")).expect("a link");
        let shown = app.display();
        let search = format!("{shown}/bin:{shown}/current/node/bin:/usr/bin:/bin");
        f.env("PATH", search).args(["--allow", "run:y **", "--allow", "run:node **", "--allow", "run:count **"])
    };
    let run = |argv: &[&str]| seen(prepare, ("run_command", json!({"argv": argv})));
    for (program, said) in [("y", ""), ("node", "node\n")] {
        for at in ["current", "releases/2"] {
            for text in run(&[program, "../app/plain", &format!("../app/{at}/node/.env")]) {
                assert!(text.contains(&format!("stdout:\n{said}CONTENT-OF plain\n")), "{program} {at}: {text}");
                assert!(!text.contains("CONTENT-OF secret"), "{program} {at}: {text}");
            }
        }
    }
    for text in run(&["count", "-c", "../app/plain"]) {
        assert!(text.starts_with("exit 0"), "{text}");
    }
}

#[test]
fn a_pair_of_sockets_is_not_turned_on_one_outside() {
    let flux = crate::support::ask();
    let path = flux.here("socket");
    let listener = UnixDatagram::bind(&path).expect("a socket");
    listener.set_nonblocking(true).expect("a setting");
    let script = format!(
        "import socket\na, b = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)\na.sendto(b'x', '{}')",
        path.display()
    );
    let prepare = |f: Flux| f.args(GRANTED).args(["--root".into(), flux.here(".").display().to_string()]);
    for text in seen(prepare, shell(&format!("exec /usr/bin/python3 -c \"{script}\""))) {
        assert!(text.contains("Operation not permitted"), "{text}");
    }
    assert!(listener.recv(&mut [0]).is_err(), "the listener heard something");
}

#[test]
fn what_must_not_change_is_not_put_aside_with_a_directory_above_it() {
    let prepare = |f: Flux| f.file("dev/tools/x", "mine\n").args(GRANTED).args(["--deny", "write:dev/tools/**"]);
    for text in seen(prepare, shell("mv dev dev2; mkdir -p dev/tools; echo theirs > dev/tools/x; cat dev/tools/x")) {
        assert!(text.contains("mine") && !text.contains("theirs\n"), "{text}");
    }
}

#[test]
fn a_trusted_tool_does_not_lie_where_the_run_may_change_files() {
    let tool = |f: Flux| f.file("dev/x", "#!/bin/sh\n").args(GRANTED).args(["--deny", "write:dev/**"]);
    let _ =
        tool(crate::support::ask()).args(["--tool", "trusted:dev/x", "p"]).run().failure(2, 1).stderr_has("trusted");
}

#[test]
fn the_file_of_the_key_is_closed_to_tools_and_programs() {
    let prepare = |f: Flux| f.file("key", "sk-abcdefgh\n").args(GRANTED).args(["--api-key-file", "key"]);
    for call in [
        shell("rev key; cp key key2; rev key2; true"),
        ("read_files", json!({"paths": ["key"]})),
        ("move_file", json!({"path": "key", "to": "key2"})),
        ("grep_search", json!({"pattern": "abc"})),
    ] {
        for text in seen(prepare, call) {
            assert!(!text.contains("hgfedcba") && !text.contains("abcdefgh"), "{text}");
        }
    }
    for denied in seen(prepare, ("read_files", json!({"paths": ["key"]}))) {
        assert!(denied.starts_with("denied: "), "{denied}");
    }
}

#[test]
fn a_denied_place_of_the_system_is_denied_to_programs() {
    let prepare = |f: Flux| f.args(["--allow", "shell", "--deny", "read:/etc/hostname"]);
    for text in seen(prepare, shell("cat /etc/hostname; cat /etc/passwd")) {
        assert!(text.contains("/etc/hostname: Permission denied") && text.contains("root:"), "{text}");
    }
}

#[test]
fn the_runs_own_files_are_not_changed_by_its_tools() {
    let prepare = |f: Flux| f.file("o.txt", "old\n").args(GRANTED).args(["--transcript", "t.jsonl"]);
    for text in seen(prepare, ("delete_file", json!({"path": "t.jsonl"}))) {
        assert!(text.starts_with("denied: "), "{text}");
    }
}

#[test]
fn a_tool_that_does_not_read_its_arguments_harms_no_later_call() {
    let tool = "#!/bin/sh\n[ \"$FLUX_TOOL\" = describe ] && echo '{\"name\":\"deaf\",\"description\":\"d\",\
                \"input_schema\":{\"type\":\"object\",\"properties\":{}}}' && exit\nexec <&-\nsleep 0.2\necho done\n";
    let prepare = |f: Flux| {
        let f = f.file("deaf", tool);
        let path = f.here("deaf");
        fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("a mode");
        f.args(["--allow", "run:echo **", "--tool"]).arg(path)
    };
    let calls = [("deaf", json!({"text": "x".repeat(300_000)})), ("run_command", json!({"argv": ["echo", "still"]}))];
    let answers = results(Api::Chat, prepare, &calls);
    assert_eq!(answers[1].text, "exit 0\nstdout:\nstill\n", "{}", answers[0].text);
}

#[test]
fn a_call_of_a_tool_that_no_grant_offers_is_a_denial() {
    for (name, arguments) in [("write_file", json!({"path": "a", "content": "x"})), shell("true")] {
        let call = || Api::Chat.calls(&[(&Api::Chat.id(1), name, arguments.clone())]);
        let server = Server::script(Api::Chat, [call(), Api::Chat.text("done")]);
        let run = Flux::to(&server).arg("p").transcript().run().code(0).stderr_has("--allow ");
        assert_eq!(run.transcript().result()["tool_calls"], json!({"ok": 0, "error": 0, "denied": 1}));
        let server = Server::script(Api::Chat, [call()]);
        let _ = Flux::to(&server).args(["--on-deny", "fail", "p"]).run().code(84);
    }
}
