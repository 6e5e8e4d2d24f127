//! Changes against the file system: links, races, left-overs of dead runs, full disks, files of other kinds.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::{CWD, RenameFlags, renameat_with};

use super::*;

#[test]
fn nothing_is_changed_through_a_symbolic_link() {
    let place = Place::writing(&[("dir/a", "inside\n")]);
    let outside = place.directory.path().join("outside");
    place.link("../outside", "out");
    place.link("..", "up");
    place.link("dir", "in");
    place.link("dir/a", "file");
    place.link("../nowhere", "dangling");
    place.link("loop", "loop");
    for path in ["out", "up/outside", "up/new", "in/a", "in/new", "file", "dangling", "loop", "loop/x"] {
        let calls = [
            ("write_file", json!({"path": path, "content": "evil"})),
            ("edit_file", edit(path, "CANARY", "evil")),
            ("move_file", json!({"path": path, "to": "elsewhere"})),
            ("move_file", json!({"path": "dir/a", "to": path})),
            ("delete_file", json!({"path": path})),
        ];
        for (tool, arguments) in calls {
            let text = place.error(tool, arguments);
            let codes = ["symbolic_link: ", "exists: ", "not_found: "];
            assert!(codes.iter().any(|code| text.starts_with(code)), "{tool} {path}: {text}");
        }
    }
    let disguised = format!("{}/../outside", place.root().display());
    for path in ["../outside", "dir/../../outside", "/etc/hostname", disguised.as_str(), outside.to_str().unwrap()] {
        let text = place.error("write_file", json!({"path": path, "content": "evil"}));
        assert!(text.starts_with("outside_root: "), "{path}: {text}");
    }
    assert_eq!(fs::read_to_string(outside).unwrap(), OUTSIDE);
    assert_eq!(fs::read_dir(place.directory.path()).unwrap().count(), 2);
    assert_eq!(place.bytes("dir/a"), b"inside\n");
}

#[test]
fn a_file_read_through_a_link_is_edited_by_its_own_name() {
    let place = Place::writing(&[("dir/a", "inside\n")]);
    place.link("dir/a", "link");
    place.read("link");
    place.text("edit_file", edit("dir/a", "inside", "edited"));
}

#[test]
fn of_a_file_with_two_names_only_the_one_here_changes() {
    let place = Place::writing(&[("a", "old\n")]);
    let other = place.directory.path().join("other");
    fs::hard_link(place.path("a"), &other).unwrap();
    place.edit("a", "old", "new");
    assert_eq!((place.bytes("a"), fs::read(&other).unwrap()), (b"new\n".to_vec(), b"old\n".to_vec()));
}

#[test]
fn what_is_no_file_is_refused_at_once() {
    let place = Place::writing(&[]);
    let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
    rustix::fs::mknodat(CWD, place.path("README"), rustix::fs::FileType::Fifo, mode, 0).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(place.path("socket")).unwrap();
    fs::File::create(place.path("sparse")).unwrap().set_len(1 << 40).unwrap();
    for path in ["README", "socket", "sparse"] {
        within(Duration::from_secs(1), || place.error("write_file", json!({"path": path, "content": "x"})));
        within(Duration::from_secs(1), || place.edit_error(path, "a", "b"));
    }
    let root = Toolbox::new(
        Workspace::open(Path::new("/"))
            .unwrap()
            .with_policy(Policy::parse(&["write".to_owned()], &[]).unwrap())
            .unwrap(),
        super::super::changing_tools(),
    );
    for path in ["/proc/self/comm", "/proc/new", "/dev/null", "/sys/kernel/x"] {
        let arguments = json!({"path": path, "content": "x"}).to_string();
        let result = root.call(&call("write_file", &arguments), &|| false);
        assert!(result.is_error && !result.text.contains("exists and"), "{path}: {}", result.text);
    }
}

#[test]
fn a_new_file_has_the_mode_of_any_new_file() {
    let place = Place::writing(&[]);
    place.text("write_file", json!({"path": "d/new", "content": "x"}));
    place.write("e/plain", "x");
    for (ours, other) in [("d/new", "e/plain"), ("d", "e")] {
        assert_eq!(fs::metadata(place.path(ours)).unwrap().mode(), fs::metadata(place.path(other)).unwrap().mode());
    }
}

#[test]
fn what_a_dead_run_left_is_removed_and_nothing_else() {
    let place = Place::writing(&[("a", "old\n"), (".flux-1-0123456789abcdef", "alive"), (".flux-notes", "x")]);
    let dead = ".flux-4194303-0123456789abcdef";
    place.write(dead, "torn");
    place.write("other/.flux-4194303-0123456789abcdef", "torn");
    place.link("a", ".flux-4194303-fedcba9876543210");
    fs::set_permissions(place.path(dead), fs::Permissions::from_mode(0o000)).unwrap();
    place.edit("a", "old", "new");
    let names: Vec<String> =
        place.tree().iter().map(|(path, _)| path.file_name().unwrap().display().to_string()).collect();
    assert!(!place.path(dead).exists(), "{names:?}");
    assert_eq!(names.len(), 6, "{names:?}");
}

