//! `flux ask`, a one-shot Unix filter for language models.
//!
//! The modules stand on floors, and a file names only floors below its own (`tests/tidy.rs` holds the table):
//! arguments become settings, settings build the parts, the agent loops over model and tools, and everything
//! that happens goes to the transcript and the report.

// Floor 0
pub mod base;
// Floor 1
pub mod chat;
pub mod sandbox;
// Floor 2
pub mod form;
pub mod wire;
// Floor 3
pub mod client;
pub mod report;
pub mod tools;
pub mod transcript;
// Floor 4
pub mod agent;
// Floor 5
pub mod cli;
// Above them: the command itself
pub mod ask;
pub mod context;
pub mod dry_run;
pub mod fail_open;
pub mod help;
pub mod lock;
pub mod prompt;
pub mod review;
pub mod sinks;
pub mod standing;
pub mod toolbox;

use std::ffi::OsString;

use clap::error::ErrorKind;

use base::exit::Exit;
use base::failure::Failure;
use base::tty::Terminals;
use cli::args::{Cli, Command};

/// Runs the command line of this process and ends the process with its exit code, or by the signal that ended it.
pub fn main() {
    if sandbox::is_spawner(std::env::args_os().next().as_deref()) {
        return sandbox::serve();
    }
    // A panic is a bug; what the user sees of it is one line, made where the run ends.
    std::panic::set_hook(Box::new(|_| {}));
    let words: Vec<OsString> = std::env::args_os().skip(1).collect();
    let exit = std::panic::catch_unwind(|| run(&words)).unwrap_or_else(|panic| ask::bug(panic.as_ref()));
    match exit {
        Exit::Signal(number) => base::signals::die(number),
        exit => std::process::exit(i32::from(exit.code())),
    }
}

fn run(words: &[OsString]) -> Exit {
    if let [word] = words
        && (word == "--version" || word == "-V")
    {
        return help::print(help::VERSION);
    }
    let full = std::iter::once(OsString::from("flux")).chain(words.iter().cloned());
    let matches = match <Cli as clap::CommandFactory>::command().try_get_matches_from(full) {
        Ok(matches) => matches,
        Err(error) => return complain(&error, words),
    };
    if let Some(("ask", ask)) = matches.subcommand() {
        return ask::run(ask, &words[1..], Terminals::detect());
    }
    match <Cli as clap::FromArgMatches>::from_arg_matches(&matches).map(|cli| cli.command) {
        Ok(Command::Transcript(transcript)) => review::run(&transcript, Terminals::detect()),
        Ok(Command::Models) => help::print(&help::models()),
        Ok(Command::Completions { shell }) => help::print(help::completions(shell)),
        Ok(Command::Help { topic }) => help::topic(topic.as_deref()),
        Ok(Command::Ask(_)) => Exit::Software,
        Err(error) => complain(&error, words),
    }
}

/// Says what is wrong with the command line, or prints the help that was asked for.
fn complain(error: &clap::Error, words: &[OsString]) -> Exit {
    let rendered = error.render().to_string();
    if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
        return help::print(&rendered);
    }
    let mut message = cli::config::first_line(error);
    if matches!(error.kind(), ErrorKind::InvalidSubcommand | ErrorKind::UnknownArgument)
        && let Some(word) = words.first().and_then(|word| word.to_str())
        && cli::command().find_subcommand(word).is_none()
        && !word.starts_with('-')
    {
        let prompt = words.iter().map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ");
        message = format!("'{word}' is not a command: did you mean flux ask '{}'?", prompt.replace('\'', "'\\''"));
    } else if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        "no command: flux ask 'WHAT TO DO', or flux --help".clone_into(&mut message);
    }
    report::Messages::default().error(&Failure::new(Exit::Usage, message));
    Exit::Usage
}
