//! What programs obey, as it stands at one moment in the upper levels of the tree: two such looks, before and after a
//! program has run, tell what it has planted where nothing kept it from doing so.

use std::collections::{BTreeMap, VecDeque};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, FileType, statat};

use super::change::GIT_PARTS;
use super::{Entry, Kind, OpenDirectory, Workspace};
use crate::tools::{names, protected};

/// Levels of names that are looked at.
const LEVELS: usize = 3;

/// Directories that are looked into, the upper ones first.
const MOST_DIRECTORIES: usize = 1000;

/// What in a repository's own directory makes programs run; the rest of it changes with every use.
const GIT_FILES: [&str; 5] = ["commondir", "config", "config.worktree", "HEAD", "info/attributes"];
const HOOKS: &str = "hooks";

/// The protected files at one moment.
#[derive(Debug, Default, PartialEq, Eq)]
pub(in crate::tools) struct Watch {
    marks: BTreeMap<PathBuf, Mark>,
}

/// What tells whether a file is still the same; of a directory only which one it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Mark {
    inode: u64,
    content: Option<(i64, i64, u64)>,
}

/// Something that a program has changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::tools) struct Change {
    /// Relative to the root.
    pub(in crate::tools) path: PathBuf,
    pub(in crate::tools) is_directory: bool,
}

impl Change {
    /// The grant that unlocks it.
    pub(in crate::tools) fn grant(&self) -> String {
        let beneath = if self.is_directory { "/**" } else { "" };
        format!("write:{}{beneath}", names::escape(&self.path))
    }
}

impl Watch {
    /// What is new, gone or another: a directory stands for all that is in it.
    pub(in crate::tools) fn changes(&self, after: &Self) -> Vec<Change> {
        let all: BTreeMap<&PathBuf, &Mark> = self.marks.iter().chain(&after.marks).collect();
        let mut changes: Vec<Change> = Vec::new();
        for (path, mark) in all {
            let is_in_last = changes.last().is_some_and(|last| last.is_directory && path.starts_with(&last.path));
            if self.marks.get(path) != after.marks.get(path) && !is_in_last {
                changes.push(Change { path: path.clone(), is_directory: mark.content.is_none() });
            }
        }
        changes
    }
}

impl Workspace {
    /// Looks at what no grant of its own unlocks.
    pub(in crate::tools) fn watch(&self) -> Watch {
        let mut watch = Watch::default();
        let mut pending = VecDeque::from([(PathBuf::new(), 0)]);
        let mut left = MOST_DIRECTORIES;
        while let Some((path, depth)) = pending.pop_front() {
            let Some(rest) = left.checked_sub(1) else { break };
            left = rest;
            let Ok(directory) = self.open_directory(&path) else { continue };
            let Ok(entries) = directory.entries() else { continue };
            self.note_repository(&path, &entries, &directory, &mut watch);
            for entry in entries {
                let inner = path.join(&entry.name);
                let is_git = is_git(&entry.name);
                if is_watched(&inner) && !self.policy().unlocks(&inner) {
                    watch.note(&directory, &entry.name, &inner);
                }
                if is_git {
                    self.note_git(&inner, &mut watch);
                } else if entry.kind == Kind::Directory && depth + 1 < LEVELS {
                    pending.push_back((inner, depth + 1));
                }
            }
        }
        watch
    }

    /// Looks once more. What was there before is looked for by its name: new directories may have pushed it out of
    /// those that are looked into.
    pub(in crate::tools) fn watch_again(&self, before: &Watch) -> Watch {
        let mut watch = self.watch();
        for path in before.marks.keys() {
            let (Some(directory), Some(name)) = (path.parent(), path.file_name()) else { continue };
            if !watch.marks.contains_key(path)
                && let Ok(directory) = self.open_directory(directory)
            {
                watch.note(&directory, name, path);
            }
        }
        watch
    }

    /// A directory that git would take for its own, wherever it lies and however it is called.
    fn note_repository(&self, path: &Path, entries: &[Entry], directory: &OpenDirectory, watch: &mut Watch) {
        let has = |name: &&str| entries.iter().any(|entry| entry.name == **name);
        if GIT_PARTS.iter().all(has) && !self.policy().names_directory(path) {
            watch.note(directory, OsStr::new("."), path);
        }
    }

    fn note_git(&self, path: &Path, watch: &mut Watch) {
        let Ok(directory) = self.open_directory(path) else { return };
        for name in GIT_FILES {
            let inner = path.join(name);
            if !self.policy().unlocks(&inner) {
                watch.note(&directory, OsStr::new(name), &inner);
            }
        }
        let hooks = path.join(HOOKS);
        let Ok(directory) = self.open_directory(&hooks) else { return };
        for entry in directory.entries().unwrap_or_default() {
            let inner = hooks.join(&entry.name);
            if !self.policy().unlocks(&inner) {
                watch.note(&directory, &entry.name, &inner);
            }
        }
    }
}

impl Watch {
    fn note(&mut self, directory: &OpenDirectory, name: &OsStr, path: &Path) {
        let Ok(stat) = statat(&directory.directory, name, AtFlags::SYMLINK_NOFOLLOW) else { return };
        let is_directory = FileType::from_raw_mode(stat.st_mode) == FileType::Directory;
        let content = (!is_directory).then_some((stat.st_size, stat.st_ctime, stat.st_ctime_nsec));
        self.marks.insert(path.to_owned(), Mark { inode: stat.st_ino, content });
    }
}

