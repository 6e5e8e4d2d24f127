//! What was given becomes the opening message: context first, each piece in a fence, then the instruction.

mod content;
mod stdin;

use std::fs::OpenOptions;
use std::io::Read as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use rustix::fs::OFlags;

use super::settings::{InputSettings, Instruction, is_dash};
use crate::base::exit::Exit;
use crate::base::failure::{Failure, OrFail as _, Result};
use crate::base::stdio::{Stdin, stdin_kind};
use crate::base::stop::Stopper;
use crate::base::text;
use crate::chat::{Part, UserMessage};
use crate::report::Messages;
use crate::transcript::Input;

use content::{Content, Source};

/// The opening of the conversation.
#[derive(Debug, Default)]
pub struct Opening {
    /// The user's message.
    pub message: UserMessage,
    /// What the user adds to the system prompt.
    pub system: String,
    /// Where it all came from, for the transcript.
    pub inputs: Vec<Input>,
    /// The instruction alone, for the transcript's name.
    pub instruction: String,
    /// The largest text, for the advice when it does not fit: its name and its bytes.
    pub largest: Option<(String, u64)>,
    /// Bytes of all text.
    pub text_bytes: u64,
}

fn kind(settings: &InputSettings, terminal: bool) -> Stdin {
    if settings.stdin { stdin_kind(terminal) } else { Stdin::Nothing }
}

/// Finds what is wrong before anything is read: no prompt, or a stdin that is not ours.
///
/// # Errors
/// See above.
pub fn check(settings: &InputSettings, terminal: bool) -> Result<()> {
    let usage = |message: &'static str| Err(Failure::new(Exit::Usage, message));
    let kind = kind(settings, terminal);
    let by_name = settings.instruction == Instruction::Stdin || settings.files.iter().any(|file| is_dash(file));
    match (&settings.instruction, kind) {
        (_, Stdin::Directory) => Err(Failure::new(Exit::NoInput, "stdin: is a directory")),
        (Instruction::Open { .. }, Stdin::Nothing | Stdin::Terminal) => {
            Err(Failure::new(Exit::Usage, "no prompt: say what to do: flux ask 'WHAT TO DO'")
                .advice("  as context:         … | flux ask 'WHAT TO DO'\n  as the instruction: … | flux ask -"))
        }
        (Instruction::Open { ambiguous: true }, _) => {
            usage("no prompt: as context: flux ask 'WHAT TO DO'; as the instruction: flux ask -")
        }
        (_, Stdin::File { offset }) if offset > 0 && !by_name => usage(
            "stdin: a file that is already being read, as in a 'while read' loop: add -n, or '-f -' to take the rest",
        ),
        _ => Ok(()),
    }
}

/// Reads everything that is to be sent.
///
/// # Errors
/// Something is missing, unreadable, too large or no text.
pub fn gather(settings: &InputSettings, terminal: bool, stop: &Stopper, messages: &mut Messages) -> Result<Opening> {
    let mut gathering = Gathering { settings, stop, messages, left: settings.max_bytes, opening: Opening::default() };
    let kind = kind(settings, terminal);
    gathering.opening.system = gathering.system()?;
    let instruction = gathering.instruction()?;
    for file in &settings.files {
        gathering.file(file, kind)?;
    }
    let stdin_is_taken = instruction.is_none() || settings.files.iter().any(|file| is_dash(file));
    let instruction = match instruction {
        Some(text) => text,
        None => gathering.instruction_from_stdin()?,
    };
    if settings.stdin && !stdin_is_taken {
        gathering.stdin_context(kind)?;
    }
    Ok(gathering.finish(instruction))
}

struct Gathering<'a> {
    settings: &'a InputSettings,
    stop: &'a Stopper,
    messages: &'a mut Messages,
    /// Bytes that may still come.
    left: Option<u64>,
    opening: Opening,
}

