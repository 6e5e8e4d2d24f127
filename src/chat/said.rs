//! What the user says between two assistant turns: one message for the model, though it may consist of several.

use std::ops::Deref;

use super::{Part, UserMessage};

/// All that the user says between two assistant turns. It reads as one message, parted by blank lines, and can be taken
/// apart again: a message that was never answered, or has lost its answer, must not bind the one that follows it.
#[derive(Debug, Clone)]
pub struct Said {
    whole: UserMessage,
    joints: Vec<Joint>,
}

/// Where a further message begins.
#[derive(Debug, Clone, Copy)]
struct Joint {
    parts: usize,
    lines: usize,
    /// The part before it is the blank line.
    parted: bool,
}

impl Said {
    /// How many messages it is.
    pub(super) fn count(&self) -> usize {
        self.joints.len() + 1
    }

    /// Adds what the user says after this.
    pub(super) fn push(&mut self, later: UserMessage) {
        let whole = &mut self.whole;
        let parted = !whole.parts.is_empty() && !later.parts.is_empty();
        if parted {
            whole.parts.push(Part::Text("\n\n".to_owned()));
        }
        self.joints.push(Joint { parts: whole.parts.len(), lines: whole.lines.len(), parted });
        whole.parts.extend(later.parts);
        whole.lines.extend(later.lines);
    }

    /// Keeps only so many messages from the first, and at least one.
    pub(super) fn truncate(&mut self, count: usize) {
        while self.count() > count && self.pop().is_some() {}
    }

    /// What was said in the message of this number, from 0.
    pub(super) fn parts_of(&self, message: usize) -> &[Part] {
        let start = message.checked_sub(1).map_or(Some(0), |before| Some(self.joints.get(before)?.parts));
        let next = self.joints.get(message);
        let end = next.map_or(self.whole.parts.len(), |joint| joint.parts - usize::from(joint.parted));
        start.and_then(|start| self.whole.parts.get(start..end)).unwrap_or_default()
    }

    /// The messages as they were said.
    pub(super) fn into_messages(mut self) -> Vec<UserMessage> {
        let mut messages = Vec::with_capacity(self.count());
        while let Some(last) = self.pop() {
            messages.push(last);
        }
        messages.push(self.whole);
        messages.reverse();
        messages
    }

    /// Takes the last message off, unless it is the only one.
    fn pop(&mut self) -> Option<UserMessage> {
        let joint = self.joints.pop()?;
        let parts = self.whole.parts.split_off(joint.parts);
        let lines = self.whole.lines.split_off(joint.lines);
        if joint.parted {
            self.whole.parts.pop();
        }
        Some(UserMessage { parts, lines })
    }
}

impl From<UserMessage> for Said {
    fn from(whole: UserMessage) -> Self {
        Self { whole, joints: Vec::new() }
    }
}

impl Deref for Said {
    type Target = UserMessage;

    fn deref(&self) -> &UserMessage {
        &self.whole
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_joined_comes_apart_as_it_was() {
        let message = |text: &str, line: &str| UserMessage { lines: vec![line.to_owned()], ..UserMessage::text(text) };
        let mut said = Said::from(message("a", "1"));
        said.push(UserMessage::default());
        said.push(message("\n\n", "2"));
        assert_eq!((said.count(), said.parts.len(), said.lines.len()), (3, 3, 2));
        let shown = format!("{:?}", said.clone().into_messages());
        assert_eq!(shown, format!("{:?}", [message("a", "1"), UserMessage::default(), message("\n\n", "2")]));
        let parts: Vec<String> = (0..4).map(|number| format!("{:?}", said.parts_of(number))).collect();
        assert_eq!(parts, [r#"[Text("a")]"#, "[]", r#"[Text("\n\n")]"#, "[]"]);
        said.truncate(1);
        assert_eq!((said.count(), said.parts.len(), said.lines.len()), (1, 1, 1));
    }
}
