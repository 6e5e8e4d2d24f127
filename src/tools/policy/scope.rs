//! What a grant or denial about files is about: everything, or the paths that a glob matches. Pure.

use std::path::{Component, Path, PathBuf};

use globset::{GlobBuilder, GlobMatcher};

use crate::tools::protected;

/// What one grant or denial of reading or writing is about.
#[derive(Debug, Clone)]
pub(super) struct Scope {
    /// As the user wrote it.
    pub(super) text: String,
    /// `None` is everything.
    pub(super) pattern: Option<Pattern>,
}

/// Paths relative to the root.
#[derive(Debug, Clone)]
pub(super) struct Pattern {
    path: PathBuf,
    matcher: GlobMatcher,
}

/// How much of the tree beneath the root a scope takes in, as far as directories can say it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::tools) enum Extent {
    /// All of it.
    Everything,
    /// All that is in this directory.
    Beneath(PathBuf),
    /// This path alone.
    Exactly(PathBuf),
    /// What some glob matches, here and there.
    Scattered,
}

impl Scope {
    pub(super) fn covers(&self, path: &Path) -> bool {
        let is_covered = |pattern: &Pattern| pattern.path == path || pattern.matcher.is_match(path);
        self.pattern.as_ref().is_none_or(is_covered)
    }

    /// A denied directory is denied with all that is in it.
    pub(super) fn denies(&self, path: &Path) -> bool {
        path.ancestors().any(|part| self.covers(part))
    }

    /// True if the scope names all these protected names itself.
    pub(super) fn names(&self, protected: &[&str]) -> bool {
        let own = self.pattern.as_ref().map(|pattern| protected::names(&pattern.path)).unwrap_or_default();
        protected.iter().all(|name| own.contains(name))
    }

    /// True if the scope is exactly this path.
    pub(super) fn is_exactly(&self, path: &Path) -> bool {
        self.pattern.as_ref().is_some_and(|pattern| pattern.path == path)
    }

    /// True if the scope takes in all that is in this directory by its name.
    pub(super) fn is_all_beneath(&self, directory: &Path) -> bool {
        self.extent() == Extent::Beneath(directory.to_owned())
    }

    /// How much it takes in.
    pub(super) fn extent(&self) -> Extent {
        let Some(pattern) = &self.pattern else { return Extent::Everything };
        let is_plain = |path: &Path| !path.to_string_lossy().contains(['*', '?', '[', '{', '\\']);
        let directory = pattern.path.parent().filter(|_| pattern.path.ends_with("**"));
        match directory {
            Some(root) if root.as_os_str().is_empty() => Extent::Everything,
            Some(directory) if is_plain(directory) => Extent::Beneath(directory.to_owned()),
            _ if is_plain(&pattern.path) => Extent::Exactly(pattern.path.clone()),
            _ => Extent::Scattered,
        }
    }
}

impl Pattern {
    /// Reads a glob.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let bad = |why: &str| Err(format!("{why}: flux help permissions"));
        let path = Path::new(text);
        if path.is_absolute() {
            return bad("the path is relative to the root, so it does not begin with '/'");
        }
        if text.starts_with("~/") {
            return bad("only a shell knows what '~' is, and not here: write the whole path");
        }
        if path.components().any(|part| part == Component::ParentDir) {
            return bad("the path is one beneath the root, so it has no '..'");
        }
        if text.ends_with('/') {
            return bad("write 'DIRECTORY/**' for all that is in a directory");
        }
        let path: PathBuf = path.components().filter(|part| *part != Component::CurDir).collect();
        let Some(plain) = path.to_str().filter(|plain| !plain.is_empty()) else {
            return bad("no path stands after the ':'");
        };
        let glob = GlobBuilder::new(plain).literal_separator(true).build();
        let matcher = glob.map_err(|error| format!("this is no glob: {}", error.kind()))?.compile_matcher();
        Ok(Self { path, matcher })
    }

    /// Exactly this path; a name that is no text cannot be granted or denied by name.
    pub(super) fn exactly(path: &Path) -> Option<Self> {
        let glob = GlobBuilder::new(&globset::escape(path.to_str()?)).literal_separator(true).build().ok()?;
        Some(Self { path: path.to_owned(), matcher: glob.compile_matcher() })
    }
}
