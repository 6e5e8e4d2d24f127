//! The pace against simulated servers: many runs at once, in virtual time.

use std::collections::BinaryHeap;
use std::time::Duration;

use super::*;

/// How a simulated server counts.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    /// A bucket of `burst`, refilled evenly.
    Bucket { burst: f64 },
    /// So many in each second.
    Window,
    /// So many in any second.
    Sliding,
}

struct Server {
    kind: Kind,
    rate: f64,
    announces: bool,
    retry_after: Option<u64>,
    level: f64,
    at: u64,
    taken: Vec<u64>,
}

impl Server {
    fn new(kind: Kind, announces: bool, retry_after: Option<u64>) -> Self {
        let level = if let Kind::Bucket { burst } = kind { burst } else { 0.0 };
        Self { kind, rate: 10.0, announces, retry_after, level, at: 0, taken: Vec::new() }
    }

    fn asks(&mut self, now: u64) -> (bool, Announced) {
        let (limit, left, reset) = match self.kind {
            Kind::Bucket { burst } => {
                self.level = (self.level + float(now - self.at) * self.rate / 1000.0).min(burst);
                self.at = now;
                (burst, self.level, (burst - self.level + 1.0) / self.rate)
            }
            Kind::Window => {
                let used = self.taken.iter().filter(|at| **at / 1000 == now / 1000).count();
                (self.rate, self.rate - f64::from(u32::try_from(used).unwrap()), float(1000 - now % 1000) / 1000.0)
            }
            Kind::Sliding => {
                let used = self.taken.iter().filter(|at| **at + 1000 > now).count();
                (self.rate, self.rate - f64::from(u32::try_from(used).unwrap()), 1.0)
            }
        };
        let passes = left >= 1.0;
        if passes {
            self.level -= 1.0;
            self.taken.push(now);
        }
        let remaining = if passes { left - 1.0 } else { 0.0 }.floor();
        let budget = Budget { limit, remaining, reset: Duration::from_secs_f64(reset) };
        (passes, Announced { requests: self.announces.then_some(budget), tokens: None })
    }
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum What {
    Ask,
    Confirm(usize),
    Reach(usize),
    Report(usize),
}

#[derive(Debug)]
struct Outcome {
    done: usize,
    failed: usize,
    refusals: usize,
    end: u64,
}

/// `runs` runs that start within a second, each with four retries; `shared` is whether they share the pace.
fn simulate(mut server: Server, runs: usize, shared: bool, seed: u64) -> Outcome {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut paces = vec![Pace::default(); if shared { 1 } else { runs }];
    let mut starts: Vec<(Start, bool, Announced)> = Vec::new();
    let mut events: BinaryHeap<std::cmp::Reverse<(u64, What, usize, u32)>> = (0..runs)
        .map(|run| std::cmp::Reverse((1_000_000 + run as u64 * 10 + random.u64(0..10), What::Ask, run, 1)))
        .collect();
    let mut outcome = Outcome { done: 0, failed: 0, refusals: 0, end: 0 };
    // Nothing is shared before a server has limits to speak of.
    let mut sharing = !shared || server.announces;
    while let Some(std::cmp::Reverse((now, what, run, attempt))) = events.pop() {
        let mut fresh = Pace::default();
        let pace = if sharing { &mut paces[if shared { 0 } else { run }] } else { &mut fresh };
        let mut next = |at, what, attempt| events.push(std::cmp::Reverse((at, what, run, attempt)));
        match what {
            What::Ask => match pace.reserve(now, 10.0, OwnLimits::default(), random.f64()) {
                Turn::Later { wait, .. } => next(now + wait, What::Ask, attempt),
                Turn::At(start) => {
                    starts.push((start, false, Announced::default()));
                    next(start.at.max(now), What::Confirm(starts.len() - 1), attempt);
                }
            },
            What::Confirm(id) if !pace.holds(starts[id].0) => next(now, What::Ask, attempt),
            What::Confirm(id) => next(now + random.u64(2..20), What::Reach(id), attempt),
            What::Reach(id) => {
                (starts[id].1, starts[id].2) = server.asks(now);
                next(now + random.u64(2..20), What::Report(id), attempt);
            }
            What::Report(id) => {
                let (start, passes, announced) = starts[id].clone();
                outcome.end = now;
                if passes {
                    pace.accepted(now, start, &announced);
                    outcome.done += 1;
                    continue;
                }
                outcome.refusals += 1;
                sharing = true;
                let pace = &mut paces[if shared { 0 } else { run }];
                pace.refused(now, start, &announced, server.retry_after);
                if attempt > 4 {
                    outcome.failed += 1;
                    continue;
                }
                let backoff = 1000 * (1 << (attempt - 1).min(3));
                let jittered = whole(float(backoff) * (0.5 + random.f64()));
                next(now + server.retry_after.unwrap_or(jittered), What::Ask, attempt + 1);
            }
        }
    }
    outcome.end -= 1_000_000;
    outcome
}

#[test]
fn a_hundred_runs_keep_to_ten_a_second_however_the_server_counts_and_whatever_it_says() {
    for kind in [Kind::Bucket { burst: 10.0 }, Kind::Window, Kind::Sliding] {
        for announces in [true, false] {
            for retry_after in [None, Some(1000)] {
                let mut sum = 0;
                for seed in 0..5 {
                    let together = simulate(Server::new(kind, announces, retry_after), 100, true, seed);
                    assert_eq!(together.done, 100, "{kind:?} {announces} {retry_after:?} {seed}: {together:?}");
                    sum += together.end;
                }
                // At least nine seconds, and the last run begins after one.
                // A server that counts in any second and yet sends everybody away for a whole one wastes
                // some time; the others are kept to within 1.3 of what is possible.
                let most = if (kind, announces) == (Kind::Sliding, false) { 14_500 } else { 13_000 };
                assert!(sum / 5 < most, "{kind:?} {announces} {retry_after:?}: {}", sum / 5);
            }
        }
    }
}

#[test]
fn a_server_without_any_burst_is_slow_but_fails_nobody() {
    for announces in [true, false] {
        for retry_after in [None, Some(100), Some(1000)] {
            let outcome = simulate(Server::new(Kind::Bucket { burst: 1.0 }, announces, retry_after), 100, true, 7);
            assert_eq!(outcome.done, 100, "{announces} {retry_after:?}: {outcome:?}");
        }
    }
}

#[test]
fn without_a_shared_pace_many_more_are_refused() {
    let [alone, together] =
        [false, true].map(|shared| simulate(Server::new(Kind::Bucket { burst: 10.0 }, false, None), 100, shared, 1));
    assert!(alone.refusals > 5 * together.refusals, "{alone:?} {together:?}");
}

fn own(requests: Option<u64>, tokens: Option<u64>) -> OwnLimits {
    OwnLimits { requests, tokens }
}

fn start(turn: Turn) -> Start {
    match turn {
        Turn::At(start) => start,
        Turn::Later { wait, .. } => panic!("later by {wait}"),
    }
}

#[test]
fn own_limits_space_requests_and_tokens_evenly() {
    let mut pace = Pace::default();
    let at = |pace: &mut Pace, own| start(pace.reserve(1_000_000, 500.0, own, 0.5)).at - 1_000_000;
    assert_eq!([0, 0, 0].map(|_| at(&mut pace, own(Some(60), None))), [0, 1000, 2000]);
    let mut pace = Pace::default();
    assert_eq!([0, 0, 0].map(|_| at(&mut pace, own(None, Some(15_000)))), [0, 2000, 4000]);
    assert!(matches!(pace.reserve(1_000_000, 1.0, own(None, Some(15_000)), 0.5), Turn::Later { .. }));
}

#[test]
fn what_a_request_really_took_counts() {
    let mut pace = Pace::default();
    let limits = own(None, Some(60_000));
    let first = start(pace.reserve(1_000_000, 1000.0, limits, 0.5));
    pace.used(1_000_000, first, 3000.0, limits);
    assert_eq!(start(pace.reserve(1_000_000, 1.0, limits, 0.5)).at, 1_003_000);
}

#[test]
fn a_refusal_makes_everybody_wait_and_voids_what_was_given_out() {
    let mut pace = Pace::default();
    let first = start(pace.reserve(1_000_000, 1.0, OwnLimits::default(), 0.5));
    pace.refused(1_000_000, first, &Announced::default(), Some(3000));
    assert!(!pace.holds(first));
    assert_eq!(start(pace.reserve(1_000_100, 1.0, OwnLimits::default(), 0.5)).at, 1_003_000);
    pace.refused(1_000_200, first, &Announced::default(), Some(3_600_000));
    let next = start(pace.reserve(1_004_000, 1.0, OwnLimits::default(), 0.5));
    assert!(next.at < 1_010_000, "an hour is for the one who was told so: {next:?}");
}

#[test]
fn an_announced_limit_is_kept_before_it_is_reached() {
    let mut pace = Pace::default();
    let first = start(pace.reserve(1_000_000, 1.0, OwnLimits::default(), 0.5));
    let budget = Budget { limit: 60.0, remaining: 2.0, reset: Duration::from_secs(58) };
    pace.accepted(1_000_000, first, &Announced { requests: Some(budget), tokens: None });
    let mut next = || start(pace.reserve(1_000_000, 1.0, OwnLimits::default(), 0.5)).at - 1_000_000;
    assert_eq!([next(), next(), next(), next()], [0, 0, 1000, 2000]);
}

#[test]
fn times_that_no_clock_of_this_machine_can_have_said_stop_nobody() {
    let far = u64::MAX / 4;
    let mut pace = Pace {
        last_start: far,
        tokens_free: far,
        pause: (far, far),
        requests: Some(Bucket { limit: 1.0, level: f64::MIN, at: far, inflow: f64::MIN_POSITIVE, longest: 1.0 }),
        learned: Some(Learned { rate: f64::NAN, slot: far, born: far, lowered: far, refused: far, probing: true }),
        ..Pace::default()
    };
    let mut waited = 0;
    while let Turn::Later { wait, .. } = pace.reserve(1_000_000 + waited, 1.0, OwnLimits::default(), 0.5) {
        waited += wait;
    }
    assert!(waited < 61_000, "{waited}");
}

#[test]
fn a_run_that_is_refused_first_waits_as_long_as_it_was_told_and_no_longer() {
    for wait in [1, 20, 1000, 5000] {
        let mut pace = Pace::default();
        let first = start(pace.reserve(1_000_000, 1.0, OwnLimits::default(), 0.5));
        pace.refused(1_000_000, first, &Announced::default(), Some(wait));
        assert_eq!(start(pace.reserve(1_000_000 + wait, 1.0, OwnLimits::default(), 0.5)).at, 1_000_000 + wait);
    }
}

#[test]
fn other_rates_are_found_too() {
    for (rate, runs) in [(3.0, 40), (30.0, 150)] {
        for kind in [Kind::Bucket { burst: rate }, Kind::Window, Kind::Sliding] {
            for announces in [true, false] {
                for retry_after in [None, Some(1000)] {
                    let server = Server { rate, ..Server::new(kind, announces, retry_after) };
                    let outcome = simulate(server, runs, true, 3);
                    assert_eq!(outcome.failed, 0, "{rate} {kind:?} {announces} {retry_after:?}: {outcome:?}");
                    assert!(outcome.end < 25_000, "{rate} {kind:?} {announces} {retry_after:?}: {outcome:?}");
                }
            }
        }
    }
}

#[test]
fn a_later_turn_says_when_it_will_come_as_far_as_is_known() {
    let mut pace = Pace { pause: (1_000_000, 1_012_000), ..Pace::default() };
    let Turn::Later { wait, at } = pace.reserve(1_000_000, 1.0, OwnLimits::default(), 0.5) else { panic!("at once") };
    assert_eq!((wait, at), (5000, 1_012_000));
}

#[test]
fn a_request_of_more_than_a_minutes_tokens_takes_a_minute() {
    let (now, limits) = (1_000_000, own(None, Some(1000)));
    let mut pace = Pace::default();
    let first = start(pace.reserve(now, 9000.0, limits, 0.5));
    assert!(matches!(pace.reserve(now, 1.0, limits, 0.5), Turn::Later { at: 1_060_000, .. }));
    pace.used(now, first, 500_000.0, limits);
    assert!(matches!(pace.reserve(now, 1.0, limits, 0.5), Turn::Later { at: 1_060_000, .. }));
}

/// Whatever a damaged ledger holds, a run starts within the longest wait that a server or a user's limit can cause.
#[test]
fn no_number_that_cannot_be_stalls_a_run() {
    let now = 1_000_000_000;
    let learned =
        |slot, refused| Learned { rate: 1.0, slot, born: u64::MAX, lowered: u64::MAX, refused, probing: true };
    for far in [u64::MAX, 1 << 63, now + 3_600_000, now + 70_000] {
        let damaged = [
            Pace { tokens_free: far, ..Pace::default() },
            Pace { last_start: far, ..Pace::default() },
            Pace { pause: (far, far), ..Pace::default() },
            Pace { pause: (0, far), ..Pace::default() },
            Pace { learned: Some(learned(far, now)), ..Pace::default() },
            Pace { learned: Some(learned(far, far)), ..Pace::default() },
            Pace { starts: [(far, 1.0)].into(), accepted: [far].into(), epoch: u64::MAX, ..Pace::default() },
        ];
        for mut pace in damaged {
            let turn = pace.reserve(now, 1.0, own(Some(60_000), Some(60_000)), 0.5);
            let Turn::At(given) = turn else { panic!("{far}: {turn:?}, {pace:?}") };
            assert_eq!(given.at, now, "{far}: {pace:?}");
            pace.refused(now, given, &Announced::default(), None);
            pace.used(now, given, 5.0, own(None, Some(60_000)));
        }
    }
}
