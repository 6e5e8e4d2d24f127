//! What can be typed. Only clap's types: no environment, no file, no decision. The configuration file and the
//! `FLUX_…` variables are the same flags in another place.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum, ValueHint};

pub use super::forms::FormArgs;

/// A one-shot Unix filter for language models.
#[derive(Debug, Parser)]
#[command(
    name = "flux",
    version,
    about,
    disable_help_subcommand = true,
    args_override_self = true,
    arg_required_else_help = true,
    max_term_width = 100,
    after_help = "Run 'flux ask --help' for the filter itself, 'flux help exit-codes' and 'flux help permissions' for those."
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Answer a prompt over the given context, using tools, and print the answer
    Ask(Box<Ask>),
    /// Show, check, export and count transcripts
    Transcript(super::transcript::Transcript),
    /// List the models flux knows: window, output limit, price, wire
    Models,
    /// Print the completions for a shell
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Print help on flux or on a topic
    Help {
        /// exit-codes, permissions, or a command
        topic: Option<String>,
    },
}

/// Shells with committed completions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Shell {
    /// Bash
    Bash,
    /// Zsh
    Zsh,
    /// Fish
    Fish,
}

/// The form of what goes to stdout.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// The answer
    Text,
    /// The result object: answer, usage, cost
    Json,
    /// The transcript, line by line as it happens
    Jsonl,
}

/// When to use colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// At a terminal, unless `NO_COLOR` is set
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// How programs are confined.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SandboxArg {
    /// As well as this system can: never without
    Auto,
    /// With namespaces, or the run ends with exit 85
    Strict,
    /// Not at all
    Off,
}

/// What a denied call does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum OnDeny {
    /// The model is told, and goes on
    Continue,
    /// The run ends with exit 84
    Fail,
}

const EXAMPLES: &str = "\
Examples:
  git diff | flux ask 'Review this change'
  flux ask 'What does this repository do? Start with README.md'
  flux ask -f error.log -f src/main.rs 'Why does it fail?'
  flux ask --allow 'write:*.md' 'Correct the spelling in README.md'
  flux ask --allow write --allow 'run:make **' 'Run make check and mend what fails'
  flux ask --no-tools -o summary.txt 'Summarise' < report.txt
  flux ask --json 'How many tests are there?' | jq .usage
  flux ask --schema '[service, severity, count int]' 'One entry a kind of error' < error.log
  git diff --cached | flux ask --check 'Is this free of secrets?' || echo stop

The prompt is never interpreted; quote it. Context comes from stdin and -f; without a
prompt stdin is the prompt. stdout holds the answer and nothing else, and is empty unless
the exit code is 0, or 1 with --check ('flux help exit-codes'). Ask a check so that yes means
go on. Recipes for hooks, make and CI: flux-recipes(7).";

/// `flux ask`
#[derive(Debug, Args, Default)]
#[command(after_help = EXAMPLES, args_override_self = true)]
pub struct Ask {
    /// What to do; several words are joined by blanks; '-' takes it from stdin
    #[arg(value_name = "PROMPT")]
    pub prompt: Vec<String>,

    /// What is sent.
    #[command(flatten, next_help_heading = "Input")]
    pub input: InputArgs,
    /// What comes out.
    #[command(flatten, next_help_heading = "Output")]
    pub output: OutputArgs,
    /// For scripts.
    #[command(flatten, next_help_heading = "Form of the answer")]
    pub forms: FormArgs,
    /// Who answers.
    #[command(flatten, next_help_heading = "Model")]
    pub model: ModelArgs,
    /// How the server is reached.
    #[command(flatten, next_help_heading = "Keys and network")]
    pub network: NetworkArgs,
    /// What the model may do.
    #[command(flatten, next_help_heading = "Tools")]
    pub tools: ToolArgs,
    /// When to stop.
    #[command(flatten, next_help_heading = "Limits")]
    pub limits: LimitArgs,
    /// Where flags come from besides the command line.
    #[command(flatten, next_help_heading = "Configuration")]
    pub config: ConfigArgs,
}

