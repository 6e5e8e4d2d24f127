//! What all tests stand on: a hermetic runner for the binary, a scripted server, and the services' strictness.

pub mod events;
pub mod flux;
pub mod growth;
pub mod http;
pub mod kernel;
pub mod log;
pub mod reply;
pub mod run;
pub mod server;
pub mod strict;
pub mod strict_anthropic;
pub mod strict_chat;
pub mod strict_responses;
pub mod sys;
pub mod tls;
pub mod tools;
pub mod transcript;
pub mod user;
pub mod wait;
pub mod wire;

#[cfg(test)]
mod server_tests;
#[cfg(test)]
mod strict_tests;

pub use flux::{Flux, Run, ask, flux};
pub use log::Request;
pub use reply::{End, Reply};
pub use server::Server;
pub use transcript::Transcript;
pub use wire::{Api, for_each_wire};

/// Says a figure on stderr, past the capture of the test harness: the reader of a log wants it.
pub fn say(line: &str) {
    use std::io::Write as _;
    std::io::stderr().write_all(format!("{line}\n").as_bytes()).expect("stderr");
}

/// Whether `FLUX_TEST_LONG` asks for the long form of the tests that have one.
pub fn is_long() -> bool {
    std::env::var_os("FLUX_TEST_LONG").is_some()
}
