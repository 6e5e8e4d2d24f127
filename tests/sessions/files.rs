//! The file of a session: what it may be, who may use it, and what is not touched.

use std::fs::{self, File};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{Api, Flux, Run, Server, ask};

const API: Api = Api::Chat;

/// A run with this session that is answered.
fn answered(flux: &Flux) -> (Run, Value) {
    let server = Server::script(API, [API.text("answer")]);
    let run = flux.clone().server(&server).args(["-c", "talk.jsonl", "the question"]).run();
    let request = server.only_request().json;
    (run.code(0).stdout("answer\n"), request)
}

/// A session of one answered run.
fn talk() -> (Flux, String) {
    let flux = ask();
    let server = Server::script(API, [API.text("first answer")]);
    let _ = flux.clone().server(&server).args(["-c", "talk.jsonl", "first question"]).run().code(0).stderr("");
    let text = fs::read_to_string(flux.here("talk.jsonl")).expect("the session");
    (flux, text)
}

#[test]
fn session_file_is_one_transcript_of_many_runs() {
    let (flux, first) = talk();
    let _ = answered(&flux);
    let all = fs::read_to_string(flux.here("talk.jsonl")).expect("the session");
    assert!(all.starts_with(&first), "what was written is never changed");
    let lines: Vec<Value> = all.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let count = |kind: &str| lines.iter().filter(|line| line["type"] == kind).count();
    assert_eq!((count("session"), count("result")), (1, 2));
    let further = &lines[first.lines().count()];
    assert_eq!(
        (&further["customType"], &further["seq"], &further["parentId"]),
        (&json!("flux.context"), &json!(0), &Value::Null)
    );
    assert_ne!(further["run"], lines[0]["run"]);
}

#[test]
fn session_that_was_torn_or_lacks_its_end_goes_on() {
    let (_, whole) = talk();
    let lines: Vec<&str> = whole.lines().collect();
    let without_result = lines[..lines.len() - 1].join("\n") + "\n";
    let torn = without_result.clone() + "{\"type\":\"resu";
    let no_newline = whole.trim_end().to_owned();
    for (text, note) in [(&without_result, ""), (&torn, "torn last line"), (&no_newline, "completed")] {
        let flux = ask().file("talk.jsonl", text);
        let (run, request) = answered(&flux);
        assert!(run.err().contains(note), "{}", run.err());
        assert!(request.to_string().contains("first question") && request.to_string().contains("first answer"));
        let lines = fs::read_to_string(flux.here("talk.jsonl")).expect("the session");
        assert!(lines.lines().all(|line| serde_json::from_str::<Value>(line).is_ok()), "{lines}");
    }
    let _ = answered(&ask().file("talk.jsonl", ""));
    let _ = answered(&ask().file("talk.jsonl", format!("{}\n", lines[0])));
}

/// Calls that a killed run left open are answered as interrupted.
#[test]
fn session_with_unanswered_calls_goes_on() {
    crate::support::for_each_wire(|api| {
        let flux = ask().file("a.txt", "alpha\n");
        let calls = [1, 2, 3].map(|n| (api.id(n), "read_files", json!({"paths": ["a.txt"]})));
        let calls: Vec<_> = calls.iter().map(|(id, name, args)| (id.as_str(), *name, args.clone())).collect();
        let server = Server::script(api, [api.calls(&calls), api.text("first answer")]);
        let _ = flux.clone().server(&server).args(["-c", "talk.jsonl", "first question"]).run().code(0);
        let whole = fs::read_to_string(flux.here("talk.jsonl")).expect("the session");
        let results: Vec<usize> = whole
            .match_indices('\n')
            .map(|(at, _)| at + 1)
            .filter(|at| whole[..*at].contains("\"toolResult\""))
            .collect();
        let flux = flux.file("talk.jsonl", &whole[..results[0]]);
        let server = Server::script(api, [api.text("answer")]);
        let _ = flux.clone().server(&server).args(["-c", "talk.jsonl", "second question"]).run().code(0);
        let request = server.only_request().json;
        let results = api.results(&request);
        assert_eq!(results.len(), 3, "{api:?}");
        assert!(results[0].text.contains("alpha") && results[1].text.starts_with("interrupted"), "{results:?}");
        assert!(request.to_string().contains("second question"));
    });
}

