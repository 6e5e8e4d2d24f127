//! Whether to use colour: `--color`, `NO_COLOR`, `CLICOLOR_FORCE`, and what stands at the other end.

use super::args::Color;
use crate::base::env;

/// Whether a stream gets colour.
#[must_use]
pub fn wanted(choice: Option<Color>, at_terminal: bool) -> bool {
    match choice.unwrap_or(Color::Auto) {
        Color::Always => true,
        Color::Never => false,
        Color::Auto if env::var("NO_COLOR").is_some() => false,
        Color::Auto if env::var("CLICOLOR_FORCE").is_some_and(|v| v != "0") => true,
        Color::Auto => at_terminal && env::var("TERM").as_deref() != Some("dumb"),
    }
}
