//! stdout: written in large pieces, whole or not at all what the caller calls a line.

use std::io::{self, Write};

use crate::base::failure::Result;
use crate::base::stdio::Stream;
use crate::base::text;
use crate::report::write_failure;

const PIECE: usize = 64 << 10;

/// stdout with a buffer. Nobody may drop it without [`Out::flush`].
#[derive(Debug)]
pub(super) struct Out {
    buffer: Vec<u8>,
    /// stdout is a terminal.
    pub terminal: bool,
}

impl Out {
    pub(super) fn new(terminal: bool) -> Self {
        Self { buffer: Vec::new(), terminal }
    }

    /// Writes text that is safe for a terminal already, or does not go to one.
    pub(super) fn text(&mut self, text: &str) -> Result<()> {
        self.write_all(text.as_bytes()).map_err(|error| write_failure(&error))
    }

    /// Writes JSON with a line break. At a terminal hidden characters become escapes that mean the same.
    pub(super) fn json(&mut self, document: &str) -> Result<()> {
        if self.terminal {
            self.text(&text::json(document))?;
        } else {
            self.text(document)?;
        }
        self.text("\n")
    }

    /// Passes on what is buffered.
    pub(super) fn flush(&mut self) -> Result<()> {
        Write::flush(self).map_err(|error| write_failure(&error))
    }
}

impl Write for Out {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() >= PIECE {
            Write::flush(self)?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let result = Stream::Out.write_all(&self.buffer);
        self.buffer.clear();
        result
    }
}
