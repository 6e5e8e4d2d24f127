//! Reply bytes of Chat Completions to a [`Reply`].

use serde::Deserialize;
use serde_json::value::RawValue;

use super::calls::{Calls, Fragment};
use super::reasoning::{Content, Reasoning};
use crate::chat::{Block, Origin, Reply, StopReason, Warning};
use crate::wire::ids::Rule;
use crate::wire::outcome::{self, Size};
use crate::wire::usage::{self, Names};
use crate::wire::{ApiError, Decoder, Delta, End, Ended, ErrorClass, Flow, fault, json};

/// Collects the chunks of one completion.
pub(super) struct ChunkDecoder {
    reply: Reply,
    ids: Rule,
    content: Content,
    reasoning: Reasoning,
    refusal: String,
    calls: Calls,
    /// A chunk with a choice has come.
    begun: bool,
    size: Size,
}

#[derive(Deserialize)]
struct Chunk<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    #[serde(borrow)]
    model: Option<&'a RawValue>,
    #[serde(borrow)]
    choices: Option<&'a RawValue>,
    #[serde(borrow)]
    usage: Option<&'a RawValue>,
    #[serde(borrow)]
    x_groq: Option<&'a RawValue>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Groq<'a> {
    #[serde(borrow)]
    usage: Option<&'a RawValue>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Choice<'a> {
    #[serde(borrow)]
    delta: Option<&'a RawValue>,
    #[serde(borrow)]
    message: Option<&'a RawValue>,
    #[serde(borrow)]
    finish_reason: Option<&'a RawValue>,
    #[serde(borrow)]
    usage: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    content: Option<&'a RawValue>,
    #[serde(borrow)]
    refusal: Option<&'a RawValue>,
    #[serde(borrow)]
    reasoning_content: Option<&'a RawValue>,
    #[serde(borrow)]
    reasoning: Option<&'a RawValue>,
    #[serde(borrow)]
    reasoning_details: Option<&'a RawValue>,
    #[serde(borrow)]
    tool_calls: Option<&'a RawValue>,
    #[serde(borrow)]
    function_call: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Part<'a> {
    #[serde(borrow)]
    text: Option<&'a RawValue>,
    #[serde(borrow)]
    thinking: Option<&'a RawValue>,
}

impl ChunkDecoder {
    pub(super) fn new(origin: Origin, ids: Rule) -> Self {
        Self {
            reply: outcome::blank(origin),
            ids,
            content: Content::default(),
            reasoning: Reasoning::default(),
            refusal: String::new(),
            calls: Calls::default(),
            begun: false,
            size: Size::default(),
        }
    }

    fn chunk(&mut self, data: &RawValue, on: &mut dyn FnMut(Delta<'_>)) -> Result<(), ApiError> {
        let chunk: Chunk<'_> = json::object(data).ok_or_else(|| outcome::foreign("a chunk is not an object"))?;
        let groq = chunk.x_groq.and_then(json::object::<Groq<'_>>);
        if (chunk.error.is_some() || chunk.choices.is_none()) && fault::is_report(data) {
            return Err(fault::streamed(data));
        }
        if let Some(error) = groq.as_ref().and_then(|groq| groq.error) {
            return Err(fault::streamed(error));
        }
        if self.reply.response_id.is_none() {
            self.reply.response_id = json::word(chunk.id);
        }
        if self.reply.response_model.is_none() {
            self.reply.response_model = json::word(chunk.model);
        }
        // Whatever its index says: only one is ever asked for.
        let choice = json::elements(chunk.choices).first().and_then(|raw| json::object::<Choice<'_>>(raw));
        let usages = [groq.and_then(|groq| groq.usage), choice.as_ref().and_then(|choice| choice.usage), chunk.usage];
        for usage in usages.into_iter().flatten() {
            self.reply.usage = usage::read(usage, &Names::CHAT).unwrap_or(self.reply.usage);
        }
        choice.map_or(Ok(()), |choice| self.choice(&choice, on))
    }

    fn choice(&mut self, choice: &Choice<'_>, on: &mut dyn FnMut(Delta<'_>)) -> Result<(), ApiError> {
        self.begun = true;
        for message in [choice.delta, choice.message].into_iter().flatten().filter_map(json::object::<Message<'_>>) {
            self.message(&message, on)?;
        }
        if let Some(reason) = json::word(choice.finish_reason) {
            self.reply.raw_stop = Some(reason);
        }
        Ok(())
    }

    fn message(&mut self, message: &Message<'_>, on: &mut dyn FnMut(Delta<'_>)) -> Result<(), ApiError> {
        let thought = self.reasoning.add(message.reasoning_content, message.reasoning, message.reasoning_details);
        self.size.add(message.reasoning_details.map_or(thought.as_str(), RawValue::get))?;
        if !thought.is_empty() {
            // It is shown and it goes back, so it is kept in two forms.
            self.size.add(&thought)?;
            on(Delta::Reasoning(&thought));
        }
        if let Some(content) = message.content {
            self.content(content, on)?;
        }
        if let Some(refusal) = message.refusal.and_then(json::string) {
            self.size.add(&refusal)?;
            self.refusal.push_str(&refusal);
        }
        let fragments = json::elements(message.tool_calls);
        for raw in &fragments {
            self.size.add(raw.get())?;
        }
        let fragments = fragments.into_iter().filter_map(Fragment::of_call);
        for fragment in fragments.chain(message.function_call.and_then(Fragment::of_function)) {
            Size::parts(self.calls.len())?;
            self.calls.add(fragment);
        }
        Ok(())
    }

    /// Takes content that is a string or, at Mistral, a list of parts.
    fn content(&mut self, content: &RawValue, on: &mut dyn FnMut(Delta<'_>)) -> Result<(), ApiError> {
        if let Some(text) = json::string(content) {
            self.size.add(&text)?;
            self.content.push(&text, on);
            return Ok(());
        }
        for part in json::elements(Some(content)).into_iter().filter_map(json::object::<Part<'_>>) {
            if let Some(text) = part.text.and_then(json::string) {
                self.size.add(&text)?;
                self.content.push(&text, on);
            }
            for thought in json::elements(part.thinking).into_iter().filter_map(json::object::<Part<'_>>) {
                let shown = self.reasoning.add(None, thought.text, None);
                self.size.add(&shown)?;
                if !shown.is_empty() {
                    on(Delta::Reasoning(&shown));
                }
            }
        }
        Ok(())
    }

    /// Whether a reply that ended properly, but without a stop reason, is one.
    fn is_usable(&self) -> bool {
        let spoke = !self.content.text.is_empty() || !self.refusal.is_empty();
        spoke || (!self.calls.is_empty() && self.calls.are_complete())
    }

    /// Judges how the reply ended: the failure, if it is one, and else what to warn of.
    fn judge_end(&mut self, end: End) -> Result<(), ApiError> {
        let finished = self.reply.raw_stop.is_some();
        match end {
            End::Failed(error) if !(finished && error.class.is_transport()) => return Err(error),
            End::Failed(_) => self.reply.warnings.push(Warning::NoTerminator),
            _ if finished => {}
            End::Marker if self.is_usable() => self.reply.warnings.push(Warning::NoFinishReason),
            End::Marker if !self.begun => {
                return Err(ApiError::new(ErrorClass::Empty, "the server sent an empty reply"));
            }
            End::Marker | End::Eof => return Err(outcome::truncated()),
        }
        match self.reply.raw_stop.as_deref() {
            Some("error") => Err(ApiError::new(ErrorClass::Server, "the provider failed while it replied")),
            Some(word @ "insufficient_system_resource") => {
                let message = "the server ran out of capacity while it replied";
                Err(ApiError { code: Some(word.to_owned()), ..ApiError::new(ErrorClass::Overloaded, message) })
            }
            _ => Ok(()),
        }
    }

    fn stop(&self, has_calls: bool) -> StopReason {
        match self.reply.raw_stop.as_deref() {
            Some("content_filter") => StopReason::Refusal,
            _ if !self.refusal.is_empty() => StopReason::Refusal,
            Some("length" | "model_length" | "max_tokens") => StopReason::Length,
            // Several servers say "stop" also where they call tools.
            _ if has_calls => StopReason::ToolUse,
            _ => StopReason::End,
        }
    }
}

impl Decoder for ChunkDecoder {
    fn event(&mut self, _name: Option<&str>, data: &RawValue, on: &mut dyn FnMut(Delta<'_>)) -> Result<Flow, ApiError> {
        self.chunk(data, on).map(|()| Flow::More)
    }

    fn whole(&mut self, data: &RawValue, on: &mut dyn FnMut(Delta<'_>)) -> Result<(), ApiError> {
        if json::object::<Chunk<'_>>(data).is_none_or(|chunk| chunk.choices.is_none()) {
            return Err(outcome::foreign("the document is not a completion of this API"));
        }
        self.chunk(data, on)
    }

    fn finish(mut self: Box<Self>, end: End, on: &mut dyn FnMut(Delta<'_>)) -> Ended {
        self.content.flush(on);
        let judged = self.judge_end(end);
        let calls = std::mem::take(&mut self.calls);
        let (calls, nameless) = calls.finish(self.ids, self.reply.response_id.as_deref().unwrap_or_default());
        self.reply.stop = self.stop(!calls.is_empty());
        if nameless {
            self.reply.warnings.push(Warning::NamelessCall);
        }
        let reasoning = self.reasoning.finish(self.content.thought).map(Block::Reasoning);
        let text = outcome::text_block(self.content.text);
        self.reply.blocks = reasoning.into_iter().chain(text).chain(calls.into_iter().map(Block::Tool)).collect();
        self.reply.refusal = Some(self.refusal).filter(|refusal| !refusal.is_empty());
        match judged {
            Ok(()) => outcome::accept(self.reply),
            Err(error) => outcome::fail(self.reply, error),
        }
    }
}
