//! Tools of the user's own: the two examples of the README, every way to describe one, and every way in which one can
//! be wrong.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::tools::results;
use crate::support::{Api, Flux, Server, ask, for_each_wire};

fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/examples").join(name)
}

/// Writes an executable outside the root; gives its path.
fn tool(flux: &Flux, name: &str, script: &str) -> PathBuf {
    let path = flux.path("own").join(name);
    fs::create_dir_all(flux.path("own")).expect("a directory");
    fs::write(&path, format!("#!/bin/sh\n{script}\n")).expect("a file");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("chmod");
    path
}

/// A tool that describes itself as `NAME`, and otherwise does this.
fn described(flux: &Flux, name: &str, script: &str) -> PathBuf {
    let description = json!({"name": name, "description": "d", "args": {"a": ["string?", "x"]}});
    tool(flux, name, &format!("if [ $FLUX_TOOL = describe ]; then echo '{description}'; exit; fi\n{script}"))
}

fn with(flux: Flux, tool: &Path) -> Flux {
    flux.arg("--tool").arg(tool)
}

#[test]
fn the_examples_work_on_every_wire() {
    let people = fs::read_to_string(example("people.csv")).expect("the example's data");
    let calls = [
        ("csv_column", json!({"file": "people.csv", "column": "city"})),
        ("csv_column", json!({"file": "people.csv", "column": "age"})),
        ("word_count", json!({"file": "people.csv"})),
        ("word_count", json!({"file": "gone.csv"})),
        ("word_count", json!({"file": "a\nfile: b"})),
    ];
    for_each_wire(|api| {
        let prepare =
            |f: Flux| with(with(f, &example("csv_column")), &example("word_count")).file("people.csv", &people);
        let answers = results(api, prepare, &calls);
        let texts: Vec<&str> = answers.iter().map(|answer| answer.text.as_str()).collect();
        assert_eq!(texts[0].split_whitespace().collect::<Vec<_>>(), ["2", "London", "1", "New", "York"]);
        assert_eq!(texts[1], "exit_status: exit 1\npeople.csv has no column 'age', but: name,city");
        assert_eq!(texts[2], "people.csv has 5 words\n");
        assert!(texts[3].starts_with("exit_status: exit 1\n") && texts[3].contains("gone.csv"), "{texts:?}");
        assert!(texts[4].starts_with("bad_arguments: "), "{texts:?}");
    });
}

