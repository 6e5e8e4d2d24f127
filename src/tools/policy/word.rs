//! The grammar of `--allow` and `--deny`: one word, read once, and what was probably meant by a word that is none.
//! Pure.

use std::path::{Component, Path, PathBuf};

use super::command;
use super::scope::Pattern;
use crate::base::text::distance;

/// One word of `--allow` or `--deny`; without a pattern it is about everything of its kind.
#[derive(Debug)]
pub(super) enum Word {
    Read(Option<Pattern>),
    /// An absolute path.
    Place(PathBuf),
    Write(Option<Pattern>),
    Run(Option<command::Pattern>),
    Shell,
    Net,
    Variable(Option<String>),
}

const KINDS: [&str; 6] = ["read", "write", "run", "shell", "net", "env"];

/// What others call the same thing.
const ALIKE: [(&str, &str); 12] = [
    ("edit", "write"),
    ("edits", "write"),
    ("files", "write"),
    ("modify", "write"),
    ("create", "write"),
    ("network", "net"),
    ("internet", "net"),
    ("web", "net"),
    ("http", "net"),
    ("https", "net"),
    ("online", "net"),
    ("fetch", "net"),
];

/// Words for more than any one grant gives.
const TOO_MUCH: [&str; 14] = [
    "all",
    "any",
    "bash",
    "cmd",
    "command",
    "commands",
    "everything",
    "exec",
    "execute",
    "full",
    "sh",
    "tools",
    "yolo",
    "zsh",
];

/// Variables by whose value a program runs, loads or trusts something else, or that flux sets itself.
const NO_VARIABLES: [&str; 16] = [
    "PATH",
    "HOME",
    "TMPDIR",
    "TERM",
    "BASH_ENV",
    "ENV",
    "PROMPT_COMMAND",
    "IFS",
    "SHELLOPTS",
    "BASHOPTS",
    "NODE_OPTIONS",
    "EDITOR",
    "VISUAL",
    "PAGER",
    "XDG_RUNTIME_DIR",
    "CDPATH",
];

/// Beginnings and an ending of such names.
const NO_BEGINNINGS: [&str; 10] = ["LD_", "DYLD_", "PYTHON", "PERL5", "RUBY", "GIT_", "SSL_", "LESS", "SSH_", "DBUS_"];
const NO_ENDING: &str = "_PROXY";

/// Reads one word.
pub(super) fn parse(word: &str) -> Result<Word, String> {
    let (kind, pattern) = match word.split_once(':') {
        Some((kind, pattern)) => (kind, Some(pattern)),
        None => (word, None),
    };
    match (kind, pattern) {
        ("read", Some(path)) if path.starts_with('/') => place(path).map(Word::Place),
        ("read", _) => pattern.map(Pattern::parse).transpose().map(Word::Read),
        ("write", _) => pattern.map(Pattern::parse).transpose().map(Word::Write),
        ("run", _) => {
            let command = pattern.map(command::Pattern::parse).transpose();
            command.map(Word::Run).map_err(|why| format!("{why}: flux help permissions"))
        }
        ("shell", None) => Ok(Word::Shell),
        ("net", None) => Ok(Word::Net),
        ("shell", Some(_)) => Err("'shell' takes no pattern; 'run:PROGRAM **' permits one program".to_owned()),
        ("net", Some(_)) => Err("'net' takes no port and no host: it is the whole network".to_owned()),
        ("env", _) => pattern.map(variable).transpose().map(Word::Variable),
        _ => Err(meant(word)),
    }
}

fn place(text: &str) -> Result<PathBuf, String> {
    let path = Path::new(text);
    if path.components().any(|part| part == Component::ParentDir) {
        return Err("an absolute path is written without '..'".to_owned());
    }
    if text.contains('*') {
        return Err("an absolute path is taken as it stands, with all that is in it: no '*'".to_owned());
    }
    Ok(path.components().collect())
}

fn variable(name: &str) -> Result<String, String> {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if name.contains('=') {
        return Err("the value comes from the environment: only the name stands here".to_owned());
    }
    if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) || !name.chars().all(is_word) {
        return Err("this is no name of a variable".to_owned());
    }
    let upper = name.to_uppercase();
    let is_one = NO_VARIABLES.contains(&upper.as_str())
        || NO_BEGINNINGS.iter().any(|beginning| upper.starts_with(beginning))
        || upper.ends_with(NO_ENDING);
    if is_one {
        return Err("this variable decides what programs run or trust, so no child gets it".to_owned());
    }
    Ok(name.to_owned())
}

/// What to say about a word that is no grant: the one that was probably meant.
fn meant(word: &str) -> String {
    let lower = word.trim().to_lowercase();
    let kind = lower.split(':').next().unwrap_or_default();
    let alike = ALIKE.iter().find(|(other, _)| *other == kind).map(|(_, kind)| *kind);
    let misspelt = || KINDS.into_iter().find(|known| is_misspelt(kind, known));
    if TOO_MUCH.contains(&kind) || kind.is_empty() {
        return "no one word permits that: flux help permissions".to_owned();
    }
    if let Some(known) = alike.or_else(misspelt) {
        let rest = word.trim().split_once(':').map_or_else(String::new, |(_, rest)| format!(":{rest}"));
        return format!("no grant; probably meant: '{known}{rest}'");
    }
    if let Some((name, _)) = word.split_once('=').filter(|(name, _)| variable(name).is_ok()) {
        return format!("no grant; probably meant: 'env:{name}'");
    }
    let command = format!("{} **", word.trim());
    if !word.contains([':', '(']) && command::Pattern::parse(&command).is_ok() {
        return format!("no grant; probably meant: 'run:{command}'");
    }
    "the grants are 'read:PATH', 'write', 'write:GLOB', 'run:PROGRAM **', 'shell', 'net' and 'env:NAME': flux help \
     permissions"
        .to_owned()
}

fn is_misspelt(word: &str, known: &str) -> bool {
    let limit = if word.len() < 5 { 1 } else { 2 };
    word.len() > 2 && word.len() < 10 && distance(word, known) <= limit
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_that_is_no_grant_gets_the_one_that_was_meant() {
        let cases = [
            ("cargo test", "'run:cargo test **'"),
            ("npm", "'run:npm **'"),
            ("make -j4", "'run:make -j4 **'"),
            ("run", ""),
            ("bash", "flux help permissions"),
            ("all", "flux help permissions"),
            ("", "flux help permissions"),
            ("Bash(git status:*)", "flux help permissions"),
            ("WRITE", "'write'"),
            (" write", "'write'"),
            ("wirte:src/**", "'write:src/**'"),
            ("edit", "'write'"),
            ("network", "'net'"),
            ("CARGO_TERM_COLOR=always", "'env:CARGO_TERM_COLOR'"),
            ("net:443", "no port"),
            ("shell:ls", "'run:PROGRAM **'"),
            ("env:A=b", "only the name"),
            ("env:", "no name of a variable"),
            ("env:1A", "no name of a variable"),
            ("env:LD_PRELOAD", "no child gets it"),
            ("env:https_proxy", "no child gets it"),
            ("env:PATH", "no child gets it"),
            ("env:PYTHONPATH", "no child gets it"),
            ("read:/a/../b", "without '..'"),
            ("read:/a/*.txt", "no '*'"),
        ];
        for (word, hint) in cases {
            match parse(word) {
                Ok(_) => assert!(hint.is_empty(), "{word}"),
                Err(why) => assert!(!hint.is_empty() && why.contains(hint), "{word}: {why}"),
            }
        }
    }
}
