//! The command `flux ask`: settings become parts, the agent runs, the answer is written, the run ends.

use std::any::Any;
use std::ffi::OsString;
use std::path::Path;
use std::time::Duration;

use clap::ArgMatches;
use signal_hook::consts::SIGPIPE;

use crate::agent::{Agent, Budget, Denials, Limits, Totals, result_cap};
use crate::base::clock;
use crate::base::env;
use crate::base::exit::Exit;
use crate::base::failure::{Failure, OrFail as _, Result};
use crate::base::secret::Redactor;
use crate::base::signals;
use crate::base::stdio;
use crate::base::stop::{Stop, Stopper};
use crate::base::text;
use crate::base::tty::Terminals;
use crate::cli::args::Format;
use crate::cli::input::{self, Opening};
use crate::cli::model::{self, Chosen};
use crate::cli::rights::Files;
use crate::cli::settings::{Instruction, OutputSettings, Settings, Verbosity, is_dash};
use crate::context;
use crate::dry_run;
use crate::fail_open;
use crate::form::{Answer, Form, WRAPPER};
use crate::help;
use crate::lock;
use crate::prompt;
use crate::report::{self, AnswerFile, Messages};
use crate::sandbox;
use crate::sinks::Sinks;
use crate::standing::{Ending, Owed, Standing, exit_of};
use crate::toolbox::{self, Built};
use crate::transcript::{Past, Target};
use crate::wire::{OutputFormat, Structured, ToolChoice};

/// Runs `flux ask` with these arguments.
#[must_use]
pub fn run(matches: &ArgMatches, words: &[OsString], terminals: Terminals) -> Exit {
    let settings = match Settings::resolve(matches, words, terminals) {
        Ok(settings) => settings,
        Err(failure) => return fail_open::unsettled(matches, &failure, terminals),
    };
    if settings.output.disabled {
        return fail_open::disabled(&settings.output);
    }
    if let Some(exit) = for_people(&settings, terminals) {
        return exit;
    }
    if settings.list_tools {
        return tools(&settings).map_or_else(|failure| fail(&settings, &failure), |list| help::print(&list));
    }
    let mut run = Run::new(settings);
    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| run.work()));
    let outcome = outcome.unwrap_or_else(|panic| Err(Failure::new(Exit::Software, bug_message(panic.as_ref()))));
    run.end(outcome)
}

/// A panic that reached the top.
#[must_use]
pub fn bug(panic: &(dyn Any + Send)) -> Exit {
    Messages::default().error(&Failure::new(Exit::Software, bug_message(panic)));
    Exit::Software
}

fn bug_message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    format!("a bug in flux, please report it: {}", text.unwrap_or("panic").lines().next().unwrap_or_default())
}

/// The one exception to the rule that a prompt is never interpreted: a person at a terminal who types nothing but
/// one of these phrases.
fn for_people(settings: &Settings, terminals: Terminals) -> Option<Exit> {
    let all = terminals.stdin && terminals.stdout && terminals.stderr;
    let Instruction::Given { words: Some(words), file: None, literal: false } = &settings.input.instruction else {
        return None;
    };
    let plain = settings.output.format == Format::Text && settings.output.file.is_none();
    let plain = plain && matches!(settings.form, Form::Text) && settings.dry_run.is_none();
    if !all || !plain || settings.input.session.is_some() || !settings.input.files.is_empty() {
        return None;
    }
    let answer = match words.as_str() {
        "help" => help::command_help("ask"),
        "version" => help::VERSION.to_owned(),
        "list models" => help::models(),
        "list tools" => match tools(settings) {
            Ok(list) => list,
            Err(failure) => return Some(fail(settings, &failure)),
        },
        _ => return None,
    };
    let exit = help::print(&answer);
    let mut messages = messages(&settings.output);
    messages.note(format!("answered by flux itself; to ask the model: flux ask -- {words}"));
    Some(exit)
}

/// What the model would be offered.
fn tools(settings: &Settings) -> Result<String> {
    let built = toolbox::build(settings, &stopper(settings)?, &mut messages(&settings.output))?;
    Ok(help::tools(settings, &built))
}

fn stopper(settings: &Settings) -> Result<Stopper> {
    Stopper::new(settings.limits.timeout).or_fail(Exit::Os, || "no descriptor left")
}

fn fail(settings: &Settings, failure: &Failure) -> Exit {
    messages(&settings.output).error(failure);
    failure.exit
}

