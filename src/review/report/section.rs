//! A run as a section of the page: its facts, its timeline, and everything that was said.

use super::Book;
use super::html::{block, escape, image, short};
use super::timeline::{Kind, Timeline};
use crate::base::clock;
use crate::base::failure::Result;
use crate::base::text;
use crate::review::runs::{Run, Start};
use crate::review::spool::Spool;
use crate::review::words;
use crate::transcript::entry::{
    Assistant, AssistantBlock, Request, RunContext, RunEnd, ToolResultEntry, UserEntry, UserPart,
};
use crate::transcript::{Entry, Line};

/// What the overview says of a run.
#[derive(Debug, Default, Clone)]
pub(super) struct Summary {
    pub number: usize,
    pub file: String,
    pub name: String,
    pub started: String,
    pub model: String,
    /// None without a result.
    pub end: Option<RunEnd>,
    pub tools: u64,
    pub failed_tools: u64,
    pub api_errors: u64,
    pub turns: u64,
    pub tokens: u64,
    pub duration_ms: u64,
}

/// A run while its lines come.
#[derive(Debug)]
pub(super) struct Section {
    about: Summary,
    timeline: Timeline,
    body: Spool,
    /// Facts of the request that brought the next turn.
    request: Option<Request>,
    /// Calls without a result so far: id and what they ask for.
    calls: Vec<(String, String)>,
    entries: u64,
}

impl Run<Book> for Section {
    fn begin(start: &Start<'_>, book: &mut Book) -> Self {
        book.begun += 1;
        let name = start.header.map(|header| header.name.clone()).unwrap_or_default();
        let about = Summary { number: book.begun, file: start.file.to_owned(), name, ..Summary::default() };
        let (timeline, body) = (Timeline::default(), Spool::default());
        Self { about, timeline, body, request: None, calls: Vec::new(), entries: 0 }
    }

    fn line(&mut self, line: &Line, _: &mut Book) -> Result<()> {
        let at = clock::parse_rfc3339(&line.place.timestamp);
        if let Some(at) = at {
            self.timeline.seen(at);
        }
        if self.about.started.is_empty() {
            self.about.started.clone_from(&line.place.timestamp);
        }
        match &line.entry {
            Entry::Context(context) => self.context(context),
            Entry::User(user) => self.user(user),
            Entry::Request(request) => self.attempt(request, at.unwrap_or(0)),
            Entry::Assistant(turn) => self.turn(turn),
            Entry::ToolResult(result) => self.result(result, at.unwrap_or(0)),
            Entry::Prune(prune) => self.entry("prune", "history shortened", &words::pruned(prune), ""),
            Entry::Result(end) => self.finish(end),
            Entry::Session(_) | Entry::Unknown(_) => Ok(()),
        }
    }

    fn end(mut self, book: &mut Book) -> Result<()> {
        if self.about.end.is_none() {
            self.about.duration_ms = self.timeline.length();
            self.entry("end failed", "no result", "the run crashed, or is still running", "")?;
        }
        let about = &self.about;
        let page = &mut book.sections;
        page.text(&format!(
            "<section class=\"run\" id=\"run-{}\">\n<h2>{}</h2>\n<p class=\"facts\">{}</p>\n",
            about.number,
            short(about.title(), 200),
            about.facts()
        ))?;
        page.text(&self.timeline.render())?;
        self.body.append_to(page)?;
        page.text("</section>\n")?;
        // The answer stands in the section; the overview does not need it.
        if let Some(end) = &mut self.about.end {
            end.result = String::new();
        }
        book.runs.push(self.about);
        Ok(())
    }
}

impl Summary {
    /// The name of the run: its prompt, or else its file.
    pub(super) fn title(&self) -> &str {
        if self.name.is_empty() { &self.file } else { &self.name }
    }

    /// `ok (exit 0)`
    pub(super) fn status(&self) -> String {
        match &self.end {
            Some(end) => format!("{} (exit {})", end.status, end.exit_code),
            None => "no result".to_owned(),
        }
    }

    pub(super) fn is_well(&self) -> bool {
        self.end.as_ref().is_some_and(|end| end.exit_code <= 1)
    }

    pub(super) fn cost(&self) -> Option<f64> {
        self.end.as_ref()?.cost_usd
    }

    fn facts(&self) -> String {
        let mut facts = vec![self.status(), self.started.clone(), words::millis(self.duration_ms)];
        facts.extend((!self.model.is_empty()).then(|| self.model.clone()));
        facts.push(words::counted(self.turns, "turn"));
        facts.push(words::counted(self.tools, "tool call"));
        facts.push(format!("{} tokens", text::count(self.tokens)));
        facts.push(self.cost().map_or_else(|| "price not known".to_owned(), words::dollars));
        facts.push(self.file.clone());
        escape(&facts.join(" · "))
    }
}

impl Section {
    /// An entry of the section: its class, heading, facts beside that, and content that is HTML already.
    fn entry(&mut self, class: &str, heading: &str, facts: &str, content: &str) -> Result<()> {
        self.entries += 1;
        self.body.text(&format!(
            "<article class=\"{class}\" id=\"{}\"><h3>{} <small>{}</small></h3>\n{content}</article>\n",
            self.anchor(self.entries),
            escape(heading),
            escape(facts)
        ))
    }

    fn anchor(&self, entry: u64) -> String {
        format!("run-{}-{entry}", self.about.number)
    }

    fn context(&mut self, context: &RunContext) -> Result<()> {
        let tools: Vec<&str> = context.tools.iter().map(|tool| &*tool.name).collect();
        let facts = if tools.is_empty() { "no tools".to_owned() } else { format!("tools: {}", tools.join(", ")) };
        let system = format!("<details><summary>system prompt</summary>\n{}</details>\n", block("", &context.system));
        self.entry("context", "context", &facts, &system)
    }

