//! Programs that know nothing of flux take what it gives. Each of these is left out, and says so, where the program
//! is not there: `FLUX_TEST_PYTHON` names a Python that has the packages, `FLUX_TEST_NODE_MODULES` a folder.

use std::path::Path;
use std::process::{Command, Output};

use super::{recorded, transcript};
use crate::support::{Flux, for_each_wire, say};

/// Runs a Python script where `place` ran; None without its packages.
fn python(place: &Flux, script: &str) -> Option<Output> {
    let python = std::env::var("FLUX_TEST_PYTHON").unwrap_or_else(|_| "python3".into());
    let output = Command::new(python)
        .args(["-c", script])
        .env("HF_HUB_OFFLINE", "1")
        .env("HF_HOME", place.path("hf"))
        .current_dir(place.here(""))
        .output()
        .ok()?;
    if String::from_utf8_lossy(&output.stderr).contains("No module named") {
        say(&format!("skipped: FLUX_TEST_PYTHON names no Python with the packages of: {}", script.lines().next()?));
        return None;
    }
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(output)
}

fn export(place: &Flux, format: &str, path: &str) -> Flux {
    let out = transcript(place, &["export", "--to", format, path]).run().code(0).out();
    place.clone().file("export.jsonl", out)
}

#[test]
fn atif_takes_every_trajectory() {
    for_each_wire(|api| {
        let (place, path) = recorded(api);
        let place = export(&place, "atif", &path);
        let script = "import json; from atif import Trajectory\n\
            print(sum(bool(Trajectory.model_validate(json.loads(l)).steps) for l in open('export.jsonl')))";
        if let Some(output) = python(&place, script) {
            assert_eq!(output.stdout, b"2\n");
        }
    });
}

#[test]
fn datasets_loads_the_conversations() {
    for format in ["openai", "hf"] {
        let (place, path) = recorded(crate::support::Api::Anthropic);
        let place = export(&place, format, &path);
        let script = "import datasets\n\
            d = datasets.load_dataset('json', data_files='export.jsonl', split='train', cache_dir='cache')\n\
            print(d.num_rows, [m['role'] for m in d[0]['messages']])";
        if let Some(output) = python(&place, script) {
            let out = String::from_utf8(output.stdout).expect("text");
            assert!(out.contains("2 ['system', 'user', 'assistant', 'tool', 'tool', 'assistant']"), "{out}");
        }
    }
}

/// A command of a package, from `FLUX_TEST_NODE_MODULES`.
fn node(place: &Flux, name: &str, args: &[&str]) -> bool {
    let Some(modules) = std::env::var_os("FLUX_TEST_NODE_MODULES") else {
        say(&format!("skipped: FLUX_TEST_NODE_MODULES names no folder with {name}"));
        return false;
    };
    let output = Command::new(Path::new(&modules).join(".bin").join(name))
        .args(args)
        .env("HOME", place.path("home"))
        .current_dir(place.here(""))
        .output()
        .expect("the command");
    let said = String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}");
    true
}

#[test]
fn pi_opens_the_native_file() {
    let (place, path) = recorded(crate::support::Api::Anthropic);
    if node(&place, "pi", &["--offline", "--export", &path, "pi.html"]) {
        assert!(std::fs::metadata(place.here("pi.html")).is_ok_and(|m| m.len() > 10_000));
    }
    if node(&place, "pi-transcript", &[&path, "-o", "pages", "--no-open"]) {
        let pages = std::fs::read_dir(place.here("pages")).expect("pages").flatten();
        let text: String = pages.filter_map(|page| std::fs::read_to_string(page.path()).ok()).collect();
        assert!(text.contains("What is it?") && text.contains("read_files"), "{} bytes", text.len());
    }
}
