//! Turns what a server says about a failure into an [`ApiError`]. Knows the shapes of error bodies and the
//! words in them, but not when to try again: only whether that can help.

mod class;
mod delay;
mod length;
mod report;

use serde_json::value::RawValue;

use super::{ApiError, ErrorClass, ReplyHead, json};
use report::Report;

/// The failure behind a status of 400 or more.
pub(super) fn http(head: &ReplyHead, body: &[u8]) -> ApiError {
    let report = if is_encoded(head) { Report::default() } else { Report::of_body(body) };
    let mut error = error_of(class::of_status(head.status, &report), report);
    if error.message.is_empty() {
        error.message = format!("HTTP status {}", head.status);
    }
    error.status = Some(head.status);
    error.retry_after = delay::of_headers(head).or(error.retry_after);
    match head.header("x-should-retry") {
        Some("true") => error.retryable = true,
        Some("false") => error.retryable = false,
        _ => {}
    }
    error
}

/// The failure that a server reported within a reply of status 200.
pub(super) fn streamed(data: &RawValue) -> ApiError {
    streamed_text(data.get())
}

/// The same for what may not be JSON.
pub(super) fn streamed_text(data: &str) -> ApiError {
    let report = Report::of_body(data.as_bytes());
    let mut error = error_of(class::of_words(&report), report);
    if error.message.is_empty() {
        "the server reported an error without a message".clone_into(&mut error.message);
    }
    error
}

/// The title of an HTML page, or the beginning of another text, as one line.
pub(super) fn headline(body: &[u8]) -> String {
    report::headline(&String::from_utf8_lossy(body))
}

/// A time as Go writes it: `6m0s`, `20ms`.
pub(super) fn go_duration(text: &str) -> Option<std::time::Duration> {
    delay::duration(text)
}

/// Whether a whole JSON reply is an error report.
pub(super) fn is_report(data: &RawValue) -> bool {
    report::is_report(data)
}

/// Whether the body is compressed, which was not asked for.
pub(super) fn is_encoded(head: &ReplyHead) -> bool {
    head.header("content-encoding").is_some_and(|how| !how.is_empty() && !how.eq_ignore_ascii_case("identity"))
}

fn error_of(class: ErrorClass, report: Report) -> ApiError {
    let retry_after = if class.is_passing() { delay::of_text(&report.message) } else { None };
    let too_long = match class {
        ErrorClass::ContextLength | ErrorClass::TooLarge => length::of_text(&report.message).map(Box::new),
        _ => None,
    };
    let (code, request_id) = (report.code, report.request_id);
    ApiError { code, retry_after, request_id, too_long, ..ApiError::new(class, report.message) }
}

/// The text of a body as JSON parsers take it.
fn value_of(body: &[u8]) -> Option<serde_json::Value> {
    let text = String::from_utf8_lossy(body);
    serde_json::from_str(&json::repair(text.trim_start_matches('\u{feff}').trim())).ok()
}
