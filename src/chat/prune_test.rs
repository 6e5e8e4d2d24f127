//! Whatever a conversation holds and however small the budget: the task stays word for word, the order stays, pairs
//! stay, what can fit fits, and what matters more outlives what matters less.

use proptest::collection::vec;
use proptest::prelude::*;

use super::prune::{Goal, Pruned, prune, repeat};
use super::{
    Arguments, Block, Conversation, Entry, Exchange, Origin, Part, Sealed, StopReason, ToolCall, ToolResult, Turn,
    Usage, UserMessage,
};

/// What the calls of a turn come back with: how long, an error, a change.
type Results = Vec<(usize, bool, bool)>;

#[derive(Debug, Clone)]
enum Event {
    Calls(Results, bool),
    Answer(usize),
    User(usize),
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let event = prop_oneof![
        6 => calls(),
        1 => (0_usize..3_000).prop_map(Event::Answer),
        1 => (1_usize..3_000).prop_map(Event::User),
    ];
    vec(event, 0..24)
}

fn calls() -> impl Strategy<Value = Event> {
    let length = || prop_oneof![Just(0_usize), 1_usize..200, 200_usize..5_000, Just(6_000_usize)];
    let results = vec((length(), any::<bool>(), any::<bool>()), 1..4);
    (results, any::<bool>()).prop_map(|(results, thinks)| Event::Calls(results, thinks))
}

struct Script {
    conversation: Conversation,
    lines: u32,
}

impl Script {
    fn new(first: &str) -> Self {
        let mut script = Self { conversation: Conversation::new(UserMessage::default()), lines: 0 };
        let message = script.message(first);
        script.conversation = Conversation::new(message);
        script
    }

    fn line(&mut self) -> String {
        self.lines += 1;
        format!("{:06}", self.lines)
    }

    fn message(&mut self, text: &str) -> UserMessage {
        UserMessage { lines: vec![self.line()], ..UserMessage::text(text) }
    }

    fn turn(&mut self, text: &str, thinks: bool, results: Vec<ToolResult>) {
        let line = self.line();
        let mut blocks = Vec::new();
        if thinks {
            blocks.push(Block::Reasoning(Sealed { text: "hm ".repeat(50), seal: None }));
        }
        if !text.is_empty() || results.is_empty() {
            blocks.push(Block::Text(Sealed { text: text.to_owned(), seal: None }));
        }
        let stop = if results.is_empty() { StopReason::End } else { StopReason::ToolUse };
        for mut result in results {
            let id = self.line();
            result.detail.line = Some(id.clone());
            let call = ToolCall { id, name: "f".to_owned(), arguments: Arguments::parse("{}"), seal: None };
            blocks.push(Block::Tool(Exchange { call, result }));
        }
        self.conversation.push(Turn {
            blocks,
            stop,
            raw_stop: None,
            refusal: None,
            usage: Usage::default(),
            origin: Origin::default(),
            response_id: None,
            response_model: None,
            warnings: Vec::new(),
            lines: vec![line],
        });
    }

    /// Another turn may begin only where the user or results stand last.
    fn is_answered(&self) -> bool {
        matches!(self.conversation.entries().last(), Some(Entry::Step { turn, .. }) if turn.tools().next().is_none())
    }

    fn apply(&mut self, event: &Event) {
        if self.is_answered() && !matches!(event, Event::User(_)) {
            let message = self.message("go on");
            self.conversation.push_user(message);
        }
        match event {
            Event::Calls(results, thinks) => {
                let results = results.iter().map(|(length, error, changed)| result(*length, *error, *changed));
                self.turn("", *thinks, results.collect());
            }
            Event::Answer(length) => self.turn(&"a".repeat(*length + 1), true, Vec::new()),
            Event::User(length) => {
                let message = self.message(&"u".repeat(*length));
                self.conversation.push_user(message);
            }
        }
    }
}

fn result(length: usize, error: bool, changed: bool) -> ToolResult {
    let text = "result\n".repeat(length / 7) + &"\"".repeat(length % 7);
    let mut result = if error { ToolResult::error("failed", text) } else { ToolResult::ok(text) };
    result.detail.changed = changed && !error;
    result
}

