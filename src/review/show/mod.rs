//! `flux transcript show`: a transcript as people read it, entry by entry as the lines come.

mod entry;

use super::out::Out;
use super::{each_file, source::Source};
use crate::base::exit::Exit;
use crate::base::failure::Result;
use crate::base::text;
use crate::base::tty::Terminals;
use crate::cli::color;
use crate::cli::transcript::ShowArgs;
use crate::transcript::Line;

/// Prints the transcripts.
pub(super) fn run(args: &ShowArgs, terminals: Terminals, out: &mut Out) -> Exit {
    let color = color::wanted(args.color, terminals.stdout);
    let mut page = Page { paint: Paint { color, safe: color || terminals.stdout }, full: args.full, out };
    let several = args.files.files.len() > 1;
    each_file(&args.files, terminals, |source| {
        if several {
            let name = text::line(&source.name);
            page.line(&page.paint.bold(&format!("==> {name} <==")))?;
        }
        page.file(source)
    })
}

/// The most of a line that is shown of a text that is not shown whole.
const LONGEST: usize = 400;

/// How text looks.
#[derive(Debug, Clone, Copy)]
struct Paint {
    color: bool,
    /// Control characters are shown, not obeyed: what is printed goes to a terminal.
    safe: bool,
}

impl Paint {
    fn styled(self, code: &str, text: &str) -> String {
        if self.color { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    fn bold(self, text: &str) -> String {
        self.styled("1", text)
    }

    fn dim(self, text: &str) -> String {
        self.styled("2", text)
    }

    fn red(self, text: &str) -> String {
        self.styled("31", text)
    }
}

/// stdout with entries on it.
struct Page<'a> {
    paint: Paint,
    full: bool,
    out: &'a mut Out,
}

impl Page<'_> {
    fn file(&mut self, source: Source) -> Result<()> {
        let mut shown = entry::Shown::default();
        source.lines(|line: Line| {
            shown.line(&line, self)?;
            // The transcript may be one that is still being written.
            self.out.flush()
        })
    }

    fn line(&mut self, line: &str) -> Result<()> {
        self.out.text(line)?;
        self.out.text("\n")
    }

    /// A heading: who, and facts about it.
    fn heading(&mut self, who: &str, facts: &str) -> Result<()> {
        let facts = if facts.is_empty() { String::new() } else { format!("  {}", self.paint.dim(facts)) };
        self.line(&format!("{who}{facts}"))
    }

    /// A text beneath a heading, at most `most` lines of it unless all is wanted.
    fn body(&mut self, body: &str, most: usize) -> Result<()> {
        let safe = if self.paint.safe { text::terminal(body) } else { body.into() };
        let most = if self.full { usize::MAX } else { most };
        let mut lines = safe.trim_end_matches('\n').split('\n');
        for line in lines.by_ref().take(most) {
            // A line of a text that is shown whole is not cut either.
            let shown = if most == usize::MAX { line } else { text::prefix(line, LONGEST) };
            let more = if shown.len() < line.len() { self.paint.dim(" …") } else { String::new() };
            self.line(&if line.is_empty() { String::new() } else { format!("  {shown}{more}") })?;
        }
        match lines.count() {
            0 => Ok(()),
            more => self.line(&self.paint.dim(&format!("  … {more} more lines (--full)"))),
        }
    }
}
