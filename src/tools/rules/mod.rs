//! What programs may do in this run: the policy, the tree beneath the root and the environment, put into the terms of
//! the sandbox. What the sandbox cannot be told is forbidden whole. It starts nothing.

mod environment;
#[cfg(test)]
mod rules_test;
mod toolchains;

use std::path::{Path, PathBuf};

use super::Policy;
use super::commands::Programs;
use super::files::Workspace;
use super::policy::Extent;
use crate::base::stop::Stopper;
use crate::sandbox::{self, Rules};

pub use environment::Environment;

/// Names looked at beneath the root, and in all other places together.
pub const MOST_NAMES: usize = 1_000_000;
/// After so many of them it is asked whether the run is to end.
const STRIDE: usize = 256;

/// What there is to be said about the rules.
#[derive(Debug, Default)]
pub struct Plan {
    /// What programs may do.
    pub rules: Rules,
    /// Where that is more or less than the user may think.
    pub notes: Vec<String>,
    /// A place with more files than can be looked through for secrets.
    pub unsearched: Option<PathBuf>,
}

/// Makes the rules for children that nothing keeps in: what they find in their environment.
#[must_use]
pub fn without_walls(
    workspace: &Workspace,
    programs: &Programs,
    environment: &Environment,
    tools: &[PathBuf],
) -> Rules {
    let policy = workspace.policy();
    let env = environment.for_children(policy, programs.search_path());
    let mut rules = Rules { root: workspace.path().to_owned(), net: policy.may_net(), env, ..Rules::default() };
    let files = all_files(programs, tools);
    set_variables(&mut rules, policy, &toolchains::needed(&files, programs, environment, policy.may_shell()));
    rules
}

/// Makes the rules for children of this run. `tools` are the user's own tools. What `stop` ends is not all searched.
#[must_use]
pub fn plan(
    workspace: &Workspace,
    programs: &Programs,
    environment: &Environment,
    tools: &[PathBuf],
    stop: &Stopper,
) -> Plan {
    let policy = workspace.policy();
    let root = workspace.path();
    let survey = workspace.survey(MOST_NAMES, stop);
    let mut notes = Vec::new();
    let mut protected = survey.protected;
    // A tool is what the user wrote, whatever else may be changed.
    protected.extend(tools.iter().filter_map(|tool| Some(tool.strip_prefix(root).ok()?.to_owned())));
    let mut forbidden = Vec::new();
    let mut writable = writable(policy, root);
    for (extent, text) in policy.unwritable().into_iter().filter(|_| !writable.is_empty()) {
        match place(&extent, root) {
            Some(path) if root.join(&path).exists() => forbidden.push(path),
            Some(path) if !writable.iter().any(|place| path.starts_with(place)) => {}
            _ => {
                notes.push(format!("--deny '{text}' cannot be told to programs, so they can change nothing"));
                writable.clear();
                break;
            }
        }
    }
    forbidden.retain(|path| writable.iter().any(|place| path.starts_with(place) || place.starts_with(path)));
    protected.extend(forbidden.iter().cloned());
    protected.retain(|path| writable.iter().any(|place| path.starts_with(place) || place.starts_with(path)));
    let mut rules = Rules {
        root: root.to_owned(),
        protected: protected.iter().map(|path| root.join(path)).collect(),
        forbidden: forbidden.iter().map(|path| root.join(path)).collect(),
        // Joined with nothing, a path would end in a slash.
        writable: writable.iter().map(|path| root.join(path).components().collect()).collect(),
        hidden: survey.hidden.iter().map(|path| root.join(path)).collect(),
        readable: policy.places().to_vec(),
        unreadable: Vec::new(),
        net: policy.may_net(),
        env: environment.for_children(policy, programs.search_path()),
        empty: environment.home.iter().filter_map(|home| home.canonicalize().ok()).collect(),
    };
    let files = all_files(programs, tools);
    let toolchains = toolchains::needed(&files, programs, environment, policy.may_shell());
    let is_open = |prefix: &Path| {
        let is_known = toolchains.iter().any(|toolchain| prefix.starts_with(&toolchain.directory));
        !is_known && !environment.is_in_home(prefix) && !environment.holds_home(prefix)
    };
    add_programs(&mut rules, policy, programs, &files, &is_open);
    let unsearched = close_secrets(&mut rules, policy, stop);
    let denied = policy.denied_places().iter().filter(|place| place.exists() && !rules.unreadable.contains(place));
    let denied: Vec<PathBuf> = denied.cloned().collect();
    rules.unreadable.extend(denied);
    // After the search for secrets: a toolchain is large, and what is secret in it is known.
    set_variables(&mut rules, policy, &toolchains);
    for toolchain in toolchains {
        add(&mut rules.readable, toolchain.directory);
        rules.unreadable.extend(toolchain.closed);
    }
    Plan { rules, notes, unsearched: survey.is_cut.then(|| root.to_owned()).or(unsearched) }
}

