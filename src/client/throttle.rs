//! When the next request may start, as values: it is told the time, what the servers announce and what they refuse,
//! and gives out starts. All runs of one user with one key share it through the ledger; it knows neither files nor
//! clocks. Times are milliseconds of a clock that never goes back.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::wire::{Announced, Budget};

/// A start is given out at most this long before it comes, so that a run which dies while it waits wastes little.
const HORIZON: u64 = 5_000;
/// The longest wait that a server is granted; above it the server may say so itself.
const LONGEST: u64 = 60_000;
/// How long a refusal is remembered after the last one.
const MEMORY: u64 = 60_000;
/// Refusals within this time are one event.
const EVENT: u64 = 1_000;
/// The most starts and accepted requests that are remembered.
const MOST: usize = 256;
/// Requests a second: a lower pace is not learned from refusals alone.
const SLOWEST: f64 = 0.05;
/// Requests a second, where a refusal is the first that is heard of a limit.
const GUESS: f64 = 10.0;

/// The limits that the user set.
#[derive(Debug, Clone, Copy, Default)]
pub struct OwnLimits {
    /// `--rpm`: requests a minute, evenly spaced.
    pub requests: Option<u64>,
    /// `--tpm`: tokens a minute.
    pub tokens: Option<u64>,
}

/// A start that was given out.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Start {
    /// When.
    pub at: u64,
    /// What the request was estimated at.
    pub tokens: f64,
    epoch: u64,
}

/// The answer to the wish to start.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Turn {
    /// Wait until this start, then have it confirmed.
    At(Start),
    /// Ask again after `wait` milliseconds; as far as is known now the start will be `at`.
    Later { wait: u64, at: u64 },
}

/// What is known of the limits of one key at one origin.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Pace {
    /// Starts of an earlier epoch are void.
    epoch: u64,
    /// The last start given out, for `--rpm`.
    last_start: u64,
    /// When what was sent fits `--tpm` again.
    tokens_free: u64,
    /// A server asked everybody to wait, from and until.
    pause: (u64, u64),
    /// The pace that refusals without announcements have taught.
    learned: Option<Learned>,
    /// When requests were accepted.
    accepted: VecDeque<u64>,
    /// Starts given out, with their tokens.
    starts: VecDeque<(u64, f64)>,
    requests: Option<Bucket>,
    tokens: Option<Bucket>,
}

/// A pace learned from refusals.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Learned {
    /// Requests a second.
    rate: f64,
    /// The last start in an even schedule; after a pause it lags behind, and what was missed is made up for.
    slot: u64,
    born: u64,
    /// When the pace was last lowered.
    lowered: u64,
    /// When a request was last refused.
    refused: u64,
    /// The pace was never too high yet, so it may rise fast.
    probing: bool,
}

/// An announced limit, refilled evenly.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Bucket {
    limit: f64,
    level: f64,
    /// When `level` held.
    at: u64,
    /// What flows in, a millisecond.
    inflow: f64,
    /// The longest time to the reset that was announced.
    longest: f64,
}

impl Bucket {
    /// What an announcement says, less what was sent after the request that it answers.
    fn update(known: Option<&Self>, budget: Budget, later: f64, now: u64) -> Option<Self> {
        let known = known.filter(|bucket| (bucket.limit - budget.limit).abs() < 0.5);
        let reset = budget.reset.as_secs_f64() * 1000.0;
        let longest = known.map_or(reset, |bucket| bucket.longest.max(reset));
        // Where the limit is one of fixed windows, the second bound is the true pace.
        let inflow = ((budget.limit - budget.remaining) / reset).min(budget.limit / longest);
        let inflow = if inflow.is_finite() && inflow > 0.0 { inflow } else { known?.inflow };
        Some(Self { limit: budget.limit, level: budget.remaining - later, at: now, inflow, longest })
    }

    fn level(&self, now: u64) -> f64 {
        (self.level + float(now.saturating_sub(self.at)) * self.inflow).min(self.limit)
    }

    /// When `amount` will be there.
    fn earliest(&self, amount: f64, now: u64) -> u64 {
        let missing = amount.min(self.limit) - self.level(now);
        if missing <= 0.0 { now } else { now.saturating_add(whole((missing / self.inflow).ceil())) }
    }

    fn take(&mut self, amount: f64, now: u64) {
        self.level = self.level(now) - amount.min(self.limit);
        self.at = now;
    }
}

