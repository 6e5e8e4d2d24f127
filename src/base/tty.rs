//! The one door to the question whether a stream is a terminal.

use std::fs::File;

use atty::Stream;

/// Whether stdin, stdout and stderr are terminals.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Terminals {
    /// stdin is a terminal.
    pub stdin: bool,
    /// stdout is a terminal.
    pub stdout: bool,
    /// stderr is a terminal.
    pub stderr: bool,
}

/// Whether an open file is a terminal, `/dev/tty` or another.
#[must_use]
pub fn is_terminal(file: &File) -> bool {
    std::io::IsTerminal::is_terminal(file)
}

impl Terminals {
    /// Asks once.
    #[must_use]
    pub fn detect() -> Self {
        Self { stdin: atty::is(Stream::Stdin), stdout: atty::is(Stream::Stdout), stderr: atty::is(Stream::Stderr) }
    }
}