/// Builds a conversation in which the run's message comes after some events and before others.
fn script(before: &[Event], task: &str, after: &[Event]) -> Conversation {
    let mut script = Script::new(if before.is_empty() { task } else { "an earlier run" });
    if !before.is_empty() {
        for event in before {
            script.apply(event);
        }
        let message = script.message(task);
        script.conversation.push_task(message);
    }
    for event in after {
        script.apply(event);
    }
    script.conversation
}

/// Escaped text and some bytes for the form, as the wires have it.
fn weigh(entry: &Entry) -> u64 {
    let escaped = |text: &str| text.len() + text.matches(['"', '\n']).count();
    let user = |message: &UserMessage| escaped(&text_of(&message.parts)) + 30;
    let weight = match entry {
        Entry::User(message) => user(message),
        Entry::Step { turn, note } => {
            let blocks = turn.blocks.iter().map(|block| match block {
                Block::Text(text) | Block::Reasoning(text) => escaped(&text.text) + 30,
                Block::Tool(exchange) => escaped(&exchange.result.text) + 120,
                Block::Opaque(seal) => seal.get().len(),
            });
            blocks.sum::<usize>() + note.as_deref().map_or(0, user) + 60
        }
    };
    weight as u64
}

fn text_of(parts: &[Part]) -> String {
    let text = |part: &Part| if let Part::Text(text) = part { text.clone() } else { String::new() };
    parts.iter().map(text).collect()
}

fn total(conversation: &Conversation, fixed: u64) -> u64 {
    fixed + conversation.entries().iter().map(weigh).sum::<u64>()
}

fn task_of(conversation: &Conversation) -> String {
    let task = text_of(conversation.task_parts());
    let whole = match &conversation.entries()[conversation.task()] {
        Entry::User(said) | Entry::Step { note: Some(said), .. } => text_of(&said.parts),
        Entry::Step { .. } => String::new(),
    };
    assert!(whole.contains(&task));
    task
}

/// The lines of a conversation in order.
fn lines(conversation: &Conversation) -> Vec<String> {
    let of = |entry: &Entry| match entry {
        Entry::User(message) => message.lines.clone(),
        Entry::Step { turn, note } => {
            let results = turn.tools().filter_map(|exchange| exchange.result.detail.line.clone());
            let note = note.iter().flat_map(|note| note.lines.clone());
            turn.lines.iter().cloned().chain(results).chain(note).collect()
        }
    };
    conversation.entries().iter().flat_map(of).collect()
}

fn alternates(conversation: &Conversation) -> bool {
    let mut users_turn = true;
    conversation.entries().iter().all(|entry| {
        let fits = users_turn == matches!(entry, Entry::User(_));
        users_turn = match entry {
            Entry::User(_) => false,
            Entry::Step { turn, note } => turn.tools().next().is_none() && note.is_none(),
        };
        fits
    })
}

fn goal(fixed: u64, budget: u64) -> Goal {
    Goal { fixed, budget, binds_reasoning: false }
}

fn cut(conversation: &mut Conversation, goal: Goal) -> Pruned {
    prune(conversation, goal, &mut weigh)
}

