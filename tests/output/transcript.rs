//! `--transcript FILE`: complete, private, appended to, and never over somebody else's file.

use std::fs;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::time::Duration;

use serde_json::json;

use super::{answering, two_turns, untouched};
use crate::support::{Api, Flux, Server, Transcript, for_each_wire};

#[test]
fn a_transcript_has_every_line_that_the_format_names() {
    for_each_wire(|api| {
        let server = Server::script(api, two_turns(api, "The answer."));
        let flux = Flux::to(&server).file("a.txt", "alpha").transcript().args(["-f", "a.txt", "sum"]).stdin("input\n");
        let run = flux.run().code(0).stdout("The answer.\n").stderr("");
        let transcript = run.transcript();
        assert_eq!(transcript.faults(), Vec::<String>::new());
        let kinds: Vec<String> = transcript.0.iter().map(kind).collect();
        let turn = ["flux.request", "assistant"];
        let should = [&["session", "flux.context", "user"][..], &turn, &["toolResult"], &turn, &["result"]].concat();
        assert_eq!(kinds, should);
        let context = transcript.custom("flux.context")[0];
        assert_eq!(context["tools"].as_array().map(Vec::len), Some(4));
        let inputs: Vec<_> = context["inputs"].as_array().expect("inputs").iter().map(|i| i["kind"].clone()).collect();
        assert!(inputs.contains(&json!("file")) && inputs.contains(&json!("stdin")), "{inputs:?}");
        assert_eq!(context["system"], json!(api.system(&server.requests()[0].json)));
        let request = transcript.custom("flux.request")[1];
        assert_eq!((&request["turn"], &request["attempt"], &request["status"]), (&json!(2), &json!(1), &json!(200)));
        assert_eq!(request["bytes"], server.requests()[1].body.len());
        assert_eq!(transcript.messages("user")[0]["content"], json!(api.first_user_text(&server.requests()[0].json)));
        check_assistant(api, &transcript);
    });
}

fn kind(line: &serde_json::Value) -> String {
    let named = [&line["message"]["role"], &line["customType"], &line["type"]];
    named.iter().find_map(|v| v.as_str()).unwrap_or_default().to_owned()
}

fn check_assistant(api: Api, transcript: &Transcript) {
    let message = transcript.messages("assistant")[0];
    assert_eq!(message["api"], api.transcript_name());
    assert_eq!((&message["model"], &message["stopReason"]), (&json!("m"), &json!("toolUse")));
    let blocks = message["content"].as_array().expect("blocks");
    let [text, call] = &blocks[..] else { panic!("{blocks:#?}") };
    assert_eq!((&text["type"], &text["text"]), (&json!("text"), &json!("Let me see.")));
    let should = [json!("toolCall"), json!(api.id(1)), json!("list_files"), json!({})];
    assert_eq!(["type", "id", "name", "arguments"].map(|key| call[key].clone()), should);
}

#[test]
fn a_transcript_is_private_and_further_runs_are_appended() {
    let server = Server::of(Api::Chat).answer(|_| Api::Chat.text("done"));
    let flux = Flux::to(&server).transcript().arg("p");
    let _ = flux.run().code(0);
    let path = flux.path("transcript.jsonl");
    assert_eq!(fs::metadata(&path).expect("a file").mode() & 0o777, 0o600);
    let first = fs::read_to_string(&path).expect("a file");
    let _ = flux.run().code(0).stderr("");
    let both = fs::read_to_string(&path).expect("a file");
    assert!(both.starts_with(&first) && both.len() > first.len());
    let lines = Transcript::parse(&both).expect("valid lines");
    assert_eq!(lines.of_type("result").len(), 2);
    let runs: std::collections::BTreeSet<String> = lines.0.iter().map(|l| l["run"].to_string()).collect();
    assert_eq!(runs.len(), 2);
}

#[test]
fn a_file_that_is_no_transcript_is_left_alone() {
    for content in ["important notes\n", "{\"type\":\"session\",\"version\":3,\"schema\":\"other/1\"}\n", "{}\n"] {
        let (_server, flux) = untouched();
        let flux = flux.file("notes", content).args(["--transcript", "notes", "p"]);
        let run = flux.run().failure(73, 1).stderr_has("notes");
        assert_eq!(run.file("notes"), content.as_bytes());
    }
}

#[test]
fn a_torn_last_line_is_cut_with_a_note() {
    let server = Server::of(Api::Chat).answer(|_| Api::Chat.text("done"));
    let flux = Flux::to(&server).transcript().arg("p");
    let _ = flux.run().code(0);
    let path = flux.path("transcript.jsonl");
    let mut text = fs::read_to_string(&path).expect("a file");
    text.push_str("{\"type\":\"mess");
    fs::write(&path, &text).expect("a file");
    let run = flux.run().code(0);
    let lines = run.err().lines().count();
    let run = run.check(lines == 1, "a note was expected");
    assert_eq!(run.transcript().of_type("result").len(), 2);
}

