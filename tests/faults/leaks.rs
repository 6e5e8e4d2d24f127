//! Leaks: keys go where they belong, and nowhere else; messages and terminals cannot be forged.

use crate::support::{Api, Flux, Server, ask};

#[test]
fn a_port_that_is_none_is_refused_and_no_other_server_is_asked() {
    for url in ["http://127.0.0.1:99999/v1", "http://127.0.0.1:8o80/v1", "http://127.0.0.1:/v1", "http://[::1]:-1/v1"] {
        let _ = ask().key(Api::Chat).args(["--base-url", url, "-m", "m", "p"]).run().failure(78, 1);
        let _ = ask().key(Api::Anthropic).env("ANTHROPIC_BASE_URL", url).arg("p").run().failure(78, 1);
    }
}

#[test]
fn a_password_in_a_url_is_not_shown() {
    for url in ["htps://user:hunter2@host/v1", "https://user:hunter2@host/v1", "http://us er:hunter2@host"] {
        let run = ask().key(Api::Chat).args(["--base-url", url, "-m", "m", "p"]).run().failure(78, 1);
        let _ = run.stderr_lacks("hunter2");
    }
    let run = ask().args(["--api-key-env", "sk-a-key-by-mistake", "--base-url", "http://127.0.0.1:1", "-m", "m", "p"]);
    let _ = run.run().failure(78, 1).stderr_lacks("sk-a-key");
}

#[test]
fn a_key_that_the_server_echoes_in_pieces_is_not_streamed() {
    for api in crate::support::wire::APIS {
        let server = Server::script(api, [api.text(&format!("Your key is {} indeed.", api.key()))]);
        let run = Flux::to(&server).args(["--stream", "p"]).run().code(0);
        let _ = run.stdout("Your key is [REDACTED] indeed.\n");
    }
}

#[test]
fn a_key_in_a_file_does_not_go_to_the_model() {
    for api in crate::support::wire::APIS {
        let call = (api.id(1), "read_files", serde_json::json!({"paths": ["notes.txt"]}));
        let server = Server::script(api, [api.calls(&[(&call.0, call.1, call.2.clone())]), api.text("done")]);
        let flux = Flux::to(&server).file("notes.txt", format!("the key: {}\n", api.key())).arg("p");
        let _ = flux.run().code(0);
        let body = server.requests()[1].text();
        assert!(!body.contains(api.key()) && body.contains("[REDACTED]"), "{body}");
    }
}

#[test]
fn one_failure_is_one_line_whatever_is_in_a_name_or_a_refusal() {
    let server = Server::script(Api::Responses, [Api::Responses.refusal("No\nway\rout")]);
    let _ = Flux::to(&server).arg("p").run().failure(82, 1);
    let server = Server::of(Api::Chat).script([]);
    for args in [["-f", "a\nb"], ["--root", "a\nb"], ["-p", "a\nb"]] {
        let run = Flux::to(&server).args(args).arg("p").run();
        let failed = run.code != Some(0);
        let run = run.check(failed, "a failure");
        assert_eq!(run.err().lines().count(), 1, "{}", run.err());
    }
}

#[test]
fn call_ids_that_a_server_repeats_go_back_as_different_ones() {
    for api in crate::support::wire::APIS {
        let list = || serde_json::json!({});
        let twice = api.calls(&[(&api.id(1), "list_files", list()), (&api.id(1), "list_files", list())]);
        let again = api.calls(&[(&api.id(1), "list_files", list())]);
        let server = Server::script(api, [twice, again, api.text("done")]);
        let _ = Flux::to(&server).arg("p").run().code(0).stdout("done\n");
    }
}
