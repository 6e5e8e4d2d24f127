//! Floor 3: the transcript `flux-transcript/1`: every fact of a run as one JSON line, written when it is complete.
//!
//! [`Recorder`] writes: it is told what happened and knows nothing of why. [`Reader`] reads it back.

pub mod entry;
mod lines;
mod parse;
mod past;
mod read;
mod target;

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;

use crate::base::clock;
use crate::base::failure::{Failure, Result};
use crate::base::secret::Redactor;
use crate::chat::{LineId, Reply, ToolCall, ToolResult, UserMessage};
use crate::wire::{ApiError, Attempt, Cost};

pub use entry::{Entry, Line};
pub use lines::{CostLine, Input, RunResult, ToolCounts, UsageLine};
pub use past::Past;
pub use read::{Fault, FaultKind, LineText, Reader};
pub use target::{Notes, Target};

use lines::{AssistantMessage, Custom, Envelope, Header, Message, ToolResultMessage, UserLine};

/// The name of the format, as the header line carries it.
pub const SCHEMA: &str = "flux-transcript/1";

/// The JSON Schema (draft 2020-12) of a line.
pub const JSON_SCHEMA: &str = include_str!("schema.json");

/// Writes the lines of one run to all its targets. Its clones write to the same: whoever ends the run writes the last.
#[derive(Debug, Clone)]
pub struct Recorder(Arc<Mutex<Lines>>);

/// What the lines of a run have in common, and where they go.
#[derive(Debug)]
struct Lines {
    targets: Vec<Target>,
    redactor: Redactor,
    run: Uuid,
    seq: u64,
    parent: Option<String>,
    /// For the header line.
    title: Title,
}

#[derive(Debug, Default)]
struct Title {
    cwd: String,
    name: String,
}

/// The `flux.context` line: everything about the run that is not the conversation.
#[derive(Debug, Serialize)]
pub struct Context<'a> {
    /// The system prompt.
    pub system: &'a str,
    /// The tools on offer.
    pub tools: Vec<Value>,
    /// The user's options for the model.
    pub params: Value,
    /// What the run may do.
    pub permissions: Value,
    /// How children are confined.
    pub sandbox: Value,
    /// Where the user message came from.
    pub inputs: &'a [Input],
}

impl Recorder {
    /// A recorder that writes to `targets`. Nothing is written before the first fact.
    #[must_use]
    pub fn new(targets: Vec<Target>) -> Self {
        let (run, redactor) = (new_id(), Redactor::default());
        Self(Arc::new(Mutex::new(Lines { targets, redactor, run, seq: 0, parent: None, title: Title::default() })))
    }

    /// Writes to these targets from now on.
    pub fn open(&self, targets: Vec<Target>) {
        self.lines().targets = targets;
    }

    /// Whether this file is one of its targets.
    #[must_use]
    pub fn writes_to(&self, path: &Path) -> bool {
        self.lines().targets.iter().any(|target| target.is_at(path))
    }

    /// Secrets that no line may hold.
    pub fn redact(&self, redactor: Redactor) {
        self.lines().redactor = redactor;
    }

    /// What the header line says of the run: the working directory and the prompt.
    pub fn title(&self, cwd: &str, prompt: &str) {
        let name = prompt.char_indices().nth(80).map_or(prompt, |(at, _)| &prompt[..at]);
        self.lines().title = Title { cwd: cwd.to_owned(), name: name.to_owned() };
    }

