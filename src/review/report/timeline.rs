//! Requests and tool calls as bars on the axis of a run's time: drawn as SVG, whose attributes need no inline style.

use std::fmt::Write as _;

use super::html::{elements, escape, short};
use crate::review::words;

/// More bars than this are not drawn.
const MOST: usize = 1000;
/// A timeline of more bars than this is folded.
const FOLDED: usize = 60;
/// The width of the axis in units of the drawing.
const WIDTH: u64 = 10_000;

/// The bars of a run.
#[derive(Debug, Default)]
pub(super) struct Timeline {
    bars: Vec<Bar>,
    left_out: u64,
    /// From the first line to the last, in Unix milliseconds.
    span: Option<(u64, u64)>,
    /// When the newest batch of tool calls began, and ended.
    batch: Option<(u64, u64)>,
}

/// What a bar stands for, as its class.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Request,
    Tool,
    Failed,
}

#[derive(Debug)]
struct Bar {
    kind: Kind,
    label: String,
    /// The id of the entry that it belongs to.
    anchor: String,
    start: u64,
    length: u64,
}

impl Timeline {
    /// A line was written at that time.
    pub(super) fn seen(&mut self, at: u64) {
        let (first, last) = self.span.unwrap_or((at, at));
        self.span = Some((first.min(at), last.max(at)));
    }

    /// A request ended.
    pub(super) fn request(&mut self, kind: Kind, label: String, anchor: &str, end: u64, length: u64) {
        self.batch = None;
        self.bar(Bar { kind, label, anchor: anchor.to_owned(), start: end.saturating_sub(length), length });
    }

    /// A tool call's result was written. Calls that ran side by side have their results written together.
    pub(super) fn tool(&mut self, kind: Kind, label: String, anchor: &str, end: u64, length: u64) {
        let alone = end.saturating_sub(length);
        let start = match self.batch {
            Some((start, last)) if alone < last => start.min(alone),
            _ => alone,
        };
        self.batch = Some((start, end));
        self.bar(Bar { kind, label, anchor: anchor.to_owned(), start, length });
    }

    fn bar(&mut self, bar: Bar) {
        self.seen(bar.start);
        if self.bars.len() < MOST {
            self.bars.push(bar);
        } else {
            self.left_out += 1;
        }
    }

    /// How long it took from the first line to the last.
    pub(super) fn length(&self) -> u64 {
        self.span.map_or(0, |(first, last)| last - first)
    }

    /// The timeline as HTML; nothing without a bar.
    pub(super) fn render(&self) -> String {
        let Some((first, _)) = self.span.filter(|_| !self.bars.is_empty()) else { return String::new() };
        let whole = self.length().max(1);
        let open = if self.bars.len() <= FOLDED { " open" } else { "" };
        let mut out = format!("<details class=\"timeline\"{open}><summary>timeline</summary>\n");
        for bar in &self.bars {
            row(bar, first, whole, &mut out);
        }
        let ticks =
            elements("span", (0..=4).map(|quarters| words::millis(whole / 4 * quarters + whole % 4 * quarters / 4)));
        let _ = writeln!(out, "<div class=\"axis\">{ticks}</div>");
        if self.left_out > 0 {
            let _ = writeln!(out, "<p class=\"cut\">… {} more</p>", self.left_out);
        }
        out.push_str("</details>\n");
        out
    }
}

fn row(bar: &Bar, first: u64, whole: u64, out: &mut String) {
    let scale = |ms: u64| u64::try_from(u128::from(ms) * u128::from(WIDTH) / u128::from(whole)).unwrap_or(WIDTH);
    // Never so narrow that it cannot be seen, never beyond the axis.
    let width = scale(bar.length).clamp(WIDTH / 250, WIDTH);
    let x = scale(bar.start.saturating_sub(first)).min(WIDTH - width);
    let class = match bar.kind {
        Kind::Request => "request",
        Kind::Tool => "tool",
        Kind::Failed => "failed",
    };
    let _ = writeln!(
        out,
        "<a class=\"bar\" href=\"#{}\"><span>{}</span><svg viewBox=\"0 0 {WIDTH} 10\" preserveAspectRatio=\"none\" \
         aria-hidden=\"true\"><rect class=\"{class}\" x=\"{x}\" y=\"1\" width=\"{width}\" height=\"8\"/></svg>\
         <span>{}</span></a>",
        bar.anchor,
        short(&bar.label, 60),
        escape(&words::millis(bar.length))
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    fn starts(timeline: &Timeline) -> Vec<u64> {
        timeline.bars.iter().map(|bar| bar.start).collect()
    }

    #[test]
    fn calls_side_by_side_begin_together_and_others_one_after_another() {
        let mut timeline = Timeline::default();
        timeline.request(Kind::Request, "turn 1".into(), "a", 1100, 100);
        timeline.tool(Kind::Tool, "slow".into(), "b", 1400, 300);
        timeline.tool(Kind::Tool, "quick".into(), "c", 1401, 50);
        timeline.tool(Kind::Failed, "later".into(), "d", 1600, 150);
        assert_eq!(starts(&timeline), [1000, 1100, 1100, 1450]);
    }

    #[test]
    fn bars_stay_on_the_axis_whatever_the_clock_says() {
        let mut timeline = Timeline::default();
        timeline.seen(500);
        timeline.request(Kind::Request, "<b>".into(), "a", 100, u64::MAX);
        timeline.request(Kind::Request, "x".into(), "b", u64::MAX, 5);
        let html = timeline.render();
        let number = |part: &str| part.split('"').next().and_then(|n| n.parse::<u64>().ok()).unwrap();
        let xs: Vec<u64> = html.split(" x=\"").skip(1).map(number).collect();
        let widths: Vec<u64> = html.split(" width=\"").skip(1).map(number).collect();
        assert!(xs.iter().zip(&widths).all(|(x, width)| x + width <= WIDTH && *width > 0), "{html}");
        assert!(html.contains("&lt;b&gt;"));
    }

    #[test]
    fn an_endless_run_does_not_draw_without_end() {
        let mut timeline = Timeline::default();
        (0..2000).for_each(|n| timeline.request(Kind::Request, "r".into(), "a", 1000 + n, 1));
        assert_eq!(timeline.render().matches("<rect").count(), MOST);
        assert!(timeline.render().contains("1000 more"));
    }
}
