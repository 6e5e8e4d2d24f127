//! `flux transcript stats`: what many runs did, cost and took, added up.

mod table;
mod totals;

use super::out::Out;
use super::{each_file, finish, runs};
use crate::base::exit::Exit;
use crate::base::failure::{OrFail as _, Result};
use crate::base::tty::Terminals;
use crate::cli::transcript::StatsArgs;

use totals::{Tally, Totals};

/// Adds up the transcripts and prints the sums. Files that cannot be read are said and left out.
pub(super) fn run(args: &StatsArgs, terminals: Terminals, out: &mut Out) -> Exit {
    let mut totals = Totals::default();
    let exit = each_file(&args.files, terminals, |source| {
        runs::each::<Tally, _>(source, &mut totals)?;
        totals.files += 1;
        Ok(())
    });
    if !matches!(exit, Exit::Ok | Exit::Data | Exit::NoInput) || totals.runs.total == 0 && exit != Exit::Ok {
        return exit;
    }
    let printed = if args.json { json(&totals, out) } else { out.text(&table::render(&totals)) };
    match finish(printed) {
        Exit::Ok => exit,
        failed => failed,
    }
}

fn json(totals: &Totals, out: &mut Out) -> Result<()> {
    out.json(&serde_json::to_string(totals).or_fail(Exit::Software, || "the sums as JSON")?)
}
