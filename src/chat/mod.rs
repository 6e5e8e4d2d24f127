//! Floor 1: the language of the domain: messages, blocks, tool calls with their results, usage.
//!
//! Everything here is a plain value. It knows no provider's format, no file and no clock. A tool call is stored
//! only together with its result ([`Exchange`]), so a history with an unanswered call cannot be written down.

mod conversation;
pub mod estimate;
mod pieces;
pub mod prune;
mod said;
mod unique;

use std::borrow::Cow;

use serde_json::value::RawValue;

pub use conversation::{Conversation, Entry};
pub use said::Said;
pub use unique::parse as unique_json;

/// A piece of provider state that goes back unchanged, byte for byte, to the wire and model that wrote it
/// ([`Origin`]) and to nobody else. Only the wire that made it knows what is in it.
pub type Seal = Box<RawValue>;

/// The id of a line in the transcript.
pub type LineId = String;

/// What the user says in one message: text, images, documents, in the order given.
#[derive(Debug, Clone, Default)]
pub struct UserMessage {
    /// Neighbouring [`Part::Text`]s are one text without a separator (kept apart so that a large input is never copied).
    pub parts: Vec<Part>,
    /// Its lines in the transcript, where there is one.
    pub lines: Vec<LineId>,
}

/// One part of a user message.
#[derive(Debug, Clone)]
pub enum Part {
    /// Plain text.
    Text(String),
    /// An image or a PDF document.
    Media(Media),
}

/// An attachment that is not text.
#[derive(Debug, Clone)]
pub struct Media {
    /// `image/png`, `image/jpeg`, `image/gif`, `image/webp` or `application/pdf`.
    pub mime: &'static str,
    /// The file's name without directories, for wires that show one.
    pub name: String,
    /// The content in standard base64 without line breaks.
    pub base64: String,
}

/// A tool call as the model made it.
#[derive(Debug, Clone)]
pub struct ToolCall {
    /// Unique within the conversation.
    pub id: String,
    /// The tool's name; it may be one that nobody offers.
    pub name: String,
    /// What the tool is called with.
    pub arguments: Arguments,
    /// The author's own form of the call, where the neutral fields are not all of it.
    pub seal: Option<Seal>,
}

/// The arguments of a tool call.
#[derive(Debug, Clone)]
pub enum Arguments {
    /// One JSON object, kept as the model wrote it.
    Object(Box<RawValue>),
    /// Something else: the call never runs and is replayed with `{}`.
    Broken {
        /// What the model wrote.
        text: String,
        /// Why it is not one JSON object.
        fault: String,
    },
}

/// The answer to a tool call.
#[derive(Debug, Clone, Default)]
pub struct ToolResult {
    /// What the model sees; for an error `CODE: MESSAGE`.
    pub text: String,
    /// True if the call failed, was denied or did not run.
    pub is_error: bool,
    /// What only the transcript sees.
    pub detail: Detail,
}

/// Facts about a tool result for the transcript.
#[derive(Debug, Clone, Default)]
pub struct Detail {
    /// How long the call ran, in milliseconds.
    pub duration_ms: u64,
    /// Bytes of the result before any cut.
    pub bytes: u64,
    /// True if `text` is only a part of the result.
    pub truncated: bool,
    /// A command's exit code.
    pub exit_code: Option<i32>,
    /// A short, stable word for the kind of error.
    pub code: Option<&'static str>,
    /// If the permissions of this run forbid the call: what to add to the command line, or to leave out, to permit it.
    pub denied: Option<String>,
    /// What a call has changed, as a unified diff.
    pub diff: Option<String>,
    /// The call has changed something.
    pub changed: bool,
    /// Its line in the transcript, where there is one.
    pub line: Option<LineId>,
}

/// A tool call together with its result: the only way in which a conversation holds either.
#[derive(Debug, Clone)]
pub struct Exchange {
    /// What the model asked for.
    pub call: ToolCall,
    /// What it was told.
    pub result: ToolResult,
}

