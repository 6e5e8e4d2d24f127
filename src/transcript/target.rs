//! Where lines go: a file, stdout or a descriptor. One write a line, under a lock where there can be one.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::{FileExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use crate::base::clock;
use crate::base::exit::Exit;
use crate::base::failure::{Failure, OrFail as _, Result};
use crate::base::place::Place;
use crate::base::stdio;
use crate::base::stop::Stopper;
use crate::base::text;
use crate::base::tty;

use super::past::Past;
use super::read::{Fault, FaultKind, Reader};

/// How long a run waits for another that uses its file.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a run waits in the middle of its work, and for its last line when it is to end.
const BRIEF: Duration = Duration::from_millis(200);
const BETWEEN_LOOKS: Duration = Duration::from_millis(5);

/// What opening a transcript found worth telling the user.
pub type Notes = Vec<String>;

/// One place that receives the lines.
#[derive(Debug)]
pub struct Target {
    kind: Kind,
    name: String,
    new: bool,
}

#[derive(Debug)]
enum Kind {
    Stdout {
        stop: Stopper,
        terminal: bool,
    },
    File(Shared),
    /// A file whose lock is held for the whole run.
    Session(File),
    /// A pipe or device.
    Stream {
        file: File,
        stop: Stopper,
        terminal: bool,
    },
}

impl Kind {
    fn stream(file: File, stop: &Stopper) -> Self {
        Self::Stream { terminal: tty::is_terminal(&file), file, stop: stop.clone() }
    }
}

/// A regular file, appended to under an advisory lock, which other runs may hold meanwhile.
#[derive(Debug)]
struct Shared {
    file: File,
    stop: Stopper,
    /// Lines that wait for the lock: somebody else's must not cost the work that is paid for.
    waiting: String,
    /// How long may still be waited: what was once waited for in vain is not waited for again.
    patience: Duration,
}

impl Target {
    /// stdout, for `--format jsonl`; at a `terminal` no control character reaches it.
    #[must_use]
    pub fn stdout(terminal: bool, stop: &Stopper) -> Self {
        Self { kind: Kind::Stdout { terminal, stop: stop.clone() }, name: "stdout".to_owned(), new: true }
    }

    /// Opens the value of `--transcript`: a path or `fd:N`. A link beneath `root` is not followed out of it.
    ///
    /// # Errors
    /// It cannot be opened or created, or is a file of another kind (untouched).
    pub fn open(value: &str, root: Option<&Path>, stop: &Stopper, notes: &mut Notes) -> Result<Self> {
        let fail = || format!("transcript {value}");
        let place = match value.strip_prefix("fd:").map(str::parse) {
            Some(Ok(number)) if number >= 0 => Place::Descriptor(number),
            Some(_) => {
                return Err(Failure::new(Exit::Usage, format!("--transcript {value}: fd:N takes a number")));
            }
            None => Place::resolve(Path::new(value), root).map_err(|failure| failure.context("transcript"))?,
        };
        let mut options = OpenOptions::new();
        options.append(true).mode(0o600);
        let (kind, new) = match place {
            Place::Descriptor(number) => {
                (Kind::stream(stdio::duplicate(number).or_fail(Exit::CannotCreate, fail)?, stop), true)
            }
            Place::Stream => (Kind::stream(options.open(value).or_fail(Exit::CannotCreate, fail)?, stop), true),
            Place::File(path) => {
                let file = options.read(true).create(true).open(path).or_fail(Exit::CannotCreate, fail)?;
                let new = is_empty(&file);
                if !new {
                    lock(&file, &fail(), stop, PATIENCE)?;
                    let mended = mend(&file, value, notes);
                    let _ = file.unlock();
                    mended?;
                }
                (Kind::File(Shared::new(file, stop)), new)
            }
        };
        Ok(Self { kind, name: value.to_owned(), new })
    }

