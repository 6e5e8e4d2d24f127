//! What this run may do with which file: the grants and denials of the command line, their one grammar, and what they
//! mean for a path. Pure: it knows no file system. Paths are true ones, relative to the root and without links.

use std::path::{Component, Path, PathBuf};

use globset::{GlobBuilder, GlobMatcher};

use super::{Refusal, names, paths, protected, secrets};

/// The grants and denials of a run. The default is to read what is no secret and to change nothing.
#[derive(Debug, Clone, Default)]
pub struct Policy {
    reads: Vec<Scope>,
    writes: Vec<Scope>,
    unreadable: Vec<Scope>,
    unwritable: Vec<Scope>,
}

/// What one grant or denial is about.
#[derive(Debug, Clone)]
struct Scope {
    /// As the user wrote it.
    text: String,
    /// `None` is everything.
    pattern: Option<Pattern>,
}

#[derive(Debug, Clone)]
struct Pattern {
    path: PathBuf,
    matcher: GlobMatcher,
}

enum Action {
    Read,
    Write,
}

impl Policy {
    /// Reads the words of `--allow` and `--deny`.
    ///
    /// # Errors
    /// Which word cannot be understood, and why, in one line.
    pub fn parse(allow: &[String], deny: &[String]) -> Result<Self, String> {
        let mut policy = Self::default();
        for word in allow {
            match scope(word).map_err(|why| format!("--allow {word}: {why}"))? {
                (Action::Read, Scope { pattern: None, .. }) => {
                    let why = "reading needs no grant; 'read:PATH' permits a file that is named as secrets are";
                    return Err(format!("--allow {word}: {why}"));
                }
                (Action::Read, scope) => policy.reads.push(scope),
                (Action::Write, scope) => policy.writes.push(scope),
            }
        }
        for word in deny {
            match scope(word).map_err(|why| format!("--deny {word}: {why}"))? {
                (Action::Read, scope) => policy.unreadable.push(scope),
                (Action::Write, scope) => policy.unwritable.push(scope),
            }
        }
        Ok(policy)
    }

    /// Whether anything at all can be read.
    #[must_use]
    pub fn may_read(&self) -> bool {
        self.unreadable.iter().all(|scope| scope.pattern.is_some())
    }

    /// Whether anything at all can be changed.
    #[must_use]
    pub fn may_write(&self) -> bool {
        !self.writes.is_empty() && self.may_read() && !self.is_unwritable()
    }

    /// Whether a denial forbids every change.
    #[must_use]
    pub fn is_unwritable(&self) -> bool {
        self.unwritable.iter().any(|scope| scope.pattern.is_none())
    }

    /// The grants and the denials, as they were written.
    #[must_use]
    pub fn words(&self) -> (Vec<&str>, Vec<&str>) {
        (texts(&self.reads, &self.writes), texts(&self.unreadable, &self.unwritable))
    }

    /// What narrows the changes of this run, as the user wrote it; empty if nothing does but the names.
    #[must_use]
    pub fn limits(&self) -> String {
        let is_broad = self.writes.iter().any(|scope| scope.pattern.is_none());
        let allowed = self.writes.iter().filter(|_| !is_broad).map(|scope| format!("--allow {}", quoted(&scope.text)));
        let denied = self.unwritable.iter().map(|scope| format!("--deny {}", quoted(&scope.text)));
        allowed.chain(denied).collect::<Vec<_>>().join(" ")
    }

    /// Why a file may not be read, if it may not.
    pub(super) fn check_read(&self, path: &Path) -> Result<(), Withheld> {
        if let Some(scope) = self.unreadable.iter().find(|scope| scope.denies(path)) {
            return Err(Withheld::Denied(scope.text.clone()));
        }
        if secrets::is_secret(path) && !self.reads.iter().any(|scope| scope.covers(path)) {
            return Err(Withheld::Secret);
        }
        Ok(())
    }

