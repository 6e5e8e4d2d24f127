//! What a line of a transcript says, as readers see it: every fact that `lines.rs` writes, owned and typed.
//!
//! The format grows by additions, so readers ignore fields that they do not know and take absent ones for empty.
//! A line of an unknown kind is [`Entry::Unknown`], not an error. How strict a transcript should be is for
//! `schema.json` to say.

use serde::de::Deserializer;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use super::lines::{ToolCounts, UsageLine};

/// One complete line.
#[derive(Debug, Clone)]
pub struct Line {
    /// Its number in the file, from 1.
    pub number: u64,
    /// Where it stands in its run.
    pub place: Place,
    /// What it says.
    pub entry: Entry,
}

/// Where a line stands: what every line has.
#[derive(Debug, Clone, Default)]
pub struct Place {
    /// The run it belongs to; lines of runs that write to one file at the same time stand mixed.
    pub run: String,
    /// Its number in the run, from 0.
    pub seq: Option<u64>,
    /// Its own id. The header's is the file's.
    pub id: String,
    /// The id of the run's line before it.
    pub parent: Option<String>,
    /// RFC 3339.
    pub timestamp: String,
}

/// What a line says.
#[derive(Debug, Clone)]
pub enum Entry {
    /// The header, the first line of a file.
    Session(Header),
    /// The first line of a run: everything about it that is not the conversation.
    Context(Box<RunContext>),
    /// What the user said.
    User(UserEntry),
    /// One attempt of a request.
    Request(Box<Request>),
    /// An assistant turn, or with `error_message` what had arrived of one.
    Assistant(Box<Assistant>),
    /// The result of a tool call.
    ToolResult(Box<ToolResultEntry>),
    /// The history was shortened.
    Prune(Prune),
    /// The last line of a run.
    Result(Box<RunEnd>),
    /// A kind of line that this version does not know, by its name.
    Unknown(String),
}

/// The header of a file.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Header {
    /// The name of the format.
    #[serde(deserialize_with = "or_default")]
    pub schema: String,
    /// Where the run started.
    #[serde(deserialize_with = "or_default")]
    pub cwd: String,
    /// The beginning of the prompt.
    #[serde(deserialize_with = "or_default")]
    pub name: String,
    /// Who wrote the file.
    #[serde(deserialize_with = "or_default")]
    pub flux: Writer,
}

/// The program that wrote a file.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Writer {
    /// Its version.
    pub version: String,
}

/// A run's context.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct RunContext {
    /// The system prompt.
    #[serde(deserialize_with = "or_default")]
    pub system: String,
    /// The tools on offer.
    #[serde(deserialize_with = "or_default")]
    pub tools: Vec<ToolOffer>,
    /// The user's options for the model.
    pub params: Value,
    /// What the run may do.
    pub permissions: Value,
    /// How children are confined.
    pub sandbox: Value,
    /// Where the user message came from.
    #[serde(deserialize_with = "or_default")]
    pub inputs: Vec<Source>,
}

/// A tool on offer.
#[derive(Debug, Clone, Deserialize)]
pub struct ToolOffer {
    /// Its name.
    pub name: String,
    /// What it does, for the model.
    #[serde(default)]
    pub description: String,
    /// The JSON Schema of its arguments, as written.
    #[serde(default = "empty_object")]
    pub input_schema: Box<RawValue>,
}

/// Where a part of the user message came from.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Source {
    /// `arg`, `stdin` or `file`.
    pub kind: String,
    /// The path as given.
    pub path: Option<String>,
    /// Bytes as read.
    pub bytes: u64,
    /// SHA-256 of those bytes, in hex.
    pub sha256: String,
    /// The media type.
    pub mime: String,
}

/// A user message as it was sent.
#[derive(Debug, Clone)]
pub struct UserEntry {
    /// In order. A message that is one string has one text part.
    pub parts: Vec<UserPart>,
}

