//! Hands every fact of a run to those who want it: the transcript, the answer's stream, the lines on stderr.

use std::time::Duration;

use crate::agent::{Observer, Sending, Totals};
use crate::base::failure::Result;
use crate::base::secret::Redactor;
use crate::base::text;
use crate::chat::{Conversation, Entry, LineId, Part, Reply, ToolCall, ToolResult, UserMessage};
use crate::cli::args::Format;
use crate::cli::model::Chosen;
use crate::cli::settings::OutputSettings;
use crate::client::Listener;
use crate::report::{Answer, Messages};
use crate::standing::Standing;
use crate::transcript::Recorder;
use crate::transcript::entry::Prune;
use crate::wire::{ApiError, Attempt, Cost, Delta};

/// All receivers of a run's facts.
#[derive(Debug)]
pub struct Sinks {
    /// stderr.
    pub messages: Messages,
    /// The transcript.
    pub recorder: Recorder,
    /// What the last line will say.
    standing: Standing,
    /// stdout.
    pub answer: Answer,
    stream: bool,
    /// stdout and stderr are terminals.
    share_terminal: bool,
    writes_stdout: bool,
    debug: bool,
    /// How many calls were denied, and the first one with what would have permitted it.
    denials: Option<(u64, String, String)>,
    /// Names for the request lines.
    names: Names,
}

#[derive(Debug, Default)]
struct Names {
    api: &'static str,
    provider: String,
    model: String,
    base_url: String,
}

impl Sinks {
    /// Sinks for this output. Nothing is written yet.
    #[must_use]
    pub fn new(messages: Messages, output: &OutputSettings, standing: Standing) -> Self {
        Self {
            messages,
            recorder: Recorder::new(Vec::new()),
            standing,
            answer: Answer::new(output.terminals.stdout),
            stream: output.stream && output.format == Format::Text && output.file.is_none(),
            share_terminal: output.terminals.stdout && output.terminals.stderr,
            writes_stdout: output.format != Format::Text || (output.file.is_none() && !output.silent),
            debug: output.debug,
            denials: None,
            names: Names::default(),
        }
    }

    /// Secrets that nothing may hold.
    pub fn redact(&mut self, redactor: &Redactor) {
        self.messages.redactor = redactor.clone();
        self.recorder.redact(redactor.clone());
        self.standing.state().redactor = redactor.clone();
        self.answer.redact(redactor.clone());
    }

    /// Whether this run writes anything to stdout.
    #[must_use]
    pub fn writes_stdout(&self) -> bool {
        self.writes_stdout
    }

    /// Says what the permissions of this run have kept from the model.
    pub fn say_denials(&mut self) {
        if let Some((count, call, remedy)) = self.denials.take() {
            let calls = if count == 1 {
                "1 call was denied".to_owned()
            } else {
                format!("{count} calls were denied, the first")
            };
            self.messages.note(format!("{calls}: {call}; to permit it: {remedy}"));
        }
    }

    /// Who is asked from now on.
    pub fn asked(&mut self, chosen: &Chosen) {
        self.names = Names {
            api: chosen.wire.api(),
            provider: chosen.provider.clone(),
            model: chosen.model_id.clone(),
            base_url: chosen.base_url.clone(),
        };
    }

    /// Writes the answer to stdout, if it has not been streamed.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn whole_answer(&mut self, text: &str) -> Result<()> {
        if !self.stream {
            self.answer.end_turn(text)?;
        }
        self.messages.midline = false;
        self.answer.finish()
    }

    /// Ends the line of an answer that was streamed in part.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn break_off(&mut self) -> Result<()> {
        self.messages.midline = false;
        if self.stream { self.answer.finish() } else { Ok(()) }
    }
}

