//! `flux ask`, a one-shot Unix filter for language models.
//!
//! The modules stand on floors, and a file names only floors below its own (`tests/tidy.rs` holds the table):
//! arguments become settings, settings build the parts, the agent loops over model and tools, and everything
//! that happens goes to the transcript and the report.

pub mod base;
pub mod chat;
pub mod wire;
pub mod tools;
