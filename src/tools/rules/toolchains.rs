//! Toolchains that live in the home directory, which children cannot read otherwise: where they are, by which
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
    /// Files in it that stay closed.
    pub(super) closed: Vec<PathBuf>,
}

/// The variables that say where toolchains are.
pub(super) fn variables() -> impl Iterator<Item = &'static str> {
    TOOLCHAINS.iter().map(|toolchain| toolchain.variable)
}

/// The toolchains of these programs; with `all` those whose programs can be found.
pub(super) fn needed(files: &[PathBuf], programs: &Programs, environment: &Environment, all: bool) -> Vec<Needed> {
    let mut needed: Vec<Needed> = Vec::new();
    for toolchain in &TOOLCHAINS {
        let Some(directory) = environment.directory(toolchain.variable, toolchain.directory) else { continue };
        let is_own = |file: &PathBuf| {
            let is_called = |name: &&str| file.file_name().is_some_and(|file| file == *name);
            leads_into(file, &directory) || toolchain.programs.iter().any(is_called)
        };
        let is_found = || all && programs.directories().iter().any(|place| leads_into(place, &directory));
        // What stands in cargo's directory only calls what rustup keeps.
        let follows = toolchain.variable == "RUSTUP_HOME" && needed.iter().any(|other| other.variable == "CARGO_HOME");
        if files.iter().any(is_own) || is_found() || follows {
            let closed = toolchain.closed.iter().map(|name| directory.join(name)).filter(|file| file.exists());
            let closed = closed.collect();
            needed.push(Needed { variable: toolchain.variable, closed, directory });
        }
    }
    needed
}

fn leads_into(path: &Path, directory: &Path) -> bool {
    path.starts_with(directory) || path.canonicalize().is_ok_and(|real| real.starts_with(directory))
}
