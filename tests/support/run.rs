//! What came of a run, and the expectations that tests hold against it.

use std::fmt::Write;
use std::time::Duration;

use super::flux::Flux;
use super::transcript::Transcript;
use super::wire::APIS;

/// A finished run.
#[must_use]
#[derive(Debug)]
pub struct Run {
    /// The exit code, unless a signal ended it.
    pub code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    pub stdout: Vec<u8>,
    pub stderr: Vec<u8>,
    pub elapsed: Duration,
    pub flux: Flux,
}

impl Run {
    /// What no run may do, whatever a test is about: show a key, panic, leave a temporary file.
    #[track_caller]
    pub(super) fn cleanly(self) -> Run {
        let shown = self.out() + &self.err();
        let keys = APIS.iter().any(|api| shown.contains(api.key()));
        let debris = self.flux.files().iter().any(|name| name.starts_with(".flux-") || name.starts_with(".tmp"));
        // Without memory Rust's own start may fail before the program's first line.
        let before_main = self.err().contains("initialization or cleanup bug");
        let panicked = self.err().contains("panicked at") && !before_main;
        self.check(!keys, "a key was shown").check(!panicked, "a panic").check(!debris, "a temporary file was left")
    }

    /// stdout as text.
    pub fn out(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// stderr as text.
    pub fn err(&self) -> String {
        String::from_utf8_lossy(&self.stderr).into_owned()
    }

    /// Everything that is known, for people.
    pub fn dump(&self) -> String {
        let mut text = String::new();
        let _ = writeln!(text, "exit code {:?}, signal {:?}, after {:?}", self.code, self.signal, self.elapsed);
        let _ = writeln!(text, "stdout ({} bytes):\n{}", self.stdout.len(), cut(&self.out()));
        let _ = writeln!(text, "stderr ({} bytes):\n{}", self.stderr.len(), cut(&self.err()));
        text += &self.flux.describe();
        text
    }

    /// Fails with a dump unless `holds`.
    #[track_caller]
    pub fn check(self, holds: bool, what: &str) -> Run {
        assert!(holds, "{what}\n{}", self.dump());
        self
    }

    /// Expects this exit code.
    #[track_caller]
    pub fn code(self, code: i32) -> Run {
        let holds = self.code == Some(code);
        self.check(holds, &format!("exit code {code} was expected"))
    }

    /// Expects death by this signal.
    #[track_caller]
    pub fn signal(self, signal: i32) -> Run {
        let holds = self.signal == Some(signal);
        self.check(holds, &format!("death by signal {signal} was expected"))
    }

    /// Expects exactly this on stdout.
    #[track_caller]
    pub fn stdout(self, text: impl AsRef<[u8]>) -> Run {
        let expected = text.as_ref();
        let holds = self.stdout == expected;
        self.check(holds, &format!("this was expected on stdout:\n{}", cut(&String::from_utf8_lossy(expected))))
    }

    /// Expects exactly this on stderr.
    #[track_caller]
    pub fn stderr(self, text: &str) -> Run {
        let holds = self.err() == text;
        self.check(holds, &format!("this was expected on stderr:\n{text}"))
    }

    /// Expects this somewhere on stderr.
    #[track_caller]
    pub fn stderr_has(self, text: &str) -> Run {
        let holds = self.err().contains(text);
        self.check(holds, &format!("this was expected somewhere on stderr:\n{text}"))
    }

    /// Expects that this is nowhere on stderr.
    #[track_caller]
    pub fn stderr_lacks(self, text: &str) -> Run {
        let holds = !self.err().contains(text);
        self.check(holds, &format!("this was not expected on stderr:\n{text}"))
    }

    /// Expects a failure as the contract words it: nothing on stdout, at most `lines` lines on stderr, the first
    /// of them `flux: …` and the code at their end.
    #[track_caller]
    pub fn failure(self, code: i32, lines: usize) -> Run {
        let err = self.err();
        let count = err.lines().count();
        let worded = err.starts_with("flux: ") && err.contains(&format!("(exit {code})")) && err.ends_with('\n');
        self.code(code)
            .stdout("")
            .check((1..=lines).contains(&count), &format!("1 to {lines} lines were expected on stderr"))
            .check(worded, &format!("stderr should be: flux: WHAT: WHY (exit {code})"))
    }

    /// The transcript that [`Flux::transcript`] asked for.
    #[track_caller]
    pub fn transcript(&self) -> Transcript {
        Transcript::read(&self.flux.path("transcript.jsonl")).unwrap_or_else(|e| panic!("{e}\n{}", self.dump()))
    }

    /// The content of a file in the working directory.
    #[track_caller]
    pub fn file(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.flux.here(name)).unwrap_or_else(|e| panic!("{name}: {e}\n{}", self.dump()))
    }
}

fn cut(text: &str) -> String {
    let end = text.char_indices().nth(4000).map_or(text.len(), |(at, _)| at);
    if end < text.len() { format!("{}… ({} bytes)", &text[..end], text.len()) } else { text.to_owned() }
}