fn messages(output: &OutputSettings) -> Messages {
    let terminals = output.terminals;
    let both = terminals.stdout && terminals.stderr;
    Messages {
        notes: output.verbosity >= Verbosity::Normal,
        verbose: output.verbosity == Verbosity::Verbose,
        status: both
            && output.verbosity == Verbosity::Normal
            && !output.debug
            && env::var("TERM").as_deref() != Some("dumb"),
        color: output.color,
        at_terminal: terminals.stderr,
        fail_open: output.fail_open,
        ..Messages::default()
    }
}

struct Run {
    settings: Settings,
    sinks: Sinks,
    file: Option<AnswerFile>,
    /// What was said in earlier runs of the session.
    past: Past,
    ending: Ending,
}

impl Run {
    fn new(settings: Settings) -> Self {
        let standing = Standing::default();
        let sinks = Sinks::new(messages(&settings.output), &settings.output, standing.clone());
        let output = &settings.output;
        let owed = match output.format {
            Format::Json => Owed::Object,
            Format::Text if output.partial && !output.stream && !output.silent && output.file.is_none() => Owed::Text,
            Format::Text | Format::Jsonl => Owed::Nothing,
        };
        let ending = Ending::new(standing, sinks.recorder.clone(), owed, output.terminals.stdout);
        Self { settings, sinks, file: None, past: Past::default(), ending }
    }

    /// Everything up to the answer.
    fn work(&mut self) -> Result<Answer> {
        let mut stop = stopper(&self.settings)?;
        if self.sinks.writes_stdout() {
            stop = stop.writing_to(stdio::stdout());
        }
        // Children come from a process that is started before this one reads a key or starts a thread.
        let built = toolbox::build(&self.settings, &stop, &mut self.sinks.messages)?;
        sandbox::conceal();
        let ending = self.ending.clone();
        let last = move |number| ending.at_once(Stop::Signal(number), || ());
        signals::watch(stop.clone(), last).or_fail(Exit::Os, || "no thread left")?;
        enforce_deadline(&stop, &self.sinks.messages, &self.ending).or_fail(Exit::Os, || "no thread left")?;
        self.sinks.answer.stop_with(stop.clone());
        self.open_outputs(&stop)?;
        let terminal = self.settings.output.terminals.stdin;
        input::check(&self.settings.input, terminal)?;
        let chosen = model::choose(&self.settings, &stop, &mut self.sinks.messages)?;
        self.sinks.redact(&Redactor::new(&chosen.secrets));
        let opening = input::gather(&self.settings.input, terminal, &stop, &mut self.sinks.messages)?;
        model::check_window(&chosen, &opening)?;
        self.ask(&chosen, opening, &built, &stop)
    }

    /// Everything that will be written is opened before anything is spent.
    fn open_outputs(&mut self, stop: &Stopper) -> Result<()> {
        let output = &self.settings.output;
        if self.sinks.writes_stdout() {
            report::Answer::check()?;
        }
        let root = match &self.settings.files {
            Files::Beneath(root) => Some(root.as_path()),
            _ => None,
        };
        let (targets, notes);
        (targets, self.past, notes) = open_transcripts(&self.settings, root, stop)?;
        for note in notes {
            self.sinks.messages.note(note);
        }
        // Also a run that fails from here on says so in them.
        self.sinks.recorder.open(targets);
        let file = output.file.as_deref().map(|name| AnswerFile::prepare(name, root)).transpose()?;
        if let Some(path) = file.as_ref().and_then(AnswerFile::replaces)
            && self.sinks.recorder.writes_to(path)
        {
            // Wrong usage leaves no line in a conversation.
            self.sinks.recorder.open(Vec::new());
            let message = format!("{}: the answer would replace the transcript of this run", path.display());
            return Err(Failure::new(Exit::Usage, message));
        }
        self.file = if output.prepend { file.map(AnswerFile::prepending).transpose()? } else { file };
        Ok(())
    }

