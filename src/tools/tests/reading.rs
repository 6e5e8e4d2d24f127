//! `read_files`: every kind of file as text that a model can use, in bounded memory.

use std::fs::File;
use std::io::{Seek, SeekFrom, Write as _};
use std::sync::atomic::{AtomicBool, Ordering};

use super::*;

#[test]
fn a_file_is_shown_with_line_numbers_whatever_ends_its_lines() {
    let place = Place::new(&[
        ("unix", "a\n\tb\n\nd\n"),
        ("no end", "a\nb"),
        ("windows", "a\r\nb\r\n"),
        ("bom", "\u{feff}a\n"),
        ("empty", ""),
        ("newline", "\n"),
        ("words", "error: this failed\n"),
    ]);
    assert_eq!(place.read("unix"), "     1\ta\n     2\t\tb\n     3\t\n     4\td\n");
    assert_eq!(place.read("no end"), "     1\ta\n     2\tb\n");
    assert_eq!(place.read("windows"), "     1\ta\n     2\tb\n");
    assert_eq!(place.read("bom"), "     1\ta\n");
    assert_eq!(place.read("empty"), "(empty file)\n");
    assert_eq!(place.read("newline"), "     1\t\n");
    assert_eq!(place.read("words"), "     1\terror: this failed\n");
}

#[test]
fn a_part_of_a_file_says_which_part_it_is() {
    let text = (1..=10).map(|n| format!("line {n}\n")).collect::<Vec<_>>().concat();
    let place = Place::new(&[("f", &text), ("g", "one\n")]);
    let part = |start: u64, end: u64| json!({ "paths": ["f"], "start_line": start, "end_line": end });
    assert_eq!(place.text("read_files", part(4, 5)), "     4\tline 4\n     5\tline 5\n[lines 4-5 of 10]\n");
    assert_eq!(place.text("read_files", part(10, 99)), "    10\tline 10\n[lines 10-10 of 10]\n");
    assert_eq!(place.text("read_files", part(0, 99)), place.read("f"));
    assert_eq!(place.error("read_files", part(11, 99)), "bad_range: f has 10 lines; start_line 11 is beyond its end");
    assert_eq!(place.error("read_files", part(u64::MAX, u64::MAX)).len(), 76);
    let both = json!({ "paths": ["f", "g"], "start_line": 10 });
    assert_eq!(
        place.text("read_files", both),
        "==> f <==\n    10\tline 10\n[lines 10-10 of 10]\n\n==> g <==\n\
         bad_range: g has 1 lines; start_line 10 is beyond its end\n"
    );
}

#[test]
fn one_failing_path_does_not_spoil_the_others() {
    let place = Place::new(&[("a", "1\n"), ("b", "2\n")]);
    let some = place.text("read_files", json!({ "paths": ["a", "missing", "b"] }));
    assert_eq!(
        some,
        "==> a <==\n     1\t1\n\n==> missing <==\nnot_found: missing does not exist\n\n==> b <==\n     1\t2\n"
    );
    let none = place.error("read_files", json!({ "paths": ["x1", "../y", "."] }));
    assert_eq!(
        none,
        "not_found: x1 does not exist; near names: a, b\n\
         outside_root: ../y is outside the root; give a path beneath it\n\
         is_a_directory: . is a directory; list_files shows what is in it\n"
    );
}

#[test]
fn what_is_no_utf_8_text_is_decoded_or_named() {
    let place = Place::new(&[]);
    let utf16 = |text: &str, mark: [u8; 2], bytes: fn(u16) -> [u8; 2]| -> Vec<u8> {
        mark.into_iter().chain(text.encode_utf16().flat_map(bytes)).collect()
    };
    place.write("le", utf16("grüße\r\n\u{1f980}", [0xff, 0xfe], u16::to_le_bytes));
    place.write("be", utf16("grüße\r\n\u{1f980}", [0xfe, 0xff], u16::to_be_bytes));
    place.write("latin1", b"gr\xfc\xdfe\n");
    place.write("binary", b"\x7fELF\0\0\0");
    place.write("utf32", b"\xff\xfe\0\0a\0\0\0");
    let mut late = "text\n".repeat(3000).into_bytes();
    late.push(0);
    place.write("late", late);
    let decoded = "     1\tgrüße\n     2\t\u{1f980}\n[the file is UTF-16]\n";
    assert_eq!(place.read("le"), decoded);
    assert_eq!(place.read("be"), decoded);
    assert_eq!(
        place.read("latin1"),
        "     1\tgr\u{fffd}\u{fffd}e\n[bytes that are not UTF-8 text are shown as \u{fffd}]\n"
    );
    assert_eq!(place.read("binary"), "(binary file, 7 bytes)\n");
    assert_eq!(place.read("utf32"), "(binary file, 8 bytes)\n");
    assert!(place.read("late").contains("  3001\t\u{fffd}\n[bytes"));
}