#[test]
fn a_transcript_may_go_to_an_open_descriptor() {
    let (_server, flux) = answering("done");
    let (mut ours, theirs) = std::io::pipe().expect("a pipe");
    let err = crate::support::flux::Out::Given(std::sync::Arc::new(fs::File::from(std::os::fd::OwnedFd::from(theirs))));
    let flux = flux.args(["--transcript", "fd:2", "p"]).stderr_to(err);
    let _ = flux.run().code(0).stdout("done\n");
    drop(flux);
    let mut text = String::new();
    ours.read_to_string(&mut text).expect("a transcript");
    assert_eq!(Transcript::parse(&text).expect("a transcript").faults(), Vec::<String>::new());
    let (_server, flux) = untouched();
    let _ = flux.args(["--transcript", "fd:77", "p"]).run().failure(73, 1);
}

#[test]
fn no_key_stands_in_a_transcript_even_if_the_model_says_it() {
    for_each_wire(|api| {
        let server = Server::script(api, [api.text(&format!("your key is {}", api.key()))]);
        let run = Flux::to(&server).transcript().args(["-v", "p"]).run().code(0);
        let lines: Vec<String> = run.transcript().0.iter().map(ToString::to_string).collect();
        assert!(!lines.concat().contains(api.key()), "{lines:#?}");
        let _ = run.stderr_lacks(api.key());
    });
}

#[test]
fn a_transcript_that_stays_locked_is_waited_for_ten_seconds_in_all() {
    for content in ["", "old"] {
        let (_server, flux) = untouched();
        let flux = flux.args(["--transcript", "lines", "p"]);
        let file = lockable(&flux, content);
        file.lock().expect("a lock");
        let run = flux.run().failure(75, 1).stderr_has("in use by another run for 10 s");
        assert!(run.elapsed > Duration::from_secs(9) && run.elapsed < Duration::from_secs(12), "{:?}", run.elapsed);
    }
}

/// A transcript that others can lock: empty, or one of an earlier run.
fn lockable(flux: &Flux, content: &str) -> fs::File {
    let path = flux.here("lines");
    if content == "old" {
        let server = Server::script(Api::Chat, [Api::Chat.text("done")]);
        let _ = flux.clone().server(&server).run().code(0);
    } else {
        fs::write(&path, "").expect("a file");
    }
    fs::File::options().read(true).write(true).open(path).expect("the transcript")
}

#[test]
fn a_foreign_lock_costs_neither_the_answer_nor_lines_that_can_still_be_written() {
    for_each_wire(|api| {
        let call = || api.calls(&[(&api.id(1), "list_files", json!({}))]);
        // The lock comes with the first request, and goes before the end of the run, or not.
        for (held, code) in [(Duration::from_secs(1), 0), (Duration::from_secs(60), 74)] {
            let server = Server::script(api, [call().delay(Duration::from_millis(500)), api.text("the answer")]);
            let flux = Flux::to(&server).args(["--transcript", "lines", "p"]);
            let running = flux.start();
            server.log().wait_for_requests(1);
            let file = fs::File::open(flux.here("lines")).expect("the transcript");
            file.lock().expect("a lock");
            if code == 0 {
                std::thread::sleep(held);
                file.unlock().expect("unlocked");
            }
            let run = running.wait().code(code).stdout("the answer\n");
            assert!(run.elapsed < Duration::from_secs(13), "{:?}", run.elapsed);
            drop(file);
            let text = String::from_utf8(run.file("lines")).expect("text");
            let lines = Transcript::parse(&text).expect("lines");
            if code == 0 {
                let run = run.stderr("");
                assert_eq!((lines.faults(), lines.of_type("result").len()), (vec![], 1), "{}", run.dump());
            } else {
                let _ = run.stderr_has("lines").stderr_has("in use by another run").stderr_has("(exit 74)");
                assert!(lines.of_type("result").is_empty());
            }
        }
    });
}

#[test]
fn a_file_is_not_replaced_by_a_run_whose_transcript_stays_locked() {
    let server = Server::script(Api::Chat, [Api::Chat.text("the answer").delay(Duration::from_millis(500))]);
    let flux = Flux::to(&server).file("out", "old\n").args(["--transcript", "lines", "-o", "out", "--json", "p"]);
    let running = flux.start();
    server.log().wait_for_requests(1);
    let file = fs::File::open(flux.here("lines")).expect("the transcript");
    file.lock().expect("a lock");
    let run = running.wait().code(74);
    assert_eq!(run.file("out"), b"old\n");
    let object: serde_json::Value = serde_json::from_str(&run.out()).expect("the result object");
    assert_eq!((object["exit_code"].as_i64(), object["result"].as_str()), (Some(74), Some("the answer")));
}

#[test]
fn failed_attempts_are_lines_too() {
    for_each_wire(|api| {
        let busy = || api.error(503, "overloaded_error", "busy").header("retry-after-ms", "10");
        let server = Server::script(api, [busy(), busy(), api.text("done")]);
        let run = Flux::to(&server).transcript().arg("p").run().code(0).stdout("done\n").stderr("");
        let transcript = run.transcript();
        let requests = transcript.custom("flux.request");
        let attempts: Vec<_> = requests.iter().map(|r| (r["attempt"].clone(), r["status"].clone())).collect();
        assert_eq!(attempts, [(json!(1), json!(503)), (json!(2), json!(503)), (json!(3), json!(200))]);
        assert_eq!(transcript.result()["retries"], 2);
    });
}
