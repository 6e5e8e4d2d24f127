//! The flags for answers that scripts work with: the form of the answer, where it goes, and what a failure does.

use std::path::{Path, PathBuf};

use clap::{Args, ValueHint};

use super::args::{Ask, Format};
use super::settings::{is_dash, usage};
use crate::base::env;
use crate::base::exit::Exit;
use crate::base::failure::{Failure, Result};
use crate::base::files;
use crate::form::{Choices, Form, Schema, fields};

/// A schema is no more than this.
const LONGEST: u64 = 1 << 20;

/// The form of the answer, and what a script makes of it.
#[derive(Debug, Args, Default)]
pub struct FormArgs {
    /// Print only the first code block of the answer, without its fence
    #[arg(short = 'x', long, overrides_with = "no_extract")]
    pub extract: bool,
    /// Undo --extract
    #[arg(long, hide = true, overrides_with = "extract")]
    pub no_extract: bool,
    /// Print one JSON value in one line, valid against a JSON Schema: a FILE (with a '.' or '/' in its name), the schema
    /// itself, or fields: 'service, n int' is an object, in […] a list of them (types: string, int, number, bool);
    /// '{}' is any JSON
    #[arg(long, value_name = "SCHEMA")]
    pub schema: Option<String>,
    /// Answer yes or no: exit 0 or 1, anything else is above 1; the reason goes to stdout, with -q nowhere
    #[arg(long, overrides_with = "no_check")]
    pub check: bool,
    /// Undo --check
    #[arg(long, hide = true, overrides_with = "check")]
    pub no_check: bool,
    /// Print one of these words: bug,feature,question
    #[arg(long, value_name = "A,B,…", allow_hyphen_values = true)]
    pub choice: Option<String>,
    /// As --output, but above what FILE holds already
    #[arg(long, value_name = "FILE", value_parser = super::units::path(), value_hint = ValueHint::FilePath)]
    pub prepend_to: Option<PathBuf>,
    /// With --output or --prepend-to: on any failure but wrong usage leave FILE alone and exit 0, so that a hook blocks
    /// nothing. `FLUX_DISABLE=1` in the environment does that at once
    #[arg(long, overrides_with = "no_fail_open")]
    pub fail_open: bool,
    /// Undo --fail-open
    #[arg(long, hide = true, overrides_with = "fail_open")]
    pub no_fail_open: bool,
    /// Print what would be sent, to whom, what it may cost and what the model may do; send nothing
    #[arg(long)]
    pub dry_run: bool,
}

impl FormArgs {
    /// The flags that demand a form; there can be one.
    fn given(&self) -> Vec<&'static str> {
        let flags = [
            (self.extract, "--extract"),
            (self.schema.is_some(), "--schema"),
            (self.check, "--check"),
            (self.choice.is_some(), "--choice"),
        ];
        flags.into_iter().filter(|(given, _)| *given).map(|(_, flag)| flag).collect()
    }

    /// Nothing is demanded of the answer and where it goes, so it can be shown as it arrives.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        self.given().is_empty() && self.prepend_to.is_none()
    }

    /// The form that is demanded.
    ///
    /// # Errors
    /// Two are, or what was given is none.
    pub fn form(&self) -> Result<Form> {
        if let [first, second, ..] = self.given().as_slice() {
            return Err(usage(format!("{first} cannot be used with {second}")));
        }
        match (&self.schema, &self.choice) {
            (Some(schema), _) => Ok(Form::Schema(Box::new(read_schema(schema)?))),
            (_, Some(words)) => {
                Choices::parse(words).map(Form::Choice).map_err(|why| usage(format!("--choice: {why}")))
            }
            _ if self.extract => Ok(Form::Code),
            _ if self.check => Form::check().map_err(|why| Failure::new(Exit::Software, why)),
            _ => Ok(Form::Text),
        }
    }

    /// The flags that do not go together with others.
    ///
    /// # Errors
    /// Such were given.
    pub fn check_against(ask: &Ask, format: Format) -> Result<()> {
        let (forms, output) = (&ask.forms, &ask.output);
        let form = forms.given().first().copied();
        let clash = |first: &str, second: &str| Err(usage(format!("{first} cannot be used with {second}")));
        match form {
            Some(form) if output.stream => return clash("--stream", form),
            Some(form) if output.partial => return clash("--partial", form),
            _ => {}
        }
        if output.stream && forms.prepend_to.is_some() {
            return clash("--stream", "--prepend-to");
        }
        if output.output.is_some() && forms.prepend_to.is_some() {
            return clash("--output", "--prepend-to");
        }
        if forms.prepend_to.as_deref().is_some_and(is_dash) {
            return Err(usage("--prepend-to takes a file"));
        }
        if forms.fail_open && forms.check {
            return clash("--fail-open", "--check");
        }
        if forms.fail_open && target(ask).is_none() {
            return Err(usage(
                "--fail-open needs --output or --prepend-to: a pipe could not tell a failure from an answer",
            ));
        }
        if forms.dry_run && format == Format::Jsonl {
            return clash("--dry-run", "--jsonl");
        }
        Ok(())
    }
}

