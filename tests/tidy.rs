//! The repository tests itself: files name only lower floors, each outside thing has one door, files stay readable.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Every module at the top of `src/` and its floor. A file may name modules of lower floors and of its own folder.
const FLOORS: &[(&str, u32)] = &[
    ("base", 0),
    ("chat", 1),
    ("sandbox", 1),
    ("form", 2),
    ("wire", 2),
    ("client", 3),
    ("tools", 3),
    ("transcript", 3),
    ("report", 3),
    ("agent", 4),
    ("cli", 5),
    ("standing", 6),
    ("sinks", 7),
    ("toolbox", 6),
    ("lock", 6),
    ("review", 6),
    ("context", 6),
    ("prompt", 6),
    ("fail_open", 7),
    ("help", 7),
    ("dry_run", 8),
    ("ask", 9),
    ("lib", 10),
    ("main", 11),
];

/// A thing of the outside world, the words by which code reaches it, and the files that may.
const DOORS: &[(&str, &[&str], &[&str])] = &[
    ("the network", &["ureq::", "TcpStream", "UdpSocket"], &["client/"]),
    ("processes", &["process::Command", "process::{Child, Command"], &["base/process.rs", "sandbox/"]),
    ("the environment", &["std::env::"], &["base/env.rs", "lib.rs"]),
    ("the clock", &["Instant::now", "SystemTime"], &["base/clock.rs"]),
    ("terminals", &["atty::", "IsTerminal"], &["base/tty.rs"]),
    (
        "the standard streams",
        &["std::io::stdout", "std::io::stderr", "std::io::stdin", "rustix::stdio", "println!", "print!("],
        &["base/stdio.rs"],
    ),
    (
        "the user's own files",
        &["fs::read", "fs::write", "fs::metadata", "fs::remove", "File::open", "OpenOptions"],
        &[
            "base/",
            "cli/input/",
            "client/ledger.rs",
            "client/tls.rs",
            "report/file.rs",
            "sandbox/",
            "tools/files/",
            "transcript/target.rs",
        ],
    ),
    ("files beneath the root", &["openat2"], &["tools/files/", "sandbox/filter.rs"]),
    ("unsafe code", &["unsafe {", "unsafe fn"], &["base/clock.rs", "base/stdio.rs", "base/signals.rs", "sandbox/"]),
];

fn sources() -> BTreeMap<String, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = BTreeMap::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder of src/").flatten() {
            let path: PathBuf = entry.path();
            if path.is_dir() && path.file_name().is_some_and(|name| name == "tests") {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") && !path.to_string_lossy().ends_with("_test.rs") {
                let name = path.strip_prefix(&root).expect("beneath src/").display().to_string();
                found.insert(name, fs::read_to_string(&path).expect("source text"));
            }
        }
    }
    found
}

/// The code of a file without its unit tests and comments.
fn code(text: &str) -> String {
    let text = text.split("#[cfg(test)]").next().unwrap_or_default();
    text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

fn module(file: &str) -> &str {
    file.split(['/', '.']).next().unwrap_or_default()
}

fn floor(module: &str) -> u32 {
    FLOORS.iter().find(|(name, _)| *name == module).unwrap_or_else(|| panic!("{module} stands on no floor: add it")).1
}

#[test]
fn a_file_names_only_lower_floors() {
    let mut wrong = Vec::new();
    for (file, text) in sources() {
        let own = module(&file);
        for line in code(&text).lines() {
            for (other, at) in FLOORS {
                let names = line.contains(&format!("crate::{other}::")) || line.contains(&format!("crate::{other};"));
                if names && *other != own && *at >= floor(own) {
                    wrong.push(format!("{file}: {}", line.trim()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "these name a floor that is not below their own:\n{}", wrong.join("\n"));
}

#[test]
fn each_outside_thing_has_one_door() {
    let mut wrong = Vec::new();
    for (file, text) in sources() {
        for (thing, words, owners) in DOORS {
            let is_door = owners.iter().any(|owner| file.starts_with(owner));
            if let Some(word) = words.iter().find(|word| code(&text).contains(**word)).filter(|_| !is_door) {
                wrong.push(format!("{file} reaches {thing} by {word}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_module_says_what_it_is_for_and_stays_short() {
    let mut wrong = Vec::new();
    for (file, text) in sources() {
        if !text.starts_with("//!") && !text.starts_with("#![") {
            wrong.push(format!("{file} does not open with what it is for"));
        }
        if text.lines().count() > 450 && !file.ends_with("models.rs") {
            wrong.push(format!("{file} has {} lines", text.lines().count()));
        }
        for word in ["TODO:", "FIXME", "XXX", "todo!", "unimplemented!"] {
            if text.contains(word) {
                wrong.push(format!("{file} holds {word}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn no_dependency_needs_a_newer_compiler_than_the_manifest_says() {
    let cargo = option_env!("CARGO").unwrap_or("cargo");
    let output = std::process::Command::new(cargo)
        .args(["metadata", "--format-version", "1", "--locked", "--offline"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo metadata");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let version = |text: &str| -> Vec<u32> { text.split('.').map(|n| n.parse().expect("a number")).collect() };
    let ours = version(env!("CARGO_PKG_RUST_VERSION"));
    let newer: Vec<String> = metadata["packages"]
        .as_array()
        .expect("packages")
        .iter()
        .filter(|package| package["rust_version"].as_str().is_some_and(|needed| version(needed) > ours))
        .map(|package| format!("{} needs {}", package["name"], package["rust_version"]))
        .collect();
    assert!(newer.is_empty(), "rust-version is not true: {newer:?}");
}

#[test]
fn the_top_level_holds_nothing_but_what_belongs_there() {
    const ALLOWED: &[&str] =
        &["Cargo.toml", "Cargo.lock", "LICENSE", "README.md", "src", "tests", "man", "completions", "target"];
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let stray: Vec<String> = fs::read_dir(root)
        .expect("the repository")
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .filter(|name| !name.starts_with('.') && !ALLOWED.contains(&name.as_str()))
        .collect();
    assert!(stray.is_empty(), "{stray:?}");
}
