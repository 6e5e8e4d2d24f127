//! Floor 6: what the model may use in this run, built from the settings: the files, the programs, and the sandbox in
//! which they run.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::base::exit::Exit;
use crate::base::failure::{Failure, OrFail as _, Result};
use crate::base::stop::Stopper;
use crate::cli::rights::{Files, TOO_BROAD};
use crate::cli::settings::Settings;
use crate::report::Messages;
use crate::sandbox::{Level, Rules, Sandbox, Wanted};
use crate::tools::commands::{self, Programs};
use crate::tools::custom;
use crate::tools::rules::{self, Environment};
use crate::tools::{Toolbox, Workspace, permitted_tools};

/// The tools of a run.
#[derive(Debug, Default)]
pub struct Built {
    /// The tools.
    pub toolbox: Toolbox,
    /// Where programs run, if any may.
    pub sandbox: Option<Arc<Sandbox>>,
    /// Programs that are granted, but nowhere on the search path.
    pub missing: Vec<String>,
}

/// Builds the tools.
///
/// # Errors
/// The root cannot be opened, the sandbox cannot be built, a tool of the user's own cannot be used, or the run ends.
pub fn build(settings: &Settings, stop: &Stopper, messages: &mut Messages) -> Result<Built> {
    match &settings.files {
        Files::Beneath(root) => beneath(root, settings, stop, messages),
        Files::Off => Ok(Built::default()),
        Files::TooBroad => {
            messages.verbose(format!("no file tools: {TOO_BROAD}"));
            Ok(Built::default())
        }
    }
}

fn beneath(root: &Path, settings: &Settings, stop: &Stopper, messages: &mut Messages) -> Result<Built> {
    let policy = &settings.policy;
    let opened = Workspace::open(root).and_then(|workspace| workspace.with_policy(policy.clone()));
    let workspace = opened.or_fail(Exit::Os, || root.display().to_string())?;
    let mut tools = permitted_tools(policy);
    let mut built = Built::default();
    if policy.may_run() || policy.may_shell() || !settings.own_tools.is_empty() {
        let environment = Environment::of_process(policy);
        let programs = Programs::of_policy(policy, environment.search_path(), workspace.path());
        let rules = rules(settings, &workspace, &programs, &environment, stop, messages)?;
        let trusted = settings.own_tools.iter().any(|tool| tool.trusted);
        let sandbox = Arc::new(Sandbox::start(&rules, settings.sandbox, trusted, stop)?);
        if let (Wanted::Auto, Level::Landlock) = (settings.sandbox, sandbox.level()) {
            messages.verbose(format!("the sandbox has no namespaces: {}", sandbox.gaps().join("; ")));
        }
        built.missing = programs.missing().into_iter().map(str::to_owned).collect();
        tools.extend(commands::tools(policy, &programs, &sandbox));
        tools.extend(custom::load(&settings.own_tools, &sandbox, stop)?);
        built.sandbox = Some(sandbox);
    }
    built.toolbox = Toolbox::new(workspace, tools);
    Ok(built)
}

/// What programs may do. Where nothing will keep them in, nothing is searched for what to keep from them.
fn rules(
    settings: &Settings,
    workspace: &Workspace,
    programs: &Programs,
    environment: &Environment,
    stop: &Stopper,
    messages: &mut Messages,
) -> Result<Rules> {
    let files: Vec<PathBuf> = settings.own_tools.iter().map(|tool| tool.path.clone()).collect();
    if settings.sandbox == Wanted::Off {
        return Ok(rules::without_walls(workspace, programs, environment, &files));
    }
    let plan = rules::plan(workspace, programs, environment, &files, rules::MOST_NAMES, stop);
    if let Some(why) = stop.stopped() {
        return Err(why.into());
    }
    if let Some(place) = plan.unsearched {
        let message = format!(
            "the sandbox cannot be built: {} holds more than {} files, so secrets among them could not be hidden: \
             name a smaller place",
            place.display(),
            rules::MOST_NAMES
        );
        return Err(Failure::new(Exit::Sandbox, message));
    }
    for note in &plan.notes {
        messages.note(note);
    }
    Ok(plan.rules)
}