    /// Opens the file of a session for this run alone, and reads what earlier runs have said in it.
    ///
    /// # Errors
    /// It cannot be opened or created, is in use by another run, or is a file of another kind (untouched).
    pub fn session(value: &str, root: Option<&Path>, stop: &Stopper, notes: &mut Notes) -> Result<(Self, Past)> {
        let fail = || format!("session {value}");
        let Place::File(path) = Place::resolve(Path::new(value), root).map_err(|failure| failure.context("session"))?
        else {
            return Err(Failure::new(Exit::CannotCreate, format!("session {value}: not a regular file")));
        };
        let mut options = OpenOptions::new();
        let file = options.append(true).mode(0o600).read(true).create(true).open(path);
        let file = file.or_fail(Exit::CannotCreate, fail)?;
        lock(&file, &fail(), stop, PATIENCE)?;
        let new = is_empty(&file);
        let past = if new { Past::default() } else { read_past(&file, value)? };
        if !new {
            mend_tail(&file, &fail(), Exit::CannotCreate, notes)?;
        }
        Ok((Self { kind: Kind::Session(file), name: value.to_owned(), new }, past))
    }

    /// What earlier runs have said in the file of a session, which is only read.
    ///
    /// # Errors
    /// It cannot be read, or is a file of another kind.
    pub fn past(value: &str) -> Result<Past> {
        let path = Path::new(value);
        if path.symlink_metadata().is_err() {
            return Ok(Past::default());
        }
        let file = File::open(path).or_fail(Exit::NoInput, || format!("session {value}"))?;
        if is_empty(&file) { Ok(Past::default()) } else { read_past(&file, value) }
    }

    /// Whether both write to the same file.
    #[must_use]
    pub fn is_same_file(&self, other: &Self) -> bool {
        self.place().is_some_and(|own| other.place() == Some(own))
    }

    /// Whether this is the file at that path.
    #[must_use]
    pub fn is_at(&self, path: &Path) -> bool {
        self.place().is_some_and(|own| path.metadata().is_ok_and(|other| own == (other.dev(), other.ino())))
    }

    /// The file by its device and inode.
    fn place(&self) -> Option<(u64, u64)> {
        match &self.kind {
            Kind::File(Shared { file, .. }) | Kind::Session(file) => file.metadata().ok().map(|m| (m.dev(), m.ino())),
            Kind::Stdout { .. } | Kind::Stream { .. } => None,
        }
    }

    /// Whether this is the file that stdin reads.
    #[must_use]
    pub fn is_stdin(&self) -> bool {
        matches!(&self.kind, Kind::File(Shared { file, .. }) | Kind::Session(file) if stdio::is_stdin(file))
    }

    /// Whether it has its header, without which no other line may stand in it.
    pub(super) fn has_begun(&self) -> bool {
        !self.new
    }

    /// Writes the header line, unless the file has one: another run may have written it meanwhile.
    pub(super) fn begin(&mut self, header: &str) -> Result<bool> {
        if !self.new {
            return Ok(false);
        }
        let wrote = match &mut self.kind {
            Kind::File(shared) => shared.begin(header, &format!("transcript {}", self.name)),
            Kind::Stdout { .. } | Kind::Session(_) | Kind::Stream { .. } => self.write(header).map(|()| true),
        };
        self.new = wrote.is_err();
        wrote
    }

    /// Writes one line, which ends in its line break.
    pub(super) fn write(&mut self, line: &str) -> Result<()> {
        let is_shown = matches!(self.kind, Kind::Stdout { terminal: true, .. } | Kind::Stream { terminal: true, .. });
        let safe = is_shown.then(|| format!("{}\n", text::json(line.trim_end_matches('\n'))));
        let bytes = safe.as_deref().unwrap_or(line).as_bytes();
        match &mut self.kind {
            Kind::Stdout { stop, .. } => match stdio::Stream::Out.write_until(bytes, stop) {
                Err(error) if stdio::reader_gone(&error) => {
                    Err(Failure::new(Exit::Signal(signal_hook::consts::SIGPIPE), "stdout: nobody reads it"))
                }
                result => or_stopped(result, stop, || "stdout".to_owned()),
            },
            Kind::Stream { file, stop, .. } => {
                or_stopped(stdio::write_until(file, bytes, stop), stop, || format!("transcript {}", self.name))
            }
            Kind::Session(file) => append(file, line).or_fail(Exit::Io, || format!("session {}", self.name)),
            Kind::File(shared) => shared.write(line, &format!("transcript {}", self.name), BRIEF),
        }
    }

