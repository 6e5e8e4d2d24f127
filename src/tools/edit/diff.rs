//! What a change has done to a text, as a unified diff of bounded size. Pure.

use std::path::Path;
use std::time::Duration;

use similar::algorithms::{Capture, Compact, Replace, myers};
use similar::udiff::UnifiedHunkHeader;
use similar::{DiffOp, DiffTag};

use crate::base::clock;
use crate::chat::ToolResult;
use crate::tools::clip::Clip;
use crate::tools::names;

/// Bytes of a diff kept at its head and at its tail.
const CAP: usize = 8 << 10;

/// Lines shown around a change.
const CONTEXT: usize = 3;

/// After this time the diff may be longer than it has to be.
const PATIENCE: Duration = Duration::from_millis(300);

/// The diff between two contents. Line ends are shown as LF, and bytes that are no text as U+FFFD.
pub(in crate::tools) fn unified(path: &Path, old: &[u8], new: &[u8], cap: usize) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).replace("\r\n", "\n");
    let (old, new) = (text(old), text(new));
    let name = names::escape(path);
    let old_name = if old.is_empty() { "/dev/null".to_owned() } else { format!("a/{name}") };
    let mut clip = Clip::new(cap.min(CAP));
    clip.push(&format!("--- {old_name}\n+++ b/{name}\n"));
    let lines = |text: &str| text.split_inclusive('\n').map(str::to_owned).collect::<Vec<_>>();
    let (old, new) = (lines(&old), lines(&new));
    for hunk in hunks(&old, &new) {
        clip.push(&format!("{}\n", UnifiedHunkHeader::new(&hunk)));
        for change in &hunk {
            let (is_old, is_new) = (change.tag() != DiffTag::Insert, change.tag() != DiffTag::Delete);
            let sign = if change.tag() == DiffTag::Equal { ' ' } else { '-' };
            push(&mut clip, sign, &old[change.old_range()], is_old);
            push(&mut clip, '+', &new[change.new_range()], is_new && sign != ' ');
        }
    }
    clip.finish("read_files shows the file").text
}

/// The changes with the lines around them. The one algorithm is named, since those of the library that are not used
/// would be most of its size.
fn hunks(old: &[String], new: &[String]) -> Vec<Vec<DiffOp>> {
    let mut capture = Compact::new(Replace::new(Capture::new()), old, new);
    let deadline = Some(clock::now() + PATIENCE);
    let Ok(()) = myers::diff_deadline(&mut capture, old, 0..old.len(), new, 0..new.len(), deadline);
    capture.into_inner().into_inner().into_grouped_ops(CONTEXT)
}

fn push(clip: &mut Clip, sign: char, lines: &[String], is_shown: bool) {
    for line in lines.iter().filter(|_| is_shown) {
        let end = if line.ends_with('\n') { "" } else { "\n\\ No newline at end of file\n" };
        clip.push(&format!("{sign}{line}{end}"));
    }
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
