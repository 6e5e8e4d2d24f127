//! Answers for scripts: demanded forms, predicates, files that hooks fill, and what happens when it fails.

mod check;
mod choice;
mod dry_run;
mod extract;
mod hooks;
mod schema;

use serde_json::{Value, json};

use crate::support::{Api, Flux, Reply, Server};

/// The strict server of a provider as `-m PROVIDER/MODEL` reaches it, not as a custom address.
fn provider(api: Api, replies: Vec<Reply>) -> (Server, Flux) {
    let server = Server::script(api, replies);
    let flux = crate::support::ask().key(api).log(&server);
    let (variable, model) = match api {
        Api::Anthropic => ("ANTHROPIC_BASE_URL", "anthropic/m"),
        _ => ("OPENAI_BASE_URL", "openai/m"),
    };
    let wire = ["-m", model, "--wire", api.wire()];
    let flux = flux.env(variable, server.base_url()).args(wire);
    (server, flux)
}

/// A verdict as the model gives it.
fn verdict(word: &str, reason: &str) -> String {
    json!({"reason": reason, "verdict": word}).to_string()
}

/// Where the service takes the schema of the answer.
fn format(api: Api, body: &Value) -> Value {
    match api {
        Api::Anthropic => body["output_config"]["format"].clone(),
        Api::Responses => body["text"]["format"].clone(),
        Api::Chat => body["response_format"].clone(),
    }
}

/// The text of the last message of the user.
fn last_user_text(api: Api, body: &Value) -> String {
    let messages = api.messages(body);
    let last = messages.last().expect("a message");
    assert_eq!(last["role"], "user", "{last}");
    crate::support::wire::text_of(&last["content"])
}
