//! `--dry-run`: what would be sent, byte for byte, and nothing is.

use serde_json::{Value, json};

use crate::support::{Api, Flux, Server, ask, flux, for_each_wire};

#[test]
fn dry_run_shows_the_very_request_and_sends_nothing() {
    for_each_wire(|api| {
        let server = Server::script(api, [api.text("{\"n\":1}")]);
        let flux = Flux::to(&server).stdin("context\n").args(["--schema", "n int", "-s", "Be terse."]);
        let out = flux.clone().args(["--dry-run", "p"]).run().code(0).stderr("").out();
        assert!(server.requests().is_empty(), "nothing is sent");
        let _ = flux.arg("p").run().code(0);
        let sent = server.only_request().text();
        assert!(out.lines().any(|line| line == sent), "the exact body is a line of it\n{out}");
        assert!(out.starts_with("POST http://127.0.0.1:") && out.contains("[REDACTED]"), "{out}");
        assert!(out.contains("tokens") && out.contains("cost:") && out.contains("list_files"), "{out}");
    });
}

#[test]
fn dry_run_needs_neither_key_nor_network() {
    let run = ask().args(["--dry-run", "--json", "-m", "anthropic", "--allow", "write:src/**", "p"]).run().code(0);
    let report: Value = serde_json::from_slice(&run.stdout).expect("JSON");
    assert_eq!(report["url"], "https://api.anthropic.com/v1/messages");
    assert_eq!(report["body"]["model"], report["model"]);
    assert!(report["max_cost_usd"].as_f64().expect("a price") > 0.0);
    assert!(report["estimated_tokens"].as_u64().expect("a number") > 100);
    assert_eq!(report["permissions"]["allow"], json!(["write:src/**"]));
    assert!(report["tools"].as_array().expect("tools").contains(&json!("edit_file")));
    let _ = ask().args(["--dry-run", "-m", "local", "p"]).run().failure(2, 1).stderr_has("PROVIDER/MODEL");
}

#[test]
fn dry_run_runs_no_key_command_and_touches_no_file() {
    let flux = ask().args(["--dry-run", "-m", "openai", "--api-key-cmd", "touch asked", "-o", "f"]);
    let run = flux.transcript().arg("p").run().code(0);
    assert_eq!(std::fs::read_dir(run.flux.here("")).expect("a folder").count(), 0);
    assert!(!run.flux.path("transcript.jsonl").exists());
    assert!(run.out().contains("authorization: [REDACTED]"));
}

#[test]
fn a_key_in_the_address_is_shown_nowhere() {
    let url = "http://127.0.0.1:1/v1?key=AIzaSecretSecret&api-version=2026-01-01";
    let run = ask().args(["--base-url", url, "-m", "m", "--dry-run", "p"]).run().code(0);
    assert!(run.out().contains("?key=[REDACTED]&api-version=2026-01-01"), "{}", run.out());
}

#[test]
fn dry_run_still_refuses_input_that_cannot_be_sent() {
    let _ = ask().key(Api::Anthropic).args(["--dry-run", "-f", "missing", "p"]).run().failure(66, 1);
    let _ = ask().args(["--dry-run"]).run().failure(2, 3);
}

#[test]
fn models_lists_window_limit_price_and_wire() {
    let run = flux().arg("models").run().code(0).stderr("");
    let out = run.out();
    let line = out.lines().find(|line| line.starts_with("anthropic/claude-sonnet-5-5 ")).expect("the default model");
    assert!(line.ends_with(" anthropic") && line.split_whitespace().count() >= 6, "{line}");
    assert!(out.contains("OPENAI_API_KEY") && out.contains("(--base-url)"));
}
