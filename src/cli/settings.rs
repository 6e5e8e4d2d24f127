//! What will be done: the flags of all layers settled once, against each other and against the terminals.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::parser::ValueSource;
use clap::{ArgMatches, FromArgMatches as _};
use serde_json::value::RawValue;

use super::args::{Ask, FormArgs, Format};
use super::color;
use super::config;
use super::forms;
use super::network;
use super::rights::{self, Files};
use crate::agent::{Limits, OnDeny};
use crate::base::exit::Exit;
use crate::base::failure::{Failure, OrFail as _, Result};
use crate::base::tty::Terminals;
use crate::form::Form;
use crate::sandbox::Wanted;
use crate::tools::Policy;
use crate::tools::custom::OwnTool;
use crate::wire::Params;

pub use super::network::{KeySource, NetworkSettings};

/// Everything that a run needs to know, settled.
#[derive(Debug)]
pub struct Settings {
    /// What is sent.
    pub input: InputSettings,
    /// What comes out.
    pub output: OutputSettings,
    /// Who answers.
    pub model: ModelSettings,
    /// How the server is reached.
    pub network: NetworkSettings,
    /// Where the file tools work.
    pub files: Files,
    /// What this run may do.
    pub policy: Policy,
    /// Tools of the user's own.
    pub own_tools: Vec<OwnTool>,
    /// How programs are confined.
    pub sandbox: Wanted,
    /// What a denied call does.
    pub on_deny: OnDeny,
    /// Only list the tools.
    pub list_tools: bool,
    /// The form that the answer must have.
    pub form: Form,
    /// Only show what would be sent, in this format.
    pub dry_run: Option<Format>,
    /// When to stop.
    pub limits: Limits,
}

/// Where the instruction comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Instruction {
    /// From the command line, a prompt file, or both.
    Given {
        /// The words typed, joined.
        words: Option<String>,
        /// `--prompt-file`
        file: Option<PathBuf>,
        /// The words stood after `--`: they are for the model, whatever they are.
        literal: bool,
    },
    /// From stdin because of a lone `-`.
    Stdin,
    /// Nothing was said: from stdin if something is there.
    Open {
        /// A system prompt or context was given, so stdin may as well be meant as context.
        ambiguous: bool,
    },
}

/// What is sent.
#[derive(Debug)]
pub struct InputSettings {
    /// Where the instruction comes from.
    pub instruction: Instruction,
    /// `-f`, in order.
    pub files: Vec<PathBuf>,
    /// `--session`: the file of the conversation that this run continues.
    pub session: Option<String>,
    /// False with `-n`.
    pub stdin: bool,
    /// `--system`
    pub system: Option<String>,
    /// `--system-file`
    pub system_file: Option<PathBuf>,
    /// Send the user's system prompt alone.
    pub bare_system: bool,
    /// The most bytes to take; `None` for no limit.
    pub max_bytes: Option<u64>,
    /// The most time for stdin.
    pub stdin_timeout: Option<Duration>,
}

/// How much goes to stderr.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verbosity {
    /// Errors only.
    Quiet,
    /// Notes that the contract names.
    Normal,
    /// A line per request and tool call.
    Verbose,
}

/// What comes out.
#[derive(Debug, Clone)]
pub struct OutputSettings {
    /// `-o` or `--prepend-to`
    pub file: Option<PathBuf>,
    /// The answer goes above what the file holds.
    pub prepend: bool,
    /// `--fail-open`
    pub fail_open: bool,
    /// `FLUX_DISABLE` is set, and obeyed.
    pub disabled: bool,
    /// The exit code is the whole answer: `--check -q`.
    pub silent: bool,
    /// Write text as it arrives.
    pub stream: bool,
    /// Print what there is when a limit ends the run.
    pub partial: bool,
    /// The form of stdout.
    pub format: Format,
    /// `--transcript`
    pub transcript: Option<String>,
    /// How much goes to stderr.
    pub verbosity: Verbosity,
    /// The debug lines.
    pub debug: bool,
    /// Colour on stderr.
    pub color: bool,
    /// Which streams are terminals.
    pub terminals: Terminals,
}

/// Who answers.
#[derive(Debug)]
pub struct ModelSettings {
    /// `-m`
    pub model: Option<String>,
    /// The model was named on the command line.
    pub typed: bool,
    /// `--base-url`
    pub base_url: Option<String>,
    /// `--wire`
    pub wire: Option<String>,
    /// What is sent only because the user gave it.
    pub params: Params,
    /// `--max-context`
    pub window: Option<u64>,
    /// `--max-tokens`
    pub max_tokens: Option<u64>,
}

