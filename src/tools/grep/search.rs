//! The search of one file: matching lines with their context, bounded in number and in bytes.

use std::borrow::Cow;
use std::ops::Range;

use grep_matcher::Matcher;
use grep_regex::{RegexMatcher, RegexMatcherBuilder};
use grep_searcher::{BinaryDetection, Searcher, SearcherBuilder, Sink, SinkContext, SinkMatch};

use crate::tools::files::OpenFile;
use crate::tools::{Refusal, lines, names};

/// Longer patterns are refused before they are compiled.
const PATTERN_LIMIT: usize = 10_000;

/// Bytes that a compiled pattern may take.
const COMPILED_LIMIT: usize = 10 << 20;

/// Longer lines are not searched: a line has to be in memory as a whole.
const LINE_LIMIT: usize = 8 << 20;

/// Bytes shown of a line.
const SHOWN: usize = 500;

/// Bytes shown before the match in a long line.
const BEFORE: usize = 100;

/// How much a result may hold.
#[derive(Debug, Clone, Copy)]
pub(super) struct Room {
    pub(super) bytes: usize,
    pub(super) matches: usize,
}

/// A compiled pattern and how to search for it.
pub(super) struct Search {
    matcher: RegexMatcher,
    settings: SearcherBuilder,
    room: Room,
}

/// What searches one file after another. Each thread has its own.
pub(super) struct FileSearcher<'a> {
    matcher: RegexMatcher,
    searcher: Searcher,
    search: &'a Search,
}

/// What came of one file.
#[derive(Debug, Default)]
pub(super) struct Searched {
    pub(super) hits: Vec<Hit>,
    /// True if the room was not enough for all matches.
    pub(super) has_more: bool,
    /// Why the file was not searched, or not to its end.
    pub(super) gap: Option<Gap>,
}

/// A line of the result, with its line end.
#[derive(Debug)]
pub(super) struct Hit {
    /// False for context and separators.
    pub(super) is_match: bool,
    pub(super) text: String,
}

/// Why a file was not searched, or not to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Gap {
    /// It is named like a secret.
    Secret,
    /// The command line forbids it.
    Denied,
    /// It has a line above [`LINE_LIMIT`].
    LongLine,
    /// It cannot be opened or read.
    Unreadable,
    /// It is no text.
    Binary,
}

impl Search {
    pub(super) fn new(pattern: &str, ignore_case: bool, context: usize, room: Room) -> Result<Self, Refusal> {
        let matcher = compile(pattern, ignore_case).map_err(|reason| Refusal::new("bad_pattern", reason))?;
        let mut settings = SearcherBuilder::new();
        settings
            .line_number(true)
            .before_context(context)
            .after_context(context)
            .heap_limit(Some(LINE_LIMIT))
            .binary_detection(BinaryDetection::none())
            .bom_sniffing(false);
        Ok(Self { matcher, settings, room })
    }

    pub(super) fn room(&self) -> Room {
        self.room
    }

    pub(super) fn searcher(&self) -> FileSearcher<'_> {
        FileSearcher { matcher: self.matcher.clone(), searcher: self.settings.build(), search: self }
    }
}

impl FileSearcher<'_> {
    /// Searches one file; what it returns is of no use if `stop` said so meanwhile.
    pub(super) fn search(&mut self, opened: OpenFile, stop: &(dyn Fn() -> bool + Sync)) -> Searched {
        let path = names::escape(&opened.path).into_owned();
        let text = match lines::text(opened.file, stop) {
            Ok(Some((_, text))) => text,
            Ok(None) => return Searched::from(Gap::Binary),
            Err(_) => return Searched::from(Gap::Unreadable),
        };
        let mut collector =
            Collector { matcher: &self.matcher, path, room: self.search.room, found: Searched::default() };
        let searched = self.searcher.search_reader(&self.matcher, text, &mut collector);
        let mut found = collector.found;
        if let Err(error) = searched {
            // The only error that is not the system's own is the one about the length of a line.
            found.gap = Some(if error.raw_os_error().is_some() { Gap::Unreadable } else { Gap::LongLine });
        }
        found
    }
}

