//! A run as the messages of a chat: as `OpenAI`'s fine-tuning takes them, or as TRL does.

use std::collections::VecDeque;

use serde::Serialize;
use serde_json::value::RawValue;

use super::Elements;
use crate::base::failure::Result;
use crate::chat::ToolResult;
use crate::review::spool::Spool;
use crate::transcript::entry::{Assistant, AssistantBlock, Call, ToolOffer, ToolResultEntry, UserEntry, UserPart};
use crate::transcript::{Entry, Line};

/// Whose messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    /// Arguments are JSON text.
    Openai,
    /// Arguments are an object, results name their tool, thinking is kept.
    Hf,
}

/// A run on its way to `{"messages":[…],"tools":[…]}`.
#[derive(Debug)]
pub(super) struct Chat {
    dialect: Dialect,
    messages: Elements,
    /// Something was said, beyond the system prompt.
    spoken: bool,
    tools: Vec<ToolOffer>,
    /// Calls without a result so far: id and tool.
    waiting: VecDeque<(String, String)>,
}

#[derive(Serialize)]
struct Message<'a> {
    role: &'static str,
    content: Content<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning_content: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tool_calls: Vec<ToolCall<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_call_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Content<'a> {
    Nothing,
    Text(String),
    Parts(Vec<Part<'a>>),
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Part<'a> {
    Text { text: &'a str },
    ImageUrl { image_url: Url },
    File { file: FileData },
}

#[derive(Serialize)]
struct Url {
    url: String,
}

#[derive(Serialize)]
struct FileData {
    file_data: String,
}

#[derive(Serialize)]
struct ToolCall<'a> {
    id: &'a str,
    r#type: &'static str,
    function: Function<'a>,
}

#[derive(Serialize)]
struct Function<'a> {
    name: &'a str,
    arguments: Arguments<'a>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Arguments<'a> {
    Text(&'a str),
    Object(&'a RawValue),
}

#[derive(Serialize)]
struct Tool<'a> {
    r#type: &'static str,
    function: Declaration<'a>,
}

#[derive(Serialize)]
struct Declaration<'a> {
    name: &'a str,
    description: &'a str,
    parameters: &'a RawValue,
}

/// The tools of a run as a chat declares them.
pub(super) fn declarations(tools: &[ToolOffer]) -> impl Serialize + '_ {
    tools.iter().map(Tool::new).collect::<Vec<_>>()
}

impl<'a> Tool<'a> {
    fn new(tool: &'a ToolOffer) -> Self {
        let ToolOffer { name, description, input_schema: parameters } = tool;
        Self { r#type: "function", function: Declaration { name, description, parameters } }
    }
}

impl Message<'_> {
    fn new(role: &'static str, content: String) -> Self {
        Self {
            role,
            content: Content::Text(content),
            reasoning_content: None,
            tool_calls: Vec::new(),
            tool_call_id: None,
            name: None,
        }
    }
}

impl Chat {
    pub(super) fn new(dialect: Dialect) -> Self {
        Self { dialect, messages: Elements::default(), spoken: false, tools: Vec::new(), waiting: VecDeque::new() }
    }

    pub(super) fn line(&mut self, line: &Line) -> Result<()> {
        match &line.entry {
            Entry::Context(context) => {
                self.tools.clone_from(&context.tools);
                if context.system.is_empty() {
                    return Ok(());
                }
                self.messages.push(&Message::new("system", context.system.clone()))
            }
            Entry::User(user) => self.user(user),
            // What had arrived of a turn that failed never became a part of the conversation.
            Entry::Assistant(turn) if turn.error_message.is_none() => self.turn(turn),
            Entry::ToolResult(result) => self.result(result),
            _ => Ok(()),
        }
    }