/// What is sent.
#[derive(Debug, Args, Default)]
pub struct InputArgs {
    /// A file as context (repeatable; '-' is stdin); images and PDF by their content
    #[arg(short = 'f', long = "file", value_name = "FILE", allow_hyphen_values = true, value_parser = super::units::path(), value_hint = ValueHint::FilePath)]
    pub files: Vec<PathBuf>,
    /// Leave stdin alone
    #[arg(short = 'n', long, overrides_with = "stdin")]
    pub no_stdin: bool,
    /// Undo --no-stdin
    #[arg(long, hide = true, overrides_with = "no_stdin")]
    pub stdin: bool,
    /// Text added to flux's own short system prompt
    #[arg(short = 's', long = "system", value_name = "TEXT", allow_hyphen_values = true)]
    pub system: Option<String>,
    /// A file added to the system prompt
    #[arg(long, value_name = "FILE", allow_hyphen_values = true, value_parser = super::units::path(), value_hint = ValueHint::FilePath)]
    pub system_file: Option<PathBuf>,
    /// Send the user's system prompt alone
    #[arg(long, overrides_with = "no_bare_system")]
    pub bare_system: bool,
    /// Undo --bare-system
    #[arg(long, hide = true, overrides_with = "bare_system")]
    pub no_bare_system: bool,
    /// A file that holds the prompt; words typed follow it
    #[arg(long, value_name = "FILE", allow_hyphen_values = true, value_parser = super::units::path(), value_hint = ValueHint::FilePath)]
    pub prompt_file: Option<PathBuf>,
    /// Continue the conversation in FILE, or start one there; what is said is appended
    #[arg(short = 'c', long, value_name = "FILE")]
    pub session: Option<String>,
    /// The most input to take [default: 64M; 0: no limit]
    #[arg(long, value_name = "SIZE", value_parser = super::units::size)]
    pub max_input: Option<u64>,
    /// Fail if stdin has not ended after this time
    #[arg(long, value_name = "DUR", value_parser = super::units::duration)]
    pub stdin_timeout: Option<std::time::Duration>,
}

/// What comes out.
#[derive(Debug, Args, Default)]
pub struct OutputArgs {
    /// Write the answer to FILE, atomically and only on success
    #[arg(short = 'o', long, value_name = "FILE", value_parser = super::units::path(), value_hint = ValueHint::FilePath)]
    pub output: Option<PathBuf>,
    /// Write the text of every turn as it arrives (the default at a terminal)
    #[arg(long, overrides_with = "no_stream")]
    pub stream: bool,
    /// Write the finished answer in one go (the default in a pipe)
    #[arg(long, overrides_with = "stream")]
    pub no_stream: bool,
    /// Print what there is when a limit ends the run
    #[arg(long, overrides_with = "no_partial")]
    pub partial: bool,
    /// Undo --partial
    #[arg(long, hide = true, overrides_with = "partial")]
    pub no_partial: bool,
    /// The form of stdout
    #[arg(long, value_name = "FORMAT", overrides_with_all = ["json", "jsonl"])]
    pub format: Option<Format>,
    /// Short for --format json
    #[arg(long, overrides_with_all = ["format", "jsonl"])]
    pub json: bool,
    /// Short for --format jsonl
    #[arg(long, overrides_with_all = ["format", "json"])]
    pub jsonl: bool,
    /// Append the transcript to FILE ('fd:N' an open descriptor, '-' stdout with --format jsonl)
    #[arg(long, value_name = "FILE")]
    pub transcript: Option<String>,
    /// Say nothing but errors on stderr
    #[arg(short = 'q', long, overrides_with_all = ["verbose", "no_quiet"])]
    pub quiet: bool,
    /// Undo --quiet
    #[arg(long, hide = true, overrides_with = "quiet")]
    pub no_quiet: bool,
    /// A line on stderr per request and tool call, totals at the end
    #[arg(short = 'v', long, overrides_with_all = ["quiet", "no_verbose"])]
    pub verbose: bool,
    /// Undo --verbose
    #[arg(long, hide = true, overrides_with = "verbose")]
    pub no_verbose: bool,
    /// Print the state of the conversation before each request
    #[arg(long, overrides_with = "no_debug")]
    pub debug: bool,
    /// Undo --debug
    #[arg(long, hide = true, overrides_with = "debug")]
    pub no_debug: bool,
    /// Colour on stderr [default: auto]
    #[arg(long, value_name = "WHEN")]
    pub color: Option<Color>,
}

/// Who answers.
#[derive(Debug, Args, Default)]
pub struct ModelArgs {
    /// PROVIDER/MODEL, MODEL, PROVIDER, or 'local' ('flux models' lists them)
    #[arg(short = 'm', long, value_name = "MODEL")]
    pub model: Option<String>,
    /// The base URL of a server that speaks one of the wires
    #[arg(long, value_name = "URL")]
    pub base_url: Option<String>,
    /// What the server at --base-url speaks [default: openai-chat]
    #[arg(long, value_name = "WIRE", value_parser = ["anthropic", "openai-responses", "openai-chat"])]
    pub wire: Option<String>,
    /// How hard the model thinks
    #[arg(long, value_name = "LEVEL", value_parser = ["none", "minimal", "low", "medium", "high", "xhigh", "max"])]
    pub effort: Option<String>,
    /// The sampling temperature
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub temperature: Option<f64>,
    /// The sampling seed
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub seed: Option<i64>,
    /// A further field of the request (repeatable)
    #[arg(long, value_name = "KEY=JSON")]
    pub param: Vec<String>,
    /// The model's window in tokens
    #[arg(long, value_name = "TOKENS", alias = "max-history", value_parser = super::units::count)]
    pub max_context: Option<u64>,
}

