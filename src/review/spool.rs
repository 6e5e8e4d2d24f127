//! Text that must wait for what comes after it: in memory while it is short, else in a temporary file without a name.

use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};

use serde::Serialize;
use tempfile::SpooledTempFile;

use super::out::Out;
use crate::base::exit::Exit;
use crate::base::failure::{OrFail as _, Result};

/// What is kept in memory of one text.
const IN_MEMORY: usize = 1 << 20;

/// A text that grows and is read once.
#[derive(Debug)]
pub(super) struct Spool {
    file: SpooledTempFile,
}

impl Default for Spool {
    fn default() -> Self {
        Self { file: tempfile::spooled_tempfile(IN_MEMORY) }
    }
}

impl Spool {
    /// Appends text.
    pub(super) fn text(&mut self, text: &str) -> Result<()> {
        self.file.write_all(text.as_bytes()).or_fail(Exit::Io, || "a temporary file")
    }

    /// Appends a value as JSON.
    pub(super) fn json(&mut self, value: &impl Serialize) -> Result<()> {
        self.text(&serde_json::to_string(value).or_fail(Exit::Software, || "a value as JSON")?)
    }

    /// Gives all of it to stdout as it is.
    pub(super) fn copy_to(self, out: &mut Out) -> Result<()> {
        self.pieces(|piece| out.text(piece))
    }

    /// Appends all of it to another.
    pub(super) fn append_to(self, other: &mut Self) -> Result<()> {
        self.pieces(|piece| other.text(piece))
    }

    /// Gives the text to `take`, piece by piece.
    pub(super) fn pieces(mut self, mut take: impl FnMut(&str) -> Result<()>) -> Result<()> {
        let fail = || "a temporary file";
        self.file.seek(SeekFrom::Start(0)).or_fail(Exit::Io, fail)?;
        let (mut buffer, mut filled) = (vec![0; 64 << 10], 0);
        loop {
            let read = match self.file.read(&mut buffer[filled..]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                read => read.or_fail(Exit::Io, fail)?,
            };
            filled += read;
            // A piece ends between characters; what is left of one begins the next.
            let end = match std::str::from_utf8(&buffer[..filled]) {
                Ok(text) => text.len(),
                Err(error) => error.valid_up_to(),
            };
            take(std::str::from_utf8(&buffer[..end]).unwrap_or_default())?;
            buffer.copy_within(end..filled, 0);
            filled -= end;
            if read == 0 {
                return Ok(());
            }
        }
    }
}