/// Has the flags of lower layers give way to what does not go together with them, as a flag does to its own opposite.
/// `ask` are those of all layers.
pub(super) fn give_way(ask: &mut Ask, typed: &Ask) {
    if !typed.forms.given().is_empty() {
        ask.forms.extract &= typed.forms.extract;
        ask.forms.check &= typed.forms.check;
        ask.forms.schema.clone_from(&typed.forms.schema);
        ask.forms.choice.clone_from(&typed.forms.choice);
    }
    if typed.output.output.is_some() || typed.forms.prepend_to.is_some() {
        ask.output.output.clone_from(&typed.output.output);
        ask.forms.prepend_to.clone_from(&typed.forms.prepend_to);
    }
    let formed = !ask.forms.given().is_empty();
    let output = &mut ask.output;
    let text = !output.json && !output.jsonl && matches!(output.format, None | Some(Format::Text));
    output.stream &= typed.output.stream || (ask.forms.is_plain() && output.output.is_none() && text);
    output.partial &= typed.output.partial || !formed;
    ask.forms.fail_open &= typed.forms.fail_open || !typed.forms.check;
}

/// The file that the answer goes to.
pub(crate) fn target(ask: &Ask) -> Option<&Path> {
    ask.output.output.as_deref().filter(|file| !is_dash(file)).or(ask.forms.prepend_to.as_deref())
}

/// Whether a failure is to be let pass.
#[must_use]
pub fn fails_open(ask: &Ask) -> bool {
    ask.forms.fail_open && !ask.forms.check && target(ask).is_some()
}

/// Whether `FLUX_DISABLE` ends this run before it begins: only where nobody would take that for an answer.
#[must_use]
pub fn is_disabled(ask: &Ask) -> bool {
    let set = env::var("FLUX_DISABLE").is_some_and(|value| !matches!(&*value, "0" | "false" | "no" | "off"));
    set && !ask.forms.check && !ask.forms.dry_run && target(ask).is_some()
}

/// `--schema`: what has a dot or a slash in it is a file, what begins as JSON does is a schema, all else is fields.
fn read_schema(given: &str) -> Result<Schema> {
    let text = given.trim();
    let wrong = |why: String| usage(format!("--schema: {why}"));
    if text.starts_with('{') || matches!(text, "true" | "false") {
        let source = serde_json::from_str(text).map_err(|error| wrong(format!("not JSON: {error}")))?;
        return Schema::new(source).map_err(wrong);
    }
    if !text.starts_with('[') && text.contains(['.', '/']) {
        return schema_file(text);
    }
    if text.chars().all(|c| !c.is_whitespace() && c != ',') && Path::new(text).exists() {
        return Err(wrong(format!("'{text}' is a file and could be a field: ./{text} or '{text} string'")));
    }
    fields(text).and_then(Schema::new).map_err(wrong)
}

fn schema_file(path: &str) -> Result<Schema> {
    let bytes = files::read(Path::new(path), LONGEST).map_err(|failure| failure.context("--schema"))?;
    let wrong = |why: String| Failure::new(Exit::Data, format!("--schema {path}: {why}"));
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
    let source = serde_json::from_slice(bytes).map_err(|error| wrong(format!("not JSON: {error}")))?;
    Schema::new(source).map_err(wrong)
}