/// What cannot be made smaller: the task, the newest turn with its results cut.
fn floor(conversation: &Conversation, fixed: u64) -> u64 {
    let entries = conversation.entries();
    let last = entries.last().map_or(0, |entry| match entry {
        Entry::User(_) => weigh(entry),
        Entry::Step { turn, .. } => {
            let texts: u64 = turn.tools().map(|e| e.result.text.len().saturating_sub(256) as u64).sum();
            weigh(entry).saturating_sub(texts) + 128 * turn.tools().count() as u64
        }
    });
    fixed + last + weigh(&entries[conversation.task()])
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    #[test]
    fn a_pruned_conversation_is_sound(
        before in events(), after in events(), task in 1_usize..20_000, budget in 500_u64..60_000, binds: bool,
    ) {
        let task = "t".repeat(task);
        let whole = script(&before, &task, &after);
        let mut pruned = whole.clone();
        let goal = Goal { binds_reasoning: binds, ..goal(400, budget) };
        let done = cut(&mut pruned, goal);
        prop_assert!(alternates(&pruned));
        prop_assert_eq!(task_of(&pruned), task_of(&whole));
        prop_assert!(task_of(&pruned).contains(&task));
        let (left, all) = (lines(&pruned), lines(&whole));
        prop_assert!(left.is_sorted(), "order: {left:?}");
        prop_assert!(left.iter().all(|line| all.contains(line) && !done.removed.contains(line)));
        prop_assert_eq!(left.len() + done.removed.len(), all.len(), "what is gone is named");
        prop_assert_eq!(done.changed, left != all || total(&pruned, 400) != total(&whole, 400));
        prop_assert_eq!(done == Pruned::default(), total(&whole, 400) <= budget);
    }

    #[test]
    fn what_can_fit_fits_and_a_second_prune_changes_nothing(
        after in vec(calls(), 0..24), task in 1_usize..20_000, budget in 500_u64..60_000,
    ) {
        let mut pruned = script(&[], &"t".repeat(task), &after);
        let least = floor(&pruned, 400);
        cut(&mut pruned, goal(400, budget));
        let size = total(&pruned, 400);
        prop_assert!(size <= budget.max(least), "{size} > {budget}, floor {least}");
        let once = lines(&pruned);
        prop_assert_eq!(cut(&mut pruned, goal(400, budget)).changed, false);
        prop_assert_eq!(total(&pruned, 400), size);
        prop_assert_eq!(lines(&pruned), once);
    }

    #[test]
    fn a_later_run_can_repeat_what_was_pruned(
        before in events(), after in events(), budget in 500_u64..60_000, binds: bool,
    ) {
        let whole = script(&before, "the task", &after);
        let (mut pruned, mut again) = (whole.clone(), whole);
        let done = cut(&mut pruned, Goal { binds_reasoning: binds, ..goal(400, budget) });
        repeat(&mut again, &done);
        prop_assert_eq!(format!("{:?}", again.entries()), format!("{:?}", pruned.entries()));
    }
}

/// Ten rounds of one call each: plain, an error, a change, in turn.
fn rounds(length: usize) -> Vec<Event> {
    (0..10).map(|n| Event::Calls(vec![(length, n % 3 == 1, n % 3 == 2)], true)).collect()
}

#[test]
fn errors_and_changes_outlive_plain_results() {
    let whole = script(&[], "t", &rounds(400));
    let mut pruned = whole.clone();
    let done = cut(&mut pruned, goal(0, total(&whole, 0) - 1));
    assert!(done.shrunk.is_empty(), "small results are not worth a cut: {done:?}");
    // Lines: 1 the task, then two for each round; rounds 0, 3 and 6 are plain and old.
    assert_eq!(done.removed, ["000002", "000003", "000008", "000009", "000014", "000015"]);
}

#[test]
fn old_results_shrink_before_anything_is_removed() {
    let whole = script(&[], "t", &rounds(4_000));
    let mut pruned = whole.clone();
    let done = cut(&mut pruned, goal(0, total(&whole, 0) - 1));
    assert!(done.removed.is_empty() && !done.shrunk.is_empty(), "{done:?}");
    let first = pruned.entries().iter().find_map(|entry| match entry {
        Entry::Step { turn, .. } => turn.tools().next(),
        Entry::User(_) => None,
    });
    let text = &first.unwrap().result.text;
    assert!(text.contains("[3488 bytes left out here to save room: call the tool again for them]"), "{text}");
    assert!(text.starts_with("result\n") && text.len() < 640);
}

#[test]
fn newest_results_that_exceed_the_budget_alone_are_cut_and_the_task_is_not() {
    let task = "t".repeat(1_000);
    let whole = script(&[], &task, &[Event::Calls(vec![(60_000, false, false), (50, true, false)], false)]);
    let mut pruned = whole.clone();
    cut(&mut pruned, goal(500, 12_000));
    assert!(total(&pruned, 500) <= 9_000);
    assert!(total(&pruned, 500) > 7_000, "the room is used");
    assert_eq!(task_of(&pruned), task);
    let Some(Entry::Step { turn, .. }) = pruned.entries().last() else { panic!("the turn is gone") };
    let texts: Vec<_> = turn.tools().map(|exchange| exchange.result.text.as_str()).collect();
    assert!(texts[0].contains("bytes left out here") && !texts[1].contains("left out"), "{texts:?}");
}

