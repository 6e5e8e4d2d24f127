//! `move_file` and `delete_file`: for files of any content, one at a time. They need no reading, and nothing that is
//! there is ever overwritten.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Context, Refusal, Tool, arguments, paths};
use crate::chat::{ToolResult, ToolSpec};

static MOVE: ToolSpec = ToolSpec {
    name: Cow::Borrowed("move_file"),
    description: Cow::Borrowed(r#"Move or rename a file. Example: {"path": "a.txt", "to": "docs/b.txt"}"#),
    schema: Cow::Borrowed(concat!(
        r#"{"type":"object","properties":{"path":{"type":"string"},"to":{"type":"string"}},"#,
        r#""required":["path","to"],"additionalProperties":false}"#
    )),
};

static DELETE: ToolSpec = ToolSpec {
    name: Cow::Borrowed("delete_file"),
    description: Cow::Borrowed(r#"Delete a file. Example: {"path": "a.txt"}"#),
    schema: Cow::Borrowed(concat!(
        r#"{"type":"object","properties":{"path":{"type":"string"}},"#,
        r#""required":["path"],"additionalProperties":false}"#
    )),
};

/// The tool that moves.
pub(super) struct MoveFile;

/// The tool that deletes.
pub(super) struct DeleteFile;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FromTo {
    path: String,
    to: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct One {
    path: String,
}

impl Tool for MoveFile {
    fn spec(&self) -> &ToolSpec {
        &MOVE
    }

    fn read_only(&self) -> bool {
        false
    }

    fn run(&self, arguments: &RawValue, context: &Context<'_>) -> ToolResult {
        arguments::parse(arguments).and_then(|input| rename(&input, context)).unwrap_or_else(ToolResult::from)
    }
}

impl Tool for DeleteFile {
    fn spec(&self) -> &ToolSpec {
        &DELETE
    }

    fn read_only(&self) -> bool {
        false
    }

    fn run(&self, arguments: &RawValue, context: &Context<'_>) -> ToolResult {
        arguments::parse(arguments).and_then(|input| delete(&input, context)).unwrap_or_else(ToolResult::from)
    }
}

fn rename(input: &FromTo, context: &Context<'_>) -> Result<ToolResult, Refusal> {
    let from = context.workspace.target(&input.path)?;
    let to = context.workspace.target(&input.to)?;
    context.workspace.rename(&from, &to)?;
    context.reads.moved(&from, Some(&to));
    Ok(ToolResult::ok(format!("{} is now {}", paths::shown(&from), paths::shown(&to))))
}

fn delete(input: &One, context: &Context<'_>) -> Result<ToolResult, Refusal> {
    let path = context.workspace.target(&input.path)?;
    context.workspace.remove(&path)?;
    context.reads.moved(&path, None);
    Ok(ToolResult::ok(format!("{}: deleted", paths::shown(&path))))
}
