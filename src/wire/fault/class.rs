//! Decides of which kind a failure is: by status, by the codes in the report, and by a few telling phrases.

use super::report::Report;
use crate::wire::ErrorClass;

/// The kind of a failure with an HTTP status of 400 or more.
pub(super) fn of_status(status: u16, report: &Report) -> ErrorClass {
    quota_or_refusal(report)
        .or_else(|| of_plain_status(status))
        .or_else(|| context_length(report))
        .unwrap_or_else(|| of_other_status(status, report))
}

/// The kind of a failure that came with status 200.
pub(super) fn of_words(report: &Report) -> ErrorClass {
    quota_or_refusal(report)
        .or_else(|| context_length(report))
        .or_else(|| report.words.iter().find_map(|word| of_word(word)))
        .or_else(|| report.number.map(|number| of_number(number, report)))
        .unwrap_or(ErrorClass::Server)
}

fn of_number(number: u16, report: &Report) -> ErrorClass {
    of_plain_status(number).unwrap_or_else(|| of_other_status(number, report))
}

fn quota_or_refusal(report: &Report) -> Option<ErrorClass> {
    let text = report.message.to_ascii_lowercase();
    let phrases = ["specified api usage limits", "credit balance is too low"];
    if report.words.iter().any(|word| is_quota(word)) || phrases.iter().any(|phrase| text.contains(phrase)) {
        return Some(ErrorClass::Quota);
    }
    report.words.iter().any(|word| is_refusal(word)).then_some(ErrorClass::Refusal)
}

fn is_quota(word: &str) -> bool {
    matches!(word, "insufficient_quota" | "credit_balance_exhausted" | "organization_usage_limit_exceeded")
        || word.contains("spend_limit")
        || word.starts_with("billing_")
}

fn is_refusal(word: &str) -> bool {
    let words = ["content_filter", "invalid_prompt", "bio_policy", "misalignment_policy_violation"];
    words.contains(&word) || matches!(word, "responsibleaipolicyviolation" | "content_policy_violation")
}

/// What services say of a prompt that is too long.
const TOO_LONG: [&str; 14] = [
    "prompt is too long",
    "maximum context length",
    "context window",
    "context length",
    "available context size",
    // Anthropic, where the output limit counts.
    "exceed context limit",
    // Bedrock
    "input is too long",
    // Gemini
    "input token count",
    // xAI
    "maximum prompt length",
    // Text Generation Inference, Together
    "`max_new_tokens` must be <=",
    "`inputs` must have less than",
    // Copilot
    "prompt token count of",
    // Kimi
    "exceeded model token limit",
    // Groq
    "reduce the length of the messages",
];

fn context_length(report: &Report) -> Option<ErrorClass> {
    let words = ["context_length_exceeded", "exceed_context_size_error", "model_max_prompt_tokens_exceeded"];
    let text = report.message.to_ascii_lowercase();
    let coded = report.words.iter().any(|word| words.contains(&&**word));
    (coded || TOO_LONG.iter().any(|phrase| text.contains(phrase))).then_some(ErrorClass::ContextLength)
}

/// The statuses that decide alone.
fn of_plain_status(status: u16) -> Option<ErrorClass> {
    Some(match status {
        401 => ErrorClass::Auth,
        402 => ErrorClass::Quota,
        403 => ErrorClass::Permission,
        404 => ErrorClass::NotFound,
        413 => ErrorClass::TooLarge,
        _ => return None,
    })
}

fn of_other_status(status: u16, report: &Report) -> ErrorClass {
    match status {
        // Some servers refuse a key with the status of a bad request.
        400 if report.words.iter().any(|word| of_word(word) == Some(ErrorClass::Auth)) => ErrorClass::Auth,
        429 => ErrorClass::RateLimit,
        408 | 504 => ErrorClass::Timeout,
        503 | 529 => ErrorClass::Overloaded,
        // 407 is a proxy's.
        407 => ErrorClass::Auth,
        409 | 425 | 500..600 => ErrorClass::Server,
        600.. => ErrorClass::Protocol,
        _ => ErrorClass::BadRequest,
    }
}

fn of_word(word: &str) -> Option<ErrorClass> {
    Some(match word {
        "overloaded_error" | "server_is_overloaded" | "overloaded" | "slow_down" | "insufficient_system_resource" => {
            ErrorClass::Overloaded
        }
        "invalid_api_key" | "authentication_error" => ErrorClass::Auth,
        "permission_error" | "unsupported_country_region_territory" => ErrorClass::Permission,
        "not_found_error" | "model_not_found" => ErrorClass::NotFound,
        "request_too_large" => ErrorClass::TooLarge,
        "rate_limit_error" | "rate_limit_exceeded" => ErrorClass::RateLimit,
        "timeout_error" | "vector_store_timeout" => ErrorClass::Timeout,
        "server_error" | "api_error" | "conflict_error" | "internal_error" => ErrorClass::Server,
        "invalid_request_error" | "tool_use_failed" | "unsupported_parameter" | "unsupported_value" => {
            ErrorClass::BadRequest
        }
        "data_residency_mismatch"
        | "empty_image_file"
        | "failed_to_download_image"
        | "unsupported_image_media_type" => ErrorClass::BadRequest,
        _ if word.starts_with("image_") || word.starts_with("invalid_image") => ErrorClass::BadRequest,
        _ => return None,
    })
}
