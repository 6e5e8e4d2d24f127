//! Reply bytes of the Messages API to a [`Reply`].

use serde::Deserialize;
use serde_json::value::RawValue;

use super::super::outcome::{self, Size};
use super::super::{ApiError, Decoder, Delta, End, Ended, Flow, fault, json};
use super::block::Slot;
use crate::chat::{Origin, Reply, StopReason, Usage, Warning};

/// Collects the events of one message.
pub(super) struct MessageDecoder {
    reply: Reply,
    slots: Vec<Slot>,
    counts: Counts,
    /// `message_start` or a whole message has come.
    begun: bool,
    /// `message_stop` or a whole message has come.
    stopped: bool,
    size: Size,
}

#[derive(Deserialize)]
struct Event<'a> {
    #[serde(borrow)]
    r#type: Option<&'a RawValue>,
    #[serde(borrow)]
    index: Option<&'a RawValue>,
    #[serde(borrow)]
    message: Option<&'a RawValue>,
    #[serde(borrow)]
    content_block: Option<&'a RawValue>,
    #[serde(borrow)]
    delta: Option<&'a RawValue>,
    #[serde(borrow)]
    usage: Option<&'a RawValue>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    #[serde(borrow)]
    model: Option<&'a RawValue>,
    #[serde(borrow)]
    content: Option<&'a RawValue>,
    #[serde(borrow)]
    usage: Option<&'a RawValue>,
    #[serde(borrow)]
    stop_reason: Option<&'a RawValue>,
    #[serde(borrow)]
    stop_details: Option<&'a RawValue>,
}

/// The part of a message that `message_delta` brings.
#[derive(Deserialize)]
struct Closing<'a> {
    #[serde(borrow)]
    stop_reason: Option<&'a RawValue>,
    #[serde(borrow)]
    stop_details: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct StopDetails<'a> {
    #[serde(borrow)]
    explanation: Option<&'a RawValue>,
}

/// The server's counts: cumulative, so the last one wins.
#[derive(Default)]
struct Counts {
    input: Option<u64>,
    cache_write: Option<u64>,
    cache_read: Option<u64>,
    output: Option<u64>,
    thinking: Option<u64>,
}

#[derive(Deserialize)]
struct Usages<'a> {
    #[serde(borrow)]
    input_tokens: Option<&'a RawValue>,
    #[serde(borrow)]
    cache_creation_input_tokens: Option<&'a RawValue>,
    #[serde(borrow)]
    cache_read_input_tokens: Option<&'a RawValue>,
    #[serde(borrow)]
    output_tokens: Option<&'a RawValue>,
    #[serde(borrow)]
    output_tokens_details: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct OutputDetails<'a> {
    #[serde(borrow)]
    thinking_tokens: Option<&'a RawValue>,
}

impl Counts {
    fn update(&mut self, raw: &RawValue) {
        let Some(usage) = json::object::<Usages<'_>>(raw) else { return };
        let details = usage.output_tokens_details.and_then(json::object::<OutputDetails<'_>>);
        self.input = json::count(usage.input_tokens).or(self.input);
        self.cache_write = json::count(usage.cache_creation_input_tokens).or(self.cache_write);
        self.cache_read = json::count(usage.cache_read_input_tokens).or(self.cache_read);
        self.output = json::count(usage.output_tokens).or(self.output);
        self.thinking = details.and_then(|details| json::count(details.thinking_tokens)).or(self.thinking);
    }

    /// The same with `input` as the whole prompt: the API counts there only what follows the cached part.
    fn usage(&self) -> Usage {
        let cached = self.cache_write.unwrap_or(0).saturating_add(self.cache_read.unwrap_or(0));
        Usage {
            input: self.input.map(|input| input.saturating_add(cached)),
            cache_read: self.cache_read,
            cache_write: self.cache_write,
            output: self.output,
            reasoning: self.thinking,
        }
    }
}

impl MessageDecoder {
    pub(super) fn new(origin: Origin) -> Self {
        Self {
            reply: outcome::blank(origin),
            slots: Vec::new(),
            counts: Counts::default(),
            begun: false,
            stopped: false,
            size: Size::default(),
        }
    }

