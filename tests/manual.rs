//! The manual is run: every command that README.md and the help show works as it stands there, against a scripted
//! server in place of the services.
//!
//! If one of these fails, a newcomer's first try fails.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::json;

use crate::support::flux::binary;
use crate::support::{Api, Request, Server};

/// The lines of the `sh` blocks of a text.
fn shell_lines(markdown: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let mut inside = false;
    for line in markdown.lines() {
        match line.trim() {
            "```sh" => inside = true,
            "```" => inside = false,
            line if inside && !line.is_empty() => lines.push(line.to_owned()),
            _ => {}
        }
    }
    lines
}

/// A place in which every example finds what it talks about.
struct Place {
    folder: tempfile::TempDir,
    anthropic: Server,
    openai: Server,
    ollama: Server,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| folder.path().join(name);
        for folder in ["bin", "home", "work", "work/src"] {
            fs::create_dir(at(folder)).expect("a folder");
        }
        std::os::unix::fs::symlink(binary(), at("bin/flux")).expect("a link");
        copy_examples(&at("work/tests/examples"));
        for (name, text) in [
            ("README.md", "# A project\n"),
            ("Makefile", "all:\n\t@echo it fails; false\n"),
            ("before.json", "{\"a\":1}\n"),
            ("after.json", "{\"a\":2}\n"),
            ("error.log", "it fails\n"),
            ("report.txt", "a report\n"),
            ("src/main.rs", "fn main() {}\n"),
        ] {
            fs::write(at("work").join(name), text).expect("a file");
        }
        let place = Self {
            anthropic: answering(Api::Anthropic),
            openai: answering(Api::Responses),
            ollama: answering(Api::Chat),
            folder,
        };
        let git = "git init -q . && git add . && git -c user.name=a -c user.email=a@b commit -qm first && echo more >> README.md";
        assert!(place.sh(git).status.success(), "{git}");
        place
    }

    fn sh(&self, line: &str) -> Output {
        let at = |name: &str| self.folder.path().join(name);
        let path = format!("{}:/usr/local/bin:/usr/bin:/bin", at("bin").display());
        Command::new("sh")
            .args(["-c", line])
            .env_clear()
            .env("PATH", path)
            .env("HOME", at("home"))
            .env("ANTHROPIC_API_KEY", Api::Anthropic.key())
            .env("ANTHROPIC_BASE_URL", self.anthropic.base_url())
            .env("OPENAI_API_KEY", Api::Responses.key())
            .env("OPENAI_BASE_URL", self.openai.base_url())
            .env("OLLAMA_HOST", self.ollama.origin())
            .env("FLUX_RETRIES", "0")
            .current_dir(at("work"))
            .output()
            .expect("sh")
    }
}

/// The tools that the manual shows.
fn copy_examples(to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/examples")).expect("examples") {
        let from = entry.expect("an example").path();
        fs::copy(&from, to.join(from.file_name().expect("a name"))).expect("a copy");
    }
}

fn answering(api: Api) -> Server {
    // With tools on offer the model looks around once, so that transcripts hold a tool call.
    let answer = move |request: &Request| {
        let looks = !api.tool_names(&request.json).is_empty() && api.results(&request.json).is_empty();
        if looks { api.calls(&[(&api.id(1), "list_files", json!({}))]) } else { crate::recipes::answer(api, request) }
    };
    Server::of(api).keyless().unused_allowed().answer(answer)
}

pub fn run_all(lines: &[String]) {
    let place = Place::new();
    for line in lines {
        let output = place.sh(line);
        let stderr = String::from_utf8_lossy(&output.stderr);
        // An address that is only an example is not reached, but everything before that works.
        let wanted = if line.contains("llm.example") { 75 } else { 0 };
        assert_eq!(output.status.code(), Some(wanted), "{line}\n{stderr}");
        if wanted == 0 && !line.contains('>') && !line.contains(" -o ") {
            assert!(!output.stdout.is_empty(), "{line} prints nothing\n{stderr}");
        }
    }
}

fn readme() -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).expect("README.md")
}

#[test]
fn every_command_in_the_readme_works() {
    let lines = shell_lines(&readme());
    assert!(lines.len() > 10, "{lines:?}");
    run_all(&lines);
}

/// What a command says of itself.
fn help(words: &[&str]) -> String {
    let output = Command::new(binary()).args(words).arg("--help").output().expect("flux");
    String::from_utf8(output.stdout).expect("text")
}

#[test]
fn every_example_in_the_help_works() {
    for command in ["ask", "transcript"] {
        let help = help(&[command]);
        let (_, examples) = help.split_once("Examples:\n").expect("examples");
        let lines: Vec<String> =
            examples.lines().take_while(|line| !line.is_empty()).map(|line| line.trim().to_owned()).collect();
        assert!(lines.len() >= 4, "{lines:?}");
        run_all(&lines);
    }
}

#[test]
fn the_readme_begins_with_its_two_commands() {
    let commands: Vec<String> =
        readme().lines().filter_map(|line| line.strip_prefix("    ")).map(str::to_owned).collect();
    assert_eq!(commands, ["tests/local-model/demo", "cargo test"]);
    assert!(Path::new(env!("CARGO_MANIFEST_DIR")).join(&commands[0]).is_file());
}

#[test]
fn every_flag_in_the_readme_exists() {
    let commands: [&[&str]; 4] =
        [&["ask"], &["transcript", "show"], &["transcript", "stats"], &["transcript", "export"]];
    let help: String = commands.iter().map(|words| help(words)).collect();
    let readme = readme();
    let flags = readme.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-')).filter(|word| word.starts_with("--"));
    let foreign = ["--path", "--nocapture", "--export"];
    for flag in flags.filter(|flag| flag.bytes().any(|b| b.is_ascii_alphabetic()) && !foreign.contains(flag)) {
        assert!(help.contains(flag), "{flag} is in README.md, but not in --help");
    }
}
