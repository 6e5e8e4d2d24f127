//! What the changing tools do to a file, and what they refuse to do.

use super::*;

#[test]
fn an_edit_shows_what_it_has_done_and_changes_nothing_else() {
    let place = Place::writing(&[("a.txt", "one\ntwo\nthree\n"), ("b.txt", "b\n")]);
    let wanted = "a.txt: 1 edit\n--- a/a.txt\n+++ b/a.txt\n@@ -1,3 +1,3 @@\n one\n-two\n+2\n three\n";
    assert_eq!(place.edit("a.txt", "two", "2"), wanted);
    assert_eq!(place.bytes("a.txt"), b"one\n2\nthree\n");
    let result = place.result("edit_file", edit("a.txt", "one", "1"));
    assert_eq!(
        result.detail.diff.as_deref(),
        Some("--- a/a.txt\n+++ b/a.txt\n@@ -1,3 +1,3 @@\n-one\n+1\n 2\n three\n")
    );
    assert_eq!(place.read("a.txt"), "     1\t1\n     2\t2\n     3\tthree\n");
    assert_eq!(place.tree().len(), 2);
}

#[test]
fn several_edits_are_made_together_or_not_at_all() {
    let place = Place::writing(&[("a.txt", "a\nb\n")]);
    place.read("a.txt");
    let edits = json!([{"search": "a", "replace": "x"}, {"search": "b", "replace": "y"}]);
    place.text("edit_file", json!({"path": "a.txt", "edits": edits}));
    assert_eq!(place.bytes("a.txt"), b"x\ny\n");
    let edits = json!([{"search": "x", "replace": "1"}, {"search": "b", "replace": "2"}]);
    let text = place.error("edit_file", json!({"path": "a.txt", "edits": edits}));
    assert!(text.starts_with("no_match: edit 2: the search text occurs 0 times; nothing was changed"), "{text}");
    assert_eq!(place.bytes("a.txt"), b"x\ny\n");
    assert_eq!(place.error("edit_file", json!({"path": "a.txt", "edits": []})), "bad_arguments: `edits` is empty");
}

#[test]
fn bytes_outside_the_edit_and_the_mode_are_kept() {
    use std::os::unix::fs::PermissionsExt as _;
    let cases: [(&[u8], &[u8]); 5] = [
        (b"a\r\nb\r\nc\r\n", b"a\r\nx\r\nc\r\n"),
        (b"a\nb\nc", b"a\nx\nc"),
        (b"\xef\xbb\xbfa\nb\n", b"\xef\xbb\xbfa\nx\n"),
        (b"\xffa\nb\n", b"\xffa\nx\n"),
        (b"a\r\nb\nc\r\n", b"a\r\nx\nc\r\n"),
    ];
    let place = Place::writing(&[]);
    for (before, after) in cases {
        place.write("f", before);
        fs::set_permissions(place.path("f"), fs::Permissions::from_mode(0o751)).unwrap();
        place.edit("f", "b", "x");
        assert_eq!(place.bytes("f"), after);
        assert_eq!(fs::metadata(place.path("f")).unwrap().permissions().mode() & 0o7777, 0o751);
    }
    fs::set_permissions(place.path("f"), fs::Permissions::from_mode(0o4755)).unwrap();
    place.edit("f", "x", "y");
    assert_eq!(fs::metadata(place.path("f")).unwrap().permissions().mode() & 0o7777, 0o755, "no setuid");
}

