//! The exit codes: one table for the code, `flux help exit-codes`, the man page and the tests. Codes never
//! change their meaning.

use signal_hook::consts::SIGPIPE;

use super::stop::Stop;

/// Why the program ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// The answer is complete and flushed.
    Ok,
    /// The verdict is no.
    No,
    /// Wrong use of the command line.
    Usage,
    /// The input cannot be used.
    Data,
    /// The input is missing.
    NoInput,
    /// The provider refuses this request for good.
    Unavailable,
    /// A fault of this program.
    Software,
    /// The operating system refused something.
    Os,
    /// An output file cannot be created.
    CannotCreate,
    /// Writing failed.
    Io,
    /// A temporary failure.
    Temporary,
    /// The other side does not speak the protocol.
    Protocol,
    /// Key, permission or quota.
    NoPermission,
    /// Configuration.
    Config,
    /// A limit ended the run.
    Limit,
    /// The model declined or answered nothing.
    Declined,
    /// The answer has not the demanded form.
    Form,
    /// The permissions of the run stopped it.
    Denied,
    /// The sandbox cannot be built.
    Sandbox,
    /// A deadline was reached.
    Timeout,
    /// A signal ended the run.
    Signal(i32),
}

/// A row of the table: code, meaning, whether to run again helps.
#[derive(Debug)]
pub struct Row {
    /// The code as documented (a range of signals has its own row).
    pub code: &'static str,
    /// What it means.
    pub meaning: &'static str,
    /// Whether running again helps.
    pub again: &'static str,
}

const fn row(code: &'static str, meaning: &'static str, again: &'static str) -> Row {
    Row { code, meaning, again }
}

/// Every exit code that users can meet.
pub static TABLE: &[Row] = &[
    row("0", "the answer is complete and flushed; --check: yes; or --fail-open let a failure pass", ""),
    row("1", "--check: no; nothing else, ever", "no"),
    row("2", "usage: the command line is wrong", "no"),
    row(
        "65",
        "input data: binary, wrong encoding, not a transcript, or larger than --max-input or the model's window",
        "no",
    ),
    row("66", "input is missing, empty or unreadable", "no"),
    row("69", "the provider refuses this request for good (400, 404, 422, unknown model)", "no"),
    row("70", "a bug in flux", "report it"),
    row("71", "the operating system: no descriptor, no thread, no working directory", "maybe"),
    row("73", "an output or transcript file cannot be created", "no"),
    row("74", "write error: full disk, closed stdout", "no"),
    row("75", "temporary failure: network, truncated or stalled reply, overload, rate limit, after the retries", "yes"),
    row("76", "protocol: TLS, redirect, malformed reply", "no"),
    row("77", "authentication, permission or quota", "no"),
    row("78", "configuration: no key, bad configuration file", "no"),
    row(
        "80",
        "a limit ended the run: turns, tool calls, tokens, cost, or the model was cut at its output limit or by a full window",
        "no",
    ),
    row("82", "the model declined, or answered nothing", "no"),
    row("83", "the answer has not the demanded form: --schema, --check, --choice, --extract", "maybe"),
    row("84", "stopped by permissions: --on-deny fail, or five denials in a row", "no"),
    row("85", "the sandbox cannot be built, so nothing was run", "no"),
    row("124", "--timeout or --stdin-timeout was reached", "yes"),
    row(
        "129, 130, 141, 143",
        "died of SIGHUP, SIGINT, SIGPIPE, SIGTERM after cleaning up; other signals end it at once, without that",
        "",
    ),
];

impl Exit {
    /// The number that the shell sees.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::No => 1,
            Self::Usage => 2,
            Self::Data => 65,
            Self::NoInput => 66,
            Self::Unavailable => 69,
            Self::Software => 70,
            Self::Os => 71,
            Self::CannotCreate => 73,
            Self::Io => 74,
            Self::Temporary => 75,
            Self::Protocol => 76,
            Self::NoPermission => 77,
            Self::Config => 78,
            Self::Limit => 80,
            Self::Declined => 82,
            Self::Form => 83,
            Self::Denied => 84,
            Self::Sandbox => 85,
            Self::Timeout => 124,
            Self::Signal(n) => 128u8.saturating_add(u8::try_from(n).unwrap_or(0)),
        }
    }

    /// Whether `--fail-open` lets it pass: a wrong command line and a signal are for whoever gave them.
    #[must_use]
    pub fn may_pass(self) -> bool {
        !matches!(self, Self::Ok | Self::No | Self::Usage | Self::Signal(_))
    }

    /// The word for it in the `result` line's `status`.
    #[must_use]
    pub fn status(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::No => "no",
            Self::Limit | Self::Timeout => "limit",
            Self::Declined => "declined",
            Self::Denied => "denied",
            Self::Signal(_) => "aborted",
            _ => "error",
        }
    }

    /// The table as text, one row a line, for `flux help exit-codes`.
    #[must_use]
    pub fn help() -> String {
        use std::fmt::Write as _;
        let mut text = String::from("code  meaning (does running again help?)\n");
        for Row { code, meaning, again } in TABLE {
            let again = if again.is_empty() { String::new() } else { format!(" ({again})") };
            let _ = writeln!(text, "{code:<5} {meaning}{again}");
        }
        text
    }
}

impl From<Stop> for Exit {
    fn from(stop: Stop) -> Self {
        match stop {
            Stop::Signal(n) => Self::Signal(n),
            Stop::Deadline => Self::Timeout,
            Stop::ReaderGone => Self::Signal(SIGPIPE),
        }
    }
}
