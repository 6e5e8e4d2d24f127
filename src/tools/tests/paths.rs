//! Nothing outside the root, nothing that is no regular file, and no secret gets out, by whatever path.

use std::fs::File;
use std::io::Read as _;
use std::os::unix::ffi::OsStrExt;
use std::sync::atomic::{AtomicBool, Ordering};

use super::*;

/// A call of each tool with this path.
fn calls(path: &str) -> [(&'static str, Value); 4] {
    [
        ("read_files", json!({ "paths": [path] })),
        ("list_files", json!({ "path": path })),
        ("find_files", json!({ "path": path, "pattern": "*" })),
        ("grep_search", json!({ "path": path, "pattern": "." })),
    ]
}

#[test]
fn no_path_and_no_link_leads_out_of_the_root() {
    let place = Place::new(&[("a/x", "inside")]);
    place.link("../outside", "link");
    place.link(place.directory.path().join("outside"), "absolute");
    place.link("..", "up");
    place.link("link", "second");
    place.link("second", "third");
    place.link("a/../..", "dots");
    let absolute = place.directory.path().join("outside");
    let absolute = absolute.to_str().unwrap();
    let disguised = format!("{}/../outside", place.root().display());
    let paths = [
        "../outside",
        "../../../../../../etc/passwd",
        "/etc/shadow",
        "./a/../../outside",
        "a/../../outside",
        "..",
        "/",
        "link",
        "absolute",
        "second",
        "third",
        "up",
        "up/outside",
        "dots/outside",
        "up/root/a/x",
        absolute,
        &disguised,
        "a/../..",
    ];
    for path in paths {
        for (tool, arguments) in calls(path) {
            let text = place.error(tool, arguments);
            assert!(text.starts_with("outside_root: ") && !text.contains("CANARY"), "{tool} {path}: {text}");
        }
    }
    assert_eq!(place.read_error("link"), "outside_root: link is outside the root; give a path beneath it");
}

#[test]
fn a_path_may_be_written_in_every_harmless_way() {
    let place = Place::new(&[("a/b/x.txt", "inside\n")]);
    place.link("a/b", "b");
    place.link("b/x.txt", "y");
    place.link("y", "z");
    place.link(place.path("a/b/x.txt"), "absolute");
    let absolute = place.path("a/b/x.txt");
    for path in [
        "a/b/x.txt",
        "./a/b/x.txt",
        "a//b/./x.txt",
        "a/../a/b/x.txt",
        "b/x.txt",
        "y",
        "z",
        "absolute",
        "b/../b/x.txt",
        absolute.to_str().unwrap(),
    ] {
        assert_eq!(place.read(path), "     1\tinside\n", "{path}");
    }
    for path in [".", "./", place.root().to_str().unwrap()] {
        assert!(place.text("list_files", json!({ "path": path })).starts_with("a/\n"), "{path}");
    }
    assert_eq!(place.text("grep_search", json!({ "path": "b", "pattern": "in" })), "a/b/x.txt:1:inside\n");
}

#[test]
fn a_root_reached_through_a_link_is_the_root() {
    let place = Place::new(&[("x", "inside\n")]);
    let link = place.directory.path().join("alias");
    std::os::unix::fs::symlink(place.root(), &link).unwrap();
    let toolbox = Toolbox::new(Workspace::open(&link).unwrap(), reading_tools());
    for root in [link, place.root().canonicalize().unwrap()] {
        let arguments = json!({ "paths": [root.join("x")] });
        assert_eq!(toolbox.call(&call("read_files", &arguments.to_string()), &|| false).text, "     1\tinside\n");
    }
}

#[test]
fn every_path_that_cannot_be_read_is_refused_with_its_reason() {
    let place = Place::new(&[("src/main.rs", "x"), ("src/man.rs", "x"), ("empty/.keep", "")]);
    place.link("nowhere", "dangling");
    place.link("loop", "loop");
    let long = "x".repeat(300);
    let very_long = "x/".repeat(5000);
    let cases = [
        ("", "bad_path: the path is empty"),
        ("a\0b", "bad_path: a\\x00b has a NUL in it"),
        ("src", "is_a_directory: src is a directory; list_files shows what is in it"),
        ("src/main.rs/x", "not_a_directory: src/main.rs/x: a part of this path is a file, not a directory"),
        ("src/main.rs/", "not_a_directory: src/main.rs/: a part of this path is a file, not a directory"),
        ("src/mian.rs", "not_found: src/mian.rs does not exist; near names: src/man.rs, src/main.rs"),
        ("scr/main.rs", "not_found: scr/main.rs does not exist; near names: src"),
        ("zzzzzzzzz", "not_found: zzzzzzzzz does not exist"),
        ("dangling", "not_found: dangling does not exist"),
        ("loop", "link_loop: loop is a loop of symbolic links"),
        ("loop/x", "link_loop: loop/x is a loop of symbolic links"),
        ("-rf --no-preserve", "not_found: -rf --no-preserve does not exist"),
        ("$(touch marker)", "not_found: $(touch marker) does not exist"),
    ];
    for (path, text) in cases {
        assert_eq!(place.read_error(path), text, "{path}");
    }
    for path in [&long, &very_long] {
        let text = place.read_error(path);
        assert!(text.starts_with("bad_path: x") && text.ends_with("… is too long for a path"), "{text}");
        assert!(text.len() < 250);
    }
    for (tool, arguments) in calls("src/main.rs").into_iter().skip(1).take(2) {
        let text = place.error(tool, arguments);
        assert_eq!(text, "not_a_directory: src/main.rs is a file; read_files shows what is in it");
    }
}

#[test]
fn no_error_tells_where_the_root_is() {
    let place = Place::new(&[(".env", "x")]);
    place.link("loop", "loop");
    let root = place.root();
    for path in ["nothing", ".env", "loop", "."] {
        let absolute = root.join(path);
        let text = place.read_error(absolute.to_str().unwrap());
        assert!(!text.contains(root.to_str().unwrap()), "{text}");
    }
}

#[test]
fn pipes_sockets_and_devices_are_refused_at_once() {
    let place = Place::new(&[]);
    let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
    rustix::fs::mknodat(rustix::fs::CWD, place.path("README"), rustix::fs::FileType::Fifo, mode, 0).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(place.path("socket")).unwrap();
    place.link("README", "link");
    // Only root may make a device.
    let zero = rustix::fs::makedev(1, 5);
    let device =
        rustix::fs::mknodat(rustix::fs::CWD, place.path("zero"), rustix::fs::FileType::CharacterDevice, mode, zero);
    for path in ["README", "socket", "link"].into_iter().chain(device.is_ok().then_some("zero")) {
        let text = at_best_within(Duration::from_millis(50), || place.read_error(path));
        assert_eq!(text, format!("not_a_file: {path} is a pipe, a socket, a device or the like"));
        let text = at_best_within(Duration::from_millis(50), || {
            place.error("grep_search", json!({ "path": path, "pattern": "x" }))
        });
        assert!(text.starts_with("not_a_file: "), "{text}");
    }
    let text = within(Duration::from_millis(500), || place.text("grep_search", json!({ "pattern": "." })));
    assert_eq!(text, "no matches\n");
}

#[test]
fn an_ignore_file_that_is_a_pipe_or_endless_hangs_nothing() {
    let place = Place::new(&[("a.txt", "x\n"), ("sub/b.txt", "x\n")]);
    let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
    rustix::fs::mknodat(rustix::fs::CWD, place.path(".gitignore"), rustix::fs::FileType::Fifo, mode, 0).unwrap();
    File::create(place.path("sub/.gitignore")).unwrap().set_len(10 << 30).unwrap();
    let text = within(Duration::from_secs(2), || place.text("list_files", json!({})));
    assert_eq!(text, ".gitignore (not a file)\na.txt\nsub/\n  .gitignore\n  b.txt\n");
}

#[test]
fn the_kernels_own_files_are_refused_under_any_root() {
    let toolbox = Toolbox::new(Workspace::open(Path::new("/")).unwrap(), reading_tools());
    let paths = [
        "/proc/self/environ",
        "proc/self/environ",
        "/proc/thread-self/environ",
        "/proc/1/environ",
        "/proc/self/cmdline",
        "/proc/self/root/etc/passwd",
        "/proc/self/cwd/Cargo.toml",
        "/proc/self/exe",
        "/dev/fd/0",
        "/dev/stdin",
        "/dev/zero",
        "/sys/kernel/notes",
        "/proc",
    ];
    for path in paths {
        for (tool, arguments) in calls(path) {
            let call = call(tool, &arguments.to_string());
            let result = within(Duration::from_secs(1), || toolbox.call(&call, &|| false));
            let empty = path == "/proc" && result.text.starts_with("no");
            assert!(result.is_error || empty, "{tool} {path}: {}", result.text);
        }
    }
    let place = Place::new(&[]);
    place.link("/proc/self/environ", "environ");
    place.link("/proc", "proc");
    for path in ["environ", "proc/self/environ"] {
        assert!(place.read_error(path).starts_with("outside_root: "));
    }
}

#[test]
fn a_secret_is_denied_under_every_name_it_has_and_the_grant_is_named() {
    let place = Place::new(&[
        (".env", "CANARY=1\n"),
        ("deploy/id_rsa", "CANARY\n"),
        (".git/config", "CANARY\n"),
        (".Env.Local", "CANARY\n"),
        ("notes.txt", "fine\n"),
    ]);
    place.link(".env", "link");
    place.link("notes.txt", "credentials");
    place.link(".git", "git");
    let grant = |path| format!("the user may grant --allow 'read:{path}'");
    for (path, real) in [
        (".env", ".env"),
        ("./deploy/../.env", ".env"),
        ("deploy/id_rsa", "deploy/id_rsa"),
        (".git/config", ".git/config"),
        (".Env.Local", ".Env.Local"),
        ("credentials", "credentials"),
    ] {
        let text = format!("denied: {real} is named as secrets usually are; {}", grant(real));
        assert_eq!(place.read_error(path), text);
        assert_eq!(place.error("grep_search", json!({ "path": path, "pattern": "CANARY" })), text);
    }
    for (path, real) in [("link", ".env"), ("git/config", ".git/config")] {
        let text = format!("denied: {path} leads to {real}; {real} is named as secrets usually are; {}", grant(real));
        assert_eq!(place.read_error(path), text);
    }
    let found = place.text("grep_search", json!({ "pattern": "CANARY" }));
    assert_eq!(found, "no matches\n[not searched, named like secrets: .Env.Local, .env, deploy/id_rsa]\n");
    let some = place.result("read_files", json!({ "paths": ["notes.txt", ".env"] }));
    assert!(some.detail.denied.is_some() && !some.is_error && !some.text.contains("CANARY"), "{}", some.text);
}

#[test]
fn a_granted_secret_can_be_read_and_no_other() {
    let place = Place::new(&[("a/.env", "granted\n"), (".env", "other\n")]);
    place.link("a/.env", "link");
    let policy = Policy::parse(&["read:./a/.env".to_owned()], &[]).unwrap();
    let workspace = Workspace::open(&place.root()).unwrap().with_policy(policy).unwrap();
    let toolbox = Toolbox::new(workspace, reading_tools());
    let read = |path: &str| toolbox.call(&call("read_files", &json!({ "paths": path }).to_string()), &|| false);
    assert_eq!(read("a/.env").text, "     1\tgranted\n");
    assert_eq!(read("link").text, "     1\tgranted\n");
    assert_eq!(read(".env").detail.denied.as_deref(), Some("--allow 'read:.env'"));
}

#[test]
fn code_with_a_suspicious_name_is_read_and_searched() {
    let place = Place::new(&[("token-secrets/tokenizer.rs", "fn x() {}\n"), ("src/credentials.rs", "fn y() {}\n")]);
    assert_eq!(place.read("token-secrets/tokenizer.rs"), "     1\tfn x() {}\n");
    let found = place.text("grep_search", json!({ "pattern": "fn" }));
    assert_eq!(found, "src/credentials.rs:1:fn y() {}\ntoken-secrets/tokenizer.rs:1:fn x() {}\n");
}

#[test]
fn a_file_with_an_unreadable_name_is_shown_escaped_and_found_by_that_form() {
    let place = Place::new(&[]);
    let names: [&[u8]; 6] = [b"a\nb", b"esc\x1b[2J", b"bad\xff", b"-rf", "\u{1f980}".as_bytes(), b"back\\slash"];
    for name in names {
        place.write(std::ffi::OsStr::from_bytes(name), "needle\n");
    }
    let shown = ["-rf", "a\\nb", "back\\slash", "bad\\xff", "esc\\x1b[2J", "\u{1f980}"];
    let list = shown.iter().map(|name| format!("{name}\n")).collect::<Vec<_>>().concat();
    assert_eq!(place.text("list_files", json!({})), list);
    assert_eq!(place.text("find_files", json!({ "pattern": "*" })), list);
    let matches = shown.iter().map(|name| format!("{name}:1:needle\n")).collect::<Vec<_>>().concat();
    assert_eq!(place.text("grep_search", json!({ "pattern": "needle" })), matches);
    for name in shown {
        assert_eq!(place.read(name), "     1\tneedle\n");
        let found = place.text("grep_search", json!({ "path": name, "pattern": "needle" }));
        assert_eq!(found, format!("{name}:1:needle\n"));
    }
    assert_eq!(place.read_error("no\nsuch"), "not_found: no\\nsuch does not exist");
}

/// Runs `body` while another thread swaps `dir` for a link out of the root and back, as fast as it can.
fn while_swapped(place: &Place, body: impl FnOnce()) {
    struct Over<'a>(&'a AtomicBool);
    impl Drop for Over<'_> {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Relaxed);
        }
    }
    place.link("..", "evil");
    let (dir, kept, evil) = (place.path("dir"), place.path("kept"), place.path("evil"));
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                drop(fs::rename(&dir, &kept).and_then(|()| fs::rename(&evil, &dir)));
                drop(fs::rename(&dir, &evil).and_then(|()| fs::rename(&kept, &dir)));
            }
        });
        let _over = Over(&over);
        body();
    });
}