    /// Whether somebody reads it meanwhile, and may not.
    pub(super) fn is_stream(&self) -> bool {
        matches!(self.kind, Kind::Stdout { .. } | Kind::Stream { .. })
    }

    /// Writes the lines that wait.
    pub(super) fn settle(&mut self) -> Result<()> {
        match &self.kind {
            Kind::File(shared) if !shared.waiting.is_empty() => self.end(""),
            _ => Ok(()),
        }
    }

    /// Writes the last line, and all that wait.
    pub(super) fn end(&mut self, line: &str) -> Result<()> {
        let Kind::File(shared) = &mut self.kind else { return self.write(line) };
        let name = format!("transcript {}", self.name);
        shared.write(line, &name, PATIENCE)?;
        if shared.waiting.is_empty() {
            return Ok(());
        }
        if let Some(stop) = shared.stop.stopped() {
            return Err(stop.into());
        }
        let what = format!("{name}: in use by another run: the end of this one is not in it");
        Err(Failure::new(Exit::Io, what).class("in_use"))
    }
}

impl Shared {
    fn new(file: File, stop: &Stopper) -> Self {
        Self { file, stop: stop.clone(), waiting: String::new(), patience: PATIENCE }
    }

    /// Waits until no other run uses the file, but no longer than that.
    fn lock(&mut self, name: &str, patience: Duration) -> Result<()> {
        let start = clock::now();
        let locked = lock(&self.file, name, &self.stop, patience.min(self.patience));
        self.patience = if locked.is_ok() { PATIENCE } else { self.patience.saturating_sub(start.elapsed()) };
        locked
    }

    /// Writes the header into a file that is still empty; returns whether it was.
    fn begin(&mut self, header: &str, name: &str) -> Result<bool> {
        self.lock(name, PATIENCE)?;
        let wanted = is_empty(&self.file);
        let result = if wanted { append(&self.file, header) } else { Ok(()) };
        let _ = self.file.unlock();
        result.map(|()| wanted).or_fail(Exit::Io, || name.to_owned())
    }

    /// Appends a line after those that wait; where the lock is not to be had in time, it waits with them.
    fn write(&mut self, line: &str, name: &str, patience: Duration) -> Result<()> {
        if self.lock(name, patience).is_err() {
            self.waiting.push_str(line);
            return Ok(());
        }
        let waiting = std::mem::take(&mut self.waiting);
        let lines = [waiting.as_str(), line];
        let mut lines = lines.into_iter().filter(|lines| !lines.is_empty());
        let append = |lines| append(&self.file, lines).or_fail(Exit::Io, || name.to_owned());
        // Another run may have been killed in the middle of its line.
        let mended = mend_tail(&self.file, name, Exit::Io, &mut Vec::new());
        let written = mended.and_then(|()| lines.try_for_each(append));
        let _ = self.file.unlock();
        written
    }
}

/// What a write to a stream means that the end of the run may have cut short.
fn or_stopped(result: std::io::Result<()>, stop: &Stopper, name: impl FnOnce() -> String) -> Result<()> {
    match (result, stop.stopped()) {
        (Err(error), Some(why)) if error.kind() == std::io::ErrorKind::Interrupted => Err(why.into()),
        (result, _) => result.or_fail(Exit::Io, name),
    }
}

/// Appends lines, or nothing: a part of one would spoil the next.
fn append(file: &File, lines: &str) -> std::io::Result<()> {
    let before = file.metadata()?.len();
    stdio::write_all(file, lines.as_bytes()).inspect_err(|_| {
        let _ = file.set_len(before);
    })
}

fn is_empty(file: &File) -> bool {
    file.metadata().is_ok_and(|m| m.len() == 0)
}

