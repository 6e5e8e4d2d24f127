//! The sums. Every figure that the table or the JSON shows is here, and nothing of how they look.

use std::collections::BTreeMap;

use serde::{Serialize, Serializer};

use crate::base::failure::Result;
use crate::review::runs::{Run, Start};
use crate::transcript::entry::{Assistant, Prune, Request, RunEnd, ToolResultEntry};
use crate::transcript::{Entry, Line, UsageLine};

/// What many runs did.
#[derive(Debug, Default, Serialize)]
pub(super) struct Totals {
    pub files: u64,
    pub runs: Runs,
    pub turns: u64,
    pub retries: u64,
    pub tokens: Tokens,
    /// Of the runs whose price is known; null if that is none.
    pub cost_usd: Option<f64>,
    /// Runs that used tokens whose price is not known.
    pub runs_without_cost: u64,
    pub tools: BTreeMap<String, Tool>,
    pub models: BTreeMap<String, Model>,
    /// Failed attempts by the class of error.
    pub api_errors: BTreeMap<String, u64>,
    pub prunes: Prunes,
    pub latency_ms: Latency,
    /// Waited before attempts, in milliseconds.
    pub wait_ms: u64,
}

/// Runs by how they ended.
#[derive(Debug, Default, Serialize)]
pub(super) struct Runs {
    pub total: u64,
    /// Those without a result.
    pub crashed: u64,
    pub by_status: BTreeMap<String, u64>,
    pub by_exit_code: BTreeMap<u8, u64>,
}

#[derive(Debug, Clone, Copy, Default, Serialize)]
pub(super) struct Tokens {
    pub input: u64,
    pub cache_read: u64,
    pub cache_write: u64,
    pub output: u64,
    pub reasoning: u64,
    pub total: u64,
}

#[derive(Debug, Default, Serialize)]
pub(super) struct Tool {
    pub calls: u64,
    pub ok: u64,
    pub error: u64,
    pub denied: u64,
    /// What failed calls say.
    pub errors: BTreeMap<String, u64>,
    pub duration_ms: Times,
}

#[derive(Debug, Default, Serialize)]
pub(super) struct Model {
    pub turns: u64,
    pub requests: u64,
    pub errors: u64,
    pub tokens: Tokens,
    pub cost_usd: Option<f64>,
    pub request_ms: Times,
}

#[derive(Debug, Default, Serialize)]
pub(super) struct Prunes {
    pub count: u64,
    pub tokens_removed: u64,
}

#[derive(Debug, Default, Serialize)]
pub(super) struct Latency {
    pub first_byte: Times,
    pub request: Times,
    pub run: Times,
}

/// Durations in milliseconds. Each is kept, four bytes of it, so that percentiles are exact.
#[derive(Debug, Default)]
pub(super) struct Times(Vec<u32>);

/// What is said of durations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(super) struct Summary {
    pub count: usize,
    pub p50: u32,
    pub p90: u32,
    pub p99: u32,
    pub max: u32,
}

impl Times {
    pub(super) fn add(&mut self, ms: u64) {
        self.0.push(u32::try_from(ms).unwrap_or(u32::MAX));
    }

    /// By nearest rank; none without a duration.
    pub(super) fn summary(&self) -> Option<Summary> {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        let rank = |percent: usize| sorted.get((sorted.len() * percent).div_ceil(100).saturating_sub(1)).copied();
        let (p50, p90, p99, max) = (rank(50)?, rank(90)?, rank(99)?, rank(100)?);
        Some(Summary { count: sorted.len(), p50, p90, p99, max })
    }
}

impl Serialize for Times {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        self.summary().serialize(serializer)
    }
}

impl From<&UsageLine> for Tokens {
    fn from(usage: &UsageLine) -> Self {
        Self {
            input: usage.input,
            cache_read: usage.cache_read,
            cache_write: usage.cache_write,
            output: usage.output,
            reasoning: usage.reasoning.unwrap_or(0),
            total: usage.total_tokens,
        }
    }
}

impl Tokens {
    fn add(&mut self, other: &Self) {
        let add = |sum: &mut u64, more: u64| *sum = sum.saturating_add(more);
        add(&mut self.input, other.input);
        add(&mut self.cache_read, other.cache_read);
        add(&mut self.cache_write, other.cache_write);
        add(&mut self.output, other.output);
        add(&mut self.reasoning, other.reasoning);
        add(&mut self.total, other.total);
    }
}

fn add_cost(sum: &mut Option<f64>, cost: Option<f64>) {
    if let Some(cost) = cost {
        *sum = Some(sum.unwrap_or(0.0) + cost);
    }
}

/// What is known of a run: counted until its `result` says it, or for ever if it crashed.
#[derive(Debug, Default)]
pub(super) struct Tally {
    finished: bool,
    turns: u64,
    retries: u64,
    tokens: Tokens,
    cost: Option<f64>,
    unpriced: bool,
}

