//! The limits of a run, asked before every request.

use std::time::Duration;

use super::{Agent, stopped};
use crate::base::exit::Exit;
use crate::base::failure::{Failure, Result};
use crate::chat::{Conversation, Usage};
use crate::transcript::Totals;
use crate::wire::{Cost, cost};

/// When to stop; `None` is no limit.
#[derive(Debug, Clone, Copy, Default)]
pub struct Limits {
    /// Requests that are answered.
    pub turns: Option<u64>,
    /// Tool calls.
    pub tool_calls: Option<u64>,
    /// Input and output tokens of all requests.
    pub run_tokens: Option<u64>,
    /// US dollars.
    pub cost: Option<f64>,
    /// The whole run.
    pub timeout: Option<Duration>,
}

impl Agent<'_> {
    /// Fails if the next request would go over a limit.
    pub(super) fn check_limits(&mut self, conversation: &Conversation) -> Result<()> {
        if let Some(stop) = self.stop.stopped() {
            return Err(stopped(stop));
        }
        if self.limits.turns.is_some_and(|most| self.totals.turns >= most) {
            return Err(reached(&format!("{} turns", self.totals.turns), "--max-turns"));
        }
        let used = self.totals.usage.input.unwrap_or(0).saturating_add(self.totals.usage.output.unwrap_or(0));
        if self.limits.run_tokens.is_some_and(|most| used >= most) {
            return Err(reached(&format!("{used} tokens"), "--max-run-tokens"));
        }
        self.check_cost(conversation)
    }

    /// The cost so far and of the next request's input.
    fn check_cost(&mut self, conversation: &Conversation) -> Result<()> {
        let (Some(most), Some(model), false) = (self.limits.cost, self.model, self.free) else { return Ok(()) };
        let bytes = self.client.prepare(self.wire, &self.head, conversation);
        let input = Usage { input: Some(bytes / 4), output: Some(0), ..Usage::default() };
        let next = cost(model, &input).map_or(0.0, |cost| cost.total());
        let spent = self.totals.cost.map_or(0.0, |cost| cost.total());
        if spent + next > most {
            let what = format!("${spent:.4} spent and about ${next:.4} for the next request");
            return Err(reached(&what, "--max-cost"));
        }
        Ok(())
    }
}

/// A limit of the run was reached.
pub(super) fn reached(what: &str, flag: &str) -> Failure {
    Failure::new(Exit::Limit, format!("the limit is reached after {what}: raise {flag}")).class("limit")
}

impl Totals {
    /// Adds a turn.
    pub(super) fn add(&mut self, usage: &Usage, cost: Option<Cost>) {
        let sum = |a: Option<u64>, b: Option<u64>| match (a, b) {
            (None, None) => None,
            (a, b) => Some(a.unwrap_or(0).saturating_add(b.unwrap_or(0))),
        };
        let total = &mut self.usage;
        total.input = sum(total.input, usage.input);
        total.cache_read = sum(total.cache_read, usage.cache_read);
        total.cache_write = sum(total.cache_write, usage.cache_write);
        total.output = sum(total.output, usage.output);
        total.reasoning = sum(total.reasoning, usage.reasoning);
        self.cost = match (self.cost, cost) {
            (None, cost) if self.turns == 0 => cost,
            (Some(a), Some(b)) => Some(a + b),
            // One turn of unknown price makes the sum unknown: never a guess.
            _ => None,
        };
    }
}
