//! What can be typed after `flux transcript`. Only clap's types.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum, ValueHint};

use super::args::Color;

const EXAMPLES: &str = "\
Examples:
  flux ask --transcript run.jsonl 'What is in README.md?'
  flux transcript show run.jsonl
  flux ask --jsonl 'What is in README.md?' | flux transcript show
  flux transcript validate run.jsonl && echo valid
  flux transcript stats *.jsonl
  flux transcript stats --json *.jsonl | jq .cost_usd
  flux transcript report *.jsonl > report.html
  flux transcript export --to openai run.jsonl > train.jsonl

Without FILE, and for '-', the transcript comes from stdin. All read as they go: the size of a
transcript does not matter. A file that is no transcript is exit 65, one that cannot be read 66;
the others are still worked on.";

/// `flux transcript`
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES, arg_required_else_help = true, disable_help_subcommand = true)]
pub struct Transcript {
    /// What to do with them.
    #[command(subcommand)]
    pub command: TranscriptCommand,
}

/// What can be done with transcripts.
#[derive(Debug, Subcommand)]
pub enum TranscriptCommand {
    /// Print transcripts for people
    Show(ShowArgs),
    /// Hold transcripts against the format: every problem with file and line, exit 65 if there is one
    Validate(Files),
    /// Print the JSON Schema of a line
    Schema,
    /// Print the conversations in a format that other programs read, a line of JSON a run
    Export(ExportArgs),
    /// Count runs, tokens, cost, tool calls, errors and times
    Stats(StatsArgs),
    /// Print a page of HTML that shows what happened and when, and needs nothing else
    Report(Files),
}

/// The transcripts.
#[derive(Debug, Args)]
pub struct Files {
    /// Transcripts; '-' is stdin [default: -]
    #[arg(value_name = "FILE", value_parser = super::units::path(), value_hint = ValueHint::FilePath)]
    pub files: Vec<PathBuf>,
}

/// `flux transcript show`
#[derive(Debug, Args)]
pub struct ShowArgs {
    /// Print long texts whole
    #[arg(long)]
    pub full: bool,
    /// Colour on stdout [default: auto]
    #[arg(long, value_name = "WHEN")]
    pub color: Option<Color>,
    /// The transcripts.
    #[command(flatten)]
    pub files: Files,
}

/// `flux transcript export`
#[derive(Debug, Args)]
pub struct ExportArgs {
    /// The format
    #[arg(long, value_name = "FORMAT")]
    pub to: ExportFormat,
    /// The transcripts.
    #[command(flatten)]
    pub files: Files,
}

/// Formats of conversations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ExportFormat {
    /// Messages as OpenAI's fine-tuning takes them
    Openai,
    /// Messages as TRL and the datasets of Hugging Face have them
    Hf,
    /// Trajectories of the Agent Trajectory Interchange Format, ATIF-v1.7
    Atif,
}

/// `flux transcript stats`
#[derive(Debug, Args)]
pub struct StatsArgs {
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
    /// The transcripts.
    #[command(flatten)]
    pub files: Files,
}
