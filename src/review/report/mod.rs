//! `flux transcript report`: one page of HTML that needs nothing else: what happened, when, and what it cost.
//!
//! The page can be read without its script, which only searches. Whatever stands in a transcript is text on it:
//! escaped, and beneath a policy that lets no other script or style run and nothing be loaded.

mod html;
mod page;
mod section;
mod timeline;

use super::out::Out;
use super::spool::Spool;
use super::{each_file, finish, runs};
use crate::base::exit::Exit;
use crate::base::tty::Terminals;
use crate::cli::transcript::Files;

use section::{Section, Summary};

/// Prints the page. Files that cannot be read are said and left out.
pub(super) fn run(files: &Files, terminals: Terminals, out: &mut Out) -> Exit {
    let mut book = Book::default();
    let exit = each_file(files, terminals, |source| runs::each::<Section, _>(source, &mut book));
    if !matches!(exit, Exit::Ok | Exit::Data | Exit::NoInput) || book.runs.is_empty() && exit != Exit::Ok {
        return exit;
    }
    match finish(page::print(book, out)) {
        Exit::Ok => exit,
        failed => failed,
    }
}

/// All runs: what the overview says of each, and their sections, ready.
#[derive(Debug, Default)]
struct Book {
    runs: Vec<Summary>,
    sections: Spool,
    begun: usize,
}
