//! Help topics, the list of models, completions: everything that `flux` prints about itself.

use std::fmt::Write as _;

use crate::base::exit::Exit;
use crate::base::failure::Failure;
use crate::base::stdio::{self, Stream};
use crate::base::text;
use crate::base::tty::Terminals;
use crate::cli;
use crate::cli::args::Shell;
use crate::cli::rights::{Files, TOO_BROAD};
use crate::cli::settings::Settings;
use crate::report::Messages;
use crate::toolbox::Built;
use crate::tools::{self, Kind};
use crate::wire::{models, providers};

/// What `--version` prints, for which the command line need not be known.
pub const VERSION: &str = concat!("flux ", env!("CARGO_PKG_VERSION"), "\n");

const PERMISSIONS: &str = include_str!("permissions.txt");

/// Prints to stdout. What others have written in it cannot move the cursor of a terminal.
#[must_use]
pub fn print(text: &str) -> Exit {
    let text = if Terminals::detect().stdout { text::terminal(text) } else { text.into() };
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
            let message =
                format!("no help on '{other}': exit-codes, permissions, ask, transcript, models, completions");
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

/// The tools that a run offers the model, and why it does not offer the others.
#[must_use]
pub fn tools(settings: &Settings, built: &Built) -> String {
    let offered = built.toolbox.specs();
    let mut text = String::new();
    for spec in offered {
        // Writing into a String cannot fail.
        let _ = writeln!(text, "{:<12} {}", spec.name, spec.description);
    }
    if text.is_empty() {
        text.push_str("no tools\n");
    }
    for (name, kind) in tools::KNOWN {
        if !offered.iter().any(|spec| spec.name == name) {
            let _ = writeln!(text, "{name:<12} not offered: {}", lack(kind, settings));
        }
    }
    for program in &built.missing {
        let _ = writeln!(text, "{:<12} '{program}' is not on the search path, or cannot be executed", "run_command");
    }
    text
}

/// Why no tool of this kind is offered.
fn lack(kind: Kind, settings: &Settings) -> &'static str {
    let policy = &settings.policy;
    match (&settings.files, kind) {
        (Files::Off, _) => "--no-tools",
        (Files::TooBroad, _) => TOO_BROAD,
        (Files::Beneath(_), Kind::Reads) => "--deny read",
        (Files::Beneath(_), _) if !policy.may_read() => "--deny read",
        (Files::Beneath(_), Kind::Changes) if policy.is_unwritable() => "--deny write",
        (Files::Beneath(_), Kind::Changes) => "needs --allow write",
        (Files::Beneath(_), Kind::Runs) if policy.is_unrunnable() => "--deny run",
        (Files::Beneath(_), Kind::Runs) => "needs --allow 'run:PROGRAM **'",
        (Files::Beneath(_), Kind::Shell) if policy.is_shell_denied() => "--deny shell",
        (Files::Beneath(_), Kind::Shell) => "needs --allow shell",
    }
}
