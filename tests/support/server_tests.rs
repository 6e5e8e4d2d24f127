//! The scripted server itself: pieces, endings, kept connections, the judgement at its end.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use super::reply::Framing;
use super::{Api, End, Reply, Server};

fn connect(server: &Server) -> TcpStream {
    let stream = TcpStream::connect(("127.0.0.1", server.port())).expect("the server listens");
    stream.set_read_timeout(Some(Duration::from_secs(5))).expect("a timeout");
    stream
}

fn post(stream: &mut TcpStream, body: &str) {
    let head = format!("POST /x HTTP/1.1\r\nhost: a\r\ncontent-length: {}\r\n\r\n", body.len());
    stream.write_all((head + body).as_bytes()).expect("a request can be written");
}

fn read_to_end(stream: &mut TcpStream) -> (String, Option<ErrorKind>) {
    let mut bytes = Vec::new();
    let error = stream.read_to_end(&mut bytes).err().map(|e| e.kind());
    (String::from_utf8_lossy(&bytes).into_owned(), error)
}

#[test]
fn server_keeps_a_connection_and_counts_it_once() {
    let replies = [Reply::json(200, &1.into()), Reply::json(200, &2.into()).end(End::Close)];
    let server = Server::plain().script(replies);
    let mut stream = connect(&server);
    post(&mut stream, "one");
    server.log().wait_for_requests(1);
    post(&mut stream, "two");
    let (text, error) = read_to_end(&mut stream);
    assert_eq!(error, None);
    assert!(text.contains("\r\n\r\n1") && text.ends_with("\r\n\r\n2"), "{text}");
    assert_eq!(server.connections(), 1);
    let bodies: Vec<String> = server.requests().iter().map(super::Request::text).collect();
    assert_eq!(bodies, ["one", "two"]);
}

#[test]
fn server_frames_a_body_in_chunks_of_any_size() {
    for size in [1, 7, 64] {
        let server = Server::plain().script([Reply::sse("data: abcdefghij\n\n").chunk(size).end(End::Close)]);
        let mut stream = connect(&server);
        post(&mut stream, "");
        let (text, _) = read_to_end(&mut stream);
        let body = text.split_once("\r\n\r\n").expect("a head").1;
        let data: String = body.split("\r\n").skip(1).step_by(2).collect();
        assert_eq!(data, "data: abcdefghij\n\n", "{text}");
        assert!(text.ends_with("0\r\n\r\n"));
    }
}

#[test]
fn server_resets_stalls_and_cuts() {
    let reply = |end| Reply::sse("data: x\n\n").end(end);
    let server = Server::plain().script([reply(End::Reset), reply(End::CutInChunk), reply(End::Stall)]);
    let mut seen = Vec::new();
    for timeout in [5000, 5000, 300] {
        let mut stream = connect(&server);
        stream.set_read_timeout(Some(Duration::from_millis(timeout))).expect("a timeout");
        post(&mut stream, "");
        let (text, error) = read_to_end(&mut stream);
        assert!(text.contains("data: x\n\n"), "the bytes come before the fault: {text}");
        assert!(!text.ends_with("0\r\n\r\n"));
        seen.push(error);
    }
    assert_eq!(seen, [Some(ErrorKind::ConnectionReset), None, Some(ErrorKind::WouldBlock)]);
}

#[test]
fn server_drips() {
    let reply = Reply::sse("abcd").chunk(1).drip(Duration::from_millis(30)).framing(Framing::Eof);
    let server = Server::plain().script([reply]);
    let (mut stream, start) = (connect(&server), Instant::now());
    post(&mut stream, "");
    assert!(read_to_end(&mut stream).0.ends_with("abcd"));
    assert!(start.elapsed() >= Duration::from_millis(120));
}

#[test]
fn server_fails_the_test_for_unused_replies_unscripted_requests_and_broken_rules() {
    let fails = |server: Server, asked: usize| {
        for _ in 0..asked {
            let mut stream = connect(&server);
            post(&mut stream, "{}");
            server.log().wait_for_requests(1);
            drop(read_some(&mut stream));
        }
        catch_unwind(AssertUnwindSafe(|| drop(server))).is_err()
    };
    let reply = || Reply::json(200, &1.into());
    assert!(fails(Server::plain().script([reply()]), 0), "an unused reply");
    assert!(!fails(Server::plain().unused_allowed().script([reply()]), 0));
    assert!(!fails(Server::plain().script([reply()]), 1));
    assert!(fails(Server::plain().script([]), 1), "an unscripted request");
    assert!(fails(Server::of(Api::Chat).unused_allowed().script([reply()]), 1), "a broken rule");
}

fn read_some(stream: &mut TcpStream) -> String {
    let mut bytes = [0; 4096];
    let n = stream.read(&mut bytes).unwrap_or(0);
    String::from_utf8_lossy(&bytes[..n]).into_owned()
}
