//! HTTP/1.1 on a socket: reading a request, writing a scripted reply in the pieces it asks for.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::Instant;

use serde_json::Value;

use super::log::Request;
use super::reply::{End, Framing, Reply};

const TLS_HANDSHAKE: u8 = 0x16;

/// Reads one request; `None` if the client has gone.
pub fn read_request(reader: &mut BufReader<TcpStream>, connection: usize) -> Option<Request> {
    if reader.fill_buf().ok()?.first() == Some(&TLS_HANDSHAKE) {
        drop(reader.get_mut().write_all(b"HTTP/1.1 400 Bad Request\r\n\r\nno TLS here"));
        return None;
    }
    let mut line = String::new();
    if reader.read_line(&mut line).ok()? == 0 {
        return None;
    }
    let mut words = line.split_whitespace();
    let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
    let headers = read_headers(reader)?;
    let body = read_body(reader, &headers)?;
    let at = Instant::now();
    let json = serde_json::from_slice(&body).unwrap_or(Value::Null);
    let (authority, path) = split_target(&target);
    Some(Request { method, path, authority, headers, body, json, connection, at })
}

fn split_target(target: &str) -> (Option<String>, String) {
    match target.strip_prefix("http://") {
        Some(rest) => {
            let at = rest.find('/').unwrap_or(rest.len());
            (Some(rest[..at].to_owned()), rest[at..].to_owned())
        }
        None => (None, target.to_owned()),
    }
}

fn read_headers(reader: &mut BufReader<TcpStream>) -> Option<Vec<(String, String)>> {
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let line = line.trim_end();
        if line.is_empty() {
            return Some(headers);
        }
        let (name, value) = line.split_once(':')?;
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
}

fn read_body(reader: &mut BufReader<TcpStream>, headers: &[(String, String)]) -> Option<Vec<u8>> {
    let header = |name: &str| headers.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str());
    if header("transfer-encoding") == Some("chunked") {
        return read_chunks(reader);
    }
    let length: usize = header("content-length").map_or(Some(0), |v| v.parse().ok())?;
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(body)
}

fn read_chunks(reader: &mut BufReader<TcpStream>) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let size = usize::from_str_radix(line.trim(), 16).ok()?;
        let mut chunk = vec![0; size + 2];
        reader.read_exact(&mut chunk).ok()?;
        if size == 0 {
            return Some(body);
        }
        body.extend_from_slice(&chunk[..size]);
    }
}

/// Writes the reply; true if the connection is good for another request.
pub fn write_reply(stream: &mut TcpStream, reply: &Reply) -> io::Result<bool> {
    thread::sleep(reply.delay);
    stream.write_all(&reply.before)?;
    if !reply.headless {
        stream.write_all(head(reply).as_bytes())?;
    }
    for piece in reply.body.chunks(reply.chunk.unwrap_or(usize::MAX)) {
        thread::sleep(reply.drip);
        stream.write_all(&framed(reply, piece))?;
    }
    let chunked = framing(reply) == Framing::Chunked && !reply.headless;
    match reply.end {
        End::CutInChunk => stream.write_all(b"ff\r\ncut")?,
        End::KeepAlive | End::Close if chunked => stream.write_all(b"0\r\n\r\n")?,
        _ => {}
    }
    Ok(reply.end == End::KeepAlive && framing(reply) != Framing::Eof)
}

/// A reply that does not end properly cannot announce its length.
fn framing(reply: &Reply) -> Framing {
    match reply.end {
        End::KeepAlive | End::Close => reply.framing,
        End::Reset | End::Stall | End::CutInChunk => Framing::Chunked,
    }
}

fn head(reply: &Reply) -> String {
    let mut head = format!("HTTP/1.1 {} Scripted\r\n", reply.status);
    for (name, value) in &reply.headers {
        head += &format!("{name}: {value}\r\n");
    }
    match framing(reply) {
        Framing::Chunked => head += "transfer-encoding: chunked\r\n",
        Framing::Length => head += &format!("content-length: {}\r\n", reply.body.len()),
        Framing::Eof => head += "connection: close\r\n",
    }
    if reply.end == End::Close && !reply.silent && framing(reply) != Framing::Eof {
        head += "connection: close\r\n";
    }
    head + "\r\n"
}

fn framed(reply: &Reply, piece: &[u8]) -> Vec<u8> {
    if reply.headless || framing(reply) != Framing::Chunked {
        return piece.to_vec();
    }
    [format!("{:x}\r\n", piece.len()).as_bytes(), piece, b"\r\n"].concat()
}
