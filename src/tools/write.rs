//! `write_file`: a new file with its directories, or a whole new content for one that this run has read.

use std::borrow::Cow;
use std::path::Path;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::edit::{Style, diff, syntax};
use super::{Context, Refusal, Tool, arguments, paths};
use crate::chat::{ToolResult, ToolSpec};

static SPEC: ToolSpec = ToolSpec {
    name: Cow::Borrowed("write_file"),
    description: Cow::Borrowed(concat!(
        "Write a new file, or a file that was read as a whole; edit_file is better for small changes. ",
        r#"Example: {"path": "a.txt", "content": "text\n"}"#
    )),
    schema: Cow::Borrowed(concat!(
        r#"{"type":"object","properties":{"path":{"type":"string"},"content":{"type":"string"}},"#,
        r#""required":["path","content"],"additionalProperties":false}"#
    )),
};

/// The tool.
pub(super) struct WriteFile;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Input {
    path: String,
    content: String,
}

impl Tool for WriteFile {
    fn spec(&self) -> &ToolSpec {
        &SPEC
    }

    fn read_only(&self) -> bool {
        false
    }

    fn run(&self, arguments: &RawValue, context: &Context<'_>) -> ToolResult {
        arguments::parse(arguments).and_then(|input| write(&input, context)).unwrap_or_else(ToolResult::from)
    }
}

fn write(input: &Input, context: &Context<'_>) -> Result<ToolResult, Refusal> {
    let path = context.workspace.target(&input.path)?;
    let Some(original) = context.workspace.original(&path)? else { return create(&path, &input.content, context) };
    context.reads.check_overwrite(&original)?;
    let new = Style::of(&original.content).dress(&input.content);
    if new == original.content {
        return Ok(ToolResult::ok(format!("{} has this content already", paths::shown(&path))));
    }
    syntax::check(&original, &new)?;
    context.check()?;
    let version = context.workspace.replace(&original, &new)?;
    context.reads.written(&path, version);
    Ok(diff::result(&format!("{}: written", paths::shown(&path)), &path, &original.content, &new, context.cap))
}

/// The model knows what is in the file: the diff is for the transcript alone.
fn create(path: &Path, text: &str, context: &Context<'_>) -> Result<ToolResult, Refusal> {
    context.check()?;
    let version = context.workspace.create(path, text.as_bytes())?;
    context.reads.written(path, version);
    let (lines, bytes) = (text.lines().count(), text.len());
    let mut result = ToolResult::ok(format!("{}: created, {lines} lines, {bytes} bytes", paths::shown(path)));
    result.detail.diff = Some(diff::unified(path, b"", text.as_bytes(), context.cap));
    Ok(result)
}
