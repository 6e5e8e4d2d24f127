//! What programs may do in this run: the policy, the tree beneath the root and the environment, put into the terms of
//! the sandbox. What the sandbox cannot be told is forbidden whole. It starts nothing.

mod environment;
mod places;
#[cfg(test)]
mod rules_test;
mod toolchains;

use std::path::{Path, PathBuf};

use super::Policy;
use super::commands::Programs;
use super::files::Workspace;
use super::policy::Extent;
use crate::base::stop::Stopper;
use crate::sandbox::Rules;

pub use environment::Environment;
use places::{Needs, Opened};
use toolchains::Reach;

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

/// Makes the rules for children of this run. `tools` are the user's own tools. No more than `most` names are looked at
/// beneath the root, and as many in all other places. What `stop` ends is not all searched.
#[must_use]
pub fn plan(
    workspace: &Workspace,
    programs: &Programs,
    environment: &Environment,
    tools: &[PathBuf],
    most: usize,
    stop: &Stopper,
) -> Plan {
    let policy = workspace.policy();
    let root = workspace.path();
    let survey = workspace.survey(most, stop);
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
    let files = all_files(programs, tools);
    let toolchains = toolchains::needed(&files, programs, environment, policy.may_shell());
    let directories = if policy.may_shell() { programs.directories() } else { &[] };
    let needs = Needs::of(&files, directories, environment, root);
    let mut opened = Opened::new(policy, most, stop);
    let unsearched = policy.places().iter().find(|place| !opened.open(place)).cloned();
    let wanted = toolchains.iter().filter(|toolchain| toolchain.reach == Reach::Searched);
    let mut wanted: Vec<&PathBuf> = wanted.map(|toolchain| &toolchain.directory).chain(&needs.prefixes).collect();
    // In order a directory stands before all that is in it.
    wanted.sort();
    for place in wanted {
        if !opened.open(place) {
            notes.push(too_large(place));
        }
    }
    needs.files.iter().for_each(|file| opened.open_file(file));
    let Opened { mut readable, mut unreadable, .. } = opened;
    let denied = policy.denied_places().iter().filter(|place| place.exists());
    unreadable.extend(denied.cloned());
    // Not searched: a toolchain is large, and what is secret in it is known.
    for toolchain in toolchains.iter().filter(|toolchain| toolchain.reach == Reach::Whole) {
        readable.push(toolchain.directory.clone());
        unreadable.extend(toolchain.closed.iter().cloned());
    }
    unreadable.sort();
    unreadable.dedup();
    let mut rules = Rules {
        root: root.to_owned(),
        protected: protected.iter().map(|path| root.join(path)).collect(),
        forbidden: forbidden.iter().map(|path| root.join(path)).collect(),
        // Joined with nothing, a path would end in a slash.
        writable: writable.iter().map(|path| root.join(path).components().collect()).collect(),
        hidden: survey.hidden.iter().map(|path| root.join(path)).collect(),
        readable,
        unreadable,
        links: needs.links,
        net: policy.may_net(),
        env: environment.for_children(policy, programs.search_path()),
        empty: environment.home.iter().filter_map(|home| home.canonicalize().ok()).collect(),
    };
    set_variables(&mut rules, policy, &toolchains);
    Plan { rules, notes, unsearched: survey.is_cut.then(|| root.to_owned()).or(unsearched) }
}

/// Says that programs do without a place that the user did not name, and what can be done about it.
fn too_large(place: &Path) -> String {
    let place = place.display();
    format!(
        "{place} holds too many files to look for secrets among them, so programs read their own files alone there: \
         --allow read:PATH opens a smaller place in it, and --sandbox off keeps nothing from them"
    )
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
