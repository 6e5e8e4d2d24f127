//! The recipes of `man/flux-recipes.7` run as they stand, in real git repositories, on every wire; and the hooks of
//! `.pre-commit-hooks.yaml` by the real pre-commit.
//!
//! If one of these fails, somebody's commit, push or build does.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::json;

use crate::support::flux::binary;
use crate::support::{Api, Flux, Reply, Request, Server, for_each_wire, say};

/// A block of the page under this heading.
#[track_caller]
fn recipe(title: &str) -> String {
    let page = fs::read_to_string(root().join("man/flux-recipes.7")).expect("the page");
    let section = page.split(".SS ").find(|section| section.trim_matches('"').starts_with(title));
    let section = section.unwrap_or_else(|| panic!("no recipe '{title}'"));
    let block = section.split_once(".nf\n").and_then(|(_, rest)| rest.split_once("\n.fi")).expect("a block").0;
    block.replace("\\-", "-").replace("\\\\", "\\") + "\n"
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A git repository, a server that answers what is asked for, and the way from one to the other.
struct Place {
    folder: tempfile::TempDir,
    server: Server,
    api: Api,
}

/// Answers in the form that the system prompt demands.
pub fn answer(api: Api, request: &Request) -> Reply {
    let system = api.system(&request.json);
    let text = if request.text().contains("BROKEN") {
        return api.error(500, "api_error", "broken");
    } else if system.contains("verdict") {
        let word = if request.text().contains("hunter2") { "no" } else { "yes" };
        json!({"reason": "So it is.", "verdict": word}).to_string()
    } else if system.contains("JSON Schema") {
        json!([{"service": "db", "severity": "high", "count": 2}]).to_string()
    } else if system.contains("code block") {
        "```sh\ndu -a\n```".to_owned()
    } else if let Some((_, choices)) = system.split_once("spelled as here: ") {
        choices.split(" | ").next().expect("a word").to_owned()
    } else if request.text().contains("commit message") {
        "Add a line\n\nIt was missing.".to_owned()
    } else {
        "An answer.".to_owned()
    };
    api.text(&text)
}

impl Place {
    fn new(api: Api) -> Self {
        let server = Server::of(api).keyless().unused_allowed().answer(move |request| answer(api, request));
        let place = Self { folder: tempfile::tempdir().expect("a folder"), server, api };
        for folder in ["bin", "home", "tmp", "work"] {
            fs::create_dir(place.at(folder)).expect("a folder");
        }
        symlink(binary(), place.at("bin/flux")).expect("a link");
        for (name, text) in [
            ("a.md", "# A\n"),
            ("b c.md", "# B\n"),
            ("list.txt", "a.md\nb c.md\n"),
            ("error.log", "db: failed\n"),
            ("report.txt", "it fails\n"),
            ("Makefile", "all:\n\t@echo it fails; false\n"),
        ] {
            fs::write(place.work().join(name), text).expect("a file");
        }
        place.ok("git init -q -b main . && git add -A && git commit -qm first");
        place
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn work(&self) -> PathBuf {
        self.at("work")
    }

    fn hook(&self, name: &str, script: &str) {
        let path = self.work().join(".git/hooks").join(name);
        fs::write(&path, script).expect("a hook");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("chmod");
    }

    fn command(&self, script: &str) -> Command {
        let mut command = Command::new("sh");
        let url = self.server.base_url();
        let (variable, url, model) = match self.api {
            Api::Anthropic => ("ANTHROPIC_BASE_URL", url, "anthropic/m"),
            Api::Responses => ("OPENAI_BASE_URL", url, "openai/m"),
            Api::Chat => ("OLLAMA_HOST", self.server.origin(), "ollama/m"),
        };
        let path = format!("{}:/usr/local/bin:/usr/bin:/bin", self.at("bin").display());
        command.args(["-c", script]).env_clear().current_dir(self.work());
        command.env("PATH", path).env("HOME", self.at("home")).env("TMPDIR", self.at("tmp"));
        command.env(variable, url).env("FLUX_MODEL", model).env("FLUX_RETRIES", "0");
        command.env(self.api.key_variable(), self.api.key());
        for who in ["AUTHOR", "COMMITTER"] {
            command.env(format!("GIT_{who}_NAME"), "A").env(format!("GIT_{who}_EMAIL"), "a@b.example");
        }
        command.env("GIT_EDITOR", "true").env("GIT_CONFIG_GLOBAL", "/dev/null");
        command
    }

    fn sh(&self, script: &str) -> Output {
        self.command(script).output().expect("sh")
    }

    /// Runs a script that must succeed, and returns what it prints.
    #[track_caller]
    fn ok(&self, script: &str) -> String {
        let output = self.sh(script);
        assert!(output.status.success(), "{script}\n{}", dump(&output));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    fn subject(&self) -> String {
        self.ok("git log -1 --format=%s").trim().to_owned()
    }

    /// A bare repository beside this one, to push to.
    fn remote(&self) {
        self.ok("git init -q --bare ../remote && git remote add origin ../remote");
    }
}

fn dump(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    format!("{:?}\n{}\n{}", output.status, text(&output.stdout), text(&output.stderr))
}

#[test]
fn a_hook_writes_the_commit_message_and_never_blocks_a_commit() {
    for_each_wire(|api| {
        let place = Place::new(api);
        place.hook("prepare-commit-msg", &recipe("A commit message"));
        place.ok("echo more >> a.md && git commit -qa");
        assert_eq!(place.subject(), "Add a line");
        assert!(place.ok("git log -1 --format=%b").contains("It was missing."));
        place.ok("echo more >> a.md && git commit -qam 'By hand'");
        assert_eq!(place.subject(), "By hand");

        let editor = "GIT_EDITOR='sed -i 1s/^/Typed/'";
        place.ok(&format!("echo BROKEN >> a.md && {editor} git commit -qa"));
        assert_eq!(place.subject(), "Typed");
        let asked = place.server.requests().len();
        place.ok(&format!("echo more >> a.md && FLUX_DISABLE=1 {editor} git commit -qa"));
        assert_eq!((place.subject().as_str(), place.server.requests().len()), ("Typed", asked));
    });
}

#[test]
fn a_gate_lets_through_only_what_the_model_calls_free_of_secrets() {
    for_each_wire(|api| {
        let place = Place::new(api);
        place.remote();
        place.hook("pre-push", &recipe("A gate"));
        place.ok("git push -q origin main");
        place.ok("echo 'password = hunter2' >> a.md && git commit -qam second");
        assert!(!place.sh("git push -q origin main").status.success(), "a password was pushed");
        place.ok("git reset -q --hard HEAD~1 && echo BROKEN >> a.md && git commit -qam third");
        assert!(!place.sh("git push -q origin main").status.success(), "without a verdict nothing is pushed");
        place.ok("git reset -q --hard HEAD~1 && echo fine >> a.md && git commit -qam fourth");
        place.ok("git push -q origin main");
        assert_eq!(place.ok("git -C ../remote log -1 --format=%s main").trim(), "fourth");
    });
}

#[test]
fn a_gate_looks_at_new_branches_tags_forced_pushes_and_merges_too() {
    let place = Place::new(Api::Chat);
    place.remote();
    place.hook("pre-push", &recipe("A gate"));
    place.ok("git push -q origin main");
    let refused = |push: &str, what: &str| assert!(!place.sh(push).status.success(), "{what}");
    // The tip of the remote is not here: somebody else has pushed meanwhile.
    place.ok(
        "git clone -q ../remote ../other && cd ../other && echo b > b && git add b && git commit -qm b && git push -q",
    );
    place.ok("echo 'password = hunter2' > s && git add s && git commit -qm secret");
    refused("git push -q --force origin main", "a forced push went unseen");
    refused("git push -q origin main:new", "a new branch went unseen");
    place.ok("git tag v1");
    refused("git push -q origin v1", "a tag went unseen");
    // What only the merge adds.
    place.ok("git reset -q --hard HEAD~1 && git checkout -q -b side && echo c > c && git add c && git commit -qm c");
    place.ok("git checkout -q main && echo d > d && git add d && git commit -qm d && git merge -q --no-commit side");
    place.ok("echo 'password = hunter2' > s && git add s && git commit -qm merge");
    refused("git push -q --force origin main", "what a merge adds went unseen");
    // What is there already is not looked at again, and nothing is asked for a deleted branch.
    let asked = place.server.requests().len();
    place.ok("git push -q origin origin/main:refs/heads/same && git push -q origin :same");
    assert_eq!(place.server.requests().len(), asked);
}

#[test]
fn the_recipes_for_pipes_print_what_they_promise() {
    for_each_wire(|api| {
        let place = Place::new(api);
        assert_eq!(place.ok(&recipe("Why the build failed")), "An answer.\n");
        assert!(place.server.requests().last().expect("a request").text().contains("it fails"));
        assert_eq!(place.ok(&recipe("A log as data")), "db\n");
        assert_eq!(place.ok(&recipe("One word")), "bug\n");
        assert_eq!(place.ok(&recipe("A loop that keeps")), "keep\nkeep\n");
        place.ok(&recipe("Only the code"));
        assert_eq!(fs::read(place.work().join("largest.sh")).expect("a file"), b"du -a\n");
        let asked = place.server.requests().len();
        assert!(place.ok(&recipe("What would it cost")).contains("\"estimated_tokens\""));
        assert_eq!(place.server.requests().len(), asked, "a dry run asks nobody");
    });
}

#[test]
fn many_files_are_summarised_and_one_that_fails_is_named() {
    for_each_wire(|api| {
        let place = Place::new(api);
        place.ok(&recipe("Many files"));
        for name in ["a.md.summary", "b c.md.summary"] {
            assert_eq!(fs::read(place.work().join(name)).expect("a summary"), b"An answer.\n");
        }
        place.ok("rm *.summary && echo BROKEN >> a.md");
        let output = place.sh(&recipe("Many files"));
        assert_eq!(output.status.code(), Some(123), "{}", dump(&output));
        assert!(String::from_utf8_lossy(&output.stderr).starts_with("flux: a.md.summary: "), "{}", dump(&output));
        assert!(!place.work().join("a.md.summary").exists() && place.work().join("b c.md.summary").exists());
    });
}

#[test]
fn make_makes_a_summary_once_and_never_half() {
    for_each_wire(|api| {
        let place = Place::new(api);
        fs::write(place.work().join("Makefile"), recipe("A rule for make")).expect("a makefile");
        place.ok("make -s a.summary && make -s a.summary");
        assert_eq!(place.server.requests().len(), 1, "what is up to date is not made again");
        place.ok("sleep 1; echo BROKEN >> a.md");
        assert!(!place.sh("make -s a.summary").status.success());
        assert_eq!(fs::read(place.work().join("a.summary")).expect("the old one"), b"An answer.\n");
    });
}

#[test]
fn parallel_runs_again_only_what_failed() {
    if Command::new("parallel").arg("--version").output().is_err() {
        return say("skipped: parallel_runs_again_only_what_failed needs GNU parallel");
    }
    for_each_wire(|api| {
        let place = Place::new(api);
        place.ok("mkdir -p ~/.parallel && touch ~/.parallel/will-cite && echo BROKEN >> a.md");
        let output = place.sh(&recipe("Again only what failed"));
        assert_eq!(output.status.code(), Some(1), "{}", dump(&output));
        assert_eq!(place.server.requests().len(), 2);
        place.ok("echo '# A' > a.md");
        place.ok(&recipe("Again only what failed"));
        assert_eq!(place.server.requests().len(), 3, "only the one that failed is asked for again");
        assert!(place.work().join("a.md.summary").exists() && place.work().join("b c.md.summary").exists());
    });
}

#[test]
fn gits_variables_in_a_hook_do_no_harm_to_tools() {
    for_each_wire(|api| {
        let calls = [(&*api.id(1), "list_files", json!({})), (&*api.id(2), "run_command", json!({"argv": ["env"]}))];
        let server = Server::script(api, [api.calls(&calls), api.text("done")]);
        let flux = Flux::to(&server).file("a.txt", "").args(["--allow", "run:env", "p"]);
        let flux = flux.env("GIT_DIR", "/nonexistent").env("GIT_INDEX_FILE", "x").env("GIT_WORK_TREE", "/");
        let _ = flux.run().code(0);
        let body = &server.requests()[1].json;
        assert!(api.result(body, &api.id(1)).text.contains("a.txt"));
        let env = api.result(body, &api.id(2)).text;
        let foreign = ["GIT_DIR", "GIT_INDEX_FILE", "GIT_WORK_TREE"].iter().any(|name| env.contains(name));
        assert!(env.contains("PATH=") && !foreign, "{env}");
    });
}

/// The real program, installed once from the Python index; `None` where it cannot be had.
fn pre_commit() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("pre-commit");
    let program = folder.join("bin/pre-commit");
    if program.exists() {
        return Some(program);
    }
    if std::env::var_os("FLUX_TEST_OFFLINE").is_some_and(|value| value == "1") {
        return None;
    }
    let run = |program: &Path, args: &[&str]| {
        Command::new(program).args(args).output().is_ok_and(|output| output.status.success())
    };
    let made = run(Path::new("python3"), &["-m", "venv", &folder.display().to_string()])
        && run(&folder.join("bin/pip"), &["install", "-q", "pre-commit==4.7.0"]);
    (made && program.exists()).then_some(program)
}

#[test]
fn the_hooks_work_with_the_real_pre_commit() {
    let Some(program) = pre_commit() else {
        return say("skipped: the_hooks_work_with_the_real_pre_commit needs python3 with venv and PyPI");
    };
    for_each_wire(|api| {
        let place = Place::new(api);
        symlink(&program, place.at("bin/pre-commit")).expect("a link");
        place.ok("git init -q ../hooks");
        fs::copy(root().join(".pre-commit-hooks.yaml"), place.at("hooks/.pre-commit-hooks.yaml")).expect("the hooks");
        place.ok("cd ../hooks && git add -A && git commit -qm hooks && git tag v0.1.0");
        let config = recipe("With pre").replace("URL of this repository", "../hooks");
        fs::write(place.work().join(".pre-commit-config.yaml"), config).expect("the configuration");
        place.ok("git add -A && pre-commit install -t prepare-commit-msg -t pre-commit");
        place.ok("git commit -q");
        assert_eq!(place.subject(), "Add a line");
        place.ok("echo 'password = hunter2' >> a.md");
        let output = place.sh("git commit -qam 'By hand'");
        assert!(!output.status.success() && dump(&output).contains("So it is."), "{}", dump(&output));
        place.ok("git checkout -q HEAD -- . && echo fine >> a.md && git commit -qam 'By hand'");
        assert_eq!(place.subject(), "By hand");
    });
}

#[test]
fn the_page_is_sound_and_names_only_flags_that_exist() {
    let page = fs::read_to_string(root().join("man/flux-recipes.7")).expect("the page").replace("\\-", "-");
    let help = Command::new(binary()).args(["ask", "--help"]).output().expect("flux");
    let help = String::from_utf8_lossy(&help.stdout).into_owned();
    for line in page.lines().filter(|line| line.contains("flux ask") || line.trim_start().starts_with("flux ask")) {
        let (_, own) = line.split_once("flux ask").expect("a call");
        let own = own.split('|').next().unwrap_or_default();
        for flag in own.split_whitespace().filter(|word| word.starts_with("--")) {
            assert!(help.contains(flag), "{flag} in: {line}");
        }
    }
    let Ok(lint) = Command::new("mandoc").args(["-Tlint", "-Wwarning"]).arg(root().join("man/flux-recipes.7")).output()
    else {
        return say("skipped in part: the_page_is_sound needs mandoc for the markup");
    };
    assert!(lint.status.success(), "{}", dump(&lint));
}
