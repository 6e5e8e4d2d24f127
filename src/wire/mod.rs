//! Floor 2: the providers' formats, pure: a conversation becomes request bytes, reply bytes become a reply.
//!
//! Nothing here opens a socket, sleeps or reads a file. [`Wire`] is implemented once a provider API; everything
//! that is peculiar to a server that speaks such an API is data ([`Quirks`]).

mod announced;
mod anthropic;
mod attempt;
mod body;
mod encode;
mod error;
mod fault;
mod ids;
mod json;
pub mod models;
mod openai_chat;
mod openai_responses;
mod outcome;
pub mod providers;
mod reply;
mod sse;
mod structured;
mod usage;

use crate::chat::{Entry, ToolSpec};

pub use announced::{Announced, Budget};
pub use attempt::Attempt;
pub use body::RequestBody;
pub use error::{ApiError, ErrorClass, ReplyHead, TooLong};
pub use models::{Cost, Model, cost};
pub use providers::Provider;
pub use reply::{Ended, ReplyReader};
pub use structured::{OutputFormat, Structured, refuses_format};

/// All wires, in the order in which `--help` names them.
pub static WIRES: &[&dyn Wire] = &[&anthropic::Anthropic, &openai_responses::OpenaiResponses, &openai_chat::OpenaiChat];

/// Looks a wire up by the name that `--wire` takes.
#[must_use]
pub fn named(name: &str) -> Option<&'static dyn Wire> {
    WIRES.iter().find(|wire| wire.name() == name).copied()
}

/// How a server wants to be told who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Auth {
    /// `authorization: Bearer KEY`
    Bearer,
    /// `x-api-key: KEY` (Anthropic)
    XApiKey,
    /// `api-key: KEY` (Azure)
    ApiKey,
}

/// The name of the field that limits the output on the Chat Completions wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MaxTokensField {
    /// `max_tokens`: what most compatible servers know.
    MaxTokens,
    /// `max_completion_tokens`: `OpenAI`, Azure, Groq, xAI, `OpenRouter`.
    MaxCompletionTokens,
}

/// What goes back of a model's reasoning on the Chat Completions wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EchoReasoning {
    /// Nothing: the server rejects or ignores it.
    Nothing,
    /// The fields as received (`reasoning_content`, `reasoning_details`), on the turns that had them.
    AsReceived,
    /// `reasoning_content` on every assistant message, empty where none came (`DeepSeek`).
    Always,
}

/// Where a server departs from the API whose wire it speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quirks {
    /// How the key is sent.
    pub auth: Auth,
    /// Chat Completions: the field for the output limit.
    pub max_tokens_field: MaxTokensField,
    /// Chat Completions: `stream_options` is understood.
    pub stream_options: bool,
    /// Chat Completions: ids of tool calls must be nine letters or digits (Mistral).
    pub nine_letter_ids: bool,
    /// Chat Completions: what goes back of the reasoning.
    pub echo_reasoning: EchoReasoning,
    /// Chat Completions: an assistant message must stand between tool results and a user message (Mistral).
    pub assistant_after_tools: bool,
    /// Whether a JSON Schema for the answer is taken.
    pub structured: Structured,
    /// Anthropic: the service itself, which knows prompt caching and the API version 2026-10-21.
    pub anthropic_service: bool,
}

/// Options that are sent only if the user gave them.
#[derive(Debug, Clone, Default)]
pub struct Params {
    /// `--effort`
    pub effort: Option<String>,
    /// `--temperature`
    pub temperature: Option<f64>,
    /// `--seed`
    pub seed: Option<i64>,
    /// `--param KEY=JSON`: merged into the body, replacing a field of the same name.
    pub extra: Vec<(String, Box<serde_json::value::RawValue>)>,
}

/// Whether the model may call tools in this request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ToolChoice {
    /// It may.
    Auto,
    /// The tools stay declared, but it may not.
    None,
}

