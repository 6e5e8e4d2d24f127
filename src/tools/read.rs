//! `read_files`: text with line numbers, in bounded memory. It knows nothing of where files are or may be.

use std::borrow::Cow;
use std::cell::RefCell;
use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use serde::Deserialize;
use serde_json::value::RawValue;
use sha2::{Digest as _, Sha256};

use super::clip::Clip;
use super::files::{EDIT_LIMIT, OpenFile, Version};
use super::lines::{Encoding, Line, Lines};
use super::reads::Reads;
use super::{Context, Refusal, Tool, arguments, lines, names};
use crate::chat::{ToolResult, ToolSpec};

static SPEC: ToolSpec = ToolSpec {
    name: Cow::Borrowed("read_files"),
    description: Cow::Borrowed(
        r#"Read text files. Returns their lines with line numbers. Example: {"paths": ["notes.txt"]}"#,
    ),
    schema: Cow::Borrowed(concat!(
        r#"{"type":"object","properties":{"paths":{"type":"array","items":{"type":"string"},"description":"Relative paths"},"#,
        r#""start_line":{"type":"integer","description":"Optional, for long files only"},"#,
        r#""end_line":{"type":"integer","description":"Optional, for long files only"}},"#,
        r#""required":["paths"],"additionalProperties":false}"#
    )),
};

/// Lines are cut after so many bytes.
const LINE_LIMIT: usize = 2000;

/// More files than this in one call leave too little room for each.
const MAX_PATHS: usize = 64;

/// What the lines of a file do not need of its share: its heading and its notes.
const RESERVE: usize = 300;

/// The tool.
pub(super) struct ReadFiles;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Input {
    #[serde(deserialize_with = "arguments::one_or_many")]
    paths: Vec<String>,
    #[serde(default, deserialize_with = "arguments::whole")]
    start_line: Option<u64>,
    #[serde(default, deserialize_with = "arguments::whole")]
    end_line: Option<u64>,
}

/// What is shown of one file.
struct Section {
    text: String,
    /// Bytes that would have been shown too, had there been room.
    missing: u64,
}

impl Tool for ReadFiles {
    fn spec(&self) -> &ToolSpec {
        &SPEC
    }

    fn read_only(&self) -> bool {
        true
    }

    fn run(&self, arguments: &RawValue, context: &Context<'_>) -> ToolResult {
        arguments::parse(arguments).and_then(|input| read_all(&input, context)).unwrap_or_else(ToolResult::from)
    }
}

fn read_all(input: &Input, context: &Context<'_>) -> Result<ToolResult, Refusal> {
    let paths = &input.paths;
    let first = input.start_line.unwrap_or(1).max(1);
    let last = input.end_line.unwrap_or(u64::MAX);
    if paths.is_empty() {
        return Err(arguments::bad("`paths` is empty"));
    }
    if paths.len() > MAX_PATHS {
        return Err(arguments::bad(format!("`paths` has {} paths, at most {MAX_PATHS} at once", paths.len())));
    }
    if last < first {
        return Err(arguments::bad(format!("`end_line` {last} is before `start_line` {first}")));
    }
    let mut room = 2 * context.cap;
    let mut sections = Vec::new();
    for (done, path) in paths.iter().enumerate() {
        let share = room / (paths.len() - done);
        match read_one(path, first, last, share.saturating_sub(RESERVE), context) {
            Err(Refusal::Cancelled) => return Err(Refusal::Cancelled),
            Err(refusal) => sections.push((path.as_str(), Err(ToolResult::from(refusal)))),
            Ok(section) => {
                room = room.saturating_sub(section.text.len() + RESERVE);
                sections.push((path.as_str(), Ok(section)));
            }
        }
    }
    Ok(joined(sections, context.cap))
}

/// One failing path does not spoil the others: the call has failed only if all paths have. It counts as denied if
/// any is, or a denial could be hidden behind a path that is allowed.
fn joined(sections: Vec<(&str, Result<Section, ToolResult>)>, cap: usize) -> ToolResult {
    let denied = sections.iter().find_map(|(_, section)| section.as_ref().err()?.detail.denied.clone());
    let first_code = sections.iter().find_map(|(_, section)| section.as_ref().err()?.detail.code);
    let is_error = sections.iter().all(|(_, section)| section.is_err());
    let is_alone = sections.len() == 1;
    let mut clip = Clip::new(cap);
    let mut missing = 0;
    for (at, (path, section)) in sections.into_iter().enumerate() {
        if !is_alone && !is_error {
            clip.push_line(&format!("{}==> {} <==", if at > 0 { "\n" } else { "" }, names::shown(path)));
        }
        match section {
            Ok(section) => {
                clip.push(&section.text);
                missing += section.missing;
            }
            Err(failed) if is_alone => return failed,
            Err(failed) => clip.push_line(&failed.text),
        }
    }
    let mut result = clip.finish("read fewer files at once");
    result.is_error = is_error;
    result.detail.denied = denied;
    result.detail.code = if is_error { first_code } else { None };
    result.detail.bytes += missing;
    result.detail.truncated |= missing > 0;
    result
}

