//! A run as a trajectory of the Agent Trajectory Interchange Format, ATIF-v1.7. Its readers forbid unknown keys, so
//! what the format has no place for stands in `extra`.

use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::Elements;
use super::chat::{data_url, declarations, thinking};
use crate::base::failure::Result;
use crate::review::runs::Start;
use crate::review::spool::Spool;
use crate::review::words;
use crate::transcript::entry::{Assistant, Prune, Request, RunContext, RunEnd, ToolResultEntry, UserEntry, UserPart};
use crate::transcript::{Entry, Line, UsageLine};

/// A run on its way to its document.
#[derive(Debug, Default)]
pub(super) struct Trajectory {
    session: String,
    run: String,
    version: Option<String>,
    cwd: Option<String>,
    context: Option<Box<RunContext>>,
    model: Option<String>,
    steps: Elements,
    /// The turn that still waits for results.
    turn: Option<Turn>,
    /// Attempts since the last turn.
    requests: Vec<Value>,
    usage: UsageLine,
    end: Option<RunEnd>,
}

#[derive(Debug)]
struct Turn {
    timestamp: String,
    assistant: Assistant,
    requests: Vec<Value>,
    results: Vec<ToolResultEntry>,
}

#[derive(Serialize, Default)]
#[expect(clippy::struct_field_names, reason = "the format's own names")]
struct Step<'a> {
    step_id: u64,
    timestamp: &'a str,
    source: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    model_name: Option<&'a str>,
    message: Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning_content: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tool_calls: Vec<ToolCall<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    observation: Option<Observation<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    metrics: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    extra: Option<Value>,
}

#[derive(Serialize)]
#[expect(clippy::struct_field_names, reason = "the format's own names")]
struct ToolCall<'a> {
    tool_call_id: &'a str,
    function_name: &'a str,
    arguments: &'a RawValue,
    #[serde(skip_serializing_if = "Option::is_none")]
    extra: Option<Value>,
}

#[derive(Serialize)]
struct Observation<'a> {
    results: Vec<Observed<'a>>,
}

#[derive(Serialize)]
struct Observed<'a> {
    source_call_id: &'a str,
    content: &'a str,
    extra: Value,
}

impl Trajectory {
    pub(super) fn new(start: &Start<'_>) -> Self {
        Self {
            session: start.session.to_owned(),
            run: start.run.to_owned(),
            version: start.header.map(|header| header.flux.version.clone()),
            cwd: start.header.map(|header| header.cwd.clone()),
            ..Self::default()
        }
    }

    pub(super) fn line(&mut self, line: &Line) -> Result<()> {
        let timestamp = &*line.place.timestamp;
        match &line.entry {
            Entry::Context(context) => {
                self.context = Some(context.clone());
                if context.system.is_empty() {
                    return Ok(());
                }
                self.step(Step { timestamp, source: "system", message: json!(context.system), ..Step::default() })
            }
            Entry::User(user) => {
                self.step(Step { timestamp, source: "user", message: message(user), ..Step::default() })
            }
            Entry::Request(request) => {
                self.model.get_or_insert_with(|| request.model.clone());
                self.requests.push(attempt(request));
                Ok(())
            }
            Entry::Assistant(assistant) => {
                self.end_turn()?;
                let requests = std::mem::take(&mut self.requests);
                let (timestamp, assistant) = (timestamp.to_owned(), (**assistant).clone());
                self.turn = Some(Turn { timestamp, assistant, requests, results: Vec::new() });
                Ok(())
            }
            Entry::ToolResult(result) => {
                if let Some(turn) = &mut self.turn {
                    turn.results.push((**result).clone());
                }
                Ok(())
            }
            Entry::Prune(prune) => self.step(shortened(timestamp, prune)),
            Entry::Result(end) => {
                self.end = Some((**end).clone());
                Ok(())
            }
            Entry::Session(_) | Entry::Unknown(_) => Ok(()),
        }
    }

    /// Adds a step, after the turn that came before it.
    fn step(&mut self, step: Step<'_>) -> Result<()> {
        self.end_turn()?;
        self.steps.push(&Step { step_id: self.steps.count + 1, ..step })
    }

    fn end_turn(&mut self) -> Result<()> {
        let Some(turn) = self.turn.take() else { return Ok(()) };
        if let Some(usage) = &turn.assistant.usage {
            add(&mut self.usage, usage);
        }
        let step = turn.step();
        self.steps.push(&Step { step_id: self.steps.count + 1, ..step })
    }

    /// The whole document, unless nothing was said.
    pub(super) fn end(mut self) -> Result<Option<Spool>> {
        self.end_turn()?;
        if self.steps.count == 0 {
            return Ok(None);
        }
        let (agent, metrics) = (self.agent(), self.final_metrics());
        let mut line = Spool::default();
        line.text("{\"schema_version\":\"ATIF-v1.7\",\"session_id\":")?;
        line.json(&self.session)?;
        line.text(",\"trajectory_id\":")?;
        line.json(&self.run)?;
        line.text(",\"agent\":")?;
        line.json(&agent)?;
        line.text(",\"steps\":[")?;
        self.steps.spool.append_to(&mut line)?;
        line.text("],\"final_metrics\":")?;
        line.json(&metrics)?;
        line.text("}")?;
        Ok(Some(line))
    }