#[test]
fn only_what_was_read_and_is_unchanged_is_edited_or_overwritten() {
    let place = Place::writing(&[("a.txt", "a\nb\n")]);
    let write = |content: &str| json!({"path": "a.txt", "content": content});
    assert_eq!(
        place.edit_error("a.txt", "a", "x"),
        "not_read: a.txt has not been read in this run; read it first with read_files"
    );
    assert!(place.error("write_file", write("x")).starts_with("not_read: a.txt exists and has not been read"));
    place.text("read_files", json!({"paths": ["a.txt"], "start_line": 1, "end_line": 1}));
    assert!(place.error("write_file", write("x")).starts_with("not_read: a.txt has been read only in part"));
    place.text("edit_file", edit("a.txt", "b", "c"));
    place.text("read_files", json!({"paths": ["a.txt"], "start_line": 1, "end_line": 1}));
    place.text("read_files", json!({"paths": ["a.txt"], "start_line": 2}));
    place.text("write_file", write("new\n"));
    place.text("edit_file", edit("a.txt", "new", "newer"));
    place.text("write_file", write("newest\n"));
    place.write("a.txt", "somebody else\n");
    for text in [place.edit_error("a.txt", "some", "x"), place.error("write_file", write("x"))] {
        assert!(text.starts_with("changed_on_disk: a.txt has been changed on disk since this run read it; read"));
    }
    assert_eq!(place.bytes("a.txt"), b"somebody else\n");
    place.edit("a.txt", "somebody", "nobody");
    // The same bytes in another file are another file.
    place.write("copy", place.bytes("a.txt"));
    fs::rename(place.path("copy"), place.path("a.txt")).unwrap();
    assert!(place.edit_error("a.txt", "nobody", "x").starts_with("changed_on_disk: "));
}

#[test]
fn a_new_file_comes_with_its_directories_and_a_refused_one_leaves_none() {
    let place = Place::writing(&[("file", "x")]);
    let write = |path: &str| json!({"path": path, "content": "text\n"});
    assert_eq!(place.text("write_file", write("a/b/c.txt")), "a/b/c.txt: created, 1 lines, 5 bytes");
    assert_eq!(place.bytes("a/b/c.txt"), b"text\n");
    place.text("edit_file", edit("a/b/c.txt", "text", "more"));
    let before = place.tree();
    let long = format!("x/y/{}", "n".repeat(256));
    for path in ["file/x/y", "x/.git/y", "../x/y", "x/y/", "/x/y", &long, "x/\0", ""] {
        place.error("write_file", write(path));
    }
    assert_eq!(place.error("write_file", write(".")), "bad_path: . is the root itself; name a file in it");
    assert_eq!(place.error("write_file", write("a")), "is_a_directory: a is a directory; only files can be changed");
    assert_eq!(place.tree(), before);
}

#[test]
fn a_file_is_moved_whatever_is_in_it_and_never_over_another() {
    use std::os::unix::fs::PermissionsExt as _;
    let place = Place::writing(&[("other", "kept\n")]);
    let binary: Vec<u8> = (0..=255).collect();
    place.write("run", &binary);
    fs::set_permissions(place.path("run"), fs::Permissions::from_mode(0o755)).unwrap();
    assert_eq!(place.text("move_file", json!({"path": "run", "to": "bin/run.sh"})), "run is now bin/run.sh");
    assert_eq!(place.bytes("bin/run.sh"), binary);
    assert_eq!(fs::metadata(place.path("bin/run.sh")).unwrap().permissions().mode() & 0o7777, 0o755);
    let taken = place.error("move_file", json!({"path": "bin/run.sh", "to": "other"}));
    assert_eq!(taken, "exists: other exists already and is not overwritten");
    assert!(place.error("move_file", json!({"path": "bin", "to": "x/y"})).starts_with("is_a_directory: "));
    let missing = place.error("move_file", json!({"path": "othr", "to": "x/y"}));
    assert_eq!(missing, "not_found: othr does not exist; near names: other");
    assert!(!place.path("x").exists() && place.bytes("other") == b"kept\n");
    place.read("other");
    place.text("move_file", json!({"path": "other", "to": "new"}));
    place.text("edit_file", edit("new", "kept", "edited"));
}

#[test]
fn only_a_file_is_deleted() {
    let place = Place::writing(&[("a/b", "x"), ("c", "x")]);
    place.write("binary", [0, 255]);
    place.link("c", "link");
    for path in [".", "", "..", "*", "a", "a/", "a/..", "/", place.root().to_str().unwrap(), "link", "nothing"] {
        place.error("delete_file", json!({ "path": path }));
    }
    assert_eq!(place.tree().len(), 5);
    assert_eq!(place.text("delete_file", json!({"path": "binary"})), "binary: deleted");
    place.text("delete_file", json!({"path": "a/b"}));
    assert!(place.path("a").exists() && !place.path("a/b").exists());
    place.text("write_file", json!({"path": "a/b", "content": "again"}));
}