impl Settings {
    /// Settles the arguments that stood after `flux ask`.
    ///
    /// # Errors
    /// They contradict each other, or a layer of the configuration cannot be used.
    pub fn resolve(matches: &ArgMatches, words: &[OsString], terminals: Terminals) -> Result<Self> {
        let typed = Ask::from_arg_matches(matches).map_err(|e| Failure::new(Exit::Usage, config::first_line(&e)))?;
        check_order(&typed, matches, words)?;
        let (prompt, literal) = (typed.prompt.clone(), is_literal(words));
        let model_typed = typed.model.model.is_some();
        let mut ask = config::layered(typed, words)?;
        ask.prompt = prompt;
        let mut output = output(&ask, terminals)?;
        let shown = output.format;
        if ask.forms.dry_run {
            output.writes_nothing();
        }
        let files = rights::files(&ask.tools)?;
        if let Files::Beneath(root) = &files
            && !ask.config.no_config
        {
            config::check_outside(root)?;
        }
        let network = network::settle(&ask)?;
        let mut policy = rights::policy(&ask.tools, &files, network.key.as_ref())?;
        let own_tools = rights::own_tools(&ask.tools, &files, &policy)?;
        let session = ask.input.session.as_ref().map(Path::new);
        let outputs = [output.file.as_deref(), output.transcript.as_ref().map(Path::new), session];
        rights::keep_own(&mut policy, &files, &own_tools, &outputs);
        Ok(Self {
            input: input(&ask, literal)?,
            output,
            model: model(&ask, model_typed)?,
            network,
            own_tools,
            policy,
            files,
            sandbox: rights::sandbox(&ask.tools),
            on_deny: rights::on_deny(&ask.tools),
            list_tools: ask.tools.list_tools,
            form: ask.forms.form()?,
            dry_run: ask.forms.dry_run.then_some(shown),
            limits: limits(&ask)?,
        })
    }
}

impl OutputSettings {
    /// A dry run answers on stdout and touches no file.
    fn writes_nothing(&mut self) {
        (self.file, self.transcript, self.format, self.stream) = (None, None, Format::Text, false);
        (self.fail_open, self.silent) = (false, false);
    }
}

/// Whether a file is given as `-`, which stands for a standard stream.
#[must_use]
pub fn is_dash(file: &Path) -> bool {
    file.as_os_str() == "-"
}

/// Whether a transcript is to go to stdout, by any of its names.
fn is_stdout(transcript: &str) -> bool {
    let number = ["fd:", "/dev/fd/", "/proc/self/fd/"].iter().find_map(|prefix| transcript.strip_prefix(prefix));
    transcript == "-" || transcript == "/dev/stdout" || number.is_some_and(|number| number.parse() == Ok(1))
}

pub(super) fn usage(message: impl Into<String>) -> Failure {
    Failure::new(Exit::Usage, message.into())
}

/// After `--` the prompt is taken as it is, even if it is a lone dash.
fn is_literal(words: &[OsString]) -> bool {
    words.iter().any(|word| word == "--")
}

/// Options stand before a prompt of several words: among them they would be part of the sentence.
fn check_order(ask: &Ask, matches: &ArgMatches, words: &[OsString]) -> Result<()> {
    let ([first, _, ..], Some(start)) = (ask.prompt.as_slice(), matches.index_of("prompt")) else { return Ok(()) };
    if !is_literal(words) && ask.prompt.iter().any(|word| word == "-") {
        return Err(usage("'-' stands in the prompt: quote the prompt, or put options first"));
    }
    let late = |id: &&clap::Id| {
        id.as_str() != "prompt"
            && matches.value_source(id.as_str()) == Some(ValueSource::CommandLine)
            && matches.indices_of(id.as_str()).is_some_and(|mut at| at.any(|at| at > start))
    };
    if matches.ids().any(|id| late(&id)) {
        let option = words.iter().rev().filter_map(|w| w.to_str()).find(|w| w.starts_with('-')).unwrap_or("an option");
        return Err(usage(format!("'{option}' stands in the prompt: quote the prompt, or put options first")));
    }
    let after_file = matches.indices_of("files").is_some_and(|mut at| at.any(|at| at + 1 == start));
    if after_file && Path::new(first).exists() {
        return Err(usage(format!("'{first}' is not taken by -f: repeat -f")));
    }
    Ok(())
}

fn input(ask: &Ask, literal: bool) -> Result<InputSettings> {
    let args = &ask.input;
    let words = ask.prompt.join(" ");
    let instruction = match ask.prompt.as_slice() {
        [dash] if dash == "-" && !literal && args.prompt_file.is_some() => {
            return Err(usage("'-' and --prompt-file both name the prompt"));
        }
        [dash] if dash == "-" && !literal => Instruction::Stdin,
        [] if args.prompt_file.is_none() => Instruction::Open {
            ambiguous: args.system.is_some()
                || args.system_file.is_some()
                || !args.files.is_empty()
                || !ask.tools.allow.is_empty()
                || !ask.tools.tool.is_empty(),
        },
        [] => Instruction::Given { words: None, file: args.prompt_file.clone(), literal },
        _ if words.trim().is_empty() => return Err(usage("the prompt is empty")),
        _ => Instruction::Given { words: Some(words), file: args.prompt_file.clone(), literal },
    };
    let stdin_files = args.files.iter().filter(|file| is_dash(file)).count();
    if stdin_files > 1 || (stdin_files == 1 && instruction == Instruction::Stdin) {
        return Err(usage("stdin can be taken only once"));
    }
    if args.no_stdin && (stdin_files == 1 || instruction == Instruction::Stdin) {
        return Err(usage("--no-stdin contradicts '-'"));
    }
    Ok(InputSettings {
        instruction,
        files: args.files.clone(),
        session: args.session.clone(),
        stdin: !args.no_stdin,
        system: args.system.clone(),
        system_file: args.system_file.clone(),
        bare_system: args.bare_system,
        max_bytes: Some(args.max_input.unwrap_or(64 << 20)).filter(|limit| *limit > 0),
        stdin_timeout: args.stdin_timeout,
    })
}

