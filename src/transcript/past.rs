//! What a transcript says of earlier runs, as the conversation that a new run continues. Pure: it is given lines and
//! knows no file.
//!
//! A run that was killed leaves calls without results; they are answered as interrupted. What a prune has removed or
//! shortened stays so, so that the bytes that a provider has cached are sent again.

use std::collections::HashSet;

use serde_json::Value;
use serde_json::value::RawValue;

use super::entry::{
    Assistant, AssistantBlock, Call, Prune, RunContext, ToolOffer, ToolResultEntry, UserEntry, UserPart,
};
use super::{Entry, Line};
use crate::chat::prune::{self, Pruned};
use crate::chat::{
    Arguments, Block, Conversation, Detail, Entry::Step, Exchange, LineId, Media, Origin, Part, Reply, Seal, Sealed,
    StopReason, ToolCall, ToolResult, ToolSpec, Turn, Usage, UserMessage,
};
use crate::wire::{ErrorClass, RequestHead, WIRES};

/// What was said in earlier runs.
#[derive(Debug, Default)]
pub struct Past {
    conversation: Option<Conversation>,
    /// The message of the last run, if that run ended without an answer.
    unanswered: Option<Vec<Part>>,
    context: RunContext,
    /// The tools of the last run that had any.
    tools: Vec<ToolSpec>,
    /// The ids of all calls: they must be unique in a conversation, and are so only within a run.
    ids: HashSet<String>,
    /// The turns behind which something has changed since: a prune, another system prompt, other tools.
    unsettled: HashSet<LineId>,
    /// The turn whose results are still being read.
    open: Option<OpenTurn>,
    run: Run,
}

/// The run whose lines are being read.
#[derive(Debug, Default)]
struct Run {
    id: String,
    has_user: bool,
    has_turn: bool,
}

#[derive(Debug)]
struct OpenTurn {
    reply: Reply,
    /// Of each call: the id that its result names, and the result.
    results: Vec<(String, Option<ToolResult>)>,
}

impl Past {
    /// Reads the lines of a file. Runs that wrote to it at the same time are taken one after the other.
    #[must_use]
    pub fn of_lines(mut lines: Vec<Line>) -> Self {
        let mut runs: Vec<String> = Vec::new();
        for line in &lines {
            if !runs.contains(&line.place.run) {
                runs.push(line.place.run.clone());
            }
        }
        lines.sort_by_cached_key(|line| runs.iter().position(|run| *run == line.place.run));
        let mut past = Self::default();
        for line in lines {
            past.line(line);
        }
        past.close_turn();
        past
    }

    /// Whether the last run had this message and ended without an answer, so that the question stands already.
    #[must_use]
    pub fn asks(&self, message: &UserMessage) -> bool {
        self.unanswered.as_ref().is_some_and(|parts| same(parts, &message.parts))
    }

    /// The tools that turns of earlier runs have called, if any did.
    #[must_use]
    pub fn called_tools(&self) -> Option<&[ToolSpec]> {
        (!self.ids.is_empty()).then_some(&*self.tools)
    }

    /// The ids of all calls in it.
    #[must_use]
    pub fn call_ids(&self) -> HashSet<String> {
        self.ids.clone()
    }

    /// The conversation of a run with this message. Reasoning that is `bound` to what precedes it is kept only where
    /// that has not changed since, whoever was asked in between.
    #[must_use]
    pub fn continued(mut self, message: UserMessage, head: &RequestHead<'_>, bound: bool) -> Conversation {
        let asked = self.asks(&message);
        if self.context.system != head.system || !same_tools(&self.context.tools, head.tools.iter().map(Offer::from)) {
            self.unsettle();
        }
        let Some(mut conversation) = self.conversation else { return Conversation::new(message) };
        if asked {
            conversation.reopen();
        } else {
            conversation.push_task(message);
        }
        if bound {
            let is_unsettled = |turn: &Turn<Exchange>| turn.lines.iter().any(|line| self.unsettled.contains(line));
            prune::forget_reasoning(&mut conversation, is_unsettled);
        }
        conversation
    }

    /// What precedes every turn so far is no more what it was written behind.
    fn unsettle(&mut self) {
        let entries = self.conversation.iter().flat_map(Conversation::entries);
        let turns = entries.filter_map(|entry| if let Step { turn, .. } = entry { Some(turn) } else { None });
        self.unsettled = turns.flat_map(|turn| turn.lines.iter().cloned()).collect();
    }