    /// Why a file may not be created, changed, moved or deleted, if it may not. What may not be read may not be
    /// changed either: moved elsewhere it could be read.
    pub(super) fn check_change(&self, path: &Path) -> Result<(), Refusal> {
        if let Some(scope) = self.unwritable.iter().chain(&self.unreadable).find(|scope| scope.denies(path)) {
            return Err(denied(path, &scope.text));
        }
        let protected = protected::names(path);
        let is_written = self.writes.iter().any(|scope| scope.covers(path) && scope.names(&protected));
        let is_secret = self.check_read(path).is_err();
        if is_written && !is_secret {
            return Ok(());
        }
        let name = paths::shown(path);
        let why = match protected.first() {
            Some(_) if !is_written => format!("{name} is protected, since programs obey what is in it"),
            _ if is_secret => format!("{name} is named as secrets usually are"),
            _ => format!("{name} is outside what this run may change ({})", self.granted_writes()),
        };
        let mut grants = Vec::new();
        if !is_written {
            grants.push(format!("write:{}", names::escape(path)));
        }
        if is_secret {
            grants.push(format!("read:{}", names::escape(path)));
        }
        Err(lacking(&why, &grants))
    }

    /// True if a grant names exactly this path.
    pub(super) fn names(&self, path: &Path) -> bool {
        self.writes.iter().filter_map(|scope| scope.pattern.as_ref()).any(|pattern| pattern.path == path)
    }

    fn granted_writes(&self) -> String {
        self.writes.iter().map(|scope| scope.text.as_str()).collect::<Vec<_>>().join(", ")
    }
}

fn texts<'a>(one: &'a [Scope], other: &'a [Scope]) -> Vec<&'a str> {
    one.iter().chain(other).map(|scope| scope.text.as_str()).collect()
}

/// Why a file may not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Withheld {
    /// Its name is one that secrets usually have.
    Secret,
    /// This denial of the command line.
    Denied(String),
}

/// The refusal for want of grants.
pub(super) fn lacking(why: &str, grants: &[String]) -> Refusal {
    let flags: Vec<String> = grants.iter().map(|grant| format!("--allow {}", quoted(grant))).collect();
    let remedy = flags.join(" ");
    Refusal::Denied { message: format!("{why}; the user may grant {remedy}"), remedy }
}

/// The refusal for a denial, which no grant outweighs.
pub(super) fn denied(path: &Path, text: &str) -> Refusal {
    let flag = format!("--deny {}", quoted(text));
    Refusal::Denied {
        message: format!("{}: {flag} forbids it", paths::shown(path)),
        remedy: format!("leave out {flag}"),
    }
}

fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

impl Scope {
    fn covers(&self, path: &Path) -> bool {
        let is_covered = |pattern: &Pattern| pattern.path == path || pattern.matcher.is_match(path);
        self.pattern.as_ref().is_none_or(is_covered)
    }

    /// A denied directory is denied with all that is in it.
    fn denies(&self, path: &Path) -> bool {
        path.ancestors().any(|part| self.covers(part))
    }

    /// True if the scope names all these protected names itself.
    fn names(&self, protected: &[&str]) -> bool {
        let own = self.pattern.as_ref().map(|pattern| protected::names(&pattern.path)).unwrap_or_default();
        protected.iter().all(|name| own.contains(name))
    }
}

/// Reads one word.
fn scope(word: &str) -> Result<(Action, Scope), String> {
    let (action, pattern) = match word.split_once(':') {
        Some((action, pattern)) => (action, Some(pattern)),
        None => (word, None),
    };
    let action = match action {
        "read" => Action::Read,
        "write" => Action::Write,
        _ => {
            let why = "the grants are 'write', 'write:GLOB' and 'read:PATH'; this version of flux runs no commands";
            return Err(format!("{why}: flux help permissions"));
        }
    };
    let pattern = pattern.map(parse_pattern).transpose()?;
    Ok((action, Scope { text: word.to_owned(), pattern }))
}

