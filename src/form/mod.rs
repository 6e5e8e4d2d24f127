//! Floor 2: the forms in which an answer can be demanded: what the model is told of a form, how its answer is read, and
//! how often it may try again. Pure: it knows no provider, no file and no terminal.

mod check;
mod choice;
mod code;
mod fields;
mod json;
mod schema;

use serde_json::Value;

use crate::base::exit::Exit;

pub use choice::Choices;
pub use fields::fields;
pub use schema::{Schema, WRAPPER};

/// The form that the answer must have.
#[derive(Debug, Default)]
pub enum Form {
    /// Any text.
    #[default]
    Text,
    /// `--extract`: the first fenced code block.
    Code,
    /// `--choice`: one of these words.
    Choice(Choices),
    /// `--schema`: a JSON value that is valid against this schema.
    Schema(Box<Schema>),
    /// `--check`: a verdict with its reason.
    Check(Box<Schema>),
}

/// An answer that has the demanded form.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Answer {
    /// What goes to stdout.
    pub text: String,
    /// The same as data, where the form is JSON.
    pub structured: Option<Value>,
    /// The verdict of `--check` is no.
    pub says_no: bool,
}

impl Answer {
    /// The exit code that says what the answer says.
    #[must_use]
    pub fn exit(&self) -> Exit {
        if self.says_no { Exit::No } else { Exit::Ok }
    }
}

/// Why an answer cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// It has not the form; in words that help the model to mend it.
    Form(String),
    /// The model cannot tell, and why: to ask again would not help.
    Unclear(String),
}

impl Form {
    /// The form of `--check`.
    ///
    /// # Errors
    /// Never in practice: the schema is a constant.
    pub fn check() -> Result<Self, String> {
        Ok(Self::Check(Box::new(Schema::new(check::schema())?)))
    }

    /// The flag that demands it, for messages.
    #[must_use]
    pub fn flag(&self) -> &'static str {
        match self {
            Self::Text => "",
            Self::Code => "--extract",
            Self::Choice(_) => "--choice",
            Self::Schema(_) => "--schema",
            Self::Check(_) => "--check",
        }
    }

    /// What the model is told.
    #[must_use]
    pub fn instruction(&self) -> Option<String> {
        match self {
            Self::Text => None,
            Self::Code => Some(code::INSTRUCTION.to_owned()),
            Self::Choice(choices) => Some(choices.instruction()),
            Self::Schema(schema) => Some(schema.instruction()),
            Self::Check(_) => Some(check::INSTRUCTION.to_owned()),
        }
    }

    /// The schema that a server may hold the answer to.
    #[must_use]
    pub fn schema(&self) -> Option<&Value> {
        match self {
            Self::Schema(schema) | Self::Check(schema) => Some(schema.source()).filter(|_| !schema.takes_anything()),
            _ => None,
        }
    }

    /// How often the model may try again; where any text is right, it is wrong only to call tools that may not be
    /// called.
    #[must_use]
    pub fn repairs(&self) -> u32 {
        match self {
            Self::Code | Self::Choice(_) => 1,
            Self::Text | Self::Schema(_) | Self::Check(_) => 2,
        }
    }

    /// Reads the answer out of what the model said.
    ///
    /// # Errors
    /// It is not there.
    pub fn read(&self, text: &str) -> Result<Answer, Fault> {
        let plain = |text: String| Answer { text, ..Answer::default() };
        match self {
            Self::Text => Ok(plain(text.to_owned())),
            Self::Code => code::first(text).map(plain).map_err(Fault::Form),
            Self::Choice(choices) => choices.read(text).map(plain).map_err(Fault::Form),
            Self::Schema(schema) => schema.read(text).map_err(Fault::Form),
            Self::Check(schema) => check::read(schema, text),
        }
    }

    /// What the model is told of an answer that has not the form.
    #[must_use]
    pub fn complaint(&self, fault: &str) -> String {
        let instruction = self.instruction().unwrap_or_default();
        format!("Your answer cannot be used: {fault}\n\nAnswer again. {instruction}").trim_end().to_owned()
    }
}