#[test]
fn the_schema_and_the_name_reach_the_model_and_the_transcript_and_the_list() {
    for_each_wire(|api| {
        let server = Server::script(api, [api.text("done")]);
        let flux = with(Flux::to(&server), &example("csv_column")).arg("p").transcript();
        let _ = flux.run().code(0);
        let request = server.requests()[0].json.clone();
        let names = api.tool_names(&request);
        assert_eq!(names.last().map(String::as_str), Some("csv_column"));
        assert!(request.to_string().contains("its first line names the columns"), "{request}");
        assert!(request.to_string().contains("own tools may be used too: csv_column."), "{request}");
        let text = fs::read_to_string(flux.path("transcript.jsonl")).expect("the transcript");
        assert!(text.contains(r#"csv_column","trusted":false}]"#), "{text}");
    });
    let list = with(ask(), &example("word_count")).arg("--list-tools").run().code(0).out();
    assert!(list.contains("\nword_count   Count the words of a text file.\n"), "{list}");
}

#[test]
fn a_tool_gets_its_arguments_and_little_else() {
    let script = "cat; echo; echo $FLUX_TOOL $TOOLBOX_ACTION; pwd; env | cut -d= -f1 | sort | tr '\\n' ' '";
    for_each_wire(|api| {
        let prepare = |f: Flux| {
            let path = described(&f, "mine", script);
            with(f, &path).env("OTHER", "x")
        };
        let answer = results(api, prepare, &[("mine", json!({"a": "é"}))]).remove(0).text;
        let lines: Vec<&str> = answer.lines().collect();
        let arguments: Value = serde_json::from_str(lines[0]).expect("JSON");
        assert_eq!(arguments, json!({"a": "é"}));
        assert_eq!(lines[1], "execute execute");
        assert!(lines[2].ends_with("/work"), "{answer}");
        assert!(!lines[3].contains("OTHER") && !lines[3].contains("KEY") && lines[3].contains("TMPDIR"), "{answer}");
    });
}

#[test]
fn a_failing_tool_tells_why_and_the_run_goes_on() {
    let calls = [("mine", json!({"a": "fail"})), ("mine", json!({"a": "die"})), ("mine", json!({"a": "ok"}))];
    let script = "case $(cat) in *fail*) echo half; echo why >&2; exit 9;; *die*) kill -9 $$;; *) echo fine;; esac";
    let prepare = |f: Flux| {
        let path = described(&f, "mine", script);
        with(f, &path)
    };
    let answers = results(Api::Anthropic, prepare, &calls);
    assert_eq!(answers[0].text, "exit_status: exit 9\nwhy");
    assert_eq!(answers[1].text, "signal: killed by signal 9");
    assert_eq!((answers[2].text.as_str(), answers[2].is_error), ("fine\n", Some(false)));
}

#[test]
fn describing_itself_counts_as_time_of_the_run() {
    let in_time = |scripts: &[&str], trusted: &str| {
        for args in [&["p"][..], &["--list-tools"]] {
            let mut flux = ask().args(["-m", "anthropic", "--timeout", "1s"]).args(args.iter().copied());
            flux = flux.key(Api::Anthropic);
            for (number, script) in scripts.iter().enumerate() {
                let path = tool(&flux, &format!("t{number}"), script);
                flux = flux.arg("--tool").arg(format!("{trusted}{}", path.display()));
            }
            let run = flux.run().failure(124, 1);
            assert!(run.elapsed < Duration::from_millis(1900), "{:?}", run.elapsed);
        }
    };
    let slow = "sleep .6; echo name: ${0##*/}; echo description: d";
    for trusted in ["", "trusted:"] {
        in_time(&["sleep 30"], trusted);
        in_time(&[slow; 4], trusted);
    }
}

#[test]
fn a_tool_that_cannot_be_used_ends_the_run_before_anything_is_sent() {
    let ends = |script: &str, code: i32, why: &str| {
        let flux = ask().args(["-m", "anthropic", "p"]).key(Api::Anthropic);
        let path = tool(&flux, "mine", script);
        let _ = with(flux, &path).run().failure(code, 1).stderr_has("mine").stderr_has(why);
    };
    ends("sleep 30", 78, "within 2 s");
    ends("echo broken >&2; exit 1", 78, "(broken)");
    ends("kill -9 $$", 78, "cannot describe itself");
    ends("echo hello", 78, "no description");
    ends("echo 'name: a b'; echo 'description: d'", 78, "no name for a tool");
    ends("echo 'name: shell'; echo 'description: d'", 2, "already");
    ends(
        "echo '{\"name\": \"a\", \"description\": \"d\", \"input_schema\": {\"type\": \"array\"}}'",
        78,
        "type object",
    );
    let flux = || ask().args(["-m", "anthropic", "p"]).key(Api::Anthropic);
    let plain = flux().file("plain", "x");
    let _ = with(plain.clone(), &plain.here("plain"))
        .run()
        .failure(66, 1)
        .stderr_has("cannot be executed: Permission denied");
    let _ = with(flux(), Path::new("gone")).run().failure(66, 1).stderr_has("--tool gone");
    let _ = with(flux(), Path::new(".")).run().failure(66, 1);
    let open = flux();
    let path = described(&open, "mine", "");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o777)).expect("chmod");
    let _ = with(open, &path).run().failure(78, 1).stderr_has("written by others");
    let twice = flux();
    let path = described(&twice, "mine", "");
    let _ = with(with(twice, &path), &path).run().failure(2, 1).stderr_has("named mine already");
    let beside = flux().file("t", "#!/bin/sh\n").file("t.json", "{\"name\": \"t\"}");
    let path = beside.here("t");
    let _ = with(beside, &path).run().failure(78, 1).stderr_has("t.json").stderr_has("description");
}

#[test]
fn flags_that_contradict_a_tool_are_refused() {
    let word_count = example("word_count");
    let word_count = word_count.to_str().expect("text");
    let refused = |args: &[&str], why: &str| {
        let _ = ask().args(args.iter().copied()).args(["-m", "anthropic", "p"]).run().failure(2, 1).stderr_has(why);
    };
    refused(&["--no-tools", "--tool", word_count], "--no-tools contradicts --tool");
    refused(&["--deny", "read", "--tool", word_count], "--deny read");
    let broad = ask().args(["--tool", word_count, "-m", "anthropic", "p"]);
    let home = broad.path("home");
    let _ = broad.cwd(home).run().failure(2, 1).stderr_has("--root");
    let broad = ask().args(["--allow", "run:ls", "-m", "anthropic", "p"]);
    let _ = broad.cwd("/").run().failure(2, 1).stderr_has("--root");
    let own = ask().args(["--allow", "write", "--tool", "trusted:t", "-m", "anthropic", "p"]).file("t", "#!/bin/sh\n");
    let _ = own.run().failure(2, 1).stderr_has("cannot be trusted");
}

#[test]
fn the_configuration_and_the_environment_grant_nothing() {
    let tool = format!("--tool {}\n", example("word_count").display());
    for line in ["--allow run:ls\n", "--sandbox off\n", tool.as_str()] {
        let flag = line.split(' ').next().expect("a flag");
        let _ = ask().config(line).args(["-m", "anthropic", "p"]).run().failure(78, 1).stderr_has(flag);
    }
    let _ = ask()
        .env("FLUX_SANDBOX", "off")
        .args(["-m", "anthropic", "p"])
        .run()
        .failure(78, 1)
        .stderr_has("--sandbox off");
    let list = |flux: Flux| flux.arg("--list-tools").run().code(0).out();
    let given = ask().env("FLUX_ALLOW", "shell").env("FLUX_TOOL", example("word_count").display().to_string());
    let given = list(given);
    assert!(given.contains("shell        not offered") && !given.contains("word_count"), "{given}");
    let profile = list(ask().profile("w", &format!("{tool}--allow shell\n")).args(["-p", "w"]));
    assert!(!profile.contains("shell        not offered") && profile.contains("word_count"), "{profile}");
    let _ = list(ask().config("--sandbox auto\n"));
}
