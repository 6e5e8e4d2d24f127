//! Answers in a demanded form: read when the model ends its turn, and asked for again where they have it not.

use super::{Agent, Observer, calls};
use crate::base::exit::Exit;
use crate::base::failure::{Failure, Result};
use crate::chat::{Conversation, Reply, UserMessage};
use crate::form::{Answer, Fault};
use crate::wire::{ApiError, ToolChoice, refuses_format};

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

    /// Tells the model what is wrong with its answer. The work is done, so it may call no more tools.
    pub(super) fn complain(
        &mut self,
        fault: &str,
        reply: Reply,
        conversation: &mut Conversation,
        observer: &mut dyn Observer,
    ) -> Result<()> {
        let results = reply.tools().map(|_| calls::not_run()).collect();
        conversation.push(reply.resolve(results));
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
