//! flux beside the least that does the same: `cargo bench`.
//!
//! The floor is a loop on ureq with no options, no checks and no tools of its own, run by this very program when its
//! first argument is `floor`. Both talk to one scripted server on loopback that answers at once; runs alternate, so
//! that a noisy machine is noisy for both. Own time per turn is the wall time that a turn adds, server included.

#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::zombie_processes,
    unreachable_pub,
    reason = "a program for measuring: it starts processes, reads clocks and prints"
)]

mod floor;
mod measure;
mod server;

use measure::{Figures, compare};

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if arguments.get(1).is_some_and(|a| a == "floor") {
        return floor::run(&arguments[2]);
    }
    let runs = 15;
    println!("{:<34} {:>10} {:>10} {:>7}", "median of the runs", "flux", "floor", "ratio");
    let plain = compare(runs, 0, 1024);
    row("plain answer, wall ms", &plain, |f| f.wall_ms);
    row("plain answer, CPU ms", &plain, |f| f.cpu_ms);
    row("plain answer, peak memory KiB", &plain, |f| f.peak_kib);
    let turns = compare(5, 200, 1024);
    row("200 tool turns, wall ms", &turns, |f| f.wall_ms);
    row("200 tool turns, CPU ms", &turns, |f| f.cpu_ms);
    row("200 tool turns, peak memory KiB", &turns, |f| f.peak_kib);
    row("200 tool turns, connections", &turns, |f| f.connections);
    let per_turn = |figures: &[Figures; 2]| [0, 1].map(|i| (figures[i].wall_ms - plain[i].wall_ms) / 200.0);
    let [flux, floor] = per_turn(&turns);
    println!("{:<34} {flux:>10.3} {floor:>10.3} {:>7.2}", "a turn, wall ms", flux / floor);
    let large = compare(5, 0, 10 << 20);
    row("10 MiB of stdin, wall ms", &large, |f| f.wall_ms);
    row("10 MiB of stdin, peak memory KiB", &large, |f| f.peak_kib);
}

fn row(name: &str, [flux, floor]: &[Figures; 2], of: impl Fn(&Figures) -> f64) {
    let (flux, floor) = (of(flux), of(floor));
    println!("{name:<34} {flux:>10.2} {floor:>10.2} {:>7.2}", flux / floor);
}
