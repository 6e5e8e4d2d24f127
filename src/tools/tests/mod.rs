//! The reading tools as the model meets them: through a [`Toolbox`], on real files.

mod calls;
mod changing;
mod disk;
mod paths;
mod places;
mod reading;
mod searching;
mod trees;

use std::fs;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::{Policy, Toolbox, Workspace, permitted_tools, reading_tools};
use crate::chat::{Arguments, ToolCall, ToolResult};

/// A directory with a root in it, and files outside the root that nobody may see.
struct Place {
    directory: TempDir,
    toolbox: Toolbox,
}

/// So many rounds of a race, or a million where the long form of the tests is asked for.
fn rounds(short: u32) -> u32 {
    if crate::base::env::os_var("FLUX_TEST_LONG").is_some() { 1_000_000 } else { short }
}

const OUTSIDE: &str = "CANARY outside";

impl Place {
    fn new(files: &[(&str, &str)]) -> Self {
        Self::with_cap(files, super::DEFAULT_CAP)
    }

    /// A place where these grants and denials hold.
    fn allowing(allow: &[&str], deny: &[&str], files: &[(&str, &str)]) -> Self {
        Self::allowing_in(tempfile::tempdir().unwrap(), allow, deny, files)
    }

    fn allowing_in(directory: TempDir, allow: &[&str], deny: &[&str], files: &[(&str, &str)]) -> Self {
        let place = Self::within(directory, files, super::DEFAULT_CAP);
        let words = |list: &[&str]| list.iter().map(ToString::to_string).collect::<Vec<_>>();
        let policy = Policy::parse(&words(allow), &words(deny)).unwrap();
        let tools = permitted_tools(&policy);
        let toolbox = Toolbox::new(Workspace::open(&place.root()).unwrap().with_policy(policy).unwrap(), tools);
        Self { toolbox, ..place }
    }

    fn writing(files: &[(&str, &str)]) -> Self {
        Self::allowing(&["write"], &[], files)
    }

    fn writing_in(directory: TempDir, files: &[(&str, &str)]) -> Self {
        Self::allowing_in(directory, &["write"], &[], files)
    }

    fn with_cap(files: &[(&str, &str)], cap: usize) -> Self {
        Self::within(tempfile::tempdir().unwrap(), files, cap)
    }

    fn within(directory: TempDir, files: &[(&str, &str)], cap: usize) -> Self {
        let root = directory.path().join("root");
        fs::create_dir(&root).unwrap();
        fs::write(directory.path().join("outside"), OUTSIDE).unwrap();
        let toolbox = Toolbox::new(Workspace::open(&root).unwrap(), reading_tools());
        toolbox.set_cap(cap);
        let place = Self { directory, toolbox };
        for (path, content) in files {
            place.write(path, content);
        }
        place
    }

    fn root(&self) -> PathBuf {
        self.directory.path().join("root")
    }

    fn path(&self, path: impl AsRef<Path>) -> PathBuf {
        self.root().join(path)
    }

    fn write(&self, path: impl AsRef<Path>, content: impl AsRef<[u8]>) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    /// Writes a large file without having it in memory, where it would spoil what other tests measure.
    fn write_repeated(&self, path: &str, piece: &str, count: usize) {
        let mut file = BufWriter::new(fs::File::create(self.path(path)).unwrap());
        (0..count).for_each(|_| file.write_all(piece.as_bytes()).unwrap());
        file.flush().unwrap();
    }

    fn link(&self, target: impl AsRef<Path>, link: &str) {
        std::os::unix::fs::symlink(target, self.path(link)).unwrap();
    }

    #[expect(clippy::needless_pass_by_value, reason = "so that calls read like what the model writes")]
    fn result(&self, tool: &str, arguments: Value) -> ToolResult {
        self.toolbox.call(&call(tool, &arguments.to_string()), &|| false)
    }

    fn text(&self, tool: &str, arguments: Value) -> String {
        let result = self.result(tool, arguments);
        assert!(!result.is_error, "{}", result.text);
        result.text
    }

    fn error(&self, tool: &str, arguments: Value) -> String {
        let result = self.result(tool, arguments);
        assert!(result.is_error && result.detail.code.is_some(), "{}", result.text);
        assert!(result.text.starts_with(&format!("{}: ", result.detail.code.unwrap())), "{}", result.text);
        assert_eq!(result.detail.denied.is_some(), result.detail.code == Some("denied"));
        result.text
    }

    fn read(&self, path: &str) -> String {
        self.text("read_files", json!({ "paths": [path] }))
    }

    fn bytes(&self, path: impl AsRef<Path>) -> Vec<u8> {
        fs::read(self.path(path)).unwrap()
    }

    /// Reads the file, then replaces one piece of it.
    fn edit(&self, path: &str, search: &str, replace: &str) -> String {
        self.read(path);
        self.text("edit_file", edit(path, search, replace))
    }

    fn edit_error(&self, path: &str, search: &str, replace: &str) -> String {
        self.error("edit_file", edit(path, search, replace))
    }

    /// Everything in the root, by path, with what is in it.
    fn tree(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let mut found = Vec::new();
        let mut directories = vec![self.root()];
        while let Some(directory) = directories.pop() {
            for entry in fs::read_dir(&directory).unwrap().flatten() {
                let is_directory = entry.file_type().unwrap().is_dir();
                if is_directory {
                    directories.push(entry.path());
                }
                let is_file = entry.file_type().unwrap().is_file();
                found.push((entry.path(), if is_file { fs::read(entry.path()).unwrap() } else { Vec::new() }));
            }
        }
        found.sort();
        found
    }

    fn read_error(&self, path: &str) -> String {
        self.error("read_files", json!({ "paths": [path] }))
    }
}

fn edit(path: &str, search: &str, replace: &str) -> Value {
    json!({ "path": path, "edits": [{ "search": search, "replace": replace }] })
}

fn call(tool: &str, arguments: &str) -> ToolCall {
    ToolCall { id: "1".into(), name: tool.into(), arguments: Arguments::parse(arguments), seal: None }
}

/// Runs `body` and fails if it takes longer than `limit`.
#[track_caller]
fn within<T>(limit: Duration, body: impl FnOnce() -> T) -> T {
    let begun = crate::base::clock::now();
    let value = body();
    let taken = begun.elapsed();
    assert!(taken < limit, "took {taken:?}");
    value
}

/// The quickest of a few runs takes less than `limit`: the machine may be busy with something else once.
#[track_caller]
fn at_best_within<T>(limit: Duration, mut body: impl FnMut() -> T) -> T {
    for _ in 0..4 {
        let begun = crate::base::clock::now();
        let value = body();
        if begun.elapsed() < limit {
            return value;
        }
    }
    within(limit, body)
}

/// The most memory this process has had in use, in bytes.
fn peak_memory() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}
