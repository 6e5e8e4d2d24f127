//! How many tokens a request has before the server has counted them. Everything here is an estimate and is named so;
//! what the server reported is [`Usage`](super::Usage).

use super::conversation::said;
use super::{Entry, Media, Part};

/// Tokens of 1024 bytes before anything is known: four bytes a token.
const USUAL: u64 = 256;
/// A count that makes it less than this, six and a half bytes a token, is not of the whole prompt.
const LEAST: u64 = 160;
/// The most that a server's counts can make of it: a byte a token.
const MOST: u64 = 1024;
/// What an image costs with most models.
const IMAGE: u64 = 1600;
/// A document costs at least a page, and a token for so many bytes of its base64.
const PAGE: u64 = 2000;
const DOCUMENT_BYTES: u64 = 40;

/// Turns the weight of a request into tokens, by what the server said of earlier ones.
#[derive(Debug, Clone, Copy)]
pub struct Estimator {
    /// Tokens of 1024 bytes.
    rate: u64,
    /// Tokens that the weight does not explain: what the server adds, attachments that cost more than was thought.
    constant: u64,
}

impl Default for Estimator {
    fn default() -> Self {
        Self { rate: USUAL, constant: 0 }
    }
}

impl Estimator {
    /// About how many tokens a request of that weight has.
    #[must_use]
    pub fn tokens(&self, weight: u64) -> u64 {
        self.share(weight).saturating_add(self.constant)
    }

    /// About how many tokens a part of that weight has, whatever the request has beyond its weight.
    #[must_use]
    pub fn share(&self, weight: u64) -> u64 {
        weight.saturating_mul(self.rate).div_ceil(1024)
    }

    /// About what a request of that many tokens may weigh.
    #[must_use]
    pub fn weight(&self, tokens: u64) -> u64 {
        tokens.saturating_sub(self.constant).saturating_mul(1024) / self.rate
    }

    /// Takes what the server counted for a request of that weight.
    pub fn learn(&mut self, weight: u64, tokens: u64) {
        if weight == 0 || tokens.saturating_mul(1024) / weight < LEAST {
            // Some servers report only what no cache has served: such a count says nothing about the rate.
            return;
        }
        self.rate = (tokens.saturating_mul(1024) / weight).min(MOST);
        self.constant = tokens.saturating_sub(self.share(weight));
    }
}

/// How large entries are beside the bytes that a wire makes of them.
#[derive(Debug, Clone, Copy, Default)]
pub struct Size {
    /// Messages, the results of a turn counted as one.
    pub messages: usize,
    /// Bytes of attachments' base64.
    base64: u64,
    /// What attachments weigh.
    attachments: u64,
}

impl Size {
    /// Of one entry.
    #[must_use]
    pub fn of(entry: &Entry) -> Self {
        let mut size = Self::default();
        size.add(entry);
        size
    }

    /// With a further entry.
    pub fn add(&mut self, entry: &Entry) {
        self.messages += entry.messages();
        let parts = said(entry).into_iter().flat_map(|message| &message.parts);
        for media in parts.filter_map(|part| if let Part::Media(media) = part { Some(media) } else { None }) {
            self.base64 = self.base64.saturating_add(media.base64.len() as u64);
            self.attachments = self.attachments.saturating_add(weight_of(media));
        }
    }

    /// What entries weigh of which a wire writes so many bytes: attachments count by what they cost a model, not by the
    /// length of their base64.
    #[must_use]
    pub fn weight(&self, bytes: u64) -> u64 {
        bytes.saturating_sub(self.base64).saturating_add(self.attachments)
    }
}

/// What these parts of a message weigh, without writing them: texts as JSON has them, attachments by what they cost.
#[must_use]
pub fn weight_of_parts(parts: &[Part]) -> u64 {
    let escaped = |byte: u8| match byte {
        b'"' | b'\\' | b'\n' | b'\r' | b'\t' => 2,
        0..b' ' => 6,
        _ => 1,
    };
    let weight = |part: &Part| match part {
        Part::Text(text) => text.bytes().map(escaped).sum(),
        Part::Media(media) => weight_of(media),
    };
    parts.iter().map(weight).fold(0, u64::saturating_add)
}

/// By what an attachment costs, in tokens.
fn weight_of(media: &Media) -> u64 {
    let is_document = media.mime == "application/pdf";
    let cost = if is_document { PAGE.max(media.base64.len() as u64 / DOCUMENT_BYTES) } else { IMAGE };
    cost.saturating_mul(1024) / USUAL
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::UserMessage;

    #[test]
    fn a_report_corrects_what_follows() {
        let mut estimator = Estimator::default();
        assert_eq!(estimator.tokens(4096), 1024);
        estimator.learn(4000, 2000);
        assert_eq!((estimator.tokens(4000), estimator.tokens(8000)), (2000, 4000));
        assert!(estimator.tokens(estimator.weight(3000)) <= 3000);
    }

    #[test]
    fn odd_reports_do_not_lead_astray() {
        let mut estimator = Estimator::default();
        estimator.learn(8000, 5);
        assert_eq!(estimator.tokens(8000), 2000, "a server that counts only what was not cached");
        estimator.learn(8000, 20_000);
        assert_eq!(estimator.tokens(8000), 20_000, "a long prompt of the server's own stays what it is");
        assert_eq!(estimator.tokens(8100), 20_100);
        let before = estimator;
        estimator.learn(0, 7);
        estimator.learn(7, 0);
        assert_eq!(estimator.tokens(100), before.tokens(100));
    }

    #[test]
    fn attachments_do_not_count_as_text() {
        let media = |mime, length| Media { mime, name: String::new(), base64: "A".repeat(length) };
        let entry =
            |media| Entry::User(UserMessage { parts: vec![Part::Media(media)], ..UserMessage::default() }.into());
        let image = Size::of(&entry(media("image/png", 4_000_000))).weight(4_000_100);
        assert_eq!(image, 100 + 4 * IMAGE);
        let paper = Size::of(&entry(media("application/pdf", 4_000_000))).weight(4_000_100);
        assert_eq!(paper, 100 + 4 * 100_000);
    }
}
