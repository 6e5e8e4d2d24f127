//! Asks the binary to run tool calls and gives back what the model would see.

use serde_json::Value;

use super::wire::{Api, ToolOutput};
use super::{Flux, Reply, Server};

/// Has the model make these calls in one turn; gives their results, in call order.
#[track_caller]
pub fn results(api: Api, prepare: impl FnOnce(Flux) -> Flux, calls: &[(&str, Value)]) -> Vec<ToolOutput> {
    turns(api, prepare, &[calls])
}

/// Has the model make the calls of each turn; gives all results, in call order.
#[track_caller]
pub fn turns(api: Api, prepare: impl FnOnce(Flux) -> Flux, turns: &[&[(&str, Value)]]) -> Vec<ToolOutput> {
    let mut n = 0;
    let mut replies: Vec<Reply> = turns.iter().map(|calls| turn(api, calls, &mut n)).collect();
    replies.push(api.text("done"));
    let server = Server::script(api, replies);
    let run = prepare(Flux::to(&server)).arg("p").run().code(0).stdout("done\n");
    let last = server.requests().pop().expect("a request");
    let results = api.results(&last.json);
    let run = run.check(results.len() == n, "every call should have one result");
    drop(run);
    results
}

fn turn(api: Api, calls: &[(&str, Value)], n: &mut usize) -> Reply {
    let calls: Vec<_> = calls
        .iter()
        .map(|(name, arguments)| {
            *n += 1;
            (api.id(*n), *name, arguments.clone())
        })
        .collect();
    let calls: Vec<_> = calls.iter().map(|(id, name, args)| (id.as_str(), *name, args.clone())).collect();
    api.calls(&calls)
}
