//! One test for each row of `regressions.md` that can be tried now: the faults of the predecessor, which must not
//! come back. The tests are named after the rows.

mod commands;
mod context;
mod debug;
mod edits;
mod lines;
mod protocol;
mod replies;
mod tools;

use crate::support::say;

/// The rows that these tests cover.
const COVERED: &[&str] = &[
    "P-01", "P-02", "P-03", "P-04", "P-05", "P-06", "P-07", "P-08", "P-09", "P-10", "P-11", "P-12", "P-13", "P-14",
    "P-16", "C-01", "C-02", "C-03", "C-04", "C-05", "C-06", "C-07", "C-08", "C-09", "C-10", "C-11", "C-12", "C-13",
    "L-01", "L-02", "L-03", "L-04", "L-05", "L-06", "L-07", "L-08", "L-09", "L-11", "L-13", "T-01", "T-04", "T-06",
    "T-08", "T-10", "T-11", "T-13", "T-14", "T-15", "T-18", "T-19", "T-20", "T-22", "T-23", "S-03", "S-06", "S-07",
    "S-08", "S-09", "S-10", "S-11", "S-14", "N-01", "N-02", "N-03", "N-04", "N-05", "D-01", "D-02", "D-04", "D-05",
    "D-06",
];

#[test]
fn regression_ids_are_counted_and_each_has_a_test() {
    let sources = [
        include_str!("regressions/commands.rs"),
        include_str!("context/long_runs.rs"),
        include_str!("regressions/context.rs"),
        include_str!("regressions/debug.rs"),
        include_str!("regressions/edits.rs"),
        include_str!("regressions/lines.rs"),
        include_str!("regressions/protocol.rs"),
        include_str!("regressions/replies.rs"),
        include_str!("regressions/tools.rs"),
        include_str!("sessions/crashes.rs"),
    ]
    .concat();
    for id in COVERED {
        let mark = format!("/// {id}");
        let named = sources.lines().any(|line| line.starts_with("/// ") && line.contains(id));
        assert!(named, "no test says {mark}");
    }
    say(&format!("regressions: {} ids covered: {}", COVERED.len(), COVERED.join(" ")));
}
