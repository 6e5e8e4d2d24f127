//! One entry as text: a heading with its facts, and beneath it what was said.

use super::Page;
use crate::base::failure::Result;
use crate::base::text;
use crate::review::words;
use crate::transcript::entry::{
    Assistant, AssistantBlock, Header, Prune, Request, RunContext, RunEnd, ToolResultEntry, UserEntry,
};
use crate::transcript::{Entry, Line};

/// Lines of an answer, of the user's message, of a thought and of a tool result that are shown.
const ANSWER: usize = usize::MAX;
const MESSAGE: usize = 30;
const THOUGHT: usize = 10;
const RESULT: usize = 10;
const SYSTEM: usize = 3;

/// What has been shown of a file.
#[derive(Debug, Default)]
pub(super) struct Shown {
    run: String,
    /// The turn's request, whose facts stand beside what it brought.
    request: Option<Request>,
}

impl Shown {
    /// Shows a line.
    pub(super) fn line(&mut self, line: &Line, page: &mut Page<'_>) -> Result<()> {
        if line.place.run != self.run {
            self.run.clone_from(&line.place.run);
            page.heading(
                &page.paint.bold(&format!("run {}", text::line(&self.run))),
                &text::line(&line.place.timestamp),
            )?;
        }
        match &line.entry {
            Entry::Session(header) => session(header, page),
            Entry::Context(context) => context_line(context, page),
            Entry::User(user) => user_message(user, page),
            Entry::Request(request) => self.request(request, page),
            Entry::Assistant(assistant) => assistant_turn(assistant, self.request.take().as_ref(), page),
            Entry::ToolResult(result) => tool_result(result, page),
            Entry::Prune(prune) => pruned(prune, page),
            Entry::Result(end) => result(end, page),
            Entry::Unknown(_) => Ok(()),
        }
    }

    /// A request that brought a turn is shown with it, one that failed by itself.
    fn request(&mut self, request: &Request, page: &mut Page<'_>) -> Result<()> {
        let Some(error) = &request.error else {
            self.request = Some(request.clone());
            return Ok(());
        };
        let class = text::line(&error.class);
        let status = request.status.map(|status| format!("HTTP {status}, ")).unwrap_or_default();
        let facts = format!("turn {}, attempt {}, {status}{} ms", request.turn, request.attempt, request.duration_ms);
        page.heading(&page.paint.red(&format!("request failed: {class}")), &facts)?;
        page.body(&error.message, RESULT)
    }
}

fn session(header: &Header, page: &mut Page<'_>) -> Result<()> {
    let facts = format!("flux {}, in {}", header.flux.version, header.cwd);
    page.line(&page.paint.dim(&format!("  {}", text::line(&facts))))
}

fn context_line(context: &RunContext, page: &mut Page<'_>) -> Result<()> {
    let tools: Vec<&str> = context.tools.iter().map(|tool| &*tool.name).collect();
    let tools = if tools.is_empty() { "no tools".to_owned() } else { format!("tools: {}", tools.join(", ")) };
    page.heading(&page.paint.bold("system"), &text::line(&tools))?;
    page.body(&context.system, SYSTEM)
}

fn user_message(user: &UserEntry, page: &mut Page<'_>) -> Result<()> {
    page.heading(&page.paint.styled("1;36", "user"), "")?;
    page.body(&words::user_text(user), MESSAGE)
}

fn assistant_turn(turn: &Assistant, request: Option<&Request>, page: &mut Page<'_>) -> Result<()> {
    let mut facts = vec![format!("{}/{}", turn.provider, turn.model)];
    if let Some(request) = request {
        facts.insert(0, format!("turn {}", request.turn));
        facts.push(words::millis(request.duration_ms));
    }
    if let Some(usage) = &turn.usage {
        facts.push(words::tokens(usage));
        facts.extend(usage.cost.map(|cost| words::dollars(cost.total)));
    }
    if turn.stop_reason != "stop" && turn.stop_reason != "toolUse" {
        facts.push(turn.stop_reason.clone());
    }
    page.heading(&page.paint.styled("1;32", "assistant"), &text::line(&facts.join(", ")))?;
    for block in &turn.blocks {
        match block {
            AssistantBlock::Text { text, .. } => page.body(text, ANSWER)?,
            AssistantBlock::Thinking { text, .. } if text.is_empty() => {}
            AssistantBlock::Thinking { text, .. } => {
                page.line(&page.paint.dim("  (thinking)"))?;
                page.body(text, THOUGHT)?;
            }
            AssistantBlock::Opaque { .. } => {}
            AssistantBlock::Call(call) => {
                let arguments = call.broken.as_deref().unwrap_or(call.arguments.get());
                let call = format!("{} {arguments}", call.name);
                let call = text::line(&call);
                let shown = if page.full { &call } else { text::prefix(&call, 200) };
                let more = if shown.len() < call.len() { " …" } else { "" };
                page.line(&format!("  {}{more}", page.paint.styled("33", &format!("→ {shown}"))))?;
            }
        }
    }
    if let Some(refusal) = &turn.refusal {
        page.body(&format!("declined: {refusal}"), ANSWER)?;
    }
    match &turn.error_message {
        Some(message) => page.line(&page.paint.red(&format!("  {}", text::line(message)))),
        None => Ok(()),
    }
}

fn tool_result(result: &ToolResultEntry, page: &mut Page<'_>) -> Result<()> {
    let name = text::line(&result.tool);
    let code = result.details.code.as_deref().unwrap_or("failed");
    let how = if result.is_error {
        page.paint.red(&format!("{name}: {}", text::line(code)))
    } else {
        page.paint.styled("33", &name)
    };
    let cut = if result.details.truncated { ", cut" } else { "" };
    let time = result.details.duration_ms.map(words::millis).unwrap_or_default();
    page.heading(&how, &format!("{time}, {}{cut}", text::bytes(result.details.bytes)))?;
    page.body(&result.text, RESULT)
}

fn pruned(prune: &Prune, page: &mut Page<'_>) -> Result<()> {
    page.heading(&page.paint.bold("history shortened"), &text::line(&words::pruned(prune)))
}

fn result(end: &RunEnd, page: &mut Page<'_>) -> Result<()> {
    let how = format!("result: {} (exit {})", text::line(&end.status), end.exit_code);
    let how = if end.exit_code == 0 { page.paint.bold(&how) } else { page.paint.red(&how) };
    let mut facts = vec![
        words::counted(end.turns, "turn"),
        words::counted(end.tool_calls.total(), "tool call"),
        words::tokens(&end.usage),
        words::millis(end.duration_ms),
    ];
    facts.extend(end.cost_usd.map(words::dollars));
    page.heading(&how, &facts.join(", "))?;
    if let Some(error) = &end.error {
        page.body(&error.message, RESULT)?;
    }
    page.line("")
}
