//! The page around the sections: its head with the policy, the overview, the script.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use sha2::{Digest as _, Sha256};

use super::Book;
use super::html::{elements, escape, short};
use super::section::Summary;
use crate::base::failure::Result;
use crate::base::text;
use crate::review::out::Out;
use crate::review::words;

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// Prints the whole page.
pub(super) fn print(book: Book, out: &mut Out) -> Result<()> {
    out.text(&head(&book.runs))?;
    out.text(&totals(&book.runs))?;
    if book.runs.len() > 1 {
        overview(&book.runs, out)?;
    }
    book.sections.copy_to(out)?;
    out.text(&format!("</main>\n<script>{SCRIPT}</script>\n</body>\n</html>\n"))
}

/// Nothing runs, styles or loads but what stands in this file.
fn policy() -> String {
    let hash = |text: &str| format!("'sha256-{}'", BASE64_STANDARD.encode(Sha256::digest(text)));
    format!(
        "default-src 'none'; script-src {}; style-src {}; img-src data:; base-uri 'none'; form-action 'none'",
        hash(SCRIPT),
        hash(STYLE)
    )
}

fn head(runs: &[Summary]) -> String {
    let title = match runs {
        [run] => short(run.title(), 100),
        runs => words::counted(runs.len() as u64, "run"),
    };
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"{}\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"referrer\" content=\"no-referrer\">\n<title>{title} - flux</title>\n\
         <style>{STYLE}</style>\n</head>\n<body>\n<header><h1>{title}</h1></header>\n<main>\n",
        policy()
    )
}

/// The sums of all runs.
fn totals(runs: &[Summary]) -> String {
    let sum = |of: fn(&Summary) -> u64| runs.iter().map(of).fold(0, u64::saturating_add);
    let priced: Vec<f64> = runs.iter().filter_map(Summary::cost).collect();
    let cost = if priced.is_empty() { "?".to_owned() } else { words::dollars(priced.iter().sum()) };
    let well = runs.iter().filter(|run| run.is_well()).count();
    let figures = [
        ("runs", format!("{}", runs.len())),
        ("ended well", format!("{well}")),
        ("turns", sum(|run| run.turns).to_string()),
        ("tool calls", sum(|run| run.tools).to_string()),
        ("failed calls", sum(|run| run.failed_tools).to_string()),
        ("API errors", sum(|run| run.api_errors).to_string()),
        ("tokens", text::count(sum(|run| run.tokens))),
        ("cost", cost),
        ("time", words::millis(sum(|run| run.duration_ms))),
    ];
    let figure = |(name, value): &(&str, String)| format!("<div><dt>{name}</dt><dd>{}</dd></div>\n", escape(value));
    format!("<dl class=\"figures\">\n{}</dl>\n", figures.iter().map(figure).collect::<String>())
}

fn overview(runs: &[Summary], out: &mut Out) -> Result<()> {
    out.text("<nav class=\"scroll\"><table>\n<thead><tr><th>run</th><th>result</th><th>started</th><th>time</th>")?;
    out.text("<th>turns</th><th>tools</th><th>tokens</th><th>cost</th><th>file</th></tr></thead>\n<tbody>\n")?;
    for run in runs {
        let class = if run.is_well() { "" } else { " class=\"failed\"" };
        let cells = [
            words::millis(run.duration_ms),
            run.turns.to_string(),
            run.tools.to_string(),
            text::count(run.tokens),
            run.cost().map_or_else(|| "?".to_owned(), words::dollars),
        ];
        let cells = elements("td", cells);
        out.text(&format!(
            "<tr><td><a href=\"#run-{}\">{}</a></td><td{class}>{}</td><td>{}</td>{cells}<td>{}</td></tr>\n",
            run.number,
            short(run.title(), 80),
            escape(&run.status()),
            escape(&run.started),
            short(&run.file, 80)
        ))?;
    }
    out.text("</tbody></table></nav>\n")
}
