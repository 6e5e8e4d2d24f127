//! The layers of flags: command line over `FLUX_…` variables over profile over configuration file. All are the
//! same flags, read by the same parser; what may not come from a place is refused there, with its line.

use std::ffi::OsString;
use std::path::Path;

use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, CommandFactory as _, FromArgMatches as _};

use super::args::{Ask, Cli, SandboxArg};
use super::forms;
use crate::base::env;
use crate::base::exit::Exit;
use crate::base::failure::{Failure, OrFail as _, Result};
use crate::base::files;

/// Flags that would change the rights or the output of every pipe: command line and profile only.
const NOT_IN_CONFIG: &[&str] = &[
    "allow",
    "tool",
    "session",
    "root",
    "list_tools",
    "files",
    "no_stdin",
    "stdin",
    "output",
    "format",
    "json",
    "jsonl",
    "extract",
    "no_extract",
    "schema",
    "check",
    "no_check",
    "choice",
    "prepend_to",
    "fail_open",
    "no_fail_open",
    "dry_run",
];
/// More is no configuration.
const LONGEST: u64 = 1 << 20;
/// Flags that choose the files themselves.
const NOWHERE: &[&str] = &["profile", "no_config"];
/// What decides where the key goes: not from the environment either, which a directory's tools may set.
const NOT_IN_ENV: &[&str] =
    &["base_url", "api_key_cmd", "api_key_file", "api_key_env", "header", "allow_http", "ca_file", "no_config"];

/// Where it may stand that programs run unconfined.
const ELSEWHERE: &str = "may stand on the command line or in a profile, not here";

/// A place that flags come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// `$XDG_CONFIG_HOME/flux/config`
    Config,
    /// `$XDG_CONFIG_HOME/flux/profiles/NAME`
    Profile,
}

/// Adds the other layers to what was typed: `typed` are the arguments after `flux ask`.
///
/// # Errors
/// A file cannot be read or trusted, or holds what it may not hold.
pub fn layered(typed_ask: Ask, typed: &[OsString]) -> Result<Ask> {
    let mut words: Vec<OsString> = Vec::new();
    let directory = env::config_dir();
    if !typed_ask.config.no_config
        && let Some(path) = directory.as_ref().map(|d| d.join("config"))
        && let Some(text) = read(&path)?
    {
        words.extend(parse_file(&path, &text, Place::Config)?);
    }
    let from_env = from_env()?;
    let profile = typed_ask.config.profile.clone().or_else(|| env::var("FLUX_PROFILE"));
    if let Some(name) = profile {
        words.extend(profile_words(&name, directory.as_deref())?);
    }
    words.extend(from_env);
    if words.is_empty() {
        return Ok(typed_ask);
    }
    words.extend(typed.iter().cloned());
    // Each layer was parsed by itself; together they can only clash in ways that one command line can.
    let matches = parse(words).map_err(|e| Failure::new(Exit::Usage, first_line(&e)))?;
    let mut ask = Ask::from_arg_matches(&matches).map_err(|e| Failure::new(Exit::Usage, first_line(&e)))?;
    forms::give_way(&mut ask, &typed_ask);
    Ok(ask)
}

/// Parses the arguments of `flux ask`.
///
/// # Errors
/// What clap says.
pub fn parse(words: Vec<OsString>) -> std::result::Result<ArgMatches, clap::Error> {
    let words = [OsString::from("flux"), OsString::from("ask")].into_iter().chain(words);
    let mut matches = Cli::command().try_get_matches_from(words)?;
    Ok(matches.remove_subcommand().map(|(_, ask)| ask).unwrap_or_default())
}

fn profile_words(name: &str, directory: Option<&Path>) -> Result<Vec<OsString>> {
    if name.contains(char::is_whitespace) {
        let message = format!("profile '{name}' does not exist: a prompt needs no flag: flux ask '{name}'");
        return Err(Failure::new(Exit::Config, message));
    }
    let missing = || Failure::new(Exit::Config, format!("profile '{name}' does not exist"));
    let path = directory.ok_or_else(missing)?.join("profiles").join(name);
    if name.contains('/') || name.starts_with('.') {
        return Err(missing());
    }
    let text = read(&path)?.ok_or_else(|| missing().context(format!("no {}", path.display())))?;
    let mut words = parse_file(&path, &text, Place::Profile)?;
    relative_prompt_file(&mut words, &path);
    Ok(words)
}

