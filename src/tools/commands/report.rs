//! How a program ended and what it printed, as the result of a call: bounded, as text, and with exit code, signal,
//! timeout and "could not be started" told apart. Pure.

use std::fmt::Write as _;
use std::io;

use sha2::{Digest as _, Sha256};

use crate::base::text;
use crate::chat::ToolResult;
use crate::sandbox::{Capture, End, Finished};
use crate::tools::clip::Clip;

/// A NUL among so many bytes means that there is no text.
const PROBE: usize = 8 << 10;

/// What shells say of a program that is not there, and of one that cannot be executed.
const NOT_FOUND: i32 = 127;
const NOT_EXECUTABLE: i32 = 126;

const HINT: &str = "to see it, run something that prints less";

/// A program that is nowhere.
pub(super) fn not_found(name: &str) -> ToolResult {
    let message = format!("there is no program `{name}` on this system (exit 127)");
    with_code(ToolResult::error("command_not_found", message), NOT_FOUND)
}

/// A file that is no program.
pub(super) fn not_executable(name: &str, why: &str) -> ToolResult {
    with_code(ToolResult::error("not_executable", format!("`{name}` {why} (exit 126)")), NOT_EXECUTABLE)
}

fn with_code(mut result: ToolResult, code: i32) -> ToolResult {
    result.detail.exit_code = Some(code);
    result
}

/// The result for a program that was called `name` and given `seconds`. `cap` bytes are kept at the head and at the
/// tail.
pub(super) fn result(name: &str, seconds: u64, finished: &Finished, cap: usize) -> ToolResult {
    let printed = Printed::new(finished, cap);
    let failed = |code: &'static str, what: &str| printed.add_to(ToolResult::error(code, what));
    match &finished.end {
        End::Exited(0) => printed.add_to(with_code(ToolResult::ok("exit 0"), 0)),
        End::Exited(code) => with_code(failed("exit_status", &format!("exit {code}")), *code),
        End::Killed(signal) => {
            let what = format!("killed by signal {signal}{}", signal_name(*signal));
            with_code(failed("signal", &what), 128 + signal)
        }
        End::TimedOut => {
            let what =
                format!("still running after {seconds} s, and ended; a longer `timeout` can be given, up to 600");
            failed("timeout", &what)
        }
        End::TooMuchOutput => failed("too_much_output", "it printed without end, and was ended"),
        End::Stopped => failed("cancelled", "the run was stopped during this call"),
        End::NotStarted(number) => not_started(name, &io::Error::from_raw_os_error(*number)),
        End::Broken(why) => ToolResult::error("sandbox", format!("the program could not be run safely: {why}")),
    }
}

fn not_started(name: &str, error: &io::Error) -> ToolResult {
    match error.kind() {
        io::ErrorKind::NotFound => not_found(name),
        io::ErrorKind::PermissionDenied => not_executable(name, "may not be executed"),
        io::ErrorKind::ExecutableFileBusy => not_executable(name, "is being written"),
        io::ErrorKind::ArgumentListTooLong => {
            ToolResult::error("too_long", format!("the arguments of `{name}` are longer than the system takes"))
        }
        _ => not_executable(name, &format!("cannot be executed: {error}")),
    }
}

/// The name of a signal that ends programs.
fn signal_name(signal: i32) -> &'static str {
    match signal {
        1 => " (SIGHUP)",
        2 => " (SIGINT)",
        3 => " (SIGQUIT)",
        4 => " (SIGILL)",
        6 => " (SIGABRT)",
        7 => " (SIGBUS)",
        8 => " (SIGFPE)",
        9 => " (SIGKILL)",
        11 => " (SIGSEGV)",
        13 => " (SIGPIPE)",
        14 => " (SIGALRM)",
        15 => " (SIGTERM)",
        24 => " (SIGXCPU)",
        25 => " (SIGXFSZ)",
        31 => " (SIGSYS)",
        _ => "",
    }
}

