//! What the model may do, settled: the root, the grants, the sandbox. What contradicts itself is refused here.

use std::path::{Path, PathBuf};

use super::args::{self, SandboxArg, ToolArgs};
use super::settings::{KeySource, usage};
use crate::agent::OnDeny;
use crate::base::env;
use crate::base::exit::Exit;
use crate::base::failure::{Failure, OrFail as _, Result};
use crate::base::files::check_trusted;
use crate::sandbox::Wanted;
use crate::tools::Policy;
use crate::tools::custom::OwnTool;
use crate::wire::providers::PROVIDERS;

/// Where the file tools work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Files {
    /// Beneath this directory.
    Beneath(PathBuf),
    /// Nowhere: `--no-tools`.
    Off,
    /// Nowhere: the working directory is `/`, the home directory or above it, and no `--root` was given.
    TooBroad,
}

/// Why no file tool is offered in a directory that holds too much.
pub const TOO_BROAD: &str = "the working directory is / or holds the home directory; name one with --root";

/// Variables that hold keys besides those of the table of providers.
const KEYS: [&str; 1] = ["ANTHROPIC_AUTH_TOKEN"];

/// Where the file tools work. In `/`, the home directory or above it they are offered only if it is named.
pub(super) fn files(args: &ToolArgs) -> Result<Files> {
    if args.no_tools && !args.allow.is_empty() {
        return Err(usage("--no-tools contradicts --allow"));
    }
    if args.no_tools && !args.tool.is_empty() {
        return Err(usage("--no-tools contradicts --tool"));
    }
    if args.no_tools {
        return Ok(Files::Off);
    }
    if let Some(root) = &args.root {
        let path = Path::new(root).canonicalize().or_fail(Exit::NoInput, || format!("--root {root}"))?;
        if !path.is_dir() {
            return Err(usage(format!("--root {root}: not a directory")));
        }
        return Ok(Files::Beneath(path));
    }
    let current = env::current_dir().and_then(|dir| dir.canonicalize().ok());
    let current = current.ok_or_else(|| Failure::new(Exit::Os, "the working directory is gone: cd, or name --root"))?;
    let home = env::home().and_then(|home| home.canonicalize().ok());
    let broad = current.parent().is_none() || home.is_some_and(|home| home.starts_with(&current));
    Ok(if broad { Files::TooBroad } else { Files::Beneath(current) })
}

/// What the grants and denials say. The variable that holds flux's own key is none that can be granted.
pub(super) fn policy(args: &ToolArgs, files: &Files, key: Option<&KeySource>) -> Result<Policy> {
    let mut policy = Policy::parse(&args.allow, &args.deny).map_err(usage)?;
    let own = if let Some(KeySource::Variable(name)) = key { Some(name.as_str()) } else { None };
    let is_key = |name: &str| {
        KEYS.contains(&name) || own == Some(name) || PROVIDERS.iter().any(|provider| provider.key_env == Some(name))
    };
    if let Some(name) = policy.variables().find(|name| is_key(name)) {
        return Err(usage(format!("--allow env:{name}: the key of a model's provider goes to no program")));
    }
    match files {
        Files::Beneath(root) => {
            let missing = |path: PathBuf| {
                Failure::new(Exit::NoInput, format!("--allow read:{}: there is no such file", path.display()))
            };
            policy.settle(root, &|path| path.canonicalize().ok()).map_err(missing)?;
            if let Some(KeySource::File(file)) = key
                && let Ok(file) = Path::new(file).canonicalize()
            {
                policy.close_key(root, &file);
            }
        }
        Files::TooBroad if policy.grants_programs() => {
            return Err(usage(format!("--allow run and shell need a root: {TOO_BROAD}")));
        }
        Files::TooBroad | Files::Off => {}
    }
    Ok(policy)
}

/// The executables that are to be tools.
pub(super) fn own_tools(args: &ToolArgs, files: &Files, policy: &Policy) -> Result<Vec<OwnTool>> {
    args.tool.iter().map(|given| own_tool(given, files, policy)).collect()
}

fn own_tool(given: &str, files: &Files, policy: &Policy) -> Result<OwnTool> {
    let (trusted, name) = given.strip_prefix("trusted:").map_or((false, given), |name| (true, name));
    let Files::Beneath(root) = files else {
        return Err(usage(format!("--tool {given} needs a root: {TOO_BROAD}")));
    };
    let path = Path::new(name).canonicalize().or_fail(Exit::NoInput, || format!("--tool {given}"))?;
    if !path.is_file() {
        return Err(Failure::new(Exit::NoInput, format!("--tool {given}: no file")));
    }
    check_trusted(&path)?;
    if !trusted && !policy.may_read() {
        return Err(usage(format!(
            "--tool {given}: --deny read leaves it nothing; 'trusted:{name}' runs it unconfined"
        )));
    }
    // Even where it may not be changed itself, a directory above it could be put aside.
    if trusted && path.starts_with(root) && policy.may_write() {
        return Err(usage(format!(
            "--tool {given}: this run may change files beneath the root, so what lies there cannot be trusted: move it"
        )));
    }
    Ok(OwnTool { path, given: name.to_owned(), trusted })
}

/// Keeps what this run itself writes and runs from its own tools.
pub(super) fn keep_own(policy: &mut Policy, files: &Files, tools: &[OwnTool], outputs: &[Option<&Path>]) {
    let Files::Beneath(root) = files else { return };
    for path in outputs.iter().flatten() {
        let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        if let (Ok(directory), Some(name)) = (directory.canonicalize(), path.file_name()) {
            policy.keep(root, &directory.join(name));
        }
    }
    for tool in tools {
        policy.keep(root, &tool.path);
    }
}

/// How programs are confined.
pub(super) fn sandbox(args: &ToolArgs) -> Wanted {
    match args.sandbox {
        None | Some(SandboxArg::Auto) => Wanted::Auto,
        Some(SandboxArg::Strict) => Wanted::Strict,
        Some(SandboxArg::Off) => Wanted::Off,
    }
}

/// What a denied call does.
pub(super) fn on_deny(args: &ToolArgs) -> OnDeny {
    match args.on_deny {
        Some(args::OnDeny::Fail) => OnDeny::Fail,
        _ => OnDeny::Continue,
    }
}