/// `--prompt-file` in a profile is relative to the profile.
fn relative_prompt_file(words: &mut [OsString], profile: &Path) {
    let beside = |value: &str| profile.parent().unwrap_or(Path::new("")).join(value).into_os_string();
    for at in 0..words.len() {
        let Some(word) = words[at].to_str().map(str::to_owned) else { continue };
        if let Some(value) = word.strip_prefix("--prompt-file=") {
            let mut joined = OsString::from("--prompt-file=");
            joined.push(beside(value));
            words[at] = joined;
        } else if word == "--prompt-file"
            && let Some(value) = words.get(at + 1).and_then(|v| v.to_str()).map(str::to_owned)
        {
            words[at + 1] = beside(&value);
        }
    }
}

/// Reads a configuration file; `None` if there is none.
fn read(path: &Path) -> Result<Option<String>> {
    let Some(bytes) = files::read_trusted_file(path, LONGEST)? else { return Ok(None) };
    String::from_utf8(bytes).map(Some).or_fail(Exit::Config, || path.display().to_string())
}

/// The words of a configuration file, checked.
///
/// # Errors
/// A line holds something else than flags that may stand there.
pub fn parse_file(path: &Path, text: &str, place: Place) -> Result<Vec<OsString>> {
    let mut all = Vec::new();
    for (line, words) in logical_lines(text).map_err(|line| at(path, line, "a quote is not closed"))? {
        if words.iter().any(|word| word == "--") {
            return Err(at(path, line, "'--' is for the command line"));
        }
        let words: Vec<OsString> = words.into_iter().map(|word| expand_home(&word)).collect();
        let matches = parse(words.clone()).map_err(|error| at(path, line, &unknown(&error)))?;
        if let Some(word) = matches.get_many::<String>("prompt").and_then(|mut words| words.next()) {
            return Err(at(path, line, &format!("only flags may stand here, not '{word}'")));
        }
        let forbidden = |id: &String| {
            NOWHERE.contains(&id.as_str()) || (place == Place::Config && NOT_IN_CONFIG.contains(&id.as_str()))
        };
        if place == Place::Config && turns_sandbox_off(&matches) {
            return Err(at(path, line, &format!("--sandbox off {ELSEWHERE}")));
        }
        if let Some(id) = given(&matches).find(forbidden) {
            let elsewhere = if NOWHERE.contains(&id.as_str()) { "" } else { " or in a profile" };
            let message = format!("{} may stand on the command line{elsewhere}, not here", flag(&id));
            return Err(at(path, line, &message));
        }
        all.extend(words);
    }
    Ok(all)
}

/// The lines of a file as words, with their numbers; a quote may span lines.
fn logical_lines(text: &str) -> std::result::Result<Vec<(usize, Vec<String>)>, usize> {
    let mut found = Vec::new();
    let mut open = String::new();
    let mut start = 1;
    for (index, line) in text.lines().enumerate() {
        if open.is_empty() {
            start = index + 1;
        }
        open.push_str(line);
        if let Ok(words) = shell_words::split(&open) {
            open.clear();
            if !words.is_empty() {
                found.push((start, words));
            }
        } else {
            open.push('\n');
        }
    }
    if open.is_empty() { Ok(found) } else { Err(start) }
}

/// Only a leading `~/` is expanded, also after `--flag=`.
fn expand_home(word: &str) -> OsString {
    let (before, path) = match word.split_once('=') {
        Some((flag, value)) if flag.starts_with("--") && value.starts_with("~/") => (format!("{flag}="), value),
        _ => (String::new(), word),
    };
    match (path.strip_prefix("~/"), env::home()) {
        (Some(rest), Some(home)) => {
            let mut expanded = OsString::from(before);
            expanded.push(home.join(rest));
            expanded
        }
        _ => OsString::from(word),
    }
}

