//! Where programs are: found once, when the run starts, in those directories of the search path in which nothing can
//! be planted. It starts none of them.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use crate::base::env;
use crate::tools::Policy;

/// The programs that a run may start.
#[derive(Debug, Clone, Default)]
pub struct Programs {
    directories: Vec<PathBuf>,
    found: BTreeMap<String, Place>,
    shell: Option<PathBuf>,
}

/// Where a program is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// Here, and it can be executed as far as its mode tells.
    At(PathBuf),
    /// Only a file of its name that cannot be executed.
    NotExecutable(PathBuf),
    /// Nowhere.
    Missing,
}

impl Programs {
    /// Looks for the programs that this policy grants along `search`, the value of PATH.
    #[must_use]
    pub fn of_policy(policy: &Policy, search: &OsStr, root: &Path) -> Self {
        Self::find(policy.programs(), search, root)
    }

    fn find<'a>(names: impl Iterator<Item = &'a str>, search: &OsStr, root: &Path) -> Self {
        let directories: Vec<PathBuf> =
            env::split_search_path(search).into_iter().filter(|directory| is_safe(directory, root)).collect();
        let find = |name: &str| locate(name, &directories, root);
        let found = names.map(|name| (name.to_owned(), find(name))).collect();
        let shell = match find("/bin/sh") {
            Place::At(path) if path.is_file() => Some(path),
            _ => {
                if let Place::At(path) = find("sh") {
                    Some(path)
                } else {
                    None
                }
            }
        };
        Self { directories, found, shell }
    }

    /// The search path for children.
    #[must_use]
    pub fn search_path(&self) -> OsString {
        env::join_search_path(&self.directories)
    }

    /// The directories of that path.
    pub(in crate::tools) fn directories(&self) -> &[PathBuf] {
        &self.directories
    }

    /// The programs that are there, with the shell where there is one.
    pub(in crate::tools) fn files(&self) -> impl Iterator<Item = &Path> {
        let found = self.found.values().filter_map(|place| if let Place::At(path) = place { Some(path) } else { None });
        found.chain(&self.shell).map(PathBuf::as_path)
    }

    /// The granted programs that are nowhere, or that cannot be executed.
    #[must_use]
    pub fn missing(&self) -> Vec<&str> {
        let is_missing = |(_, place): &(&String, &Place)| !matches!(place, Place::At(_));
        self.found.iter().filter(is_missing).map(|(name, _)| name.as_str()).collect()
    }

    /// Where a program is that a grant names.
    pub(super) fn place(&self, name: &str) -> Place {
        self.found.get(name).cloned().unwrap_or(Place::Missing)
    }

    /// The shell.
    pub(super) fn shell(&self) -> Option<&Path> {
        self.shell.as_deref()
    }
}

/// A name with a slash is a path, seen from the root; it is looked at only when it is started.
fn locate(name: &str, directories: &[PathBuf], root: &Path) -> Place {
    if name.contains('/') {
        return Place::At(root.join(name.strip_prefix("./").unwrap_or(name)));
    }
    let mut passed = Place::Missing;
    for file in directories.iter().map(|directory| directory.join(name)) {
        let Ok(metadata) = file.metadata() else { continue };
        if !metadata.is_file() || leads_into(&file, root) {
            continue;
        }
        if metadata.mode() & 0o111 != 0 {
            return Place::At(file);
        }
        if passed == Place::Missing {
            passed = Place::NotExecutable(file);
        }
    }
    passed
}

/// Whether not everybody can put programs there, and this run cannot.
fn is_safe(directory: &Path, root: &Path) -> bool {
    let Ok(metadata) = directory.metadata() else { return false };
    directory.is_absolute() && metadata.is_dir() && metadata.mode() & 0o002 == 0 && !leads_into(directory, root)
}

/// True if it is beneath the root, by its name or by links. Where the root is everything, this says nothing.
fn leads_into(path: &Path, root: &Path) -> bool {
    let is_beneath = |path: &Path| root.parent().is_some() && path.starts_with(root);
    is_beneath(path) || path.canonicalize().is_ok_and(|real| is_beneath(&real))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    #[test]
    fn a_planted_program_is_never_found() {
        let place = tempfile::tempdir().unwrap();
        let place = place.path().canonicalize().unwrap();
        let at = |name: &str| -> PathBuf { place.join(name) };
        for (directory, mode) in
            [("root/bin", 0o755), ("open", 0o777), ("plain", 0o755), ("good", 0o755), ("sticky", 0o1777)]
        {
            fs::create_dir_all(at(directory)).unwrap();
            fs::set_permissions(at(directory), fs::Permissions::from_mode(mode)).unwrap();
            fs::write(at(directory).join("tool"), "").unwrap();
            let mode = if directory == "plain" { 0o644 } else { 0o755 };
            fs::set_permissions(at(directory).join("tool"), fs::Permissions::from_mode(mode)).unwrap();
        }
        symlink(at("root/bin"), at("linked")).unwrap();
        fs::create_dir(at("links")).unwrap();
        symlink(at("root/bin/tool"), at("links/tool")).unwrap();
        let find = |search: &str| {
            let search = search.split(':').map(|name| name.strip_prefix('@').map_or_else(|| name.into(), at));
            let search = env::join_search_path(&search.collect::<Vec<_>>());
            let programs = Programs::find(["tool", "./bin/tool"].into_iter(), &search, &at("root"));
            assert_eq!(programs.place("./bin/tool"), Place::At(at("root/bin/tool")));
            assert_eq!(programs.place("other"), Place::Missing);
            programs.place("tool")
        };
        for search in
            ["", ".", ":", "bin", "@root/bin", "@linked", "@open", "@sticky", "@links", "@gone", "@root/../root/bin"]
        {
            assert_eq!(find(search), Place::Missing, "{search}");
        }
        assert_eq!(find("@plain"), Place::NotExecutable(at("plain/tool")));
        assert_eq!(find("@root/bin:.:@plain:@good:@open"), Place::At(at("good/tool")));
    }
}