#[test]
fn a_temporary_file_that_is_locked_belongs_to_somebody() {
    let place = Place::writing(&[("a", "old\n")]);
    let name = ".flux-4194303-0123456789abcdef";
    place.write(name, "being written");
    let file = fs::File::open(place.path(name)).unwrap();
    rustix::fs::flock(&file, rustix::fs::FlockOperation::LockExclusive).unwrap();
    place.edit("a", "old", "new");
    assert!(place.path(name).exists());
}

#[test]
fn a_file_that_changes_between_reading_and_replacing_is_left_alone() {
    let place = Place::writing(&[("a", "old\n")]);
    let workspace = place.toolbox.workspace();
    let original = workspace.original(Path::new("a")).unwrap().unwrap();
    place.write("a", "theirs\n");
    let refusal = workspace.replace(&original, b"ours\n").unwrap_err();
    assert!(ToolResult::from(refusal).text.starts_with("changed_on_disk: "));
    fs::remove_file(place.path("a")).unwrap();
    assert!(workspace.replace(&original, b"ours\n").is_err());
    assert!(place.tree().is_empty());
}

#[test]
fn of_two_runs_that_change_one_file_at_once_none_loses_the_others_change() {
    let place = Place::writing(&[("n", "0")]);
    let root = place.root();
    let done = std::sync::atomic::AtomicU32::new(0);
    let work = || {
        let policy = Policy::parse(&["write".to_owned()], &[]).unwrap();
        let workspace = Workspace::open(&root).unwrap().with_policy(policy).unwrap();
        for _ in 0..300 {
            let original = workspace.original(Path::new("n")).unwrap().unwrap();
            let number: u32 = String::from_utf8(original.content.clone()).unwrap().parse().unwrap();
            if workspace.replace(&original, (number + 1).to_string().as_bytes()).is_ok() {
                done.fetch_add(1, Ordering::Relaxed);
            }
        }
    };
    std::thread::scope(|scope| {
        scope.spawn(work);
        work();
    });
    let done = done.into_inner();
    assert_eq!(place.bytes("n"), done.to_string().as_bytes());
    assert!(done >= 300 && place.tree().len() == 1, "{done}");
}

#[test]
fn a_directory_that_git_would_take_for_its_own_is_protected() {
    let place =
        Place::writing(&[("bare/HEAD", "x"), ("bare/refs/a", "x"), ("bare/objects/a", "x"), ("half/HEAD", "x")]);
    place.write("half/objects/a", "x");
    let write = |path: &str| json!({"path": path, "content": "x"});
    for path in ["bare/hooks/pre-commit", "bare/config", "half/refs/heads/main"] {
        let text = place.error("write_file", write(path));
        assert!(text.starts_with(&format!("denied: {path} is in a directory of git's own")), "{text}");
    }
    place.text("write_file", write("half/other"));
    let named = Place::allowing(&["write:bare/config"], &[], &[("bare/HEAD", "x"), ("bare/refs/a", "x")]);
    named.write("bare/objects/a", "x");
    named.text("write_file", write("bare/config"));
}

/// Runs `body` while another thread exchanges `dir` with a link out of the root, as fast as it can.
fn while_exchanged(place: &Place, body: impl FnOnce()) {
    place.link("..", "evil");
    let (dir, evil) = (place.path("dir"), place.path("evil"));
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut is_link = false;
            while is_link || !over.load(Ordering::Relaxed) {
                renameat_with(CWD, &dir, CWD, &evil, RenameFlags::EXCHANGE).unwrap();
                is_link = !is_link;
                // Without a pause of random length the two threads fall into step.
                (0..fastrand::u32(..20_000)).for_each(|_| std::hint::spin_loop());
            }
        });
        body();
        over.store(true, Ordering::Relaxed);
    });
}

#[test]
fn a_directory_swapped_for_a_link_while_writing_lets_nothing_out() {
    // In memory, where a write takes no longer than a refusal.
    let memory = Path::new("/dev/shm");
    let directory = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    let place = Place::writing_in(directory.unwrap(), &[("dir/a", "inside\n")]);
    let workspace = place.toolbox.workspace();
    let (mut done, mut refused) = (0_u32, 0_u32);
    while_exchanged(&place, || {
        for n in 0..rounds(50_000) {
            let path = if n % 2 == 0 { Path::new("dir/outside") } else { Path::new("dir/new/outside") };
            let outcome = match n % 4 {
                0 | 1 => workspace.create(path, b"written").map(drop),
                _ => workspace.remove(path),
            };
            if outcome.is_ok() { done += 1 } else { refused += 1 }
        }
    });
    println!("{done} done, {refused} refused");
    assert!(done > 100 && refused > 100, "the race was not run: {done} {refused}");
    assert_eq!(fs::read_to_string(place.directory.path().join("outside")).unwrap(), OUTSIDE);
    let names: Vec<_> =
        fs::read_dir(place.directory.path()).unwrap().flatten().map(|entry| entry.file_name()).collect();
    assert_eq!(names.len(), 2, "{names:?}");
}
