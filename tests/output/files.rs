//! `-o FILE`: atomic, only on success, never replacing what is no plain file.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};

use super::{answering, untouched};
use crate::support::user::User;
use crate::support::wait::in_time;
use crate::support::{Api, Flux, Server};

#[test]
fn output_goes_to_the_file_and_nothing_to_stdout() {
    let (_server, flux) = answering("The answer.");
    let run = flux.args(["-o", "out.txt", "p"]).run().code(0).stdout("").stderr("");
    assert_eq!(run.file("out.txt"), b"The answer.\n");
}

#[test]
fn a_failure_leaves_the_old_file_and_no_temporary_one() {
    let server = Server::script(Api::Chat, [Api::Chat.cut("half", None)]);
    let flux = Flux::to(&server).file("out.txt", "old\n").args(["-o", "out.txt", "p"]);
    let run = flux.run().failure(80, 1);
    assert_eq!(run.file("out.txt"), b"old\n");
    assert_eq!(fs::read_dir(flux.here("")).expect("a directory").count(), 1);
}

#[test]
fn output_may_be_the_file_that_is_read() {
    let (server, flux) = answering("new");
    let flux = flux.file("f", "old content\n").args(["-o", "f", "p"]);
    let path = flux.here("f");
    let run = flux.stdin_file(path).run().code(0);
    assert_eq!(run.file("f"), b"new\n");
    assert!(server.only_request().text().contains("old content"));
}

#[test]
fn mode_is_kept_and_a_new_file_obeys_the_umask() {
    let (_server, flux) = answering("new");
    let flux = flux.file("out.sh", "old").args(["-o", "out.sh", "p"]);
    fs::set_permissions(flux.here("out.sh"), fs::Permissions::from_mode(0o751)).expect("chmod");
    let _ = flux.run().code(0);
    assert_eq!(fs::metadata(flux.here("out.sh")).expect("a file").mode() & 0o777, 0o751);
    let (_server, flux) = answering("new");
    let flux = flux.args(["-o", "fresh", "p"]);
    let _ = flux.run().code(0);
    let mode = fs::metadata(flux.here("fresh")).expect("a file").mode() & 0o777;
    assert!(mode == 0o644 || mode == 0o664 || mode == 0o600 || mode == 0o640, "{mode:o}");
}

#[test]
fn the_owner_is_kept_and_set_id_bits_are_not() {
    let (_server, flux) = answering("new");
    let flux = flux.file("out", "old").args(["-o", "out", "p"]);
    let is_root = rustix::process::geteuid().is_root();
    if is_root {
        chown(flux.here("out"), Some(1234), Some(1235)).expect("chown");
    }
    fs::set_permissions(flux.here("out"), fs::Permissions::from_mode(0o6755)).expect("chmod");
    let _ = flux.run().code(0);
    let now = fs::metadata(flux.here("out")).expect("a file");
    assert_eq!(now.mode() & 0o7777, 0o755);
    assert!(!is_root || (now.uid(), now.gid()) == (1234, 1235), "{now:?}");
}

#[test]
fn a_file_that_its_user_may_not_write_is_not_replaced() {
    let (_server, flux) = untouched();
    let flux = flux.file("out", "old").args(["-o", "out", "p"]);
    fs::set_permissions(flux.here("out"), fs::Permissions::from_mode(0o444)).expect("chmod");
    // Nothing is closed to root.
    let user = User::all().last().copied().expect("a user");
    let run = flux.user(user).run().failure(73, 1).stderr_has("out: Permission denied");
    assert_eq!(run.file("out"), b"old");
}

#[test]
fn answers_that_are_put_on_top_at_the_same_time_are_all_kept() {
    let server = Server::of(Api::Chat).answer({
        let mut count = 0;
        move |_| {
            count += 1;
            Api::Chat.text(&format!("answer {count}"))
        }
    });
    let flux = Flux::to(&server).file("changes", "old\n").args(["--prepend-to", "changes", "p"]);
    let others = "for n in 1 2 3 4 5 6 7 8 9 10 11; do \"$0\" \"$@\" & done; wait";
    let flux = flux.after(others);
    let _ = flux.run().code(0);
    let text = fs::read_to_string(flux.here("changes")).expect("the file");
    assert!(text.ends_with("old\n"));
    for n in 1..=12 {
        assert_eq!(text.matches(&format!("answer {n}\n")).count(), 1, "{text}");
    }
}

#[test]
fn a_run_that_cannot_write_its_answer_says_so_in_its_transcript() {
    let (_server, flux) = untouched();
    let run = flux.args(["-o", "no/such", "p"]).transcript().run().failure(73, 1);
    assert_eq!(run.transcript().result()["exit_code"], 73);
}

#[test]
fn a_symlink_is_followed_unless_it_leads_out_of_the_root() {
    let (_server, flux) = answering("new");
    let flux = flux.file("sub/real", "old").args(["-o", "link", "p"]);
    symlink("sub/real", flux.here("link")).expect("a link");
    let run = flux.run().code(0);
    assert_eq!(run.file("sub/real"), b"new\n");
    assert!(fs::symlink_metadata(flux.here("link")).expect("a link").is_symlink());

    let (_server, flux) = untouched();
    let outside = flux.path("outside.txt");
    fs::write(&outside, "precious").expect("a file");
    symlink(&outside, flux.here("link")).expect("a link");
    let run = flux.args(["-o", "link", "p"]).run().failure(73, 1);
    assert_eq!(fs::read(&outside).expect("a file"), b"precious", "{}", run.dump());
}

#[test]
fn a_path_outside_the_root_that_the_user_names_is_written() {
    let (_server, flux) = answering("new");
    let outside = flux.path("outside.txt");
    let run = flux.arg("-o").arg(&outside).arg("p").run().code(0);
    assert_eq!(fs::read(&outside).expect("a file"), b"new\n", "{}", run.dump());
}

#[test]
fn devices_and_pipes_are_written_to_and_never_replaced() {
    let (_server, flux) = answering("new");
    let _ = flux.args(["-o", "/dev/null", "p"]).run().code(0).stdout("");
    assert!(!fs::metadata("/dev/null").expect("a device").is_file());
    let (_server, flux) = answering("new");
    let _ = flux.args(["-o", "/dev/full", "p"]).run().failure(74, 1);
    let (_server, flux) = answering("to the descriptor");
    let _ = flux.args(["-o", "/dev/fd/1", "p"]).run().code(0).stdout("to the descriptor\n");

    let (_server, flux) = answering("through the pipe");
    let flux = flux.args(["-o", "pipe", "p"]);
    let path = flux.here("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&path).status().expect("mkfifo").success());
    let run = flux.start();
    let written = in_time("a writer", move || fs::read(&path).expect("flux writes"));
    assert_eq!(written, b"through the pipe\n");
    let _ = run.wait().code(0);
}

#[test]
fn what_cannot_be_created_is_known_before_a_request_is_paid() {
    for path in ["no/such/dir/out", ".", "/proc/out"] {
        let (_server, flux) = untouched();
        let _ = flux.args(["-o", path, "p"]).run().failure(73, 1).stderr_has(path);
    }
}
