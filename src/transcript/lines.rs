//! The shapes of the lines. Names and nesting are those of the Pi session format, version 3, as `transcript.md`
//! profiles it; what flux adds rides in `custom` lines and the `result` line.

use serde::{Deserialize, Serialize, Serializer};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::base::clock;
use crate::chat::{Arguments, Block, Part, Reply, Seal, Sealed, StopReason, ToolCall, ToolResult, Usage, UserMessage};
use crate::wire::{ApiError, Attempt, Cost, ErrorClass};

/// The first line of a file.
#[derive(Serialize)]
pub(super) struct Header<'a> {
    r#type: &'static str,
    version: u32,
    harness: &'static str,
    schema: &'static str,
    id: Uuid,
    run: Uuid,
    seq: u64,
    timestamp: String,
    cwd: &'a str,
    name: &'a str,
    flux: Value,
}

impl<'a> Header<'a> {
    pub(super) fn new(run: Uuid, cwd: &'a str, name: &'a str) -> Self {
        Self {
            r#type: "session",
            version: 3,
            harness: "flux",
            schema: super::SCHEMA,
            id: super::new_id(),
            run,
            seq: 0,
            timestamp: clock::rfc3339(),
            cwd,
            name,
            flux: json!({"version": env!("CARGO_PKG_VERSION"), "command": "ask"}),
        }
    }
}

/// What every line after the first has.
#[derive(Serialize)]
pub(super) struct Envelope<'a, T> {
    #[serde(rename = "type")]
    pub kind: &'static str,
    pub run: Uuid,
    pub seq: u64,
    pub id: String,
    #[serde(rename = "parentId")]
    pub parent_id: Option<String>,
    pub timestamp: String,
    #[serde(flatten)]
    pub body: &'a T,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Custom<'a, T> {
    pub custom_type: &'static str,
    pub data: &'a T,
}

#[derive(Serialize)]
pub(super) struct Message<'a, T> {
    pub message: &'a T,
}

/// Where a part of the user message came from.
#[derive(Debug, Clone, Serialize)]
pub struct Input {
    /// `arg`, `stdin` or `file`.
    pub kind: &'static str,
    /// The path as given, for a file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Bytes as read.
    pub bytes: u64,
    /// SHA-256 of those bytes, in hex.
    pub sha256: String,
    /// What it is.
    pub mime: &'static str,
}

#[derive(Serialize)]
pub(super) struct UserLine<'a> {
    role: &'static str,
    content: UserContent<'a>,
    timestamp: u64,
}

impl<'a> UserLine<'a> {
    pub(super) fn new(message: &'a UserMessage) -> Self {
        Self { role: "user", content: UserContent(message), timestamp: clock::unix_millis() }
    }
}

struct UserContent<'a>(&'a UserMessage);

impl Serialize for UserContent<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0.is_text() {
            return serializer.collect_str(&Texts(&self.0.parts));
        }
        serializer.collect_seq(self.0.parts.chunk_by(|a, b| is_text(a) && is_text(b)).map(UserPart))
    }
}

fn is_text(part: &Part) -> bool {
    matches!(part, Part::Text(_))
}

/// Neighbouring text parts are one text, joined while it is written.
struct Texts<'a>(&'a [Part]);

impl std::fmt::Display for Texts<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|part| if let Part::Text(text) = part { f.write_str(text) } else { Ok(()) })
    }
}

struct UserPart<'a>(&'a [Part]);

impl Serialize for UserPart<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            [Part::Media(media)] => {
                let mut image = json!({"type": "image", "data": media.base64, "mimeType": media.mime});
                if !media.name.is_empty() {
                    image["name"] = media.name.as_str().into();
                }
                image.serialize(serializer)
            }
            texts => json!({"type": "text", "text": Texts(texts).to_string()}).serialize(serializer),
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct AssistantMessage<'a> {
    role: &'static str,
    content: Vec<ContentBlock<'a>>,
    api: &'a str,
    provider: &'a str,
    model: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_model: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<UsageLine>,
    stop_reason: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    raw_stop_reason: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refusal: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_message: Option<&'a str>,
    timestamp: u64,
}

