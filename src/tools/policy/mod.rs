//! What this run may do: the grants and denials of the command line, their one grammar, and what they mean for a path
//! and for a command. Pure: it knows no file system. Paths beneath the root are true ones, relative to the root and
//! without links; other places are absolute.

mod command;
#[cfg(test)]
mod policy_test;
mod scope;
mod word;

use std::path::{Path, PathBuf};

use super::{Refusal, names, paths, protected, secrets};

use scope::{Pattern, Scope};
use word::Word;

pub(super) use scope::Extent;

/// The grants and denials of a run. The default is to read what is no secret, and to change and to run nothing.
#[derive(Debug, Clone, Default)]
pub struct Policy {
    allowed: Words,
    denied: Words,
    /// Files of the run itself, relative to the root.
    kept: Vec<PathBuf>,
}

/// The words of one flag, sorted by what they are about.
#[derive(Debug, Clone, Default)]
struct Words {
    /// All of them, as they were written.
    texts: Vec<String>,
    reads: Vec<Scope>,
    /// Absolute paths, with all that is in them.
    places: Vec<PathBuf>,
    writes: Vec<Scope>,
    /// With the word; `None` is every command.
    commands: Vec<(String, Option<command::Pattern>)>,
    /// `None` is every variable.
    variables: Vec<Option<String>>,
    shell: bool,
    net: bool,
}

impl Policy {
    /// Reads the words of `--allow` and `--deny`.
    ///
    /// # Errors
    /// Which word cannot be understood, and why, in one line.
    pub fn parse(allow: &[String], deny: &[String]) -> Result<Self, String> {
        let mut policy = Self::default();
        for text in allow {
            let word = word::parse(text).and_then(|word| match too_broad(&word) {
                Some(why) => Err(why.to_owned()),
                None => Ok(word),
            });
            policy.allowed.add(text, word.map_err(|why| format!("--allow {text}: {why}"))?);
        }
        for text in deny {
            policy.denied.add(text, word::parse(text).map_err(|why| format!("--deny {text}: {why}"))?);
        }
        Ok(policy)
    }

    /// Settles what absolute paths mean where the root is `root`; `real` gives a path without links, if it exists.
    /// A path beneath the root is one like those that are relative to it.
    ///
    /// # Errors
    /// A granted path does not exist.
    pub fn settle(&mut self, root: &Path, real: &dyn Fn(&Path) -> Option<PathBuf>) -> Result<(), PathBuf> {
        for place in std::mem::take(&mut self.allowed.places) {
            let real = real(&place).ok_or_else(|| place.clone())?;
            match real.strip_prefix(root) {
                Ok(beneath) => self.allowed.reads.extend(exactly(&place, beneath)),
                Err(_) => self.allowed.places.push(real),
            }
        }
        for place in std::mem::take(&mut self.denied.places) {
            let real = real(&place).unwrap_or(place);
            match real.strip_prefix(root) {
                Ok(beneath) if !beneath.as_os_str().is_empty() => self.denied.reads.extend(exactly(&real, beneath)),
                _ if root.starts_with(&real) => {
                    self.denied.reads.push(Scope { text: format!("read:{}", real.display()), pattern: None });
                }
                _ => self.denied.places.push(real),
            }
        }
        Ok(())
    }

    /// Closes the file that holds the key of this run, given by its real path: to tools and to programs.
    pub fn close_key(&mut self, root: &Path, file: &Path) {
        match file.strip_prefix(root) {
            Ok(beneath) => self.denied.reads.extend(exactly(file, beneath)),
            Err(_) => self.denied.places.push(file.to_owned()),
        }
    }

    /// Keeps a file of this run itself, given by its real path, from changes by flux's own tools.
    pub fn keep(&mut self, root: &Path, file: &Path) {
        self.kept.extend(file.strip_prefix(root).ok().map(Path::to_owned));
    }

    /// Whether anything at all can be read.
    #[must_use]
    pub fn may_read(&self) -> bool {
        self.denied.reads.iter().all(|scope| scope.pattern.is_some())
    }

    /// Whether anything at all can be changed.
    #[must_use]
    pub fn may_write(&self) -> bool {
        !self.allowed.writes.is_empty() && self.may_read() && !self.is_unwritable()
    }

    /// Whether a denial forbids every change.
    #[must_use]
    pub fn is_unwritable(&self) -> bool {
        self.denied.writes.iter().any(|scope| scope.pattern.is_none())
    }

    /// Whether some command can be run.
    #[must_use]
    pub fn may_run(&self) -> bool {
        !self.allowed.commands.is_empty() && !self.is_unrunnable() && self.may_read()
    }

