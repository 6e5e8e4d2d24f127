//! The environment that children get: the little that programs need to work, and what was granted by name.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use crate::base::env;
use crate::tools::Policy;

/// What flux finds in its own environment that concerns children.
#[derive(Debug, Clone, Default)]
pub struct Environment {
    /// The user's home directory.
    pub(super) home: Option<PathBuf>,
    variables: BTreeMap<String, OsString>,
}

/// Passed on as they are, with all that begins with `LC_`.
const PASSED: [&str; 2] = ["LANG", "TZ"];

/// Where programs are if nobody says.
const SEARCH: &str = "/usr/local/bin:/usr/bin:/bin";

impl Environment {
    /// What this process has of it.
    #[must_use]
    pub fn of_process(policy: &Policy) -> Self {
        let own = ["PATH"].into_iter().chain(PASSED).chain(super::toolchains::variables());
        let names = own.map(str::to_owned).chain(policy.variables().map(str::to_owned));
        let mut variables: BTreeMap<String, OsString> =
            names.filter_map(|name| env::os_var(&name).map(|value| (name, value))).collect();
        variables.extend(
            env::with_prefix("LC_")
                .into_iter()
                .map(|(name, value)| (name, value.map_or_else(|raw| raw, OsString::from))),
        );
        Self { home: env::home(), variables }
    }

    /// This home directory and these variables.
    #[cfg(test)]
    pub(super) fn of(home: Option<PathBuf>, variables: BTreeMap<String, OsString>) -> Self {
        Self { home, variables }
    }

    /// The search path, as the user has it.
    #[must_use]
    pub fn search_path(&self) -> &OsStr {
        self.variables.get("PATH").map_or(OsStr::new(SEARCH), OsString::as_os_str)
    }

    /// A directory that a variable names; without it, one in the home directory.
    pub(super) fn directory(&self, variable: &str, in_home: &str) -> Option<PathBuf> {
        let named = self.variables.get(variable).map(PathBuf::from).filter(|path| path.is_absolute());
        let path = named.or_else(|| self.home.as_ref().map(|home| home.join(in_home)))?;
        path.canonicalize().ok().filter(|path| path.is_dir() && path.parent().is_some())
    }

    /// True if it is in the home directory, by the name that this has or by links.
    pub(super) fn is_in_home(&self, path: &Path) -> bool {
        self.home
            .as_ref()
            .is_some_and(|home| path.starts_with(home) || home.canonicalize().is_ok_and(|home| path.starts_with(home)))
    }

    /// True if it is the home directory or above it.
    pub(super) fn holds_home(&self, path: &Path) -> bool {
        self.home
            .as_ref()
            .is_some_and(|home| home.starts_with(path) || home.canonicalize().is_ok_and(|home| home.starts_with(path)))
    }

    /// What every child gets, with this search path.
    pub(super) fn for_children(&self, policy: &Policy, search: OsString) -> Vec<(OsString, OsString)> {
        let granted: Vec<&str> = policy.variables().collect();
        let is_passed = |name: &str| PASSED.contains(&name) || name.starts_with("LC_") || granted.contains(&name);
        let passed = self.variables.iter().filter(|(name, _)| is_passed(name));
        let mut all = vec![(OsString::from("PATH"), search), ("TERM".into(), "dumb".into())];
        all.extend(passed.map(|(name, value)| (OsString::from(name), value.clone())));
        all
    }
}