impl<'a> AssistantMessage<'a> {
    pub(super) fn new(reply: &'a Reply, api: &'a str, cost: Option<Cost>, error: Option<&'a ApiError>) -> Self {
        Self {
            role: "assistant",
            content: reply.blocks.iter().map(ContentBlock::new).collect(),
            api,
            provider: &reply.origin.provider,
            model: &reply.origin.model,
            response_model: reply.response_model.as_deref().filter(|model| *model != reply.origin.model),
            response_id: reply.response_id.as_deref(),
            usage: (reply.usage != Usage::default()).then(|| UsageLine::new(&reply.usage, cost)),
            stop_reason: match error {
                Some(error) if error.class == ErrorClass::Cancelled => "aborted",
                Some(_) => "error",
                None => stop_word(reply.stop),
            },
            raw_stop_reason: reply.raw_stop.as_deref(),
            refusal: reply.refusal.as_deref(),
            error_message: error.map(|e| e.message.as_str()),
            timestamp: clock::unix_millis(),
        }
    }
}

fn stop_word(stop: StopReason) -> &'static str {
    match stop {
        StopReason::End | StopReason::StopSequence | StopReason::Pause => "stop",
        StopReason::ToolUse => "toolUse",
        StopReason::Length | StopReason::ContextFull => "length",
        StopReason::Refusal => "error",
    }
}

/// A block of an assistant turn. The signatures are the author's own form of the block, as JSON text, kept whole so
/// that a session resumes exactly.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "camelCase", rename_all_fields = "camelCase")]
enum ContentBlock<'a> {
    Text {
        text: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        text_signature: Option<&'a str>,
    },
    Thinking {
        thinking: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        thinking_signature: Option<&'a str>,
        /// The block is none that this program understands.
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        opaque: bool,
    },
    ToolCall {
        id: &'a str,
        name: &'a str,
        arguments: Box<RawValue>,
        #[serde(skip_serializing_if = "Option::is_none")]
        broken_arguments: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        thought_signature: Option<&'a str>,
    },
}

impl<'a> ContentBlock<'a> {
    fn new(block: &'a Block<ToolCall>) -> Self {
        match block {
            Block::Text(Sealed { text, seal }) => Self::Text { text, text_signature: json_text(seal.as_ref()) },
            Block::Reasoning(Sealed { text, seal }) => {
                Self::Thinking { thinking: text, thinking_signature: json_text(seal.as_ref()), opaque: false }
            }
            Block::Opaque(seal) => Self::Thinking { thinking: "", thinking_signature: Some(seal.get()), opaque: true },
            Block::Tool(ToolCall { id, name, arguments, seal }) => {
                let (arguments, broken_arguments) = match arguments {
                    Arguments::Object(raw) => (one_line(raw), None),
                    Arguments::Broken { text, .. } => (super::entry::empty_object(), Some(text.as_str())),
                };
                let thought_signature = json_text(seal.as_ref());
                Self::ToolCall { id, name, arguments, broken_arguments, thought_signature }
            }
        }
    }
}

/// JSON as the model wrote it. Outside of strings line breaks are no more than blanks, and inside they cannot stand.
fn one_line(raw: &RawValue) -> Box<RawValue> {
    if raw.get().contains(['\n', '\r']) {
        RawValue::from_string(raw.get().replace(['\n', '\r'], " ")).unwrap_or_else(|_| raw.to_owned())
    } else {
        raw.to_owned()
    }
}

fn json_text(seal: Option<&Seal>) -> Option<&str> {
    seal.map(|seal| seal.get())
}

/// Tokens as transcripts count them: `input` is what was neither read from nor written to a cache.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct UsageLine {
    /// Prompt tokens that no cache had to do with.
    pub input: u64,
    /// What the model wrote.
    pub output: u64,
    /// Prompt tokens read from a cache.
    pub cache_read: u64,
    /// Prompt tokens written to a cache.
    pub cache_write: u64,
    /// All of them.
    pub total_tokens: u64,
    /// The part of `output` that is reasoning.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reasoning: Option<u64>,
    /// What they cost, where the price is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost: Option<CostLine>,
}

/// What tokens cost, in US dollars.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct CostLine {
    /// Of `input`.
    pub input: f64,
    /// Of `output`.
    pub output: f64,
    /// Of `cacheRead`.
    pub cache_read: f64,
    /// Of `cacheWrite`.
    pub cache_write: f64,
    /// Of all.
    pub total: f64,
}

