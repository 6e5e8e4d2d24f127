//! Keeps the conversation within the model's window: prunes it when the estimate of the next request is over the
//! budget, and once more, harder, when the server still says that the prompt is too long.

use super::{Agent, Observer};
use crate::base::exit::Exit;
use crate::base::failure::{Failure, Result};
use crate::base::text;
use crate::chat::estimate::{Estimator, Size, weight_of_parts};
use crate::chat::prune::{Goal, prune};
use crate::chat::{Conversation, Entry};
use crate::tools::DEFAULT_CAP;
use crate::transcript::entry::Prune;
use crate::wire::{ApiError, ErrorClass};

/// What an unknown window counts as, for pruning alone.
pub const UNKNOWN_WINDOW: u64 = 32_768;

/// A prompt of more tokens is worth a question for the window, where that is free.
const WORTH_A_QUESTION: u64 = 2_000;
/// The least that a result may keep at its head and at its tail.
const SMALLEST_CAP: usize = 1 << 10;

/// A question to the server: how large the model's window is.
pub type AskWindow<'a> = Box<dyn FnOnce() -> Option<u64> + 'a>;

/// The most tokens of a reply.
#[derive(Debug, Clone, Copy)]
pub enum Output {
    /// The user has said so: it is not changed.
    Given(u64),
    /// What the model can do: it is lowered where the window turns out to be small.
    Usual(u64),
}

impl Output {
    /// How many.
    #[must_use]
    pub fn tokens(self) -> u64 {
        match self {
            Self::Given(tokens) | Self::Usual(tokens) => tokens,
        }
    }

    /// As much of it as a window of that size should leave to a reply.
    #[must_use]
    pub fn within(self, window: u64) -> Self {
        match self {
            Self::Given(_) => self,
            Self::Usual(tokens) => Self::Usual(tokens.min(window / 4).max(1)),
        }
    }
}

/// Bytes that a tool result keeps at its head and at its tail: less where the window is small.
#[must_use]
pub fn result_cap(window: Option<u64>) -> usize {
    // Together an eighth of the window, so that the calls of a turn leave room for other turns. Of a window that is
    // only assumed, twice that: it is small for pruning alone.
    let tokens = window.map_or(UNKNOWN_WINDOW / 8, |window| window / 16);
    usize::try_from(tokens * 4).unwrap_or(usize::MAX).clamp(SMALLEST_CAP, DEFAULT_CAP)
}

/// How many tokens a prompt may have, and how many it is thought to have.
#[derive(Debug, Clone, Copy)]
pub struct Budget {
    estimator: Estimator,
    /// The most tokens of a prompt.
    prompt: u64,
    /// The most tokens of a reply, which the window holds as well.
    output: Output,
    /// The window, where somebody has said how large it is.
    window: Option<u64>,
    /// Nobody has said so, and no prompt was too long yet.
    assumed: bool,
    /// What the request weighs that was prepared last.
    weight: u64,
}

impl Budget {
    /// For a model with that window, of which a reply may take `output`.
    #[must_use]
    pub fn new(window: Option<u64>, output: Output) -> Self {
        let prompt = beside(output, window.unwrap_or(UNKNOWN_WINDOW));
        Self { estimator: Estimator::default(), prompt, output, window, assumed: window.is_none(), weight: 0 }
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

    /// Takes how large the window is.
    fn take_window(&mut self, window: u64) {
        self.window = Some(window);
        self.assumed = false;
        self.output = self.output.within(window);
        self.prompt = beside(self.output, window);
    }

    /// Takes from a refusal how large the window is; without numbers in it, that what was sent is a good deal too much.
    fn overflow(&mut self, error: &ApiError) {
        let (prompt, output) = (self.prompt, self.output.tokens());
        self.assumed = false;
        if let Some(said) = &error.too_long {
            self.learn(said.prompt);
            self.take_window(said.window);
            if self.output.tokens() < output && self.fits() {
                return;
            }
        }
        self.prompt = self.prompt.min(prompt).min(self.tokens() / 4 * 3);
    }

    /// Whether prompt and reply fit a window of known size.
    fn fits(&self) -> bool {
        self.window.is_some_and(|window| self.tokens().saturating_add(self.output.tokens()) <= window)
    }

    /// Whether the user wants replies for which the window has no room beside any prompt.
    fn is_all_output(&self) -> bool {
        matches!((self.output, self.window), (Output::Given(most), Some(window)) if most >= window)
    }

    /// The length of replies that the user wants, if it is why a prompt of so many tokens is too long.
    fn too_much_output(&self, sent: u64) -> Option<u64> {
        let (Output::Given(most), Some(window)) = (self.output, self.window) else { return None };
        let is_why = self.is_all_output() || (sent <= window && sent.saturating_add(most) > window);
        is_why.then_some(most)
    }
}

/// What a window leaves to the prompt, and at least a quarter of it.
fn beside(output: Output, window: u64) -> u64 {
    window.saturating_sub(output.tokens()).max(window / 4)
}

/// Whether the server refused the prompt for its length.
pub(super) fn is_too_long(error: &ApiError) -> bool {
    matches!(error.class, ErrorClass::ContextLength | ErrorClass::TooLarge)
}

impl Agent<'_> {
    /// Prunes the conversation if the next request would be over the budget.
    pub(super) fn fit(&mut self, conversation: &mut Conversation, observer: &mut dyn Observer) -> Result<()> {
        self.prepare(conversation);
        if self.budget.tokens() > self.budget.prompt.min(WORTH_A_QUESTION)
            && let Some(window) = self.ask_window.take().and_then(|ask| ask())
        {
            self.budget.take_window(window);
            self.keep_to_window(conversation);
        }
        if self.budget.tokens() <= self.budget.prompt {
            return Ok(());
        }
        let most = self.most_tokens(conversation);
        if self.budget.tokens() > most {
            self.shorten(conversation, "budget", most, observer)?;
        }
        Ok(())
    }

