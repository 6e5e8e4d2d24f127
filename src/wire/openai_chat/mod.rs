//! The `OpenAI` Chat Completions API as `OpenAI` and its many imitators speak it.

mod calls;
mod decode;
mod encode;
mod reasoning;

use super::ids::Rule;
use super::{Decoder, Quirks, RequestHead, Wire};
use crate::chat::{Entry, Origin};

/// The wire's name; turns that it wrote carry it.
const NAME: &str = "openai-chat";

/// What a server takes as the id of a tool call.
fn ids(quirks: Quirks) -> Rule {
    if quirks.nine_letter_ids { Rule::Nine } else { Rule::Length(40) }
}

/// The `OpenAI` Chat Completions API.
#[derive(Debug)]
pub(super) struct OpenaiChat;

impl Wire for OpenaiChat {
    fn name(&self) -> &'static str {
        NAME
    }

    fn api(&self) -> &'static str {
        "openai-completions"
    }

    fn path(&self) -> &'static str {
        "/chat/completions"
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
        Box::new(decode::ChunkDecoder::new(origin, ids(*head.quirks)))
    }
}
