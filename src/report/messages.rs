//! Lines on stderr. They are always safe for a terminal and never hold a secret; failing to write one is no error.

use std::fmt::Display;

use crate::base::failure::Failure;
use crate::base::secret::Redactor;
use crate::base::stdio::Stream;
use crate::base::text;

/// What goes to stderr.
#[derive(Debug, Clone, Default)]
pub struct Messages {
    /// Notes are wanted (not with `-q`).
    pub notes: bool,
    /// A line per request and tool call is wanted.
    pub verbose: bool,
    /// A status line is wanted: stdout and stderr are terminals.
    pub status: bool,
    /// Colour is wanted.
    pub color: bool,
    /// stderr is a terminal.
    pub at_terminal: bool,
    /// `--fail-open`: a failure that may pass is said to do so.
    pub fail_open: bool,
    /// Secrets of this run.
    pub redactor: Redactor,
    /// A status line stands on the terminal.
    pub(crate) shown: bool,
    /// A part of the answer stands on the terminal's line.
    pub(crate) midline: bool,
}

impl Messages {
    /// A note that users may want to know.
    pub fn note(&mut self, message: impl Display) {
        if self.notes {
            self.line(&format!("flux: {message}"));
        }
    }

    /// A line of `-v`.
    pub fn verbose(&mut self, message: impl Display) {
        if self.verbose {
            self.line(&format!("flux: {message}"));
        }
    }

    /// A line of `--debug`, which the caller has checked.
    pub fn debug(&mut self, message: impl Display) {
        self.line(&format!("[DEBUG] {message}"));
    }

    /// Why the run failed: one line, and where there is advice its lines.
    pub fn error(&mut self, failure: &Failure) {
        self.error_about("", failure);
    }

    /// The same, beginning with the name of the file that the run is about.
    pub fn error_about(&mut self, name: &str, failure: &Failure) {
        self.clear_status();
        let label = if self.color { "\x1b[1;31mflux:\x1b[0m" } else { "flux:" };
        let mut message = failure.to_string();
        if !name.is_empty() && !message.starts_with(name) {
            message = format!("{name}: {message}");
        }
        let passes = self.fail_open && failure.exit.may_pass();
        let how = if passes { ", let pass by --fail-open" } else { "" };
        let mut out = format!("{label} {} (exit {}{how})\n", text::line(&message), failure.exit.code());
        for line in failure.advice.lines().filter(|_| !passes) {
            out.push_str(line);
            out.push('\n');
        }
        self.write(&out);
    }

    /// Replaces the status line.
    pub fn status(&mut self, message: impl Display) {
        if self.status {
            self.shown = true;
            let message = message.to_string();
            let line = text::line(&message);
            self.write(&format!("\r\x1b[K{}", text::prefix(&line, 78)));
        }
    }

    /// Removes the status line before something else is written.
    pub fn clear_status(&mut self) {
        if std::mem::take(&mut self.shown) {
            self.write("\r\x1b[K");
        }
    }

    fn line(&mut self, text: &str) {
        self.clear_status();
        let before = if std::mem::take(&mut self.midline) { "\n" } else { "" };
        self.write(&format!("{before}{}\n", text::line(text)));
    }

    fn write(&self, text: &str) {
        let _ = Stream::Err.write_all(self.redactor.clean(text).as_bytes());
    }
}
