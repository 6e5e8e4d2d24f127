//! Running the tool calls of one turn: neighbours that only read run side by side, all others one by one, and
//! every call gets exactly one result, in call order.

use std::borrow::Cow;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use super::limits::reached;
use super::repeats::{Repeats, key};
use super::{Agent, Observer};
use crate::base::clock;
use crate::base::failure::{Failure, Result};
use crate::base::secret::Redactor;
use crate::chat::{Block, Reply, StopReason, ToolCall, ToolResult};
use crate::tools::Toolbox;

/// Calls of one turn beyond this number are answered with an error.
const MOST_CALLS: usize = 64;
/// Calls that run at the same time.
const MOST_THREADS: usize = 8;

impl Agent<'_> {
    /// Answers every call of a turn. The results are recorded before a limit or a stop ends the run.
    pub(super) fn run_calls(
        &mut self,
        reply: &Reply,
        repeats: &mut Repeats,
        observer: &mut dyn Observer,
    ) -> Result<Vec<ToolResult>> {
        let calls: Vec<&ToolCall> = reply.tools().collect();
        let ending = self.ending(calls.len());
        let allowed = ending.as_ref().map_or(calls.len(), |(allowed, _)| *allowed).min(MOST_CALLS);
        let mut results = Vec::with_capacity(calls.len());
        while results.len() < allowed {
            let batch = self.batch(&calls[results.len()..allowed]);
            let batch = &calls[results.len()..results.len() + batch];
            for call in batch {
                observer.tool(call);
            }
            let answers = self.run_batch(batch, repeats);
            for (call, mut result) in batch.iter().zip(answers) {
                repeats.note(call, &result, self.toolbox);
                self.record_result(call, &mut result, observer)?;
                results.push(result);
            }
            if self.denials.are_too_many() {
                break;
            }
        }
        let denied = self.denials.failure();
        for call in &calls[results.len()..] {
            let mut result = if denied.is_some() { after_denial() } else { beyond(ending.is_some()) };
            self.record_result(call, &mut result, observer)?;
            results.push(result);
        }
        match (self.stop.stopped(), denied, ending) {
            (Some(stop), ..) => Err(stop.into()),
            (None, Some(failure), _) | (None, None, Some((_, failure))) => Err(failure),
            (None, None, None) => Ok(results),
        }
    }

    /// Answers the calls of a turn that did not end in tool use, or in which none may be used: they must not run.
    pub(super) fn answer_without_running(
        &mut self,
        reply: &Reply,
        observer: &mut dyn Observer,
    ) -> Result<Vec<ToolResult>> {
        let answer = |call| {
            let mut result = not_run(reply.stop);
            self.record_result(call, &mut result, observer)?;
            Ok(result)
        };
        reply.tools().map(answer).collect()
    }

    /// Gives a call whose id another call has a new one.
    pub(super) fn make_ids_unique(&mut self, reply: &mut Reply) {
        for block in &mut reply.blocks {
            let Block::Tool(call) = block else { continue };
            let own = call.id.clone();
            let mut number = 2;
            while !self.ids.insert(call.id.clone()) {
                call.id = format!("{own}_{number}");
                // The author's own form holds the old id.
                call.seal = None;
                number += 1;
            }
        }
    }

    /// If this turn reaches a limit of the run: how many of its calls may still run, and the failure to come.
    fn ending(&self, calls: usize) -> Option<(usize, Failure)> {
        if self.limits.turns.is_some_and(|most| self.totals.turns >= most) {
            return Some((0, reached(&format!("{} turns", self.totals.turns), "--max-turns")));
        }
        let made = self.totals.tool_calls.total();
        let left = usize::try_from(self.limits.tool_calls?.saturating_sub(made)).unwrap_or(usize::MAX);
        (calls > left).then(|| (left, reached(&format!("{} tool calls", made + left as u64), "--max-tool-calls")))
    }

    /// How many of the calls, from the first, may run side by side: neighbours that only read and differ.
    fn batch(&self, calls: &[&ToolCall]) -> usize {
        let mut seen = Vec::new();
        let alike = calls.iter().take_while(|call| {
            let new = self.toolbox.is_read_only(call) && !seen.contains(&key(call));
            seen.push(key(call));
            new
        });
        alike.count().max(1)
    }

    fn run_batch(&self, calls: &[&ToolCall], repeats: &Repeats) -> Vec<ToolResult> {
        let (stopper, toolbox, redactor) = (&self.stop, self.toolbox, &self.redactor);
        let stop = || stopper.stopped().is_some();
        let run = |call: &ToolCall| repeats.block(call).unwrap_or_else(|| timed(toolbox, call, redactor, &stop));
        if let [call] = calls {
            return vec![run(call)];
        }
        let next = AtomicUsize::new(0);
        let slots: Vec<Mutex<Option<ToolResult>>> = calls.iter().map(|_| Mutex::new(None)).collect();
        let work = || {
            while let Some((call, slot)) = take(&next, calls, &slots) {
                let result = run(call);
                *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(result);
            }
        };
        std::thread::scope(|scope| {
            for _ in 1..calls.len().min(MOST_THREADS) {
                // Without a thread to spare the calls run one after another on this one.
                if std::thread::Builder::new().spawn_scoped(scope, work).is_err() {
                    break;
                }
            }
            work();
        });
        let result = |slot: Mutex<Option<ToolResult>>| slot.into_inner().unwrap_or_else(PoisonError::into_inner);
        slots.into_iter().map(|slot| result(slot).unwrap_or_else(ToolResult::cancelled)).collect()
    }

    fn record_result(&mut self, call: &ToolCall, result: &mut ToolResult, observer: &mut dyn Observer) -> Result<()> {
        self.denials.note(result);
        self.totals.count(result);
        observer.stands(&self.totals);
        result.detail.line = observer.tool_result(call, result)?;
        Ok(())
    }
}

type Slot = Mutex<Option<ToolResult>>;

fn take<'a>(next: &AtomicUsize, calls: &'a [&'a ToolCall], slots: &'a [Slot]) -> Option<(&'a ToolCall, &'a Slot)> {
    let at = next.fetch_add(1, Ordering::Relaxed);
    Some((calls.get(at)?, slots.get(at)?))
}

fn timed(toolbox: &Toolbox, call: &ToolCall, redactor: &Redactor, stop: &(dyn Fn() -> bool + Sync)) -> ToolResult {
    let start = clock::now();
    let mut result = if stop() { ToolResult::cancelled() } else { toolbox.call(call, stop) };
    if let Cow::Owned(clean) = redactor.clean(&result.text) {
        result.text = clean;
    }
    result.detail.duration_ms = clock::millis_since(start);
    result.detail.changed = !result.is_error && !toolbox.is_read_only(call);
    result
}

/// The result of a call that no tool may answer.
fn not_run(stop: StopReason) -> ToolResult {
    let why = match stop {
        StopReason::ToolUse => "not run: no tool can be called any more",
        _ => "not run: the turn did not end in a request for tools",
    };
    ToolResult::error("not_run", why)
}

fn after_denial() -> ToolResult {
    ToolResult::error("not_run", "not run: a denial ends this run")
}

fn beyond(limit: bool) -> ToolResult {
    if limit {
        ToolResult::error("limit", "not run: a limit of this run is reached")
    } else {
        ToolResult::error("too_many_calls", format!("not run: at most {MOST_CALLS} calls in one turn"))
    }
}
