//! Shortens a conversation that has grown over its budget. Works on the neutral form alone, once for all wires, and
//! knows sizes only as weights that somebody else measures.
//!
//! What makes a request valid cannot be broken here: a call and its result are one value, and what is removed is
//! always a turn with all its results, or a question together with its answer. The message that the run is for is
//! never touched.

use super::{Block, Conversation, Entry, Exchange, LineId, Turn};
use crate::base::text;

/// What is left of the body of an old result.
const STUB: usize = 512;
/// Results below this size are not worth a cut.
const WORTH_A_CUT: usize = 2 * STUB;
/// The least that is left of a new result.
const LEAST: usize = 256;
/// The most bytes of the line that stands for what was left out.
const MARKER: usize = 128;

/// How much a conversation may weigh.
#[derive(Debug, Clone, Copy)]
pub struct Goal {
    /// What the request weighs besides the conversation.
    pub fixed: u64,
    /// The most that the whole request may weigh. A conversation that weighs more is brought down to three quarters
    /// of it, so that what is left stays the same for many turns.
    pub budget: u64,
    /// Reasoning is worth nothing any more if what precedes it has changed.
    pub binds_reasoning: bool,
}

/// What was done.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pruned {
    /// The transcript lines of what was removed.
    pub removed: Vec<LineId>,
    /// The transcript lines of the results that were shortened, with the bytes that each keeps.
    pub shrunk: Vec<(LineId, usize)>,
    /// Reasoning was removed from every turn.
    pub reasoning: bool,
    /// Whether anything was done at all.
    pub changed: bool,
}

/// What matters least goes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Importance {
    Plain,
    Change,
    Error,
    User,
}

/// Shortens the conversation if it is over the budget: old results first, then old exchanges whole, at last the newest
/// results. `weigh` tells what an entry weighs.
pub fn prune(conversation: &mut Conversation, goal: Goal, weigh: &mut dyn FnMut(&Entry) -> u64) -> Pruned {
    let mut work = Work::new(conversation, goal.fixed, weigh);
    if work.total <= goal.budget {
        return Pruned::default();
    }
    if goal.binds_reasoning {
        work.drop_reasoning();
    }
    let target = work.target(goal.budget);
    for newest in [work.newest(target), work.weights.len().saturating_sub(1)] {
        work.shrink_old(newest, target);
        work.remove_old(newest, target);
    }
    work.forget_what_led_to_the_task(target);
    work.cut_newest(target);
    work.finish()
}

/// Shortens the results again that an earlier run has shortened.
pub fn repeat(conversation: &mut Conversation, pruned: &Pruned) {
    if pruned.reasoning {
        forget_reasoning(conversation);
    }
    for entry in conversation.entries_mut() {
        for exchange in exchanges_mut(entry) {
            let of_this = |(line, _): &&(LineId, usize)| exchange.result.detail.line.as_ref() == Some(line);
            if let Some((_, keep)) = pruned.shrunk.iter().find(of_this) {
                shorten(exchange, *keep);
            }
        }
    }
    let is_gone = |lines: &mut dyn Iterator<Item = &LineId>| {
        let mut lines = lines.peekable();
        lines.peek().is_some() && lines.all(|line| pruned.removed.contains(line))
    };
    // Of a turn that is gone the user's note may have stayed, as the first message.
    let first = conversation.entries().iter().rposition(|entry| match entry {
        Entry::Step { turn, note: Some(note) } => {
            is_gone(&mut turn.lines.iter()) && !note.lines.iter().any(|line| pruned.removed.contains(line))
        }
        _ => false,
    });
    if let Some(first) = first {
        conversation.begin_with_note(first);
    }
    let kept: Vec<bool> = conversation.entries().iter().map(|entry| !is_gone(&mut lines_of(entry))).collect();
    if keeps_the_form(conversation, &kept) {
        conversation.keep(&kept);
    }
}

/// Removes the reasoning of every turn.
pub fn forget_reasoning(conversation: &mut Conversation) {
    for entry in conversation.entries_mut() {
        drop_reasoning(entry);
    }
}

struct Work<'a> {
    conversation: &'a mut Conversation,
    weigh: &'a mut dyn FnMut(&Entry) -> u64,
    /// Of each entry; nothing for one that is gone.
    weights: Vec<u64>,
    kept: Vec<bool>,
    total: u64,
    fixed: u64,
    pruned: Pruned,
}

impl<'a> Work<'a> {
    fn new(conversation: &'a mut Conversation, fixed: u64, weigh: &'a mut dyn FnMut(&Entry) -> u64) -> Self {
        let weights: Vec<u64> = conversation.entries().iter().map(&mut *weigh).collect();
        let total = fixed + weights.iter().sum::<u64>();
        let kept = vec![true; weights.len()];
        Self { conversation, weigh, weights, kept, total, fixed, pruned: Pruned::default() }
    }

