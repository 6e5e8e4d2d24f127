//! Globs as the model writes them: a pattern without `/` means a name anywhere, one with `/` a path. Pure.

use std::path::Path;

use globset::{GlobBuilder, GlobMatcher};

use super::{Refusal, Workspace};

/// Longer patterns are refused.
const LIMIT: usize = 1000;

/// A glob, ready to be used.
pub(super) struct Glob {
    matcher: GlobMatcher,
    excludes: bool,
    /// True for a pattern that ends in `/`: it means directories.
    pub(super) wants_directories: bool,
}

impl Glob {
    /// Reads a pattern; a `!` in front of it turns its meaning round.
    pub(super) fn new(pattern: &str, workspace: &Workspace) -> Result<Self, Refusal> {
        let (excludes, text) = pattern.strip_prefix('!').map_or((false, pattern), |rest| (true, rest));
        let bad = |reason: &dyn std::fmt::Display| Refusal::new("bad_pattern", format!("this is no glob: {reason}"));
        if text.len() > LIMIT {
            return Err(bad(&format!("it is {} bytes long, at most {LIMIT} are allowed", text.len())));
        }
        let beneath = Path::new(text).strip_prefix(workspace.path()).ok().and_then(Path::to_str);
        let wants_directories = text.len() > 1 && text.ends_with('/');
        let text = beneath.unwrap_or(text).trim_start_matches("./").trim_end_matches('/');
        if text.is_empty() {
            return Err(bad(&"it is empty"));
        }
        let text = if text.contains('/') { text.trim_start_matches('/').to_owned() } else { format!("**/{text}") };
        let glob = GlobBuilder::new(&text).literal_separator(true).build().map_err(|error| bad(error.kind()))?;
        Ok(Self { matcher: glob.compile_matcher(), excludes, wants_directories })
    }

    /// True if the pattern means `path`, seen from the root or from `base`.
    pub(super) fn is_match(&self, path: &Path, base: &Path) -> bool {
        let is_match = self.matcher.is_match(path)
            || path.strip_prefix(base).is_ok_and(|from_base| self.matcher.is_match(from_base));
        is_match != self.excludes
    }
}