    /// The whole line, unless nothing was said.
    pub(super) fn end(mut self) -> Result<Option<Spool>> {
        self.answer_rest()?;
        if !self.spoken {
            return Ok(None);
        }
        let mut line = Spool::default();
        line.text("{\"messages\":[")?;
        self.messages.spool.append_to(&mut line)?;
        line.text("]")?;
        if !self.tools.is_empty() {
            line.text(",\"tools\":")?;
            line.json(&declarations(&self.tools))?;
            line.text(",\"parallel_tool_calls\":true")?;
        }
        line.text("}")?;
        Ok(Some(line))
    }

    fn user(&mut self, user: &UserEntry) -> Result<()> {
        self.answer_rest()?;
        self.spoken = true;
        let content = match &user.parts[..] {
            [UserPart::Text(text)] => Content::Text(text.clone()),
            parts => Content::Parts(parts.iter().map(part).collect()),
        };
        self.messages.push(&Message { content, ..Message::new("user", String::new()) })
    }

    fn turn(&mut self, turn: &Assistant) -> Result<()> {
        self.answer_rest()?;
        self.spoken = true;
        let text = match turn.text() {
            text if text.is_empty() => turn.refusal.clone().unwrap_or_default(),
            text => text,
        };
        let calls: Vec<_> = turn.calls().map(|call| self.call(call)).collect();
        let content = if text.is_empty() && !calls.is_empty() { Content::Nothing } else { Content::Text(text) };
        let reasoning_content = if self.dialect == Dialect::Hf { thinking(turn) } else { None };
        let message =
            Message { content, reasoning_content, tool_calls: calls, ..Message::new("assistant", String::new()) };
        self.messages.push(&message)?;
        self.waiting.extend(turn.calls().map(|call| (call.id.clone(), call.name.clone())));
        Ok(())
    }

    fn call<'a>(&self, call: &'a Call) -> ToolCall<'a> {
        let arguments = match self.dialect {
            Dialect::Openai => Arguments::Text(call.arguments.get()),
            Dialect::Hf => Arguments::Object(&call.arguments),
        };
        ToolCall { id: &call.id, r#type: "function", function: Function { name: &call.name, arguments } }
    }

    fn result(&mut self, result: &ToolResultEntry) -> Result<()> {
        let at = self.waiting.iter().position(|(id, _)| *id == result.call_id);
        // A result without its call would make the whole conversation invalid.
        let Some((id, name)) = at.and_then(|at| self.waiting.remove(at)) else { return Ok(()) };
        self.tool(&id, &name, result.text.clone())
    }

    /// A crash leaves calls without results, which no reader takes: they are answered as a session would.
    fn answer_rest(&mut self) -> Result<()> {
        while let Some((id, name)) = self.waiting.pop_front() {
            self.tool(&id, &name, ToolResult::interrupted().text)?;
        }
        Ok(())
    }

    fn tool(&mut self, id: &str, name: &str, text: String) -> Result<()> {
        let name = (self.dialect == Dialect::Hf).then_some(name);
        self.messages.push(&Message { tool_call_id: Some(id), name, ..Message::new("tool", text) })
    }
}

fn part(part: &UserPart) -> Part<'_> {
    match part {
        UserPart::Text(text) => Part::Text { text },
        UserPart::Media { mime, data, .. } if mime.starts_with("image/") => {
            Part::ImageUrl { image_url: Url { url: data_url(mime, data) } }
        }
        UserPart::Media { mime, data, .. } => Part::File { file: FileData { file_data: data_url(mime, data) } },
    }
}

/// An attachment as an address that holds it.
pub(super) fn data_url(mime: &str, data: &str) -> String {
    format!("data:{mime};base64,{data}")
}

/// What can be read of a turn's thinking.
pub(super) fn thinking(turn: &Assistant) -> Option<String> {
    let texts: Vec<&str> = turn.blocks.iter().filter_map(thought).collect();
    (!texts.is_empty()).then(|| texts.join("\n"))
}

fn thought(block: &AssistantBlock) -> Option<&str> {
    match block {
        AssistantBlock::Thinking { text, .. } if !text.is_empty() => Some(text),
        _ => None,
    }
}
