//! Tools of the user's own: any executable that describes itself, or has a description beside it, and answers a call
//! on stdout. It runs in the sandbox, as commands do, unless the user trusts it.

mod describe;

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use serde_json::value::RawValue;

use super::commands::{SECONDS, bounded, watched};
use super::{Context, KNOWN, Refusal, Tool, arguments};
use crate::base::exit::Exit;
use crate::base::failure::{Failure, Result};
use crate::base::stop::Stopper;
use crate::base::{files, text};
use crate::chat::{ToolResult, ToolSpec};
use crate::sandbox::{Command, End, Finished, Sandbox};

use describe::Form;

/// An executable that the command line names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnTool {
    /// Where it is, absolute and without links.
    pub path: PathBuf,
    /// As the user wrote it.
    pub given: String,
    /// It runs outside the sandbox.
    pub trusted: bool,
}

/// The time in which a tool describes itself.
const PATIENCE: Duration = Duration::from_secs(2);

/// Bytes of stderr that say why a tool failed.
const REASON: usize = 4096;

/// The variables by which a tool knows what it is to do: flux's own, and the one of Amp's toolboxes.
const VARIABLES: [&str; 2] = ["FLUX_TOOL", "TOOLBOX_ACTION"];

/// Makes these executables into tools.
///
/// # Errors
/// One of them cannot be used, or the run ends before all are described.
pub fn load(tools: &[OwnTool], sandbox: &Arc<Sandbox>, stop: &Stopper) -> Result<Vec<Box<dyn Tool>>> {
    let mut loaded: Vec<Box<dyn Tool>> = Vec::new();
    for tool in tools {
        let (spec, form) = description(tool, sandbox, stop)?;
        let is_known = KNOWN.iter().any(|(name, _)| *name == spec.name);
        if is_known || loaded.iter().any(|other| other.spec().name == spec.name) {
            let what = format!("--tool {}: there is a tool named {} already", tool.given, spec.name);
            return Err(Failure::new(Exit::Usage, what));
        }
        loaded.push(Box::new(Custom { tool: tool.clone(), spec, form, sandbox: sandbox.clone() }));
    }
    Ok(loaded)
}

/// What is written beside the tool, else what it says about itself.
fn description(tool: &OwnTool, sandbox: &Sandbox, stop: &Stopper) -> Result<(ToolSpec, Form)> {
    let beside = format!("{}.json", tool.given);
    let bad = |name: &str, why: &str| Failure::new(Exit::Config, format!("{name}: {why}"));
    if let Some(bytes) = files::read_trusted_file(Path::new(&beside), describe::LIMIT as u64)? {
        let spec = describe::json(&String::from_utf8_lossy(&bytes));
        return Ok((spec.map_err(|why| bad(&beside, &why))?, Form::Json));
    }
    // No signal is watched for yet: one ends the run at once, and with it the tool.
    let is_over = || stop.stopped().is_some();
    let finished = sandbox.run(&command(tool, "describe", Vec::new(), PATIENCE, describe::LIMIT), &is_over);
    if let Some(why) = stop.stopped() {
        return Err(why.into());
    }
    let why = match finished.end {
        End::Exited(0) => {
            let printed = describe::printed(&String::from_utf8_lossy(&finished.stdout.head));
            return printed.map_err(|why| bad(&format!("--tool {}", tool.given), &why));
        }
        End::TimedOut => format!("did not describe itself within {} s; or put the description", PATIENCE.as_secs()),
        End::NotStarted(number) => {
            let error = io::Error::from_raw_os_error(number);
            return Err(Failure::new(Exit::NoInput, format!("--tool {}: cannot be executed: {error}", tool.given)));
        }
        End::Broken(why) => return Err(Failure::new(Exit::Os, format!("--tool {}: {why}", tool.given))),
        End::Stopped => return Err(Failure::new(Exit::Os, format!("--tool {}: the run was stopped", tool.given))),
        End::Exited(_) | End::Killed(_) | End::TooMuchOutput => {
            let said = String::from_utf8_lossy(&finished.stderr.head).trim().lines().last().map(str::to_owned);
            let said = said.map_or_else(String::new, |line| format!(" ({})", text::prefix(&line, 200)));
            format!("cannot describe itself{said}; put the description")
        }
    };
    Err(bad(&format!("--tool {}", tool.given), &format!("{why} in {beside}")))
}

fn command(tool: &OwnTool, action: &str, stdin: Vec<u8>, timeout: Duration, keep: usize) -> Command {
    Command {
        program: tool.path.clone(),
        argv: vec![tool.path.clone().into_os_string()],
        stdin,
        env: VARIABLES.map(|name| (OsString::from(name), OsString::from(action))).to_vec(),
        timeout,
        keep,
        trusted: tool.trusted,
    }
}