/// A part of a user message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UserPart {
    /// Text.
    Text(String),
    /// An image or a document.
    Media {
        /// Its media type.
        mime: String,
        /// In base64.
        data: String,
        /// The file's name, where one was sent.
        name: String,
    },
}

/// One attempt of a request. Times are in milliseconds.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Request {
    /// The turn, from 1.
    pub turn: u64,
    /// The attempt within the turn, from 1.
    pub attempt: u64,
    /// Who was asked.
    #[serde(deserialize_with = "or_default")]
    pub provider: String,
    /// The model that was asked.
    #[serde(deserialize_with = "or_default")]
    pub model: String,
    /// The server's address.
    #[serde(deserialize_with = "or_default")]
    pub base_url: String,
    /// Messages in the request.
    pub messages: u64,
    /// The estimate of its tokens.
    #[serde(deserialize_with = "or_default")]
    pub estimated_tokens: u64,
    /// Bytes of its body.
    pub bytes: u64,
    /// The HTTP status.
    pub status: Option<u16>,
    /// The server's id of it.
    pub request_id: Option<String>,
    /// Until the first byte of the reply.
    pub ttft_ms: Option<u64>,
    /// Until the end of the reply.
    #[serde(deserialize_with = "or_default")]
    pub duration_ms: u64,
    /// Waited before it.
    #[serde(deserialize_with = "or_default")]
    pub wait_ms: u64,
    /// What was odd about the reply.
    #[serde(deserialize_with = "or_default")]
    pub warnings: Vec<String>,
    /// Why it failed.
    pub error: Option<ErrorNote>,
}

/// Why a request or a run failed.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct ErrorNote {
    /// The kind of failure.
    #[serde(deserialize_with = "or_default")]
    pub class: String,
    /// The server's own code.
    pub code: Option<String>,
    /// In words.
    #[serde(deserialize_with = "or_default")]
    pub message: String,
}

/// An assistant turn.
#[derive(Debug, Clone)]
pub struct Assistant {
    /// In the order in which the model wrote them.
    pub blocks: Vec<AssistantBlock>,
    /// `anthropic-messages`, `openai-responses` or `openai-completions`.
    pub api: String,
    /// Who was asked.
    pub provider: String,
    /// The model that was asked.
    pub model: String,
    /// The model that answered, where it names itself otherwise.
    pub response_model: Option<String>,
    /// The server's id of the reply.
    pub response_id: Option<String>,
    /// Tokens, where the server counted them.
    pub usage: Option<UsageLine>,
    /// `stop`, `length`, `toolUse`, `error` or `aborted`.
    pub stop_reason: String,
    /// The server's own word for it.
    pub raw_stop_reason: Option<String>,
    /// The words in which the model declined.
    pub refusal: Option<String>,
    /// Why the turn is not whole.
    pub error_message: Option<String>,
    /// Unix time in milliseconds.
    pub timestamp: u64,
}

impl Assistant {
    /// The visible text.
    #[must_use]
    pub fn text(&self) -> String {
        self.blocks
            .iter()
            .filter_map(|b| if let AssistantBlock::Text { text, .. } = b { Some(&**text) } else { None })
            .collect()
    }

    /// The tool calls in order.
    pub fn calls(&self) -> impl Iterator<Item = &Call> {
        self.blocks.iter().filter_map(|b| if let AssistantBlock::Call(call) = b { Some(call) } else { None })
    }
}

/// A block of an assistant turn. Signatures are the author's own form of the block, as JSON text.
#[derive(Debug, Clone)]
pub enum AssistantBlock {
    /// Visible text.
    Text {
        /// The text.
        text: String,
        /// `textSignature`
        signature: Option<String>,
    },
    /// Thinking.
    Thinking {
        /// What of it may be read, often nothing.
        text: String,
        /// `thinkingSignature`
        signature: Option<String>,
    },
    /// A block that only its author understands.
    Opaque {
        /// `thinkingSignature`
        signature: String,
    },
    /// A tool call.
    Call(Call),
}

