//! The `OpenAI` Responses API, used without server-side state: every output item goes back exactly as it came.

mod decode;
mod encode;
mod item;

use super::ids::Rule;
use super::{Decoder, RequestHead, Wire};
use crate::chat::{Entry, Origin};

/// The wire's name; turns that it wrote carry it.
const NAME: &str = "openai-responses";
/// What the service takes as the id of a tool call.
const IDS: Rule = Rule::Length(64);

/// The `OpenAI` Responses API.
#[derive(Debug)]
pub(super) struct OpenaiResponses;

impl Wire for OpenaiResponses {
    fn name(&self) -> &'static str {
        NAME
    }

    fn api(&self) -> &'static str {
        "openai-responses"
    }

    fn path(&self) -> &'static str {
        "/responses"
    }

    fn headers(&self, _head: &RequestHead<'_>) -> Vec<(&'static str, &'static str)> {
        Vec::new()
    }

    fn open(&self, head: &RequestHead<'_>, out: &mut Vec<u8>) {
        encode::open(head, out);
    }

    fn entry(&self, head: &RequestHead<'_>, entry: &Entry, out: &mut Vec<u8>) {
        encode::entry(head, entry, out);
    }

    fn close(&self, head: &RequestHead<'_>, out: &mut Vec<u8>) {
        super::encode::close(head, "\"none\"", encode::format, out);
    }

    fn decoder(&self, head: &RequestHead<'_>) -> Box<dyn Decoder> {
        let origin = Origin { wire: NAME, provider: head.provider.to_owned(), model: head.model.to_owned() };
        Box::new(decode::ResponseDecoder::new(origin))
    }
}