impl Gathering<'_> {
    /// The instruction, or `None` if stdin holds it.
    fn instruction(&mut self) -> Result<Option<String>> {
        match &self.settings.instruction {
            Instruction::Given { words, file, .. } => {
                let from_file = file.as_ref().map(|path| self.prompt_file(path)).transpose()?;
                let joined = [from_file, words.clone()].into_iter().flatten().collect::<Vec<_>>().join("\n\n");
                if joined.trim().is_empty() {
                    return Err(Failure::new(Exit::NoInput, "the prompt file is empty"));
                }
                self.record("arg", None, joined.as_bytes(), "text/plain");
                Ok(Some(joined))
            }
            Instruction::Stdin | Instruction::Open { .. } => Ok(None),
        }
    }

    fn prompt_file(&mut self, path: &Path) -> Result<String> {
        let bytes = self.read_path(path)?;
        let text = self.text(bytes, &Source::file(path))?;
        Ok(text.trim_end_matches(['\n', '\r']).to_owned())
    }

    fn instruction_from_stdin(&mut self) -> Result<String> {
        let bytes = stdin::read(self.settings, self.stop, self.left, false, self.messages)?;
        if bytes.iter().all(u8::is_ascii_whitespace) {
            return Err(no_instruction());
        }
        self.record("stdin", None, &bytes, "text/plain");
        let text = self.text(bytes, &Source::stdin())?;
        if text.trim().is_empty() { Err(no_instruction()) } else { Ok(text) }
    }

    fn file(&mut self, path: &Path, kind: Stdin) -> Result<()> {
        if is_dash(path) {
            let bytes = match kind {
                Stdin::Nothing => Vec::new(),
                _ => stdin::read(self.settings, self.stop, self.left, true, self.messages)?,
            };
            if bytes.is_empty() {
                return Err(empty());
            }
            return self.context(bytes, &Source::stdin());
        }
        let bytes = self.read_path(path)?;
        self.context(bytes, &Source::file(path))
    }

    fn stdin_context(&mut self, kind: Stdin) -> Result<()> {
        if matches!(kind, Stdin::Nothing | Stdin::Terminal) {
            return Ok(());
        }
        let bytes = stdin::read(self.settings, self.stop, self.left, true, self.messages)?;
        if !bytes.is_empty() {
            return self.context(bytes, &Source::stdin());
        }
        if kind == Stdin::Socket || !self.settings.files.is_empty() { Ok(()) } else { Err(empty()) }
    }

    fn context(&mut self, bytes: Vec<u8>, source: &Source) -> Result<()> {
        self.take(bytes.len() as u64, source.name())?;
        let hash = content::sha256(&bytes);
        let (kind, path) = if source.is_stdin() { ("stdin", None) } else { ("file", Some(source.name())) };
        if let Some(mime) = content::media(&bytes) {
            self.record_hashed(kind, path, bytes.len(), &hash, mime);
            self.opening.message.parts.push(content::attach(&bytes, mime, source.name()));
            return Ok(());
        }
        self.record_hashed(kind, path, bytes.len(), &hash, "text/plain");
        let text = self.text(bytes, source)?;
        let size = text.len() as u64;
        if self.opening.largest.as_ref().is_none_or(|(_, most)| size > *most) {
            self.opening.largest = Some((source.name().to_owned(), size));
        }
        self.opening.message.parts.extend(content::fenced(text, source, &hash));
        Ok(())
    }

    fn text(&mut self, bytes: Vec<u8>, source: &Source) -> Result<String> {
        match content::decode(bytes) {
            Content::Text(text) => Ok(text),
            Content::Repaired(text) => {
                self.messages.note(format!("{}: invalid UTF-8 was replaced by U+FFFD", source.name()));
                Ok(text)
            }
            Content::Unusable(why) => Err(Failure::new(Exit::Data, format!("{}: {why}", source.name()))),
        }
    }

    fn system(&mut self) -> Result<String> {
        let from_file = match &self.settings.system_file {
            Some(path) => {
                let bytes = self.read_path(path)?;
                Some(self.text(bytes, &Source::file(path))?)
            }
            None => None,
        };
        let parts = [self.settings.system.clone(), from_file];
        Ok(parts.into_iter().flatten().collect::<Vec<_>>().join("\n\n").trim_end().to_owned())
    }

    /// Reads a file that the user named: FIFOs and descriptors too, but no directory and no URL.
    fn read_path(&mut self, path: &Path) -> Result<Vec<u8>> {
        let name = &*path.to_string_lossy();
        let missing = |why: &str| Err(Failure::new(Exit::NoInput, format!("{name}: {why}")));
        if !path.exists() && (name.starts_with("http://") || name.starts_with("https://")) {
            return missing(&format!("is a URL: curl -fsS '{name}' | flux ask …"));
        }
        if path.is_dir() {
            return missing(&format!("is a directory: git ls-files '{name}' | flux ask …, or -f each file"));
        }
        let fail = || name.to_owned();
        let is_file = path.is_file();
        // A pipe without a writer must not hold up the end of the run.
        let flags = if is_file { OFlags::empty() } else { OFlags::NONBLOCK };
        let options = OpenOptions::new().read(true).custom_flags(flags.bits().cast_signed()).open(path);
        let file = options.or_fail(Exit::NoInput, fail)?;
        let bytes = if is_file {
            let mut bytes = Vec::new();
            let most = self.left.map_or(u64::MAX, |left| left.saturating_add(1));
            file.take(most).read_to_end(&mut bytes).or_fail(Exit::NoInput, fail)?;
            bytes
        } else {
            stdin::read_pipe(&file, name, self.stop, self.left)?
        };
        if self.left.is_some_and(|left| bytes.len() as u64 > left) {
            return Err(too_large(name, self.settings.max_bytes));
        }
        Ok(bytes)
    }

    fn take(&mut self, bytes: u64, name: &str) -> Result<()> {
        if let Some(left) = &mut self.left {
            *left = left.checked_sub(bytes).ok_or_else(|| too_large(name, self.settings.max_bytes))?;
        }
        Ok(())
    }

    fn record(&mut self, kind: &'static str, path: Option<&str>, bytes: &[u8], mime: &'static str) {
        self.record_hashed(kind, path, bytes.len(), &content::sha256(bytes), mime);
    }

    fn record_hashed(
        &mut self,
        kind: &'static str,
        path: Option<&str>,
        bytes: usize,
        sha256: &str,
        mime: &'static str,
    ) {
        let (path, sha256) = (path.map(str::to_owned), sha256.to_owned());
        self.opening.inputs.push(Input { kind, path, bytes: bytes as u64, sha256, mime });
    }

    fn finish(self, instruction: String) -> Opening {
        let mut opening = self.opening;
        if opening.message.parts.is_empty() && opening.largest.is_none() {
            opening.largest = Some(("the prompt".to_owned(), instruction.len() as u64));
        }
        opening.message.parts.push(Part::Text(instruction.clone()));
        let length = |part: &Part| if let Part::Text(text) = part { text.len() as u64 } else { 0 };
        opening.text_bytes = opening.message.parts.iter().map(length).sum();
        opening.instruction = instruction;
        opening
    }
}

fn no_instruction() -> Failure {
    Failure::new(Exit::NoInput, "stdin: empty, no prompt in it: flux ask 'WHAT TO DO'")
}

fn empty() -> Failure {
    Failure::new(Exit::NoInput, "stdin: empty, nothing to work on; no input meant? add -n")
}

fn too_large(name: &str, most: Option<u64>) -> Failure {
    let most = text::bytes(most.unwrap_or(0));
    Failure::new(Exit::Data, format!("{name}: the input is larger than {most}: raise --max-input"))
}
