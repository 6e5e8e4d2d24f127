//! Lines on stderr. They are always safe for a terminal and never hold a secret; failing to write one is no error.

use std::fmt::Display;

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
    /// Secrets of this run.
    pub redactor: Redactor,
    /// A status line stands on the terminal.
    pub(crate) shown: bool,
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

    /// Why the run failed. A message of several lines (usage, a missing key) keeps them.
    pub fn error(&mut self, message: &str, code: u8) {
        self.clear_status();
        let mut lines = message.lines();
        let first = text::line(lines.next().unwrap_or_default()).into_owned();
        let label = if self.color { "\x1b[1;31mflux:\x1b[0m" } else { "flux:" };
        let mut out = format!("{label} {first} (exit {code})\n");
        for line in lines {
            out.push_str(&text::line(line));
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
        self.write(&format!("{}\n", text::line(text)));
    }

    fn write(&self, text: &str) {
        let _ = Stream::Err.write_all(self.redactor.clean(text).as_bytes());
    }
}
