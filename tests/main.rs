//! All black-box tests of the binary, in one program: they know the command line, the wire and the transcript,
//! and nothing of the code.
//!
//! The binary is the one that cargo has just built, or the one that `FLUX_TEST_BINARY` names. With
//! `FLUX_TEST_REQUESTS=FILE` every request that a strict server saw is appended to FILE, for an outside checker.

#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::format_collect,
    clippy::format_push_string,
    clippy::needless_for_each,
    clippy::print_stderr,
    clippy::print_stdout,
    missing_docs,
    unreachable_pub,
    reason = "these rules keep the product from panicking, waiting and copying text; tests may do so"
)]

mod config;
mod context;
mod debugging;
mod edits;
mod exit_codes;
mod faults;
mod forms;
mod generated;
mod input;
mod loop_turns;
mod manual;
mod network;
mod output;
mod programs;
mod real_model;
mod recipes;
mod regressions;
mod sandbox;
mod scenario_checks;
mod scenarios;
mod sessions;
mod support;
mod tidy;
mod transcripts;
