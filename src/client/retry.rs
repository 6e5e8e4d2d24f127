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

impl RetryPolicy {
    /// How long to wait before the attempt after number `attempt` (from 1), or `None` if there is to be none: the
    /// failure is for good, the attempts are used up, or the wait would not end before the deadline.
    #[must_use]
    pub fn next(self, error: &ApiError, attempt: u32, remaining: Option<Duration>) -> Option<Duration> {
        // An empty or garbled success is worth one more try, not the whole patience.
        let allowed = match error.class {
            ErrorClass::Empty | ErrorClass::Protocol => self.retries.min(1),
            _ => self.retries,
        };
        if !error.retryable || attempt > allowed {
            return None;
        }
        let delay = match error.retry_after {
            Some(asked) if asked > LONGEST => return None,
            Some(asked) => asked,
            None => backoff(attempt, fastrand::f64()),
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
        assert_eq!(policy.next(&after(12), 1, None), Some(Duration::from_secs(12)));
        assert_eq!(policy.next(&after(61), 1, None), None);
        assert_eq!(policy.next(&after(12), 1, Some(Duration::from_secs(5))), None);
    }

    #[test]
    fn attempts_are_used_up() {
        let policy = RetryPolicy { retries: 4 };
        assert!(policy.next(&error(ErrorClass::Server), 4, None).is_some());
        assert!(policy.next(&error(ErrorClass::Server), 5, None).is_none());
        assert!(policy.next(&error(ErrorClass::Empty), 2, None).is_none());
        assert!(policy.next(&ApiError { retryable: false, ..error(ErrorClass::Server) }, 1, None).is_none());
    }
}