fn output(ask: &Ask, terminals: Terminals) -> Result<OutputSettings> {
    let args = &ask.output;
    let format = match (args.json, args.jsonl) {
        (true, _) => Format::Json,
        (_, true) => Format::Jsonl,
        _ => args.format.unwrap_or(Format::Text),
    };
    check_targets(ask, format)?;
    FormArgs::check_against(ask, format)?;
    let plain = format == Format::Text && args.output.is_none() && ask.forms.is_plain();
    Ok(OutputSettings {
        // As for curl, `-` is stdout.
        file: forms::target(ask).map(PathBuf::from),
        prepend: ask.forms.prepend_to.is_some(),
        fail_open: forms::fails_open(ask),
        disabled: forms::is_disabled(ask),
        silent: ask.forms.check && args.quiet,
        stream: args.stream || (terminals.stdout && plain && !args.no_stream),
        partial: args.partial,
        format,
        // With --format jsonl stdout has it already.
        transcript: args.transcript.clone().filter(|t| format != Format::Jsonl || !is_stdout(t)),
        verbosity: match (args.quiet, args.verbose) {
            (true, _) => Verbosity::Quiet,
            (_, true) => Verbosity::Verbose,
            _ => Verbosity::Normal,
        },
        debug: args.debug,
        color: color::wanted(args.color, terminals.stderr),
        terminals,
    })
}

/// What is written goes to different places, each of which can take it.
fn check_targets(ask: &Ask, format: Format) -> Result<()> {
    let args = &ask.output;
    if args.stream && (args.output.is_some() || format != Format::Text) {
        let other = if args.output.is_some() { "--output" } else { "--format" };
        return Err(usage(format!("--stream cannot be used with {other}")));
    }
    let is_target = |file: &String| forms::target(ask) == Some(Path::new(file));
    if args.transcript.as_ref().is_some_and(is_target) {
        return Err(usage("--transcript and --output name the same file"));
    }
    if let Some(transcript) = args.transcript.as_deref().filter(|transcript| is_stdout(transcript))
        && format != Format::Jsonl
        && (transcript == "-" || format == Format::Json || forms::target(ask).is_none())
    {
        return Err(usage(format!("--transcript {transcript} needs --format jsonl: stdout carries the answer")));
    }
    if let Some(session) = &ask.input.session
        && (session == "-" || is_target(session))
    {
        let why = if session == "-" { "takes a file" } else { "and --output name the same file" };
        return Err(usage(format!("--session {why}")));
    }
    Ok(())
}

fn model(ask: &Ask, typed: bool) -> Result<ModelSettings> {
    let args = &ask.model;
    let mut extra = Vec::new();
    for param in &args.param {
        let (key, json) = param
            .split_once('=')
            .filter(|(key, _)| !key.is_empty())
            .ok_or_else(|| usage(format!("--param {param}: it takes KEY=JSON")))?;
        let value: serde_json::Value =
            serde_json::from_str(json).map_err(|e| usage(format!("--param {key}: not JSON: {e}")))?;
        // Written anew: what the user typed may hold line breaks.
        let value = RawValue::from_string(value.to_string()).or_fail(Exit::Usage, || format!("--param {key}"))?;
        extra.push((key.to_owned(), value));
    }
    if args.temperature.is_some_and(|temperature| !temperature.is_finite()) {
        return Err(usage("--temperature takes a number"));
    }
    let params = Params { effort: args.effort.clone(), temperature: args.temperature, seed: args.seed, extra };
    if args.wire.is_some() && args.base_url.is_none() && args.model.is_none() {
        return Err(usage("--wire needs --base-url or --model"));
    }
    Ok(ModelSettings {
        model: args.model.clone(),
        typed,
        base_url: args.base_url.clone(),
        wire: args.wire.clone(),
        params,
        window: args.max_context.filter(|window| *window > 0),
        max_tokens: ask.limits.max_tokens.filter(|tokens| *tokens > 0),
    })
}

fn limits(ask: &Ask) -> Result<Limits> {
    let args = &ask.limits;
    if args.max_cost.is_some_and(|cost| !cost.is_finite() || cost < 0.0) {
        return Err(usage("--max-cost takes an amount in US dollars"));
    }
    let bounded = |given: Option<u64>, default| Some(given.unwrap_or(default)).filter(|limit| *limit > 0);
    Ok(Limits {
        turns: bounded(args.max_turns, 50),
        tool_calls: bounded(args.max_tool_calls, 200),
        run_tokens: args.max_run_tokens.filter(|limit| *limit > 0),
        cost: args.max_cost,
        timeout: args.timeout,
        last_words: ask.output.partial,
    })
}
