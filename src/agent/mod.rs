//! Floor 4: the tool loop. It asks the model, runs what the model asks for, and repeats until the model ends its
//! turn or something ends the run. It prints nothing and knows no provider: it tells an [`Observer`].

mod calls;
mod demand;
mod denials;
mod last_words;
mod limits;
mod repeats;
mod totals;
mod window;

use std::collections::HashSet;
use std::time::Duration;

use crate::base::exit::Exit;
use crate::base::failure::{Failure, Result};
use crate::base::secret::Redactor;
use crate::base::stop::Stopper;
use crate::chat::{Conversation, LineId, Reply, StopReason, ToolCall, ToolResult, Usage, UserMessage};
use crate::client::{Client, Failed, Listener, Question};
use crate::form::{Answer, Form};
use crate::tools::Toolbox;
use crate::transcript::entry::Prune;
use crate::wire::{ApiError, Attempt, Cost, Delta, Model, RequestHead, ToolChoice, Wire, cost};

pub use denials::{Denials, OnDeny};
pub use limits::Limits;
pub use totals::Totals;
pub use window::{AskWindow, Budget, Output, UNKNOWN_WINDOW, result_cap};

use demand::CALLS_TOOLS;
use repeats::Repeats;
use window::is_too_long;

/// What is about to be sent.
#[derive(Debug, Clone, Copy)]
pub struct Sending<'a> {
    /// The turn that it opens, from 1.
    pub turn: u64,
    /// What was said so far.
    pub conversation: &'a Conversation,
    /// About how many tokens that is.
    pub estimated_tokens: u64,
    /// The most tokens that it may be.
    pub budget: u64,
}

/// What hears of everything that happens in a run.
pub trait Observer: Listener {
    /// What the run has used so far, whenever that has grown.
    fn stands(&mut self, totals: &Totals);

