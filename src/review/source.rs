//! A transcript to read: a file or stdin, with the name under which messages speak of it.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use crate::base::exit::Exit;
use crate::base::failure::{Failure, Result};
use crate::base::files;
use crate::base::stdio;
use crate::base::tty::Terminals;
use crate::cli::settings::is_dash;
use crate::transcript::{Fault, FaultKind, Line, Reader};

/// An open transcript.
#[derive(Debug)]
pub(super) struct Source {
    /// As typed; `stdin` for `-`.
    pub name: String,
    /// Its lines.
    pub reader: Reader<Input>,
}

/// Where the bytes come from.
#[derive(Debug)]
pub(super) enum Input {
    Stdin,
    File(File),
}

impl Read for Input {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Stdin => stdio::Input.read(buffer),
            Self::File(file) => file.read(buffer),
        }
    }
}

impl Source {
    /// Opens what was typed.
    pub(super) fn open(path: &Path, terminals: Terminals) -> Result<Self> {
        if is_dash(path) {
            if terminals.stdin {
                return Err(Failure::new(Exit::Usage, "no transcript: name a file, or pipe one in"));
            }
            return Ok(Self { name: "stdin".to_owned(), reader: Reader::new(Input::Stdin) });
        }
        Ok(Self { name: path.display().to_string(), reader: Reader::new(Input::File(files::open(path)?)) })
    }

    /// Gives every line to `each`. Lines that cannot be read are left out and make it fail in the end, but for a torn
    /// last one, which is what a crash leaves.
    pub(super) fn lines(self, mut each: impl FnMut(Line) -> Result<()>) -> Result<()> {
        let Self { name, reader } = self;
        let (mut first, mut bad) = (None, 0u64);
        for line in reader {
            match line {
                Ok(line) => each(line)?,
                Err(Fault { kind: FaultKind::Torn, .. }) => {}
                Err(fault) if fault.ends_reading() => return Err(failure(&name, &fault)),
                Err(fault) => {
                    bad += 1;
                    first.get_or_insert(fault);
                }
            }
        }
        let Some(first) = first else { return Ok(()) };
        let more = if bad > 1 { format!(" and {} more", bad - 1) } else { String::new() };
        let lines = format!("{name}:{}: {first}; left out that line{more}", first.line);
        Err(Failure::new(Exit::Data, format!("{lines}: flux transcript validate says what is wrong")))
    }
}

/// What a fault that ends the reading of a file means.
pub(super) fn failure(name: &str, fault: &Fault) -> Failure {
    match &fault.kind {
        FaultKind::Unreadable(error) => Failure::new(Exit::NoInput, format!("{name}: {error}")),
        FaultKind::Empty => Failure::new(Exit::NoInput, format!("{name}: {fault}")),
        _ => Failure::new(Exit::Data, format!("{name}: {fault}")),
    }
}
