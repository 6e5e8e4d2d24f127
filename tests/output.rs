//! Section 2 of the contract: what stands on stdout and stderr, and what is written to files.

mod descriptors;
mod files;
mod format;
mod stream;
mod terminal;
mod transcript;

use serde_json::json;

use crate::support::{Api, Flux, Reply, Server};

/// A turn with text and a tool call, then the answer.
fn two_turns(api: Api, answer: &str) -> [Reply; 2] {
    [api.text_and_calls("Let me see.", &[(&api.id(1), "list_files", json!({}))]), api.text(answer)]
}

/// A server with one answer, and the command for it.
fn answering(text: &str) -> (Server, Flux) {
    let server = Server::script(Api::Chat, [Api::Chat.text(text)]);
    let flux = Flux::to(&server);
    (server, flux)
}

/// A server that must not be asked anything, and the command for it.
fn untouched() -> (Server, Flux) {
    let server = Server::script(Api::Chat, []);
    let flux = Flux::to(&server);
    (server, flux)
}
