//! Floor 4: the tool loop. It asks the model, runs what the model asks for, and repeats until the model ends its
//! turn or something ends the run. It prints nothing and knows no provider: it tells an [`Observer`].

mod calls;
mod denials;
mod limits;
mod repeats;
mod totals;

use std::collections::HashSet;

use crate::base::exit::Exit;
use crate::base::failure::{Failure, Result};
use crate::base::secret::Redactor;
use crate::base::stop::Stopper;
use crate::chat::{Conversation, Reply, StopReason, ToolCall, ToolResult, Usage};
use crate::client::{Client, Failed, Listener};
use crate::tools::Toolbox;
use crate::wire::{ApiError, Attempt, Cost, Delta, Model, RequestHead, Wire, cost};

pub use denials::{Denials, OnDeny};
pub use limits::Limits;
pub use totals::Totals;

use repeats::Repeats;

/// What hears of everything that happens in a run.
pub trait Observer: Listener {
    /// A request is about to be sent.
    ///
    /// # Errors
    /// Nobody could read the answer any more, so nothing more is to be spent on it.
    fn request(&mut self, turn: u64, conversation: &Conversation) -> Result<()>;

    /// A turn is complete; with an error it is what had arrived of one.
    ///
    /// # Errors
    /// It cannot be recorded.
    fn reply(&mut self, reply: &Reply, cost: Option<Cost>, error: Option<&ApiError>) -> Result<()>;

    /// A tool call begins.
    fn tool(&mut self, call: &ToolCall);

    /// A tool call has been answered.
    ///
    /// # Errors
    /// It cannot be recorded.
    fn tool_result(&mut self, call: &ToolCall, result: &ToolResult) -> Result<()>;
}

/// A run: a model behind a client, the tools it may use, and the limits.
pub struct Agent<'a> {
    /// The way to the model.
    pub client: Client,
    /// The API it speaks.
    pub wire: &'static dyn Wire,
    /// Everything about the requests but the conversation.
    pub head: RequestHead<'a>,
    /// The model's data, where it is known.
    pub model: Option<&'static Model>,
    /// The server is on this machine, so a turn costs nothing.
    pub free: bool,
    /// What the model may do.
    pub toolbox: &'a Toolbox,
    /// When to stop.
    pub limits: Limits,
    /// What denied calls do to the run.
    pub denials: Denials,
    /// Stops the run from outside.
    pub stop: Stopper,
    /// What the run has used so far.
    pub totals: Totals,
    /// Secrets that no tool result may bring to the model.
    pub redactor: Redactor,
    /// The ids of all calls so far: some servers repeat theirs, and services refuse that.
    pub ids: HashSet<String>,
    /// The text of the last turn, for `--partial` and the result line.
    pub last_text: String,
    /// Why the last turn ended, in the server's word.
    pub last_stop: Option<String>,
}

impl std::fmt::Debug for Agent<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Agent").field("head", &self.head).field("totals", &self.totals).finish_non_exhaustive()
    }
}

/// How often a paused turn is sent back before the run gives up on it.
const MOST_PAUSES: u32 = 10;