    fn line(&mut self, line: Line) {
        if line.place.run != self.run.id {
            self.close_turn();
            self.run = Run { id: line.place.run, ..Run::default() };
        }
        let id = line.place.id;
        match line.entry {
            Entry::Context(context) => self.begin(*context),
            Entry::User(user) => self.user(user, id),
            Entry::Assistant(turn) => self.turn(*turn, id),
            Entry::ToolResult(result) => self.result(*result, id),
            Entry::Prune(prune) => self.prune(prune),
            Entry::Result(end) => {
                self.close_turn();
                // The same would be refused again.
                let is_refused = end.error.is_some_and(|error| error.class == ErrorClass::Refusal.word());
                if is_refused {
                    self.conversation = self.conversation.take().and_then(Conversation::before_task);
                }
                if is_refused || matches!(end.exit_code, 0 | 1) {
                    self.unanswered = None;
                }
            }
            Entry::Session(_) | Entry::Request(_) | Entry::Unknown(_) => {}
        }
    }

    fn begin(&mut self, context: RunContext) {
        let now = context.tools.iter().map(Offer::from);
        if self.context.system != context.system || !same_tools(&self.context.tools, now) {
            self.unsettle();
        }
        if !context.tools.is_empty() {
            let spec = |tool: &ToolOffer| ToolSpec {
                name: tool.name.clone().into(),
                description: tool.description.clone().into(),
                schema: tool.input_schema.get().to_owned().into(),
            };
            self.tools = context.tools.iter().map(spec).collect();
        }
        self.context = context;
    }

    fn user(&mut self, user: UserEntry, id: LineId) {
        self.close_turn();
        let parts: Vec<Part> = user.parts.into_iter().filter_map(part).collect();
        // What a run says after a turn of its own (that an answer has not its form) is not what it was asked.
        let first = !std::mem::replace(&mut self.run.has_user, true) && !self.run.has_turn;
        if first {
            self.unanswered = Some(parts.clone());
        }
        let message = UserMessage { parts, lines: vec![id] };
        match &mut self.conversation {
            None => self.conversation = Some(Conversation::new(message)),
            Some(conversation) if first => conversation.push_task(message),
            Some(conversation) => conversation.push_user(message),
        }
    }

    fn turn(&mut self, turn: Assistant, id: LineId) {
        self.close_turn();
        // What had arrived of a turn that failed, or that the model declined, is not said again.
        if self.conversation.is_none() || matches!(&*turn.stop_reason, "error" | "aborted") {
            return;
        }
        if !std::mem::replace(&mut self.run.has_turn, true)
            && !self.run.has_user
            && let Some(conversation) = &mut self.conversation
        {
            // The run asked the question of the last one again.
            conversation.reopen();
        }
        let (reply, names) = self.reply(turn, id);
        let results = names.into_iter().map(|name| (name, None)).collect();
        self.open = Some(OpenTurn { reply, results });
    }

    /// The turn as it came, and of each call the id that its result will name.
    fn reply(&mut self, turn: Assistant, line: LineId) -> (Reply, Vec<String>) {
        let wire = WIRES.iter().find(|wire| wire.api() == turn.api).map_or("", |wire| wire.name());
        let mut names = Vec::new();
        let mut blocks = Vec::with_capacity(turn.blocks.len());
        for block in turn.blocks {
            blocks.push(match block {
                AssistantBlock::Text { text, signature } => Block::Text(Sealed { text, seal: seal(signature) }),
                AssistantBlock::Thinking { text, signature } => {
                    Block::Reasoning(Sealed { text, seal: seal(signature) })
                }
                AssistantBlock::Opaque { signature } => match seal(Some(signature)) {
                    Some(seal) => Block::Opaque(seal),
                    None => continue,
                },
                AssistantBlock::Call(call) => {
                    names.push(call.id.clone());
                    Block::Tool(self.call(call))
                }
            });
        }
        let raw_stop = turn.raw_stop_reason;
        let stop = match &*turn.stop_reason {
            "toolUse" => StopReason::ToolUse,
            "length" => StopReason::Length,
            _ if raw_stop.as_deref() == Some("pause_turn") => StopReason::Pause,
            _ => StopReason::End,
        };
        let reply = Reply {
            blocks,
            stop,
            raw_stop,
            refusal: turn.refusal,
            usage: Usage::default(),
            origin: Origin { wire, provider: turn.provider, model: turn.model },
            response_id: turn.response_id,
            response_model: turn.response_model,
            warnings: Vec::new(),
            lines: vec![line],
        };
        (reply, names)
    }

