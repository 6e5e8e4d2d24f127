//! Breaks loops of the same failing call.

use std::collections::HashMap;
use std::path::PathBuf;

use serde_json::Value;

use crate::chat::{Arguments, ToolCall, ToolResult};
use crate::tools::Toolbox;

/// How often a call may fail before it is not run any more.
const MOST_FAILURES: u32 = 2;

/// Counts the failures of each call, by tool and arguments.
#[derive(Debug, Default)]
pub(super) struct Repeats {
    failures: HashMap<(String, String), Failures>,
}

/// What is known of a call that fails.
#[derive(Debug, Default)]
struct Failures {
    count: u32,
    /// The files that it names.
    paths: Vec<PathBuf>,
    /// It starts a program.
    runs_programs: bool,
    /// What would have permitted it, if it was denied.
    remedy: Option<String>,
}

impl Repeats {
    /// The result of a call that has failed too often, instead of running it again.
    pub(super) fn block(&self, call: &ToolCall) -> Option<ToolResult> {
        let failures = self.failures.get(&key(call)).filter(|failures| failures.count >= MOST_FAILURES)?;
        let mut result = ToolResult::error(
            "RETRY_LOOP_DETECTED",
            format!(
                "{} with these arguments has failed {} times and was not run again. \
                 Read the error above, change the arguments or use another tool.",
                call.name, failures.count
            ),
        );
        // What was denied before is denied now.
        result.detail.denied.clone_from(&failures.remedy);
        Some(result)
    }

    /// Remembers how a call ended. What a change has made of a file may let other calls on it succeed, and any
    /// program; a read changes nothing for anybody.
    pub(super) fn note(&mut self, call: &ToolCall, result: &ToolResult, toolbox: &Toolbox) {
        if result.is_error {
            let new = || Failures {
                paths: toolbox.paths(call),
                runs_programs: toolbox.runs_programs(call),
                ..Failures::default()
            };
            let failures = self.failures.entry(key(call)).or_insert_with(new);
            failures.count += 1;
            failures.remedy.clone_from(&result.detail.denied);
            return;
        }
        self.failures.remove(&key(call));
        if !toolbox.is_read_only(call) && !toolbox.runs_programs(call) {
            let changed = toolbox.paths(call);
            let is_about = |path: &PathBuf| changed.iter().any(|changed| changed.starts_with(path));
            self.failures.retain(|_, failures| !failures.runs_programs && !failures.paths.iter().any(is_about));
        }
    }
}

/// What makes two calls the same.
pub(super) fn key(call: &ToolCall) -> (String, String) {
    let arguments = match &call.arguments {
        // Blanks and the order of keys make no difference.
        Arguments::Object(raw) => sorted(serde_json::from_str(raw.get()).unwrap_or_default()).to_string(),
        Arguments::Broken { text, .. } => text.clone(),
    };
    (call.name.clone(), arguments)
}

fn sorted(value: Value) -> Value {
    match value {
        Value::Object(object) => {
            let mut entries: Vec<_> = object.into_iter().map(|(key, value)| (key, sorted(value))).collect();
            entries.sort_by(|(a, _), (b, _)| a.cmp(b));
            Value::Object(entries.into_iter().collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(sorted).collect()),
        scalar => scalar,
    }
}