    fn entry(&self, at: usize) -> &Entry {
        &self.conversation.entries()[at]
    }

    fn weigh_again(&mut self, at: usize) {
        let weight = (self.weigh)(&self.conversation.entries()[at]);
        self.total = self.total - self.weights[at] + weight;
        self.weights[at] = weight;
    }

    fn drop_reasoning(&mut self) {
        for at in 0..self.weights.len() {
            if drop_reasoning(&mut self.conversation.entries_mut()[at]) {
                self.weigh_again(at);
                self.pruned.reasoning = true;
                self.pruned.changed = true;
            }
        }
    }

    /// What the request is to weigh: three quarters of the budget if that can be reached. If not, half of the room
    /// that what must stay leaves; if there is none, as little as possible.
    fn target(&mut self, budget: u64) -> u64 {
        let last = self.weights.len().saturating_sub(1);
        let task = self.conversation.task();
        let cut = with_results_of(self.entry(last), LEAST);
        let smallest = (self.weigh)(&cut);
        let floor = self.fixed + smallest + if task == last { 0 } else { self.weights[task] };
        match budget / 4 * 3 {
            usual if floor <= usual => usual,
            _ if floor < budget => floor.midpoint(budget),
            _ => 0,
        }
    }

    /// The place from which on the newest entries are spared: up to half of the room for all but the task.
    fn newest(&self, target: u64) -> usize {
        let room = target.saturating_sub(self.fixed).saturating_sub(self.weights[self.conversation.task()]);
        let mut first = self.weights.len().saturating_sub(1);
        let mut sum = self.weights[first];
        while let Some(before) = first.checked_sub(1) {
            sum += self.weights[before];
            if sum > room / 2 {
                break;
            }
            first = before;
        }
        first
    }

    /// The entries before `newest`, what matters least and is oldest first.
    fn by_importance(&self, newest: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..newest).filter(|at| self.kept[*at]).collect();
        order.sort_by_key(|at| (importance(self.entry(*at)), *at));
        order
    }

    fn shrink_old(&mut self, newest: usize, target: u64) {
        for at in self.by_importance(newest) {
            if self.total <= target {
                return;
            }
            self.shorten(at, STUB, WORTH_A_CUT);
        }
    }

    /// Shortens the results of an entry that have more than `most` bytes.
    fn shorten(&mut self, at: usize, keep: usize, most: usize) {
        let mut changed = false;
        for exchange in exchanges_mut(&mut self.conversation.entries_mut()[at]) {
            if exchange.result.text.len() > most && shorten(exchange, keep) {
                self.pruned.shrunk.extend(exchange.result.detail.line.clone().map(|line| (line, keep)));
                changed = true;
            }
        }
        if changed {
            self.pruned.changed = true;
            self.weigh_again(at);
        }
    }

    fn remove_old(&mut self, newest: usize, target: u64) {
        for at in self.by_importance(newest) {
            if self.total <= target {
                return;
            }
            if at == self.conversation.task() || !self.kept[at] {
                continue;
            }
            match self.entry(at) {
                Entry::Step { turn, .. } if turn.tools().next().is_some() => self.remove(at),
                Entry::Step { .. } => {}
                // A question goes with its answer, once nothing stands between them.
                Entry::User(_) => {
                    let next = (at + 1..newest).find(|at| self.kept[*at]);
                    if let Some(answer) = next.filter(|at| is_answer(self.entry(*at))) {
                        self.remove(at);
                        self.remove(answer);
                    }
                }
            }
        }
    }

    fn remove(&mut self, at: usize) {
        self.total -= self.weights[at];
        self.weights[at] = 0;
        self.kept[at] = false;
        self.pruned.changed = true;
        self.pruned.removed.extend(lines_of(&self.conversation.entries()[at]).cloned());
    }

    /// Where this run's message stands behind the results of a run that was cut off, nothing but that message is
    /// needed of what precedes.
    fn forget_what_led_to_the_task(&mut self, target: u64) {
        let task = self.conversation.task();
        if self.total <= target || task == 0 {
            return;
        }
        let gone = self.conversation.begin_with_note(task);
        if gone.is_empty() {
            return;
        }
        let lines = gone.iter().zip(&self.kept).filter(|(_, kept)| **kept).flat_map(|(entry, _)| lines_of(entry));
        self.pruned.removed.extend(lines.cloned());
        self.pruned.changed = true;
        self.total -= self.weights.drain(..task).sum::<u64>();
        self.kept.drain(..task);
        self.kept[0] = true;
        self.weigh_again(0);
    }

    /// Cuts the results of the last turn to the greatest length with which all of them fit.
    fn cut_newest(&mut self, target: u64) {
        let last = self.weights.len().saturating_sub(1);
        let whole = self.entry(last).clone();
        let longest = exchanges(&whole).map(|exchange| exchange.result.text.len()).max().unwrap_or(0);
        if self.total <= target || longest <= LEAST {
            return;
        }
        let others = self.total - self.weights[last];
        let (mut fits, mut too_long) = (LEAST, longest);
        while too_long - fits > LEAST / 8 {
            let keep = fits.midpoint(too_long);
            if others + (self.weigh)(&with_results_of(&whole, keep)) <= target { fits = keep } else { too_long = keep }
        }
        self.shorten(last, fits, fits + MARKER);
    }

    fn finish(self) -> Pruned {
        self.conversation.keep(&self.kept);
        self.pruned
    }
}