/// How the server is reached.
#[derive(Debug, Args, Default)]
pub struct NetworkArgs {
    /// A command that prints the key
    #[arg(long, value_name = "CMD", overrides_with_all = ["api_key_file", "api_key_env"])]
    pub api_key_cmd: Option<String>,
    /// A file that holds the key
    #[arg(long, value_name = "PATH", overrides_with_all = ["api_key_cmd", "api_key_env"])]
    pub api_key_file: Option<String>,
    /// The variable that holds the key
    #[arg(long, value_name = "NAME", overrides_with_all = ["api_key_cmd", "api_key_file"])]
    pub api_key_env: Option<String>,
    /// A further header (repeatable; never a key)
    #[arg(long, value_name = "N: V")]
    pub header: Vec<String>,
    /// Allow plain http to other hosts than this one
    #[arg(long, overrides_with = "no_allow_http")]
    pub allow_http: bool,
    /// Undo --allow-http
    #[arg(long, hide = true, overrides_with = "allow_http")]
    pub no_allow_http: bool,
    /// Trust the certificates in this file alone
    #[arg(long, value_name = "FILE")]
    pub ca_file: Option<String>,
    /// Attempts after the first [default: 4]
    #[arg(long, value_name = "N")]
    pub retries: Option<u32>,
    /// Requests a minute at most, evenly spaced, over all runs with the same key (they share `$XDG_RUNTIME_DIR`)
    #[arg(long, value_name = "N", value_parser = super::units::count)]
    pub rpm: Option<u64>,
    /// Tokens a minute at most, over all runs with the same key
    #[arg(long, value_name = "N", value_parser = super::units::count)]
    pub tpm: Option<u64>,
    /// Do not share what is known of rate limits with other runs
    #[arg(long, overrides_with = "shared_limits")]
    pub no_shared_limits: bool,
    /// Undo --no-shared-limits
    #[arg(long, hide = true, overrides_with = "no_shared_limits")]
    pub shared_limits: bool,
    /// The most time without a byte [default: 300s]
    #[arg(long, value_name = "DUR", value_parser = super::units::duration)]
    pub idle_timeout: Option<std::time::Duration>,
}

/// What the model may do.
#[derive(Debug, Args, Default)]
pub struct ToolArgs {
    /// Offer no tools: pure completion, right for untrusted input whose answer is published
    #[arg(long, overrides_with = "tools")]
    pub no_tools: bool,
    /// Undo --no-tools
    #[arg(long, hide = true, overrides_with = "no_tools")]
    pub tools: bool,
    /// Grant something more (repeatable): 'write' to change files, 'write:GLOB' only some; 'run:PROGRAM **' to run a
    /// program, 'shell' any; 'net', 'env:NAME' for programs; 'read:PATH' a file that is named as secrets are, or
    /// another place. 'flux help permissions' says what they mean
    #[arg(long, value_name = "GRANT")]
    pub allow: Vec<String>,
    /// Forbid something: the same words, with less or no pattern for more ('run', 'write', 'read'); outweighs every
    /// grant (repeatable)
    #[arg(long, value_name = "GRANT")]
    pub deny: Vec<String>,
    /// What a denied call does: the model goes on, or the run ends with exit 84 [default: continue]
    #[arg(long, value_name = "WHAT")]
    pub on_deny: Option<OnDeny>,
    /// Offer an executable as a tool (repeatable); 'trusted:PATH' runs it outside the sandbox
    #[arg(long, value_name = "PATH")]
    pub tool: Vec<String>,
    /// How programs are confined [default: auto]
    #[arg(long, value_name = "HOW")]
    pub sandbox: Option<SandboxArg>,
    /// List the tools that the model would be offered and why others are not; those of --tool describe themselves
    #[arg(long)]
    pub list_tools: bool,
    /// The directory beneath which files may be used [default: the working directory]
    #[arg(long, value_name = "DIR")]
    pub root: Option<String>,
}

/// When to stop.
#[derive(Debug, Args, Default)]
pub struct LimitArgs {
    /// The most time for the whole run
    #[arg(long, value_name = "DUR", value_parser = super::units::duration)]
    pub timeout: Option<std::time::Duration>,
    /// The most requests [default: 50; 0: no limit]
    #[arg(long, value_name = "N")]
    pub max_turns: Option<u64>,
    /// The most tool calls [default: 200; 0: no limit]
    #[arg(long, value_name = "N")]
    pub max_tool_calls: Option<u64>,
    /// The most tokens of one reply
    #[arg(long, value_name = "N", alias = "max-output-tokens", value_parser = super::units::count)]
    pub max_tokens: Option<u64>,
    /// The most tokens of the whole run, input and output
    #[arg(long, value_name = "N", value_parser = super::units::count)]
    pub max_run_tokens: Option<u64>,
    /// The most that the run may cost, in US dollars
    #[arg(long, value_name = "USD")]
    pub max_cost: Option<f64>,
}

/// Where flags come from besides the command line.
#[derive(Debug, Args, Default)]
pub struct ConfigArgs {
    /// Add the flags of a profile, `$XDG_CONFIG_HOME/flux/profiles/NAME`
    #[arg(short = 'p', long, value_name = "NAME")]
    pub profile: Option<String>,
    /// Do not read `$XDG_CONFIG_HOME/flux/config`
    #[arg(long)]
    pub no_config: bool,
}
