//! One try of a request, as transcripts and progress lines show it.

use super::ApiError;
use crate::chat::{Usage, Warning};

/// The facts of one attempt. Times are in milliseconds.
#[derive(Debug, Clone, Default)]
pub struct Attempt {
    /// The turn it belongs to, from 1.
    pub turn: u64,
    /// The attempt within the turn, from 1.
    pub attempt: u32,
    /// Messages in the request, the system prompt not counted.
    pub messages: usize,
    /// An estimate of the prompt's tokens, made before it was sent.
    pub estimated_tokens: u64,
    /// Bytes of the request's body.
    pub bytes: u64,
    /// The HTTP status, where one came.
    pub status: Option<u16>,
    /// The server's id of the request.
    pub request_id: Option<String>,
    /// Until the first byte of the reply's body.
    pub ttft_ms: Option<u64>,
    /// Until the end of the reply.
    pub duration_ms: u64,
    /// How long was waited before the attempt.
    pub wait_ms: u64,
    /// Tokens as the server counted them.
    pub usage: Usage,
    /// What was odd about the reply.
    pub warnings: Vec<Warning>,
    /// Why it failed, if it did.
    pub error: Option<ApiError>,
}
