//! Help topics, the list of models, completions: everything that `flux` prints about itself.

use std::fmt::Write as _;

use crate::base::exit::Exit;
use crate::base::failure::Failure;
use crate::base::stdio::{self, Stream};
use crate::base::text;
use crate::cli;
use crate::cli::args::Shell;
use crate::report::Messages;
use crate::tools;
use crate::wire::{models, providers};

const PERMISSIONS: &str = "\
What a run may do

Nobody is there to ask, so the command line says what may happen, and flux offers the model
nothing else.

By default the model may read, list and search files beneath the working directory, or beneath
--root DIR. Where that is /, the home directory or above it, no file tool is offered unless
--root names it. Nothing outside is read, by no path and no link. Files whose names usually hold
secrets (.env, *.pem, *.key, id_rsa, .netrc, credentials and the like) and .git/config are denied;
--allow 'read:PATH' permits one of them.
Files that .gitignore names are left out of lists and searches, but can be read by name.

--no-tools offers nothing at all: the right choice for untrusted input whose answer is published.

The model cannot change files, run commands or reach the network.
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

/// The tools that a run with default flags offers.
#[must_use]
pub fn tools() -> String {
    let line = |spec: &crate::chat::ToolSpec| format!("{:<14} {}\n", spec.name, spec.description);
    tools::reading_tools().iter().map(|tool| line(tool.spec())).collect()
}
