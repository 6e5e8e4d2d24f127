//! The Anthropic Messages API. Content blocks go back exactly as they came, which the API demands of thinking and
//! which keeps its prompt cache warm.

mod block;
mod decode;
mod encode;

use super::ids::Rule;
use super::{Decoder, OutputFormat, RequestHead, Wire};
use crate::chat::{Entry, Origin};

/// The wire's name; turns that it wrote carry it.
const NAME: &str = "anthropic";
/// What the service takes as the id of a tool call.
const IDS: Rule = Rule::Word;

/// The Anthropic Messages API.
#[derive(Debug)]
pub(super) struct Anthropic;

impl Wire for Anthropic {
    fn name(&self) -> &'static str {
        NAME
    }

    fn api(&self) -> &'static str {
        "anthropic-messages"
    }

    fn path(&self) -> &'static str {
        "/v1/messages"
    }

    fn headers(&self, head: &RequestHead<'_>) -> Vec<(&'static str, &'static str)> {
        // The newer version has no sampling parameters at all, and only the service itself knows that version.
        let sampling = |(name, _): &(String, _)| matches!(&**name, "temperature" | "top_p" | "top_k");
        let samples = head.params.temperature.is_some() || head.params.extra.iter().any(sampling);
        let current = head.quirks.anthropic_service && !samples;
        vec![("anthropic-version", if current { "2026-10-21" } else { "2023-06-01" })]
    }

    fn open(&self, head: &RequestHead<'_>, out: &mut Vec<u8>) {
        encode::open(head, out);
    }

    fn entry(&self, head: &RequestHead<'_>, entry: &Entry, out: &mut Vec<u8>) {
        encode::entry(head, entry, out);
    }

    fn close(&self, head: &RequestHead<'_>, out: &mut Vec<u8>) {
        let format = |format: Option<&OutputFormat>| encode::format(head, format);
        super::encode::close(head, r#"{"type":"none"}"#, format, out);
    }

    fn binds_reasoning(&self) -> bool {
        // Newer models refuse a thinking block behind a history that has been shortened.
        true
    }

    fn decoder(&self, head: &RequestHead<'_>) -> Box<dyn Decoder> {
        let origin = Origin { wire: NAME, provider: head.provider.to_owned(), model: head.model.to_owned() };
        Box::new(decode::MessageDecoder::new(origin))
    }
}
