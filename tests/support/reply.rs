//! One scripted HTTP reply: what is sent, in which pieces, and how the connection ends.

use std::time::Duration;

/// How a reply ends on the socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Properly, and the connection stays open for the next request.
    KeepAlive,
    /// Properly, then the connection closes.
    Close,
    /// A TCP reset right after the bytes.
    Reset,
    /// The socket stays open and nothing more is sent.
    Stall,
    /// The connection closes inside a chunk.
    CutInChunk,
}

/// How the end of the body is marked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// `transfer-encoding: chunked`
    Chunked,
    /// `content-length`
    Length,
    /// By the end of the connection.
    Eof,
}

/// One reply of a [`super::Server`].
#[derive(Debug, Clone)]
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// Bytes per write; `None` is all at once.
    pub chunk: Option<usize>,
    /// Pause before each write of the body.
    pub drip: Duration,
    /// Pause before the head.
    pub delay: Duration,
    pub framing: Framing,
    pub end: End,
    /// Sent before the head, as `100 Continue` is.
    pub before: Vec<u8>,
    /// No head at all: the body is what goes over the socket.
    pub headless: bool,
    /// With [`End::Close`]: the head does not say that the connection will close.
    pub silent: bool,
}

impl Reply {
    /// A reply with this status and body, chunked, on a connection that stays open.
    pub fn new(status: u16, content_type: &str, body: impl Into<Vec<u8>>) -> Reply {
        Reply {
            status,
            headers: vec![("content-type".into(), content_type.into())],
            body: body.into(),
            chunk: None,
            drip: Duration::ZERO,
            delay: Duration::ZERO,
            framing: Framing::Chunked,
            end: End::KeepAlive,
            before: Vec::new(),
            headless: false,
            silent: false,
        }
    }

    /// A stream of server-sent events.
    pub fn sse(body: impl Into<Vec<u8>>) -> Reply {
        Reply::new(200, "text/event-stream; charset=utf-8", body)
    }

    /// A JSON document.
    pub fn json(status: u16, body: &serde_json::Value) -> Reply {
        Reply { framing: Framing::Length, ..Reply::new(status, "application/json", body.to_string()) }
    }

    /// Bytes in place of an HTTP reply; then the connection closes.
    pub fn raw(bytes: impl Into<Vec<u8>>) -> Reply {
        Reply { headless: true, end: End::Close, ..Reply::new(0, "", bytes) }
    }

    /// Adds a header.
    pub fn header(mut self, name: &str, value: impl Into<String>) -> Reply {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Sets how the reply ends.
    pub fn end(self, end: End) -> Reply {
        Reply { end, ..self }
    }

    /// Sets how the body's end is marked.
    pub fn framing(self, framing: Framing) -> Reply {
        Reply { framing, ..self }
    }

    /// Closes the connection after the reply without a word about it.
    pub fn close_silently(self) -> Reply {
        Reply { silent: true, end: End::Close, ..self }
    }

    /// Sends this many bytes per write.
    pub fn chunk(self, bytes: usize) -> Reply {
        Reply { chunk: Some(bytes), ..self }
    }

    /// Waits before each write of the body.
    pub fn drip(self, drip: Duration) -> Reply {
        Reply { drip, ..self }
    }

    /// Waits before the head.
    pub fn delay(self, delay: Duration) -> Reply {
        Reply { delay, ..self }
    }

    /// Cuts the body after the event that has the first occurrence of `mark` in it.
    pub fn cut_after_event(mut self, mark: &str) -> Reply {
        let at = find(&self.body, mark.as_bytes()).unwrap_or_else(|| panic!("no {mark:?} in the reply"));
        let end = find(&self.body[at..], b"\n\n").expect("an event has an end");
        self.body.truncate(at + end + 2);
        self
    }

    /// Cuts the body after the first occurrence of `mark`.
    pub fn cut_after(mut self, mark: &str) -> Reply {
        let at = find(&self.body, mark.as_bytes()).unwrap_or_else(|| panic!("no {mark:?} in the reply"));
        self.body.truncate(at + mark.len());
        self
    }
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}
