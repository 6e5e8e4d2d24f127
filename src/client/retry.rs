//! When to try again, as a value: it decides and the caller sleeps. Constants as in the official SDKs, with more
//! patience, since nobody is there to press a key.

use std::time::Duration;

use crate::wire::{ApiError, ErrorClass};

/// The longest wait that a server is granted.
const LONGEST: Duration = Duration::from_secs(60);

/// How often and how long to wait.
#[derive(Debug, Clone, Copy)]
pub struct RetryPolicy {
    /// Attempts after the first.
    pub retries: u32,
}

/// The attempts of one question that have failed.
#[derive(Debug, Default)]
pub(super) struct Failures {
    all: u32,
    /// Successes without a reply in them.
    empty: u32,
    /// Replies that are none of the API.
    garbled: u32,
}

impl Failures {
    /// Counts a failure. Returns false if one more try after this one would be one too many for its kind.
    fn count(&mut self, class: ErrorClass) -> bool {
        self.all += 1;
        // An empty or garbled success is worth one more try, not the whole patience.
        let of_kind = match class {
            ErrorClass::Empty => &mut self.empty,
            ErrorClass::Protocol => &mut self.garbled,
            _ => return true,
        };
        *of_kind += 1;
        *of_kind == 1
    }
}

impl RetryPolicy {
    /// How long to wait before the next attempt, or `None` if there is to be none: the failure is for good, the
    /// attempts are used up, or the wait would not end before the deadline. `before` are the failures so far.
    pub(super) fn next(self, error: &ApiError, before: &mut Failures, remaining: Option<Duration>) -> Option<Duration> {
        let forgiven = before.count(error.class);
        if !error.retryable || !forgiven || before.all > self.retries {
            return None;
        }
        let delay = match error.retry_after {
            Some(asked) if asked > LONGEST => return None,
            // A date that is past may stand on a page that never changes: at once is for the first retry alone.
            Some(asked) if !asked.is_zero() || before.all == 1 => asked,
            _ => backoff(before.all, fastrand::f64()),
        };
        remaining.is_none_or(|left| delay < left).then_some(delay)
    }
}

/// 1, 2, 4, 8, 8, … seconds, times 0.5 to 1.5.
fn backoff(attempt: u32, random: f64) -> Duration {
    let seconds = f64::from(1u32 << (attempt - 1).min(3));
    Duration::from_secs_f64(seconds * (0.5 + random))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(class: ErrorClass) -> ApiError {
        ApiError { retryable: true, ..ApiError::new(class, "") }
    }

    #[test]
    fn waits_grow_to_eight_seconds_and_stay_within_half_and_one_and_a_half() {
        for (attempt, seconds) in [(1, 1.0), (2, 2.0), (3, 4.0), (4, 8.0), (9, 8.0)] {
            assert_eq!(backoff(attempt, 0.0), Duration::from_secs_f64(seconds * 0.5));
            assert_eq!(backoff(attempt, 1.0), Duration::from_secs_f64(seconds * 1.5));
        }
    }

    #[test]
    fn a_server_is_obeyed_up_to_a_minute_and_never_past_the_deadline() {
        let policy = RetryPolicy { retries: 4 };
        let after = |s| ApiError { retry_after: Some(Duration::from_secs(s)), ..error(ErrorClass::RateLimit) };
        let next = |error: &ApiError, remaining| policy.next(error, &mut Failures::default(), remaining);
        assert_eq!(next(&after(12), None), Some(Duration::from_secs(12)));
        assert_eq!(next(&after(61), None), None);
        assert_eq!(next(&after(12), Some(Duration::from_secs(5))), None);
    }

    #[test]
    fn a_server_that_never_wants_a_wait_is_tried_at_once_only_once() {
        let policy = RetryPolicy { retries: 4 };
        let past = ApiError { retry_after: Some(Duration::ZERO), ..error(ErrorClass::Overloaded) };
        let mut failures = Failures::default();
        let waits: Vec<_> = (0..4).filter_map(|_| policy.next(&past, &mut failures, None)).collect();
        assert_eq!(waits[0], Duration::ZERO);
        assert!(waits.len() == 4 && waits[1..].iter().all(|wait| *wait >= Duration::from_secs(1)), "{waits:?}");
    }

    /// Whether there is a retry after each of these failures.
    fn retries(errors: &[ApiError]) -> Vec<bool> {
        let (policy, mut failures) = (RetryPolicy { retries: 4 }, Failures::default());
        errors.iter().map(|error| policy.next(error, &mut failures, None).is_some()).collect()
    }

    #[test]
    fn attempts_are_used_up() {
        let server = || error(ErrorClass::Server);
        assert_eq!(retries(&[server(), server(), server(), server(), server()]), [true, true, true, true, false]);
        assert_eq!(retries(&[ApiError { retryable: false, ..server() }]), [false]);
    }

    #[test]
    fn an_empty_and_a_garbled_reply_have_one_retry_each() {
        let [server, empty, garbled] = [ErrorClass::Server, ErrorClass::Empty, ErrorClass::Protocol];
        for (classes, expected) in [
            (&[empty, empty][..], &[true, false][..]),
            (&[server, empty, garbled, garbled], &[true, true, true, false]),
            (&[garbled, server, empty, empty], &[true, true, true, false]),
        ] {
            assert_eq!(retries(&classes.iter().map(|class| error(*class)).collect::<Vec<_>>()), expected);
        }
    }
}
