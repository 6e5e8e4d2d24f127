//! What all wires conclude alike from a finished reply, and the limit on its size.

use super::{ApiError, Ended, ErrorClass};
use crate::chat::{Arguments, Block, Origin, Reply, Sealed, StopReason, ToolCall, Usage, Warning};

/// The most that text, reasoning and arguments of one reply may take together: many times what any model can say, and
/// little enough to be held several times over (as it came, as it is recorded, as it is printed).
const MAX_REPLY: usize = 12 << 20;

/// Counts what a reply takes, so that an endless one fails before memory does.
#[derive(Debug, Default)]
pub(super) struct Size(usize);

/// The most blocks, items or calls of one reply: each event looks for its own among them.
const MAX_ITEMS: usize = 10_000;

impl Size {
    /// Fails if a reply has too many parts.
    pub(super) fn parts(count: usize) -> Result<(), ApiError> {
        if count <= MAX_ITEMS {
            return Ok(());
        }
        Err(ApiError::new(ErrorClass::Protocol, "the reply has more than 10,000 parts").for_good())
    }

    /// Counts one more piece.
    pub(super) fn add(&mut self, piece: &str) -> Result<(), ApiError> {
        self.0 += piece.len();
        if self.0 <= MAX_REPLY {
            return Ok(());
        }
        Err(ApiError::new(ErrorClass::Protocol, "the reply takes more than 12 MiB of memory").for_good())
    }
}

/// A reply in which nothing has arrived.
pub(super) fn blank(origin: Origin) -> Reply {
    Reply {
        blocks: Vec::new(),
        stop: StopReason::End,
        raw_stop: None,
        refusal: None,
        usage: Usage::default(),
        origin,
        response_id: None,
        response_model: None,
        warnings: Vec::new(),
        lines: Vec::new(),
    }
}

/// A reply that is complete: adds the warnings that follow from what is in it.
pub(super) fn accept(mut reply: Reply) -> Ended {
    let has_calls = reply.tools().next().is_some();
    if reply.stop == StopReason::ToolUse && !has_calls {
        reply.stop = StopReason::End;
    }
    let found = match reply.stop {
        StopReason::Length | StopReason::ContextFull => Some(Warning::Length),
        StopReason::Refusal => Some(Warning::Refusal),
        StopReason::End if !has_calls && reply.text().trim().is_empty() => Some(Warning::Empty),
        _ => None,
    };
    reply.warnings.extend(found);
    if reply.tools().any(|call| matches!(call.arguments, Arguments::Broken { .. })) {
        reply.warnings.push(Warning::BadArguments);
    }
    reply.warnings.sort_unstable();
    reply.warnings.dedup();
    Ended { reply, error: None }
}

/// A reply that failed. What had arrived stays for the transcript.
pub(super) fn fail(mut reply: Reply, error: ApiError) -> Ended {
    reply.warnings.clear();
    Ended { reply, error: Some(error) }
}

/// The failure of a reply that ended too early.
pub(super) fn truncated() -> ApiError {
    ApiError::new(ErrorClass::Truncated, "the reply broke off before its end")
}

/// The failure of a document or event that is none of this API.
pub(super) fn foreign(what: &str) -> ApiError {
    ApiError::new(ErrorClass::Protocol, what)
}

/// A block of visible text that needs no seal; none if there is no text.
pub(super) fn text_block(text: String) -> Option<Block<ToolCall>> {
    if text.is_empty() { None } else { Some(Block::Text(Sealed { text, seal: None })) }
}
