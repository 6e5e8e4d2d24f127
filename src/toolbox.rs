//! Floor 6: what the model may use in this run, built from the settings: the files, the programs, and the sandbox in
//! which they run.

use std::path::Path;
use std::sync::Arc;

use crate::base::exit::Exit;
use crate::base::failure::{OrFail as _, Result};
use crate::cli::rights::{Files, TOO_BROAD};
use crate::cli::settings::Settings;
use crate::report::Messages;
use crate::sandbox::Sandbox;
use crate::tools::commands::{self, Programs};
use crate::tools::rules::{self, Environment};
use crate::tools::{Toolbox, Workspace, permitted_tools};

/// The tools of a run.
#[derive(Debug)]
pub struct Built {
    /// The tools.
    pub toolbox: Toolbox,
    /// Programs that are granted, but nowhere on the search path.
    pub missing: Vec<String>,
}

/// Builds the tools.
///
/// # Errors
/// The root cannot be opened, or the sandbox cannot be built.
pub fn build(settings: &Settings, messages: &mut Messages) -> Result<Built> {
    match &settings.files {
        Files::Beneath(root) => beneath(root, settings, messages),
        Files::Off => Ok(Built { toolbox: Toolbox::empty(), missing: Vec::new() }),
        Files::TooBroad => {
            messages.verbose(format!("no file tools: {TOO_BROAD}"));
            Ok(Built { toolbox: Toolbox::empty(), missing: Vec::new() })
        }
    }
}

fn beneath(root: &Path, settings: &Settings, messages: &mut Messages) -> Result<Built> {
    let policy = &settings.policy;
    let workspace = Workspace::open(root).or_fail(Exit::Os, || root.display().to_string())?;
    let workspace = workspace.with_policy(policy.clone());
    let mut tools = permitted_tools(policy);
    let mut missing = Vec::new();
    if policy.may_run() || policy.may_shell() {
        let environment = Environment::of_process(policy);
        let programs = Programs::of_policy(policy, environment.search_path(), workspace.path());
        let plan = rules::plan(&workspace, &programs, &environment, &[], settings.sandbox);
        for note in &plan.notes {
            messages.note(note);
        }
        let sandbox = Arc::new(Sandbox::start(&plan.rules, false)?);
        missing = programs.missing().into_iter().map(str::to_owned).collect();
        tools.extend(commands::tools(policy, &programs, &sandbox));
    }
    Ok(Built { toolbox: Toolbox::new(workspace, tools), missing })
}