    fn agent(&self) -> Value {
        // The version stands in the header of the file, which another run may have written.
        let mut agent = json!({"name": "flux", "version": self.version.as_deref().unwrap_or("unknown")});
        if let Some(model) = &self.model {
            agent["model_name"] = json!(model);
        }
        if let Some(context) = &self.context {
            if !context.tools.is_empty() {
                agent["tool_definitions"] = json!(declarations(&context.tools));
            }
            agent["extra"] = json!({
                "cwd": self.cwd, "params": context.params, "permissions": context.permissions,
                "sandbox": context.sandbox,
            });
        }
        agent
    }

    fn final_metrics(&self) -> Value {
        let usage = self.end.as_ref().map_or(&self.usage, |end| &end.usage);
        let mut metrics = json!({
            "total_prompt_tokens": words::prompt(usage), "total_completion_tokens": usage.output,
            "total_cached_tokens": usage.cache_read, "total_steps": self.steps.count,
        });
        let Some(end) = &self.end else {
            metrics["extra"] = json!({"status": "crashed"});
            return metrics;
        };
        if let Some(cost) = end.cost_usd {
            metrics["total_cost_usd"] = json!(cost);
        }
        metrics["extra"] = json!({
            "status": end.status, "exit_code": end.exit_code, "turns": end.turns, "retries": end.retries,
            "prunes": end.prunes, "duration_ms": end.duration_ms, "tool_calls": end.tool_calls,
        });
        metrics
    }
}

impl Turn {
    fn step(&self) -> Step<'_> {
        let turn = &self.assistant;
        let calls: Vec<ToolCall<'_>> = turn
            .calls()
            .map(|call| ToolCall {
                tool_call_id: &call.id,
                function_name: &call.name,
                arguments: &call.arguments,
                extra: call.broken.as_ref().map(|broken| json!({"broken_arguments": broken})),
            })
            .collect();
        let is_call = |result: &&ToolResultEntry| calls.iter().any(|call| call.tool_call_id == result.call_id);
        let results: Vec<_> = self.results.iter().filter(is_call).map(observed).collect();
        Step {
            timestamp: &self.timestamp,
            source: "agent",
            model_name: Some(turn.response_model.as_deref().unwrap_or(&turn.model)),
            message: json!(turn.text()),
            reasoning_content: thinking(turn),
            tool_calls: calls,
            observation: (!results.is_empty()).then_some(Observation { results }),
            metrics: turn.usage.as_ref().map(metrics),
            extra: Some(self.extra()),
            ..Step::default()
        }
    }

    fn extra(&self) -> Value {
        let turn = &self.assistant;
        let mut extra = json!({"stop_reason": turn.stop_reason, "api": turn.api, "provider": turn.provider});
        if !self.requests.is_empty() {
            extra["requests"] = json!(self.requests);
        }
        for (key, text) in [("error", &turn.error_message), ("refusal", &turn.refusal)] {
            if let Some(text) = text {
                extra[key] = json!(text);
            }
        }
        extra
    }
}

fn metrics(usage: &UsageLine) -> Value {
    let mut metrics = json!({
        "prompt_tokens": words::prompt(usage), "completion_tokens": usage.output, "cached_tokens": usage.cache_read,
        "extra": {"cache_write_tokens": usage.cache_write},
    });
    if let Some(reasoning) = usage.reasoning {
        metrics["extra"]["reasoning_tokens"] = json!(reasoning);
    }
    if let Some(cost) = usage.cost {
        metrics["cost_usd"] = json!(cost.total);
    }
    metrics
}

fn observed(result: &ToolResultEntry) -> Observed<'_> {
    let details = &result.details;
    let extra = json!({
        "is_error": result.is_error, "duration_ms": details.duration_ms, "bytes": details.bytes,
        "truncated": details.truncated, "exit_code": details.exit_code, "code": details.code,
    });
    Observed { source_call_id: &result.call_id, content: &result.text, extra }
}

/// The facts of an attempt.
fn attempt(request: &Request) -> Value {
    json!({
        "turn": request.turn, "attempt": request.attempt, "status": request.status, "ttft_ms": request.ttft_ms,
        "duration_ms": request.duration_ms, "wait_ms": request.wait_ms,
        "error": request.error.as_ref().map(|error| &error.class),
    })
}

fn message(user: &UserEntry) -> Value {
    let part = |part: &UserPart| match part {
        UserPart::Text(text) => json!({"type": "text", "text": text}),
        UserPart::Media { mime, data, .. } if mime.starts_with("image/") => {
            json!({"type": "image", "source": {"media_type": mime, "path": data_url(mime, data)}})
        }
        // The format has no documents.
        UserPart::Media { mime, data, .. } => json!({"type": "text", "text": words::media(mime, data)}),
    };
    match &user.parts[..] {
        [UserPart::Text(text)] => json!(text),
        parts => parts.iter().map(part).collect(),
    }
}

fn shortened<'a>(timestamp: &'a str, prune: &Prune) -> Step<'a> {
    let message = json!(format!("history shortened: {}", words::pruned(prune)));
    let extra = json!({"removed": prune.removed, "shrunk": prune.shrunk});
    Step { timestamp, source: "system", message, extra: Some(extra), ..Step::default() }
}

fn add(sum: &mut UsageLine, usage: &UsageLine) {
    let add = |sum: &mut u64, more: u64| *sum = sum.saturating_add(more);
    add(&mut sum.input, usage.input);
    add(&mut sum.output, usage.output);
    add(&mut sum.cache_read, usage.cache_read);
    add(&mut sum.cache_write, usage.cache_write);
}
