//! Reply bytes of the Responses API to a [`Reply`].

use serde::Deserialize;
use serde_json::value::RawValue;

use super::item::{self, Slot};
use crate::chat::{Block, Origin, Reply, StopReason, Warning};
use crate::wire::outcome::{self, Size};
use crate::wire::usage::{self, Names};
use crate::wire::{ApiError, Decoder, Delta, End, Ended, ErrorClass, Flow, fault, json};

/// Collects the events of one response.
pub(super) struct ResponseDecoder {
    reply: Reply,
    slots: Vec<Slot>,
    /// The response's last word on its state, once it has ended.
    status: Option<String>,
    size: Size,
}

#[derive(Deserialize)]
struct Event<'a> {
    #[serde(borrow)]
    r#type: Option<&'a RawValue>,
    #[serde(borrow)]
    output_index: Option<&'a RawValue>,
    #[serde(borrow)]
    item_id: Option<&'a RawValue>,
    #[serde(borrow)]
    summary_index: Option<&'a RawValue>,
    #[serde(borrow)]
    item: Option<&'a RawValue>,
    #[serde(borrow)]
    delta: Option<&'a RawValue>,
    #[serde(borrow)]
    text: Option<&'a RawValue>,
    #[serde(borrow)]
    refusal: Option<&'a RawValue>,
    #[serde(borrow)]
    arguments: Option<&'a RawValue>,
    #[serde(borrow)]
    response: Option<&'a RawValue>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Response<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    #[serde(borrow)]
    model: Option<&'a RawValue>,
    #[serde(borrow)]
    status: Option<&'a RawValue>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
    #[serde(borrow)]
    incomplete_details: Option<&'a RawValue>,
    #[serde(borrow)]
    output: Option<&'a RawValue>,
    #[serde(borrow)]
    usage: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Incomplete<'a> {
    #[serde(borrow)]
    reason: Option<&'a RawValue>,
}

impl ResponseDecoder {
    pub(super) fn new(origin: Origin) -> Self {
        Self { reply: outcome::blank(origin), slots: Vec::new(), status: None, size: Size::default() }
    }

    /// The slot that an event names: by place, else by item id, else the newest. Ids differ between the events of
    /// one item on some proxies; other servers send no place.
    fn slot(&mut self, event: &Event<'_>) -> &mut Slot {
        let index = json::count(event.output_index);
        let id = json::word(event.item_id).or_else(|| event.item.and_then(item::id));
        let found = match (index, &id) {
            (Some(_), _) => self.slots.iter().rposition(|slot| slot.index == index),
            (None, Some(_)) => self.slots.iter().rposition(|slot| slot.id == id).or_else(|| self.open_slot()),
            (None, None) => self.open_slot(),
        };
        let at = found.unwrap_or(self.slots.len());
        if at == self.slots.len() {
            self.slots.push(Slot { index, id, ..Slot::default() });
        }
        &mut self.slots[at]
    }

    /// The newest slot, if its item is not finished.
    fn open_slot(&self) -> Option<usize> {
        let last = self.slots.len().checked_sub(1)?;
        self.slots.get(last)?.done.is_none().then_some(last)
    }

    fn text(
        &mut self,
        event: &Event<'_>,
        piece: Option<&RawValue>,
        on: &mut dyn FnMut(Delta<'_>),
    ) -> Result<(), ApiError> {
        let piece = piece.and_then(json::string).unwrap_or_default();
        self.size.add(&piece)?;
        self.slot(event).text.push_str(&piece);
        if !piece.is_empty() {
            on(Delta::Text(&piece));
        }
        Ok(())
    }

    fn reasoning(&mut self, event: &Event<'_>, on: &mut dyn FnMut(Delta<'_>)) -> Result<(), ApiError> {
        let piece = event.delta.and_then(json::string).unwrap_or_default();
        self.size.add(&piece)?;
        let part = json::count(event.summary_index);
        let slot = self.slot(event);
        if slot.part != part && !slot.reasoning.is_empty() {
            slot.reasoning.push_str("\n\n");
            on(Delta::Reasoning("\n\n"));
        }
        slot.part = part;
        slot.reasoning.push_str(&piece);
        if !piece.is_empty() {
            on(Delta::Reasoning(&piece));
        }
        Ok(())
    }