#[test]
fn a_directory_swapped_for_a_link_while_reading_gives_nothing_away() {
    let place = Place::new(&[("dir/outside", "inside\n")]);
    let (mut inside, mut refused) = (0, 0);
    while_swapped(&place, || {
        for _ in 0..rounds(100_000) {
            match place.toolbox.workspace().open_file("dir/outside") {
                Ok(mut opened) => {
                    let mut content = String::new();
                    opened.file.read_to_string(&mut content).unwrap();
                    assert_eq!(content, "inside\n");
                    inside += 1;
                }
                Err(_) => refused += 1,
            }
        }
    });
    assert!(inside > 100 && refused > 100, "the race was not run: {inside} {refused}");
}

#[test]
fn a_race_gives_nothing_away_to_searching_and_listing_either() {
    let place = Place::new(&[("dir/outside", "inside\n")]);
    while_swapped(&place, || {
        for _ in 0..2_000 {
            let grep = place.result("grep_search", json!({ "path": "dir", "pattern": "." }));
            let list = place.result("list_files", json!({ "path": "dir" }));
            assert!(!grep.text.contains("CANARY") && !list.text.contains("root/"), "{} {}", grep.text, list.text);
        }
    });
}

/// As where something else has taken a file's place since its directory was read.
#[test]
fn nothing_but_a_regular_file_is_opened_as_one_that_was_found() {
    let place = Place::new(&[("file", "text"), ("folder/x", "")]);
    place.link("file", "link");
    place.link("folder", "other");
    let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
    rustix::fs::mknodat(rustix::fs::CWD, place.path("pipe"), rustix::fs::FileType::Fifo, mode, 0).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(place.path("socket")).unwrap();
    let workspace = Workspace::open(&place.root()).unwrap();
    for path in ["folder", "link", "other/x", "pipe", "socket", "nothing", "../outside"] {
        let opened = within(Duration::from_secs(1), || workspace.open_found(Path::new(path)));
        assert!(opened.is_err(), "{path}");
    }
    assert_eq!(workspace.open_found(Path::new("file")).unwrap().size, 4);
}