    /// Whether a denial forbids every command.
    #[must_use]
    pub fn is_unrunnable(&self) -> bool {
        self.denied.commands.iter().any(|(_, command)| command.is_none())
    }

    /// Whether the model may write commands for a shell.
    #[must_use]
    pub fn may_shell(&self) -> bool {
        self.allowed.shell && !self.denied.shell && self.may_read()
    }

    /// Whether a denial forbids the shell.
    #[must_use]
    pub fn is_shell_denied(&self) -> bool {
        self.denied.shell
    }

    /// Whether programs may use the network.
    #[must_use]
    pub fn may_net(&self) -> bool {
        self.allowed.net && !self.denied.net
    }

    /// Whether commands, or a shell, are asked for at all, whatever is denied.
    #[must_use]
    pub fn grants_programs(&self) -> bool {
        self.allowed.shell || !self.allowed.commands.is_empty()
    }

    /// The variables that programs get besides the usual ones.
    pub fn variables(&self) -> impl Iterator<Item = &str> {
        let is_denied = |name: &str| {
            self.denied.variables.iter().any(|denied| denied.as_deref().is_none_or(|denied| denied == name))
        };
        self.allowed.variables.iter().flatten().map(String::as_str).filter(move |name| !is_denied(name))
    }

    /// The places outside the root that may be read.
    #[must_use]
    pub fn places(&self) -> &[PathBuf] {
        &self.allowed.places
    }

    /// The grants and the denials, as they were written.
    #[must_use]
    pub fn words(&self) -> (&[String], &[String]) {
        (&self.allowed.texts, &self.denied.texts)
    }

    /// What narrows the changes of this run, as the user wrote it; empty if nothing does but the names.
    #[must_use]
    pub fn limits(&self) -> String {
        let writes = &self.allowed.writes;
        let is_broad = writes.iter().any(|scope| scope.pattern.is_none());
        let allowed = writes.iter().filter(|_| !is_broad).map(|scope| format!("--allow {}", quoted(&scope.text)));
        let denied = self.denied.writes.iter().map(|scope| format!("--deny {}", quoted(&scope.text)));
        allowed.chain(denied).collect::<Vec<_>>().join(" ")
    }

    /// The commands that may be run, as patterns; those of a denial are not taken out.
    #[must_use]
    pub fn commands(&self) -> Vec<String> {
        self.allowed.commands.iter().filter_map(|(_, command)| command.as_ref()).map(ToString::to_string).collect()
    }

    /// The programs of these commands, as they are to be called.
    pub(super) fn programs(&self) -> impl Iterator<Item = &str> {
        self.allowed.commands.iter().filter_map(|(_, command)| command.as_ref()).map(command::Pattern::program)
    }

    /// Why a command may not be run, if it may not.
    pub(super) fn check_run(&self, argv: &[String]) -> Result<(), Refusal> {
        let covers = |command: &Option<command::Pattern>| command.as_ref().is_none_or(|pattern| pattern.matches(argv));
        let shown = shown(argv);
        if let Some((text, _)) = self.denied.commands.iter().find(|(_, command)| covers(command)) {
            return Err(forbidden(&shown, text));
        }
        if self.allowed.commands.iter().any(|(_, command)| covers(command)) {
            return Ok(());
        }
        let why = format!("{shown} is none of the commands of this run ({})", self.commands().join("; "));
        Err(lacking(&why, &[command::grant_for(argv)]))
    }

    /// Why a file may not be read, if it may not.
    pub(super) fn check_read(&self, path: &Path) -> Result<(), Withheld> {
        if path.is_absolute() {
            return self.check_read_outside(path);
        }
        if let Some(scope) = self.denied.reads.iter().find(|scope| scope.denies(path)) {
            return Err(Withheld::Denied(scope.text.clone()));
        }
        if secrets::is_secret(path) && !self.allowed.reads.iter().any(|scope| scope.covers(path)) {
            return Err(Withheld::Secret);
        }
        Ok(())
    }

    fn check_read_outside(&self, path: &Path) -> Result<(), Withheld> {
        if let Some(place) = self.denied.places.iter().find(|place| path.starts_with(place)) {
            return Err(Withheld::Denied(format!("read:{}", place.display())));
        }
        if secrets::is_secret(path) && !self.allowed.places.iter().any(|place| place == path) {
            return Err(Withheld::Secret);
        }
        Ok(())
    }

    /// The places outside the root that denials close.
    pub(super) fn denied_places(&self) -> &[PathBuf] {
        &self.denied.places
    }

    /// True if a denial closes this absolute path.
    pub(super) fn is_denied_outside(&self, path: &Path) -> bool {
        matches!(self.check_read_outside(path), Err(Withheld::Denied(_)))
    }