    /// True if nothing is recorded, so that facts need not be gathered.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.lines().targets.is_empty()
    }

    /// The run's context.
    ///
    /// # Errors
    /// A target cannot be written.
    pub fn context(&self, context: &Context<'_>) -> Result<()> {
        self.custom("flux.context", context)
    }

    /// The user's message, as it is sent. As for all messages the id of the line is returned, if there is one.
    ///
    /// # Errors
    /// A target cannot be written.
    pub fn user(&self, message: &UserMessage) -> Result<Option<LineId>> {
        self.message(&UserLine::new(message))
    }

    /// An attempt of a request.
    ///
    /// # Errors
    /// A target cannot be written.
    pub fn attempt(&self, attempt: &Attempt, provider: &str, model: &str, base_url: &str) -> Result<()> {
        if self.is_idle() {
            return Ok(());
        }
        self.custom("flux.request", &lines::request(attempt, provider, model, base_url))
    }

    /// The history was shortened.
    ///
    /// # Errors
    /// A target cannot be written.
    pub fn prune(&self, prune: &entry::Prune) -> Result<()> {
        self.custom("flux.prune", prune)
    }

    /// An assistant turn; with an error what had arrived of one.
    ///
    /// # Errors
    /// A target cannot be written.
    pub fn reply(
        &self,
        reply: &Reply,
        api: &str,
        cost: Option<Cost>,
        error: Option<&ApiError>,
    ) -> Result<Option<LineId>> {
        self.message(&AssistantMessage::new(reply, api, cost, error))
    }

    /// The result of a tool call.
    ///
    /// # Errors
    /// A target cannot be written.
    pub fn tool_result(&self, call: &ToolCall, result: &ToolResult) -> Result<Option<LineId>> {
        self.message(&ToolResultMessage::new(call, result))
    }

    /// Writes what waits for somebody else's lock, so that it is known before the answer whether it can be.
    ///
    /// # Errors
    /// It cannot be written in time.
    pub fn settle(&self) -> Result<()> {
        self.lines().targets.iter_mut().try_for_each(Target::settle)
    }

    /// The last line of the run. It is written to every target, also if one fails: then `revise` gives the result
    /// that holds for those that follow. The first failure is returned. Nothing is written after it.
    pub fn result(&self, result: RunResult, revise: impl Fn(&Failure) -> RunResult) -> Option<Failure> {
        self.lines().end(result, revise)
    }

    /// The result as a line of its own, for `--format json`.
    #[must_use]
    pub fn result_line(&self, result: &RunResult) -> String {
        let mut line = self.lines().line("result", result).1;
        line.truncate(line.trim_end().len());
        line
    }

    fn custom(&self, kind: &'static str, data: &impl Serialize) -> Result<()> {
        self.lines().write("custom", &Custom { custom_type: kind, data }).map(drop)
    }

    fn message(&self, message: &impl Serialize) -> Result<Option<LineId>> {
        self.lines().write("message", &Message { message })
    }

    fn lines(&self) -> MutexGuard<'_, Lines> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lines {
    /// Writes a line to every target, also if one fails; the first failure is returned.
    fn write(&mut self, kind: &'static str, body: &impl Serialize) -> Result<Option<LineId>> {
        if self.targets.is_empty() {
            return Ok(None);
        }
        let header = self.header();
        let mut outcome = Ok(());
        for target in &mut self.targets {
            match target.begin(&header) {
                Ok(true) => self.seq = self.seq.max(1),
                Ok(false) => {}
                Err(failure) => outcome = outcome.and(Err(failure)),
            }
        }
        let (id, line) = self.line(kind, body);
        for target in self.targets.iter_mut().filter(|target| target.has_begun()) {
            outcome = outcome.and(target.write(&line));
        }
        self.seq += 1;
        self.parent = Some(id.clone());
        outcome.map(|()| Some(id))
    }

    fn end(&mut self, mut result: RunResult, revise: impl Fn(&Failure) -> RunResult) -> Option<Failure> {
        let header = self.header();
        let mut first = None;
        let mut targets = std::mem::take(&mut self.targets);
        // A file is never waited for as long as a reader who does not read.
        targets.sort_by_key(Target::is_stream);
        for mut target in targets {
            let begun = target.begin(&header);
            if let Ok(true) = begun {
                self.seq = self.seq.max(1);
            }
            let (_, line) = self.line("result", &result);
            if let Err(failure) = begun.and_then(|_| target.end(&line)) {
                result = revise(&failure);
                first.get_or_insert(failure);
            }
        }
        first
    }

    /// The first line of a file.
    fn header(&self) -> String {
        let header = serialize(&Header::new(self.run, &self.title.cwd, &self.title.name));
        self.redactor.cleaned(header)
    }

    /// A line and its id.
    fn line(&self, kind: &'static str, body: &impl Serialize) -> (LineId, String) {
        let envelope = Envelope {
            kind,
            run: self.run,
            seq: self.seq,
            id: format!("{:016x}", fastrand::u64(..)),
            parent_id: self.parent.clone(),
            timestamp: clock::rfc3339(),
            body,
        };
        let line = self.redactor.cleaned(serialize(&envelope));
        (envelope.id, line)
    }
}

/// A new id of a run or a file (UUID version 7). It must differ from others, not be hard to guess, so it does without
/// the system's random numbers, which can fail.
fn new_id() -> Uuid {
    let mut random = [0; 10];
    fastrand::fill(&mut random);
    uuid::Builder::from_unix_timestamp_millis(clock::unix_millis(), &random).into_uuid()
}

/// One JSON line with its line break. The line types hold nothing that JSON cannot express.
fn serialize(line: &impl Serialize) -> String {
    let mut line = serde_json::to_string(line).unwrap_or_default();
    line.push('\n');
    line
}