#[test]
fn what_the_user_said_in_earlier_runs_goes_last() {
    let before = [Event::Answer(300), Event::User(300), Event::Calls(vec![(300, true, false)], false)];
    let before: Vec<_> = before.iter().cloned().chain([Event::Answer(300)]).collect();
    let whole = script(&before, "the task", &[]);
    let mut pruned = whole.clone();
    let done = cut(&mut pruned, goal(0, total(&whole, 0) - 1));
    assert_eq!(done.removed, ["000004", "000005"], "the call and its result");
    cut(&mut pruned, goal(0, 600));
    assert_eq!(lines(&pruned), ["000001", "000003", "000007"], "the user's words without the answers");
    cut(&mut pruned, goal(0, 200));
    assert_eq!(lines(&pruned), ["000007"], "the task alone");
}

#[test]
fn messages_without_an_answer_do_not_bind_the_task() {
    for called in [false, true] {
        let mut script = Script::new("an earlier run");
        if called {
            script.apply(&Event::Calls(vec![(3_000, false, false)], false));
        }
        for text in ["a".repeat(4_000), "b".repeat(3_000), "the task".to_owned()] {
            let message = script.message(&text);
            script.conversation.push_task(message);
        }
        let whole = script.conversation;
        let mut pruned = whole.clone();
        let done = cut(&mut pruned, goal(0, 5_500));
        assert!(!done.removed.is_empty() && total(&pruned, 0) < 4_200, "{done:?}");
        assert!(alternates(&pruned) && task_of(&pruned) == "the task");
        let mut again = whole;
        repeat(&mut again, &done);
        assert_eq!(format!("{again:?}"), format!("{pruned:?}"));
    }
}

/// What flux said after a turn joins the task where that turn is gone, and is no part of what the user asked.
#[test]
fn a_complaint_that_lost_its_turn_is_not_said_again() {
    for earlier in [&[][..], &[Event::Calls(vec![(10, false, false)], false)]] {
        let mut whole = script(earlier, "the task", &[Event::Calls(vec![(9_000, false, false)], false)]);
        let turn = lines(&whole)[lines(&whole).len() - 2..].to_vec();
        whole.push_user(UserMessage { lines: vec!["complaint".to_owned()], ..UserMessage::text("not so") });
        repeat(&mut whole, &Pruned { removed: turn, changed: true, ..Pruned::default() });
        assert_eq!(lines(&whole).last().map(String::as_str), Some("complaint"));
        let mut asked_again = whole.clone();
        asked_again.reopen();
        whole.push_task(UserMessage::text("another task"));
        for conversation in [asked_again, whole] {
            assert!(!lines(&conversation).contains(&"complaint".to_owned()), "{conversation:?}");
            assert!(alternates(&conversation) && task_of(&conversation).ends_with("task"));
        }
    }
}

#[test]
fn what_fits_of_a_run_that_was_cut_off_stays() {
    let call = || Event::Calls(vec![(3_000, false, false)], false);
    let before = [Event::Answer(100), Event::User(50), call(), call(), call(), call(), call(), call()];
    let mut pruned = script(&before, "the task", &[]);
    let done = cut(&mut pruned, goal(500, 10_000));
    assert!(done.removed.is_empty() && done.shrunk.len() > 3, "{done:?}");
    cut(&mut pruned, goal(500, 2_500));
    assert!(lines(&pruned).iter().take(3).eq(["000001", "000002", "000003"]), "{:?}", lines(&pruned));
}

#[test]
fn a_prune_cuts_well_below_the_threshold() {
    let whole = script(&[], "t", &rounds(400));
    let mut pruned = whole.clone();
    let budget = total(&whole, 0) - 1;
    cut(&mut pruned, goal(0, budget));
    assert!(total(&pruned, 0) <= budget / 4 * 3);
}