impl Run<Totals> for Tally {
    fn begin(_: &Start<'_>, totals: &mut Totals) -> Self {
        totals.runs.total += 1;
        Self::default()
    }

    fn line(&mut self, line: &Line, totals: &mut Totals) -> Result<()> {
        match &line.entry {
            Entry::Request(request) => {
                self.retries += u64::from(request.attempt > 1);
                totals.request(request);
            }
            Entry::Assistant(turn) => self.turn(turn, totals),
            Entry::ToolResult(result) => totals.tool_result(result),
            Entry::Prune(Prune { tokens_before, tokens_after, .. }) => {
                totals.prunes.count += 1;
                let removed = tokens_before.saturating_sub(*tokens_after);
                totals.prunes.tokens_removed = totals.prunes.tokens_removed.saturating_add(removed);
            }
            Entry::Result(end) => self.result(end, totals),
            Entry::Session(_) | Entry::Context(_) | Entry::User(_) | Entry::Unknown(_) => {}
        }
        Ok(())
    }

    fn end(self, totals: &mut Totals) -> Result<()> {
        if !self.finished {
            totals.runs.crashed += 1;
        }
        totals.turns = totals.turns.saturating_add(self.turns);
        totals.retries = totals.retries.saturating_add(self.retries);
        totals.tokens.add(&self.tokens);
        let cost = self.cost.filter(|_| !self.unpriced);
        add_cost(&mut totals.cost_usd, cost);
        totals.runs_without_cost += u64::from(cost.is_none() && self.tokens.total > 0);
        Ok(())
    }
}

impl Tally {
    fn turn(&mut self, turn: &Assistant, totals: &mut Totals) {
        let whole = u64::from(turn.error_message.is_none());
        self.turns += whole;
        let model = totals.models.entry(format!("{}/{}", turn.provider, turn.model)).or_default();
        model.turns += whole;
        let Some(usage) = &turn.usage else { return };
        let (tokens, cost) = (Tokens::from(usage), usage.cost.map(|cost| cost.total));
        model.tokens.add(&tokens);
        self.tokens.add(&tokens);
        add_cost(&mut model.cost_usd, cost);
        add_cost(&mut self.cost, cost);
        self.unpriced |= cost.is_none();
    }

    /// The run's own sums replace what was counted.
    fn result(&mut self, end: &RunEnd, totals: &mut Totals) {
        *totals.runs.by_status.entry(end.status.clone()).or_default() += 1;
        *totals.runs.by_exit_code.entry(end.exit_code).or_default() += 1;
        totals.latency_ms.run.add(end.duration_ms);
        *self = Self {
            turns: end.turns,
            retries: end.retries,
            tokens: Tokens::from(&end.usage),
            cost: end.cost_usd,
            unpriced: end.cost_usd.is_none(),
            finished: true,
        };
    }
}

impl Totals {
    fn request(&mut self, request: &Request) {
        self.wait_ms = self.wait_ms.saturating_add(request.wait_ms);
        let model = self.models.entry(format!("{}/{}", request.provider, request.model)).or_default();
        model.requests += 1;
        if let Some(error) = &request.error {
            model.errors += 1;
            *self.api_errors.entry(error.class.clone()).or_default() += 1;
            return;
        }
        model.request_ms.add(request.duration_ms);
        self.latency_ms.request.add(request.duration_ms);
        if let Some(ms) = request.ttft_ms {
            self.latency_ms.first_byte.add(ms);
        }
    }

    fn tool_result(&mut self, result: &ToolResultEntry) {
        let tool = self.tools.entry(result.tool.clone()).or_default();
        tool.calls += 1;
        match (result.is_error, result.details.denied) {
            (_, true) => tool.denied += 1,
            (true, false) => tool.error += 1,
            (false, false) => tool.ok += 1,
        }
        if result.is_error {
            let code = result.details.code.clone().unwrap_or_else(|| "failed".to_owned());
            *tool.errors.entry(code).or_default() += 1;
        }
        if let Some(duration) = result.details.duration_ms {
            tool.duration_ms.add(duration);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_durations_that_occurred() {
        let times = |list: &[u64]| {
            let mut times = Times::default();
            for ms in list {
                times.add(*ms);
            }
            times.summary().map(|s| (s.count, s.p50, s.p90, s.p99, s.max))
        };
        assert_eq!(times(&[]), None);
        assert_eq!(times(&[7]), Some((1, 7, 7, 7, 7)));
        assert_eq!(times(&[4, 2, 1, 3]), Some((4, 2, 4, 4, 4)));
        let hundred: Vec<u64> = (1..=100).rev().collect();
        assert_eq!(times(&hundred), Some((100, 50, 90, 99, 100)));
        assert_eq!(times(&[u64::MAX]).map(|t| t.1), Some(u32::MAX));
    }
}