/// A tool call.
#[derive(Debug, Clone)]
pub struct Call {
    /// Its id.
    pub id: String,
    /// The tool's name.
    pub name: String,
    /// One JSON object; `{}` for broken ones.
    pub arguments: Box<RawValue>,
    /// `brokenArguments`: what the model wrote, where that is not one JSON object.
    pub broken: Option<String>,
    /// `thoughtSignature`
    pub signature: Option<String>,
}

/// The result of a tool call.
#[derive(Debug, Clone)]
pub struct ToolResultEntry {
    /// The call's id.
    pub call_id: String,
    /// The tool's name.
    pub tool: String,
    /// What the model saw.
    pub text: String,
    /// Facts about it.
    pub details: ResultDetails,
    /// The call failed, was denied or did not run.
    pub is_error: bool,
    /// Unix time in milliseconds.
    pub timestamp: u64,
}

/// Facts about a tool result.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct ResultDetails {
    /// How long the call ran, in milliseconds.
    pub duration_ms: Option<u64>,
    /// Bytes of the result before any cut.
    pub bytes: u64,
    /// The text is only a part of the result.
    pub truncated: bool,
    /// A command's exit code.
    pub exit_code: Option<i64>,
    /// A stable word for the kind of error.
    pub code: Option<String>,
    /// The permissions of the run forbade the call.
    pub denied: bool,
    /// What the call changed, as a unified diff.
    pub diff: Option<String>,
    /// The call changed something.
    pub changed: bool,
}

/// The history was shortened. The token counts are estimates.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Prune {
    /// `budget` or `overflow`.
    #[serde(deserialize_with = "or_default")]
    pub reason: String,
    /// Messages before.
    pub messages_before: u64,
    /// Messages after.
    pub messages_after: u64,
    /// Tokens before.
    pub tokens_before: u64,
    /// Tokens after.
    pub tokens_after: u64,
    /// Ids of what was removed.
    #[serde(deserialize_with = "or_default")]
    pub removed: Vec<String>,
    /// Ids of what was shortened.
    #[serde(deserialize_with = "or_default")]
    pub shrunk: Vec<String>,
    /// How many bytes of its text each of those keeps.
    #[serde(deserialize_with = "or_default")]
    pub kept_bytes: Vec<u64>,
    /// Reasoning up to here is not sent any more.
    pub reasoning_removed: bool,
}

/// The last line of a run.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct RunEnd {
    /// `ok`, `no`, `limit`, `declined`, `denied`, `error` or `aborted`.
    #[serde(deserialize_with = "or_default")]
    pub status: String,
    /// The exit code.
    pub exit_code: u8,
    /// Why the last turn ended, in the server's word.
    pub stop_reason: Option<String>,
    /// The answer.
    #[serde(deserialize_with = "or_default")]
    pub result: String,
    /// The answer as a value, where one was demanded.
    pub structured: Option<Value>,
    /// Requests that were answered.
    pub turns: u64,
    /// Tool calls by outcome.
    #[serde(deserialize_with = "or_default")]
    pub tool_calls: ToolCounts,
    /// Attempts beyond the first of each turn.
    pub retries: u64,
    /// How often the history was shortened.
    pub prunes: u64,
    /// The whole run, in milliseconds.
    pub duration_ms: u64,
    /// Tokens of the whole run.
    #[serde(deserialize_with = "or_default")]
    pub usage: UsageLine,
    /// In US dollars, where the price is known.
    pub cost_usd: Option<f64>,
    /// Why the run failed.
    pub error: Option<ErrorNote>,
}

/// `null` is as good as absent.
pub(super) fn or_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(from: D) -> Result<T, D::Error> {
    Option::deserialize(from).map(Option::unwrap_or_default)
}

/// `{}`
pub(super) fn empty_object() -> Box<RawValue> {
    RawValue::from_string("{}".to_owned()).unwrap_or_default()
}
