//! `run_command` and `shell`: what a run may start, and what the model is told of it. What the program can do then is
//! the sandbox's business, which starts it.

mod accept;
mod programs;
mod report;

use std::borrow::Cow;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::files::Change;
use super::{Context, Policy, Refusal, Tool, arguments, paths, policy};
use crate::chat::{Detail, ToolResult, ToolSpec};
use crate::sandbox::{Command, Sandbox};

use accept::Given;
use programs::Place;

pub use programs::Programs;
pub(super) use report::bounded;

/// Seconds that a command has unless it is given more.
pub(super) const SECONDS: u64 = 120;

/// Seconds that a command can be given.
const MOST_SECONDS: u64 = 600;

/// Changed files that a result names.
const MOST_SHOWN: usize = 5;

/// The patterns of at most so many bytes stand in the description of `run_command`.
const MOST_PATTERNS: usize = 2000;

/// The tools that start programs of this policy, as they are offered to the model.
#[must_use]
pub fn specs(policy: &Policy) -> Vec<ToolSpec> {
    let run = policy.may_run().then(|| run_spec(&policy.commands()));
    run.into_iter().chain(policy.may_shell().then(shell_spec)).collect()
}

/// The tools that start programs of this policy.
#[must_use]
pub fn tools(policy: &Policy, programs: &Programs, sandbox: &Arc<Sandbox>) -> Vec<Box<dyn Tool>> {
    let mut tools: Vec<Box<dyn Tool>> = Vec::new();
    if policy.may_run() {
        let spec = run_spec(&policy.commands());
        let (policy, programs) = (policy.clone(), programs.clone());
        tools.push(Box::new(RunCommand { spec, policy, programs, sandbox: sandbox.clone() }));
    }
    if policy.may_shell() {
        let program = programs.shell().map(Path::to_owned);
        tools.push(Box::new(Shell { spec: shell_spec(), program, sandbox: sandbox.clone() }));
    }
    tools
}

fn run_spec(patterns: &[String]) -> ToolSpec {
    let patterns = patterns.join("; ");
    let patterns = crate::base::text::prefix(&patterns, MOST_PATTERNS);
    let description = format!(
        "Run a program in the root directory, without a shell. Allowed (* is one argument, ** any further ones): \
         {patterns}. Example: {{\"argv\": [\"ls\", \"-l\"]}}"
    );
    ToolSpec {
        name: Cow::Borrowed("run_command"),
        description: Cow::Owned(description),
        schema: Cow::Borrowed(concat!(
            r#"{"type":"object","properties":{"argv":{"type":"array","items":{"type":"string"}},"#,
            r#""timeout":{"type":"integer","description":"seconds, default 120"}},"#,
            r#""required":["argv"],"additionalProperties":false}"#
        )),
    }
}

fn shell_spec() -> ToolSpec {
    ToolSpec {
        name: Cow::Borrowed("shell"),
        description: Cow::Borrowed(concat!(
            "Run a command with sh in the root directory. ",
            r#"Example: {"command": "ls -l | head"}"#
        )),
        schema: Cow::Borrowed(concat!(
            r#"{"type":"object","properties":{"command":{"type":"string"},"#,
            r#""timeout":{"type":"integer","description":"seconds, default 120"}},"#,
            r#""required":["command"],"additionalProperties":false}"#
        )),
    }
}

struct RunCommand {
    spec: ToolSpec,
    policy: Policy,
    programs: Programs,
    sandbox: Arc<Sandbox>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RunInput {
    argv: Given,
    #[serde(default, deserialize_with = "arguments::whole")]
    timeout: Option<u64>,
}

impl Tool for RunCommand {
    fn spec(&self) -> &ToolSpec {
        &self.spec
    }

    fn read_only(&self) -> bool {
        false
    }

    fn runs_programs(&self) -> bool {
        true
    }