/// One block of an assistant turn; `T` is a [`ToolCall`] in a reply and an [`Exchange`] in a step.
#[derive(Debug, Clone)]
pub enum Block<T> {
    /// Visible text.
    Text(Sealed),
    /// Thinking: its visible text, often empty, and the provider's seal.
    Reasoning(Sealed),
    /// A tool call, or a call with its result.
    Tool(T),
    /// A block that only its author understands.
    Opaque(Seal),
}

/// Text with an optional seal.
#[derive(Debug, Clone, Default)]
pub struct Sealed {
    /// The text as shown to people.
    pub text: String,
    /// The author's own form, where the text is not all of it.
    pub seal: Option<Seal>,
}

/// Why a reply ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopReason {
    /// The model finished its turn.
    End,
    /// The model wants its tool calls run; no other reason permits that.
    ToolUse,
    /// Cut at the output limit.
    Length,
    /// A stop sequence was hit.
    StopSequence,
    /// The model or its provider declined.
    Refusal,
    /// A server-side tool loop paused: send the turn back unchanged.
    Pause,
    /// Cut because the window is full.
    ContextFull,
}

/// Tokens as the server counted them; `None` where it did not say.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// The whole prompt, what came from or went to a cache included.
    pub input: Option<u64>,
    /// The part of `input` that was read from a cache.
    pub cache_read: Option<u64>,
    /// The part of `input` that was written to a cache.
    pub cache_write: Option<u64>,
    /// Everything the model wrote, reasoning included.
    pub output: Option<u64>,
    /// The part of `output` that is reasoning.
    pub reasoning: Option<u64>,
}

/// Who wrote a turn. Seals go back only to their own origin.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Origin {
    /// The wire's name, as `--wire` takes it.
    pub wire: &'static str,
    /// The provider's name.
    pub provider: String,
    /// The model that was asked.
    pub model: String,
}

/// Something odd about a reply that did not make it fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Warning {
    /// Cut at the output limit or by a full window.
    Length,
    /// The model declined.
    Refusal,
    /// Neither text nor a tool call nor a refusal.
    Empty,
    /// A call's arguments are not one JSON object.
    BadArguments,
    /// The stream ended without its end marker, but with a stop reason.
    NoTerminator,
    /// The stream ended properly, but without a stop reason.
    NoFinishReason,
    /// A call without a name was dropped.
    NamelessCall,
    /// A stop reason that this program does not know.
    UnknownStop,
}

impl Warning {
    /// The word for it in transcripts.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Length => "length",
            Self::Refusal => "refusal",
            Self::Empty => "empty",
            Self::BadArguments => "bad_arguments",
            Self::NoTerminator => "no_terminator",
            Self::NoFinishReason => "no_finish_reason",
            Self::NamelessCall => "nameless_call",
            Self::UnknownStop => "unknown_stop",
        }
    }
}

/// An assistant turn.
#[derive(Debug, Clone)]
pub struct Turn<T> {
    /// In the order in which the model wrote them.
    pub blocks: Vec<Block<T>>,
    /// Why it ended.
    pub stop: StopReason,
    /// The server's own word for that.
    pub raw_stop: Option<String>,
    /// What the model said instead of an answer, if it declined with words of their own.
    pub refusal: Option<String>,
    /// Tokens as reported.
    pub usage: Usage,
    /// Who wrote it.
    pub origin: Origin,
    /// The server's id of the reply.
    pub response_id: Option<String>,
    /// The model that answered, as the server names it.
    pub response_model: Option<String>,
    /// Sorted, without repeats.
    pub warnings: Vec<Warning>,
    /// Its lines in the transcript, where there is one: more than one if it paused.
    pub lines: Vec<LineId>,
}

/// What the model just said.
pub type Reply = Turn<ToolCall>;

impl<T> Turn<T> {
    /// The visible text of all text blocks, joined without separators.
    #[must_use]
    pub fn text(&self) -> String {
        self.blocks.iter().filter_map(|b| if let Block::Text(t) = b { Some(t.text.as_str()) } else { None }).collect()
    }

    /// The tool calls (or exchanges) in order.
    pub fn tools(&self) -> impl Iterator<Item = &T> {
        self.blocks.iter().filter_map(|b| if let Block::Tool(t) = b { Some(t) } else { None })
    }
}

