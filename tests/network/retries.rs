//! What is tried again, how often, after how long; and what never is.

use std::io::Read as _;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::meet;
use crate::support::reply::Framing;
use crate::support::{Api, End, Reply, ask, for_each_wire};

/// An error that asks for a wait of one millisecond.
fn busy(api: Api, status: u16) -> Reply {
    api.error(status, "some_error", "busy").header("retry-after-ms", "1")
}

#[test]
fn temporary_failures_are_tried_again_with_the_same_request() {
    for_each_wire(|api| {
        for status in [408, 409, 425, 429, 500, 502, 503, 504, 522, 524, 529] {
            let (run, server) = meet(api, vec![busy(api, status), api.text("done")], &[]);
            let run = run.code(0).stdout("done\n").stderr("");
            let requests = server.requests();
            assert!(requests[0].body == requests[1].body, "{status}");
            assert_eq!(run.transcript().result()["retries"], 1, "{status}");
        }
    });
}

#[test]
fn refusals_for_good_are_not_tried_again() {
    for_each_wire(|api| {
        for (status, code) in
            [(400, 69), (401, 77), (402, 77), (403, 77), (404, 69), (413, 65), (422, 69), (418, 69), (451, 69)]
        {
            let (run, _server) = meet(api, vec![busy(api, status)], &[]);
            let _ = run.failure(code, 1);
        }
        let (run, _server) = meet(api, vec![api.error(429, "insufficient_quota", "no money")], &[]);
        let _ = run.failure(77, 1);
    });
}

#[test]
fn an_empty_or_garbled_reply_is_tried_again_once_whatever_else_failed() {
    for_each_wire(|api| {
        let empty = || Reply::sse("").header("retry-after-ms", "1");
        let garbled = || Reply::sse("data: {nope\n\n");
        let run = |replies: Vec<Reply>| meet(api, replies, &["--retries", "2"]).0;
        let _ = run(vec![busy(api, 500), empty(), api.text("done")]).code(0).stdout("done\n");
        let _ = run(vec![busy(api, 500), garbled(), api.text("done")]).code(0).stdout("done\n");
        let _ = run(vec![garbled(), empty(), api.text("done")]).code(0).stdout("done\n");
        let _ = run(vec![empty(), empty()]).failure(75, 1);
        let _ = run(vec![garbled(), garbled()]).failure(76, 1);
    });
    let (run, _server) =
        meet(Api::Chat, vec![Reply::sse(""), busy(Api::Chat, 500), Reply::sse("")], &["--retries", "4"]);
    let _ = run.failure(75, 1);
}

#[test]
fn the_number_of_retries_is_the_users() {
    for (retries, replies) in [("0", 1), ("1", 2), ("2", 3)] {
        let all = (0..replies).map(|_| busy(Api::Chat, 503)).collect();
        let (run, server) = meet(Api::Chat, all, &["--retries", retries]);
        let run = run.failure(75, 1);
        assert_eq!(server.requests().len(), replies);
        assert_eq!(run.transcript().result()["retries"], replies - 1);
    }
}

#[test]
fn the_default_is_four_retries() {
    let all = (0..5).map(|_| busy(Api::Chat, 503)).collect();
    let (run, server) = meet(Api::Chat, all, &[]);
    let _ = run.failure(75, 1);
    assert_eq!(server.requests().len(), 5);
}

#[test]
fn the_first_wait_is_a_second_with_jitter() {
    let (run, server) =
        meet(Api::Chat, vec![Api::Chat.error(503, "x", "busy"), Api::Chat.text("done")], &["--retries", "1"]);
    let _ = run.code(0);
    let requests = server.requests();
    let wait = requests[1].at - requests[0].at;
    assert!(wait >= Duration::from_millis(490) && wait < Duration::from_millis(2000), "{wait:?}");
}

#[test]
fn retry_after_is_obeyed_in_seconds_milliseconds_and_up_to_a_minute() {
    for (name, value, least) in
        [("retry-after", "1", 990), ("retry-after", "1.2", 1190), ("retry-after-ms", "1100", 1090)]
    {
        let busy = Api::Chat.error(429, "x", "busy").header(name, value);
        let (run, server) = meet(Api::Chat, vec![busy, Api::Chat.text("done")], &["--retries", "1"]);
        let _ = run.code(0);
        let requests = server.requests();
        let wait = requests[1].at - requests[0].at;
        assert!(
            wait >= Duration::from_millis(least) && wait < Duration::from_millis(3000),
            "{name}: {value}: {wait:?}"
        );
    }
    let (run, _server) = meet(Api::Chat, vec![Api::Chat.error(429, "x", "busy").header("retry-after", "3600")], &[]);
    let run = run.failure(75, 1);
    let says = ["3600", "1h", "60m", "60 min"].iter().any(|wait| run.err().contains(wait));
    let _ = run.check(says, "the line should say how long to wait");
}

#[test]
fn a_retry_date_counts_from_the_servers_own_clock() {
    let date = |seconds: u32| format!("Wed, 01 Jan 2020 00:00:{seconds:02} GMT");
    let busy =
        |after: u32| Api::Chat.error(429, "x", "busy").header("date", date(10)).header("retry-after", date(after));
    for (after, least, most) in [(12, 1900, 3500), (10, 0, 450), (5, 0, 450)] {
        let (run, server) = meet(Api::Chat, vec![busy(after), Api::Chat.text("done")], &["--retries", "1"]);
        let _ = run.code(0);
        let requests = server.requests();
        let wait = requests[1].at - requests[0].at;
        assert!(wait >= Duration::from_millis(least) && wait < Duration::from_millis(most), "{after}: {wait:?}");
    }
    let far = Api::Chat.error(429, "x", "busy").header("date", date(10));
    let far = far.header("retry-after", "Fri, 31 Dec 9999 23:59:59 GMT");
    let (run, _server) = meet(Api::Chat, vec![far], &[]);
    let _ = run.failure(75, 1);
}