    fn ask(&mut self, chosen: &Chosen, mut opening: Opening, built: &Built, stop: &Stopper) -> Result<Answer> {
        let toolbox = &built.toolbox;
        toolbox.set_cap(result_cap(chosen.window));
        let system = prompt::system(&self.settings, &opening.system, toolbox.specs());
        let past = std::mem::take(&mut self.past);
        let format = self.settings.form.schema().map(|schema| OutputFormat::new(schema, WRAPPER));
        let mut head = chosen.head(&self.settings.model, &system, toolbox.specs());
        head.format = format.as_ref().filter(|_| chosen.quirks.structured != Structured::Never);
        // Services want the tools declared that earlier turns have called, also where none may be called any more.
        let called = past.called_tools().map(<[_]>::to_vec).unwrap_or_default();
        if head.tools.is_empty() && !called.is_empty() {
            (head.tools, head.tool_choice) = (&called, ToolChoice::None);
        }
        let limits = self.limits(chosen)?;
        if let Some(shown) = self.settings.dry_run {
            let conversation = past.continued(opening.message, &head, chosen.wire.binds_reasoning());
            return Ok(dry_run::Report::new(&self.settings, chosen, &head, built).answer(&conversation, shown));
        }
        let is_asked = past.asks(&opening.message);
        context::record(&self.sinks.recorder, &self.settings, &head, &opening, built.sandbox.as_deref())?;
        if !is_asked {
            opening.message.lines.extend(self.sinks.recorder.user(&opening.message)?);
        }
        let client = chosen.client(&self.settings, stop)?;
        lock::lock(&self.settings, chosen, self.file.as_ref())?;
        let ids = past.call_ids();
        let conversation = past.continued(opening.message, &head, chosen.wire.binds_reasoning());
        let mut agent = Agent {
            client,
            wire: chosen.wire,
            budget: Budget::new(chosen.window, chosen.output(&self.settings.model)),
            ask_window: chosen.ask_window(&self.settings, stop),
            head,
            model: chosen.model,
            free: chosen.is_free(),
            form: &self.settings.form,
            toolbox,
            limits,
            denials: Denials::new(self.settings.on_deny),
            stop: stop.clone(),
            totals: Totals::default(),
            redactor: self.sinks.messages.redactor.clone(),
            ids,
            last_text: String::new(),
            last_stop: None,
        };
        self.sinks.asked(chosen);
        let result = agent.run(conversation, &mut self.sinks);
        let mut state = self.ending.standing.state();
        (state.totals, state.text, state.stop_reason) = (agent.totals, agent.last_text, agent.last_stop);
        result
    }

    fn limits(&self, chosen: &Chosen) -> Result<Limits> {
        let limits = self.settings.limits;
        if limits.cost.is_some() && chosen.model.is_none_or(|m| m.price.is_none()) && !chosen.is_free() {
            let message = format!("--max-cost: the price of {} is not known", chosen.model_id);
            return Err(Failure::new(Exit::Usage, message));
        }
        Ok(limits)
    }

    /// Writes what is owed: the answer, the result object, the transcript's last line, and on failure the line on
    /// stderr. The code that it returns is the one that holds for all of it.
    fn end(mut self, outcome: Result<Answer>) -> Exit {
        self.sinks.messages.clear_status();
        let (answer, mut failure) = match outcome {
            Ok(answer) => (Some(answer), None),
            Err(failure) => (self.partial_answer(&failure), Some(failure)),
        };
        let unrecorded = answer.as_ref().and_then(|_| self.sinks.recorder.settle().err());
        let written = match &answer {
            // A file is replaced only by a run that does not fail; on stdout what is paid for is worth having.
            Some(_) if unrecorded.is_some() && self.file.is_some() => Ok(()),
            Some(answer) => self.write_answer(answer),
            None => self.sinks.break_off(),
        };
        if let Err(error) = written {
            failure = failure.filter(|_| answer.is_none()).or(Some(error));
        }
        failure = failure.or(unrecorded);
        // Up to here the run can be stuck: a pipe that nobody reads, a disk that does not answer.
        self.ending.begin();
        let standing = self.ending.standing.clone();
        let gone = failure.as_ref().is_some_and(|failure| failure.exit == Exit::Signal(SIGPIPE));
        if self.settings.output.format == Format::Json && !gone {
            let line = self.sinks.recorder.result_line(&standing.result(answer.as_ref(), failure.as_ref()));
            failure = failure.or(self.sinks.answer.json(&line).err());
        }
        let result = standing.result(answer.as_ref(), failure.as_ref());
        let late = self.sinks.recorder.result(result, |failure| standing.result(answer.as_ref(), Some(failure)));
        let failure = failure.or(late);
        let exit = exit_of(answer.as_ref(), failure.as_ref());
        if let Some(failure) = failure.filter(|failure| !matches!(failure.exit, Exit::Signal(_))) {
            let name = self.error_name();
            self.sinks.messages.error_about(&name, &failure);
        }
        if exit != Exit::Denied {
            self.sinks.say_denials();
        }
        self.say_totals(exit);
        if self.settings.output.fail_open && exit.may_pass() { Exit::Ok } else { exit }
    }