/// Waits until no other run uses the file. Where there are no locks there is nothing to wait for.
fn lock(file: &File, name: &str, stop: &Stopper, patience: Duration) -> Result<()> {
    let start = clock::now();
    while let Err(TryLockError::WouldBlock) = file.try_lock() {
        if start.elapsed() >= patience {
            let waited = match start.elapsed().as_secs() {
                0 => String::new(),
                seconds => format!(" for {seconds} s"),
            };
            let what = format!("{name}: in use by another run{waited}: try again later");
            return Err(Failure::new(Exit::Temporary, what).class("in_use"));
        }
        if let Some(stop) = stop.sleep(BETWEEN_LOOKS) {
            if start.elapsed() >= BRIEF.min(patience) {
                return Err(stop.into());
            }
            clock::pause(BETWEEN_LOOKS);
        }
    }
    Ok(())
}

/// Reads the earlier runs. A torn last line costs that line alone; other damage is for somebody to look at.
fn read_past(mut file: &File, name: &str) -> Result<Past> {
    file.seek(SeekFrom::Start(0)).or_fail(Exit::Data, || format!("session {name}"))?;
    let mut lines = Vec::new();
    for line in Reader::new(file) {
        match line {
            Ok(line) => lines.push(line),
            Err(Fault { kind: FaultKind::Torn, .. }) => {}
            Err(fault) => {
                let what = format!("session {name}: line {}: {fault}; left untouched", fault.line);
                return Err(Failure::new(Exit::Data, what).class("not_a_transcript"));
            }
        }
    }
    Ok(Past::of_lines(lines))
}

/// Looks at a file that is not empty: it must be a transcript, and a torn last line of it is completed or removed.
fn mend(file: &File, name: &str, notes: &mut Notes) -> Result<()> {
    let fail = || format!("transcript {name}");
    if !first_line_is_header(file).or_fail(Exit::CannotCreate, fail)? {
        let message = format!("transcript {name}: not a {} file, left untouched", super::SCHEMA);
        return Err(Failure::new(Exit::CannotCreate, message));
    }
    mend_tail(file, &fail(), Exit::CannotCreate, notes)
}

/// Completes or removes a torn last line. `exit` is for a file that cannot be looked at.
fn mend_tail(file: &File, name: &str, exit: Exit, notes: &mut Notes) -> Result<()> {
    let fail = || name.to_owned();
    let length = file.metadata().or_fail(exit, fail)?.len();
    let tail = torn_tail(file, length).or_fail(exit, fail)?;
    if !tail.is_empty() {
        if serde_json::from_slice::<Value>(&tail).is_ok() {
            stdio::write_all(file, b"\n").or_fail(Exit::Io, fail)?;
            notes.push(format!("{name}: completed the last line"));
        } else {
            file.set_len(length - tail.len() as u64).or_fail(Exit::Io, fail)?;
            notes.push(format!("{name}: removed a torn last line of {} bytes", tail.len()));
        }
    }
    Ok(())
}

fn first_line_is_header(mut file: &File) -> std::io::Result<bool> {
    file.seek(SeekFrom::Start(0))?;
    match Reader::new(file).next() {
        Some(Err(Fault { kind: FaultKind::Unreadable(error), .. })) => Err(error),
        first => Ok(matches!(first, Some(Ok(_)))),
    }
}

/// The bytes after the last line break.
fn torn_tail(mut file: &File, length: u64) -> std::io::Result<Vec<u8>> {
    let mut last = [0];
    if length == 0 || file.read_exact_at(&mut last, length - 1).is_ok() && last == *b"\n" {
        return Ok(Vec::new());
    }
    let mut tail = Vec::new();
    let mut at = length;
    while at > 0 {
        let size = at.min(64 << 10);
        at -= size;
        let mut block = vec![0; usize::try_from(size).unwrap_or(0)];
        file.seek(SeekFrom::Start(at))?;
        file.read_exact(&mut block)?;
        let start = memchr::memrchr(b'\n', &block).map_or(0, |i| i + 1);
        tail.splice(0..0, block[start..].iter().copied());
        if start > 0 {
            break;
        }
    }
    Ok(tail)
}