    fn call(&mut self, call: Call) -> ToolCall {
        let arguments = match call.broken {
            Some(text) => Arguments::parse(&text),
            None => Arguments::parse(call.arguments.get()),
        };
        let (mut id, mut seal, mut number) = (call.id.clone(), seal(call.signature), 2);
        while !self.ids.insert(id.clone()) {
            (id, seal) = (format!("{}_{number}", call.id), None);
            number += 1;
        }
        ToolCall { id, name: call.name, arguments, seal }
    }

    fn result(&mut self, entry: ToolResultEntry, line: LineId) {
        let results = self.open.iter_mut().flat_map(|open| &mut open.results);
        let waiting = results.into_iter().find(|(id, result)| *id == entry.call_id && result.is_none());
        let Some((_, slot)) = waiting else { return };
        let detail = Detail {
            bytes: entry.details.bytes,
            truncated: entry.details.truncated,
            changed: entry.details.changed,
            line: Some(line),
            ..Detail::default()
        };
        *slot = Some(ToolResult { text: entry.text, is_error: entry.is_error, detail });
    }

    fn prune(&mut self, event: Prune) {
        self.close_turn();
        let kept = event.kept_bytes.iter().map(|bytes| usize::try_from(*bytes).unwrap_or(usize::MAX));
        let pruned = Pruned {
            removed: event.removed,
            shrunk: event.shrunk.into_iter().zip(kept).collect(),
            reasoning: event.reasoning_removed,
            changed: true,
        };
        if let Some(conversation) = &mut self.conversation {
            prune::repeat(conversation, &pruned);
        }
        self.unsettle();
    }

    /// Adds the turn that was being read. Calls without a result are answered as interrupted.
    fn close_turn(&mut self) {
        let (Some(open), Some(conversation)) = (self.open.take(), &mut self.conversation) else { return };
        let result = |(_, result): (_, Option<ToolResult>)| result.unwrap_or_else(ToolResult::interrupted);
        let results = open.results.into_iter().map(result).collect();
        let says_something = open.reply.tools().next().is_some()
            || !open.reply.text().trim().is_empty()
            || open.reply.stop == StopReason::Pause;
        if says_something && conversation.takes_turn() {
            conversation.push(open.reply.resolve(results));
        }
    }
}

/// A tool as it was offered, or is now.
struct Offer<'a> {
    name: &'a str,
    description: &'a str,
    schema: &'a str,
}

impl<'a> From<&'a ToolOffer> for Offer<'a> {
    fn from(tool: &'a ToolOffer) -> Self {
        Self { name: &tool.name, description: &tool.description, schema: tool.input_schema.get() }
    }
}

impl<'a> From<&'a ToolSpec> for Offer<'a> {
    fn from(tool: &'a ToolSpec) -> Self {
        Self { name: &tool.name, description: &tool.description, schema: &tool.schema }
    }
}

fn same_tools<'a>(before: &[ToolOffer], now: impl ExactSizeIterator<Item = Offer<'a>>) -> bool {
    let schema = |text: &str| serde_json::from_str::<Value>(text).unwrap_or_default();
    before.len() == now.len()
        && before.iter().zip(now).all(|(before, now)| {
            before.name == now.name
                && before.description == now.description
                && schema(before.input_schema.get()) == schema(now.schema)
        })
}

fn seal(signature: Option<String>) -> Option<Seal> {
    RawValue::from_string(signature?).ok()
}

fn part(part: UserPart) -> Option<Part> {
    const MIMES: [&str; 5] = ["image/png", "image/jpeg", "image/gif", "image/webp", "application/pdf"];
    Some(match part {
        UserPart::Text(text) => Part::Text(text),
        UserPart::Media { mime, data, name } => {
            let mime = MIMES.into_iter().find(|known| *known == mime)?;
            Part::Media(Media { mime, name, base64: data })
        }
    })
}

/// Whether two messages say the same, however their text lies in pieces.
fn same(a: &[Part], b: &[Part]) -> bool {
    runs(a) == runs(b)
}

/// Neighbouring texts joined, and attachments.
fn runs(parts: &[Part]) -> Vec<(Option<&'static str>, String)> {
    let mut runs: Vec<(Option<&'static str>, String)> = Vec::new();
    for part in parts {
        match (part, runs.last_mut()) {
            (Part::Text(text), Some((None, run))) => run.push_str(text),
            (Part::Text(text), _) => runs.push((None, text.clone())),
            (Part::Media(media), _) => runs.push((Some(media.mime), media.base64.clone())),
        }
    }
    runs
}
