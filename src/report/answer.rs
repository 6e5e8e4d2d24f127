//! Text on stdout: the answer and nothing else, with exactly one line break at its end. At a terminal control
//! characters are shown, not obeyed; in a pipe the bytes are the model's own.

use signal_hook::consts::SIGPIPE;

use crate::base::exit::Exit;
use crate::base::failure::{Failure, Result};
use crate::base::secret::Redactor;
use crate::base::stdio::{self, Stream};
use crate::base::stop::Stopper;
use crate::base::text;

/// Writes text to stdout, whole or as it arrives.
#[derive(Debug)]
pub struct Answer {
    terminal: bool,
    stop: Option<Stopper>,
    redactor: Redactor,
    /// Something has been written.
    begun: bool,
    /// A turn has ended since: the next text begins a new paragraph.
    parted: bool,
    /// Line breaks that are written only if more text follows.
    held: usize,
    /// Bytes of the running turn's text that have been taken.
    taken: usize,
    /// Text that may be the beginning of a secret.
    pending: String,
}

impl Answer {
    /// For a stdout that is or is not a terminal.
    #[must_use]
    pub fn new(terminal: bool) -> Self {
        let (stop, redactor) = (None, Redactor::default());
        Self { terminal, stop, redactor, begun: false, parted: false, held: 0, taken: 0, pending: String::new() }
    }

    /// A reader that does not read must not hold up the end of the run.
    pub fn stop_with(&mut self, stop: Stopper) {
        self.stop = Some(stop);
    }

    /// Secrets that no text may hold.
    pub fn redact(&mut self, redactor: Redactor) {
        self.redactor = redactor;
    }

    /// Fails if nobody could read the answer, so that nothing is spent on it.
    ///
    /// # Errors
    /// stdout is closed, or its reader has gone.
    pub fn check() -> Result<()> {
        Stream::Out.check().map_err(|error| write_failure(&error))
    }

    /// Writes a line of JSON that is not an answer: the result object.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn json(&self, line: &str) -> Result<()> {
        let safe = if self.terminal { text::json(line) } else { line.into() };
        self.write_bytes(format!("{safe}\n").as_bytes())
    }

    /// Writes a piece of the running turn's text.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn piece(&mut self, piece: &str) -> Result<()> {
        self.taken += piece.len();
        self.pending.push_str(piece);
        let rest = self.pending.split_off(self.redactor.settled(&self.pending));
        let settled = std::mem::replace(&mut self.pending, rest);
        self.settle(&settled)
    }

    /// Ends a turn whose whole text is `text`: what has not been written of it follows.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn end_turn(&mut self, text: &str) -> Result<()> {
        if let Some(rest) = text.get(self.taken..) {
            self.piece(rest)?;
        }
        let pending = std::mem::take(&mut self.pending);
        self.settle(&pending)?;
        (self.taken, self.held) = (0, 0);
        self.parted = true;
        Ok(())
    }

    /// Ends the output with its line break.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn finish(&mut self) -> Result<()> {
        if self.begun { self.write("\n") } else { Ok(()) }
    }

    /// Writes text that no secret can run across.
    fn settle(&mut self, text: &str) -> Result<()> {
        let text = self.redactor.clean(text).into_owned();
        let body = text.trim_end_matches('\n');
        let mut out = String::new();
        if !body.is_empty() {
            if self.parted && self.begun {
                out.push_str("\n\n");
                self.held = 0;
            }
            self.parted = false;
            self.begun = true;
            out.extend(std::iter::repeat_n('\n', std::mem::take(&mut self.held)));
            out.push_str(body);
        }
        self.held += text.len() - body.len();
        self.write(&out)
    }

    fn write(&self, out: &str) -> Result<()> {
        let safe = if self.terminal { text::terminal(out) } else { out.into() };
        self.write_bytes(safe.as_bytes())
    }

    fn write_bytes(&self, bytes: &[u8]) -> Result<()> {
        let Some(stop) = &self.stop else {
            return Stream::Out.write_all(bytes).map_err(|error| write_failure(&error));
        };
        Stream::Out.write_until(bytes, stop).map_err(|error| match stop.stopped() {
            Some(why) if error.kind() == std::io::ErrorKind::Interrupted => why.into(),
            _ => write_failure(&error),
        })
    }
}

/// What it means that stdout cannot be written.
#[must_use]
pub fn write_failure(error: &std::io::Error) -> Failure {
    if stdio::reader_gone(error) {
        Failure::new(Exit::Signal(SIGPIPE), "stdout: nobody reads it")
    } else {
        Failure::new(Exit::Io, format!("stdout: {error}")).class("io")
    }
}