/// What a program printed, as text within bounds.
struct Printed {
    text: String,
    bytes: u64,
    is_cut: bool,
}

impl Printed {
    fn new(finished: &Finished, cap: usize) -> Self {
        let streams = [("stdout", &finished.stdout), ("stderr", &finished.stderr)];
        let [out, err] = streams.map(|(_, capture)| capture.head.len() + capture.tail.len());
        let all = 2 * cap;
        // Each stream gets half, and what the other one leaves.
        let rooms = if out + err <= all {
            [all, all]
        } else {
            let for_out = out.min(all - err.min(all / 2));
            [for_out, all - for_out]
        };
        let mut printed = Self { text: String::new(), bytes: 0, is_cut: false };
        for ((name, capture), room) in streams.into_iter().zip(rooms) {
            printed.add(name, capture, room);
        }
        printed
    }

    fn add(&mut self, name: &str, capture: &Capture, room: usize) {
        let size = size(capture);
        self.bytes += size;
        if size == 0 {
            return;
        }
        if capture.head.iter().take(PROBE).any(|byte| *byte == 0) {
            // Writing into a String cannot fail.
            let _ = write!(self.text, "\n{name}: binary, {size} bytes{}", hash(capture));
            self.is_cut = true;
            return;
        }
        let (shown, is_cut) = bounded(capture, room);
        let _ = write!(self.text, "\n{name}:\n{}", shown.trim_end_matches('\n'));
        if capture.head.utf8_chunks().chain(capture.tail.utf8_chunks()).any(|chunk| !chunk.invalid().is_empty())
            && shown.contains('\u{fffd}')
        {
            self.text.push_str("\n[what is no UTF-8 in it is shown as \u{fffd}]");
        }
        self.is_cut |= is_cut;
    }

    /// Adds it to a result that says how the program ended.
    fn add_to(&self, mut result: ToolResult) -> ToolResult {
        result.text.push_str(if self.text.is_empty() { ", no output" } else { &self.text });
        result.text.push('\n');
        result.detail.bytes = self.bytes;
        result.detail.truncated = self.is_cut;
        result
    }
}

/// How much was printed.
fn size(capture: &Capture) -> u64 {
    (capture.head.len() + capture.tail.len()) as u64 + capture.omitted
}

fn hash(capture: &Capture) -> String {
    if capture.omitted > 0 {
        return String::new();
    }
    let digest = Sha256::new().chain_update(&capture.head).chain_update(&capture.tail).finalize();
    format!(", sha256 {}", text::hex(&digest))
}

/// The text of a stream in this room, and whether something is left out.
pub(in crate::tools) fn bounded(capture: &Capture, room: usize) -> (String, bool) {
    let mut clip = Clip::new(room.div_ceil(2));
    if capture.omitted == 0 {
        clip.push(&String::from_utf8_lossy(&[capture.head.as_slice(), &capture.tail].concat()));
    } else {
        clip.push(&String::from_utf8_lossy(whole_end(&capture.head)));
        clip.skip(capture.omitted);
        clip.push(&String::from_utf8_lossy(whole_start(&capture.tail)));
    }
    let clipped = clip.finish(HINT);
    (clipped.text, clipped.detail.truncated)
}

/// Without the beginning of a character whose rest is lost.
fn whole_end(bytes: &[u8]) -> &[u8] {
    match std::str::from_utf8(bytes) {
        Err(error) if error.error_len().is_none() => &bytes[..error.valid_up_to()],
        _ => bytes,
    }
}

/// Without the end of a character whose beginning is lost.
fn whole_start(bytes: &[u8]) -> &[u8] {
    let rest = bytes.iter().take(3).take_while(|byte| (0x80..0xc0).contains(*byte)).count();
    &bytes[rest..]
}

#[cfg(test)]
mod tests {
    use rustix::io::Errno;

