//! `list_files` and `find_files`: what is there, without what is ignored, and never too long.

use super::*;

fn list(place: &Place, arguments: Value) -> String {
    place.text("list_files", arguments)
}

fn find(place: &Place, pattern: &str) -> String {
    place.text("find_files", json!({ "pattern": pattern }))
}

#[test]
fn a_tree_is_sorted_and_without_what_is_ignored() {
    let place = Place::new(&[
        (".gitignore", "target/\n*.log\n!keep.log\n/only-root\n"),
        ("src/main.rs", ""),
        ("src/deep/x.rs", ""),
        ("target/debug/x", ""),
        ("a.log", ""),
        ("keep.log", ""),
        (".github/ci.yml", ""),
        (".git/HEAD", ""),
        ("sub/.gitignore", "*.tmp\n"),
        ("sub/y.tmp", ""),
        ("sub/only-root", ""),
        ("only-root", ""),
        ("y.tmp", ""),
        ("sub/.ignore", "secret-notes\n"),
        ("sub/secret-notes", ""),
        ("README", ""),
    ]);
    fs::create_dir(place.path("void")).unwrap();
    place.link("src", "link");
    assert_eq!(
        list(&place, json!({})),
        ".github/\n  ci.yml\n.gitignore\nREADME\nkeep.log\nlink (link)\nsrc/\n  deep/\n    x.rs\n  main.rs\n\
         sub/\n  .gitignore\n  .ignore\n  only-root\nvoid/\ny.tmp\n"
    );
    assert_eq!(list(&place, json!({ "path": "src" })), "src/\n  deep/\n    x.rs\n  main.rs\n");
    assert_eq!(
        list(&place, json!({ "path": "src", "depth": 1 })),
        "src/\n  deep/\n  main.rs\n[depth 1; for what is deeper give a path, or another depth]\n"
    );
    assert_eq!(list(&place, json!({ "path": "void" })), "void/\n(empty, or everything in it is ignored)\n");
    assert_eq!(list(&place, json!({ "path": "sub" })), "sub/\n  .gitignore\n  .ignore\n  only-root\n");
}

#[test]
fn an_ignored_directory_that_is_named_is_shown() {
    let place = Place::new(&[(".gitignore", "target/\n*.log\n"), ("target/x/a.log", "needle\n")]);
    assert_eq!(list(&place, json!({ "path": "target" })), "target/\n  x/\n    a.log\n");
    assert_eq!(list(&place, json!({ "path": "target/x" })), "target/x/\n  a.log\n");
    let found = place.text("grep_search", json!({ "path": "target", "pattern": "needle" }));
    assert_eq!(found, "target/x/a.log:1:needle\n");
}

#[test]
fn the_repository_around_the_root_says_what_is_ignored_too() {
    let place = Place::new(&[(".git/info/exclude", "mine\n"), (".gitignore", "*.o\n/inner/anchored\n"), ("mine", "")]);
    for file in ["inner/a.o", "inner/b.c", "inner/mine", "inner/anchored", "inner/deep/anchored"] {
        place.write(file, "");
    }
    let whole = Toolbox::new(Workspace::open(&place.root()).unwrap(), reading_tools());
    let tree = whole.call(&call("list_files", "{}"), &|| false).text;
    assert_eq!(tree, ".gitignore\ninner/\n  b.c\n  deep/\n    anchored\n");
    let inner = Toolbox::new(Workspace::open(&place.path("inner")).unwrap(), reading_tools());
    assert_eq!(inner.call(&call("list_files", "{}"), &|| false).text, "b.c\ndeep/\n  anchored\n");
}

#[test]
fn a_large_tree_loses_its_deepest_levels_first() {
    let place = Place::new(&[("top", "")]);
    for n in 0..20 {
        for m in 0..30 {
            place.write(format!("d{n:02}/e/f{m}"), "");
        }
    }
    let text = list(&place, json!({}));
    assert!(text.starts_with("d00/\n  e/\nd01/\n") && text.contains("\ntop\n"), "{text}");
    assert!(text.ends_with("[depth 2; for what is deeper give a path, or another depth]\n"), "{text}");
    assert!(place.result("list_files", json!({})).detail.truncated);
    assert_eq!(list(&place, json!({ "depth": 99 })).lines().count(), 20 * 32 + 1);
}

