//! What becomes of a run whose calls the permissions forbid.

use crate::base::exit::Exit;
use crate::base::failure::Failure;
use crate::chat::ToolResult;

/// Denials in a row that end every run: the model does not take no for an answer.
const MOST_IN_A_ROW: u32 = 5;

/// What a denial does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum OnDeny {
    /// The model is told, and goes on.
    #[default]
    Continue,
    /// The run ends.
    Fail,
}

/// Counts denied calls.
#[derive(Debug, Default)]
pub struct Denials {
    on_deny: OnDeny,
    in_a_row: u32,
    remedy: String,
}

impl Denials {
    /// No call was denied so far.
    #[must_use]
    pub fn new(on_deny: OnDeny) -> Self {
        Self { on_deny, ..Self::default() }
    }

    /// Takes the result of a call, in the order of the calls.
    pub(super) fn note(&mut self, result: &ToolResult) {
        match &result.detail.denied {
            // The first one that was too much stays the reason.
            _ if self.are_too_many() => {}
            Some(remedy) => {
                self.in_a_row += 1;
                self.remedy.clone_from(remedy);
            }
            None => self.in_a_row = 0,
        }
    }

    /// True if the run is to end.
    pub(super) fn are_too_many(&self) -> bool {
        let most = if self.on_deny == OnDeny::Fail { 1 } else { MOST_IN_A_ROW };
        self.in_a_row >= most
    }

    /// Why the run ends, if it does.
    pub(super) fn failure(&self) -> Option<Failure> {
        let what = if self.on_deny == OnDeny::Fail { "a call was denied" } else { "five calls in a row were denied" };
        let failure = || Failure::new(Exit::Denied, format!("{what}; to permit it: {}", self.remedy)).class("denied");
        self.are_too_many().then(failure)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn denied() -> ToolResult {
        ToolResult::denied("no", "--allow 'write:a'".to_owned())
    }

    #[test]
    fn five_in_a_row_or_the_first_one_end_a_run() {
        let mut denials = Denials::new(OnDeny::Continue);
        for _ in 0..4 {
            denials.note(&denied());
        }
        denials.note(&ToolResult::ok("fine"));
        assert!(denials.failure().is_none());
        for _ in 0..5 {
            assert!(!denials.are_too_many());
            denials.note(&denied());
        }
        denials.note(&ToolResult::ok("fine"));
        let failure = denials.failure().unwrap();
        assert_eq!(failure.exit, Exit::Denied);
        assert_eq!(failure.to_string(), "five calls in a row were denied; to permit it: --allow 'write:a'");
        let mut strict = Denials::new(OnDeny::Fail);
        strict.note(&denied());
        assert!(strict.are_too_many());
    }
}
