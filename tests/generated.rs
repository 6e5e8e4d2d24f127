//! The committed man pages and completions are what the command line gives today. With `FLUX_REGENERATE=1` this
//! writes them anew instead of comparing.

use std::fs;
use std::path::Path;

use clap::CommandFactory as _;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};
use flux::base::exit::TABLE;
use flux::cli::args::Cli;
use flux::wire::Structured;
use flux::wire::providers::PROVIDERS;

fn check(path: &str, content: &[u8]) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    if std::env::var_os("FLUX_REGENERATE").is_some() {
        fs::write(&file, content).expect("the generated file");
        return;
    }
    let committed = fs::read(&file).unwrap_or_default();
    assert!(committed == content, "{path} is not up to date: FLUX_REGENERATE=1 cargo test generated");
}

#[test]
fn generated_completions_are_those_of_the_command_line() {
    use clap_complete::{Shell, generate};
    for (shell, path) in [
        (Shell::Bash, "completions/flux.bash"),
        (Shell::Zsh, "completions/_flux"),
        (Shell::Fish, "completions/flux.fish"),
    ] {
        let mut content = Vec::new();
        generate(shell, &mut Cli::command(), "flux", &mut content);
        check(path, &content);
    }
}

#[test]
fn generated_man_pages_are_those_of_the_command_line() {
    let mut command = Cli::command().disable_help_flag(true);
    command.build();
    let page = |command: &clap::Command, name: &str| {
        let man = Man::new(command.clone())
            .title(name.to_owned())
            .date("2026-11-24")
            .source(concat!("flux ", env!("CARGO_PKG_VERSION")));
        let mut out = Vec::new();
        man.render(&mut out).expect("rendered");
        out
    };
    let mut main = page(&command, "flux");
    main.extend(provider_matrix());
    main.extend(exit_status());
    main.extend(environment());
    main.extend(see_also("flux-ask(1), flux-transcript(1), flux-recipes(7), flux-debugging(7)"));
    // The other commands have no page of their own.
    let mut main = String::from_utf8(main).expect("text");
    for name in ["models", "completions", "help"] {
        main = main.replace(&format!("flux\\-{name}(1)"), &format!("flux {name}"));
    }
    check("man/flux.1", main.as_bytes());
    let ask = command.find_subcommand("ask").expect("ask").clone().name("flux-ask").bin_name("flux ask");
    let mut content = page(&ask, "flux-ask");
    content.extend(exit_status());
    content.extend(environment());
    content.extend(see_also("flux(1), flux-transcript(1), flux-recipes(7), flux-debugging(7)"));
    check("man/flux-ask.1", &content);
    let transcript = command.find_subcommand("transcript").expect("transcript").clone();
    let mut content = page(&transcript.clone().name("flux-transcript").bin_name("flux transcript"), "flux-transcript");
    for part in transcript.get_subcommands() {
        // All of them stand on this page.
        let name = part.get_name();
        let page = String::from_utf8(content).expect("text");
        content = page.replace(&format!("flux\\-transcript\\-{name}(1)"), &format!("flux transcript {name}")).into();
        content.extend(subcommand(part));
    }
    content.extend(exit_status());
    content.extend(see_also("flux(1), flux-ask(1), flux-debugging(7)"));
    check("man/flux-transcript.1", &content);
}

/// A command of a command: a section with what its own page would say.
fn subcommand(command: &clap::Command) -> Vec<u8> {
    let man = Man::new(command.clone());
    let mut parts = Vec::new();
    man.render_synopsis_section(&mut parts).expect("rendered");
    man.render_description_section(&mut parts).expect("rendered");
    man.render_options_section(&mut parts).expect("rendered");
    let parts = String::from_utf8(parts).expect("text").replace("\n.SH ", "\n.SS ");
    let parts = parts.strip_prefix(".SH ").map_or(parts.clone(), |rest| format!(".SS {rest}"));
    format!(".SH FLUX TRANSCRIPT {}\n{parts}", command.get_name().to_uppercase()).into_bytes()
}

