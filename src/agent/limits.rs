//! The limits of a run, asked before every request.

use std::time::Duration;

use super::Agent;
use crate::base::exit::Exit;
use crate::base::failure::{Failure, Result};
use crate::chat::Usage;
use crate::wire::cost;

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
    /// Shortly before that the model is asked for what it has.
    pub last_words: bool,
}

impl Agent<'_> {
    /// Fails if a limit is reached.
    pub(super) fn check_limits(&self) -> Result<()> {
        if let Some(stop) = self.stop.stopped() {
            return Err(stop.into());
        }
        if self.limits.turns.is_some_and(|most| self.totals.turns >= most) {
            return Err(reached(&format!("{} turns", self.totals.turns), "--max-turns"));
        }
        let used = self.totals.tokens;
        if self.limits.run_tokens.is_some_and(|most| used >= most) {
            return Err(reached(&format!("{used} tokens"), "--max-run-tokens"));
        }
        Ok(())
    }

    /// Fails if the cost so far and of the next request's input would go over the limit.
    pub(super) fn check_cost(&self) -> Result<()> {
        let (Some(most), Some(model), false) = (self.limits.cost, self.model, self.free) else { return Ok(()) };
        let input = Usage { input: Some(self.budget.tokens()), output: Some(0), ..Usage::default() };
        let next = cost(model, &input).map_or(0.0, |cost| cost.total());
        let spent = match self.totals.cost {
            Some(cost) => cost.total(),
            None if self.totals.turns == 0 => 0.0,
            None => {
                let what = "--max-cost cannot be kept: what the last turn cost is not known";
                return Err(Failure::new(Exit::Limit, what).class("limit"));
            }
        };
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
