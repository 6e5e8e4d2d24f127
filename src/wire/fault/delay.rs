//! How long a server asks to wait. A date is measured against the response's own `date`, never against a clock.

use std::time::Duration;

use crate::wire::ReplyHead;

/// The wait that the headers ask for.
pub(super) fn of_headers(head: &ReplyHead) -> Option<Duration> {
    let milliseconds = head.header("retry-after-ms").and_then(number).and_then(|ms| seconds(ms / 1000.0));
    milliseconds.or_else(|| {
        let value = head.header("retry-after")?.trim();
        number(value).map_or_else(|| until(value, head), seconds)
    })
}

fn number(text: &str) -> Option<f64> {
    text.trim().parse().ok()
}

/// A positive, finite number of seconds.
fn seconds(value: f64) -> Option<Duration> {
    if !value.is_finite() || value <= 0.0 {
        return None;
    }
    // What is too long to be written as a duration is too long to be waited for.
    Some(Duration::try_from_secs_f64(value).unwrap_or(Duration::MAX)).filter(|wait| !wait.is_zero())
}

fn until(date: &str, head: &ReplyHead) -> Option<Duration> {
    let then = httpdate::parse_http_date(date).ok()?;
    let now = httpdate::parse_http_date(head.header("date")?.trim()).ok()?;
    // A time that is past is no wait at all, unlike one that cannot be read.
    Some(then.duration_since(now).unwrap_or_default())
}

/// The wait that a message asks for: "try again in 1.5s", "retry after 20 seconds".
pub(super) fn of_text(message: &str) -> Option<Duration> {
    let lower = message.to_ascii_lowercase();
    let phrases = ["try again in ", "retry after ", "retry in "];
    let (at, phrase) = phrases.iter().find_map(|phrase| lower.find(phrase).map(|at| (at, phrase)))?;
    duration(lower.get(at + phrase.len()..)?)
}

/// Reads `1.5s`, `6m0s`, `20ms`, `1 minute`, `20 seconds`, as far as it goes.
pub(super) fn duration(mut text: &str) -> Option<Duration> {
    let mut total = 0.0;
    loop {
        text = text.trim_start();
        let digits = text.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(text.len());
        let Some(amount) = number(text.get(..digits)?.trim_end_matches('.')) else { break };
        text = text.get(digits..)?.trim_start();
        let letters = text.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(text.len());
        total += amount
            * match text.get(..letters)? {
                "ms" | "milliseconds" => 0.001,
                "" | "s" | "sec" | "secs" | "second" | "seconds" => 1.0,
                "m" | "min" | "minute" | "minutes" => 60.0,
                "h" | "hour" | "hours" => 3600.0,
                _ => break,
            };
        text = text.get(letters..)?;
    }
    seconds(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wait(headers: &[(&str, &str)]) -> Option<u128> {
        let headers = headers.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        of_headers(&ReplyHead { status: 429, headers }).map(|wait| wait.as_millis())
    }

    #[test]
    fn headers() {
        assert_eq!(wait(&[("retry-after", "12")]), Some(12_000));
        assert_eq!(wait(&[("retry-after", "0.5"), ("retry-after-ms", "20")]), Some(20));
        for useless in ["soon", "-1", "0", "NaN", "inf"] {
            assert_eq!(wait(&[("retry-after", useless)]), None, "{useless}");
        }
        assert!(wait(&[("retry-after", "1e300")]) > Some(60_000), "too long to be waited for, not ignored");
        let date = ("retry-after", "Tue, 24 Nov 2026 10:00:30 GMT");
        assert_eq!(wait(&[date]), None);
        assert_eq!(wait(&[date, ("date", "Tue, 24 Nov 2026 10:00:00 GMT")]), Some(30_000));
        assert_eq!(wait(&[date, ("date", "Tue, 24 Nov 2026 10:01:00 GMT")]), Some(0));
    }

    #[test]
    fn texts() {
        let cases = [
            ("Please try again in 1.5s.", Some(1500)),
            ("Try again in 6m0s", Some(360_000)),
            ("try again in 20ms", Some(20)),
            ("Please retry after 24 seconds.", Some(24_000)),
            ("Please retry after some time", None),
            ("no", None),
        ];
        for (text, expected) in cases {
            assert_eq!(of_text(text).map(|wait| wait.as_millis()), expected, "{text}");
        }
    }
}
