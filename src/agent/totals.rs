//! What a run has used so far.

use crate::chat::{ToolResult, Usage};
use crate::transcript::ToolCounts;
use crate::wire::Cost;

/// Sums over all attempts and calls of a run.
#[derive(Debug, Clone, Copy, Default)]
pub struct Totals {
    /// Requests that were answered.
    pub turns: u64,
    /// Tool calls.
    pub tool_calls: ToolCounts,
    /// Attempts beyond the first of each turn.
    pub retries: u64,
    /// How often the history was shortened.
    pub prunes: u64,
    /// Tokens as the server counted them.
    pub usage: Usage,
    /// Tokens for the limit: where the server did not count them, they are estimated.
    pub tokens: u64,
    /// What it cost, where every price and count was known.
    pub cost: Option<Cost>,
    /// Something has been added.
    begun: bool,
}

impl Totals {
    /// Adds an attempt; `estimate` stands for a prompt that the server did not count.
    pub(super) fn add(&mut self, usage: &Usage, cost: Option<Cost>, estimate: u64) {
        let sum = |a: Option<u64>, b: Option<u64>| match (a, b) {
            (None, None) => None,
            (a, b) => Some(a.unwrap_or(0).saturating_add(b.unwrap_or(0))),
        };
        self.tokens =
            self.tokens.saturating_add(usage.input.unwrap_or(estimate)).saturating_add(usage.output.unwrap_or(0));
        let total = &mut self.usage;
        total.input = sum(total.input, usage.input);
        total.cache_read = sum(total.cache_read, usage.cache_read);
        total.cache_write = sum(total.cache_write, usage.cache_write);
        total.output = sum(total.output, usage.output);
        total.reasoning = sum(total.reasoning, usage.reasoning);
        if estimate == 0 && *usage == Usage::default() {
            // An attempt that reached no model costs nothing.
            return;
        }
        self.cost = match (self.cost, cost) {
            (None, cost) if !self.begun => cost,
            (Some(a), Some(b)) => Some(a + b),
            // One attempt of unknown price makes the sum unknown: never a guess.
            _ => None,
        };
        self.begun = true;
    }

    /// Counts a tool call by how it ended.
    pub(super) fn count(&mut self, result: &ToolResult) {
        match result {
            _ if result.detail.denied.is_some() => self.tool_calls.denied += 1,
            _ if result.is_error => self.tool_calls.error += 1,
            _ => self.tool_calls.ok += 1,
        }
    }
}
