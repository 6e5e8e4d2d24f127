//! The fuzz targets in the normal tests: every input that the fuzzer ever found, and a number of pseudo-random ones
//! made from samples of the real thing. `FLUX_TEST_FUZZ=1000000` tries that many for each target.

#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::needless_for_each,
    missing_docs,
    unreachable_pub,
    reason = "tests may panic, and the fuzzer uses the targets too"
)]

mod targets;

use std::fs;
use std::path::Path;

use targets::TARGETS;

const SAMPLES: &[(&str, &str)] = &[
    (
        "headers",
        "date: Tue, 24 Nov 2026 10:00:00 GMT\nanthropic-ratelimit-requests-reset: 2026-11-24T10:01:00Z\n6m0s\n",
    ),
    ("arguments", "{\"paths\": [\"a.txt\", \"../b\"], \"start_line\": 1, \"pattern\": \"(a|b)+$\", \"depth\": 3}"),
    ("grants", "write\nread:/etc/**\nwrite:src/**\nrun:cargo test **\nread:.env\nwrite:*.md\n"),
    ("args_file", "--model 'openai/gpt' # a comment\n--header 'a: b'\n--rpm 60\n-s \"two\nlines\" --retries=3\n"),
    ("session", include_str!("../fixtures/session.jsonl")),
    ("sanitiser", "\u{1b}]52;c;AAAA\u{7}\u{202e}x\u{9b}2J\r\n\ttext \u{e0041}\u{1b}[31mred\u{1b}[0m\u{feff}"),
];

fn fixtures(name: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/fuzz").join(name);
    let files = fs::read_dir(folder).into_iter().flatten().flatten();
    files.map(|file| fs::read(file.path()).expect("a fixture")).collect()
}

/// Real replies of the wires, and what people really write.
fn samples(name: &str) -> Vec<Vec<u8>> {
    let wire = match name {
        "anthropic" => "anthropic",
        "responses" => "openai-responses",
        "chat" | "sse" => "openai-chat",
        _ => {
            let of = SAMPLES.iter().filter(|(target, _)| *target == name);
            return of.map(|(_, text)| text.as_bytes().to_vec()).collect();
        }
    };
    let lines = include_str!("../fixtures/scenarios.jsonl").lines();
    let scenarios = lines.map(|line| serde_json::from_str::<serde_json::Value>(line).expect("a scenario"));
    let of_wire = scenarios.filter(|scenario| scenario["wire"] == wire && scenario["body_encoding"] != "base64");
    of_wire.map(|scenario| format!("\u{1}{}", scenario["body"].as_str().unwrap_or_default()).into_bytes()).collect()
}

/// Changes a sample here and there, as a fuzzer does.
fn mutate(random: &mut fastrand::Rng, mut bytes: Vec<u8>) -> Vec<u8> {
    const WORDS: &[&[u8]] = &[
        b"\n\n", b"\r", b"data: ", b"{", b"}", b"[", b"\"", b"\\u0000", b"\\ud800", b"null", b"-1e999", b"\xff", b"\0",
        b"**", b":",
    ];
    for _ in 0..random.usize(0..6) {
        let at = random.usize(0..=bytes.len());
        let end = (at + random.usize(0..40)).min(bytes.len());
        match random.u8(0..5) {
            0 => drop(bytes.drain(at..end)),
            1 => bytes.splice(at..at, WORDS[random.usize(0..WORDS.len())].iter().copied()).for_each(drop),
            2 => {
                let copy = bytes[at..end].to_vec();
                let to = random.usize(0..=bytes.len());
                drop(bytes.splice(to..to, copy));
            }
            3 if at < bytes.len() => bytes[at] = random.u8(..),
            _ => bytes.truncate(at.max(1)),
        }
    }
    bytes
}

#[test]
fn what_the_fuzzer_found_stays_mended() {
    for (name, target) in TARGETS {
        fixtures(name).iter().for_each(|input| target(input));
    }
}

#[test]
fn pseudo_random_inputs_break_nothing() {
    let count = std::env::var("FLUX_TEST_FUZZ").ok().and_then(|n| n.parse().ok()).unwrap_or(1500);
    std::thread::scope(|scope| {
        for (name, target) in TARGETS {
            scope.spawn(move || {
                let samples = samples(name);
                let mut random = fastrand::Rng::with_seed(2026);
                for _ in 0..count {
                    let sample = samples[random.usize(0..samples.len())].clone();
                    let input = mutate(&mut random, sample);
                    let outcome = std::panic::catch_unwind(|| target(&input));
                    assert!(outcome.is_ok(), "{name}: {:?}", String::from_utf8_lossy(&input));
                }
            });
        }
    });
}

#[test]
fn every_target_can_be_fuzzed() {
    let manifest = include_str!("Cargo.toml");
    for (name, _) in TARGETS {
        assert!(manifest.contains(&format!("fuzz_targets/{name}.rs")), "{name}");
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/fuzz/fuzz_targets/{name}.rs"));
        let text = fs::read_to_string(file).expect("the target's file");
        assert!(text.contains(&format!("targets::{name}(data)")), "{name}");
    }
}
