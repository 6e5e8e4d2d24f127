//! Replies that are no replies: garbage, HTML, bodies cut or without end, TLS that is none.

use super::meet;
use crate::support::reply::Framing;
use crate::support::{Api, Reply, Server, ask, for_each_wire};

#[test]
fn what_is_not_http_is_a_protocol_error() {
    for bytes in
        ["SSH-2.0-OpenSSH_9.2\r\n", "\0\0\0\0\0\0\0\0\n\n", "HTTP/1.1 abc\r\n\r\n", "220 mail.example ESMTP\r\n"]
    {
        let (run, _server) = meet(Api::Chat, vec![Reply::raw(bytes)], &["--retries", "0"]);
        let _ = run.failure(76, 1);
    }
}

#[test]
fn heads_that_are_broken_or_endless_are_protocol_errors() {
    let two = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 7\r\n\r\nhello";
    let huge = format!("HTTP/1.1 200 OK\r\nx-filler: {}\r\n\r\n", "x".repeat(2_000_000));
    let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "x-a: b\r\n".repeat(5000));
    for (what, bytes) in [("two lengths", two.to_owned()), ("2 MB of header", huge), ("5000 headers", many)] {
        let (run, _server) = meet(Api::Chat, vec![Reply::raw(bytes)], &["--retries", "0"]);
        let code = run.code;
        let _ = run.check(code == Some(76), what).failure(76, 1);
    }
}

#[test]
fn a_head_is_read_up_to_its_limit() {
    for_each_wire(|api| {
        let reply = |kib: usize| api.text("done").header("x-filler", "x".repeat(kib << 10));
        let (run, _server) = meet(api, vec![reply(63)], &[]);
        let _ = run.code(0).stdout("done\n").stderr("");
        let (run, _server) = meet(api, vec![reply(65)], &["--retries", "0"]);
        let _ = run.failure(76, 1);
    });
}

#[test]
fn a_connection_that_closes_before_any_byte_is_tried_again() {
    use crate::support::End;
    for end in [End::Close, End::Reset] {
        let gone = || Reply::raw("").end(end);
        let (run, _server) = meet(Api::Chat, vec![gone(), Api::Chat.text("done")], &["--retries", "1"]);
        let _ = run.code(0).stdout("done\n").stderr("");
        let (run, _server) = meet(Api::Chat, vec![gone()], &["--retries", "0"]);
        let _ = run.failure(75, 1);
    }
}

#[test]
fn a_web_page_is_named_and_not_dumped() {
    for_each_wire(|api| {
        let page = "<!DOCTYPE html><html><head><title>Hotel login</title></head><body>secret-body-text</body></html>";
        for kind in ["text/html", "text/event-stream"] {
            let (run, _server) = meet(api, vec![Reply::new(200, kind, page)], &[]);
            let _ = run.failure(76, 1).stderr_lacks("secret-body-text");
        }
        let (run, _server) = meet(api, vec![Reply::new(204, "text/plain", "").framing(Framing::Length)], &[]);
        let _ = run.failure(76, 1);
    });
}

#[test]
fn an_odd_status_is_judged_by_its_hundred() {
    for (status, code) in [(418, 69), (451, 69), (599, 75), (999, 76)] {
        let (run, _server) = meet(Api::Chat, vec![Api::Chat.error(status, "odd", "odd")], &["--retries", "0"]);
        let _ = run.failure(code, 1);
    }
}

