//! `grep_search`: the same matches in every run, bounded, and quick whatever the pattern and the files.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;

fn grep(place: &Place, arguments: Value) -> String {
    place.text("grep_search", arguments)
}

#[test]
fn matches_come_sorted_with_path_line_and_text() {
    let place = Place::new(&[
        ("b.rs", "fn one() {}\nlet x;\nfn two() {}\n"),
        ("a/x.rs", "fn three() {}\r\n"),
        ("notes.md", "a fn\n"),
        ("target/x.rs", "fn ignored() {}\n"),
        (".gitignore", "target\n"),
        ("bom.rs", "\u{feff}fn four() {}\n"),
    ]);
    assert_eq!(
        grep(&place, json!({ "pattern": "^fn \\w+" })),
        "a/x.rs:1:fn three() {}\nb.rs:1:fn one() {}\nb.rs:3:fn two() {}\nbom.rs:1:fn four() {}\n"
    );
    assert_eq!(grep(&place, json!({ "pattern": "three\\(\\) \\{\\}$" })), "a/x.rs:1:fn three() {}\n");
    assert_eq!(grep(&place, json!({ "pattern": "FN", "ignore_case": true, "glob": "*.md" })), "notes.md:1:a fn\n");
    assert_eq!(grep(&place, json!({ "pattern": "fn", "glob": "!*.rs" })), "notes.md:1:a fn\n");
    assert_eq!(grep(&place, json!({ "pattern": "fn", "glob": "a/**" })), "a/x.rs:1:fn three() {}\n");
    assert_eq!(grep(&place, json!({ "pattern": "fn", "path": "target/x.rs" })), "target/x.rs:1:fn ignored() {}\n");
    assert_eq!(grep(&place, json!({ "pattern": "absent" })), "no matches\n");
}

#[test]
fn context_is_shown_and_places_are_set_apart() {
    let text = (1..=12).map(|n| format!("{n}{}\n", if n % 6 == 0 { " hit" } else { "" })).collect::<Vec<_>>().concat();
    let place = Place::new(&[("a", &text), ("b", "hit\n")]);
    assert_eq!(
        grep(&place, json!({ "pattern": "hit", "context": 1 })),
        "a-5-5\na:6:6 hit\na-7-7\n--\na-11-11\na:12:12 hit\n--\nb:1:hit\n"
    );
}

#[test]
fn nothing_in_a_pattern_is_an_option() {
    let place = Place::new(&[("a", "--pre=x -f /etc/passwd --help\n")]);
    for pattern in ["--pre=x", "-f /etc/passwd", "--help", "-"] {
        assert_eq!(grep(&place, json!({ "pattern": pattern })), "a:1:--pre=x -f /etc/passwd --help\n");
    }
    assert_eq!(
        place.error("grep_search", json!({ "pattern": "x", "path": "--help" })),
        "not_found: --help does not exist"
    );
}

#[test]
fn a_pattern_that_cannot_be_searched_for_is_refused_with_the_reason() {
    let place = Place::new(&[("a", "x\n")]);
    let error = |pattern: &str| place.error("grep_search", json!({ "pattern": pattern }));
    assert_eq!(error(""), "bad_pattern: the pattern is empty");
    assert_eq!(error("foo("), "bad_pattern: this is no regular expression: unclosed group");
    assert_eq!(
        error("(?=x)"),
        "bad_pattern: this is no regular expression: look-around, including look-ahead and look-behind, is not supported"
    );
    assert_eq!(
        error("a\nb"),
        "bad_pattern: this is no regular expression: the literal \"\\n\" is not allowed in a regex"
    );
    assert_eq!(
        error(&"x".repeat(1_000_000)),
        "bad_pattern: the pattern is 1000000 bytes long, at most 10000 are allowed"
    );
    let bomb = within(Duration::from_secs(5), || error("((\\w{1000}){1000}){1000}"));
    assert!(bomb.starts_with("bad_pattern: "), "{bomb}");
}

