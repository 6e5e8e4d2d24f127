//! Answers in a demanded form: read when the model ends its turn, and asked for again where they have it not.

use super::{Agent, Observer};
use crate::base::exit::Exit;
use crate::base::failure::{Failure, Result};
use crate::chat::{Conversation, Exchange, Turn, UserMessage};
use crate::form::{Answer, Fault, Form};
use crate::wire::{ApiError, ToolChoice, refuses_format};

/// What is wrong with a turn that calls tools when none may be called.
pub(super) const CALLS_TOOLS: &str = "it calls a tool, and no tool can be called any more";

impl Agent<'_> {
    /// The answer, or what the model is to be told of it. `repairs` is how often it may still try again.
    pub(super) fn read(&self, text: &str, repairs: &mut u32) -> Result<std::result::Result<Answer, String>> {
        let flag = self.form.flag();
        match self.form.read(text) {
            Ok(answer) => Ok(Ok(answer)),
            Err(Fault::Form(fault)) if *repairs > 0 => {
                *repairs -= 1;
                Ok(Err(fault))
            }
            Err(Fault::Form(fault)) => {
                Err(Failure::new(Exit::Form, format!("the answer has not the form of {flag}: {fault}")).class("form"))
            }
            Err(Fault::Unclear(why)) => Err(Failure::new(Exit::Form, format!("unclear: {why}")).class("unclear")),
        }
    }

    /// Counts a turn that calls tools although none may be called, which some servers let pass.
    pub(super) fn spend_repair(&self, repairs: &mut u32) -> Result<()> {
        if let Some(left) = repairs.checked_sub(1) {
            *repairs = left;
            return Ok(());
        }
        let message = format!("the model gave no answer: {CALLS_TOOLS}");
        Err(match self.form {
            Form::Text => Failure::new(Exit::Declined, message).class("empty"),
            _ => Failure::new(Exit::Form, message).class("form"),
        })
    }

    /// Tells the model what is wrong with its answer. The work is done, so it may call no more tools.
    pub(super) fn complain(
        &mut self,
        fault: &str,
        turn: Turn<Exchange>,
        conversation: &mut Conversation,
        observer: &mut dyn Observer,
    ) -> Result<()> {
        conversation.push(turn);
        let mut message = UserMessage::text(self.form.complaint(fault));
        message.lines.extend(observer.says(&message)?);
        conversation.push_user(message);
        self.head.tool_choice = ToolChoice::None;
        Ok(())
    }

    /// A server that does not take the schema is asked without it: the model is told in words in any case.
    pub(super) fn gives_up_format(&mut self, error: &ApiError) -> bool {
        self.head.format.is_some() && refuses_format(error) && self.head.format.take().is_some()
    }
}