#[test]
fn a_body_without_its_end_is_no_answer() {
    for_each_wire(|api| {
        let done = if api == Api::Anthropic { "message_delta" } else { "completed" };
        let mut reply = api.text("all the text");
        let body = String::from_utf8(reply.body.clone()).expect("text");
        let cut = match api {
            Api::Chat => body.find("\"finish_reason\":\"stop\""),
            _ => body.find(&format!("event: {}{done}", if api == Api::Anthropic { "" } else { "response." })),
        };
        reply.body.truncate(cut.expect("an end"));
        for framing in [Framing::Eof, Framing::Chunked, Framing::Length] {
            let (run, _server) = meet(api, vec![reply.clone().framing(framing)], &["--retries", "0"]);
            let _ = run.failure(75, 1);
        }
        let longer = Reply::raw(format!(
            "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: 9999\r\n\r\n{body}"
        ));
        let (run, _server) = meet(api, vec![longer], &["--retries", "0"]);
        let code = run.code;
        let _ = run.check(code == Some(0) || code == Some(75), "an answer, or a cut reply");
    });
}

#[test]
fn continue_and_trailing_bytes_do_no_harm() {
    for_each_wire(|api| {
        let mut reply = api.text("done");
        reply.before = b"HTTP/1.1 100 Continue\r\n\r\n".repeat(3);
        reply.body.extend_from_slice(b"data: {\"type\":\"ping\"}\n\ndata: trailing\n\n");
        let call = api.calls(&[(&api.id(1), "list_files", serde_json::json!({}))]);
        let (run, _server) = meet(api, vec![call, reply], &[]);
        let _ = run.code(0).stdout("done\n").stderr("");
    });
}

#[test]
fn a_deeply_nested_reply_does_not_overflow_the_stack() {
    let deep = format!("data: {}1{}\n\n", "[".repeat(100_000), "]".repeat(100_000));
    let (run, _server) = meet(Api::Chat, vec![Reply::sse(deep)], &["--retries", "0"]);
    let _ = run.failure(76, 1);
}

#[test]
fn plain_http_where_tls_was_wanted_gets_no_key_and_no_second_try() {
    let server = Server::plain().script([]);
    let url = format!("https://127.0.0.1:{}/v1", server.port());
    let run = ask().log(&server).key(Api::Chat).args(["--base-url", &url, "-m", "m", "p"]).run();
    let _ = run.failure(76, 1);
    assert_eq!((server.connections(), server.requests().len()), (1, 0));
}

#[test]
fn an_unknown_host_is_a_temporary_failure() {
    let args =
        ["--base-url", "https://no-such-host.invalid/v1", "-m", "m", "--api-key-env", "K", "--retries", "0", "p"];
    let _ = ask().env("K", "k").args(args).run().failure(75, 1).stderr_has("no-such-host.invalid");
}

#[test]
fn an_answer_in_json_instead_of_a_stream_is_taken() {
    let chat = serde_json::json!({"id": "c", "object": "chat.completion", "model": "gpt-test", "choices": [
        {"index": 0, "message": {"role": "assistant", "content": "whole"}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4}});
    let (run, _server) = meet(Api::Chat, vec![Reply::json(200, &chat)], &[]);
    let _ = run.code(0).stdout("whole\n").stderr("");
}

#[test]
fn a_list_that_reports_no_error_is_none_of_the_protocol() {
    for_each_wire(|api| {
        let document = |body: &str| Reply::new(200, "application/json", body).framing(Framing::Length);
        let event = |body: &str| Reply::sse(format!("data: {body}\n\n"));
        for body in ["[1,2]", "[]", "[{}]", r#"["error"]"#] {
            for reply in [document(body), event(body)] {
                // An answer that is garbled is asked for once more.
                let (run, server) = meet(api, vec![reply.clone(), reply], &[]);
                let run = run.failure(76, 1);
                assert_eq!(server.requests().len(), 2);
                assert_eq!(run.transcript().custom("flux.request")[0]["error"]["class"], "protocol");
            }
        }
        let report = r#"[{"error": {"code": 400, "message": "no such model", "status": "INVALID_ARGUMENT"}}]"#;
        for reply in [document(report), event(report)] {
            let (run, _server) = meet(api, vec![reply], &[]);
            let _ = run.failure(69, 1).stderr_has("no such model");
        }
    });
}