impl Reply {
    /// Answers every call: `results` are taken in call order. A call without a result left for it is answered
    /// as cancelled, so no call can stay open.
    #[must_use]
    pub fn resolve(self, results: Vec<ToolResult>) -> Turn<Exchange> {
        let mut results = results.into_iter();
        let mut answer = |call| Exchange { call, result: results.next().unwrap_or_else(ToolResult::cancelled) };
        let blocks = self.blocks.into_iter().map(|block| match block {
            Block::Text(t) => Block::Text(t),
            Block::Reasoning(r) => Block::Reasoning(r),
            Block::Opaque(o) => Block::Opaque(o),
            Block::Tool(call) => Block::Tool(answer(call)),
        });
        Turn {
            blocks: blocks.collect(),
            stop: self.stop,
            raw_stop: self.raw_stop,
            refusal: self.refusal,
            usage: self.usage,
            origin: self.origin,
            response_id: self.response_id,
            response_model: self.response_model,
            warnings: self.warnings,
            lines: self.lines,
        }
    }
}

impl ToolResult {
    /// A successful result.
    #[must_use]
    pub fn ok(text: impl Into<String>) -> Self {
        let text = text.into();
        let detail = Detail { bytes: text.len() as u64, ..Detail::default() };
        Self { text, is_error: false, detail }
    }

    /// A failed call. `code` is a short, stable word; `message` says what, why and what to do.
    #[must_use]
    pub fn error(code: &'static str, message: impl std::fmt::Display) -> Self {
        let text = format!("{code}: {message}");
        let detail = Detail { bytes: text.len() as u64, code: Some(code), ..Detail::default() };
        Self { text, is_error: true, detail }
    }

    /// A call that the permissions of this run forbid; `remedy` is what the user could type to permit it.
    #[must_use]
    pub fn denied(message: impl std::fmt::Display, remedy: String) -> Self {
        let mut result = Self::error("denied", message);
        result.detail.denied = Some(remedy);
        result
    }

    /// A call that did not run because the run was stopped.
    #[must_use]
    pub fn cancelled() -> Self {
        Self::error("cancelled", "the run was stopped before this call")
    }

    /// A call of a run that ended, nobody knows how, before its result was written.
    #[must_use]
    pub fn interrupted() -> Self {
        Self::error("interrupted", "the run ended before this call had a result")
    }
}

impl Arguments {
    /// Takes what the model wrote: blank text means no arguments, `{}`.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let text = match text.trim() {
            "" => "{}",
            trimmed => trimmed,
        };
        match serde_json::from_str::<unique::Object>(text) {
            Ok(_) => match RawValue::from_string(text.to_owned()) {
                Ok(raw) => Self::Object(raw),
                Err(error) => Self::Broken { text: text.to_owned(), fault: error.to_string() },
            },
            Err(error) => Self::Broken { text: text.to_owned(), fault: error.to_string() },
        }
    }

    /// The JSON object to send back to a provider: broken arguments become `{}`.
    #[must_use]
    pub fn replay(&self) -> &str {
        match self {
            Self::Object(raw) => raw.get(),
            Self::Broken { .. } => "{}",
        }
    }
}

/// A tool as it is offered to the model.
#[derive(Debug, Clone)]
pub struct ToolSpec {
    /// `[a-zA-Z0-9_-]{1,64}`, unique.
    pub name: Cow<'static, str>,
    /// What it does, for the model.
    pub description: Cow<'static, str>,
    /// A JSON Schema with root `type: object`, as JSON text that goes out unchanged.
    pub schema: Cow<'static, str>,
}

impl UserMessage {
    /// A message of one text.
    #[must_use]
    pub fn text(text: impl Into<String>) -> Self {
        Self { parts: vec![Part::Text(text.into())], lines: Vec::new() }
    }

    /// True if every part is text.
    #[must_use]
    pub fn is_text(&self) -> bool {
        self.parts.iter().all(|p| matches!(p, Part::Text(_)))
    }
}

#[cfg(test)]
mod prune_test;