    /// Takes a message object, which at the start of a stream has neither content nor stop reason.
    fn message(&mut self, raw: &RawValue, on: &mut dyn FnMut(Delta<'_>)) -> Result<(), ApiError> {
        let message: Message<'_> = json::object(raw).ok_or_else(|| outcome::foreign("the message is not an object"))?;
        self.begun = true;
        self.reply.response_id = json::word(message.id);
        self.reply.response_model = json::word(message.model);
        if let Some(usage) = message.usage {
            self.counts.update(usage);
        }
        for block in json::elements(message.content) {
            self.start(None, block, on)?;
        }
        self.close(message.stop_reason, message.stop_details);
        Ok(())
    }

    fn start(&mut self, index: Option<u64>, raw: &RawValue, on: &mut dyn FnMut(Delta<'_>)) -> Result<(), ApiError> {
        let slot = Slot::new(index, raw);
        self.size.add(raw.get())?;
        slot.show(on);
        self.slots.push(slot);
        Ok(())
    }

    fn delta(&mut self, index: Option<u64>, raw: &RawValue, on: &mut dyn FnMut(Delta<'_>)) -> Result<(), ApiError> {
        self.size.add(raw.get())?;
        let known = match index {
            Some(_) => self.slots.iter_mut().rev().find(|slot| slot.index == index),
            None => self.slots.last_mut(),
        };
        if let Some(slot) = known {
            slot.delta(raw, on);
        } else {
            // A block whose beginning was lost: its text at least can be kept.
            let mut slot = Slot::text(index);
            slot.delta(raw, on);
            self.slots.push(slot);
        }
        Ok(())
    }

    fn close(&mut self, reason: Option<&RawValue>, details: Option<&RawValue>) {
        if let Some(reason) = json::word(reason) {
            self.reply.raw_stop = Some(reason);
        }
        let details = details.and_then(json::object::<StopDetails<'_>>);
        if let Some(explanation) = details.and_then(|details| json::word(details.explanation)) {
            self.reply.refusal = Some(explanation);
        }
    }

    /// Sets the stop reason from the server's word for it.
    fn judge_stop(&mut self) {
        self.reply.stop = match self.reply.raw_stop.as_deref() {
            Some("end_turn") => StopReason::End,
            Some("tool_use") => StopReason::ToolUse,
            Some("max_tokens") => StopReason::Length,
            Some("stop_sequence") => StopReason::StopSequence,
            Some("pause_turn" | "compaction") => StopReason::Pause,
            Some("refusal") => StopReason::Refusal,
            Some("model_context_window_exceeded") => StopReason::ContextFull,
            Some(_) => {
                self.reply.warnings.push(Warning::UnknownStop);
                StopReason::End
            }
            None => {
                self.reply.warnings.push(Warning::NoFinishReason);
                StopReason::End
            }
        };
    }
}

impl Decoder for MessageDecoder {
    fn event(&mut self, name: Option<&str>, data: &RawValue, on: &mut dyn FnMut(Delta<'_>)) -> Result<Flow, ApiError> {
        let event: Event<'_> = json::object(data).ok_or_else(|| outcome::foreign("an event is not an object"))?;
        Size::parts(self.slots.len())?;
        let kind = event.r#type.and_then(json::string);
        let index = json::count(event.index);
        match (kind.as_deref().or(name), event.error) {
            (Some("error"), _) | (_, Some(_)) => return Err(fault::streamed(data)),
            (Some("message_start"), _) => {
                if let Some(message) = event.message {
                    self.message(message, on)?;
                }
            }
            (Some("content_block_start"), _) => {
                if let Some(block) = event.content_block {
                    self.start(index, block, on)?;
                }
            }
            (Some("content_block_delta"), _) => {
                if let Some(delta) = event.delta {
                    self.delta(index, delta, on)?;
                }
            }
            (Some("message_delta"), _) => {
                if let Some(closing) = event.delta.and_then(json::object::<Closing<'_>>) {
                    self.close(closing.stop_reason, closing.stop_details);
                }
                if let Some(usage) = event.usage {
                    self.counts.update(usage);
                }
            }
            (Some("message_stop"), _) => {
                self.stopped = true;
                return Ok(Flow::Done);
            }
            _ => {}
        }
        Ok(Flow::More)
    }

    fn whole(&mut self, data: &RawValue, on: &mut dyn FnMut(Delta<'_>)) -> Result<(), ApiError> {
        let is_message =
            json::object::<Message<'_>>(data).is_some_and(|m| m.content.is_some_and(|c| c.get().starts_with('[')));
        if !is_message {
            return Err(outcome::foreign("the document is not a message of this API"));
        }
        self.stopped = true;
        self.message(data, on)
    }

    fn finish(mut self: Box<Self>, end: End, _on: &mut dyn FnMut(Delta<'_>)) -> Ended {
        self.reply.usage = self.counts.usage();
        let id = self.reply.response_id.clone().unwrap_or_default();
        let mut slots = std::mem::take(&mut self.slots);
        let all = slots.len();
        slots.retain(|slot| !slot.is_nameless_call());
        if slots.len() < all {
            self.reply.warnings.push(Warning::NamelessCall);
        }
        self.reply.blocks = slots.into_iter().enumerate().filter_map(|(at, slot)| slot.finish(&id, at)).collect();
        let all_in = self.reply.raw_stop.is_some();
        match end {
            End::Failed(error) if !(all_in && error.class.is_transport()) => return outcome::fail(self.reply, error),
            _ if self.stopped && (self.begun || all_in) => {}
            _ if all_in => self.reply.warnings.push(Warning::NoTerminator),
            _ => return outcome::fail(self.reply, outcome::truncated()),
        }
        self.judge_stop();
        outcome::accept(self.reply)
    }
}
