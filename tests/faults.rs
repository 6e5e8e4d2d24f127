//! Faults of the world around a run, from the tables of `reliability.md`, that no other file provokes: limits of
//! the system, odd files, hostile model output. None may hang, crash, lie or leave something behind.

mod endings;
mod files;
mod leaks;
mod memory;
mod model;
mod nth;
mod soak;
mod system;
mod table;
mod world;

use serde_json::Value;

use crate::support::tools::results;
use crate::support::wire::ToolOutput;
use crate::support::{Api, Flux};

/// Has the model make one call; gives its result.
#[track_caller]
fn call(prepare: impl FnOnce(Flux) -> Flux, name: &str, arguments: Value) -> ToolOutput {
    results(Api::Anthropic, prepare, &[(name, arguments)]).remove(0)
}
