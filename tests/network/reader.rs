//! The reader of the answer goes away while nothing is written: nothing more is paid for it.

use std::fs::File;
use std::io::PipeReader;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::flux::Out;
use crate::support::{Api, Flux, Reply, Server, for_each_wire};

/// stdout as a pipe, and its reader.
fn pipe() -> (PipeReader, Out) {
    let (ours, theirs) = std::io::pipe().expect("a pipe");
    (ours, Out::Given(Arc::new(File::from(OwnedFd::from(theirs)))))
}

/// A run that waits after its first request is left by its reader: it must end at once, silent, without another one.
#[track_caller]
fn leave(api: Api, first: Reply, args: &[&str]) {
    let server = Server::script(api, [first]);
    let (reader, out) = pipe();
    let run = Flux::to(&server).args(args.iter().copied()).arg("p").transcript().stdout_to(out).start();
    server.log().wait_for_requests(1);
    std::thread::sleep(Duration::from_millis(300));
    let start = Instant::now();
    drop(reader);
    let run = run.wait().signal(13).stderr("");
    assert!(start.elapsed() < Duration::from_millis(800), "{:?}", start.elapsed());
    let result = run.transcript().result().clone();
    assert_eq!((result["status"].as_str(), result["exit_code"].as_i64()), (Some("aborted"), Some(141)));
}

#[test]
fn a_run_whose_reader_has_gone_does_not_wait_for_another_attempt() {
    for_each_wire(|api| {
        for args in [&[][..], &["--stream"], &["--jsonl"]] {
            leave(api, api.error(503, "some_error", "busy").header("retry-after", "3"), args);
        }
    });
}

#[test]
fn a_run_whose_reader_has_gone_does_not_wait_for_a_rate_limit() {
    for_each_wire(|api| {
        let call = api.calls(&[(&api.id(1), "list_files", json!({}))]);
        leave(api, call, &["--rpm", "15"]);
    });
}

#[test]
fn a_run_that_writes_a_file_needs_no_reader() {
    let server = Server::script(Api::Chat, [Api::Chat.error(503, "x", "busy"), Api::Chat.text("done")]);
    let run = Flux::to(&server).args(["-o", "answer", "p"]).stdout_to(Out::Gone).run().code(0);
    assert_eq!(std::fs::read_to_string(run.flux.here("answer")).expect("the answer"), "done\n");
}
