//! Section 4 of the contract, the part before the network: which model, which key, which settings, from where.

mod files;
mod keys;
mod local;
mod models;
mod params;

use crate::support::{Api, Flux, Server, ask};

/// A command that names no server: it finds these two by the base URL variables, as the official SDKs do.
fn with_both_services(anthropic: &Server, openai: &Server) -> Flux {
    ask()
        .log(anthropic)
        .env("ANTHROPIC_BASE_URL", anthropic.origin())
        .env("OPENAI_BASE_URL", openai.base_url())
        .env("OLLAMA_HOST", "127.0.0.1:1")
}

/// A server of that wire that answers "done" any number of times.
fn service(api: Api) -> Server {
    Server::of(api).answer(move |_| api.text("done"))
}
