//! Floor 6: `flux transcript`: what can be done with transcripts once they are written.
//!
//! Everything reads line by line and holds what it must know of the runs that are open, and of those that have ended
//! some numbers, so the size of a file hardly matters. It knows the lines as [`crate::transcript`] gives them and
//! nothing of how a run is made.

mod export;
mod out;
mod report;
mod runs;
mod show;
mod source;
mod spool;
mod stats;
mod validate;
mod words;

use std::path::PathBuf;

use crate::base::exit::Exit;
use crate::base::failure::{Failure, Result};
use crate::base::tty::Terminals;
use crate::cli::transcript::{Files, Transcript, TranscriptCommand};
use crate::report::Messages;
use crate::transcript::JSON_SCHEMA;

use out::Out;
use source::Source;

/// Runs `flux transcript`.
#[must_use]
pub fn run(args: &Transcript, terminals: Terminals) -> Exit {
    let mut out = Out::new(terminals.stdout);
    let exit = match &args.command {
        TranscriptCommand::Show(args) => show::run(args, terminals, &mut out),
        TranscriptCommand::Validate(files) => validate::run(files, terminals, &mut out),
        TranscriptCommand::Schema => finish(out.text(JSON_SCHEMA)),
        TranscriptCommand::Export(args) => export::run(args, terminals, &mut out),
        TranscriptCommand::Stats(args) => stats::run(args, terminals, &mut out),
        TranscriptCommand::Report(files) => report::run(files, terminals, &mut out),
    };
    match (exit, out.flush()) {
        (Exit::Ok | Exit::Data | Exit::NoInput, Err(failure)) => finish(Err(failure)),
        (exit, _) => exit,
    }
}

/// Gives every file to `each`. What is wrong with a file is said, and the others are still worked on; the exit code
/// is that of the first failure. A stdout that cannot be written ends it all.
fn each_file(files: &Files, terminals: Terminals, mut each: impl FnMut(Source) -> Result<()>) -> Exit {
    let stdin = [PathBuf::from("-")];
    let names: &[PathBuf] = if files.files.is_empty() { &stdin } else { &files.files };
    let mut exit = Exit::Ok;
    for name in names {
        let done = finish(Source::open(name, terminals).and_then(&mut each));
        if !matches!(done, Exit::Ok | Exit::Data | Exit::NoInput) {
            return done;
        }
        if exit == Exit::Ok {
            exit = done;
        }
    }
    exit
}

/// Says what failed.
fn finish(result: Result<()>) -> Exit {
    match result {
        Ok(()) => Exit::Ok,
        Err(Failure { exit: Exit::Signal(number), .. }) => Exit::Signal(number),
        Err(failure) => {
            Messages::default().error(&failure);
            failure.exit
        }
    }
}
