//! Lets requests through one by one as the limits allow: waits where the pace says so, and tells the pace what the
//! servers said. The pace is the shared one where there is a ledger, else this run's own.

use std::time::Duration;

use super::Listener;
use super::ledger::{Ledger, Trouble};
use super::throttle::{OwnLimits, Pace, Start, Turn, float};
use crate::base::clock;
use crate::base::stop::{Stop, Stopper};
use crate::chat::Usage;
use crate::wire::{Announced, ApiError, ErrorClass};

/// Milliseconds below which a wait is not worth a line.
pub(super) const WORTH_A_LINE: u64 = 500;

/// The way to the network for one conversation.
#[derive(Debug)]
pub(super) struct Turnstile {
    own: OwnLimits,
    ledger: Option<Ledger>,
    pace: Pace,
    stop: Stopper,
}

impl Turnstile {
    pub(super) fn new(own: OwnLimits, ledger: Option<Ledger>, stop: Stopper) -> Self {
        Self { own, ledger, pace: Pace::default(), stop }
    }

    /// Waits until a request of about `tokens` may start, and adds that to `waited`.
    ///
    /// # Errors
    /// The run was stopped.
    pub(super) fn pass(
        &mut self,
        tokens: u64,
        waited: &mut Duration,
        listener: &mut dyn Listener,
    ) -> Result<Start, Stop> {
        let own = self.own;
        let mut told = 0;
        loop {
            let turn = self
                .change(self.has_own(), listener, |pace, now| pace.reserve(now, float(tokens), own, fastrand::f64()));
            let now = clock::monotonic_millis();
            let (wait, at) = match turn {
                Turn::At(start) if start.at <= now && self.stop.stopped().is_none() => return Ok(start),
                Turn::At(start) => (start.at.saturating_sub(now), start.at),
                Turn::Later { wait, at } => (wait, at),
            };
            // What was said holds, unless others have made the wait longer.
            if at >= now.max(told) + WORTH_A_LINE {
                told = at;
                listener.waits(Duration::from_millis(at - now));
            }
            let wait = Duration::from_millis(wait);
            let since = clock::now();
            let stop = self.stop.sleep(wait);
            *waited += since.elapsed();
            if let Turn::At(start) = turn {
                if stop.is_none() && self.change(false, listener, |pace, _| pace.holds(start)) {
                    return Ok(start);
                }
                self.took(start, 0.0, listener);
            }
            if let Some(stop) = stop {
                return Err(stop);
            }
        }
    }

    /// The head of a reply came: the request was accepted.
    pub(super) fn accepted(&mut self, start: Start, announced: &Announced, listener: &mut dyn Listener) {
        let create = self.has_own() || *announced != Announced::default();
        self.change(create, listener, |pace, now| pace.accepted(now, start, announced));
    }

    /// The request has ended.
    pub(super) fn ended(
        &mut self,
        start: Start,
        announced: &Announced,
        error: Option<&ApiError>,
        usage: &Usage,
        listener: &mut dyn Listener,
    ) {
        if let Some(error) = error.filter(|error| error.class == ErrorClass::RateLimit) {
            let asked = error.retry_after.map(|wait| u64::try_from(wait.as_millis()).unwrap_or(u64::MAX));
            self.change(true, listener, |pace, now| pace.refused(now, start, announced, asked));
            self.took(start, 0.0, listener);
        } else if let (Some(input), Some(output)) = (usage.input, usage.output) {
            self.took(start, float(input.saturating_add(output)), listener);
        }
    }

    /// The request that was to start then did not reach a server.
    pub(super) fn unsent(&mut self, start: Start, listener: &mut dyn Listener) {
        self.took(start, 0.0, listener);
    }

    /// What a request really took of `--tpm`.
    fn took(&mut self, start: Start, tokens: f64, listener: &mut dyn Listener) {
        let own = self.own;
        if own.tokens.is_some() {
            self.change(true, listener, |pace, now| pace.used(now, start, tokens, own));
        }
    }

    /// The user set limits, which other runs have to know.
    fn has_own(&self) -> bool {
        self.own.requests.is_some() || self.own.tokens.is_some()
    }

    /// Changes the shared pace, or this run's own as long as there is no shared one; `create` makes one.
    fn change<T>(&mut self, create: bool, listener: &mut dyn Listener, change: impl FnOnce(&mut Pace, u64) -> T) -> T {
        let locked = match self.ledger.as_ref().map(|ledger| ledger.lock(create, &self.stop)) {
            Some(Ok((locked, pace))) => {
                self.pace = pace.unwrap_or_else(|| std::mem::take(&mut self.pace));
                Ok(Some(locked))
            }
            Some(Err(Trouble::Absent)) | None => Ok(None),
            Some(Err(trouble)) => Err(trouble),
        };
        let value = change(&mut self.pace, clock::monotonic_millis());
        let saved = locked.and_then(|locked| locked.map_or(Ok(()), |locked| locked.save(&self.pace)));
        if let Err(trouble) = saved {
            self.ledger = None;
            if let Trouble::Because(why) = trouble {
                listener.note(&format!("rate limits are not shared between runs (--no-shared-limits): {why}"));
            }
        }
        value
    }
}
