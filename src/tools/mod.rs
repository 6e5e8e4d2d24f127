//! Floor 3: what the model may do. A tool takes the arguments as the model wrote them and always returns a
//! [`ToolResult`]; a failure is a result with a code, never an error of this program. Nothing here knows a
//! provider or the loop that makes the calls.

mod arguments;
mod clip;
pub mod commands;
pub mod custom;
mod distance;
mod edit;
mod fault;
pub mod files;
mod find;
mod glob;
mod grep;
mod ignores;
mod lines;
mod list;
mod moves;
pub mod names;
mod paths;
pub mod policy;
mod protected;
mod read;
mod reads;
pub mod rules;
pub mod secrets;
mod utf16;
mod walk;
mod write;

#[cfg(test)]
mod tests;

use std::fmt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::value::RawValue;

use crate::base::text;
use crate::chat::{Arguments, ToolCall, ToolResult, ToolSpec};

use reads::Reads;

pub use files::Workspace;
pub use policy::Policy;

/// Bytes kept at the head and at the tail of a result, unless the caller wants fewer.
pub const DEFAULT_CAP: usize = 32 << 10;

/// More than this is never kept, whatever the caller wants.
const MAX_CAP: usize = 64 << 20;

/// Something that the model may call.
pub trait Tool: Send + Sync {
    /// How the tool is offered to the model.
    fn spec(&self) -> &ToolSpec;

    /// True if a call changes nothing, so that calls may run side by side.
    fn read_only(&self) -> bool;

    /// True if a call starts a program, which may end otherwise once a file is changed.
    fn runs_programs(&self) -> bool {
        false
    }

    /// Runs one call. `arguments` is one JSON object of at most 1 MiB.
    fn run(&self, arguments: &RawValue, context: &Context<'_>) -> ToolResult;
}

/// What a running call may use.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// Where the files are.
    pub workspace: &'a Workspace,
    /// What this run has read.
    reads: &'a Reads,
    /// Asked regularly by long work; true ends the call with [`ToolResult::cancelled`].
    pub stop: &'a (dyn Fn() -> bool + Sync),
    /// Bytes kept at the head and at the tail of a result.
    pub cap: usize,
}

impl fmt::Debug for Context<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context").field("workspace", self.workspace).field("cap", &self.cap).finish_non_exhaustive()
    }
}

impl Context<'_> {
    /// Ends a call that is to stop.
    fn check(&self) -> Result<(), Refusal> {
        if (self.stop)() { Err(Refusal::Cancelled) } else { Ok(()) }
    }
}

/// The tools of a run together with the files they work on; none by default.
#[derive(Default)]
pub struct Toolbox {
    /// `None` where no tool is offered.
    workspace: Option<Workspace>,
    tools: Vec<Box<dyn Tool>>,
    specs: Vec<ToolSpec>,
    reads: Reads,
    /// Set while the tools are in use, once the model's window is known.
    cap: AtomicUsize,
}

/// What a tool needs a grant for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It reads files.
    Reads,
    /// It changes files.
    Changes,
    /// It runs granted programs.
    Runs,
    /// It runs what a shell is told.
    Shell,
}

impl Kind {
    /// The flag that would offer such a tool, where one does.
    fn grant(self) -> Option<String> {
        let flag = match self {
            Self::Reads => return None,
            Self::Changes => "--allow write",
            Self::Runs => "--allow 'run:PROGRAM **'",
            Self::Shell => "--allow shell",
        };
        Some(flag.to_owned())
    }
}

/// The tools that flux has itself, in the order in which they are offered.
pub const KNOWN: [(&str, Kind); 10] = [
    ("read_files", Kind::Reads),
    ("list_files", Kind::Reads),
    ("find_files", Kind::Reads),
    ("grep_search", Kind::Reads),
    ("edit_file", Kind::Changes),
    ("write_file", Kind::Changes),
    ("move_file", Kind::Changes),
    ("delete_file", Kind::Changes),
    ("run_command", Kind::Runs),
    ("shell", Kind::Shell),
];

/// The four tools that only read: `read_files`, `list_files`, `find_files` and `grep_search`.
#[must_use]
pub fn reading_tools() -> Vec<Box<dyn Tool>> {
    vec![Box::new(read::ReadFiles), Box::new(list::ListFiles), Box::new(find::FindFiles), Box::new(grep::GrepSearch)]
}

/// The four tools that change files: `edit_file`, `write_file`, `move_file` and `delete_file`.
#[must_use]
pub fn changing_tools() -> Vec<Box<dyn Tool>> {
    vec![Box::new(edit::EditFile), Box::new(write::WriteFile), Box::new(moves::MoveFile), Box::new(moves::DeleteFile)]
}