/// Whether a path is protected; most can be told by a look at their first letters.
fn is_watched(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().as_bytes();
    let is_in_hidden = path.iter().any(|part| part.as_bytes().starts_with(b"."));
    (is_in_hidden || protected::may_be(name)) && !protected::names(path).is_empty()
}

fn is_git(name: &OsStr) -> bool {
    protected::may_be(name.as_bytes()) && protected::names(Path::new(name)).contains(&".git")
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::time::Duration;

    use super::*;
    use crate::base::clock;
    use crate::tools::Policy;

    struct Place(tempfile::TempDir);

    impl Place {
        fn new() -> Self {
            let place = Self(tempfile::tempdir().unwrap());
            for file in
                [".git/config", ".git/HEAD", ".git/index", ".git/hooks/a", ".git/objects/x", "src/a/b/c/d", "README.md"]
            {
                place.write(file);
            }
            place
        }

        fn write(&self, name: &str) {
            let path = self.0.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "x").unwrap();
        }

        /// What is told of this deed.
        fn changes(&self, allow: &[&str], deed: impl FnOnce(&Path)) -> Vec<String> {
            let allow: Vec<String> = allow.iter().map(ToString::to_string).collect();
            let policy = Policy::parse(&allow, &[]).unwrap();
            let workspace = Workspace::open(self.0.path()).unwrap().with_policy(policy).unwrap();
            let before = workspace.watch();
            deed(self.0.path());
            before.changes(&workspace.watch_again(&before)).iter().map(Change::grant).collect()
        }
    }

    fn plant_repository(path: &Path) {
        fs::create_dir_all(path.join("objects")).unwrap();
        fs::create_dir_all(path.join("refs")).unwrap();
        fs::write(path.join("HEAD"), "").unwrap();
    }

    #[test]
    fn many_new_directories_make_nothing_look_changed() {
        let place = Place::new();
        place.write("zsub/.vscode/settings.json");
        let deed =
            |root: &Path| (0..=MOST_DIRECTORIES).for_each(|n| fs::create_dir(root.join(format!("a{n}"))).unwrap());
        assert!(place.changes(&["write"], deed).is_empty());
    }

    #[test]
    fn what_is_planted_is_seen() {
        type Deed = Box<dyn Fn(&Path)>;
        let write = |name: &'static str| -> Deed {
            Box::new(move |root| {
                fs::create_dir_all(root.join(name).parent().unwrap()).unwrap();
                fs::write(root.join(name), "evil").unwrap();
            })
        };
        let cases: Vec<(Deed, &[&str])> = vec![
            (write(".git/config"), &["write:.git/config"]),
            (write(".git/commondir"), &["write:.git/commondir"]),
            (write(".git/hooks/pre-commit"), &["write:.git/hooks/pre-commit"]),
            (write(".git/hooks/a"), &["write:.git/hooks/a"]),
            (write("AGENTS.md"), &["write:AGENTS.md"]),
            (write("src/a/CLAUDE.md"), &["write:src/a/CLAUDE.md"]),
            (write(".vscode/settings.json"), &["write:.vscode/**"]),
            (write(".cargo/config.toml"), &["write:.cargo/config.toml"]),
            (write("sub/.git/hooks/x"), &["write:sub/.git/**"]),
            (Box::new(|root| fs::remove_file(root.join(".git/HEAD")).unwrap()), &["write:.git/HEAD"]),
            (Box::new(|root| symlink("README.md", root.join(".envrc")).unwrap()), &["write:.envrc"]),
            (Box::new(|root| fs::rename(root.join(".git"), root.join("old")).unwrap()), &["write:.git/**"]),
            (Box::new(|root| plant_repository(&root.join("bare"))), &["write:bare/**"]),
        ];
        for (deed, wanted) in cases {
            assert_eq!(Place::new().changes(&["write"], &deed), wanted);
            // What is then granted is no news any more.
            assert_eq!(Place::new().changes(&[&["write"], wanted].concat(), &deed), [""; 0]);
        }
    }

    #[test]
    fn work_and_what_is_granted_by_name_are_no_news() {
        let work = Place::new().changes(&["write"], |root| {
            fs::write(root.join("src/a/new.rs"), "x").unwrap();
            fs::write(root.join(".git/index"), "y").unwrap();
            fs::write(root.join(".git/index.lock"), "y").unwrap();
            fs::create_dir(root.join(".git/objects/ab")).unwrap();
            fs::write(root.join(".gitignore"), "y").unwrap();
        });
        assert_eq!(work, [""; 0]);
        let granted = Place::new().changes(&["write:.github/**", "write:.git/hooks/*", "write:bare"], |root| {
            plant_repository(&root.join("bare"));
            fs::create_dir_all(root.join(".github/workflows")).unwrap();
            fs::write(root.join(".github/workflows/x.yml"), "x").unwrap();
            fs::write(root.join(".git/hooks/new"), "x").unwrap();
        });
        assert_eq!(granted, [""; 0]);
    }

    #[test]
    fn a_look_at_a_small_tree_takes_less_than_a_millisecond() {
        let place = Place::new();
        (0..100).for_each(|n| place.write(&format!("src/file{n}.rs")));
        let workspace = Workspace::open(place.0.path()).unwrap();
        let best = (0..20).map(|_| {
            let begun = clock::now();
            assert!(!workspace.watch().marks.is_empty());
            begun.elapsed()
        });
        let best = best.min().unwrap_or(Duration::MAX);
        assert!(best < Duration::from_millis(1), "{best:?}");
    }
}
