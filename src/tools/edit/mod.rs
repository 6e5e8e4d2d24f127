//! `edit_file`: replaces exact pieces of a text file, all of them or none.

mod apply;
mod context;
pub(super) mod diff;
mod numbers;
mod style;
pub(super) mod syntax;

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use self::apply::Edit;
use super::files::Original;
use super::{Context, Refusal, Tool, arguments, paths};
use crate::chat::{ToolResult, ToolSpec};

pub(super) use style::Style;

static SPEC: ToolSpec = ToolSpec {
    name: Cow::Borrowed("edit_file"),
    description: Cow::Borrowed(concat!(
        "Replace exact text in a file that was read. Each search must occur exactly once; give whole lines. ",
        r#"Example: {"path": "a.txt", "edits": [{"search": "old line", "replace": "new line"}]}"#
    )),
    schema: Cow::Borrowed(concat!(
        r#"{"type":"object","properties":{"path":{"type":"string"},"edits":{"type":"array","items":{"type":"object","#,
        r#""properties":{"search":{"type":"string"},"replace":{"type":"string"},"#,
        r#""all":{"type":"boolean","description":"Optional, replace every occurrence"}},"#,
        r#""required":["search","replace"],"additionalProperties":false}}},"#,
        r#""required":["path","edits"],"additionalProperties":false}"#
    )),
};

/// More edits than this in one call are refused.
const MAX_EDITS: usize = 200;

/// The tool.
pub(super) struct EditFile;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Input {
    path: String,
    edits: Vec<Edit>,
}

impl Tool for EditFile {
    fn spec(&self) -> &ToolSpec {
        &SPEC
    }

    fn read_only(&self) -> bool {
        false
    }

    fn run(&self, arguments: &RawValue, context: &Context<'_>) -> ToolResult {
        arguments::parse(arguments).and_then(|input| edit(&input, context)).unwrap_or_else(ToolResult::from)
    }
}

fn edit(input: &Input, context: &Context<'_>) -> Result<ToolResult, Refusal> {
    match input.edits.len() {
        0 => return Err(arguments::bad("`edits` is empty")),
        many if many > MAX_EDITS => {
            return Err(arguments::bad(format!("`edits` has {many} edits, at most {MAX_EDITS} at once")));
        }
        _ => {}
    }
    let path = context.workspace.target(&input.path)?;
    let original = context.workspace.original(&path)?.ok_or_else(|| context.workspace.missing(&path))?;
    context.reads.check_edit(&original)?;
    check_text(&original)?;
    let style = Style::of(&original.content);
    let new = style.keep_ends(apply::all(&original.content, &input.edits, &style)?);
    if new == original.content {
        return Err(Refusal::new("no_change", "the file would be as it was; nothing was changed"));
    }
    syntax::check(&original, &new)?;
    context.check()?;
    let version = context.workspace.replace(&original, &new)?;
    context.reads.edited(&path, version);
    let what =
        if let [_] = input.edits.as_slice() { "1 edit".to_owned() } else { format!("{} edits", input.edits.len()) };
    Ok(diff::result(&format!("{}: {what}", paths::shown(&path)), &path, &original.content, &new, context.cap))
}

/// Text in another encoding than UTF-8 or one near it cannot be searched as it is shown.
fn check_text(original: &Original) -> Result<(), Refusal> {
    let is_utf16 = original.content.starts_with(&[0xff, 0xfe]) || original.content.starts_with(&[0xfe, 0xff]);
    let head = &original.content[..original.content.len().min(8 << 10)];
    if is_utf16 || head.contains(&0) {
        let what = if is_utf16 { "UTF-16" } else { "binary" };
        let path = paths::shown(&original.path);
        return Err(Refusal::new("not_text", format!("{path} is {what} and cannot be edited as text")));
    }
    Ok(())
}