    /// Has everything else keep to a window whose size was just learned.
    fn keep_to_window(&mut self, conversation: &Conversation) {
        self.toolbox.set_cap(result_cap(self.budget.window));
        let most = self.budget.output.tokens();
        if self.head.max_tokens.is_some_and(|before| before != most) {
            self.head.max_tokens = Some(most);
            self.client.forget();
            self.prepare(conversation);
        }
    }

    /// Makes the next request smaller after the server has refused its prompt: a shorter reply where that is enough,
    /// else a harder prune. False if nothing is left to do.
    pub(super) fn recover(
        &mut self,
        conversation: &mut Conversation,
        error: &ApiError,
        observer: &mut dyn Observer,
    ) -> Result<bool> {
        let output = self.budget.output.tokens();
        self.budget.overflow(error);
        if self.budget.is_all_output() {
            return Ok(false);
        }
        self.keep_to_window(conversation);
        if self.budget.output.tokens() < output && self.budget.fits() {
            return Ok(true);
        }
        self.shorten(conversation, "overflow", self.budget.prompt, observer)
    }

    /// What to tell the user when a prompt is too long for good.
    pub(super) fn too_long(&self, conversation: &Conversation, error: &ApiError) -> Failure {
        let said = error.too_long.as_deref();
        let sent = said.and_then(|said| said.prompt).unwrap_or(self.budget.tokens());
        let way_out = match self.budget.too_much_output(sent) {
            Some(most) => format!("lower --max-tokens {most}"),
            None => self.way_to_shorten(conversation, sent).to_owned(),
        };
        let what = format!(
            "{}: {}: {way_out}, or ask a model with a larger window",
            Failure::from(error).to_string().replace(". (HTTP", " (HTTP").trim_end_matches('.'),
            self.sizes(conversation, sent),
        );
        Failure::new(Exit::Data, what).class(error.class.word())
    }

    /// What to tell the user when a reply was cut because the window was full.
    pub(super) fn full(&self, conversation: &Conversation) -> String {
        let sent = self.budget.tokens();
        let (sizes, way_out) = (self.sizes(conversation, sent), self.way_to_shorten(conversation, sent));
        format!("the model's window is full: {sizes}: {way_out}")
    }

    fn sizes(&self, conversation: &Conversation, sent: u64) -> String {
        let task = self.tokens_of_task(conversation).min(sent);
        let (sent, task) = (text::count(sent), text::count(task));
        format!("about {sent} tokens were sent, {task} of them the prompt with its context")
    }

    /// How the user can have less sent than so many tokens.
    fn way_to_shorten(&self, conversation: &Conversation, sent: u64) -> &'static str {
        match self.budget.window {
            _ if self.tokens_of_task(conversation) > sent / 2 => "shorten it (head -c, tail -c)",
            Some(_) => "name a smaller window, for a shorter history (--max-context)",
            None => "say how large the window is (--max-context)",
        }
    }

    /// About how many tokens this run's message has.
    fn tokens_of_task(&self, conversation: &Conversation) -> u64 {
        self.budget.estimator.share(weight_of_parts(conversation.task_parts()))
    }

    /// Writes the next request and weighs it.
    pub(super) fn prepare(&mut self, conversation: &Conversation) {
        self.budget.weight = self.client.prepare(self.wire, &self.head, conversation);
    }

    fn weigh(&self, entry: &Entry) -> u64 {
        let mut bytes = Vec::new();
        self.wire.entry(&self.head, entry, &mut bytes);
        Size::of(entry).weight(bytes.len() as u64)
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
        let fixed = self.budget.estimator.tokens(self.fixed_weight());
        let task = fixed.saturating_add(self.tokens_of_task(conversation));
        if self.budget.assumed && task > most / 4 * 3 { task.saturating_add(most / 2) } else { most }
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
