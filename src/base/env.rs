//! The one door to the environment.
#![expect(clippy::disallowed_methods, reason = "this is the module that owns the environment")]

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

/// A variable, if it is set, not empty and valid UTF-8.
#[must_use]
pub fn var(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// A variable as it is, if it is set and not empty.
#[must_use]
pub fn os_var(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}

/// All variables whose names begin with `prefix`; a value that is not UTF-8 is given as the system has it.
#[must_use]
pub fn with_prefix(prefix: &str) -> Vec<(String, Result<String, OsString>)> {
    let text = |(name, value): (OsString, OsString)| Some((name.into_string().ok()?, value.into_string()));
    let mut found: Vec<_> = std::env::vars_os().filter_map(text).filter(|(name, _)| name.starts_with(prefix)).collect();
    found.sort();
    found
}

/// The directories of a search path.
#[must_use]
pub fn split_search_path(path: &OsStr) -> Vec<PathBuf> {
    std::env::split_paths(path).collect()
}

/// The search path of these directories, which come from such a path.
#[must_use]
pub fn join_search_path(directories: &[PathBuf]) -> OsString {
    std::env::join_paths(directories).unwrap_or_default()
}

/// The user's home directory.
#[must_use]
pub fn home() -> Option<PathBuf> {
    var("HOME").map(PathBuf::from).filter(|path| path.is_absolute())
}

/// `$XDG_CONFIG_HOME/flux`, or `~/.config/flux`.
#[must_use]
pub fn config_dir() -> Option<PathBuf> {
    let base = var("XDG_CONFIG_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    base.or_else(|| home().map(|home| home.join(".config"))).map(|base| base.join("flux"))
}

/// `$XDG_RUNTIME_DIR`
#[must_use]
pub fn runtime_dir() -> Option<PathBuf> {
    var("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|path| path.is_absolute())
}

/// Where temporary files go.
#[must_use]
pub fn temporary_dir() -> PathBuf {
    std::env::temp_dir()
}

/// The name of the processor architecture.
pub const ARCHITECTURE: &str = std::env::consts::ARCH;

/// The working directory, where it still exists.
#[must_use]
pub fn current_dir() -> Option<PathBuf> {
    std::env::current_dir().ok()
}
