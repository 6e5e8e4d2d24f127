//! Help topics, the list of models, completions: everything that `flux` prints about itself.

use std::fmt::Write as _;

use crate::base::exit::Exit;
use crate::base::failure::Failure;
use crate::base::stdio::{self, Stream};
use crate::base::text;
use crate::cli;
use crate::cli::args::Shell;
use crate::cli::settings::Files;
use crate::report::Messages;
use crate::tools::{self, Policy, Tool};
use crate::wire::{models, providers};

const PERMISSIONS: &str = "\
What a run may do

Nobody is there to ask, so the command line says what may happen, and flux offers the model
nothing else.

By default the model may read, list and search files beneath the working directory, or beneath
--root DIR. Where that is /, the home directory or above it, no file tool is offered unless
--root names it. Nothing outside is read, by no path and no link. Files whose names usually hold
secrets (.env, *.pem, *.key, id_rsa, .netrc, credentials and the like) and .git/config are denied.
Files that .gitignore names are left out of lists and searches, but can be read by name.

  --allow write         create, edit, move and delete files beneath the root
  --allow 'write:GLOB'  only files whose path relative to the root matches; * does not cross a /,
                        ** does: 'write:src/**', 'write:*.md'
  --allow 'read:PATH'   a file that is named as secrets are; to change it needs both grants
  --deny 'write:GLOB'   forbid it after all; 'read:GLOB', 'read' and 'write' likewise. A directory
                        is denied with all that is in it. A denial outweighs every grant, and
                        what may not be read may not be changed either.
  --on-deny fail        end the run with exit 84 at the first denied call. Without it the model is
                        told and goes on; five denials in a row end the run with 84.
  --no-tools            offer nothing at all: the right choice for untrusted input whose answer is
                        published

Some files make programs run later: .git, .gitmodules, shell start-up files, .envrc, .npmrc,
.github, .gitlab-ci.yml, .vscode, .idea, .mcp.json, AGENTS.md, CLAUDE.md, .cargo/config.toml and
the like. --allow write does not include them; only their own name does:
--allow 'write:.github/**'.

An existing file is changed only if this run has read it and it is as it was then. Every change
is made whole or not at all, through no symbolic link, and keeps mode, line ends and byte order
mark. Nothing that exists is overwritten by a move, and no directory is deleted. There is no
undo: use version control.

The model cannot run commands or reach the network.
";

/// Prints to stdout.
#[must_use]
pub fn print(text: &str) -> Exit {
    match Stream::Out.write_all(text.as_bytes()) {
        Ok(()) => Exit::Ok,
        Err(error) if stdio::reader_gone(&error) => Exit::Signal(signal_hook::consts::SIGPIPE),
        Err(error) => {
            Messages::default().error(&Failure::new(Exit::Io, format!("stdout: {error}")));
            Exit::Io
        }
    }
}

/// `flux help [TOPIC]`
#[must_use]
pub fn topic(name: Option<&str>) -> Exit {
    match name {
        None => print(&cli::command().render_help().to_string()),
        Some("exit-codes") => print(&Exit::help()),
        Some("permissions") => print(PERMISSIONS),
        Some(name) if cli::command().find_subcommand(name).is_some() => print(&command_help(name)),
        Some(other) => {
            let message = format!("no help on '{other}': exit-codes, permissions, ask, models, completions");
            Messages::default().error(&Failure::new(Exit::Usage, message));
            Exit::Usage
        }
    }
}

/// The long help of a command.
#[must_use]
pub fn command_help(name: &str) -> String {
    let mut command = cli::command();
    command.build();
    command.find_subcommand_mut(name).map(|command| command.render_long_help().to_string()).unwrap_or_default()
}

/// The committed completions.
#[must_use]
pub fn completions(shell: Shell) -> &'static str {
    match shell {
        Shell::Bash => include_str!("../completions/flux.bash"),
        Shell::Zsh => include_str!("../completions/_flux"),
        Shell::Fish => include_str!("../completions/flux.fish"),
    }
}

/// The models that flux knows, one a line.
#[must_use]
pub fn models() -> String {
    let mut text =
        format!("# window and output limit in tokens, prices in US dollars per million tokens ({})\n", models::DATE);
    let _ = writeln!(text, "{:<36} {:>8} {:>8} {:>8} {:>8}  wire", "model", "window", "output", "$ in", "$ out");
    let number = |n: Option<u64>| n.map_or_else(|| "?".to_owned(), text::count);
    let price = |n: Option<f64>| n.map_or_else(|| "?".to_owned(), |n| n.to_string());
    for model in models::MODELS {
        let name = format!("{}/{}", model.provider, model.id);
        let wire = providers::named(model.provider).map_or("", |provider| provider.wire);
        let (input, output) =
            (price(model.price.as_ref().map(|p| p.rates.input)), price(model.price.as_ref().map(|p| p.rates.output)));
        let _ = writeln!(
            text,
            "{name:<36} {:>8} {:>8} {input:>8} {output:>8}  {wire}",
            number(model.window),
            number(model.max_output)
        );
    }
    text.push_str("\n# providers: any of their models as PROVIDER/MODEL; the key from this variable\n");
    for provider in providers::PROVIDERS {
        let key = provider.key_env.unwrap_or("-");
        let _ = writeln!(
            text,
            "{:<12} {:<28} {:<18} {}",
            provider.name,
            key,
            provider.wire,
            provider.base_url.unwrap_or("(--base-url)")
        );
    }
    text
}

/// Why no file tool is offered in a directory that holds too much.
pub const TOO_BROAD: &str = "the working directory is / or holds the home directory; name one with --root";

/// The tools that a run offers the model, and why it does not offer the others.
#[must_use]
pub fn tools(files: &Files, policy: &Policy) -> String {
    let offered = if let Files::Beneath(_) = files { tools::permitted_tools(policy) } else { Vec::new() };
    let is_offered = |name: &str| offered.iter().any(|tool| tool.spec().name == name);
    let line = |tool: &dyn Tool| format!("{:<12} {}\n", tool.spec().name, tool.spec().description);
    let mut text: String = offered.iter().map(|tool| line(tool.as_ref())).collect();
    if text.is_empty() {
        text.push_str("no tools\n");
    }
    let all = tools::reading_tools().into_iter().chain(tools::changing_tools());
    for tool in all.filter(|tool| !is_offered(&tool.spec().name)) {
        let why = match files {
            Files::Off => "--no-tools",
            Files::TooBroad => TOO_BROAD,
            Files::Beneath(_) if !policy.may_read() => "--deny read",
            Files::Beneath(_) if policy.is_unwritable() => "--deny write",
            Files::Beneath(_) => "needs --allow write",
        };
        let _ = writeln!(text, "{:<12} not offered: {why}", tool.spec().name);
    }
    text
}