#[test]
fn a_pattern_that_ruins_others_is_no_problem() {
    let place = Place::new(&[("a", &format!("{}!\n", "a".repeat(50_000)))]);
    let text = within(Duration::from_secs(5), || grep(&place, json!({ "pattern": "(a+)+$" })));
    assert_eq!(text, "no matches\n");
}

#[test]
fn a_long_line_is_shown_around_its_match() {
    let line = format!("{}needle{}\n", "é".repeat(50_000), "ü".repeat(50_000));
    let place = Place::new(&[("a", &line), ("b", &"needle ".repeat(100))]);
    let text = grep(&place, json!({ "pattern": "needle" }));
    let (a, b) = text.split_once('\n').unwrap();
    assert!(a.starts_with("a:1:…éé") && a.contains("éneedleü") && a.ends_with("ü…") && a.len() < 530, "{a}");
    assert!(b.starts_with("b:1:needle ") && b.ends_with("…\n") && !b.contains('\u{fffd}'), "{b}");
    let end = grep(&place, json!({ "pattern": "needleü+$" }));
    assert!(end.contains("needleü"), "{end}");
}

#[test]
fn a_million_matches_end_soon_and_stay_small() {
    let place = Place::new(&[("one", &"match\n".repeat(1_000_000))]);
    for n in 0..500 {
        place.write(format!("more/{n}"), "match\n".repeat(2000));
    }
    let before = peak_memory();
    let result = within(Duration::from_secs(3), || place.result("grep_search", json!({ "pattern": "match" })));
    assert!(result.text.ends_with("[the first 1000 matches; there are more: narrow pattern, path or glob]\n"));
    assert!(result.detail.truncated && result.text.len() < 64 << 10);
    assert!(peak_memory() - before < 64 << 20);
    for context in [0, 3] {
        let small = Place::with_cap(&[("one", &"match this\n".repeat(1000)), ("two", "match\n")], 500);
        let result = small.result("grep_search", json!({ "pattern": "match", "context": context }));
        assert!(result.text.len() < 1100 && result.detail.truncated, "{}", result.text);
    }
}

#[test]
fn a_search_ends_when_it_has_enough() {
    let place = Place::new(&[]);
    for n in 0..5000 {
        place.write(format!("{n}"), "match\n");
    }
    let asked = AtomicUsize::new(0);
    let stop = || asked.fetch_add(1, Ordering::Relaxed) == usize::MAX;
    let text = place.toolbox.call(&call("grep_search", r#"{"pattern":"match"}"#), &stop).text;
    assert!(text.contains("[the first 1000 matches;"), "{text}");
    // A few times for each file.
    let asked = asked.into_inner();
    assert!(asked < 8000, "{asked}");
}

#[test]
fn the_result_is_the_same_in_every_run() {
    let place = Place::with_cap(&[], 1000);
    for n in 0..400 {
        place.write(format!("d{}/f{n}", n % 7), format!("match {n}\n").repeat(n % 5));
    }
    let first = grep(&place, json!({ "pattern": "match" }));
    for _ in 0..50 {
        assert_eq!(grep(&place, json!({ "pattern": "match" })), first);
    }
    assert!(first.starts_with("d0/f"), "{first}");
}

#[test]
fn what_is_no_text_is_passed_over_and_other_encodings_are_searched() {
    let place = Place::new(&[("a", "needle\n")]);
    place.write("binary", b"needle\0\n");
    place.write("latin1", b"needle \xfc\n");
    place.write(
        "utf16",
        [0xff, 0xfe].into_iter().chain("needle ü\n".encode_utf16().flat_map(u16::to_le_bytes)).collect::<Vec<u8>>(),
    );
    place.write("long", "x".repeat(9 << 20) + "needle\n");
    assert_eq!(
        grep(&place, json!({ "pattern": "needle" })),
        "a:1:needle\nlatin1:1:needle \u{fffd}\nutf16:1:needle ü\n[not searched to the end, a line is too long: long]\n"
    );
    let named = grep(&place, json!({ "pattern": "needle", "path": "binary" }));
    assert_eq!(named, "no matches\n[not searched, binary: binary]\n");
}
