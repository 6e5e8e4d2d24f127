//! flux beside the least that does the same: `cargo bench`; `cargo bench -- NAME…` makes only the parts that are named.
//!
//! The floor is a loop on ureq with no options, no checks and no tools of its own, run by this very program when its
//! first argument is `floor`; for transcripts, with `lines`, it parses each line and counts. Both talk to a scripted
//! server on loopback that answers at once; runs alternate, so that a noisy machine is noisy for both. Figures are
//! medians. Own time per turn is what passes between the last byte of a reply and the first byte of the next request.
//! `instructions` counts instructions with callgrind and compares them with `tests/bench/instructions.txt`, if that was
//! written (`FLUX_REGENERATE=1`) on a machine that is alike.

#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::zombie_processes,
    unreachable_pub,
    dead_code,
    missing_docs,
    reason = "a program for measuring: it starts processes, reads clocks and prints; the events are those of the tests"
)]

#[path = "../support/events.rs"]
mod events;
mod floor;
mod instructions;
mod measure;
mod parts;
mod server;

/// What replies say they took, as the tests have it.
mod wire {
    #[derive(Clone, Copy)]
    pub struct Usage {
        pub input: u64,
        pub cache_read: u64,
        pub output: u64,
    }

    pub const USAGE: Usage = Usage { input: 20, cache_read: 5, output: 9 };
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["floor", url] => return floor::run(url),
        ["lines", path] => return floor::lines(path),
        ["peak", file, program, args @ ..] => return measure::peak(file, program, args),
        _ => {}
    }
    if let [part] = arguments.as_slice()
        && let Some((name, part)) = parts::PARTS.iter().find(|(name, _)| name == part)
    {
        println!("\n{:<44} {:>10} {:>10} {:>7}", format!("{name} (medians)"), "flux", "floor", "ratio");
        return part();
    }
    for (name, _) in parts::PARTS {
        if arguments.is_empty() || arguments.iter().any(|argument| argument == name) {
            let part = std::process::Command::new(std::env::current_exe().expect("this program")).arg(name).status();
            assert!(part.expect("this program").success(), "{name}");
        }
    }
    if arguments.iter().any(|argument| argument == "instructions") && !instructions::compare() {
        std::process::exit(1);
    }
}