    /// A request is about to be sent.
    ///
    /// # Errors
    /// Nobody could read the answer any more, so nothing more is to be spent on it.
    fn request(&mut self, sending: &Sending<'_>) -> Result<()>;

    /// The history was shortened.
    ///
    /// # Errors
    /// It cannot be recorded.
    fn prune(&mut self, prune: &Prune) -> Result<()>;

    /// A turn is complete; with an error it is what had arrived of one. Returns the id of its line in the transcript.
    ///
    /// # Errors
    /// It cannot be recorded.
    fn reply(&mut self, reply: &Reply, cost: Option<Cost>, error: Option<&ApiError>) -> Result<Option<LineId>>;

    /// flux itself says something to the model: what is wrong with its answer, that time is short. Returns the id of
    /// the message's line in the transcript.
    ///
    /// # Errors
    /// It cannot be recorded.
    fn says(&mut self, message: &UserMessage) -> Result<Option<LineId>>;

    /// A tool call begins.
    fn tool(&mut self, call: &ToolCall);

    /// A tool call has been answered. Returns the id of its line in the transcript.
    ///
    /// # Errors
    /// It cannot be recorded.
    fn tool_result(&mut self, call: &ToolCall, result: &ToolResult) -> Result<Option<LineId>>;
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
    /// The form that the answer must have.
    pub form: &'a Form,
    /// What the model may do.
    pub toolbox: &'a Toolbox,
    /// When to stop.
    pub limits: Limits,
    /// How long a prompt may be.
    pub budget: Budget,
    /// Asks the server for the model's window, which is worth a question only where the prompt is not short.
    pub ask_window: Option<AskWindow<'a>>,
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
    pub fn run(&mut self, mut conversation: Conversation, observer: &mut dyn Observer) -> Result<Answer> {
        let mut repairs = self.form.repairs();
        let mut repeats = Repeats::default();
        let mut pauses = 0;
        let mut before = String::new();
        loop {
            self.check_limits()?;
            self.fit(&mut conversation, observer)?;
            self.check_cost()?;
            let reply = self.ask(&mut conversation, observer)?;
            match reply.stop {
                StopReason::ToolUse if self.head.tool_choice == ToolChoice::None => {
                    let results = self.answer_without_running(&reply, observer)?;
                    self.spend_repair(&mut repairs)?;
                    self.complain(CALLS_TOOLS, reply.resolve(results), &mut conversation, observer)?;
                }
                StopReason::ToolUse => {
                    before.clear();
                    let results = self.run_calls(&reply, &mut repeats, observer)?;
                    conversation.push(reply.resolve(results));
                    if self.time_is_short() {
                        return self.last_words(conversation, observer);
                    }
                }
                StopReason::Pause if pauses < MOST_PAUSES => {
                    pauses += 1;
                    before.push_str(&reply.text());
                    let results = self.answer_without_running(&reply, observer)?;
                    conversation.push(reply.resolve(results));
                }
                _ => {
                    let results = self.answer_without_running(&reply, observer)?;
                    let text = self.judge(&reply, std::mem::take(&mut before), &conversation)?;
                    match self.read(&text, &mut repairs)? {
                        Ok(answer) => return Ok(answer),
                        Err(fault) => self.complain(&fault, reply.resolve(results), &mut conversation, observer)?,
                    }
                }
            }
        }
    }

    /// One turn of the model.
    fn ask(&mut self, conversation: &mut Conversation, observer: &mut dyn Observer) -> Result<Reply> {
        let mut attempts = 0;
        let mut recovered = false;
        loop {
            match self.send(conversation, &mut attempts, observer)? {
                Ok(mut reply) => {
                    self.budget.learn(reply.usage.input);
                    self.make_ids_unique(&mut reply);
                    self.record(&mut reply, observer, None)?;
                    self.totals.turns += 1;
                    observer.stands(&self.totals);
                    return Ok(reply);
                }
                Err(Failed::Api(error, partial)) if is_too_long(&error) => {
                    let again = !recovered && partial.blocks.is_empty();
                    if again && self.recover(conversation, &error, observer)? {
                        recovered = true;
                        continue;
                    }
                    self.record_partial(*partial, observer, &error)?;
                    return Err(self.too_long(conversation, &error));
                }
                Err(Failed::Api(error, partial)) => {
                    self.record_partial(*partial, observer, &error)?;
                    if !self.gives_up_format(&error) {
                        return Err(Failure::from(&error));
                    }
                    self.prepare(conversation);
                }
                Err(Failed::Stopped(stop, error, partial)) => {
                    self.record_partial(*partial, observer, &error)?;
                    return Err(stop.into());
                }
                Err(Failed::Sink(failure)) => return Err(failure),
            }
        }
    }

    /// Sends the conversation and counts what its attempts, after `attempts` earlier ones, have used.
    fn send(
        &mut self,
        conversation: &Conversation,
        attempts: &mut u32,
        observer: &mut dyn Observer,
    ) -> Result<Result<Reply, Failed>> {
        let (turn, estimated_tokens) = (self.totals.turns + 1, self.budget.tokens());
        observer.request(&Sending { turn, conversation, estimated_tokens, budget: self.budget.prompt() })?;
        let mut counted = Counted { observer, attempts: Vec::new() };
        let (wire, head) = (self.wire, &self.head);
        let question = Question { turn, attempts: *attempts, wire, head, estimated_tokens };
        let result = self.client.respond(&question, &mut counted);
        for (usage, estimate) in &counted.attempts {
            self.totals.retries += u64::from(*attempts > 0);
            *attempts += 1;
            self.totals.add(usage, self.cost(usage), *estimate);
        }
        observer.stands(&self.totals);
        Ok(result)
    }

    /// What had arrived of a reply that failed, if anything.
    fn record_partial(&mut self, mut partial: Reply, observer: &mut dyn Observer, error: &ApiError) -> Result<()> {
        if partial.blocks.is_empty() && partial.usage == Usage::default() {
            return Ok(());
        }
        self.record(&mut partial, observer, Some(error))?;
        self.answer_without_running(&partial, observer).map(drop)
    }

    fn record(&mut self, reply: &mut Reply, observer: &mut dyn Observer, error: Option<&ApiError>) -> Result<()> {
        self.last_text = reply.text();
        self.last_stop.clone_from(&reply.raw_stop);
        reply.lines.extend(observer.reply(reply, self.cost(&reply.usage), error)?);
        Ok(())
    }

    fn cost(&self, usage: &Usage) -> Option<Cost> {
        if self.free { Some(Cost::default()) } else { self.model.and_then(|model| cost(model, usage)) }
    }

    /// Decides whether a turn without tool calls, the next of the conversation, is an answer; `before` is what it said
    /// before it paused.
    fn judge(&self, reply: &Reply, before: String, conversation: &Conversation) -> Result<String> {
        let text = before + &reply.text();
        let limit = |what: String| Err(Failure::new(Exit::Limit, what).class("limit"));
        match reply.stop {
            StopReason::Length => {
                let most = self.head.max_tokens.map_or_else(String::new, |n| format!(" of {n} tokens"));
                limit(format!("the answer was cut at the output limit{most}: raise --max-tokens"))
            }
            StopReason::ContextFull => limit(self.full(conversation)),
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

    fn waits(&mut self, wait: Duration) {
        self.observer.waits(wait);
    }

    fn note(&mut self, note: &str) {
        self.observer.note(note);
    }
}
