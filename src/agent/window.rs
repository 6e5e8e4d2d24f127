//! Keeps the conversation within the model's window: prunes it when the estimate of the next request is over the
//! budget, and once more, harder, when the server still says that the prompt is too long.

use super::{Agent, Observer};
use crate::base::exit::Exit;
use crate::base::failure::{Failure, Result};
use crate::base::text;
use crate::chat::estimate::{self, Estimator};
use crate::chat::prune::{Goal, prune};
use crate::chat::{Conversation, Entry};
use crate::transcript::entry::Prune;
use crate::wire::{ApiError, ErrorClass};

/// What an unknown window counts as, for pruning alone.
pub const UNKNOWN_WINDOW: u64 = 32_768;

/// A question to the server: how large the model's window is.
pub type AskWindow<'a> = Box<dyn FnOnce() -> Option<u64> + 'a>;

/// How many tokens a prompt may have, and how many it is thought to have.
#[derive(Debug, Clone, Copy)]
pub struct Budget {
    estimator: Estimator,
    /// The most tokens of a prompt.
    prompt: u64,
    /// The most tokens of a reply, which the window holds as well.
    output: u64,
    /// Nobody has said how large the window is.
    assumed: bool,
    /// What the request weighs that was prepared last.
    weight: u64,
}

impl Budget {
    /// For a model with that window, of which a reply may take `output` tokens.
    #[must_use]
    pub fn new(window: Option<u64>, output: Option<u64>) -> Self {
        let output = output.unwrap_or(0);
        let prompt = within(window.unwrap_or(UNKNOWN_WINDOW), output);
        Self { estimator: Estimator::default(), prompt, output, assumed: window.is_none(), weight: 0 }
    }

    /// About how many tokens the request has that was prepared last.
    pub(super) fn tokens(&self) -> u64 {
        self.estimator.tokens(self.weight)
    }

    /// The most tokens of a prompt.
    pub(super) fn prompt(&self) -> u64 {
        self.prompt
    }

    /// Takes what the server counted for the request that was prepared last.
    pub(super) fn learn(&mut self, input: Option<u64>) {
        if let Some(input) = input {
            self.estimator.learn(self.weight, input);
        }
    }

    /// Takes from a refusal how large the window is; without numbers in it, that what was sent is a good deal too much.
    fn overflow(&mut self, error: &ApiError) {
        if let Some(said) = &error.too_long {
            self.learn(said.prompt);
            self.prompt = self.prompt.min(within(said.window, self.output));
        }
        self.prompt = self.prompt.min(self.tokens() / 4 * 3);
        self.assumed = false;
    }
}

fn within(window: u64, output: u64) -> u64 {
    window.saturating_sub(output).max(window / 4)
}

/// Whether the server refused the prompt for its length.
pub(super) fn is_too_long(error: &ApiError) -> bool {
    matches!(error.class, ErrorClass::ContextLength | ErrorClass::TooLarge)
}

impl Agent<'_> {
    /// Prunes the conversation if the next request would be over the budget.
    pub(super) fn fit(&mut self, conversation: &mut Conversation, observer: &mut dyn Observer) -> Result<()> {
        self.prepare(conversation);
        if self.budget.tokens() <= self.budget.prompt {
            return Ok(());
        }
        if let Some(window) = self.ask_window.take().and_then(|ask| ask()) {
            self.budget.prompt = within(window, self.budget.output);
            self.budget.assumed = false;
        }
        let most = self.most_tokens(conversation);
        if self.budget.tokens() > most {
            self.shorten(conversation, "budget", most, observer)?;
        }
        Ok(())
    }

    /// Prunes harder after the server has refused the prompt. False if nothing is left to prune.
    pub(super) fn recover(
        &mut self,
        conversation: &mut Conversation,
        error: &ApiError,
        observer: &mut dyn Observer,
    ) -> Result<bool> {
        self.budget.overflow(error);
        self.shorten(conversation, "overflow", self.budget.prompt, observer)
    }

    /// What to tell the user when a prompt is too long for good.
    pub(super) fn too_long(&self, conversation: &Conversation, error: &ApiError) -> Failure {
        let all = self.budget.tokens();
        let task = self.weigh(&Entry::User(conversation.task_alone().into()));
        let task = self.budget.estimator.tokens(task).min(all);
        let remedy = if task > all / 2 {
            "shorten it (head -c, tail -c)"
        } else {
            "say how large the window is (--max-context)"
        };
        let what = format!(
            "{}: about {} tokens were sent, {} of them the prompt with its context: {remedy}, or ask a model with a \
             larger window",
            Failure::from(error).to_string().replace(". (HTTP", " (HTTP").trim_end_matches('.'),
            text::count(all),
            text::count(task),
        );
        Failure::new(Exit::Data, what).class(error.class.word())
    }

    /// Writes the next request and weighs it.
    pub(super) fn prepare(&mut self, conversation: &Conversation) {
        let bytes = self.client.prepare(self.wire, &self.head, conversation);
        self.budget.weight = estimate::weight_of_all(conversation.entries(), bytes);
    }

    fn weigh(&self, entry: &Entry) -> u64 {
        let mut bytes = Vec::new();
        self.wire.entry(&self.head, entry, &mut bytes);
        estimate::weight(entry, bytes.len() as u64)
    }

    /// What a request weighs besides its conversation.
    fn fixed_weight(&self) -> u64 {
        let mut bytes = Vec::new();
        self.wire.open(&self.head, &mut bytes);
        self.wire.close(&self.head, &mut bytes);
        bytes.len() as u64
    }

    /// The budget. Where the window is only assumed, and the task alone nearly fills it, the server shall say what is
    /// too much: then half of the assumed room is for what follows the task.
    fn most_tokens(&self, conversation: &Conversation) -> u64 {
        let most = self.budget.prompt;
        let task = self.fixed_weight() + self.weigh(&Entry::User(conversation.task_alone().into()));
        let task = self.budget.estimator.tokens(task);
        if self.budget.assumed && task > most / 4 * 3 { task + most / 2 } else { most }
    }

    fn shorten(
        &mut self,
        conversation: &mut Conversation,
        reason: &str,
        most: u64,
        observer: &mut dyn Observer,
    ) -> Result<bool> {
        let (messages_before, tokens_before) = (conversation.messages() as u64, self.budget.tokens());
        let budget = self.budget.estimator.weight(most);
        let goal = Goal { fixed: self.fixed_weight(), budget, binds_reasoning: self.wire.binds_reasoning() };
        let pruned = prune(conversation, goal, &mut |entry| self.weigh(entry));
        if !pruned.changed {
            return Ok(false);
        }
        self.client.forget();
        self.prepare(conversation);
        self.totals.prunes += 1;
        let (shrunk, kept_bytes) = pruned.shrunk.into_iter().map(|(line, bytes)| (line, bytes as u64)).unzip();
        observer.prune(&Prune {
            reason: reason.to_owned(),
            messages_before,
            messages_after: conversation.messages() as u64,
            tokens_before,
            tokens_after: self.budget.tokens(),
            removed: pruned.removed,
            shrunk,
            kept_bytes,
            reasoning_removed: pruned.reasoning,
        })?;
        Ok(true)
    }
}