impl UsageLine {
    /// From the normalised usage.
    #[must_use]
    pub fn new(usage: &Usage, cost: Option<Cost>) -> Self {
        let (read, write) = (usage.cache_read.unwrap_or(0), usage.cache_write.unwrap_or(0));
        let (input, output) = (usage.input.unwrap_or(0), usage.output.unwrap_or(0));
        Self {
            input: input.saturating_sub(read).saturating_sub(write),
            output,
            cache_read: read,
            cache_write: write,
            total_tokens: input.saturating_add(output),
            reasoning: usage.reasoning,
            cost: cost.map(CostLine::from),
        }
    }
}

impl From<Cost> for CostLine {
    fn from(cost: Cost) -> Self {
        Self {
            input: cost.input,
            output: cost.output,
            cache_read: cost.cache_read,
            cache_write: cost.cache_write,
            total: cost.total(),
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ToolResultMessage<'a> {
    role: &'static str,
    tool_call_id: &'a str,
    tool_name: &'a str,
    content: [TextBlock<'a>; 1],
    details: Value,
    is_error: bool,
    timestamp: u64,
}

#[derive(Serialize)]
struct TextBlock<'a> {
    r#type: &'static str,
    text: &'a str,
}

impl<'a> ToolResultMessage<'a> {
    pub(super) fn new(call: &'a ToolCall, result: &'a ToolResult) -> Self {
        let detail = &result.detail;
        let mut details =
            json!({"duration_ms": detail.duration_ms, "bytes": detail.bytes, "truncated": detail.truncated});
        if let Some(code) = detail.exit_code {
            details["exit_code"] = code.into();
        }
        if let Some(code) = detail.code {
            details["code"] = code.into();
        }
        if detail.denied.is_some() {
            details["denied"] = true.into();
        }
        if detail.changed {
            details["changed"] = true.into();
        }
        if let Some(diff) = &detail.diff {
            details["diff"] = diff.as_str().into();
        }
        Self {
            role: "toolResult",
            tool_call_id: &call.id,
            tool_name: &call.name,
            content: [TextBlock { r#type: "text", text: &result.text }],
            details,
            is_error: result.is_error,
            timestamp: clock::unix_millis(),
        }
    }
}

/// The data of a `flux.request` line.
pub(super) fn request(attempt: &Attempt, provider: &str, model: &str, base_url: &str) -> Value {
    let error = attempt.error.as_ref().map(|error| {
        json!({
            "class": error.class.word(), "code": error.code, "message": error.message, "retryable": error.retryable,
            "retry_after_s": error.retry_after.map(|d| d.as_secs_f64()),
        })
    });
    json!({
        "turn": attempt.turn, "attempt": attempt.attempt, "provider": provider, "model": model, "base_url": base_url,
        "messages": attempt.messages, "estimated_tokens": attempt.estimated_tokens, "bytes": attempt.bytes,
        "status": attempt.status, "request_id": attempt.request_id, "ttft_ms": attempt.ttft_ms,
        "duration_ms": attempt.duration_ms, "wait_ms": attempt.wait_ms,
        "warnings": attempt.warnings.iter().map(|w| w.word()).collect::<Vec<_>>(), "error": error,
    })
}

/// How tool calls ended.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ToolCounts {
    /// With a result.
    pub ok: u64,
    /// With an error.
    pub error: u64,
    /// Forbidden.
    pub denied: u64,
}

impl ToolCounts {
    /// All calls.
    #[must_use]
    pub fn total(self) -> u64 {
        self.ok.saturating_add(self.error).saturating_add(self.denied)
    }
}

/// The `result` line.
#[derive(Debug, Serialize)]
pub struct RunResult {
    /// `ok`, `no`, `limit`, `declined`, `denied`, `error` or `aborted`.
    pub status: &'static str,
    /// The exit code.
    pub exit_code: u8,
    /// Why the last turn ended, in the server's word.
    pub stop_reason: Option<String>,
    /// The answer; without a whole one what there is of it.
    pub result: String,
    /// The same as data, where a form was demanded that is JSON.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub structured: Option<Value>,
    /// Requests that were answered.
    pub turns: u64,
    /// Tool calls by outcome.
    pub tool_calls: ToolCounts,
    /// Attempts beyond the first of each turn.
    pub retries: u64,
    /// How often the history was shortened.
    pub prunes: u64,
    /// The whole run, in milliseconds.
    pub duration_ms: u64,
    /// Tokens of the whole run.
    pub usage: UsageLine,
    /// In US dollars; null where a price is unknown.
    pub cost_usd: Option<f64>,
    /// Why the run failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<Value>,
}