impl Agent<'_> {
    /// Runs the loop to its end and returns the answer.
    ///
    /// # Errors
    /// A limit, a refusal, a stop or a failure ended the run before an answer.
    pub fn run(&mut self, mut conversation: Conversation, observer: &mut dyn Observer) -> Result<String> {
        let mut repeats = Repeats::default();
        let mut pauses = 0;
        let mut before = String::new();
        loop {
            self.check_limits(&conversation)?;
            let reply = self.ask(&conversation, observer)?;
            match reply.stop {
                StopReason::ToolUse => {
                    before.clear();
                    let results = self.run_calls(&reply, &mut repeats, observer)?;
                    conversation.push(reply.resolve(results));
                }
                StopReason::Pause if pauses < MOST_PAUSES => {
                    pauses += 1;
                    before.push_str(&reply.text());
                    let results = calls::not_run(&reply);
                    conversation.push(reply.resolve(results));
                }
                _ => return self.judge(&reply, before),
            }
        }
    }

    /// One turn of the model.
    fn ask(&mut self, conversation: &Conversation, observer: &mut dyn Observer) -> Result<Reply> {
        let turn = self.totals.turns + 1;
        observer.request(turn, conversation)?;
        let mut counted = Counted { observer, attempts: Vec::new() };
        let result = self.client.respond(turn, self.wire, &self.head, conversation, &mut counted);
        let attempts = counted.attempts;
        self.totals.retries += attempts.len().saturating_sub(1) as u64;
        for (usage, estimate) in &attempts {
            self.totals.add(usage, self.cost(usage), *estimate);
        }
        match result {
            Ok(mut reply) => {
                self.make_ids_unique(&mut reply);
                self.record(&reply, observer, None)?;
                self.totals.turns += 1;
                Ok(reply)
            }
            Err(Failed::Api(error, partial)) => {
                self.record_partial(&partial, observer, &error)?;
                Err(Failure::from(&error))
            }
            Err(Failed::Stopped(stop, error, partial)) => {
                self.record_partial(&partial, observer, &error)?;
                Err(stop.into())
            }
            Err(Failed::Sink(failure)) => Err(failure),
        }
    }

    /// What had arrived of a reply that failed, if anything.
    fn record_partial(&mut self, partial: &Reply, observer: &mut dyn Observer, error: &ApiError) -> Result<()> {
        if partial.blocks.is_empty() && partial.usage == Usage::default() {
            return Ok(());
        }
        self.record(partial, observer, Some(error))
    }

    fn record(&mut self, reply: &Reply, observer: &mut dyn Observer, error: Option<&ApiError>) -> Result<()> {
        self.last_text = reply.text();
        self.last_stop.clone_from(&reply.raw_stop);
        observer.reply(reply, self.cost(&reply.usage), error)?;
        if error.is_some() || reply.stop != StopReason::ToolUse {
            self.answer_without_running(reply, observer)?;
        }
        Ok(())
    }

    fn cost(&self, usage: &Usage) -> Option<Cost> {
        if self.free { Some(Cost::default()) } else { self.model.and_then(|model| cost(model, usage)) }
    }

    /// Decides whether a turn without tool calls is an answer; `before` is what it said before it paused.
    fn judge(&self, reply: &Reply, before: String) -> Result<String> {
        let text = before + &reply.text();
        let limit = |what: String| Err(Failure::new(Exit::Limit, what).class("limit"));
        match reply.stop {
            StopReason::Length => {
                let most = self.head.max_tokens.map_or_else(String::new, |n| format!(" of {n} tokens"));
                limit(format!("the answer was cut at the output limit{most}: raise --max-tokens"))
            }
            StopReason::ContextFull => limit("the model's window is full: shorten the input".to_owned()),
            StopReason::Pause => limit(format!("the model paused its turn more than {MOST_PAUSES} times")),
            StopReason::Refusal => {
                let why = reply.refusal.as_deref().map_or_else(String::new, |why| format!(": {why}"));
                Err(Failure::new(Exit::Declined, format!("the model declined{why}")).class("refusal"))
            }
            _ if text.trim().is_empty() => {
                Err(Failure::new(Exit::Declined, "the model answered nothing").class("empty"))
            }
            _ => Ok(text),
        }
    }
}

/// Keeps the usage of every attempt, with an estimate of its tokens, on its way to the observer.
struct Counted<'a> {
    observer: &'a mut dyn Observer,
    attempts: Vec<(Usage, u64)>,
}

impl Listener for Counted<'_> {
    fn delta(&mut self, delta: Delta<'_>) -> Result<bool> {
        self.observer.delta(delta)
    }

    fn attempt(&mut self, attempt: &Attempt) -> Result<()> {
        let billed = attempt.error.is_none() || attempt.usage != Usage::default();
        self.attempts.push((attempt.usage, if billed { attempt.estimated_tokens } else { 0 }));
        self.observer.attempt(attempt)
    }
}