#[test]
fn a_directory_of_many_files_keeps_its_head_and_tail() {
    let place = Place::with_cap(&[], 200);
    for n in 0..1000 {
        place.write(format!("file{n:04}"), "");
    }
    let head = (0..22).map(|n| format!("file{n:04}\n")).collect::<Vec<_>>().concat();
    let tail = (978..1000).map(|n| format!("file{n:04}\n")).collect::<Vec<_>>().concat();
    let marker = |hint| format!("[8604 bytes, 956 lines left out here; {hint}]\n");
    let result = place.result("list_files", json!({}));
    assert_eq!(result.text, format!("{head}{}{tail}", marker("give path, or use find_files")));
    assert_eq!((result.detail.bytes, result.detail.truncated), (9000, true));
    let text = find(&place, "file*");
    assert_eq!(text, format!("{head}{}{tail}", marker("1000 in all; narrow pattern or path")));
}

#[test]
fn a_pattern_without_a_slash_is_a_name_and_one_with_it_a_path() {
    let place = Place::new(&[
        ("main.rs", ""),
        ("src/main.rs", ""),
        ("src/a/b/main.rs", ""),
        ("src/Main.rs", ""),
        ("target/main.rs", ""),
        (".gitignore", "target\n"),
        ("docs/x.md", ""),
        (".github/ci.yml", ""),
    ]);
    let cases = [
        ("main.rs", "main.rs\nsrc/a/b/main.rs\nsrc/main.rs\n"),
        ("*.rs", "main.rs\nsrc/Main.rs\nsrc/a/b/main.rs\nsrc/main.rs\n"),
        ("src/*.rs", "src/Main.rs\nsrc/main.rs\n"),
        ("./src/*.rs", "src/Main.rs\nsrc/main.rs\n"),
        ("src/**/*.rs", "src/Main.rs\nsrc/a/b/main.rs\nsrc/main.rs\n"),
        ("**/b/*", "src/a/b/main.rs\n"),
        ("*.{md,yml}", ".github/ci.yml\ndocs/x.md\n"),
        ("/*.rs", "main.rs\n"),
        ("docs", "docs/\n"),
        ("*/", ".github/\ndocs/\nsrc/\nsrc/a/\nsrc/a/b/\n"),
        ("*.absent", "no matches\n"),
        ("-rf", "no matches\n"),
    ];
    for (pattern, found) in cases {
        assert_eq!(find(&place, pattern), found, "{pattern}");
    }
    for pattern in ["a/*.rs", "src/a/**/*.rs", "b/main.rs", "main.rs"] {
        let found = place.text("find_files", json!({ "pattern": pattern, "path": "src/a" }));
        let expected = if pattern == "a/*.rs" { "no matches\n" } else { "src/a/b/main.rs\n" };
        assert_eq!(found, expected, "{pattern}");
    }
    let absolute = place.root().canonicalize().unwrap().join("src/*.rs");
    assert_eq!(find(&place, absolute.to_str().unwrap()), "src/Main.rs\nsrc/main.rs\n");
}

#[test]
fn a_pattern_that_is_no_glob_is_refused_with_the_reason() {
    let place = Place::new(&[]);
    let error = |pattern: &str| place.error("find_files", json!({ "pattern": pattern }));
    assert_eq!(error("[a"), "bad_pattern: this is no glob: unclosed character class; missing ']'");
    assert_eq!(error(""), "bad_pattern: this is no glob: it is empty");
    assert_eq!(
        error(&"x".repeat(10 << 10)),
        "bad_pattern: this is no glob: it is 10240 bytes long, at most 1000 are allowed"
    );
    let grep = place.error("grep_search", json!({ "pattern": "x", "glob": "{a" }));
    assert!(grep.starts_with("bad_pattern: this is no glob: "), "{grep}");
}