    /// Why a file may not be created, changed, moved or deleted, if it may not. What may not be read may not be
    /// changed either: moved elsewhere it could be read.
    pub(super) fn check_change(&self, path: &Path) -> Result<(), Refusal> {
        if let Some(scope) = self.denied.writes.iter().chain(&self.denied.reads).find(|scope| scope.denies(path)) {
            return Err(denied(path, &scope.text));
        }
        if self.kept.iter().any(|kept| kept == path) {
            let message = format!("{}: this run itself uses it", paths::shown(path));
            return Err(Refusal::Denied { message, remedy: "name a file elsewhere".to_owned() });
        }
        let protected = protected::names(path);
        let is_written = self.allowed.writes.iter().any(|scope| scope.covers(path) && scope.names(&protected));
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
        self.allowed.writes.iter().any(|scope| scope.is_exactly(path))
    }

    /// True if a grant names exactly this directory, or all that is in it.
    pub(super) fn names_directory(&self, path: &Path) -> bool {
        self.allowed.writes.iter().any(|scope| scope.is_exactly(path) || scope.is_all_beneath(path))
    }

    /// True if a grant of its own unlocks this protected path, or all that is in it.
    pub(super) fn unlocks(&self, path: &Path) -> bool {
        let protected = protected::names(path);
        let is_own = |scope: &Scope| scope.names(&protected) && (scope.covers(path) || scope.is_all_beneath(path));
        self.allowed.writes.iter().any(is_own)
    }

    /// How much of the tree may be changed, grant by grant.
    pub(super) fn writable(&self) -> Vec<Extent> {
        if self.may_write() { self.allowed.writes.iter().map(Scope::extent).collect() } else { Vec::new() }
    }

    /// How much of the tree may not be changed, denial by denial, with its word.
    pub(super) fn unwritable(&self) -> Vec<(Extent, &str)> {
        self.denied.writes.iter().map(|scope| (scope.extent(), scope.text.as_str())).collect()
    }

    fn granted_writes(&self) -> String {
        self.allowed.writes.iter().map(|scope| scope.text.as_str()).collect::<Vec<_>>().join(", ")
    }
}

impl Words {
    fn add(&mut self, text: &str, word: Word) {
        let scope = |pattern| Scope { text: text.to_owned(), pattern };
        self.texts.push(text.to_owned());
        match word {
            Word::Read(pattern) => self.reads.push(scope(pattern)),
            Word::Place(path) => self.places.push(path),
            Word::Write(pattern) => self.writes.push(scope(pattern)),
            Word::Run(command) => self.commands.push((text.to_owned(), command)),
            Word::Shell => self.shell = true,
            Word::Net => self.net = true,
            Word::Variable(name) => self.variables.push(name),
        }
    }
}

/// Why a word that may be denied cannot be granted.
fn too_broad(word: &Word) -> Option<&'static str> {
    match word {
        Word::Read(None) => Some("reading needs no grant; 'read:PATH' permits a file that is named as secrets are"),
        Word::Run(None) => {
            Some("name the programs, as in 'run:cargo test **', or grant 'shell': flux help permissions")
        }
        Word::Variable(None) => Some("name the variable: 'env:NAME'"),
        _ => None,
    }
}

/// The scope for a path that was written as an absolute one.
fn exactly(written: &Path, beneath: &Path) -> Option<Scope> {
    Some(Scope { text: format!("read:{}", written.display()), pattern: Some(Pattern::exactly(beneath)?) })
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
    let remedy = remedy(grants);
    Refusal::Denied { message: format!("{why}; the user may grant {remedy}"), remedy }
}

/// What the user would have to type for these grants.
pub(super) fn remedy(grants: &[String]) -> String {
    grants.iter().map(|grant| format!("--allow {}", quoted(grant))).collect::<Vec<_>>().join(" ")
}

/// The refusal for a denial, which no grant outweighs.
pub(super) fn denied(path: &Path, text: &str) -> Refusal {
    forbidden(&paths::shown(path), text)
}

fn forbidden(what: &str, text: &str) -> Refusal {
    let flag = format!("--deny {}", quoted(text));
    Refusal::Denied { message: format!("{what}: {flag} forbids it"), remedy: format!("leave out {flag}") }
}

fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// A command for a message: as a shell would take it, in one line, and not without end.
fn shown(argv: &[String]) -> String {
    const LIMIT: usize = 200;
    let joined = shell_words::join(argv.iter().take(100));
    let line = names::shown(&joined);
    let cut = crate::base::text::prefix(&line, LIMIT);
    if cut.len() < line.len() { format!("{cut}…") } else { cut.to_owned() }
}