#[test]
fn json_and_toml_are_not_broken_but_may_be_mended() {
    let place = Place::writing(&[("a.json", "{\"a\": 1}\n"), ("b.toml", "a = 1\n"), ("c.json", "{\"a\": 1,}\n")]);
    place.read("a.json");
    let text = place.edit_error("a.json", "1}", "1,}");
    assert_eq!(
        text,
        "would_not_parse: a.json would be no JSON any more: key must be a string at line 1 column 9; nothing was changed"
    );
    place.read("b.toml");
    let text = place.error("write_file", json!({"path": "b.toml", "content": "a = 1\nb = \n"}));
    assert!(
        text.starts_with("would_not_parse: b.toml would be no TOML any more: ") && text.contains("line 2"),
        "{text}"
    );
    assert_eq!((place.bytes("a.json"), place.bytes("b.toml")), (b"{\"a\": 1}\n".to_vec(), b"a = 1\n".to_vec()));
    place.edit("a.json", "1", "2");
    place.edit("c.json", "\"a\"", "\"b\"");
    place.edit("c.json", ",}", "}");
}

#[test]
fn what_is_no_text_is_not_edited_as_such() {
    let place = Place::writing(&[]);
    place.write("binary", b"a\0b");
    place.write("utf16", b"\xff\xfea\0b\0");
    place.read("binary");
    assert!(place.edit_error("binary", "a", "x").starts_with("not_read: "));
    place.read("utf16");
    assert_eq!(place.edit_error("utf16", "a", "x"), "not_text: utf16 is UTF-16 and cannot be edited as text");
    place.text("write_file", json!({"path": "utf16", "content": "now UTF-8\n"}));
}

#[test]
fn a_line_number_prefix_as_read_files_shows_it_may_stand_in_the_search() {
    let place = Place::writing(&[("a.txt", "one\ntwo\n")]);
    let shown = place.read("a.txt");
    place.text("edit_file", edit("a.txt", &shown, &shown.replace("two", "2")));
    assert_eq!(place.bytes("a.txt"), b"one\n2\n");
}

#[test]
fn an_escaped_name_leads_to_its_file_and_a_strange_one_is_taken_literally() {
    let place = Place::writing(&[]);
    place.write("a\nb", "x\n");
    place.edit("a\\nb", "x", "y");
    assert_eq!(place.bytes("a\nb"), b"y\n");
    for name in ["-rf", "$(touch marker)", "new\nline", "back\\slash", "*"] {
        place.text("write_file", json!({"path": name, "content": "literal"}));
        assert_eq!(place.bytes(name), b"literal");
    }
    assert_eq!(place.tree().len(), 6);
}

#[test]
fn a_denied_change_names_what_would_permit_it() {
    let place = Place::allowing(&["write:src/**"], &["write:src/gen"], &[("src/gen/a", "x"), ("b", "x")]);
    let text = place.error("delete_file", json!({"path": "b"}));
    assert_eq!(
        text,
        "denied: b is outside what this run may change (write:src/**); the user may grant --allow 'write:b'"
    );
    let text = place.error("delete_file", json!({"path": "src/../src/gen/a"}));
    assert_eq!(text, "denied: src/gen/a: --deny 'write:src/gen' forbids it");
    let text = place.error("move_file", json!({"path": "src/x", "to": "b"}));
    assert!(text.starts_with("denied: b is outside"), "{text}");
    place.text("write_file", json!({"path": "src/new.rs", "content": ""}));
}

#[test]
fn a_denied_path_is_neither_read_nor_searched() {
    let place = Place::allowing(&["write"], &["read:private"], &[("private/a", "CANARY\n"), ("b", "fine\n")]);
    place.link("private", "link");
    for path in ["private/a", "link/a"] {
        let text = place.read_error(path);
        assert_eq!(text, "denied: private/a: --deny 'read:private' forbids it");
    }
    let found = place.text("grep_search", json!({"pattern": "CANARY"}));
    assert_eq!(found, "no matches\n[not searched, denied in this run: private/a]\n");
    assert!(place.error("move_file", json!({"path": "private/a", "to": "c"})).starts_with("denied: "));
}
