//! Disks that are full, read-only or limited: the old file stays, byte for byte, and nothing is left beside it.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use serde_json::{Value, json};

use crate::support::tools::results;
use crate::support::{Api, Flux, say};

/// A file system that is unmounted again, whatever becomes of the test.
struct Mount(PathBuf);

impl Mount {
    /// None where this user may not mount.
    fn new(path: PathBuf, options: &str) -> Option<Mount> {
        fs::create_dir_all(&path).expect("a directory");
        let status =
            Command::new("mount").args(["-t", "tmpfs", "-o", options, "none"]).arg(&path).output().ok()?.status;
        status.success().then(|| Mount(path))
    }

    fn make_read_only(&self) {
        let status = Command::new("mount").args(["-o", "remount,ro"]).arg(&self.0).status().expect("mount");
        assert!(status.success());
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        drop(Command::new("umount").arg("-l").arg(&self.0).status());
    }
}

const SIZE: usize = 40_000;

fn old() -> String {
    format!("{}\n", "o".repeat(99)).repeat(SIZE / 100)
}

fn calls() -> [(&'static str, Value); 4] {
    [
        ("read_files", json!({"paths": ["d/f"]})),
        ("write_file", json!({"path": "d/f", "content": "n".repeat(SIZE)})),
        ("edit_file", json!({"path": "d/f", "edits": [{"search": "o", "replace": "xx", "all": true}]})),
        ("write_file", json!({"path": "d/new/f", "content": "n".repeat(SIZE)})),
    ]
}

/// Makes the changes where `prepare` lets none of them succeed; the code of each refusal is `code`.
#[track_caller]
fn refuses(prepare: impl FnOnce(Flux) -> (Flux, Option<Mount>), code: &str) {
    let mut place = None;
    let answers = results(
        Api::Chat,
        |flux| {
            let (flux, mount) = prepare(flux.args(["--max-context", "1M", "--allow", "write"]));
            place = Some((flux.clone(), mount));
            flux
        },
        &calls(),
    );
    for answer in &answers[1..] {
        assert!(answer.text.starts_with(&format!("{code}: ")), "{answers:?}");
    }
    // The mount goes before the directory that it is in.
    let (flux, _mount) = place.expect("a place");
    assert_eq!(fs::read_to_string(flux.here("d/f")).expect("the file"), old());
    assert_eq!(fs::read_dir(flux.here("d")).expect("a directory").count(), 1, "nothing else is there");
}

fn may_mount() -> bool {
    let directory = tempfile::tempdir().expect("a directory");
    let may = Mount::new(directory.path().join("mount"), "size=64k").is_some();
    if !may {
        say("skipped: a disk of its own needs the right to mount");
    }
    may
}

#[test]
fn a_limit_on_the_size_of_files_leaves_the_old_one() {
    refuses(|flux| (flux.file("d/f", old()).after("ulimit -f 32"), None), "unwritable");
}

/// F14: a disk without room for the new content.
#[test]
fn a_full_disk_leaves_the_old_file() {
    let full = |flux: Flux| {
        let mount = Mount::new(flux.here("d"), "size=64k");
        (flux.file("d/f", old()), mount)
    };
    if may_mount() {
        refuses(full, "no_space");
    }
}

/// F13: a disk that can only be read.
#[test]
fn a_read_only_disk_leaves_the_old_file() {
    let read_only = |flux: Flux| {
        let mount = Mount::new(flux.here("d"), "size=1m");
        let flux = flux.file("d/f", old());
        mount.iter().for_each(Mount::make_read_only);
        (flux, mount)
    };
    if may_mount() {
        refuses(read_only, "unwritable");
    }
}
