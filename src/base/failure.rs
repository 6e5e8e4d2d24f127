//! The one error type: an exit code and a chain of reasons. What it prints is `WHAT: WHY`, outermost first.

use std::fmt;

use super::exit::Exit;
use super::stop::Stop;

/// A failure that ends the run.
#[derive(Debug)]
pub struct Failure {
    /// The exit code.
    pub exit: Exit,
    /// What failed and why.
    pub reason: anyhow::Error,
    /// Further lines for people, below the first.
    pub advice: &'static str,
    /// The kind of failure for the transcript, where it has a finer name than the exit code.
    pub class: Option<&'static str>,
}

/// A result whose error is a [`Failure`].
pub type Result<T, E = Failure> = std::result::Result<T, E>;

impl Failure {
    /// A failure with its message.
    #[must_use]
    pub fn new(exit: Exit, message: impl fmt::Display + fmt::Debug + Send + Sync + 'static) -> Self {
        Self { exit, reason: anyhow::Error::msg(message), advice: "", class: None }
    }

    /// Names the kind of failure for the transcript.
    #[must_use]
    pub fn class(mut self, class: &'static str) -> Self {
        self.class = Some(class);
        self
    }

    /// Adds lines for people, below the first.
    #[must_use]
    pub fn advice(mut self, lines: &'static str) -> Self {
        self.advice = lines;
        self
    }

    /// Says what was being done.
    #[must_use]
    pub fn context(mut self, what: impl fmt::Display + Send + Sync + 'static) -> Self {
        self.reason = self.reason.context(what);
        self
    }
}

impl From<Stop> for Failure {
    fn from(stop: Stop) -> Self {
        match stop {
            Stop::Deadline => Self::new(Exit::Timeout, "the time is up: raise --timeout").class("timeout"),
            Stop::ReaderGone => Self::new(Exit::from(stop), "stdout: nobody reads it"),
            Stop::Signal(number) => Self::new(Exit::from(stop), format!("signal {number}")).class("signal"),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#}", self.reason)
    }
}

/// Gives any error its exit code and says what was being done.
pub trait OrFail<T> {
    /// On error: fail with `exit`, saying `what` and then the error's own words.
    ///
    /// # Errors
    /// The error, as a [`Failure`].
    fn or_fail<W: fmt::Display + Send + Sync + 'static>(self, exit: Exit, what: impl FnOnce() -> W) -> Result<T>;
}

impl<T, E: Into<anyhow::Error>> OrFail<T> for std::result::Result<T, E> {
    fn or_fail<W: fmt::Display + Send + Sync + 'static>(self, exit: Exit, what: impl FnOnce() -> W) -> Result<T> {
        self.map_err(|error| Failure { exit, reason: error.into().context(what()), advice: "", class: None })
    }
}
