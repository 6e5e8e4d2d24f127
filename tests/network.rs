//! Section 4 of the contract, the network: retries, timeouts, proxies, redirects, what is taken for a reply.

mod faults;
mod limits;
mod proxies;
mod reader;
mod retries;
mod timeouts;
mod tls;

use crate::support::{Api, Flux, Reply, Run, Server};

/// Runs against these replies with these arguments; gives the run and the server.
#[track_caller]
fn meet(api: Api, replies: Vec<Reply>, args: &[&str]) -> (Run, Server) {
    let server = Server::script(api, replies);
    let run = Flux::to(&server).args(args.iter().copied()).transcript().arg("p").run();
    (run, server)
}
