//! stdin: pipes, files, nothing; slow ones; and what `-n` is for.

use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::Duration;

use rustix::pipe::PipeFlags;

use super::{sent, unsent};
use crate::support::{Api, Flux, Server};

#[test]
fn a_pipe_is_read_to_its_end_however_slow() {
    let server = Server::script(Api::Chat, [Api::Chat.text("done")]);
    let mut run = Flux::to(&server).args(["-q", "sum"]).stdin_pipe_open().start();
    let mut pipe = run.stdin.take().expect("a pipe");
    for part in ["one ", "two ", "three\n"] {
        pipe.write_all(part.as_bytes()).expect("flux reads");
        thread::sleep(Duration::from_millis(150));
    }
    drop(pipe);
    let _ = run.wait().code(0).stdout("done\n").stderr("");
    assert!(Api::Chat.first_user_text(&server.only_request().json).contains("one two three\n"));
}

/// Of a packet, what a read has no room for is gone.
#[test]
fn packets_on_stdin_are_read_whole() {
    let (reader, writer) = rustix::pipe::pipe_with(PipeFlags::DIRECT | PipeFlags::CLOEXEC).expect("a pipe of packets");
    let packets: Vec<String> = (0..8).map(|n| n.to_string().repeat(3000)).collect();
    for packet in &packets {
        let _ = rustix::io::write(&writer, packet.as_bytes()).expect("room");
    }
    drop(writer);
    let (_, text) = sent(|f| f.arg("sum").stdin_given(File::from(reader)));
    assert!(text.contains(&packets.concat()), "{} bytes", text.len());
}

#[test]
fn no_stdin_leaves_stdin_untouched() {
    for flag in ["-n", "--no-stdin"] {
        let server = Server::script(Api::Chat, [Api::Chat.text("done")]);
        let flux = Flux::to(&server).args([flag, "p"]).file("list", "first\nsecond\n");
        let mut file = File::open(flux.here("list")).expect("a file");
        let _ = flux.stdin_given(file.try_clone().expect("a descriptor")).run().code(0);
        assert_eq!(file.stream_position().expect("an offset"), 0);
        assert_eq!(Api::Chat.first_user_text(&server.only_request().json), "p");
    }
    let (run, _) = sent(|f| f.args(["-n", "p"]).stdin_pipe_open());
    assert!(run.elapsed < Duration::from_secs(3), "an open pipe must not be waited for");
}

#[test]
fn a_file_that_somebody_has_begun_to_read_is_not_swallowed() {
    let open = |f: &Flux| {
        let mut file = File::open(f.here("list")).expect("a file");
        file.seek(SeekFrom::Start(6)).expect("a seek");
        file
    };
    let server = Server::script(Api::Chat, []);
    let flux = Flux::to(&server).file("list", "first\nsecond\n").arg("p");
    let file = open(&flux);
    let _ = flux.stdin_given(file).run().failure(2, 3).stderr_has("-n");
    for (args, expected) in [(&["-"][..], "second\n"), (&["-f", "-", "p"], "second\n")] {
        let (_, text) = sent(|f| {
            let f = f.file("list", "first\nsecond\n").args(args.iter().copied());
            let file = open(&f);
            f.stdin_given(file)
        });
        assert!(text.contains(expected) && !text.contains("first"), "{text}");
    }
}

#[test]
fn a_fresh_file_on_stdin_is_context() {
    let (_, text) = sent(|f| {
        let f = f.file("in.txt", "from a file\n").arg("p");
        let path = f.here("in.txt");
        f.stdin_file(path)
    });
    assert!(text.contains("from a file\n") && text.ends_with('p'), "{text}");
}

#[test]
fn empty_input_costs_no_request() {
    let line = "flux: stdin: empty, nothing to work on; no input meant? add -n (exit 66)\n";
    let _ = unsent(|f| f.arg("p").stdin("")).failure(66, 1).stderr(line);
    let _ = unsent(|f| f.arg("p").stdin("\u{feff}")).failure(66, 1).stderr(line);
    let _ = unsent(|f| f.arg("-").stdin("")).failure(66, 1);
    let _ = unsent(|f| f.args(["-f", "-", "p"]).stdin("")).failure(66, 1);
    let _ = unsent(|f| f.file("a.txt", "a").args(["-f", "a.txt", "-f", "-", "p"]).stdin("")).failure(66, 1);
    let _ = unsent(|f| f.args(["-f", "-", "p"]).stdin_null()).failure(66, 1);
    let _ = unsent(|f| {
        let f = f.file("empty", "").arg("p");
        let path = f.here("empty");
        f.stdin_file(path)
    })
    .failure(66, 1);
    let (_, text) = sent(|f| f.file("a.txt", "alpha\n").args(["-f", "a.txt", "p"]).stdin(""));
    assert!(text.contains("alpha\n"));
}

#[test]
fn no_input_is_no_error() {
    let (_, text) = sent(|f| f.arg("p").stdin_null());
    assert_eq!(text, "p");
    let (_, text) = sent(|f| f.arg("p").stdin_closed());
    assert_eq!(text, "p");
    let (ours, theirs) = UnixStream::pair().expect("a pair of sockets");
    drop(ours);
    let (_, text) = sent(|f| f.arg("p").stdin_given(File::from(std::os::fd::OwnedFd::from(theirs))));
    assert_eq!(text, "p");
}

#[test]
fn a_directory_on_stdin_is_refused() {
    let _ = unsent(|f| f.arg("p").stdin_file("/usr")).failure(66, 1);
}

#[test]
fn stdin_timeout_fails_and_never_truncates() {
    let server = Server::script(Api::Chat, []);
    let mut run = Flux::to(&server).args(["--stdin-timeout", "1s", "p"]).stdin_pipe_open().start();
    run.stdin.as_mut().expect("a pipe").write_all(b"some of it\n").expect("flux reads");
    let run = run.wait().failure(124, 1);
    assert!(run.elapsed >= Duration::from_millis(900) && run.elapsed < Duration::from_secs(4), "{:?}", run.elapsed);
}

#[test]
fn a_silent_pipe_is_named_on_stderr_after_ten_seconds_unless_quiet() {
    let wait = |args: &[&str]| {
        let server = Server::script(Api::Chat, [Api::Chat.text("done")]);
        let mut run = Flux::to(&server).args(args.iter().copied()).stdin_pipe_open().start();
        thread::sleep(Duration::from_millis(10_700));
        let mut pipe = run.stdin.take().expect("a pipe");
        pipe.write_all(b"late\n").expect("flux reads");
        drop(pipe);
        run.wait().code(0).stdout("done\n")
    };
    thread::scope(|scope| {
        let quiet = scope.spawn(|| wait(&["-q", "p"]));
        let run = wait(&["p"]).stderr_has("-n");
        let lines = run.err().lines().count();
        let _ = run.check(lines == 1, "one line was expected on stderr");
        let _ = quiet.join().expect("the quiet run").stderr("");
    });
}
