//! What a change has done to a text, as a unified diff of bounded size. Pure.

use std::path::Path;
use std::time::Duration;

use similar::TextDiff;

use crate::chat::ToolResult;
use crate::tools::clip::Clip;
use crate::tools::names;

/// Bytes of a diff kept at its head and at its tail.
const CAP: usize = 8 << 10;

/// After this time the diff may be longer than it has to be.
const PATIENCE: Duration = Duration::from_millis(300);

/// The diff between two contents. Line ends are shown as LF, and bytes that are no text as U+FFFD.
pub(in crate::tools) fn unified(path: &Path, old: &[u8], new: &[u8], cap: usize) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).replace("\r\n", "\n");
    let (old, new) = (text(old), text(new));
    let diff = TextDiff::configure().timeout(PATIENCE).diff_lines(old.as_str(), new.as_str());
    let name = names::escape(path);
    let old_name = if old.is_empty() { "/dev/null".to_owned() } else { format!("a/{name}") };
    let whole = diff.unified_diff().context_radius(3).header(&old_name, &format!("b/{name}")).to_string();
    let mut clip = Clip::new(cap.min(CAP));
    clip.push(&whole);
    clip.finish("read_files shows the file").text
}

/// The result of a change: what was done, and the diff, which the transcript keeps as well.
pub(in crate::tools) fn result(what: &str, path: &Path, old: &[u8], new: &[u8], cap: usize) -> ToolResult {
    let diff = unified(path, old, new, cap);
    let mut result = ToolResult::ok(format!("{what}\n{diff}"));
    result.detail.diff = Some(diff);
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_diff_is_one_that_patch_understands_and_is_bounded() {
        let path = Path::new("a.txt");
        assert_eq!(
            unified(path, b"a\nb\r\n", b"a\nc\r\n", 9999),
            "--- a/a.txt\n+++ b/a.txt\n@@ -1,2 +1,2 @@\n a\n-b\n+c\n"
        );
        assert_eq!(
            unified(path, b"", b"a", 9999),
            "--- /dev/null\n+++ b/a.txt\n@@ -0,0 +1 @@\n+a\n\\ No newline at end of file\n"
        );
        let (old, new) = ("old line\n".repeat(100_000), "new line\n".repeat(100_000));
        let long = unified(path, old.as_bytes(), new.as_bytes(), 9999);
        assert!(long.len() < 2 * CAP + 200 && long.contains("left out here"), "{}", long.len());
    }
}