/// The entry with its results cut to that length.
fn with_results_of(entry: &Entry, keep: usize) -> Entry {
    let mut cut = entry.clone();
    for exchange in exchanges_mut(&mut cut).filter(|e| e.result.text.len() > keep + MARKER) {
        shorten(exchange, keep);
    }
    cut
}

fn importance(entry: &Entry) -> Importance {
    match entry {
        Entry::User(_) | Entry::Step { note: Some(_), .. } => Importance::User,
        Entry::Step { turn, .. } if turn.tools().any(|e| e.result.is_error) => Importance::Error,
        Entry::Step { turn, .. } if turn.tools().any(|e| e.result.detail.changed) => Importance::Change,
        Entry::Step { .. } => Importance::Plain,
    }
}

/// Whether an entry is an assistant turn that called nothing.
fn is_answer(entry: &Entry) -> bool {
    matches!(entry, Entry::Step { turn, note: None } if turn.tools().next().is_none())
}

/// Whether user and assistant still alternate if only these entries are kept.
fn keeps_the_form(conversation: &Conversation, kept: &[bool]) -> bool {
    let entries = conversation.entries().iter().zip(kept).filter(|(_, kept)| **kept).map(|(entry, _)| entry);
    let mut users_turn = true;
    for entry in entries {
        match entry {
            Entry::User(_) if !users_turn => return false,
            Entry::User(_) => users_turn = false,
            Entry::Step { .. } if users_turn => return false,
            Entry::Step { .. } => users_turn = is_answer(entry),
        }
    }
    kept.get(conversation.task()).copied().unwrap_or(true)
}

fn exchanges(entry: &Entry) -> impl Iterator<Item = &Exchange> {
    let turn = if let Entry::Step { turn, .. } = entry { Some(turn) } else { None };
    turn.into_iter().flat_map(Turn::tools)
}

fn exchanges_mut(entry: &mut Entry) -> impl Iterator<Item = &mut Exchange> {
    let turn = if let Entry::Step { turn, .. } = entry { Some(turn) } else { None };
    let blocks = turn.into_iter().flat_map(|turn| &mut turn.blocks);
    blocks.filter_map(|block| if let Block::Tool(exchange) = block { Some(exchange) } else { None })
}

/// The transcript lines of an entry, results included.
fn lines_of(entry: &Entry) -> impl Iterator<Item = &LineId> {
    let (own, note): (&[LineId], &[LineId]) = match entry {
        Entry::User(message) => (&message.lines, &[]),
        Entry::Step { turn, note } => (&turn.lines, note.as_ref().map_or(&[], |note| &note.lines)),
    };
    own.iter().chain(exchanges(entry).filter_map(|e| e.result.detail.line.as_ref())).chain(note)
}

/// Removes the reasoning of a turn; tells whether there was any.
fn drop_reasoning(entry: &mut Entry) -> bool {
    let Entry::Step { turn, .. } = entry else { return false };
    let before = turn.blocks.len();
    turn.blocks.retain(|block| !matches!(block, Block::Reasoning(_)));
    turn.blocks.len() < before
}

/// Keeps `keep` bytes of a result, at its head and its tail; tells whether that is less than there was.
fn shorten(exchange: &mut Exchange, keep: usize) -> bool {
    let whole = &exchange.result.text;
    let tail = text::suffix(whole, keep / 3);
    let head = text::prefix(whole, keep - keep / 3);
    let all = exchange.result.detail.bytes.max(whole.len() as u64);
    let left_out = all.saturating_sub((head.len() + tail.len()) as u64);
    let short = format!("{head}\n[{left_out} bytes left out here to save room: call the tool again for them]\n{tail}");
    let shorter = short.len() < whole.len();
    if shorter {
        exchange.result.text = short;
    }
    shorter
}
