//! With `--partial`: a run whose time is nearly over asks the model once more, without tools, for what it has, so
//! that the time was not spent for nothing.

use std::time::Duration;

use super::{Agent, Observer};
use crate::base::exit::Exit;
use crate::base::failure::{Failure, Result};
use crate::base::stop::Stop;
use crate::chat::{Conversation, UserMessage};
use crate::form::Answer;
use crate::wire::ToolChoice;

/// With less than this left, or less than a part of the whole, the model is asked for its last words.
const SHORT: Duration = Duration::from_secs(10);
const PART: f64 = 0.15;

const NOTE: &str = "The time of this run is nearly over and no further tool call is possible: give your answer now, \
     from what you have, and say what is missing.";

impl Agent<'_> {
    /// Whether so little time is left that the next request has to be the last.
    pub(super) fn time_is_short(&self) -> bool {
        let (Some(whole), Some(left)) = (self.limits.timeout, self.stop.remaining()) else { return false };
        self.limits.last_words && left < SHORT.max(whole.mul_f64(PART))
    }

    /// Asks for an answer from what there is. It is the text of the last turn; the run has failed all the same.
    ///
    /// # Errors
    /// Always: the time is over.
    pub(super) fn last_words(&mut self, mut conversation: Conversation, observer: &mut dyn Observer) -> Result<Answer> {
        self.check_limits()?;
        let mut note = UserMessage::text(NOTE);
        note.lines.extend(observer.says(&note)?);
        conversation.push_user(note);
        self.head.tool_choice = ToolChoice::None;
        self.fit(&mut conversation, observer)?;
        self.check_cost()?;
        let before = std::mem::take(&mut self.last_text);
        match self.ask(&mut conversation, observer) {
            // Some servers do not keep to the tool choice.
            Ok(reply) => drop(self.answer_without_running(&reply, observer)?),
            Err(failure) if matches!(failure.exit, Exit::Signal(_) | Exit::Io) => return Err(failure),
            Err(failure) if failure.exit != Exit::Timeout => {
                observer.note(&format!("asked for its last words, the model gave none: {failure}"));
            }
            Err(_) => {}
        }
        if self.last_text.trim().is_empty() {
            self.last_text = before;
        }
        Err(Failure::from(Stop::Deadline))
    }
}
