//! `flux transcript export`: each run as one line of JSON that other programs read.
//!
//! Runs that stand mixed in a file come out one after another, in the order in which they ended.

mod atif;
mod chat;

use super::each_file;
use super::out::Out;
use super::runs::{self, Run, Start};
use super::spool::Spool;
use crate::base::exit::Exit;
use crate::base::failure::Result;
use crate::base::text;
use crate::base::tty::Terminals;
use crate::cli::transcript::{ExportArgs, ExportFormat};
use crate::transcript::Line;

use atif::Trajectory;
use chat::{Chat, Dialect};

/// Prints the runs.
pub(super) fn run(args: &ExportArgs, terminals: Terminals, out: &mut Out) -> Exit {
    let mut output = Output { format: args.to, out };
    each_file(&args.files, terminals, |source| runs::each::<Export, _>(source, &mut output))
}

/// Where the runs go, and how.
struct Output<'a> {
    format: ExportFormat,
    out: &'a mut Out,
}

/// A run on its way to its line.
enum Export {
    Chat(Chat),
    Atif(Box<Trajectory>),
}

impl Run<Output<'_>> for Export {
    fn begin(start: &Start<'_>, output: &mut Output<'_>) -> Self {
        match output.format {
            ExportFormat::Openai => Self::Chat(Chat::new(Dialect::Openai)),
            ExportFormat::Hf => Self::Chat(Chat::new(Dialect::Hf)),
            ExportFormat::Atif => Self::Atif(Box::new(Trajectory::new(start))),
        }
    }

    fn line(&mut self, line: &Line, _: &mut Output<'_>) -> Result<()> {
        match self {
            Self::Chat(chat) => chat.line(line),
            Self::Atif(trajectory) => trajectory.line(line),
        }
    }

    /// A run in which nothing was said has no line.
    fn end(self, Output { out, .. }: &mut Output<'_>) -> Result<()> {
        let spool = match self {
            Self::Chat(chat) => chat.end()?,
            Self::Atif(trajectory) => trajectory.end()?,
        };
        let Some(spool) = spool else { return Ok(()) };
        spool.pieces(|piece| if out.terminal { out.text(&text::json(piece)) } else { out.text(piece) })?;
        out.text("\n")
    }
}

/// The elements of a JSON array, written as they come.
#[derive(Debug, Default)]
struct Elements {
    spool: Spool,
    count: u64,
}

impl Elements {
    fn push(&mut self, element: &impl serde::Serialize) -> Result<()> {
        if self.count > 0 {
            self.spool.text(",")?;
        }
        self.count += 1;
        self.spool.json(element)
    }
}