#[test]
fn session_file_of_another_kind_is_65_and_untouched() {
    let (_, whole) = talk();
    let newer = whole.replacen("flux-transcript/1", "flux-transcript/2", 1);
    let damaged = whole.replacen("\"role\":\"user\"", "\"role\":", 1);
    let strangers = ["hello\n", "{\"type\":\"session\",\"version\":3,\"id\":\"x\"}\n", "\n", &newer, &damaged];
    for text in strangers {
        let flux = ask().file("talk.jsonl", text);
        let server = Server::script(API, []);
        let run = flux.clone().server(&server).args(["-c", "talk.jsonl", "the question"]).run().failure(65, 1);
        let _ = run.stderr_has("talk.jsonl");
        assert_eq!(fs::read_to_string(flux.here("talk.jsonl")).expect("the file"), text);
        assert_eq!(server.connections(), 0);
    }
}

#[test]
fn session_in_use_is_waited_for() {
    let (flux, _) = talk();
    let file = File::open(flux.here("talk.jsonl")).expect("the session");
    file.lock().expect("a lock");
    let server = Server::script(API, [API.text("answer")]);
    let running = flux.clone().server(&server).args(["-c", "talk.jsonl", "the question"]).start();
    std::thread::sleep(Duration::from_millis(700));
    assert_eq!(server.connections(), 0, "nothing is asked while another run uses the session");
    file.unlock().expect("unlocked");
    let _ = running.wait().code(0).stdout("answer\n");
}

#[test]
fn a_transcript_that_a_session_holds_for_too_long_is_75() {
    let (flux, whole) = talk();
    let file = File::open(flux.here("talk.jsonl")).expect("the session");
    file.lock().expect("a lock");
    let server = Server::script(API, []);
    let run = flux.clone().server(&server).args(["--transcript", "talk.jsonl", "p"]).run().failure(75, 1);
    let _ = run.stderr_has("transcript talk.jsonl: in use");
    assert_eq!(fs::read_to_string(flux.here("talk.jsonl")).expect("the session"), whole);
}

#[test]
fn session_in_use_for_too_long_is_75() {
    let (flux, whole) = talk();
    let file = File::open(flux.here("talk.jsonl")).expect("the session");
    file.lock().expect("a lock");
    let server = Server::script(API, []);
    let start = Instant::now();
    let run = flux.clone().server(&server).args(["-c", "talk.jsonl", "the question"]).run().failure(75, 1);
    assert!(start.elapsed() >= Duration::from_secs(10));
    let _ = run.stderr_has("in use");
    assert_eq!(fs::read_to_string(flux.here("talk.jsonl")).expect("the session"), whole);
}

#[test]
fn session_named_where_it_cannot_be_is_refused() {
    let refused = |args: &[&str], code: i32| {
        let server = Server::script(API, []);
        let _ = ask().server(&server).args(args.to_vec()).arg("p").run().failure(code, 1);
    };
    refused(&["-c", "talk.jsonl", "--transcript", "talk.jsonl"], 2);
    refused(&["-c", "talk.jsonl", "-o", "talk.jsonl"], 2);
    refused(&["-c", "-"], 2);
    refused(&["-c", "."], 73);
    refused(&["-c", "/dev/null"], 73);
    refused(&["-c", "missing/talk.jsonl"], 73);
    let server = Server::script(API, []);
    let _ = ask().server(&server).config("--session talk.jsonl\n").arg("p").run().failure(78, 1);
}

#[test]
fn an_answer_never_replaces_the_conversation_that_it_belongs_to() {
    let (flux, whole) = talk();
    for (own, to) in [("-c", "-o"), ("-c", "--prepend-to"), ("--transcript", "-o"), ("--transcript", "--prepend-to")] {
        for name in ["talk.jsonl", "./talk.jsonl"] {
            let server = Server::script(API, []);
            let _ = flux.clone().server(&server).args([own, "talk.jsonl", to, name, "p"]).run().failure(2, 1);
            assert_eq!(fs::read_to_string(flux.here("talk.jsonl")).expect("the session"), whole, "{own} {to} {name}");
        }
    }
}

#[test]
fn a_dry_run_shows_the_session_and_leaves_it_alone() {
    let (flux, whole) = talk();
    let server = Server::script(API, []);
    let run = flux.clone().server(&server).args(["-c", "talk.jsonl", "--dry-run", "second question"]).run().code(0);
    let said = run.out();
    assert!(said.contains("first question") && said.contains("first answer") && said.contains("second question"));
    assert_eq!(fs::read_to_string(flux.here("talk.jsonl")).expect("the session"), whole);
    assert_eq!(server.connections(), 0);
}

#[test]
fn a_dry_run_of_a_local_provider_asks_nobody() {
    let server = Server::script(API, []);
    let flux = ask().env("OLLAMA_HOST", server.base_url());
    let run = flux.args(["-n", "--dry-run", "-m", "ollama/m", "p"]).run().code(0);
    assert!(run.out().starts_with("POST "));
    assert_eq!(server.connections(), 0);
}
