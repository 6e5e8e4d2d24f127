//! The rate limits that a server announces in the headers of its replies, whatever the dialect. It knows the names
//! and the forms, not what to do about a limit.

use std::time::Duration;

use super::ReplyHead;
use super::fault::go_duration;

/// What is left of one limit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Budget {
    /// The most there can be.
    pub limit: f64,
    /// What is left.
    pub remaining: f64,
    /// Until all of it is there again.
    pub reset: Duration,
}

/// The limits that one reply announces.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Announced {
    /// Of requests.
    pub requests: Option<Budget>,
    /// Of tokens: the one of which the smallest part is left.
    pub tokens: Option<Budget>,
}

impl Announced {
    /// Reads the headers of a reply.
    #[must_use]
    pub fn of(head: &ReplyHead) -> Self {
        let anthropic = |what: &str| budget(head, |part| format!("anthropic-ratelimit-{what}-{part}"));
        let openai = |what: &str| budget(head, |part| format!("x-ratelimit-{part}-{what}"));
        let plain = |prefix: &str| budget(head, |part| format!("{prefix}ratelimit-{part}"));
        let tokens = [anthropic("tokens"), anthropic("input-tokens"), anthropic("output-tokens"), openai("tokens")];
        let left = |budget: &Budget| budget.remaining / budget.limit;
        Self {
            requests: anthropic("requests")
                .or_else(|| openai("requests"))
                .or_else(|| plain("x-"))
                .or_else(|| plain("")),
            tokens: tokens.into_iter().flatten().min_by(|a, b| left(a).total_cmp(&left(b))),
        }
    }
}

fn budget(head: &ReplyHead, name: impl Fn(&str) -> String) -> Option<Budget> {
    let value = |part: &str| head.header(&name(part)).map(str::trim);
    let number = |part: &str| value(part)?.parse::<f64>().ok().filter(|number| number.is_finite() && *number >= 0.0);
    let (limit, remaining) = (number("limit")?, number("remaining")?);
    let reset = until(value("reset")?, head)?;
    (limit >= 1.0).then(|| Budget { limit, remaining: remaining.min(limit), reset })
}

/// A reset as services write it: seconds, `6m0s`, an RFC 3339 time, or seconds or milliseconds of Unix time. Points
/// in time are measured against the response's own `date`.
fn until(text: &str, head: &ReplyHead) -> Option<Duration> {
    const A_MOMENT_IN_SECONDS: f64 = 1e9;
    const A_MOMENT_IN_MILLISECONDS: f64 = 1e12;
    let now = || httpdate::parse_http_date(head.header("date")?.trim()).ok();
    if let Ok(number) = text.parse::<f64>() {
        let seconds = if number >= A_MOMENT_IN_MILLISECONDS { number / 1000.0 } else { number };
        let seconds = match seconds {
            s if s >= A_MOMENT_IN_SECONDS => s - now()?.duration_since(std::time::UNIX_EPOCH).ok()?.as_secs_f64(),
            s => s,
        };
        return Duration::try_from_secs_f64(seconds.max(0.0)).ok();
    }
    if let Ok(then) = humantime::parse_rfc3339(text) {
        return Some(then.duration_since(now()?).unwrap_or_default());
    }
    go_duration(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(headers: &[(&str, &str)]) -> Announced {
        let headers = headers.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        Announced::of(&ReplyHead { status: 200, headers })
    }

    fn openai(reset: &str) -> Option<u128> {
        let headers = [
            ("date", "Tue, 24 Nov 2026 10:00:00 GMT"),
            ("x-ratelimit-limit-requests", "60"),
            ("x-ratelimit-remaining-requests", "59"),
            ("x-ratelimit-reset-requests", reset),
        ];
        of(&headers).requests.map(|budget| budget.reset.as_millis())
    }

    #[test]
    fn a_reset_is_read_in_every_form() {
        let forms = [
            ("1s", 1000),
            ("6m0s", 360_000),
            ("20ms", 20),
            ("0.5", 500),
            ("12", 12_000),
            ("1795514405", 5000),
            ("1795514405000", 5000),
            ("2026-11-24T10:00:30Z", 30_000),
            ("2026-11-24T09:00:30Z", 0),
        ];
        for (text, expected) in forms {
            assert_eq!(openai(text), Some(expected), "{text}");
        }
        for nonsense in ["soon", "", "-", "1e400"] {
            assert_eq!(openai(nonsense), None, "{nonsense}");
        }
    }

    #[test]
    fn of_several_token_limits_the_tightest_counts() {
        let announced = of(&[
            ("date", "Tue, 24 Nov 2026 10:00:00 GMT"),
            ("anthropic-ratelimit-input-tokens-limit", "1000"),
            ("anthropic-ratelimit-input-tokens-remaining", "900"),
            ("anthropic-ratelimit-input-tokens-reset", "2026-11-24T10:00:06Z"),
            ("anthropic-ratelimit-output-tokens-limit", "1000"),
            ("anthropic-ratelimit-output-tokens-remaining", "10"),
            ("anthropic-ratelimit-output-tokens-reset", "2026-11-24T10:00:59Z"),
        ]);
        assert_eq!(announced.requests, None);
        assert_eq!(announced.tokens.map(|tokens| tokens.remaining), Some(10.0));
    }

    #[test]
    fn half_an_announcement_is_none() {
        assert_eq!(of(&[("x-ratelimit-limit-requests", "60"), ("x-ratelimit-reset-requests", "1s")]).requests, None);
        assert_eq!(of(&[("retry-after", "1")]), Announced::default());
    }
}