impl Listener for Sinks {
    fn delta(&mut self, delta: Delta<'_>) -> Result<bool> {
        match delta {
            Delta::Text(text) if self.stream && !text.is_empty() => {
                self.messages.clear_status();
                // A status line would wipe out what stands on the terminal's line.
                self.messages.status = false;
                self.messages.midline = self.share_terminal;
                self.answer.piece(text)?;
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    fn attempt(&mut self, attempt: &Attempt) -> Result<()> {
        let tokens = format!(
            "{} tokens in, {} out",
            text::count(attempt.usage.input.unwrap_or(0)),
            text::count(attempt.usage.output.unwrap_or(0))
        );
        let how = match &attempt.error {
            Some(error) => format!("{}: {}", error.class.word(), error.message),
            None => tokens,
        };
        let number = if attempt.attempt > 1 { format!(" attempt {}", attempt.attempt) } else { String::new() };
        self.messages.verbose(format!(
            "turn {}{number}: {} messages, {}, about {} tokens, {how}, {} ms",
            attempt.turn,
            attempt.messages,
            text::bytes(attempt.bytes),
            text::count(attempt.estimated_tokens),
            attempt.duration_ms
        ));
        if self.debug {
            self.messages.debug(format!(
                "Request finished: status {}, {how}, first byte {} ms, {} ms, waited {} ms",
                attempt.status.map_or_else(|| "none".to_owned(), |status| status.to_string()),
                attempt.ttft_ms.unwrap_or(0),
                attempt.duration_ms,
                attempt.wait_ms
            ));
        }
        self.recorder.attempt(attempt, &self.names.provider, &self.names.model, &self.names.base_url)
    }

    fn waits(&mut self, wait: Duration) {
        let wait = format!("waiting {:.1} s for the rate limit", wait.as_secs_f64());
        self.messages.verbose(&wait);
        self.messages.status(&wait);
    }

    fn note(&mut self, note: &str) {
        self.messages.note(note);
    }
}

impl Observer for Sinks {
    fn stands(&mut self, totals: &Totals) {
        self.standing.state().totals = *totals;
    }

    fn request(&mut self, sending: &Sending<'_>) -> Result<()> {
        let Sending { turn, conversation, .. } = *sending;
        if self.writes_stdout {
            Answer::check()?;
        }
        self.messages.status(format!("{} turn {turn} …", self.names.model));
        if self.debug {
            let (role, preview) = last_message(conversation);
            self.messages.debug(format!("Continuing with {} messages in history", conversation.messages()));
            self.messages.debug(format!("Last message role: {role}"));
            self.messages.debug(format!("Last message content preview: {preview}"));
            let (tokens, budget) = (sending.estimated_tokens, sending.budget);
            self.messages.debug(format!("Tokens: about {tokens} (estimated), at most {budget} for a prompt"));
        }
        Ok(())
    }

    fn prune(&mut self, prune: &Prune) -> Result<()> {
        let line = format!(
            "history pruned ({}): {} to {} messages, about {} to {} tokens, {} lines removed, {} results shortened",
            prune.reason,
            prune.messages_before,
            prune.messages_after,
            text::count(prune.tokens_before),
            text::count(prune.tokens_after),
            prune.removed.len(),
            prune.shrunk.len(),
        );
        self.messages.verbose(&line);
        if self.debug {
            self.messages.debug(line);
        }
        self.recorder.prune(prune)
    }

    fn reply(&mut self, reply: &Reply, cost: Option<Cost>, error: Option<&ApiError>) -> Result<Option<LineId>> {
        let text = reply.text();
        if self.stream {
            self.answer.end_turn(&text)?;
        }
        let mut state = self.standing.state();
        (state.text, state.stop_reason) = (text, reply.raw_stop.clone());
        drop(state);
        self.recorder.reply(reply, self.names.api, cost, error)
    }

    fn says(&mut self, message: &UserMessage) -> Result<Option<LineId>> {
        let (_, preview) = user_preview(message);
        self.messages.verbose(format!("asked again: {preview}"));
        self.recorder.user(message)
    }

    fn tool(&mut self, call: &ToolCall) {
        self.messages.status(format!("{} {}", call.name, text::prefix(call.arguments.replay(), 60)));
    }

    fn tool_result(&mut self, call: &ToolCall, result: &ToolResult) -> Result<Option<LineId>> {
        let how = result.detail.code.unwrap_or("ok");
        let arguments = text::prefix(call.arguments.replay(), 100);
        let size = text::bytes(result.detail.bytes);
        if let Some(remedy) = &result.detail.denied {
            let first = || (0, format!("{} {arguments}", call.name), remedy.clone());
            self.denials.get_or_insert_with(first).0 += 1;
        }
        self.messages.verbose(format!("{} {arguments}: {how}, {size}, {} ms", call.name, result.detail.duration_ms));
        self.recorder.tool_result(call, result)
    }
}

/// The role of the last message and the beginning of its text.
fn last_message(conversation: &Conversation) -> (&'static str, String) {
    match conversation.entries().last() {
        Some(Entry::User(message)) => user_preview(message),
        Some(Entry::Step { note: Some(note), .. }) => user_preview(note),
        Some(Entry::Step { turn, .. }) => match turn.tools().last() {
            Some(exchange) => ("tool", text::prefix(&exchange.result.text, 100).to_owned()),
            None => ("assistant", text::prefix(&turn.text(), 100).to_owned()),
        },
        None => ("none", String::new()),
    }
}

fn user_preview(message: &UserMessage) -> (&'static str, String) {
    let text = message.parts.iter().rev().find_map(text_of);
    ("user", text::prefix(text.unwrap_or("(attachment)"), 100).to_owned())
}

fn text_of(part: &Part) -> Option<&str> {
    if let Part::Text(text) = part { Some(text) } else { None }
}
