//! `--fail-open` and `FLUX_DISABLE` before there is a run: a hook must block nothing, whatever is wrong.

use clap::{ArgMatches, FromArgMatches as _};

use crate::base::exit::Exit;
use crate::base::failure::Failure;
use crate::base::stop::Stopper;
use crate::base::tty::Terminals;
use crate::cli::args::{Ask, Format};
use crate::cli::forms;
use crate::cli::settings::{OutputSettings, Verbosity};
use crate::report::{self, Messages};
use crate::standing::Standing;
use crate::transcript::{Recorder, Target};

/// Ends a run whose flags could not be settled. Of them only those that were typed are known. A result object is
/// owed all the same, but not for wrong usage.
#[must_use]
pub fn unsettled(matches: &ArgMatches, failure: &Failure, terminals: Terminals) -> Exit {
    let typed = Ask::from_arg_matches(matches).unwrap_or_default();
    if forms::is_disabled(&typed) && failure.exit != Exit::Usage {
        say(typed.output.quiet);
        return Exit::Ok;
    }
    if failure.exit != Exit::Usage {
        owed(&typed, failure, terminals);
    }
    let fail_open = forms::fails_open(&typed);
    let name = forms::target(&typed).map(|file| file.display().to_string()).unwrap_or_default();
    Messages { fail_open, ..Messages::default() }.error_about(&name, failure);
    if fail_open && failure.exit.may_pass() { Exit::Ok } else { failure.exit }
}

/// Writes the result object, or a transcript that holds nothing else. A stdout that cannot be written changes nothing:
/// this run has failed already.
fn owed(typed: &Ask, failure: &Failure, terminals: Terminals) {
    let output = &typed.output;
    let result = || Standing::default().result(None, Some(failure));
    if output.json || output.format == Some(Format::Json) {
        let _ = report::Answer::new(terminals.stdout).json(&Recorder::new(Vec::new()).result_line(&result()));
    } else if (output.jsonl || output.format == Some(Format::Jsonl))
        && let Ok(stop) = Stopper::new(None)
    {
        let recorder = Recorder::new(vec![Target::stdout(terminals.stdout, &stop)]);
        let _ = recorder.result(result(), |_| result());
    }
}

/// Ends a run that `FLUX_DISABLE` forbids.
#[must_use]
pub fn disabled(output: &OutputSettings) -> Exit {
    say(output.verbosity == Verbosity::Quiet);
    Exit::Ok
}

fn say(quiet: bool) {
    Messages { notes: !quiet, ..Messages::default() }.note("FLUX_DISABLE is set: nothing done");
}