impl Pace {
    /// Gives out the next start for a request of about `tokens`, or says when to ask again; `random` is from 0 to 1.
    pub(super) fn reserve(&mut self, now: u64, tokens: f64, own: OwnLimits, random: f64) -> Turn {
        self.forget(now);
        let at = self.earliest_own(now, own).max(self.earliest_of_server(now, tokens));
        if at > now + HORIZON {
            let wait = (at - now - HORIZON).clamp(100, HORIZON);
            return Turn::Later { wait: whole(float(wait) * (0.75 + random / 2.0)), at };
        }
        self.last_start = self.last_start.max(at);
        if let Some(limit) = own.tokens {
            self.tokens_free = self.tokens_free.max(at) + milliseconds(tokens, limit);
        }
        if let Some(learned) = &mut self.learned {
            learned.slot = learned.next(now, self.pause);
        }
        for (bucket, amount) in [(&mut self.requests, 1.0), (&mut self.tokens, tokens)] {
            if let Some(bucket) = bucket {
                bucket.take(amount, now.max(self.pause.1));
            }
        }
        push(&mut self.starts, (at, tokens));
        Turn::At(Start { at, tokens, epoch: self.epoch })
    }

    /// Whether a start that was given out still holds.
    pub(super) fn holds(&self, start: Start) -> bool {
        start.epoch == self.epoch
    }

    fn earliest_own(&self, now: u64, own: OwnLimits) -> u64 {
        let spaced = |limit: u64| self.last_start + 60_000 / limit;
        let requests = own.requests.filter(|_| self.last_start > 0).map_or(now, spaced);
        let tokens = own.tokens.map_or(now, |_| self.tokens_free);
        now.max(requests).max(tokens)
    }

    fn earliest_of_server(&self, now: u64, tokens: f64) -> u64 {
        let learned = self.learned.as_ref().filter(|_| self.requests.is_none());
        let learned = learned.map_or(now, |learned| learned.next(now, self.pause));
        let from = now.max(self.pause.1);
        let requests = self.requests.as_ref().map_or(now, |bucket| bucket.earliest(1.0, from));
        let tokens = self.tokens.as_ref().map_or(now, |bucket| bucket.earliest(tokens, from));
        let announced = requests.max(tokens);
        // What would take longer than a server is granted is for the server to say.
        let announced = if announced > now + LONGEST { now } else { announced };
        self.pause.1.max(learned).max(announced)
    }

    /// A request that started at `start` was accepted, and the reply announced this.
    pub(super) fn accepted(&mut self, now: u64, start: Start, announced: &Announced) {
        push(&mut self.accepted, now);
        if let Some(learned) = &mut self.learned {
            learned.rate *= if learned.probing { 1.05 } else { 1.005 };
        }
        self.announced(now, start, announced);
    }

    /// A request that started at `start` was refused because of a rate limit.
    pub(super) fn refused(&mut self, now: u64, start: Start, announced: &Announced, retry_after: Option<u64>) {
        self.epoch = self.epoch.wrapping_add(1);
        self.starts.retain(|(at, _)| *at <= now);
        let from = if now < self.pause.1 { self.pause.0 } else { now };
        // A longer wait ends the run that was told so; the others may ask for themselves.
        let asked = retry_after.filter(|wait| *wait <= LONGEST).or_else(|| Some(exhausted(announced)?.min(EVENT)));
        self.pause = (from, self.pause.1.max(now + asked.unwrap_or(0)));
        self.learn(now, asked.unwrap_or(0).max(EVENT), from);
        self.announced(now, start, announced);
    }

    /// What a request that started at `start` really took; nothing, if it was not sent or not let in.
    pub(super) fn used(&mut self, now: u64, start: Start, tokens: f64, own: OwnLimits) {
        if let Some(limit) = own.tokens {
            let more = milliseconds((tokens - start.tokens).max(0.0), limit);
            let less = milliseconds((start.tokens - tokens).max(0.0), limit);
            self.tokens_free = self.tokens_free.saturating_add(more).min(now + LONGEST).saturating_sub(less);
        }
    }

