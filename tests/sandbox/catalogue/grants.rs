//! Calls that no grant covers: nothing is started, and flux's own tools open nothing.

use serde_json::json;

use crate::sandbox::attack::{Call, Holds, Kind, attack, run, tool};

const GRANTS: &[&str] = &["run:git status", "run:ls", "write:src/**", "read:.git/config"];

const TOUCH: &str = "touch {OUT}/marker";

fn line(command: &str) -> Call {
    tool("run_command", json!({ "argv": command }))
}

fn read(path: &str) -> Call {
    tool("read_files", json!({ "paths": [path] }))
}

fn write(path: &str) -> Call {
    tool("write_file", json!({"path": path, "content": "x"}))
}

fn kind(id: &'static str, aim: &'static str, twin: (Call, &'static str), calls: Vec<Call>) -> Kind {
    let attacks = calls.into_iter().map(attack).collect();
    Kind { id, aim, grants: GRANTS, holds: Holds::Grants, twin, attacks }
}

fn listed() -> (Call, &'static str) {
    (run(&["ls"]), "hello")
}

pub fn kinds() -> Vec<Kind> {
    vec![
        kind("S1-S3", "read what is outside by flux's own tools", (read("hello"), "benign"), reading()),
        kind("S15", "slip options by a grant", (run(&["git", "status"]), "branch"), options()),
        kind("S21", "call another program by what looks like a granted one", listed(), lookalikes()),
        kind("S22", "drown a refusal", listed(), floods()),
        kind("S38", "set what another program obeys", listed(), variables()),
        kind("S39", "choose place and environment", listed(), fields()),
        kind("S45", "change what no grant covers", (write("src/new"), "src/new"), changes()),
    ]
}

fn reading() -> Vec<Call> {
    let paths = [
        "../outside/secret",
        "{OUT}/secret",
        "/etc/shadow",
        "./src/../../outside/secret",
        "link",
        "dirlink/secret",
        "chain/secret",
        "/proc/self/environ",
        "/proc/thread-self/environ",
        "proc/self/environ",
        "proc/self/fd/9",
        "/dev/fd/9",
        "/dev/stdin",
        ".env",
        "./.env",
        "sub/.env.local",
        ".ENV",
        "{HOME}/.ssh/id_rsa",
        "{KEYFILE}",
        "~/.ssh/id_rsa",
        "file:///etc/passwd",
        "../config/flux/key",
    ];
    let others = [
        tool("grep_search", json!({"pattern": "CAN.RY", "path": "../outside"})),
        tool("grep_search", json!({"pattern": "CAN.RY", "path": "dirlink"})),
        tool("list_files", json!({"path": "{OUT}"})),
        tool("list_files", json!({"path": "chain"})),
        tool("find_files", json!({"pattern": "*", "path": "../home"})),
    ];
    paths.map(read).into_iter().chain(others).collect()
}

fn options() -> Vec<Call> {
    vec![
        run(&["git", "-c", &format!("core.fsmonitor={TOUCH}"), "status"]),
        run(&["git", "--exec-path=.", "status"]),
        run(&["git", "-C", "/", "status"]),
        run(&["git", "status", "--git-dir=x"]),
        run(&["git", "status", "."]),
        run(&["git", "status", ""]),
        run(&["git", "status", "\n"]),
        run(&["git", "--config-env=core.pager=x", "status"]),
        run(&["git"]),
        run(&["status"]),
        run(&["git status"]),
        run(&["git", "Status"]),
    ]
}

fn lookalikes() -> Vec<Call> {
    let names = [
        "l\\s",
        "'ls'",
        "\"ls\"",
        "$'ls'",
        "${IFS}ls",
        "{ls,-la}",
        "/bin/ls",
        "./ls",
        "LS",
        "ｌｓ",
        "ls ",
        " ls",
        "ls\u{200b}",
        "../../bin/ls",
        "ls;touch",
        "bin/../ls",
    ];
    let lines = [
        "ls; touch {OUT}/marker",
        "ls && touch {OUT}/marker",
        "ls | sh",
        "ls > {OUT}/marker",
        "ls $(touch {OUT}/marker)",
        "ls `touch {OUT}/marker`",
        "ls\ntouch {OUT}/marker",
        "ls & touch x",
        "l\\\ns",
        "ls <(touch x)",
        "ls ~",
        "ls *",
        "ls !x",
        "ls #x",
    ];
    let calls = names.map(|name| run(&[name])).into_iter().chain(lines.map(line));
    calls.chain([run(&["ls", "-l"]), run(&["ls", "/"])]).collect()
}

fn floods() -> Vec<Call> {
    vec![
        run(&vec!["ls"; 10_000]),
        line(&"ls;".repeat(51)),
        line(&format!("ls {}", "x".repeat(10_000))),
        run(&["ls", &" ; touch x".repeat(1000)]),
    ]
}

fn variables() -> Vec<Call> {
    vec![
        run(&["PAGER=x", "git", "status"]),
        run(&["export", "PAGER=x"]),
        run(&["typeset", "-x", "A=b"]),
        line("PAGER=x git status"),
        line("export PAGER=x"),
        run(&["-x"]),
        run(&["env", "ls"]),
    ]
}

fn fields() -> Vec<Call> {
    vec![
        tool("run_command", json!({"argv": ["ls"], "cwd": "/"})),
        tool("run_command", json!({"argv": ["ls"], "cwd": "../.."})),
        tool("run_command", json!({"argv": ["ls"], "env": {"LD_PRELOAD": "./x.so"}})),
        tool("run_command", json!({"argv": ["ls"], "sandbox": "off"})),
        tool("run_command", json!({"argv": ["ls"], "stdin": "x"})),
        tool("shell", json!({ "command": TOUCH })),
        tool("bash", json!({ "command": TOUCH })),
    ]
}

fn changes() -> Vec<Call> {
    vec![
        write("marker"),
        write("src/../marker"),
        write("src/.envrc"),
        write("src/.git/hooks/x"),
        write("dangling"),
        tool("delete_file", json!({"path": "hello"})),
        tool("move_file", json!({"path": "src/lib.rs", "to": "{OUT}/marker"})),
    ]
}