fn read_one(path: &str, first: u64, last: u64, room: usize, context: &Context<'_>) -> Result<Section, Refusal> {
    let OpenFile { file, path, size } = context.workspace.open_file(path)?;
    let tally = RefCell::new(Tally { file: &file, hash: Sha256::new(), is_wanted: size <= EDIT_LIMIT });
    let failed = |error: io::Error| {
        if (context.stop)() {
            Refusal::Cancelled
        } else {
            Refusal::new("unreadable", format!("{} cannot be read: {error}", names::escape(&path)))
        }
    };
    let Some((encoding, text)) = lines::text(Tallied(&tally), context.stop).map_err(failed)? else {
        return Ok(Section::from(format!("(binary file, {size} bytes)\n").as_str()));
    };
    let mut lines = Lines::new(text);
    let skipped = lines.skip(first - 1).map_err(failed)?;
    let shown = show(&mut lines, first, last, room).map_err(failed)?;
    if shown.is_complete && size <= EDIT_LIMIT {
        let hash = tally.borrow().hash.clone().finalize().into();
        shown.remember(&path, Version::of(&file, hash).map_err(failed)?, context.reads);
    }
    if shown.text.is_empty() {
        return if first == 1 { Ok(Section::from("(empty file)\n")) } else { Err(beyond(&path, first, skipped)) };
    }
    let missing = if shown.is_full { size.saturating_sub(shown.text.len() as u64).max(1) } else { 0 };
    let notes = shown.notes(encoding);
    Ok(Section { text: shown.text + &notes, missing })
}

fn beyond(path: &Path, first: u64, count: u64) -> Refusal {
    let path = names::escape(path);
    Refusal::new("bad_range", format!("{path} has {count} lines; start_line {first} is beyond its end"))
}

/// The lines that fit, and what is to be known about the others.
struct Shown {
    text: String,
    first: u64,
    last: u64,
    /// How many lines follow.
    rest: u64,
    /// True if there was no room for a line that was asked for.
    is_full: bool,
    /// False if more lines may follow than were counted.
    is_complete: bool,
    is_lossy: bool,
    /// True if a line is not shown to its end.
    has_cut: bool,
}

/// Takes the hash of a file while it is read.
struct Tally<'a> {
    file: &'a File,
    hash: Sha256,
    is_wanted: bool,
}

struct Tallied<'a, 'b>(&'a RefCell<Tally<'b>>);

impl Read for Tallied<'_, '_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut tally = self.0.borrow_mut();
        let count = tally.file.read(buffer)?;
        if tally.is_wanted {
            tally.hash.update(&buffer[..count]);
        }
        Ok(count)
    }
}

/// Shows the lines from `first` to `last`, as far as they fit into `room` bytes, but at least one.
fn show(lines: &mut Lines<'_>, first: u64, last: u64, room: usize) -> io::Result<Shown> {
    let mut text = String::new();
    let (mut number, mut is_full, mut is_lossy, mut has_cut) = (first, false, false, false);
    while number <= last
        && let Some(line) = lines.next(LINE_LIMIT.min(room.max(80)))?
    {
        let before = text.len();
        push_line(&mut text, number, &line);
        if before > 0 && text.len() > room {
            text.truncate(before);
            is_full = true;
            break;
        }
        is_lossy |= line.is_lossy;
        has_cut |= line.is_cut;
        number += 1;
    }
    let rest = lines.count_rest()? + u64::from(is_full);
    Ok(Shown { text, first, last: number - 1, rest, is_full, is_complete: lines.is_complete(), is_lossy, has_cut })
}

fn push_line(text: &mut String, number: u64, line: &Line) {
    // Writing into a String cannot fail.
    let _ = write!(text, "{number:6}\t{}", line.text);
    if line.is_cut {
        let _ = write!(text, "… [line of {} bytes, cut]", line.length);
    }
    text.push('\n');
}

impl Shown {
    /// Remembers what the model knows of the file now.
    fn remember(&self, path: &Path, version: Version, reads: &Reads) {
        if self.has_cut || self.is_lossy {
            reads.shown_in_part(path, version);
        } else {
            reads.shown(path, version, (self.first, self.last), self.last + self.rest);
        }
    }

    /// Says which lines these are, unless they are all, and what is not shown as it is.
    fn notes(&self, encoding: Encoding) -> String {
        let mut notes = String::new();
        let (first, last) = (self.first, self.last);
        if first > 1 || self.rest > 0 || !self.is_complete {
            let at_least = if self.is_complete { "" } else { "at least " };
            let total = last + self.rest;
            let more = if self.rest > 0 && self.is_full {
                format!("; continue with start_line {}", last + 1)
            } else {
                String::new()
            };
            notes = format!("[lines {first}-{last} of {at_least}{total}{more}]\n");
        }
        if self.is_lossy {
            notes += "[bytes that are not UTF-8 text are shown as \u{fffd}]\n";
        }
        if encoding == Encoding::Utf16 {
            notes += "[the file is UTF-16]\n";
        }
        notes
    }
}

impl From<&str> for Section {
    fn from(text: &str) -> Self {
        Self { text: text.to_owned(), missing: 0 }
    }
}
