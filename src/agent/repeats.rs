//! Breaks loops of the same failing call.

use std::collections::HashMap;

use serde_json::Value;

use crate::chat::{Arguments, ToolCall, ToolResult};

/// How often a call may fail before it is not run any more.
const MOST_FAILURES: u32 = 2;

/// Counts the failures of each call, by tool and arguments.
#[derive(Debug, Default)]
pub(super) struct Repeats {
    failures: HashMap<(String, String), u32>,
}

impl Repeats {
    /// The result of a call that has failed too often, instead of running it again.
    pub(super) fn block(&self, call: &ToolCall) -> Option<ToolResult> {
        let failures = self.failures.get(&key(call)).copied().unwrap_or(0);
        (failures >= MOST_FAILURES).then(|| {
            ToolResult::error(
                "RETRY_LOOP_DETECTED",
                format!(
                    "{} with these arguments has failed {failures} times and was not run again. \
                     Read the error above, change the arguments or use another tool.",
                    call.name
                ),
            )
        })
    }

    /// Remembers how a call ended.
    pub(super) fn note(&mut self, call: &ToolCall, failed: bool) {
        if failed {
            *self.failures.entry(key(call)).or_default() += 1;
        } else {
            self.failures.remove(&key(call));
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