struct Custom {
    tool: OwnTool,
    spec: ToolSpec,
    form: Form,
    sandbox: Arc<Sandbox>,
}

impl Tool for Custom {
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
        let stdin = match self.form {
            Form::Json => arguments.get().to_owned(),
            Form::Lines => match as_lines(arguments) {
                Ok(lines) => lines,
                Err(refusal) => return refusal.into(),
            },
        };
        let time = Duration::from_secs(SECONDS);
        let command = command(&self.tool, "execute", stdin.into_bytes(), time, context.cap);
        let run = || result(&self.sandbox.run(&command, context.stop), context.cap);
        // What is trusted may do what the user may do.
        if self.tool.trusted { run() } else { watched(context, run) }
    }
}

/// The arguments as lines of name and value.
fn as_lines(arguments: &RawValue) -> std::result::Result<String, Refusal> {
    let mut lines = String::new();
    let arguments: serde_json::Map<String, Value> = arguments::parse(arguments)?;
    for (name, value) in arguments {
        let text = if let Value::String(text) = value { text } else { value.to_string() };
        if text.contains(['\n', '\r']) {
            return Err(arguments::bad(format!("`{name}`: this tool takes no line breaks")));
        }
        lines.extend([name.as_str(), ": ", text.as_str(), "\n"]);
    }
    Ok(lines)
}

/// What a tool answered, or why it did not.
fn result(finished: &Finished, cap: usize) -> ToolResult {
    let failed = |code: &'static str, what: String| {
        let said = if finished.stderr.head.is_empty() { &finished.stdout } else { &finished.stderr };
        let said = tail(said);
        ToolResult::error(code, if said.is_empty() { what } else { format!("{what}\n{said}") })
    };
    let (exit_code, mut result) = match &finished.end {
        End::Exited(0) => {
            let (text, is_cut) = bounded(&finished.stdout, 2 * cap);
            let mut result = ToolResult::ok(if text.is_empty() { "no output".to_owned() } else { text });
            result.detail.truncated = is_cut;
            (Some(0), result)
        }
        End::Exited(code) => (Some(*code), failed("exit_status", format!("exit {code}"))),
        End::Killed(signal) => (Some(128 + signal), failed("signal", format!("killed by signal {signal}"))),
        End::TimedOut => (None, failed("timeout", format!("still running after {SECONDS} s, and ended"))),
        End::TooMuchOutput => (None, failed("too_much_output", "it printed without end, and was ended".to_owned())),
        End::Stopped => (None, failed("cancelled", "the run was stopped during this call".to_owned())),
        End::NotStarted(number) => {
            let error = io::Error::from_raw_os_error(*number);
            (None, ToolResult::error("not_executable", format!("it cannot be executed: {error}")))
        }
        End::Broken(why) => (None, ToolResult::error("sandbox", format!("it could not be run safely: {why}"))),
    };
    result.detail.exit_code = exit_code;
    result
}

/// The end of what was printed.
fn tail(capture: &crate::sandbox::Capture) -> String {
    let last = if capture.tail.is_empty() { &capture.head } else { &capture.tail };
    let all = String::from_utf8_lossy(last);
    text::suffix(all.trim_end(), REASON).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::Capture;

    #[test]
    fn a_failure_shows_the_end_of_what_was_said() {
        let capture = |text: &str| Capture { head: text.as_bytes().to_vec(), ..Capture::default() };
        let finished = |end, out: &str, err: &str| Finished { end, stdout: capture(out), stderr: capture(err) };
        let cases = [
            (finished(End::Exited(0), "an answer\n", "noise"), "an answer\n"),
            (finished(End::Exited(0), "", ""), "no output"),
            (finished(End::Exited(3), "half", "why\n"), "exit_status: exit 3\nwhy"),
            (finished(End::Exited(3), "why\n", ""), "exit_status: exit 3\nwhy"),
            (finished(End::Killed(9), "", ""), "signal: killed by signal 9"),
        ];
        for (finished, wanted) in cases {
            let result = result(&finished, 1000);
            assert_eq!((result.text.as_str(), result.is_error), (wanted, !wanted.starts_with(['a', 'n'])));
        }
        let long = result(&finished(End::Exited(1), "", &"é".repeat(5000)), 1000);
        assert!(long.text.len() < 4200 && long.text.ends_with('é'));
    }

    #[test]
    fn arguments_as_lines_hold_one_value_each() {
        let lines = |json: &str| as_lines(&RawValue::from_string(json.to_owned()).unwrap());
        let given = lines(r#"{"a": "x y", "n": 3, "l": ["p"], "t": true}"#).unwrap();
        assert_eq!(given, "a: x y\nn: 3\nl: [\"p\"]\nt: true\n");
        assert!(lines(r#"{"a": "x\nb: y"}"#).is_err());
    }
}
