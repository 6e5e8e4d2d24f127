//! The sums as a table for people.

use std::collections::BTreeMap;
use std::fmt::{Display, Write as _};

use super::totals::{Latency, Model, Summary, Times, Tool, Totals};
use crate::base::text;
use crate::review::words;

/// The whole table. Names from the transcripts are made safe for a terminal.
pub(super) fn render(totals: &Totals) -> String {
    let mut out = String::new();
    summary(totals, &mut out);
    section(&mut out, &MODELS, totals.models.iter().map(model));
    section(&mut out, &TOOLS, totals.tools.iter().map(tool));
    section(&mut out, &["api error", "attempts"], totals.api_errors.iter().map(|(c, n)| row(c, [n.to_string()])));
    section(&mut out, &LATENCY, latency(&totals.latency_ms));
    out
}

const MODELS: [&str; 8] = ["model", "turns", "requests", "failed", "in", "out", "cost", "p50 ms"];
const TOOLS: [&str; 8] = ["tool", "calls", "ok", "failed", "denied", "p50 ms", "p90 ms", "max ms"];
const LATENCY: [&str; 6] = ["time", "count", "p50 ms", "p90 ms", "p99 ms", "max ms"];

fn summary(totals: &Totals, out: &mut String) {
    let mut line = |name: &str, value: String, more: &str| {
        let more = if more.is_empty() { String::new() } else { format!("  {more}") };
        let _ = writeln!(out, "{name:<10}{value:>10}{more}");
    };
    let mut how = counts(&totals.runs.by_status);
    if totals.runs.crashed > 0 {
        how.push(format!("without a result {}", totals.runs.crashed));
    }
    let codes: BTreeMap<String, u64> = totals
        .runs
        .by_exit_code
        .iter()
        .filter(|(code, _)| **code > 0)
        .map(|(c, n)| (format!("exit {c}:"), *n))
        .collect();
    how.extend(counts(&codes));
    line("files", totals.files.to_string(), "");
    line("runs", totals.runs.total.to_string(), &how.join(", "));
    line("turns", totals.turns.to_string(), "");
    line("retries", totals.retries.to_string(), &waited(totals.wait_ms));
    let tokens = &totals.tokens;
    let parts = [
        ("input", tokens.input),
        ("cache read", tokens.cache_read),
        ("cache write", tokens.cache_write),
        ("output", tokens.output),
        ("reasoning", tokens.reasoning),
    ];
    let parts: Vec<String> =
        parts.iter().filter(|(_, n)| *n > 0).map(|(name, n)| format!("{name} {}", text::count(*n))).collect();
    line("tokens", text::count(tokens.total), &parts.join(", "));
    let unknown = match totals.runs_without_cost {
        0 => String::new(),
        n => format!("without the {} whose price is not known", words::counted(n, "run")),
    };
    line("cost", totals.cost_usd.map_or_else(|| "?".to_owned(), words::dollars), &unknown);
    let removed = match totals.prunes.tokens_removed {
        0 => String::new(),
        n => format!("removed {} tokens", text::count(n)),
    };
    line("prunes", totals.prunes.count.to_string(), &removed);
}

fn waited(ms: u64) -> String {
    if ms > 0 { format!("waited {}", words::millis(ms)) } else { String::new() }
}

fn counts(map: &BTreeMap<String, u64>) -> Vec<String> {
    map.iter().map(|(name, count)| format!("{} {count}", text::line(name))).collect()
}

fn model((name, model): (&String, &Model)) -> Vec<String> {
    let tokens = &model.tokens;
    row(
        name,
        [
            model.turns.to_string(),
            model.requests.to_string(),
            model.errors.to_string(),
            text::count(tokens.input.saturating_add(tokens.cache_read).saturating_add(tokens.cache_write)),
            text::count(tokens.output),
            model.cost_usd.map_or_else(|| "?".to_owned(), words::dollars),
            ms(model.request_ms.summary(), |s| s.p50),
        ],
    )
}

fn tool((name, tool): (&String, &Tool)) -> Vec<String> {
    let times = tool.duration_ms.summary();
    row(
        name,
        [
            tool.calls.to_string(),
            tool.ok.to_string(),
            tool.error.to_string(),
            tool.denied.to_string(),
            ms(times, |s| s.p50),
            ms(times, |s| s.p90),
            ms(times, |s| s.max),
        ],
    )
}

fn latency(latency: &Latency) -> impl Iterator<Item = Vec<String>> + use<> {
    let line = |(name, times): (&str, &Times)| {
        let s = times.summary()?;
        Some(row(
            name,
            [s.count.to_string(), s.p50.to_string(), s.p90.to_string(), s.p99.to_string(), s.max.to_string()],
        ))
    };
    let all = [("first byte", &latency.first_byte), ("request", &latency.request), ("run", &latency.run)];
    all.into_iter().filter_map(line).collect::<Vec<_>>().into_iter()
}

fn ms(times: Option<Summary>, of: fn(&Summary) -> u32) -> String {
    times.as_ref().map_or_else(|| "-".to_owned(), |times| of(times).to_string())
}

fn row<const N: usize>(name: impl Display, cells: [String; N]) -> Vec<String> {
    std::iter::once(text::line(&name.to_string()).into_owned()).chain(cells).collect()
}

/// Rows beneath their headings, the first column to the left and the others to the right; nothing without a row.
fn section(out: &mut String, headings: &[&str], rows: impl Iterator<Item = Vec<String>>) {
    let headings: Vec<String> = headings.iter().map(|heading| (*heading).to_owned()).collect();
    let rows: Vec<Vec<String>> = std::iter::once(headings).chain(rows).collect();
    if rows.len() == 1 {
        return;
    }
    let width = |at: usize| rows.iter().filter_map(|row| row.get(at)).map(|cell| cell.chars().count()).max();
    let widths: Vec<usize> = (0..rows[0].len()).map(|at| width(at).unwrap_or(0)).collect();
    out.push('\n');
    for row in &rows {
        for (at, (cell, width)) in row.iter().zip(&widths).enumerate() {
            let _ = if at == 0 { write!(out, "{cell:<width$}") } else { write!(out, "  {cell:>width$}") };
        }
        out.push('\n');
    }
}