/// The places that programs may change, relative to the root. A grant that names none is for flux's own tools alone.
fn writable(policy: &Policy, root: &Path) -> Vec<PathBuf> {
    let is_granted = |extent: &Extent| match extent {
        Extent::Exactly(path) => root.join(path).is_file() && policy.check_change(path).is_ok(),
        Extent::Beneath(path) => root.join(path).is_dir(),
        Extent::Everything => true,
        Extent::Scattered => false,
    };
    let granted = policy.writable();
    let places = granted.iter().filter(|extent| is_granted(extent)).filter_map(|extent| place(extent, root));
    let mut places: Vec<PathBuf> = places.collect();
    places.sort();
    // In order a directory stands before all that is in it.
    places.dedup_by(|inner, outer| inner.starts_with(&*outer));
    places
}

/// The place that an extent names, if no link is on the way there.
fn place(extent: &Extent, root: &Path) -> Option<PathBuf> {
    let path = match extent {
        Extent::Everything => return Some(PathBuf::new()),
        Extent::Beneath(path) | Extent::Exactly(path) => path,
        Extent::Scattered => return None,
    };
    let full = root.join(path);
    let is_plain = full.canonicalize().map_or_else(|_| full.symlink_metadata().is_err(), |real| real == full);
    is_plain.then(|| path.clone())
}

/// The programs and tools of this run.
fn all_files(programs: &Programs, tools: &[PathBuf]) -> Vec<PathBuf> {
    programs.files().map(Path::to_owned).chain(tools.iter().cloned()).collect()
}

/// Closes what is named as secrets are in the places outside the root. Returns a place that holds too much, or more
/// than could be searched before `stop` ends the run.
fn close_secrets(rules: &mut Rules, policy: &Policy, stop: &Stopper) -> Option<PathBuf> {
    let mut left = MOST_NAMES;
    let lies_within = |path: &PathBuf| rules.readable.iter().any(|place| path != place && path.starts_with(place));
    let mut pending: Vec<PathBuf> = rules.readable.iter().filter(|path| !lies_within(path)).cloned().collect();
    while let Some(path) = pending.pop() {
        let rest = left.checked_sub(1).filter(|rest| rest % STRIDE != 0 || stop.stopped().is_none());
        let Some(rest) = rest else {
            return rules.readable.iter().find(|place| path.starts_with(place)).cloned();
        };
        left = rest;
        if policy.check_read(&path).is_err() && (path.is_file() || policy.is_denied_outside(&path)) {
            rules.unreadable.push(path);
            continue;
        }
        let Ok(entries) = path.read_dir() else { continue };
        pending.extend(
            entries.flatten().filter(|entry| entry.file_type().is_ok_and(|kind| !kind.is_symlink())).map(|e| e.path()),
        );
    }
    None
}

/// Adds what the programs of this run need to be found and to work.
fn add_programs(
    rules: &mut Rules,
    policy: &Policy,
    programs: &Programs,
    files: &[PathBuf],
    is_open: &dyn Fn(&Path) -> bool,
) {
    for file in files {
        for place in places_of(file, &rules.root, is_open) {
            add(&mut rules.readable, place);
        }
    }
    if policy.may_shell() {
        for directory in programs.directories().iter().filter(|directory| !is_system(directory)) {
            for place in places_of(&directory.join("sh"), &rules.root, is_open) {
                if place.is_dir() {
                    add(&mut rules.readable, place);
                }
            }
        }
    }
}

/// Tells programs where these toolchains are.
fn set_variables(rules: &mut Rules, policy: &Policy, toolchains: &[toolchains::Needed]) {
    let is_set = |rules: &Rules, name: &str| rules.env.iter().any(|(known, _)| known == name);
    for toolchain in toolchains {
        if is_set(rules, toolchain.variable) {
            continue;
        }
        rules.env.push((toolchain.variable.into(), toolchain.directory.clone().into()));
        if toolchain.variable == "CARGO_HOME" && !policy.may_net() {
            rules.env.push(("CARGO_NET_OFFLINE".into(), "true".into()));
        }
    }
    if !policy.may_net() {
        // Without a network there is nothing in them that git could use, and in the sandbox they cannot be read.
        rules.env.push(("GIT_CONFIG_NOSYSTEM".into(), "1".into()));
        rules.env.push(("GIT_CONFIG_GLOBAL".into(), "/dev/null".into()));
    }
}

fn add(places: &mut Vec<PathBuf>, place: PathBuf) {
    if !places.contains(&place) {
        places.push(place);
    }
}

fn is_system(path: &Path) -> bool {
    sandbox::PROGRAMS.iter().chain([&sandbox::PUBLIC]).any(|place| path.starts_with(place))
}

/// What has to be readable for a program that is none of the system's: its file, and where the directory may be opened
/// what was installed with it.
fn places_of(file: &Path, root: &Path, is_open: &dyn Fn(&Path) -> bool) -> Vec<PathBuf> {
    let mut places = Vec::new();
    let real = file.canonicalize().unwrap_or_else(|_| file.to_owned());
    for path in [file, real.as_path()] {
        if is_system(path) || path.starts_with(root) {
            continue;
        }
        let prefix = path.parent().filter(|bin| bin.ends_with("bin")).and_then(Path::parent);
        let prefix = prefix.filter(|prefix| prefix.parent().is_some() && !root.starts_with(prefix) && is_open(prefix));
        let place = prefix.unwrap_or(path);
        if !places.iter().any(|known| known == place) {
            places.push(place.to_owned());
        }
    }
    places
}
