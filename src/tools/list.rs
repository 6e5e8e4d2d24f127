//! `list_files`: a compact tree. Where it grows too long, deeper levels are left out before anything else.

use std::borrow::Cow;
use std::path::Path;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::clip::Clip;
use super::files::{Kind, Opened};
use super::walk::{Found, Walk};
use super::{Context, Refusal, Tool, arguments, names, paths};
use crate::chat::{ToolResult, ToolSpec};

static SPEC: ToolSpec = ToolSpec {
    name: Cow::Borrowed("list_files"),
    description: Cow::Borrowed(
        r#"List the files of a directory as a tree, without ignored files. Example: {"path": "."}"#,
    ),
    schema: Cow::Borrowed(concat!(
        r#"{"type":"object","properties":{"path":{"type":"string","description":"Optional, default ."},"#,
        r#""depth":{"type":"integer","description":"Optional, levels to go down"}},"#,
        r#""required":[],"additionalProperties":false}"#
    )),
};

/// Levels shown at most if the model does not say.
const DEFAULT_DEPTH: usize = 8;

/// Entries shown at most if the model does not say how deep: a first look should be cheap.
const FIRST_LOOK: usize = 300;

/// The tool.
pub(super) struct ListFiles;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Input {
    path: Option<String>,
    #[serde(default, deserialize_with = "arguments::whole")]
    depth: Option<u64>,
}

impl Tool for ListFiles {
    fn spec(&self) -> &ToolSpec {
        &SPEC
    }

    fn read_only(&self) -> bool {
        true
    }

    fn run(&self, arguments: &RawValue, context: &Context<'_>) -> ToolResult {
        arguments::parse(arguments).and_then(|input| list(&input, context)).unwrap_or_else(ToolResult::from)
    }
}

fn list(input: &Input, context: &Context<'_>) -> Result<ToolResult, Refusal> {
    let start = match context.workspace.open_any(arguments::path_or_root(input.path.as_deref()))? {
        Opened::Directory(directory) => directory.path,
        Opened::File(file) => return Err(paths::not_a_directory(&file.path)),
    };
    let wanted = input.depth.map_or(DEFAULT_DEPTH, |depth| usize::try_from(depth).unwrap_or(usize::MAX).max(1));
    let entries = if input.depth.is_none() { FIRST_LOOK } else { usize::MAX };
    let mut depth = wanted;
    loop {
        match tree(&start, depth, entries, context)? {
            Tree::Whole(text) => {
                let mut result = ToolResult::ok(text);
                result.detail.truncated = depth < wanted;
                return Ok(result);
            }
            Tree::TooLong { reached: ..=1 } => return flat(&start, context),
            // Every level down to the deepest one seen is too much, so try without that.
            Tree::TooLong { reached } => depth = reached - 1,
        }
    }
}

enum Tree {
    Whole(String),
    /// There is no room for it; the deepest level seen so far.
    TooLong {
        reached: usize,
    },
}

fn tree(start: &Path, depth: usize, mut entries: usize, context: &Context<'_>) -> Result<Tree, Refusal> {
    let mut walk = Walk::new(context.workspace, start, depth);
    let mut text = heading(start);
    let mut reached = 0;
    for found in walk.by_ref() {
        context.check()?;
        reached = reached.max(found.depth);
        push_entry(&mut text, start, &found);
        if text.len() > 2 * context.cap || entries == 0 {
            return Ok(Tree::TooLong { reached });
        }
        entries -= 1;
    }
    if reached == 0 {
        text.push_str("(empty, or everything in it is ignored)\n");
    }
    text.push_str(&notes(&walk, depth));
    Ok(Tree::Whole(text))
}

/// The directory alone, where even that is too long for a tree.
fn flat(start: &Path, context: &Context<'_>) -> Result<ToolResult, Refusal> {
    let mut walk = Walk::new(context.workspace, start, 1);
    let mut clip = Clip::new(context.cap);
    clip.push(&heading(start));
    for found in walk.by_ref() {
        context.check()?;
        let mut line = String::new();
        push_entry(&mut line, start, &found);
        clip.push(&line);
    }
    clip.push(&notes(&walk, 1));
    Ok(clip.finish("give path, or use find_files"))
}

fn heading(start: &Path) -> String {
    if start.as_os_str().is_empty() { String::new() } else { format!("{}/\n", names::escape(start)) }
}

/// One line, indented below its directory: with the heading above, the lines spell whole paths.
fn push_entry(text: &mut String, start: &Path, found: &Found) {
    let depth = found.depth - usize::from(start.as_os_str().is_empty());
    text.extend(std::iter::repeat_n("  ", depth));
    text.push_str(&names::escape(Path::new(found.path.file_name().unwrap_or_default())));
    text.push_str(match found.kind {
        Kind::Directory => "/\n",
        Kind::Link => " (link)\n",
        Kind::Other => " (not a file)\n",
        Kind::File => "\n",
    });
}

fn notes(walk: &Walk<'_>, depth: usize) -> String {
    let notes = if walk.is_cut {
        format!("[depth {depth}; for what is deeper give a path, or another depth]\n")
    } else {
        String::new()
    };
    notes + &walk.note()
}