#[test]
fn a_long_file_is_shown_from_its_beginning_with_the_way_to_the_rest() {
    let lines = (1..=5000).map(|n| format!("this is line {n}\n")).collect::<Vec<_>>().concat();
    let place = Place::with_cap(&[("f", &lines)], 1000);
    let mut whole = String::new();
    let mut next = 1;
    while next <= 5000 {
        let result = place.result("read_files", json!({ "paths": ["f"], "start_line": next }));
        assert!(result.text.len() <= 2000 && !result.is_error);
        let (shown, note) = result.text.trim_end().rsplit_once('\n').unwrap();
        for line in shown.lines() {
            whole.extend([line.split_once('\t').unwrap().1, "\n"]);
        }
        let last: u64 = shown.lines().last().unwrap().split_once('\t').unwrap().0.trim().parse().unwrap();
        if last < 5000 {
            assert_eq!(note, format!("[lines {next}-{last} of 5000; continue with start_line {}]", last + 1));
            assert!(result.detail.truncated && result.detail.bytes > result.text.len() as u64);
        } else {
            assert!(!result.detail.truncated);
        }
        next = last + 1;
    }
    assert_eq!(whole, lines);
}

#[test]
fn a_long_file_leaves_room_for_those_that_follow() {
    let long = "0123456789\n".repeat(10_000);
    let place = Place::with_cap(&[("long", &long), ("short", "short\n"), ("also", &long)], 2000);
    let result = place.result("read_files", json!({ "paths": ["long", "short", "also"] }));
    assert!(result.text.len() <= 4000, "{}", result.text.len());
    for part in ["==> long <==\n     1\t", "==> short <==\n     1\tshort\n", "==> also <==\n     1\t"] {
        assert!(result.text.contains(part), "{}", result.text);
    }
    assert!(result.text.ends_with(" of 10000; continue with start_line 112]\n"), "{}", result.text);
}

#[test]
fn a_tiny_cap_still_gives_something_bounded() {
    let place = Place::with_cap(&[("f", &"word ".repeat(10_000))], 50);
    let result = place.result("read_files", json!({ "paths": ["f"] }));
    assert!(result.text.starts_with("     1\tword ") && result.text.len() < 250, "{}", result.text);
}

#[test]
fn huge_files_cost_neither_memory_nor_minutes() {
    let place = Place::new(&[]);
    place.write_repeated("line", &"x".repeat(1 << 20), 100);
    File::create(place.path("sparse")).unwrap().set_len(10 << 30).unwrap();
    let mut begun = File::create(place.path("begun")).unwrap();
    begun.write_all("text\n".repeat(2000).as_bytes()).unwrap();
    begun.seek(SeekFrom::Start(10 << 30)).unwrap();
    begun.write_all(b"\nend").unwrap();
    let before = peak_memory();
    within(Duration::from_secs(20), || {
        let text = place.read("line");
        assert!(text.ends_with("x… [line of 104857600 bytes, cut]\n") && text.len() < 2100, "{}", text.len());
        assert_eq!(place.read("sparse"), "(binary file, 10737418240 bytes)\n");
        let text = place.read("begun");
        assert!(text.contains("[lines 1-2001 of at least 2001]\n"), "{}", &text[text.len() - 200..]);
        assert_eq!(place.text("grep_search", json!({ "pattern": "absent" })).lines().count(), 2);
    });
    let grown = peak_memory() - before;
    assert!(grown < 64 << 20, "{grown}");
}

#[test]
fn a_file_that_shrinks_and_grows_while_it_is_read_ends_the_call_and_nothing_else() {
    let place = Place::new(&[]);
    place.write_repeated("f", "some text\n", 100_000);
    let file = File::options().write(true).open(place.path("f")).unwrap();
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                file.set_len(20_000).unwrap();
                file.set_len(1_000_000).unwrap();
            }
        });
        for _ in 0..30 {
            assert!(!place.result("read_files", json!({ "paths": ["f"] })).is_error);
            assert!(!place.result("grep_search", json!({ "pattern": "some" })).is_error);
        }
        over.store(true, Ordering::Relaxed);
    });
}
