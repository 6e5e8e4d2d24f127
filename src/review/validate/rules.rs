//! What the lines of a transcript owe each other: one header, numbers that rise, an unbroken chain of ids, every
//! tool call answered once and in order, and one `result` at the end of each run.

use std::collections::{HashSet, VecDeque};

use serde_json::Value;

use super::Problems;
use crate::base::failure::Result;
use crate::transcript::entry::{Assistant, ToolResultEntry};
use crate::transcript::{Entry, Line};

/// What has been seen of a file.
#[derive(Debug, Default)]
pub(super) struct Rules {
    open: Vec<OpenRun>,
    /// Ids of runs that have ended.
    ended: HashSet<String>,
}

/// A run without its `result` so far.
#[derive(Debug, Default)]
struct OpenRun {
    id: String,
    last_line: u64,
    seq: Option<u64>,
    /// The id of its last line; none before the first after the header.
    last_id: Option<String>,
    has_context: bool,
    /// Calls without a result, in call order: id and tool.
    waiting: VecDeque<(String, String)>,
    /// Every call's id.
    calls: HashSet<String>,
}

impl Rules {
    /// Takes the next line.
    pub(super) fn line(&mut self, line: &Line, problems: &mut Problems<'_>) -> Result<()> {
        let run = &line.place.run;
        if let Entry::Session(_) = line.entry
            && line.number > 1
        {
            problems.add(line.number, "a second header: a file has one, its first line")?;
        }
        if self.ended.contains(run) {
            return problems.add(line.number, &format!("a line of run {run} after its result"));
        }
        let at = self.open.iter().position(|open| open.id == *run).unwrap_or_else(|| {
            self.open.push(OpenRun { id: run.clone(), ..OpenRun::default() });
            self.open.len() - 1
        });
        self.open[at].line(line, problems)?;
        if let Entry::Result(_) = line.entry {
            self.open.remove(at);
            self.ended.insert(run.clone());
        }
        Ok(())
    }

    /// Takes a line that is none, whose faults have been told: what follows is not held against what it lacks.
    pub(super) fn unreadable(&mut self, line: &Value, number: u64) {
        let Some(run) = line["run"].as_str() else { return };
        if line["type"] == "result" {
            self.open.retain(|open| open.id != run);
            self.ended.insert(run.to_owned());
        } else if let Some(open) = self.open.iter_mut().find(|open| open.id == run) {
            open.last_line = number;
            open.seq = line["seq"].as_u64().or(open.seq.map(|seq| seq + 1));
            open.last_id = line["id"].as_str().map(str::to_owned).or(open.last_id.take());
        }
    }

    /// Takes the end of the file.
    pub(super) fn end(&self, problems: &mut Problems<'_>) -> Result<()> {
        self.open.iter().try_for_each(|open| {
            let what = format!("run {} has no result: it crashed, or is still running", open.id);
            problems.add(open.last_line, &what)
        })
    }
}

impl OpenRun {
    fn line(&mut self, line: &Line, problems: &mut Problems<'_>) -> Result<()> {
        let mut say = |what: &str| problems.add(line.number, what);
        self.place(line, &mut say)?;
        match &line.entry {
            Entry::Session(_) | Entry::Unknown(_) => Ok(()),
            Entry::Context(_) if self.has_context => say("a second flux.context in one run"),
            Entry::Context(_) => {
                self.has_context = true;
                Ok(())
            }
            // A run that failed before it began has nothing else.
            Entry::Result(end) => {
                if !self.waiting.is_empty() && end.exit_code == 0 {
                    say(&format!("the run ended well without a result for {}", self.unanswered()))?;
                }
                Ok(())
            }
            _ if !self.has_context => {
                // Said once.
                self.has_context = true;
                say("the run does not begin with flux.context")
            }
            Entry::Assistant(turn) => self.turn(turn, &mut say),
            Entry::ToolResult(result) => self.result(result, &mut say),
            Entry::User(_) | Entry::Request(_) | Entry::Prune(_) => Ok(()),
        }
    }

    /// Where the line stands.
    fn place(&mut self, line: &Line, say: &mut impl FnMut(&str) -> Result<()>) -> Result<()> {
        self.last_line = line.number;
        if let Some(seq) = line.place.seq {
            match self.seq {
                Some(last) if seq != last.saturating_add(1) => say(&format!("seq is {seq} after {last}"))?,
                // The run's header may stand in another file that it was written to.
                None if seq > 1 => say(&format!("the run begins with seq {seq}"))?,
                _ => {}
            }
            self.seq = Some(seq);
        }
        if let Entry::Session(_) = line.entry {
            return Ok(());
        }
        if line.place.parent != self.last_id {
            say(match (&line.place.parent, &self.last_id) {
                (Some(_), None) => "parentId is set on the first line of a run",
                _ => "parentId is not the id of the run's line before",
            })?;
        }
        self.last_id = Some(line.place.id.clone());
        Ok(())
    }

    fn turn(&mut self, turn: &Assistant, say: &mut impl FnMut(&str) -> Result<()>) -> Result<()> {
        if !self.waiting.is_empty() {
            say(&format!("an assistant turn before the result of {}", self.unanswered()))?;
            self.waiting.clear();
        }
        for call in turn.calls() {
            if !self.calls.insert(call.id.clone()) {
                say(&format!("the id of tool call {} is not unique in its run", call.id))?;
            }
            // What had arrived of a turn that failed is not run.
            if turn.error_message.is_none() {
                self.waiting.push_back((call.id.clone(), call.name.clone()));
            }
        }
        Ok(())
    }

    fn result(&mut self, result: &ToolResultEntry, say: &mut impl FnMut(&str) -> Result<()>) -> Result<()> {
        match self.waiting.iter().position(|(id, _)| *id == result.call_id) {
            None => say(&format!("a result for {}, which is no open tool call", result.call_id)),
            Some(at) => {
                if at > 0 {
                    say(&format!("the result for {} does not stand in call order", result.call_id))?;
                }
                match self.waiting.remove(at) {
                    Some((_, name)) if name != result.tool => {
                        say(&format!("the result for {} names {}, the call {name}", result.call_id, result.tool))
                    }
                    _ => Ok(()),
                }
            }
        }
    }

    fn unanswered(&self) -> String {
        let ids: Vec<&str> = self.waiting.iter().map(|(id, _)| &**id).collect();
        ids.join(", ")
    }
}
