//! Section 1 of the contract: what becomes the instruction, what becomes context, and what is refused before a
//! request is paid.

mod bytes;
mod prompt;
mod stdin;

use crate::support::{Api, Flux, Run, Server};

/// Runs against a server that answers "done" and gives the run with the text of the user's message.
#[track_caller]
fn sent(prepare: impl FnOnce(Flux) -> Flux) -> (Run, String) {
    let server = Server::script(Api::Chat, [Api::Chat.text("done")]);
    let run = prepare(Flux::to(&server)).run().code(0).stdout("done\n");
    (run, Api::Chat.first_user_text(&server.only_request().json))
}

/// Runs against a server that must not be asked anything.
#[track_caller]
fn unsent(prepare: impl FnOnce(Flux) -> Flux) -> Run {
    let server = Server::script(Api::Chat, []);
    let run = prepare(Flux::to(&server)).run();
    assert_eq!(server.connections(), 0, "no request should be made");
    run
}