#[test]
fn the_server_may_forbid_or_ask_for_a_retry() {
    for_each_wire(|api| {
        let (run, _server) = meet(api, vec![busy(api, 503).header("x-should-retry", "false")], &[]);
        let _ = run.failure(75, 1);
        let replies = vec![busy(api, 400).header("x-should-retry", "true"), api.text("done")];
        let (run, _server) = meet(api, replies, &[]);
        let _ = run.code(0).stdout("done\n");
    });
}

#[test]
fn a_cut_reply_is_tried_again_as_long_as_nothing_was_shown() {
    for_each_wire(|api| {
        for end in [End::Close, End::Reset, End::CutInChunk] {
            let cut = || api.text("half the answer").cut_after_event("half").end(end);
            let (run, _server) = meet(api, vec![cut(), api.text("the answer")], &["--retries", "1"]);
            let _ = run.code(0).stdout("the answer\n").stderr("");
        }
        let cut = api.text("half the answer").cut_after_event("half").end(End::Reset);
        let (run, _server) = meet(api, vec![cut], &["--stream"]);
        let run = run.code(75).stderr_has("(exit 75)");
        let shown = run.out().starts_with("half");
        let _ = run.check(shown, "what was shown stays");
    });
}

#[test]
fn an_error_in_the_stream_is_judged_as_its_status_would_be() {
    let event = |kind: &str| {
        let error = serde_json::json!({"type": "error", "error": {"type": kind, "message": "in the stream"}});
        Reply::sse(format!("event: error\ndata: {error}\n\n"))
    };
    let (run, _server) =
        meet(Api::Anthropic, vec![event("overloaded_error"), Api::Anthropic.text("done")], &["--retries", "1"]);
    let _ = run.code(0).stdout("done\n");
    let (run, _server) = meet(Api::Anthropic, vec![event("invalid_request_error")], &[]);
    let _ = run.failure(69, 1);
    let (run, _server) = meet(Api::Anthropic, vec![event("overloaded_error")], &["--retries", "0"]);
    let _ = run.failure(75, 1);
}

#[test]
fn a_kept_connection_that_turns_out_dead_is_reopened_and_not_counted() {
    for_each_wire(|api| {
        let call = || api.calls(&[(&api.id(1), "list_files", serde_json::json!({}))]).close_silently();
        let (run, server) = meet(api, vec![call(), api.text("done")], &["--retries", "0"]);
        let run = run.code(0).stdout("done\n").stderr("");
        assert_eq!(server.connections(), 2);
        assert_eq!(run.transcript().result()["retries"], 0);
        let framed = api.calls(&[(&api.id(1), "list_files", serde_json::json!({}))]).framing(Framing::Eof);
        let (run, server) = meet(api, vec![framed, api.text("done")], &["--retries", "0"]);
        let _ = run.code(0).stdout("done\n").stderr("");
        assert_eq!(server.connections(), 2);
    });
}

#[test]
fn a_request_that_may_have_been_read_is_sent_again_only_as_a_retry() {
    for_each_wire(|api| {
        let call = || api.calls(&[(&api.id(1), "list_files", serde_json::json!({}))]);
        let silence = || Reply::raw("").end(End::Close);
        let half = Reply::raw("HTTP/1.1 200 OK\r\ncontent-").end(End::Close);
        let late = silence().delay(Duration::from_millis(2500));
        // A new connection, since the server closes the first one; a kept one on which a reply begins, or which the
        // server takes its time to close.
        for (first, second, connections) in
            [(call().end(End::Close), silence(), 2), (call(), half, 1), (call(), late, 1)]
        {
            let (run, server) = meet(api, vec![first, second], &["--retries", "0"]);
            let run = run.failure(75, 1);
            assert_eq!((server.requests().len(), server.connections()), (2, connections));
            assert_eq!(run.transcript().result()["retries"], 0);
        }
    });
}

#[test]
fn a_handshake_that_breaks_off_is_begun_again_only_as_a_retry() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("https://{}/v1", listener.local_addr().expect("an address"));
    let accepted = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&accepted);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            count.fetch_add(1, Ordering::SeqCst);
            // It is closed when the client has spoken: before, there would be no handshake.
            let _ = (&stream).read(&mut [0; 64]);
        }
    });
    let args = ["--base-url", &url, "-m", "m", "--retries", "0", "-n", "p"];
    let _ = ask().args(args).run().failure(75, 1);
    assert_eq!(accepted.load(Ordering::SeqCst), 1);
}

#[test]
fn the_questions_that_repair_an_answer_use_the_connection_that_is_there() {
    for_each_wire(|api| {
        let replies = vec![api.text("no JSON"), api.text("{\"a\": 1}")];
        let schema = r#"{"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}"#;
        let (run, server) = meet(api, replies, &["--schema", schema]);
        let _ = run.code(0);
        assert_eq!((server.requests().len(), server.connections()), (2, 1));
    });
}

#[test]
fn retries_use_the_connection_that_is_there() {
    let replies = vec![busy(Api::Chat, 503), busy(Api::Chat, 429), Api::Chat.text("done")];
    let (run, server) = meet(Api::Chat, replies, &[]);
    let _ = run.code(0);
    assert_eq!(server.connections(), 1);
}

#[test]
fn nobody_listening_is_a_temporary_failure_with_a_hint_on_loopback() {
    let flux = ask().key(Api::Chat).args(["--base-url", "http://127.0.0.1:1/v1", "-m", "m", "--retries", "0", "p"]);
    let _ = flux.run().failure(75, 1).stderr_has("is the server running?");
}
