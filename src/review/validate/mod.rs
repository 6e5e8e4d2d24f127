//! `flux transcript validate`: every problem of a transcript, with file and line. A line is held against the schema
//! that `flux transcript schema` prints, and the lines together against the rules of the format.

mod rules;

use serde_json::Value;

use super::out::Out;
use super::source::{Source, failure};
use super::{each_file, finish};
use crate::base::exit::Exit;
use crate::base::failure::{Failure, OrFail as _, Result};
use crate::base::text;
use crate::base::tty::Terminals;
use crate::cli::transcript::Files;
use crate::form::Schema;
use crate::transcript::{Fault, JSON_SCHEMA, LineText};

use rules::Rules;

/// Prints the problems.
pub(super) fn run(files: &Files, terminals: Terminals, out: &mut Out) -> Exit {
    match validator() {
        Ok(validator) => each_file(files, terminals, |source| file(source, &validator, out)),
        Err(failure) => finish(Err(failure)),
    }
}

fn validator() -> Result<Schema> {
    let schema: Value = serde_json::from_str(JSON_SCHEMA).or_fail(Exit::Software, || "the schema of a line")?;
    Schema::new(schema).map_err(|why| Failure::new(Exit::Software, format!("the schema of a line: {why}")))
}

/// No problem of a line is told in more bytes.
const LONGEST_WHY: usize = 200;

/// The problems of one file.
struct Problems<'a> {
    file: &'a str,
    count: u64,
    out: &'a mut Out,
}

impl Problems<'_> {
    fn add(&mut self, line: u64, what: &str) -> Result<()> {
        self.count += 1;
        self.out.text(&format!("{}:{line}: {}\n", text::line(self.file), text::line(what)))
    }
}

fn file(source: Source, validator: &Schema, out: &mut Out) -> Result<()> {
    let Source { name, mut reader } = source;
    let (mut problems, mut rules) = (Problems { file: &name, count: 0, out }, Rules::default());
    while let Some(line) = reader.next_text() {
        match line {
            Ok(line) => one(line, validator, &mut rules, &mut problems)?,
            Err(fault) if is_whole_file(&fault) => return Err(failure(&name, &fault)),
            Err(fault) => problems.add(fault.line, &fault.to_string())?,
        }
    }
    rules.end(&mut problems)?;
    problems.out.flush()?;
    match problems.count {
        0 => Ok(()),
        1 => Err(Failure::new(Exit::Data, format!("{name}: 1 problem"))),
        count => Err(Failure::new(Exit::Data, format!("{name}: {count} problems"))),
    }
}

/// The fault is not that of a line.
fn is_whole_file(fault: &Fault) -> bool {
    use crate::transcript::FaultKind::{Empty, Foreign, Unreadable, Version};
    matches!(fault.kind, Empty | Foreign | Unreadable(_) | Version(_))
}

/// Holds a line against the schema, then against the rules.
fn one(line: LineText<'_>, validator: &Schema, rules: &mut Rules, problems: &mut Problems<'_>) -> Result<()> {
    let value: Value = match serde_json::from_str(line.text) {
        Ok(value) => value,
        Err(error) => return problems.add(line.number, &format!("not JSON: {error}")),
    };
    let before = problems.count;
    for (at, why) in validator.faults(&value) {
        let at = if at.is_empty() { String::new() } else { format!("{at}: ") };
        // The value may be long, and is nothing to print.
        let why = if why == "not failed" { "must not be there" } else { text::prefix(&why, LONGEST_WHY) };
        problems.add(line.number, &format!("{at}{why}"))?;
    }
    match line.parse() {
        Ok(line) => return rules.line(&line, problems),
        // The schema has said what is wrong.
        Err(_) if problems.count > before => {}
        Err(fault) => problems.add(fault.line, &fault.to_string())?,
    }
    rules.unreadable(&value, line.number);
    Ok(())
}