impl From<Gap> for Searched {
    fn from(gap: Gap) -> Self {
        Self { gap: Some(gap), ..Self::default() }
    }
}

fn compile(pattern: &str, ignore_case: bool) -> Result<RegexMatcher, String> {
    if pattern.is_empty() {
        return Err("the pattern is empty".to_owned());
    }
    if pattern.len() > PATTERN_LIMIT {
        return Err(format!("the pattern is {} bytes long, at most {PATTERN_LIMIT} are allowed", pattern.len()));
    }
    let built = RegexMatcherBuilder::new()
        .case_insensitive(ignore_case)
        .multi_line(true)
        .crlf(true)
        .line_terminator(Some(b'\n'))
        .size_limit(COMPILED_LIMIT)
        .dfa_size_limit(COMPILED_LIMIT)
        .build(pattern);
    built.map_err(|error| {
        // The reason comes last, below a drawing of where it is.
        let full = error.to_string();
        let reason = full.lines().last().unwrap_or_default();
        format!("this is no regular expression: {}", reason.strip_prefix("error: ").unwrap_or(reason))
    })
}

struct Collector<'a> {
    matcher: &'a RegexMatcher,
    path: String,
    room: Room,
    found: Searched,
}

impl Collector<'_> {
    /// Adds a line unless there is no room for it; false ends the search.
    fn push(&mut self, is_match: bool, number: Option<u64>, line: &[u8]) -> bool {
        if is_match && self.room.matches == 0 {
            self.found.has_more = true;
            return false;
        }
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        // Context is shown from its beginning, and so is a line whose match only its end shows.
        let matched = if is_match { self.matcher.find(line).ok().flatten() } else { None };
        let shown = excerpt(line, matched.map_or(0..0, |at| at.start()..at.end()));
        let mark = if is_match { ':' } else { '-' };
        let text = format!("{}{mark}{}{mark}{shown}\n", self.path, number.unwrap_or_default());
        if text.len() > self.room.bytes {
            self.found.has_more = true;
            return false;
        }
        self.room.bytes -= text.len();
        self.room.matches -= usize::from(is_match);
        self.found.hits.push(Hit { is_match, text });
        true
    }
}

impl Sink for Collector<'_> {
    type Error = std::io::Error;

    fn matched(&mut self, _: &Searcher, found: &SinkMatch<'_>) -> Result<bool, Self::Error> {
        Ok(self.push(true, found.line_number(), found.bytes()))
    }

    fn context(&mut self, _: &Searcher, context: &SinkContext<'_>) -> Result<bool, Self::Error> {
        Ok(self.push(false, context.line_number(), context.bytes()))
    }

    fn context_break(&mut self, _: &Searcher) -> Result<bool, Self::Error> {
        self.found.hits.push(Hit { is_match: false, text: "--\n".to_owned() });
        Ok(true)
    }
}

/// The line, or of a long one what is around the match, cut between characters.
fn excerpt(line: &[u8], matched: Range<usize>) -> Cow<'_, str> {
    if line.len() <= SHOWN {
        return as_text(line);
    }
    let is_inside = |place: &usize| line.get(*place).is_some_and(|byte| byte & 0xc0 == 0x80);
    let start = matched.start.saturating_sub(BEFORE).min(line.len() - SHOWN);
    let start = (start..start + 4).find(|place| !is_inside(place)).unwrap_or(start);
    let end = (start + SHOWN).min(line.len());
    let end = (end - 3..=end).rev().find(|place| !is_inside(place)).unwrap_or(end);
    let before = if start > 0 { "…" } else { "" };
    let after = if end < line.len() { "…" } else { "" };
    Cow::Owned(format!("{before}{}{after}", as_text(&line[start..end])))
}

fn as_text(bytes: &[u8]) -> Cow<'_, str> {
    let text = String::from_utf8_lossy(bytes);
    if text.contains('\0') { Cow::Owned(text.replace('\0', "\u{fffd}")) } else { text }
}