    use super::*;

    fn capture(head: &[u8], tail: &[u8], omitted: u64) -> Capture {
        Capture { head: head.to_vec(), tail: tail.to_vec(), omitted }
    }

    fn shown(end: End, out: Capture, err: Capture) -> ToolResult {
        result("prog", 120, &Finished { end, stdout: out, stderr: err }, 100)
    }

    fn plain(end: End) -> ToolResult {
        shown(end, capture(b"out\n", b"", 0), Capture::default())
    }

    #[test]
    fn every_end_is_told_apart() {
        let error = |errno: Errno| End::NotStarted(errno.raw_os_error());
        let cases = [
            (plain(End::Exited(0)), None, Some(0), "exit 0\nstdout:\nout\n"),
            (plain(End::Exited(3)), Some("exit_status"), Some(3), "exit_status: exit 3\nstdout:\nout\n"),
            (
                plain(End::Killed(11)),
                Some("signal"),
                Some(139),
                "signal: killed by signal 11 (SIGSEGV)\nstdout:\nout\n",
            ),
            (plain(End::TimedOut), Some("timeout"), None, "timeout: still running after 120 s"),
            (plain(End::TooMuchOutput), Some("too_much_output"), None, "too_much_output: it printed"),
            (plain(End::Stopped), Some("cancelled"), None, "cancelled: "),
            (plain(End::Broken("no".into())), Some("sandbox"), None, "sandbox: "),
            (plain(error(Errno::NOENT)), Some("command_not_found"), Some(127), "command_not_found: "),
            (plain(error(Errno::ACCESS)), Some("not_executable"), Some(126), "not_executable: `prog`"),
            (plain(error(Errno::TXTBSY)), Some("not_executable"), Some(126), "not_executable: "),
        ];
        for (result, code, exit, text) in cases {
            assert_eq!((result.detail.code, result.detail.exit_code), (code, exit), "{}", result.text);
            assert!(result.text.starts_with(text) && result.is_error == code.is_some(), "{}", result.text);
        }
    }

    #[test]
    fn both_streams_are_shown_and_what_is_no_text_is_not() {
        let both = shown(End::Exited(0), capture(b"a\n\n", b"", 0), capture(b"b", b"", 0));
        assert_eq!(both.text, "exit 0\nstdout:\na\nstderr:\nb\n");
        assert_eq!(
            shown(End::Exited(1), Capture::default(), Capture::default()).text,
            "exit_status: exit 1, no output\n"
        );
        let binary = shown(End::Exited(0), capture(b"\x7fELF\0", b"", 0), Capture::default());
        assert!(binary.text.starts_with("exit 0\nstdout: binary, 5 bytes, sha256 ") && binary.detail.truncated);
        let broken = shown(End::Exited(0), capture(b"a\xffb\n", b"", 0), Capture::default());
        assert_eq!(broken.text, "exit 0\nstdout:\na\u{fffd}b\n[what is no UTF-8 in it is shown as \u{fffd}]\n");
    }

    #[test]
    fn much_output_is_bounded_and_split_between_the_streams() {
        let long = "é".repeat(100);
        let (head, tail) = (&long.as_bytes()[..99], &long.as_bytes()[99..198]);
        let result = shown(End::Exited(0), capture(head, tail, 5000), capture(b"short\n", b"", 0));
        assert!(result.text.len() < 400, "{}", result.text);
        assert!(
            result.text.contains("[5004 bytes left out here; ") && result.text.ends_with("short\n"),
            "{}",
            result.text
        );
        assert!(!result.text.contains('\u{fffd}') && result.detail.truncated && result.detail.bytes == 5204);
        let both = || capture("line of text\n".repeat(40).as_bytes(), b"", 0);
        let result = shown(End::Exited(0), both(), both());
        assert!(result.text.len() < 450 && result.text.matches("left out here").count() == 2, "{}", result.text);
    }
}