    fn run(&self, arguments: &RawValue, context: &Context<'_>) -> ToolResult {
        arguments::parse(arguments).and_then(|input| self.start(input, context)).unwrap_or_else(ToolResult::from)
    }
}

impl RunCommand {
    fn start(&self, input: RunInput, context: &Context<'_>) -> Result<ToolResult, Refusal> {
        let argv = accept::argv(input.argv)?;
        let seconds = seconds(input.timeout)?;
        self.policy.check_run(&argv)?;
        let name = &argv[0];
        let program = match self.programs.place(name) {
            Place::At(path) => path,
            Place::NotExecutable(_) => return Ok(report::not_executable(name, "may not be executed")),
            Place::Missing => return Ok(report::not_found(name)),
        };
        Ok(run(&self.sandbox, &program, &argv, seconds, context))
    }
}

struct Shell {
    spec: ToolSpec,
    program: Option<PathBuf>,
    sandbox: Arc<Sandbox>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ShellInput {
    command: String,
    #[serde(default, deserialize_with = "arguments::whole")]
    timeout: Option<u64>,
}

impl Tool for Shell {
    fn spec(&self) -> &ToolSpec {
        &self.spec
    }

    fn read_only(&self) -> bool {
        false
    }

    fn runs_programs(&self) -> bool {
        true
    }

    fn run(&self, arguments: &RawValue, context: &Context<'_>) -> ToolResult {
        arguments::parse(arguments).and_then(|input| self.start(input, context)).unwrap_or_else(ToolResult::from)
    }
}

impl Shell {
    fn start(&self, input: ShellInput, context: &Context<'_>) -> Result<ToolResult, Refusal> {
        let seconds = seconds(input.timeout)?;
        if input.command.trim().is_empty() {
            return Err(arguments::bad("the command is empty"));
        }
        if input.command.contains('\0') {
            return Err(arguments::bad("the command has a NUL in it"));
        }
        let Some(program) = &self.program else { return Ok(report::not_found("sh")) };
        let argv = ["sh".to_owned(), "-c".to_owned(), input.command];
        Ok(run(&self.sandbox, program, &argv, seconds, context))
    }
}

fn seconds(timeout: Option<u64>) -> Result<u64, Refusal> {
    match timeout {
        Some(0) => Err(arguments::bad("`timeout`: expected at least 1 second")),
        given => Ok(given.unwrap_or(SECONDS).min(MOST_SECONDS)),
    }
}

fn run(sandbox: &Sandbox, program: &Path, argv: &[String], seconds: u64, context: &Context<'_>) -> ToolResult {
    let command = Command {
        program: program.to_owned(),
        argv: argv.iter().map(OsString::from).collect(),
        stdin: Vec::new(),
        env: Vec::new(),
        timeout: Duration::from_secs(seconds),
        keep: context.cap,
        trusted: false,
    };
    watched(context, || report::result(&argv[0], seconds, &sandbox.run(&command, context.stop), context.cap))
}

/// Runs a program and looks whether it has changed what other programs obey.
pub(super) fn watched(context: &Context<'_>, run: impl FnOnce() -> ToolResult) -> ToolResult {
    let before = context.workspace.watch();
    let result = run();
    let changed = before.changes(&context.workspace.watch_again(&before));
    if changed.is_empty() { result } else { tampered(&changed, &result) }
}

/// The result of a program that has changed these files.
fn tampered(changed: &[Change], result: &ToolResult) -> ToolResult {
    let shown = changed.iter().take(MOST_SHOWN).map(|change| paths::shown(&change.path)).collect::<Vec<_>>().join(", ");
    let more = changed.len().saturating_sub(MOST_SHOWN);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let why = format!("the program has changed {shown}{more}, which other programs obey; tell the user");
    let grants: Vec<String> = changed.iter().take(MOST_SHOWN).map(Change::grant).collect();
    let remedy = policy::remedy(&grants);
    let message = format!("{why}; the user may grant {remedy}\n{}", result.text);
    let mut tampered = ToolResult::error("protected_changed", message);
    tampered.detail = Detail {
        code: tampered.detail.code,
        denied: Some(remedy),
        bytes: result.detail.bytes,
        truncated: result.detail.truncated,
        exit_code: result.detail.exit_code,
        ..Detail::default()
    };
    tampered
}
