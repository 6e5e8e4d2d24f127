//! Shortens a conversation that has grown over its budget. Works on the neutral form alone, once for all wires, and
//! knows sizes only as weights that somebody else measures.
//!
//! What makes a request valid cannot be broken here: a call and its result are one value, and what is removed is
//! always a turn with all its results or a message of the user, by `Pieces` that stay sound. The message that the run
//! is for is never touched.

use super::conversation::said;
use super::pieces::Pieces;
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
    Answer,
    User,
}

/// Shortens the conversation if it is over the budget: old results first, then old exchanges whole, at last the newest
/// results. `weigh` tells what an entry weighs.
pub fn prune(conversation: &mut Conversation, goal: Goal, weigh: &mut dyn FnMut(&Entry) -> u64) -> Pruned {
    let total = goal.fixed + conversation.entries().iter().map(&mut *weigh).sum::<u64>();
    if total <= goal.budget {
        return Pruned::default();
    }
    conversation.in_pieces(|pieces| {
        let mut work = Work::new(pieces, goal.fixed, weigh);
        if goal.binds_reasoning {
            work.drop_reasoning();
        }
        let target = work.target(goal.budget);
        for newest in [work.newest(target), work.tail] {
            work.shrink_old(newest, target);
            work.remove_old(newest, target);
        }
        work.cut_newest(target);
        work.pruned
    })
}

/// Shortens the results again that an earlier run has shortened.
pub fn repeat(conversation: &mut Conversation, pruned: &Pruned) {
    if pruned.reasoning {
        forget_reasoning(conversation, |_| true);
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
    conversation.in_pieces(|pieces| pieces.keep(pieces.all().iter().map(|e| !is_gone(&mut lines_of(e))).collect()));
}

/// Removes the reasoning of all such turns.
pub fn forget_reasoning(conversation: &mut Conversation, of: impl Fn(&Turn<Exchange>) -> bool) {
    for entry in conversation.entries_mut() {
        if matches!(entry, Entry::Step { turn, .. } if of(turn)) {
            drop_reasoning(entry);
        }
    }
}

struct Work<'a> {
    pieces: &'a mut Pieces,
    weigh: &'a mut dyn FnMut(&Entry) -> u64,
    /// Of each piece; nothing for one that is gone.
    weights: Vec<u64>,
    /// The first of the pieces that stay in any case: the newest turn of this run, or its message.
    tail: usize,
    total: u64,
    fixed: u64,
    pruned: Pruned,
}

impl<'a> Work<'a> {
    fn new(pieces: &'a mut Pieces, fixed: u64, weigh: &'a mut dyn FnMut(&Entry) -> u64) -> Self {
        let weights: Vec<u64> = pieces.all().iter().map(&mut *weigh).collect();
        let total = fixed + weights.iter().sum::<u64>();
        let task = pieces.task();
        let newest_turn = pieces.all().iter().rposition(|piece| matches!(piece, Entry::Step { .. }));
        let tail = newest_turn.map_or(task, |turn| turn.max(task));
        Self { pieces, weigh, weights, tail, total, fixed, pruned: Pruned::default() }
    }

    fn entry(&self, at: usize) -> &Entry {
        &self.pieces.all()[at]
    }

    fn weigh_again(&mut self, at: usize) {
        let weight = (self.weigh)(&self.pieces.all()[at]);
        self.total = self.total - self.weights[at] + weight;
        self.weights[at] = weight;
    }

    fn drop_reasoning(&mut self) {
        for at in 0..self.weights.len() {
            if self.pieces.get_mut(at).is_some_and(drop_reasoning) {
                self.weigh_again(at);
                self.pruned.reasoning = true;
                self.pruned.changed = true;
            }
        }
    }

    /// What this run's message weighs, unless it is in the tail.
    fn task_before_tail(&self) -> u64 {
        let task = self.pieces.task();
        if task < self.tail { self.weights[task] } else { 0 }
    }

    /// What the request is to weigh: three quarters of the budget if that can be reached. If not, half of the room
    /// that what must stay leaves; if there is none, as little as possible.
    fn target(&mut self, budget: u64) -> u64 {
        let cut = with_results_of(self.entry(self.tail), LEAST);
        let behind = self.weights[self.tail + 1..].iter().sum::<u64>();
        let floor = self.fixed + self.task_before_tail() + (self.weigh)(&cut) + behind;
        match budget / 4 * 3 {
            usual if floor <= usual => usual,
            _ if floor < budget => floor.midpoint(budget),
            _ => 0,
        }
    }

    /// The place from which on the newest pieces are spared: up to half of the room for all but the task.
    fn newest(&self, target: u64) -> usize {
        let task = self.pieces.task();
        let room = target.saturating_sub(self.fixed).saturating_sub(self.weights[task]);
        let weight = |at: usize| if at == task { 0 } else { self.weights[at] };
        let mut first = self.tail;
        let mut sum: u64 = (first..self.weights.len()).map(weight).sum();
        while let Some(before) = first.checked_sub(1) {
            sum += weight(before);
            if sum > room / 2 {
                break;
            }
            first = before;
        }
        first
    }

    /// The pieces before `newest`, what matters least and is oldest first.
    fn by_importance(&self, newest: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..newest).filter(|at| self.pieces.has(*at)).collect();
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

    /// Shortens the results of a turn that have more than `most` bytes.
    fn shorten(&mut self, at: usize, keep: usize, most: usize) {
        let mut changed = false;
        for exchange in self.pieces.get_mut(at).into_iter().flat_map(exchanges_mut) {
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
            // What stands behind the task and is no round of calls is about the answer's form.
            let is_round = exchanges(self.entry(at)).next().is_some();
            if (is_round || at < self.pieces.task()) && self.pieces.remove(at) {
                self.total -= std::mem::take(&mut self.weights[at]);
                self.pruned.changed = true;
                self.pruned.removed.extend(lines_of(&self.pieces.all()[at]).cloned());
            }
        }
    }

    /// Cuts the results of the newest turn to the greatest length with which all of them fit.
    fn cut_newest(&mut self, target: u64) {
        let whole = self.entry(self.tail).clone();
        let longest = exchanges(&whole).map(|exchange| exchange.result.text.len()).max().unwrap_or(0);
        if self.total <= target || longest <= LEAST {
            return;
        }
        let others = self.total - self.weights[self.tail];
        let (mut fits, mut too_long) = (LEAST, longest);
        while too_long - fits > LEAST / 8 {
            let keep = fits.midpoint(too_long);
            if others + (self.weigh)(&with_results_of(&whole, keep)) <= target { fits = keep } else { too_long = keep }
        }
        self.shorten(self.tail, fits, fits + MARKER);
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
        Entry::User(_) => Importance::User,
        Entry::Step { turn, .. } if turn.tools().next().is_none() => Importance::Answer,
        Entry::Step { turn, .. } if turn.tools().any(|e| e.result.is_error) => Importance::Error,
        Entry::Step { turn, .. } if turn.tools().any(|e| e.result.detail.changed) => Importance::Change,
        Entry::Step { .. } => Importance::Plain,
    }
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
    let turn = if let Entry::Step { turn, .. } = entry { Some(turn) } else { None };
    let own = turn.into_iter().flat_map(|turn| &turn.lines);
    let results = exchanges(entry).filter_map(|e| e.result.detail.line.as_ref());
    own.chain(results).chain(said(entry).into_iter().flat_map(|said| &said.lines))
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
