//! Facts of a transcript in the words in which all commands say them.

use crate::base::text;
use crate::transcript::UsageLine;
use crate::transcript::entry::{Prune, UserEntry, UserPart};

/// The text of a user message, with a word for what is not text.
pub(super) fn user_text(user: &UserEntry) -> String {
    let part = |part: &UserPart| match part {
        UserPart::Text(text) => text.clone(),
        UserPart::Media { mime, data, .. } => media(mime, data),
    };
    user.parts.iter().map(part).collect::<Vec<_>>().join("\n")
}

/// An attachment in words.
pub(super) fn media(mime: &str, data: &str) -> String {
    format!("[{mime}, {}]", text::bytes(data.len() as u64 / 4 * 3))
}

/// `1 turn`, `2 turns`
pub(super) fn counted(n: u64, thing: &str) -> String {
    format!("{n} {thing}{}", if n == 1 { "" } else { "s" })
}

/// `850 ms`, `3.2 s`, `4 m 10 s`
pub(super) fn millis(ms: u64) -> String {
    match ms {
        0..1000 => format!("{ms} ms"),
        1000..60_000 => format!("{}.{} s", ms / 1000, ms % 1000 / 100),
        _ => format!("{} m {} s", ms / 60_000, ms % 60_000 / 1000),
    }
}

/// `12k tokens in, 300 out`
pub(super) fn tokens(usage: &UsageLine) -> String {
    format!("{} tokens in, {} out", text::count(prompt(usage)), text::count(usage.output))
}

/// All tokens of the prompts, what came from or went to a cache included.
pub(super) fn prompt(usage: &UsageLine) -> u64 {
    usage.input.saturating_add(usage.cache_read).saturating_add(usage.cache_write)
}

/// `$0.0123`: small sums keep two digits that say something.
pub(super) fn dollars(usd: f64) -> String {
    if usd == 0.0 || usd >= 1.0 { format!("${usd:.2}") } else { format!("${usd:.4}") }
}

/// What a shortening did.
pub(super) fn pruned(prune: &Prune) -> String {
    format!(
        "{}, {} to {} messages, {} to {} tokens",
        prune.reason,
        prune.messages_before,
        prune.messages_after,
        text::count(prune.tokens_before),
        text::count(prune.tokens_after)
    )
}