    fn arguments(&mut self, event: &Event<'_>) -> Result<(), ApiError> {
        let piece = event.delta.or(event.arguments).and_then(json::string).unwrap_or_default();
        self.size.add(&piece)?;
        let slot = self.slot(event);
        if event.delta.is_none() {
            slot.arguments.clear();
        }
        slot.arguments.push_str(&piece);
        Ok(())
    }

    fn refusal(&mut self, event: &Event<'_>) -> Result<(), ApiError> {
        let piece = event.delta.or(event.refusal).and_then(json::string).unwrap_or_default();
        self.size.add(&piece)?;
        let slot = self.slot(event);
        if event.delta.is_none() {
            slot.refusal.clear();
        }
        slot.refusal.push_str(&piece);
        Ok(())
    }

    fn item(&mut self, event: &Event<'_>, done: bool, on: &mut dyn FnMut(Delta<'_>)) -> Result<(), ApiError> {
        let Some(item) = event.item else { return Ok(()) };
        self.size.add(item.get())?;
        // The beginning of an item opens a slot of its own even where the server gives no place.
        if !done && event.output_index.is_none() {
            self.slots.push(Slot { id: item::id(item), ..Slot::default() });
        }
        let slot = self.slot(event);
        if done {
            show_unseen(slot, item, on);
            slot.done = Some(item.to_owned());
        } else {
            slot.start = Some(item.to_owned());
        }
        Ok(())
    }

    /// Takes the response object of any event.
    fn response(&mut self, response: &Response<'_>) {
        self.reply.response_id = json::word(response.id).or(self.reply.response_id.take());
        self.reply.response_model = json::word(response.model).or(self.reply.response_model.take());
        if let Some(usage) = response.usage {
            self.reply.usage = usage::read(usage, &Names::RESPONSES).unwrap_or(self.reply.usage);
        }
    }

    /// Takes the response object that ends the reply. `word` is its status where it names none.
    fn close(&mut self, raw: &RawValue, word: &str, on: &mut dyn FnMut(Delta<'_>)) -> Result<(), ApiError> {
        let response: Response<'_> =
            json::object(raw).ok_or_else(|| outcome::foreign("the response is not an object"))?;
        self.response(&response);
        let status = json::word(response.status).unwrap_or_else(|| word.to_owned());
        if let Some(error) = response.error {
            return Err(fault::streamed(error));
        }
        if !matches!(status.as_str(), "completed" | "incomplete") {
            return Err(ApiError::new(ErrorClass::Server, format!("the response ended with status \"{status}\"")));
        }
        let output = json::elements(response.output);
        // Some servers leave the list empty or cut it short at the end; the finished items count then.
        if output.len() >= self.slots.iter().filter(|slot| slot.done.is_some()).count() && !output.is_empty() {
            self.adopt(&output, on)?;
        }
        let details = response.incomplete_details.and_then(json::object::<Incomplete<'_>>);
        let reason = details.and_then(|details| json::word(details.reason));
        self.reply.raw_stop = reason.filter(|_| status == "incomplete").or_else(|| Some(status.clone()));
        self.status = Some(status);
        Ok(())
    }

    /// Takes the final list of items in place of what was collected.
    fn adopt(&mut self, output: &[&RawValue], on: &mut dyn FnMut(Delta<'_>)) -> Result<(), ApiError> {
        let mut old = std::mem::take(&mut self.slots);
        for (at, item) in output.iter().enumerate() {
            let id = item::id(item);
            let index = u64::try_from(at).ok();
            let found = old
                .iter()
                .position(|slot| (slot.index.is_some() && slot.index == index) || (id.is_some() && slot.id == id));
            let mut slot = found.map(|found| old.swap_remove(found)).unwrap_or_default();
            if slot.done.is_none() {
                self.size.add(item.get())?;
            }
            show_unseen(&mut slot, item, on);
            slot.done = Some((*item).to_owned());
            self.slots.push(slot);
        }
        Ok(())
    }

    fn judge_stop(&mut self, has_calls: bool) {
        self.reply.stop = match (self.status.as_deref(), self.reply.raw_stop.as_deref()) {
            _ if self.reply.refusal.is_some() => StopReason::Refusal,
            (Some("incomplete"), Some("content_filter")) => StopReason::Refusal,
            (Some("incomplete"), Some("max_output_tokens" | "max_messages" | "incomplete")) => StopReason::Length,
            (Some("incomplete"), _) => {
                self.reply.warnings.push(Warning::UnknownStop);
                StopReason::Length
            }
            _ if has_calls => StopReason::ToolUse,
            _ => StopReason::End,
        };
    }
}

/// Shows the text of a finished item of which no piece had been sent.
fn show_unseen(slot: &mut Slot, item: &RawValue, on: &mut dyn FnMut(Delta<'_>)) {
    if slot.text.is_empty() {
        slot.text = item::visible_text(item);
        if !slot.text.is_empty() {
            on(Delta::Text(&slot.text));
        }
    }
}

impl Decoder for ResponseDecoder {
    fn event(&mut self, name: Option<&str>, data: &RawValue, on: &mut dyn FnMut(Delta<'_>)) -> Result<Flow, ApiError> {
        let event: Event<'_> = json::object(data).ok_or_else(|| outcome::foreign("an event is not an object"))?;
        Size::parts(self.slots.len())?;
        let kind = event.r#type.and_then(json::string);
        match kind.as_deref().or(name).unwrap_or_default() {
            "error" => return Err(fault::streamed(data)),
            "response.output_item.added" => self.item(&event, false, on)?,
            "response.output_item.done" => self.item(&event, true, on)?,
            "response.output_text.delta" => self.text(&event, event.delta, on)?,
            "response.output_text.done" if self.slot(&event).text.is_empty() => self.text(&event, event.text, on)?,
            "response.refusal.delta" | "response.refusal.done" => self.refusal(&event)?,
            "response.function_call_arguments.delta" | "response.function_call_arguments.done" => {
                self.arguments(&event)?;
            }
            "response.reasoning_summary_text.delta" | "response.reasoning_text.delta" => self.reasoning(&event, on)?,
            kind @ ("response.completed" | "response.incomplete" | "response.failed") => {
                let response = event.response.unwrap_or(RawValue::NULL);
                self.close(response, kind.trim_start_matches("response."), on)?;
                return Ok(Flow::Done);
            }
            _ if event.error.is_some() => return Err(fault::streamed(data)),
            _ => {
                if let Some(response) = event.response.and_then(json::object::<Response<'_>>) {
                    self.response(&response);
                }
            }
        }
        Ok(Flow::More)
    }

    fn whole(&mut self, data: &RawValue, on: &mut dyn FnMut(Delta<'_>)) -> Result<(), ApiError> {
        if json::object::<Response<'_>>(data).is_none_or(|response| response.output.is_none()) {
            return Err(outcome::foreign("the document is not a response of this API"));
        }
        self.close(data, "completed", on)
    }

    fn finish(mut self: Box<Self>, end: End, _on: &mut dyn FnMut(Delta<'_>)) -> Ended {
        let id = self.reply.response_id.clone().unwrap_or_default();
        let mut refusal = String::new();
        for (at, slot) in std::mem::take(&mut self.slots).into_iter().enumerate() {
            let meaning = slot.meaning(&id, at);
            refusal.push_str(&meaning.refusal);
            self.reply.blocks.extend(meaning.block);
        }
        self.reply.refusal = Some(refusal).filter(|refusal| !refusal.is_empty());
        match end {
            _ if self.status.is_some() => {}
            End::Failed(error) => return outcome::fail(self.reply, error),
            End::Marker | End::Eof => return outcome::fail(self.reply, outcome::truncated()),
        }
        let has_calls = self.reply.blocks.iter().any(|block| matches!(block, Block::Tool(_)));
        self.judge_stop(has_calls);
        outcome::accept(self.reply)
    }
}