    /// Estimates the pace that the server allows from what it accepted within `window`.
    fn learn(&mut self, now: u64, window: u64, from: u64) {
        let accepted = self.accepted.iter().filter(|at| **at + window > now).count();
        // Nothing accepted proves nothing: what came before the first refusal was not counted.
        let seen = match u32::try_from(accepted) {
            Ok(0) => GUESS,
            count => (f64::from(count.unwrap_or(u32::MAX)) * 1000.0 / float(window)).max(SLOWEST),
        };
        match &mut self.learned {
            None => {
                let first = Learned { rate: seen, slot: from, born: now, lowered: now, refused: now, probing: true };
                self.learned = Some(first);
            }
            Some(learned) => {
                if now < learned.born + EVENT {
                    learned.rate = learned.rate.max(seen);
                } else if now >= learned.lowered + EVENT {
                    learned.rate = (learned.rate * 0.9).min(seen.max(learned.rate / 2.0)).max(SLOWEST);
                    learned.lowered = now;
                    learned.probing = false;
                }
                learned.refused = now;
            }
        }
        if let Some(learned) = &mut self.learned {
            // Where nobody else got through, the next may start as soon as the server has said.
            learned.slot = if accepted == 0 { from.saturating_sub(learned.interval()) } else { from };
        }
    }

    fn announced(&mut self, now: u64, start: Start, announced: &Announced) {
        let later = || self.starts.iter().filter(|(at, _)| *at > start.at);
        if let Some(budget) = announced.requests {
            let sent = later().count();
            let sent = f64::from(u32::try_from(sent).unwrap_or(u32::MAX));
            self.requests = Bucket::update(self.requests.as_ref(), budget, sent, now);
        }
        if let Some(budget) = announced.tokens {
            let sent = later().map(|(_, tokens)| tokens).sum();
            self.tokens = Bucket::update(self.tokens.as_ref(), budget, sent, now);
        }
    }

    /// Drops what is too old to matter, and what cannot be: a time that lies further ahead than any of its kind is
    /// ever written is damage, and to believe even a part of it would stall the run.
    fn forget(&mut self, now: u64) {
        self.learned = self.learned.take().filter(|learned| learned.is_sound(now));
        self.accepted.retain(|at| *at <= now && now - at < MEMORY);
        let is_recent = |at: u64| at <= now + HORIZON && at + MEMORY > now;
        self.starts.retain(|(at, tokens)| is_recent(*at) && tokens.is_finite());
        self.pause =
            Some(self.pause).filter(|(from, until)| *from <= now && *until <= now + LONGEST).unwrap_or_default();
        // A start that is reserved in a pause counts from its end.
        let latest = now.max(self.pause.1);
        let sound = |bucket: &Bucket| {
            let numbers = [bucket.limit, bucket.level, bucket.inflow, bucket.longest];
            numbers.iter().all(|n| n.is_finite()) && bucket.inflow > 0.0 && bucket.at <= latest
        };
        self.requests = self.requests.take().filter(sound);
        self.tokens = self.tokens.take().filter(sound);
        self.last_start = Some(self.last_start).filter(|at| *at <= now + HORIZON).unwrap_or_default();
        self.tokens_free = Some(self.tokens_free).filter(|at| *at <= now + HORIZON + LONGEST).unwrap_or_default();
    }
}

/// Milliseconds until a limit that is used up is there again.
fn exhausted(announced: &Announced) -> Option<u64> {
    let budget = announced.requests.filter(|budget| budget.remaining < 1.0)?;
    u64::try_from(budget.reset.as_millis()).ok()
}

impl Learned {
    fn is_sound(&self, now: u64) -> bool {
        let past = [self.born, self.lowered, self.refused].iter().all(|at| *at <= now);
        let is_possible = self.rate.is_finite() && self.rate >= SLOWEST && self.slot <= now + HORIZON;
        past && is_possible && now - self.refused < MEMORY
    }

    /// The next start in the even schedule. What a pause has cost may be made up for after it, because the server's
    /// budget was refilled meanwhile.
    fn next(&self, now: u64, pause: (u64, u64)) -> u64 {
        let made_up = now.saturating_sub(pause.1.saturating_sub(pause.0));
        (self.slot + self.interval()).max(made_up)
    }

    fn interval(&self) -> u64 {
        whole(1000.0 / self.rate)
    }
}

/// How long so many tokens take of a limit a minute. A request of more than a minute's tokens is let through all the
/// same, and takes that minute.
fn milliseconds(tokens: f64, limit: u64) -> u64 {
    whole(tokens * 60_000.0 / float(limit)).min(LONGEST)
}

fn push<T>(queue: &mut VecDeque<T>, item: T) {
    if queue.len() >= MOST {
        queue.pop_front();
    }
    queue.push_back(item);
}

#[expect(clippy::cast_precision_loss, reason = "neither times nor counts are that large")]
pub(super) fn float(number: u64) -> f64 {
    number as f64
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the cast saturates, which is meant")]
fn whole(number: f64) -> u64 {
    (number as u64).min(1 << 50)
}

#[cfg(test)]
#[path = "throttle_test.rs"]
mod tests;