/// Everything about a request but the conversation. All of it stays the same from turn to turn but `tool_choice`
/// and `format`,
/// so that the bytes before the newest entry never change.
#[derive(Debug, Clone)]
pub struct RequestHead<'a> {
    /// The provider's name; with the wire and the model it decides which seals go back.
    pub provider: &'a str,
    /// The model to ask.
    pub model: &'a str,
    /// The system prompt; empty for none.
    pub system: &'a str,
    /// The tools on offer; empty for none.
    pub tools: &'a [ToolSpec],
    /// The most tokens that one reply may have; `None` leaves it to the server where the wire allows that.
    pub max_tokens: Option<u64>,
    /// The user's options.
    pub params: &'a Params,
    /// How this server departs from its API.
    pub quirks: &'a Quirks,
    /// Whether tools may be called.
    pub tool_choice: ToolChoice,
    /// What the answer is held to, where the server can do that. Like `tool_choice` it is written behind the messages.
    pub format: Option<&'a OutputFormat>,
}

/// A part of a reply for showing while it arrives. Only the finished reply is data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delta<'a> {
    /// Visible text.
    Text(&'a str),
    /// Thinking, where the provider shows it.
    Reasoning(&'a str),
}

/// One provider API.
pub trait Wire: Sync {
    /// The name that `--wire` takes.
    fn name(&self) -> &'static str;

    /// The name that transcripts use for it (`message.api`).
    fn api(&self) -> &'static str;

    /// The path below the base URL that requests go to.
    fn path(&self) -> &'static str;

    /// The headers of this API besides `content-type` and the key's.
    fn headers(&self, head: &RequestHead<'_>) -> Vec<(&'static str, &'static str)>;

    /// Writes the body up to the place where the first entry begins.
    fn open(&self, head: &RequestHead<'_>, out: &mut Vec<u8>);

    /// Writes the messages of one entry, each followed by a comma. The bytes depend on `head` and `entry` alone.
    fn entry(&self, head: &RequestHead<'_>, entry: &Entry, out: &mut Vec<u8>);

    /// Writes what follows the last entry (whose trailing comma is gone).
    fn close(&self, head: &RequestHead<'_>, out: &mut Vec<u8>);

    /// Whether reasoning can go back only behind the very messages that it came after.
    fn binds_reasoning(&self) -> bool {
        false
    }

    /// A decoder for one reply.
    fn decoder(&self, head: &RequestHead<'_>) -> Box<dyn Decoder>;
}

/// Whether a decoder wants more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flow {
    /// The reply goes on.
    More,
    /// The end marker has come; whatever follows is to be ignored.
    Done,
}

/// How the bytes of a reply ended.
#[derive(Debug)]
pub enum End {
    /// By the end marker.
    Marker,
    /// The body ended without one.
    Eof,
    /// Reading failed (reset, stall, cut), or the stream broke a rule of its format.
    Failed(ApiError),
}

/// Turns the payloads of one reply into a [`Reply`](crate::chat::Reply).
pub trait Decoder {
    /// Takes one streamed event: its name, where it had one, and its JSON payload.
    ///
    /// # Errors
    /// The server reported a failure within the stream, or the payload is none of this API.
    fn event(
        &mut self,
        name: Option<&str>,
        data: &serde_json::value::RawValue,
        on: &mut dyn FnMut(Delta<'_>),
    ) -> Result<Flow, ApiError>;

    /// Takes a whole reply that came as one JSON document, although a stream was asked for.
    ///
    /// # Errors
    /// The document is an error, or none of this API.
    fn whole(&mut self, data: &serde_json::value::RawValue, on: &mut dyn FnMut(Delta<'_>)) -> Result<(), ApiError>;

    /// Ends the reply. What had arrived is returned also where the reply failed, for the transcript.
    fn finish(self: Box<Self>, end: End, on: &mut dyn FnMut(Delta<'_>)) -> Ended;
}

/// Encodes a whole request at once, as [`RequestBody`] does from turn to turn.
#[cfg(test)]
fn encode(wire: &dyn Wire, head: &RequestHead<'_>, conversation: &crate::chat::Conversation) -> Vec<u8> {
    let mut body = RequestBody::default();
    body.update(wire, head, conversation).to_vec()
}

#[cfg(test)]
mod captures_test;
#[cfg(test)]
mod encode_test;
#[cfg(test)]
mod peculiar_test;
#[cfg(test)]
mod property_test;
#[cfg(test)]
mod scenarios_test;
#[cfg(test)]
mod testing;
