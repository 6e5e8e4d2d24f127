//! Floor 4: the tool loop. It asks the model, runs what the model asks for, and repeats until the model ends its
//! turn or something ends the run. It prints nothing and knows no provider: it tells an [`Observer`].

mod calls;
mod limits;
mod repeats;

use crate::base::exit::Exit;
use crate::base::failure::{Failure, Result};
use crate::base::stop::{Stop, Stopper};
use crate::chat::{Conversation, Reply, StopReason, ToolCall, ToolResult};
use crate::client::{Client, Failed, Listener};
use crate::tools::Toolbox;
use crate::transcript::Totals;
use crate::wire::{ApiError, Attempt, Cost, Delta, ErrorClass, Model, RequestHead, Wire, cost};

pub use limits::Limits;

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
    /// Stops the run from outside.
    pub stop: Stopper,
    /// What the run has used so far.
    pub totals: Totals,
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
    /// Runs the loop to its end and returns the turn that answers.
    ///
    /// # Errors
    /// A limit, a refusal, a stop or a failure ended the run before an answer.
    pub fn run(&mut self, mut conversation: Conversation, observer: &mut dyn Observer) -> Result<Reply> {
        let mut repeats = Repeats::default();
        let mut pauses = 0;
        loop {
            self.check_limits(&conversation)?;
            let reply = self.ask(&conversation, observer)?;
            match reply.stop {
                StopReason::ToolUse => {
                    let results = self.run_calls(&reply, &mut repeats, observer)?;
                    conversation.push(reply.resolve(results));
                }
                StopReason::Pause if pauses < MOST_PAUSES => {
                    pauses += 1;
                    conversation.push(reply.resolve(Vec::new()));
                }
                _ => return self.judge(reply),
            }
        }
    }

    /// One turn of the model.
    fn ask(&mut self, conversation: &Conversation, observer: &mut dyn Observer) -> Result<Reply> {
        let turn = self.totals.turns + 1;
        observer.request(turn, conversation)?;
        let mut counted = Counted { observer, retries: 0 };
        let result = self.client.respond(turn, self.wire, &self.head, conversation, &mut counted);
        self.totals.retries += counted.retries;
        match result {
            Ok(reply) => {
                self.account(&reply, observer, None)?;
                self.totals.turns += 1;
                Ok(reply)
            }
            Err(Failed::Api(error, partial)) => {
                if partial.blocks.is_empty() && partial.usage == crate::chat::Usage::default() {
                    return Err(failure(&error));
                }
                self.account(&partial, observer, Some(&error))?;
                Err(failure(&error))
            }
            Err(Failed::Stopped(stop)) => Err(stopped(stop)),
            Err(Failed::Sink(failure)) => Err(failure),
        }
    }

    fn account(&mut self, reply: &Reply, observer: &mut dyn Observer, error: Option<&ApiError>) -> Result<()> {
        let cost = self.cost(reply);
        self.totals.add(&reply.usage, cost);
        self.last_text = reply.text();
        self.last_stop.clone_from(&reply.raw_stop);
        observer.reply(reply, cost, error)?;
        if error.is_some() || reply.stop != StopReason::ToolUse {
            self.answer_without_running(reply, observer)?;
        }
        Ok(())
    }

    fn cost(&self, reply: &Reply) -> Option<Cost> {
        if self.free { Some(Cost::default()) } else { self.model.and_then(|model| cost(model, &reply.usage)) }
    }

    /// Decides whether a turn without tool calls is an answer.
    fn judge(&self, reply: Reply) -> Result<Reply> {
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
            _ if reply.text().trim().is_empty() => {
                Err(Failure::new(Exit::Declined, "the model answered nothing").class("empty"))
            }
            _ => Ok(reply),
        }
    }
}

/// A run that was stopped from outside.
#[must_use]
pub fn stopped(stop: Stop) -> Failure {
    match stop {
        Stop::Deadline => Failure::new(Exit::Timeout, "the time is up: raise --timeout").class("timeout"),
        Stop::Signal(number) => Failure::new(Exit::from(stop), format!("signal {number}")).class("signal"),
    }
}

/// What a failed request means for the run.
fn failure(error: &ApiError) -> Failure {
    let exit = match error.class {
        ErrorClass::Auth | ErrorClass::Permission | ErrorClass::Quota => Exit::NoPermission,
        ErrorClass::NotFound | ErrorClass::BadRequest => Exit::Unavailable,
        ErrorClass::ContextLength | ErrorClass::TooLarge => Exit::Data,
        ErrorClass::Refusal => Exit::Declined,
        ErrorClass::Protocol | ErrorClass::Tls => Exit::Protocol,
        ErrorClass::RateLimit
        | ErrorClass::Overloaded
        | ErrorClass::Server
        | ErrorClass::Network
        | ErrorClass::Timeout
        | ErrorClass::Truncated
        | ErrorClass::Empty => Exit::Temporary,
    };
    let status = error.status.map_or_else(String::new, |status| format!(" (HTTP {status})"));
    let wait = match error.retry_after {
        Some(wait) if exit == Exit::Temporary && wait.as_secs() > 60 => {
            format!("; the server asks to wait {} s", wait.as_secs())
        }
        _ => String::new(),
    };
    Failure::new(exit, format!("{}{status}{wait}", error.message)).class(error.class.word())
}

/// Counts the attempts beyond the first on their way to the observer.
struct Counted<'a> {
    observer: &'a mut dyn Observer,
    retries: u64,
}

impl Listener for Counted<'_> {
    fn delta(&mut self, delta: Delta<'_>) -> Result<bool> {
        self.observer.delta(delta)
    }

    fn attempt(&mut self, attempt: &Attempt) -> Result<()> {
        self.retries = u64::from(attempt.attempt) - 1;
        self.observer.attempt(attempt)
    }
}
