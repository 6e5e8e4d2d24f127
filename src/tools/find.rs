//! `find_files`: paths by glob.

use std::borrow::Cow;
use std::path::Path;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::clip::Clip;
use super::files::{Kind, Opened};
use super::glob::Glob;
use super::walk::Walk;
use super::{Context, Refusal, Tool, arguments, names, paths};
use crate::chat::{ToolResult, ToolSpec};

static SPEC: ToolSpec = ToolSpec {
    name: Cow::Borrowed("find_files"),
    description: Cow::Borrowed(r#"Find files by name. Example: {"pattern": "*.rs"}"#),
    schema: Cow::Borrowed(concat!(
        r#"{"type":"object","properties":{"pattern":{"type":"string","description":"Glob, also src/**/*.rs"},"#,
        r#""path":{"type":"string","description":"Optional, directory to search, default ."}},"#,
        r#""required":["pattern"],"additionalProperties":false}"#
    )),
};

/// The tool.
pub(super) struct FindFiles;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Input {
    pattern: String,
    path: Option<String>,
}

impl Tool for FindFiles {
    fn spec(&self) -> &ToolSpec {
        &SPEC
    }

    fn read_only(&self) -> bool {
        true
    }

    fn run(&self, arguments: &RawValue, context: &Context<'_>) -> ToolResult {
        arguments::parse(arguments).and_then(|input| find(&input, context)).unwrap_or_else(ToolResult::from)
    }
}

/// Files are meant, and directories only if the pattern ends in `/` or no file matches.
fn find(input: &Input, context: &Context<'_>) -> Result<ToolResult, Refusal> {
    let glob = Glob::new(&input.pattern, context.workspace)?;
    let start = match context.workspace.open_any(arguments::path_or_root(input.path.as_deref()))? {
        Opened::Directory(directory) => directory.path,
        Opened::File(file) => return Err(paths::not_a_directory(&file.path)),
    };
    let mut files = Matches::new(context.cap);
    let mut directories = Matches::new(context.cap);
    let mut walk = Walk::new(context.workspace, &start, usize::MAX);
    for found in walk.by_ref() {
        context.check()?;
        if glob.is_match(&found.path, &start) {
            match found.kind {
                Kind::Directory => directories.push(&found.path, "/"),
                Kind::File | Kind::Link => files.push(&found.path, ""),
                Kind::Other => {}
            }
        }
    }
    let mut matches = if glob.wants_directories || files.count == 0 { directories } else { files };
    if matches.count == 0 {
        return Ok(ToolResult::ok(format!("no matches\n{}", walk.note())));
    }
    matches.clip.push(&walk.note());
    let hint = format!("{} in all; narrow pattern or path", matches.count);
    Ok(matches.clip.finish(&hint))
}

struct Matches {
    clip: Clip,
    count: u64,
}

impl Matches {
    fn new(cap: usize) -> Self {
        Self { clip: Clip::new(cap), count: 0 }
    }

    fn push(&mut self, path: &Path, mark: &str) {
        self.clip.push(&names::escape(path));
        self.clip.push(mark);
        self.clip.push("\n");
        self.count += 1;
    }
}