/// The flags that `FLUX_…` variables stand for. Unknown variables are ignored; a bad value is an error.
fn from_env() -> Result<Vec<OsString>> {
    let variables = env::with_prefix("FLUX_");
    let mut words = Vec::new();
    if variables.is_empty() {
        return Ok(words);
    }
    let command = Cli::command();
    let Some(ask) = command.find_subcommand("ask") else { return Ok(words) };
    for (name, value) in variables {
        let long = name["FLUX_".len()..].to_lowercase().replace('_', "-");
        let Some(arg) = ask.get_arguments().find(|arg| arg.get_long() == Some(&long)) else { continue };
        let id = arg.get_id().as_str();
        if NOT_IN_CONFIG.contains(&id) || NOT_IN_ENV.contains(&id) || value.as_ref().is_ok_and(String::is_empty) {
            continue;
        }
        let value = value.map_err(|_| Failure::new(Exit::Config, format!("{name}: not UTF-8")))?;
        let exists = |flag: &str| ask.get_arguments().any(|arg| arg.get_long() == Some(flag));
        let Some(word) = env_word(arg, &long, &value, &name, &exists)? else { continue };
        let matches = parse(vec![word.clone()]);
        let matches = matches.map_err(|e| Failure::new(Exit::Config, format!("{name}: {}", first_line(&e))))?;
        if turns_sandbox_off(&matches) {
            return Err(Failure::new(Exit::Config, format!("{name}: --sandbox off {ELSEWHERE}")));
        }
        words.push(word);
    }
    Ok(words)
}

fn env_word(arg: &Arg, long: &str, value: &str, name: &str, exists: &dyn Fn(&str) -> bool) -> Result<Option<OsString>> {
    if matches!(arg.get_action(), ArgAction::Set | ArgAction::Append) {
        return Ok(Some(format!("--{long}={value}").into()));
    }
    match value {
        "1" | "true" | "yes" | "on" => Ok(Some(format!("--{long}").into())),
        "0" | "false" | "no" | "off" => {
            let opposite = long.strip_prefix("no-").map_or_else(|| format!("no-{long}"), str::to_owned);
            Ok(exists(&opposite).then(|| format!("--{opposite}").into()))
        }
        other => Err(Failure::new(Exit::Config, format!("{name}: '{other}' is neither 1 nor 0"))),
    }
}

/// Whether programs would run unconfined: only somebody who sees it may say so.
fn turns_sandbox_off(matches: &ArgMatches) -> bool {
    matches.get_one::<SandboxArg>("sandbox") == Some(&SandboxArg::Off)
}

/// The ids of the arguments that were given.
fn given(matches: &ArgMatches) -> impl Iterator<Item = String> {
    let is_given = |id: &&clap::Id| matches.value_source(id.as_str()) == Some(ValueSource::CommandLine);
    matches.ids().filter(is_given).map(|id| id.as_str().to_owned())
}

fn flag(id: &str) -> String {
    match id {
        "files" => "--file".to_owned(),
        other => format!("--{}", other.replace('_', "-")),
    }
}

fn unknown(error: &clap::Error) -> String {
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => "not a flag for a file".to_owned(),
        _ => first_line(error),
    }
}

/// What clap says, in one line and without its prefix and usage.
#[must_use]
pub fn first_line(error: &clap::Error) -> String {
    let text = error.to_string();
    let said = text.lines().take_while(|line| !line.starts_with("Usage:") && !line.starts_with("For more"));
    let line = said.map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" ");
    line.strip_prefix("error: ").unwrap_or(&line).to_owned()
}

fn at(path: &Path, line: usize, what: &str) -> Failure {
    Failure::new(Exit::Config, format!("{}:{line}: {what}", path.display()))
}

/// Refuses a configuration that lies beneath the root: what the model reads, or a checkout brings along, must not
/// configure the run. The default place under the home directory is the user's own.
///
/// # Errors
/// It lies there.
pub fn check_outside(root: &Path) -> Result<()> {
    let Some(dir) = env::config_dir() else { return Ok(()) };
    let default = env::home().map(|home| home.join(".config").join("flux"));
    if default.as_ref() == Some(&dir) || !dir.canonicalize().is_ok_and(|dir| dir.starts_with(root)) {
        return Ok(());
    }
    let message =
        format!("{}: the configuration lies beneath {}: move it, or add --no-config", dir.display(), root.display());
    Err(Failure::new(Exit::Config, message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_split_as_a_shell_splits_them() {
        let text = "# comment\n-m openai # more\n\n-s 'two\nlines' --debug\n";
        let lines = logical_lines(text).unwrap();
        assert_eq!(lines[0], (2, vec!["-m".to_owned(), "openai".to_owned()]));
        assert_eq!(lines[1], (4, vec!["-s".to_owned(), "two\nlines".to_owned(), "--debug".to_owned()]));
        assert_eq!(logical_lines("-m a\n-s 'open\n"), Err(2));
    }
}
