//! The lines of a file sorted by their runs. Runs that write to one file at the same time stand mixed in it, so a
//! run is what shares a run id, from its first line to its `result`.

use super::source::Source;
use crate::base::failure::Result;
use crate::transcript::entry::Header;
use crate::transcript::{Entry, Line};

/// More runs than this do not write to one file at the same time. Of more without a `result`, the one that has been
/// silent the longest has crashed.
const MOST_OPEN: usize = 64;

/// How a run begins.
#[derive(Debug)]
pub(super) struct Start<'a> {
    /// The file's name.
    pub file: &'a str,
    /// The file's id.
    pub session: &'a str,
    /// The run's id.
    pub run: &'a str,
    /// The header, for the run that wrote it.
    pub header: Option<&'a Header>,
}

/// What becomes of the lines of one run; `S` is what all runs share, where they go.
pub(super) trait Run<S>: Sized {
    /// A run begins.
    fn begin(start: &Start<'_>, shared: &mut S) -> Self;

    /// Takes a line of the run; the last is its `result`, unless it crashed.
    fn line(&mut self, line: &Line, shared: &mut S) -> Result<()>;

    /// The run has ended.
    fn end(self, shared: &mut S) -> Result<()>;
}

struct Open<R> {
    id: String,
    last_line: u64,
    run: R,
}

/// Gives the lines of a file to their runs. Those without a `result` end with the file.
pub(super) fn each<R: Run<S>, S>(source: Source, shared: &mut S) -> Result<()> {
    let file = source.name.clone();
    let mut open: Vec<Open<R>> = Vec::new();
    let mut session = String::new();
    let read = source.lines(|line| {
        let header = if let Entry::Session(header) = &line.entry { Some(header) } else { None };
        if header.is_some() {
            session.clone_from(&line.place.id);
        }
        let at = match open.iter().position(|open| open.id == line.place.run) {
            Some(at) => at,
            // A run begins with its context, or with a line that has none before it, if it failed before that.
            // Others are strays of a run that has ended.
            None if line.place.parent.is_some() && !matches!(line.entry, Entry::Context(_)) => return Ok(()),
            None => {
                make_room(&mut open, shared)?;
                let start = Start { file: &file, session: &session, run: &line.place.run, header };
                let run = R::begin(&start, shared);
                open.push(Open { id: line.place.run.clone(), last_line: line.number, run });
                open.len() - 1
            }
        };
        open[at].last_line = line.number;
        open[at].run.line(&line, shared)?;
        if matches!(line.entry, Entry::Result(_)) { open.remove(at).run.end(shared) } else { Ok(()) }
    });
    for crashed in open {
        crashed.run.end(shared)?;
    }
    read
}

/// Ends the run that has been silent the longest if there are too many.
fn make_room<R: Run<S>, S>(open: &mut Vec<Open<R>>, shared: &mut S) -> Result<()> {
    if open.len() < MOST_OPEN {
        return Ok(());
    }
    match (0..open.len()).min_by_key(|at| open[*at].last_line) {
        Some(oldest) => open.remove(oldest).run.end(shared),
        None => Ok(()),
    }
}