    /// With `--partial` what there is when a limit ends the run.
    fn partial_answer(&self, failure: &Failure) -> Option<Answer> {
        let limit = matches!(failure.exit, Exit::Limit | Exit::Timeout);
        // A file is replaced only by a whole answer.
        let text = self.ending.standing.state().text.clone();
        let partial = limit && self.settings.output.partial && self.file.is_none() && !text.is_empty();
        partial.then(|| Answer { text, ..Answer::default() })
    }

    fn write_answer(&mut self, answer: &Answer) -> Result<()> {
        if let Some(file) = &self.file {
            let answer = self.sinks.messages.redactor.clean(&answer.text);
            return file.write(&format!("{}\n", answer.trim_end_matches('\n')));
        }
        match self.settings.output.format {
            Format::Text if self.settings.output.silent => Ok(()),
            Format::Text => self.sinks.whole_answer(&answer.text),
            Format::Json | Format::Jsonl => Ok(()),
        }
    }

    /// Runs side by side share one stderr: the line says which file it is about.
    fn error_name(&self) -> String {
        let file = self.settings.output.file.as_ref().map(|file| file.display().to_string());
        let first =
            || self.settings.input.files.iter().find(|file| !is_dash(file)).map(|file| file.display().to_string());
        file.or_else(first).unwrap_or_default()
    }

    fn say_totals(&mut self, exit: Exit) {
        let totals = self.ending.standing.state().totals;
        let cost = totals.cost.map_or_else(|| "unknown cost".to_owned(), |cost| format!("${:.4}", cost.total()));
        let (input, output) = (totals.usage.input.unwrap_or(0), totals.usage.output.unwrap_or(0));
        self.sinks.messages.verbose(format!(
            "{} turns, {} tool calls, {} tokens in, {} out, {cost}, {:.1} s, exit {}",
            totals.turns,
            totals.tool_calls.total(),
            text::count(input),
            text::count(output),
            self.ending.standing.elapsed().as_secs_f64(),
            exit.code(),
        ));
    }
}

/// Opens what the run is written to, and reads what was said in a session before; with lines about what was mended.
fn open_transcripts(
    settings: &Settings,
    root: Option<&Path>,
    stop: &Stopper,
) -> Result<(Vec<Target>, Past, Vec<String>)> {
    let (mut targets, mut past, mut notes) = (Vec::new(), Past::default(), Vec::new());
    if settings.output.format == Format::Jsonl {
        targets.push(Target::stdout(settings.output.terminals.stdout, stop));
    }
    if let Some(value) = &settings.output.transcript {
        let target = Target::open(value, root, stop, &mut notes)?;
        if target.is_stdin() {
            return Err(Failure::new(Exit::NoInput, "stdin: is the transcript itself"));
        }
        targets.push(target);
    }
    if let (Some(value), Some(_)) = (&settings.input.session, settings.dry_run) {
        past = Target::past(value)?;
    } else if let Some(value) = &settings.input.session {
        let target;
        (target, past) = Target::session(value, root, stop, &mut notes)?;
        if targets.iter().any(|other| other.is_same_file(&target)) {
            return Err(Failure::new(Exit::Usage, "--session and --transcript name the same file"));
        }
        targets.push(target);
    }
    Ok((targets, past, notes))
}

/// How long a run that is told to end may take for it.
const GRACE: Duration = Duration::from_secs(1);

/// Ends a run that its deadline finds where nothing can be told to end: opening a pipe, connecting, waiting for a lock.
fn enforce_deadline(stop: &Stopper, messages: &Messages, ending: &Ending) -> std::io::Result<()> {
    let Some(left) = stop.remaining() else { return Ok(()) };
    let ending = ending.clone();
    let mut messages = Messages { fail_open: messages.fail_open, ..Messages::default() };
    let watch = move || {
        clock::pause(left + GRACE);
        let exit = if messages.fail_open { Exit::Ok } else { Exit::Timeout };
        ending.at_once(Stop::Deadline, move || messages.error(&Stop::Deadline.into()));
        signal_hook::low_level::exit(exit.code().into())
    };
    std::thread::Builder::new().name("deadline".to_owned()).stack_size(64 << 10).spawn(watch).map(drop)
}
