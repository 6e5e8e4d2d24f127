//! What programs may do in this run: the policy, the tree beneath the root and the environment, put into the terms of
//! the sandbox. What the sandbox cannot be told is forbidden whole. It starts nothing.

mod changes;
mod environment;
mod places;
#[cfg(test)]
mod rules_test;
mod toolchains;

use std::path::{Path, PathBuf};

use super::Policy;
use super::commands::Programs;
use super::files::Workspace;
use crate::base::stop::Stopper;
use crate::sandbox::Rules;

use changes::Changes;
pub use environment::Environment;
use places::{Needs, Opened};

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
    let (policy, root) = (workspace.policy(), workspace.path());
    let survey = workspace.survey(most, stop);
    let changes = Changes::of(policy, root);
    // A tool is what the user wrote, whatever else may be changed.
    let own = tools.iter().filter_map(|tool| Some(tool.strip_prefix(root).ok()?.to_owned()));
    let kept = survey.protected.into_iter().chain(own).chain(changes.forbidden.iter().cloned());
    let files = all_files(programs, tools);
    let toolchains = toolchains::needed(&files, programs, environment, policy.may_shell());
    let directories = if policy.may_shell() { programs.directories() } else { &[] };
    let needs = Needs::of(&files, directories, environment, root);
    let mut opened = Opened::new(policy, most, stop);
    let unsearched = policy.places().iter().find(|place| !opened.open(place)).cloned();
    let too_large = opened.open_needed(&needs, &toolchains);
    let (readable, unreadable) = opened.finish(&toolchains);
    let mut rules = Rules {
        root: root.to_owned(),
        protected: kept.filter(|path| changes.touch(path)).map(|path| root.join(path)).collect(),
        forbidden: changes.forbidden.iter().map(|path| root.join(path)).collect(),
        // Joined with nothing, a path would end in a slash.
        writable: changes.writable.iter().map(|path| root.join(path).components().collect()).collect(),
        hidden: survey.hidden.iter().map(|path| root.join(path)).collect(),
        readable,
        unreadable,
        links: needs.links,
        net: policy.may_net(),
        env: environment.for_children(policy, programs.search_path()),
        empty: environment.home.iter().filter_map(|home| home.canonicalize().ok()).collect(),
    };
    set_variables(&mut rules, policy, &toolchains);
    let notes = changes.note.into_iter().chain(too_large).collect();
    Plan { rules, notes, unsearched: survey.is_cut.then(|| root.to_owned()).or(unsearched) }
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