    fn user(&mut self, user: &UserEntry) -> Result<()> {
        if self.about.name.is_empty() {
            let text = words::user_text(user);
            // The instruction stands after the context.
            let last = text.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default();
            text::prefix(last, 200).clone_into(&mut self.about.name);
        }
        let part = |part: &UserPart| match part {
            UserPart::Text(text) => block("", text),
            UserPart::Media { mime, data, .. } => {
                image(mime, data).unwrap_or_else(|| block("", &words::media(mime, data)))
            }
        };
        let content: String = user.parts.iter().map(part).collect();
        self.entry("user", "user", "", &content)
    }

    fn attempt(&mut self, request: &Request, at: u64) -> Result<()> {
        if self.about.model.is_empty() {
            self.about.model = format!("{}/{}", request.provider, request.model);
        }
        let label = match request.attempt {
            0 | 1 => format!("turn {}", request.turn),
            attempt => format!("turn {}, attempt {attempt}", request.turn),
        };
        let kind = if request.error.is_some() { Kind::Failed } else { Kind::Request };
        // The bar leads to the entry that comes of the request.
        let anchor = self.anchor(self.entries + 1);
        self.timeline.request(kind, label.clone(), &anchor, at, request.duration_ms);
        let Some(error) = &request.error else {
            self.request = Some(request.clone());
            return Ok(());
        };
        self.about.api_errors += 1;
        let status = request.status.map(|status| format!(", HTTP {status}")).unwrap_or_default();
        let facts = format!("{label}{status}, {}", words::millis(request.duration_ms));
        let heading = format!("request failed: {}", error.class);
        self.entry("request failed", &heading, &facts, &block("", &error.message))
    }

    fn turn(&mut self, turn: &Assistant) -> Result<()> {
        let mut facts = vec![format!("{}/{}", turn.provider, turn.model)];
        if let Some(request) = self.request.take() {
            facts.push(words::millis(request.duration_ms));
        }
        if let Some(usage) = &turn.usage {
            self.about.tokens = self.about.tokens.saturating_add(usage.total_tokens);
            facts.push(words::tokens(usage));
            facts.extend(usage.cost.map(|cost| words::dollars(cost.total)));
        }
        if turn.stop_reason != "stop" && turn.stop_reason != "toolUse" {
            facts.push(turn.stop_reason.clone());
        }
        let mut content: String = turn.blocks.iter().map(|part| self.block(part)).collect();
        for text in [&turn.refusal, &turn.error_message].into_iter().flatten() {
            content.push_str(&block("failed", text));
        }
        self.about.turns += u64::from(turn.error_message.is_none());
        let heading = format!("assistant, turn {}", self.about.turns);
        self.entry("assistant", &heading, &facts.join(", "), &content)
    }

    fn block(&mut self, part: &AssistantBlock) -> String {
        match part {
            AssistantBlock::Text { text, .. } => block("", text),
            AssistantBlock::Thinking { text, .. } if !text.trim().is_empty() => {
                format!("<details class=\"thinking\"><summary>thinking</summary>\n{}</details>\n", block("", text))
            }
            AssistantBlock::Thinking { .. } | AssistantBlock::Opaque { .. } => String::new(),
            AssistantBlock::Call(call) => {
                let arguments = call.broken.as_deref().unwrap_or(call.arguments.get());
                self.calls.push((call.id.clone(), text::prefix(arguments, 400).to_owned()));
                format!(
                    "<p class=\"call\">→ <b>{}</b> <code>{}</code></p>\n",
                    short(&call.name, 80),
                    short(arguments, 4000)
                )
            }
        }
    }

    fn result(&mut self, result: &ToolResultEntry, at: u64) -> Result<()> {
        self.about.tools += 1;
        self.about.failed_tools += u64::from(result.is_error);
        let call = self.calls.iter().position(|(id, _)| *id == result.call_id);
        let arguments = call.map(|at| self.calls.remove(at).1).unwrap_or_default();
        let (class, kind) = if result.is_error { ("tool failed", Kind::Failed) } else { ("tool", Kind::Tool) };
        let details = &result.details;
        let length = details.duration_ms.unwrap_or(0);
        self.entries += 1;
        let anchor = self.anchor(self.entries);
        self.timeline.tool(kind, format!("{} {arguments}", result.tool), &anchor, at, length);
        let code = if result.is_error { details.code.as_deref().unwrap_or("failed") } else { "ok" };
        let cut = if details.truncated { ", cut" } else { "" };
        let facts = format!("{code}, {}, {}{cut}", words::millis(length), text::bytes(details.bytes));
        let mut html = format!(
            "<article class=\"{class}\" id=\"{anchor}\"><details><summary><b>{}</b> <code>{}</code> <small>{}</small></summary>\n",
            short(&result.tool, 80),
            short(&arguments, 200),
            escape(&facts)
        );
        html.push_str(&block("", &result.text));
        html.push_str(&block("diff", details.diff.as_deref().unwrap_or_default()));
        html.push_str("</details></article>\n");
        self.body.text(&html)
    }

    fn finish(&mut self, end: &RunEnd) -> Result<()> {
        self.about.duration_ms = end.duration_ms;
        self.about.turns = end.turns;
        self.about.tokens = end.usage.total_tokens;
        self.about.end = Some(RunEnd { structured: None, ..end.clone() });
        let class = if self.about.is_well() { "end" } else { "end failed" };
        let content = end.error.as_ref().map(|error| block("failed", &error.message)).unwrap_or_default();
        let facts = format!("{}, {}", words::tokens(&end.usage), words::millis(end.duration_ms));
        let heading = format!("result: {}", self.about.status());
        self.entry(class, &heading, &facts, &content)
    }
}
