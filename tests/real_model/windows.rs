//! The real model's real, small window: a conversation that outgrows it several times, and its own words for a prompt
//! that is too long.

use std::fs;

use serde_json::Value;

use super::{Folder, local_server, local_wires};
use crate::support::{Api, Server, ask};

/// The lines of a session's file.
fn lines(path: &str) -> Vec<Value> {
    let text = fs::read_to_string(path).expect("the session");
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

#[test]
fn local_model_outlives_its_window() {
    let Some(url) = local_server() else { return };
    let wire = &local_wires(url)[0];
    let folder = Folder::new();
    let session = folder.path.join("talk.jsonl").display().to_string();
    for n in 0..5 {
        let note = format!("Nothing is written here but words that mean nothing. {}", "And so on. ".repeat(90));
        let flags = ["--no-tools", "-c", &session, "--max-context", "1400", "--max-tokens", "400"];
        let question = format!("Note number {n}. Say OK, and nothing more.");
        let run = wire.ask(&[&flags[..], &[&question]].concat(), &note);
        run.expect(0);
    }
    let lines = lines(&session);
    let prunes = lines.iter().filter(|line| line["customType"] == "flux.prune");
    let budget = prunes.filter(|line| line["data"]["reason"] == "budget").count();
    assert!(budget >= 2, "{budget} prunes");
    assert_eq!(lines.iter().filter(|line| line["type"] == "result" && line["exit_code"] == 0).count(), 5);
}

#[test]
fn local_model_that_says_the_prompt_is_too_long_gets_a_shorter_one() {
    let Some(url) = local_server() else { return };
    for wire in local_wires(url) {
        let folder = Folder::new();
        let session = folder.path.join("talk.jsonl").display().to_string();
        for n in 0..3 {
            let server = Server::script(Api::Chat, [Api::Chat.text("Noted.")]);
            let flux = ask().server(&server).args(["-c", &session, &format!("Note {n}.")]);
            let _ = flux.stdin("many words of a long note ".repeat(1_200)).run().code(0);
        }
        let flags = ["-n", "--no-tools", "-c", &session, "--max-context", "100k", "What is the capital of France?"];
        let run = wire.ask(&flags, "");
        run.expect(0);
        assert!(run.stdout.contains("Paris"), "{run}");
        let lines = lines(&session);
        let prunes: Vec<&Value> = lines.iter().filter(|line| line["customType"] == "flux.prune").collect();
        assert_eq!(prunes.len(), 1, "{}", wire.name);
        assert_eq!(prunes[0]["data"]["reason"], "overflow");
        let requests = lines.iter().filter(|line| line["customType"] == "flux.request").map(|line| &line["data"]);
        let statuses: Vec<_> = requests.map(|data| data["status"].as_u64()).collect();
        assert_eq!(statuses[statuses.len() - 2..], [Some(400), Some(200)], "{}", wire.name);
    }
}
