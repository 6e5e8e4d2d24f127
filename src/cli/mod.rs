//! Floor 5: what was typed and what will be done.

pub mod args;
pub mod color;
pub mod config;
pub mod forms;
pub mod input;
mod key;
mod local;
pub mod model;
mod network;
pub mod rights;
pub mod settings;
pub mod transcript;
pub mod units;

/// The whole command line, for the man pages and completions.
#[must_use]
pub fn command() -> clap::Command {
    <args::Cli as clap::CommandFactory>::command()
}
