//! The lines of a transcript, one after another, in the memory of the longest one. It knows of what reading can
//! meet: a torn tail, damage, files that are no transcripts. What follows from that is for its callers.

use std::fmt;
use std::io::{self, BufRead as _, BufReader, Read};

use super::SCHEMA;
use super::entry::{Entry, Header, Line};
use crate::base::text::prefix;

/// No line that flux writes is longer: the input of a run is far below it unless `--max-input` is raised.
const LONGEST_LINE: usize = 256 << 20;

/// Reads a transcript. Its first item is the header's line, or the error that says why there is none; after an
/// error that [ends](Fault::ends_reading) the file there are no further items.
#[derive(Debug)]
pub struct Reader<R: Read> {
    input: BufReader<R>,
    line: Vec<u8>,
    number: u64,
    longest: usize,
    ended: bool,
}

/// A line as it stands in the file.
#[derive(Debug, Clone, Copy)]
pub struct LineText<'a> {
    /// Its number, from 1.
    pub number: u64,
    /// The line without its line break.
    pub text: &'a str,
}

impl LineText<'_> {
    /// What the line says.
    ///
    /// # Errors
    /// It is not JSON, or not what a line of its kind is.
    pub fn parse(self) -> Result<Line, Fault> {
        Line::parse(self.text, self.number).map_err(|error| Fault { line: self.number, kind: malformed(&error) })
    }
}

/// Why a line cannot be read.
#[derive(Debug)]
pub struct Fault {
    /// The line's number, from 1.
    pub line: u64,
    /// What is wrong with it.
    pub kind: FaultKind,
}

/// What can be wrong with a line.
#[derive(Debug)]
pub enum FaultKind {
    /// The file has no line at all.
    Empty,
    /// The first line is no header of a transcript of flux.
    Foreign,
    /// The header is that of another version of the format, named here.
    Version(String),
    /// The system could not read it.
    Unreadable(io::Error),
    /// It is longer than any that flux writes.
    TooLong,
    /// It is not JSON, or not what a line of its kind is.
    Malformed(String),
    /// The last line has no end: the writer was killed, or is still writing.
    Torn,
}

impl Fault {
    /// Nothing can be read after this.
    #[must_use]
    pub fn ends_reading(&self) -> bool {
        !matches!(self.kind, FaultKind::TooLong | FaultKind::Malformed(_))
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            FaultKind::Empty => write!(f, "empty, not a transcript"),
            FaultKind::Foreign => write!(f, "not a transcript: the first line is no {SCHEMA} header"),
            FaultKind::Version(other) => {
                write!(f, "a transcript of another version, {other}: this flux reads {SCHEMA}")
            }
            FaultKind::Unreadable(error) => write!(f, "{error}"),
            FaultKind::TooLong => write!(f, "the line is longer than {} MiB", LONGEST_LINE >> 20),
            FaultKind::Malformed(why) => write!(f, "{why}"),
            FaultKind::Torn => write!(f, "the last line is torn"),
        }
    }
}

impl<R: Read> Reader<R> {
    /// Reads from `input`, which need not be buffered.
    pub fn new(input: R) -> Self {
        let input = BufReader::with_capacity(128 << 10, input);
        Self { input, line: Vec::new(), number: 0, longest: LONGEST_LINE, ended: false }
    }

    /// The next line as text, for those who want all of it. What it holds is not looked at, but the first is sure to
    /// be a header. A last line without its line break is given if it is complete.
    pub fn next_text(&mut self) -> Option<Result<LineText<'_>, Fault>> {
        if self.ended {
            return None;
        }
        let kind = match self.read_line() {
            Ok(Some(())) => self.judge().err(),
            Ok(None) if self.number > 0 => {
                self.ended = true;
                return None;
            }
            Ok(None) => Some(FaultKind::Empty),
            Err(kind) => Some(kind),
        };
        if let Some(kind) = kind {
            let fault = Fault { line: self.number, kind };
            self.ended = fault.ends_reading();
            return Some(Err(fault));
        }
        // Checked by `judge`, so this never falls back.
        let text = std::str::from_utf8(&self.line).unwrap_or_default();
        Some(Ok(LineText { number: self.number, text }))
    }

    /// Puts the next line into `self.line`, with its line break.
    fn read_line(&mut self) -> Result<Option<()>, FaultKind> {
        self.line.clear();
        if self.line.capacity() > 4 << 20 {
            // A huge line is rare: its memory is not kept for the rest.
            self.line.shrink_to(1 << 20);
        }
        let most = self.longest as u64 + 1;
        let length = (&mut self.input).take(most).read_until(b'\n', &mut self.line).map_err(FaultKind::Unreadable)?;
        if length == 0 {
            return Ok(None);
        }
        self.number += 1;
        if length as u64 == most && self.line.last() != Some(&b'\n') {
            self.line = Vec::new();
            return if self.input.skip_until(b'\n').map_err(FaultKind::Unreadable)? == 0 {
                Err(FaultKind::Torn)
            } else {
                Err(if self.number == 1 { FaultKind::Foreign } else { FaultKind::TooLong })
            };
        }
        Ok(Some(()))
    }

    /// Whether the line that was read is one, and the first a header.
    fn judge(&mut self) -> Result<(), FaultKind> {
        let whole = self.line.pop_if(|last| *last == b'\n').is_some();
        let text = std::str::from_utf8(&self.line);
        if self.number == 1 {
            return is_header(text.unwrap_or_default());
        }
        match text {
            Ok(text) if whole || serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok() => Ok(()),
            _ if !whole => Err(FaultKind::Torn),
            Ok(_) => Ok(()),
            Err(error) => Err(FaultKind::Malformed(format!("not UTF-8: {error}"))),
        }
    }
}

/// Whether this text is the header of a transcript that this version reads.
fn is_header(text: &str) -> Result<(), FaultKind> {
    match Line::parse(text, 1).map(|line| line.entry) {
        Ok(Entry::Session(Header { schema, .. })) if schema == SCHEMA => Ok(()),
        Ok(Entry::Session(Header { schema, .. })) if schema.starts_with("flux-transcript/") => {
            Err(FaultKind::Version(schema))
        }
        _ => Err(FaultKind::Foreign),
    }
}

impl<R: Read> Iterator for Reader<R> {
    type Item = Result<Line, Fault>;

    fn next(&mut self) -> Option<Self::Item> {
        Some(self.next_text()?.and_then(LineText::parse))
    }
}

/// Without the position, which counts from the beginning of a part of the line, and without the whole of a value.
fn malformed(error: &serde_json::Error) -> FaultKind {
    let text = error.to_string();
    let why = text.rsplit_once(" at line ").map_or(&*text, |(why, _)| why);
    FaultKind::Malformed(prefix(why, 200).to_owned())
}

#[cfg(test)]
#[path = "read_test.rs"]
mod tests;
