//! Toolchains that live in a home directory, which children cannot read otherwise: where they are, by which
//! variable their programs find them, and which of their files hold secrets.

use std::path::{Path, PathBuf};

use super::environment::Environment;
use crate::tools::commands::Programs;

/// One such toolchain.
#[derive(Debug)]
struct Toolchain {
    variable: &'static str,
    /// In the home directory, unless the variable says otherwise.
    directory: &'static str,
    /// Programs that use it wherever they are themselves.
    programs: &'static [&'static str],
    /// Files in it that stay closed.
    closed: &'static [&'static str],
}

const TOOLCHAINS: [Toolchain; 4] = [
    Toolchain {
        variable: "CARGO_HOME",
        directory: ".cargo",
        programs: &["cargo", "rustup"],
        closed: &["credentials", "credentials.toml"],
    },
    Toolchain { variable: "RUSTUP_HOME", directory: ".rustup", programs: &[], closed: &[] },
    Toolchain { variable: "NVM_DIR", directory: ".nvm", programs: &[], closed: &[] },
    Toolchain { variable: "PYENV_ROOT", directory: ".pyenv", programs: &[], closed: &[] },
];

/// A toolchain that the programs of this run need.
#[derive(Debug)]
pub(super) struct Needed {
    /// The variable that says where it is.
    pub(super) variable: &'static str,
    /// Its directory.
    pub(super) directory: PathBuf,
    /// How much of it programs may read.
    pub(super) reach: Reach,
    /// Files in it that stay closed.
    pub(super) closed: Vec<PathBuf>,
}

/// How much of a toolchain programs may read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reach {
    /// All but its closed files: it is in the home directory.
    Whole,
    /// All but what is named as secrets are: its variable says that it is elsewhere.
    Searched,
    /// What its programs bring like any others: it is elsewhere and known by its name alone.
    Told,
}

/// The variables that say where toolchains are.
pub(super) fn variables() -> impl Iterator<Item = &'static str> {
    TOOLCHAINS.iter().map(|toolchain| toolchain.variable)
}

/// The toolchains of these programs; with `all` those whose programs can be found. In the home directory there is one
/// of each kind, elsewhere it is known by its name.
pub(super) fn needed(files: &[PathBuf], programs: &Programs, environment: &Environment, all: bool) -> Vec<Needed> {
    let mut needed: Vec<Needed> = Vec::new();
    let found = if all { programs.directories() } else { &[] };
    for toolchain in &TOOLCHAINS {
        // What stands in cargo's directory only calls what rustup keeps.
        let follows = toolchain.variable == "RUSTUP_HOME" && needed.iter().any(|other| other.variable == "CARGO_HOME");
        let own = environment.directory(toolchain.variable, toolchain.directory);
        let own = own.filter(|directory| follows || toolchain.is_of(files, found, directory));
        let elsewhere = files.iter().chain(found).filter_map(|path| toolchain.around(path, environment));
        let own = own.map(|directory| (reach(&directory, environment), directory));
        for (reach, directory) in own.into_iter().chain(elsewhere.map(|directory| (Reach::Told, directory))) {
            if needed.iter().all(|other| !directory.starts_with(&other.directory)) {
                let closed = toolchain.closed.iter().map(|name| directory.join(name)).filter(|file| file.exists());
                needed.push(Needed { variable: toolchain.variable, closed: closed.collect(), directory, reach });
            }
        }
    }
    needed
}

/// How much may be read of a directory that is a toolchain's by its variable or by its place in the home directory.
fn reach(directory: &Path, environment: &Environment) -> Reach {
    match directory {
        around if environment.holds_home(around) => Reach::Told,
        inside if environment.is_in_home(inside) => Reach::Whole,
        _ => Reach::Searched,
    }
}

impl Toolchain {
    /// Whether one of these programs, or of those in these directories, uses what is in this directory.
    fn is_of(&self, files: &[PathBuf], found: &[PathBuf], directory: &Path) -> bool {
        let is_called = |file: &PathBuf| self.programs.iter().any(|name| file.ends_with(name));
        files.iter().any(|file| is_called(file) || leads_into(file, directory))
            || found.iter().any(|place| leads_into(place, directory))
    }

    /// The directory of this name around a path outside the home directory.
    fn around(&self, path: &Path, environment: &Environment) -> Option<PathBuf> {
        let named = |path: &Path| path.ancestors().find(|above| above.ends_with(self.directory)).map(Path::to_owned);
        let directory = named(path).or_else(|| named(&path.canonicalize().ok()?))?.canonicalize().ok()?;
        let is_closed = environment.is_in_home(&directory) || environment.holds_home(&directory);
        (directory.is_dir() && !is_closed).then_some(directory)
    }
}

fn leads_into(path: &Path, directory: &Path) -> bool {
    path.starts_with(directory) || path.canonicalize().is_ok_and(|real| real.starts_with(directory))
}