/// The tools that a run with this policy can use at all.
#[must_use]
pub fn permitted_tools(policy: &Policy) -> Vec<Box<dyn Tool>> {
    let reading = if policy.may_read() { reading_tools() } else { Vec::new() };
    let changing = if policy.may_write() { changing_tools() } else { Vec::new() };
    reading.into_iter().chain(changing).collect()
}

impl Toolbox {
    /// Puts the tools together; their order is the order in which the model sees them.
    #[must_use]
    pub fn new(workspace: Workspace, tools: Vec<Box<dyn Tool>>) -> Self {
        let specs = tools.iter().map(|tool| tool.spec().clone()).collect();
        Self { workspace: Some(workspace), tools, specs, reads: Reads::default(), cap: DEFAULT_CAP.into() }
    }

    /// Keeps only `cap` bytes at the head and at the tail of a result: for models with small windows.
    pub fn set_cap(&self, cap: usize) {
        self.cap.store(cap.min(MAX_CAP), Ordering::Relaxed);
    }

    /// The tools as they are offered to the model.
    #[must_use]
    pub fn specs(&self) -> &[ToolSpec] {
        &self.specs
    }

    /// The files that the tools work on.
    #[cfg(test)]
    fn workspace(&self) -> &Workspace {
        self.workspace.as_ref().expect("a toolbox with tools")
    }

    /// True if the call changes nothing. A call of an unknown tool never runs, so it changes nothing either.
    #[must_use]
    pub fn is_read_only(&self, call: &ToolCall) -> bool {
        self.find(&call.name).is_none_or(Tool::read_only)
    }

    /// True if the call starts a program.
    #[must_use]
    pub fn runs_programs(&self, call: &ToolCall) -> bool {
        self.find(&call.name).is_some_and(Tool::runs_programs)
    }

    /// The files that a call names, relative to the root: what it is about.
    #[must_use]
    pub fn paths(&self, call: &ToolCall) -> Vec<PathBuf> {
        let (Some(workspace), Arguments::Object(raw)) = (&self.workspace, &call.arguments) else { return Vec::new() };
        if self.runs_programs(call) {
            return Vec::new();
        }
        arguments::paths(raw).iter().filter_map(|path| workspace.plain(path)).collect()
    }

    /// Answers one call, whatever is in it.
    #[must_use]
    pub fn call(&self, call: &ToolCall, stop: &(dyn Fn() -> bool + Sync)) -> ToolResult {
        let (Some(tool), Some(workspace)) = (self.find(&call.name), &self.workspace) else {
            return self.unknown(&call.name);
        };
        let arguments = match arguments::checked(&call.arguments) {
            Ok(arguments) => arguments,
            Err(refusal) => return refusal.into(),
        };
        if stop() {
            return ToolResult::cancelled();
        }
        tool.run(arguments, &Context { workspace, reads: &self.reads, stop, cap: self.cap.load(Ordering::Relaxed) })
    }

    fn find(&self, name: &str) -> Option<&dyn Tool> {
        self.tools.iter().map(AsRef::as_ref).find(|tool| tool.spec().name == name)
    }

    fn unknown(&self, name: &str) -> ToolResult {
        let known = KNOWN.iter().find(|(known, _)| *known == name && self.workspace.is_some());
        if let Some(remedy) = known.and_then(|(_, kind)| kind.grant()) {
            return ToolResult::denied(format!("this run may not use `{name}`; the user may grant {remedy}"), remedy);
        }
        let shown = names::shown(text::prefix(name, 64));
        let known: Vec<&str> = self.specs.iter().map(|spec| spec.name.as_ref()).collect();
        match known.as_slice() {
            [] => ToolResult::error("unknown_tool", format!("there is no tool `{shown}`; there are none in this run")),
            _ => ToolResult::error("unknown_tool", format!("there is no tool `{shown}`; use {}", known.join(", "))),
        }
    }
}

impl fmt::Debug for Toolbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Toolbox").field("specs", &self.specs).field("cap", &self.cap).finish_non_exhaustive()
    }
}

/// Why a call, or one path of it, got no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// It failed: a short, stable code and what, why and what to do.
    Failed {
        /// The code.
        code: &'static str,
        /// The message.
        message: String,
    },
    /// The permissions of this run forbid it.
    Denied {
        /// What is denied and why.
        message: String,
        /// What the user would have to add to the command line, or to leave out, to permit it.
        remedy: String,
    },
    /// The run was stopped.
    Cancelled,
}

impl Refusal {
    fn new(code: &'static str, message: impl fmt::Display) -> Self {
        Self::Failed { code, message: message.to_string() }
    }
}

impl From<Refusal> for ToolResult {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Failed { code, message } => Self::error(code, message),
            Refusal::Denied { message, remedy } => Self::denied(message, remedy),
            Refusal::Cancelled => Self::cancelled(),
        }
    }
}
