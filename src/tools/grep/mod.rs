//! `grep_search`: which files are searched, and how the matches become one result. Files are searched side by side,
//! and still the result is the same in every run.

mod report;
mod search;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::fault::Fault;
use super::files::{Kind, Opened};
use super::glob::Glob;
use super::policy::Withheld;
use super::walk::Walk;
use super::{Context, Refusal, Tool, arguments};
use crate::chat::{ToolResult, ToolSpec};
use report::Report;
use search::{FileSearcher, Gap, Room, Search, Searched};

static SPEC: ToolSpec = ToolSpec {
    name: Cow::Borrowed("grep_search"),
    description: Cow::Borrowed(r#"Search inside files for a regular expression. Example: {"pattern": "TODO"}"#),
    schema: Cow::Borrowed(concat!(
        r#"{"type":"object","properties":{"pattern":{"type":"string","description":"Regular expression"},"#,
        r#""path":{"type":"string","description":"Optional, file or directory to search, default ."},"#,
        r#""glob":{"type":"string","description":"Optional, only files that match, such as *.rs"},"#,
        r#""context":{"type":"integer","description":"Optional, lines around each match"},"#,
        r#""ignore_case":{"type":"boolean","description":"Optional, default false"}},"#,
        r#""required":["pattern"],"additionalProperties":false}"#
    )),
};

/// Matching lines shown at most.
const MAX_MATCHES: usize = 1000;

/// Lines of context on either side at most.
const MAX_CONTEXT: u64 = 20;

/// More threads than this gain nothing and cost memory.
const MAX_THREADS: usize = 8;

/// The tool.
pub(super) struct GrepSearch;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Input {
    pattern: String,
    path: Option<String>,
    glob: Option<String>,
    #[serde(default, deserialize_with = "arguments::whole")]
    context: Option<u64>,
    #[serde(default, deserialize_with = "arguments::truth")]
    ignore_case: bool,
}

impl Tool for GrepSearch {
    fn spec(&self) -> &ToolSpec {
        &SPEC
    }

    fn read_only(&self) -> bool {
        true
    }

    fn run(&self, arguments: &RawValue, context: &Context<'_>) -> ToolResult {
        arguments::parse(arguments).and_then(|input| grep(&input, context)).unwrap_or_else(ToolResult::from)
    }
}

fn grep(input: &Input, context: &Context<'_>) -> Result<ToolResult, Refusal> {
    let around = usize::try_from(input.context.unwrap_or(0).min(MAX_CONTEXT)).unwrap_or(0);
    let room = Room { bytes: 2 * context.cap, matches: MAX_MATCHES };
    let search = Search::new(&input.pattern, input.ignore_case, around, room)?;
    let glob = input.glob.as_deref().filter(|glob| !glob.is_empty());
    let glob = glob.map(|glob| Glob::new(glob, context.workspace)).transpose()?;
    let mut report = Report::new(room, around > 0);
    let opened = context.workspace.open_any(arguments::path_or_root(input.path.as_deref()))?;
    let names_a_file = matches!(opened, Opened::File(_));
    match opened {
        Opened::File(file) => report.add(&file.path.clone(), search.searcher().search(file, context.stop)),
        Opened::Directory(start) => {
            let walk = Walk::new(context.workspace, &start.path, usize::MAX);
            let files = Files { walk, start: start.path, glob, given: 0 };
            search_all(files, &search, &mut report, context);
        }
    }
    context.check()?;
    Ok(report.finish(names_a_file))
}

/// The files to search, in the order of their paths.
struct Files<'a> {
    walk: Walk<'a>,
    start: PathBuf,
    glob: Option<Glob>,
    given: usize,
}

impl Iterator for Files<'_> {
    type Item = (usize, PathBuf);

    /// A file and its place in the order.
    fn next(&mut self) -> Option<(usize, PathBuf)> {
        let Self { walk, start, glob, given } = self;
        let is_wanted = |path: &Path| glob.as_ref().is_none_or(|glob| glob.is_match(path, start));
        let found = walk.find(|found| found.kind == Kind::File && is_wanted(&found.path))?;
        *given += 1;
        Some((*given - 1, found.path))
    }
}

/// Files are handed out in order and come back in whatever order they are done. Where threads cannot be had, one does.
fn search_all(files: Files<'_>, search: &Search, report: &mut Report, context: &Context<'_>) {
    let files = Mutex::new(files);
    let gathered = Mutex::new(Gathered::new(report, search.room()));
    let work = || {
        let mut searcher = search.searcher();
        while !(context.stop)() && !lock(&gathered).is_enough() {
            let Some((turn, path)) = lock(&files).next() else { break };
            let outcome = search_one(&mut searcher, &path, context);
            lock(&gathered).add(turn, path, outcome);
        }
    };
    let threads = thread::available_parallelism().map_or(1, NonZero::get).min(MAX_THREADS);
    thread::scope(|scope| {
        for _ in 1..threads {
            if thread::Builder::new().spawn_scoped(scope, work).is_err() {
                break;
            }
        }
        work();
    });
    report.add_note(&lock(&files).walk.note());
}

fn search_one(searcher: &mut FileSearcher<'_>, path: &Path, context: &Context<'_>) -> Searched {
    match context.workspace.open_found(path) {
        Ok(opened) => searcher.search(opened, context.stop),
        Err(Fault::Withheld(_, Withheld::Secret)) => Searched::from(Gap::Secret),
        Err(Fault::Withheld(_, Withheld::Denied(_))) => Searched::from(Gap::Denied),
        Err(_) => Searched::from(Gap::Unreadable),
    }
}

/// Brings what is done too early into order.
struct Gathered<'a> {
    report: &'a mut Report,
    early: BTreeMap<usize, (PathBuf, Searched)>,
    next: usize,
    /// What is left when everything that came in so far is counted; nothing, if the report will be full.
    room: Room,
}

impl<'a> Gathered<'a> {
    fn new(report: &'a mut Report, room: Room) -> Self {
        let more_than_enough = Room { bytes: room.bytes + 1, matches: room.matches + 1 };
        Self { report, early: BTreeMap::new(), next: 0, room: more_than_enough }
    }

    fn add(&mut self, turn: usize, path: PathBuf, searched: Searched) {
        for hit in &searched.hits {
            self.room.bytes = self.room.bytes.saturating_sub(hit.text.len());
            self.room.matches = self.room.matches.saturating_sub(usize::from(hit.is_match));
        }
        self.early.insert(turn, (path, searched));
        while let Some((path, searched)) = self.early.remove(&self.next) {
            self.report.add(&path, searched);
            self.next += 1;
        }
    }

    /// True if no further file can change the result: all that precede are on their way.
    fn is_enough(&self) -> bool {
        self.report.is_full() || self.room.bytes == 0 || self.room.matches == 0
    }
}

/// A thread that panicked has left nothing half done that the others use.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