fn parse_pattern(text: &str) -> Result<Pattern, String> {
    let bad = |why: &str| Err(format!("{why}: flux help permissions"));
    let path = Path::new(text);
    if path.is_absolute() {
        return bad("the path is relative to the root, so it does not begin with '/'");
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
    Ok(Pattern { path, matcher })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(allow: &[&str], deny: &[&str]) -> Policy {
        let words = |list: &[&str]| list.iter().map(ToString::to_string).collect::<Vec<_>>();
        Policy::parse(&words(allow), &words(deny)).unwrap()
    }

    fn remedy(policy: &Policy, path: &str) -> Option<String> {
        match policy.check_change(Path::new(path)) {
            Ok(()) => None,
            Err(Refusal::Denied { remedy, .. }) => Some(remedy),
            Err(other) => panic!("{other:?}"),
        }
    }

    #[track_caller]
    fn may(policy: &Policy, paths: &[&str]) {
        for path in paths {
            assert_eq!(remedy(policy, path), None, "{path}");
        }
    }

    #[track_caller]
    fn may_not(policy: &Policy, paths: &[&str]) {
        for path in paths {
            assert!(remedy(policy, path).is_some(), "{path}");
        }
    }

    #[test]
    fn a_glob_stays_within_its_directory() {
        may(&policy(&["write"], &[]), &["a", "src/a/b.rs", "token-secrets/tokenizer.rs", "*", "-rf"]);
        let some = policy(&["write:src/*.rs", "write:docs/**", "write:a/[id].ts"], &[]);
        may(&some, &["src/a.rs", "docs/a", "docs/a/b", "a/[id].ts"]);
        may_not(&some, &["src/a/b.rs", "a.rs", "docs", "xsrc/a.rs", "src/a.rs/x", "a/x.ts"]);
        assert_eq!(remedy(&some, "it's").as_deref(), Some(r"--allow 'write:it'\''s'"));
        assert!(!policy(&[], &[]).may_write() && policy(&["write:a"], &[]).may_write());
    }

    #[test]
    fn a_denial_always_wins_and_holds_for_all_beneath() {
        let denied = policy(&["write", "write:src/a", "read:.env"], &["write:src", "read:.env"]);
        may(&denied, &["srcs", "lib/src"]);
        may_not(&denied, &["src/a", "src/b/c", "src", ".env"]);
        assert_eq!(remedy(&denied, "src/a").as_deref(), Some("leave out --deny 'write:src'"));
        assert_eq!(denied.check_read(Path::new(".env")), Err(Withheld::Denied("read:.env".to_owned())));
        assert!(!policy(&["write"], &["write"]).may_write());
        let blind = policy(&["write"], &["read"]);
        assert!(!blind.may_read() && !blind.may_write());
    }

    #[test]
    fn a_protected_name_is_unlocked_only_by_its_name() {
        let broad = policy(&["write", "write:**", "write:*", "write:.*/**"], &[]);
        may_not(&broad, &[".git/hooks/x", ".github/workflows/ci.yml", "AGENTS.md", "a/.envrc", ".cargo/config.toml"]);
        let named = policy(&["write:.github/**", "write:**/AGENTS.md", "write:.cargo/config*"], &[]);
        may(&named, &[".github/workflows/ci.yml", "AGENTS.md", "a/AGENTS.md", ".cargo/config.toml"]);
        may_not(&named, &[".github/.git/hooks/x", ".github/x/CLAUDE.md", ".git/AGENTS.md", ".vscode/x"]);
        assert_eq!(remedy(&broad, ".github/x").as_deref(), Some("--allow 'write:.github/x'"));
    }

    #[test]
    fn a_secret_needs_both_grants() {
        assert_eq!(remedy(&policy(&["write"], &[]), "a.pem").as_deref(), Some("--allow 'read:a.pem'"));
        assert_eq!(
            remedy(&policy(&["write"], &[]), ".env").as_deref(),
            Some("--allow 'write:.env' --allow 'read:.env'")
        );
        may(&policy(&["write:.env", "read:.env"], &[]), &[".env"]);
        may(&policy(&["write", "read:*.pem"], &[]), &["a.pem"]);
        may_not(&policy(&["write", "read:*.pem"], &[]), &["a/b.pem", ".env"]);
    }

    #[test]
    fn words_that_cannot_be_understood_are_refused_with_the_part_at_fault() {
        let cases = [
            ("write:/etc/**", "--allow write:/etc/**: the path is relative to the root, so it does not begin with '/'"),
            ("write:../**", "--allow write:../**: the path is one beneath the root, so it has no '..'"),
            ("write:a/../../b", "--allow write:a/../../b: the path is one beneath the root, so it has no '..'"),
            ("write:", "--allow write:: no path stands after the ':'"),
            ("write:.", "--allow write:.: no path stands after the ':'"),
            ("write:src/", "--allow write:src/: write 'DIRECTORY/**' for all that is in a directory"),
            ("write:[", "--allow write:[: this is no glob: "),
            ("read", "--allow read: reading needs no grant; "),
        ];
        for (word, message) in cases {
            let error = Policy::parse(&[word.to_owned()], &[]).unwrap_err();
            assert!(error.starts_with(message), "{error}");
        }
        for word in ["cargo test", "run", "bash", "all", "run:sh*", "shell", "net", "env:HOME", "", "WRITE", " write"] {
            let error = Policy::parse(&[], &[word.to_owned()]).unwrap_err();
            assert!(error.starts_with(&format!("--deny {word}: ")) && error.contains("runs no commands"), "{error}");
        }
    }
}