/// PROVIDERS, from the table that requests are made by.
fn provider_matrix() -> Vec<u8> {
    let mut roff = Roff::new();
    roff.control("SH", ["PROVIDERS"]);
    roff.text([roman("Any model of theirs is asked as PROVIDER/MODEL.")]);
    for provider in PROVIDERS {
        roff.control("TP", []);
        roff.text([bold(provider.name)]);
        let address = provider.base_url.unwrap_or("each customer's own address: --base-url");
        let key = provider.key_env.unwrap_or("none");
        let model = provider.default_model.map_or_else(String::new, |model| format!(" Default model: {model}."));
        let schema = match provider.quirks.structured {
            Structured::BesideTools => "enforced by the service, also beside tools",
            Structured::WithoutTools => "enforced by the server where no tool may be called, else asked for in words",
            Structured::Never => "asked for in words",
        };
        roff.text([roman(format!(
            "{address}. Wire: {}. Key: {key}.{model} The form of --schema and --check is {schema}; flux checks it in any case.",
            provider.wire
        ))]);
    }
    let mut out = Vec::new();
    roff.to_writer(&mut out).expect("rendered");
    out
}

/// EXIT STATUS, from the table that the program itself uses.
fn exit_status() -> Vec<u8> {
    let mut roff = Roff::new();
    roff.control("SH", ["EXIT STATUS"]);
    for row in TABLE {
        roff.control("TP", []);
        roff.text([bold(row.code)]);
        let again = if row.again.is_empty() { String::new() } else { format!(" (run again: {})", row.again) };
        roff.text([roman(format!("{}{again}", row.meaning))]);
    }
    let mut out = Vec::new();
    roff.to_writer(&mut out).expect("rendered");
    out
}

const ENVIRONMENT: &[(&str, &str)] = &[
    (
        "ANTHROPIC_API_KEY, ANTHROPIC_AUTH_TOKEN, OPENAI_API_KEY, …",
        "The providers' keys; 'flux models' lists the variables.",
    ),
    ("ANTHROPIC_BASE_URL, OPENAI_BASE_URL", "The providers' addresses, as their own SDKs read them."),
    ("OLLAMA_HOST", "Where Ollama listens."),
    (
        "FLUX_DISABLE",
        "With --output or --prepend-to: do nothing at once and exit 0, so that hooks can be switched off.",
    ),
    (
        "FLUX_MODEL, FLUX_…",
        "Any long flag that may stand in the configuration file and gives no rights, addresses or keys: FLUX_MAX_TURNS=10.",
    ),
    (
        "HTTPS_PROXY, HTTP_PROXY, ALL_PROXY, NO_PROXY",
        "As curl reads them; this machine itself is always reached directly.",
    ),
    ("SSL_CERT_FILE, SSL_CERT_DIR", "Certificates to trust instead of the bundled ones."),
    ("NO_COLOR, CLICOLOR_FORCE", "Colour on stderr."),
    ("XDG_CONFIG_HOME", "Where flux/config and flux/profiles/NAME lie; ~/.config without it."),
];

/// ENVIRONMENT and FILES.
fn environment() -> Vec<u8> {
    let mut roff = Roff::new();
    roff.control("SH", ["ENVIRONMENT"]);
    for (names, text) in ENVIRONMENT {
        roff.control("TP", []);
        roff.text([bold(*names)]);
        roff.text([roman(*text)]);
    }
    roff.control("SH", ["FILES"]);
    for (name, text) in [
        ("~/.config/flux/config", "Flags, one or more a line, split as a shell splits words; # begins a comment."),
        ("~/.config/flux/profiles/NAME", "The same, for --profile NAME."),
    ] {
        roff.control("TP", []);
        roff.text([bold(name)]);
        roff.text([roman(text)]);
    }
    let mut out = Vec::new();
    roff.to_writer(&mut out).expect("rendered");
    out
}

fn see_also(pages: &str) -> Vec<u8> {
    let mut roff = Roff::new();
    roff.control("SH", ["SEE ALSO"]);
    roff.text([roman(pages)]);
    let mut out = Vec::new();
    roff.to_writer(&mut out).expect("rendered");
    out
}
