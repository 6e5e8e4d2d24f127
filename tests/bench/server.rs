//! A server on loopback that answers at once and notes when.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use serde_json::json;

use super::events;
use super::wire::USAGE;

/// What the server says.
#[derive(Debug, Clone, Copy)]
pub enum Script {
    /// So many turns that read a file, then an answer.
    Turns(usize),
    /// One turn with so many calls that read, then an answer.
    Parallel(usize),
    /// One turn that searches the tree for a word, then an answer.
    Search,
    /// An answer of so many pieces of text.
    Chunks(usize),
    /// An answer in so many pieces that each is written a byte at a time.
    Bytes(usize),
    /// An answer of so many bytes.
    Long(usize),
}

/// The wires.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wire {
    /// Anthropic Messages
    Anthropic,
    /// `OpenAI` Responses
    Responses,
    /// Chat Completions
    Chat,
}

/// What the server saw of a run.
#[derive(Debug, Default, Clone)]
pub struct Seen {
    /// Connections that were made.
    pub connections: usize,
    /// Bytes of all request bodies.
    pub bytes: u64,
    /// For each request when its first byte came.
    pub asked: Vec<Instant>,
    /// For each reply when its first piece and when its last byte was written.
    pub answered: Vec<(Instant, Instant)>,
}

/// A running server for one run of one program.
pub struct Server {
    /// Its address.
    pub url: String,
    seen: Arc<Mutex<Seen>>,
}

impl Server {
    /// Starts one.
    pub fn start(wire: Wire, script: Script) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let seen = Arc::new(Mutex::new(Seen::default()));
        let shared = Arc::clone(&seen);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                shared.lock().expect("the log").connections += 1;
                let shared = Arc::clone(&shared);
                std::thread::spawn(move || serve(stream, wire, script, &shared));
            }
        });
        Self { url, seen }
    }

    /// What it saw so far.
    pub fn seen(&self) -> Seen {
        self.seen.lock().expect("the log").clone()
    }
}

fn serve(mut stream: TcpStream, wire: Wire, script: Script, seen: &Mutex<Seen>) {
    stream.set_nodelay(true).expect("a socket option");
    let mut reader = BufReader::with_capacity(1 << 20, stream.try_clone().expect("a socket"));
    while let Some((is_question, asked, length)) = read_request(&mut reader) {
        if !is_question {
            // A question for the window, which this server does not answer.
            let _ = stream.write_all(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n");
            continue;
        }
        let mut log = seen.lock().expect("the log");
        let n = log.asked.len();
        log.asked.push(asked);
        log.bytes += length;
        drop(log);
        let body = reply(wire, script, n);
        let first = Instant::now();
        if body.write(&mut stream, matches!(script, Script::Bytes(_))).is_err() {
            return;
        }
        seen.lock().expect("the log").answered.push((first, Instant::now()));
    }
}

/// A reply whose middle comes again and again. It is not kept as a whole: what the system says of a process includes
/// what its parent had in memory when it began.
struct Body {
    before: String,
    middle: String,
    count: usize,
    after: String,
}

impl Body {
    fn write(&self, stream: &mut TcpStream, by_byte: bool) -> std::io::Result<()> {
        const HEAD: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
        let length = self.before.len() + self.middle.len() * self.count + self.after.len();
        let mut send = |text: &str| {
            text.as_bytes()
                .chunks(if by_byte { 1 } else { text.len().max(1) })
                .try_for_each(|part| stream.write_all(part))
        };
        if self.count == 0 {
            return send(&format!("{HEAD}{length:x}\r\n{}{}\r\n0\r\n\r\n", self.before, self.after));
        }
        send(&format!("{HEAD}{length:x}\r\n{}", self.before))?;
        let (batch, mut left) = (64_000 / self.middle.len() + 1, self.count);
        let many = self.middle.repeat(batch);
        while left > 0 {
            let now = left.min(batch);
            send(&many[..now * self.middle.len()])?;
            left -= now;
        }
        send(&format!("{}\r\n0\r\n\r\n", self.after))
    }
}

impl From<String> for Body {
    fn from(before: String) -> Self {
        Self { before, middle: String::new(), count: 0, after: String::new() }
    }
}

/// Whether it was a question, when its first byte came, and the length of its body.
fn read_request(reader: &mut BufReader<TcpStream>) -> Option<(bool, Instant, u64)> {
    let (mut length, mut first) = (0, None);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        first.get_or_insert_with(|| (line.starts_with("POST"), Instant::now()));
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
        if line == "\r\n" {
            break;
        }
    }
    std::io::copy(&mut reader.take(length), &mut std::io::sink()).ok()?;
    first.map(|(question, at)| (question, at, length))
}

fn reply(wire: Wire, script: Script, n: usize) -> Body {
    let read = |id: usize| (format!("call_{id}"), "read_files".to_owned(), json!({"paths": ["a.txt"]}).to_string());
    let body = match script {
        Script::Turns(turns) if n < turns => turn(wire, "", &[read(n)]),
        Script::Parallel(calls) if n == 0 => turn(wire, "", &(0..calls).map(read).collect::<Vec<_>>()),
        Script::Search if n == 0 => {
            let arguments = json!({"pattern": "needle [0-9]+"}).to_string();
            turn(wire, "", &[("call_1".to_owned(), "grep_search".to_owned(), arguments)])
        }
        Script::Turns(_) | Script::Parallel(_) | Script::Search => turn(wire, "done", &[]),
        Script::Chunks(count) | Script::Bytes(count) => return pieces(wire, count),
        Script::Long(bytes) => {
            turn(wire, &"an answer of many lines that go on and on and on\n".repeat(bytes / 49 + 1), &[])
        }
    };
    body.into()
}

fn turn(wire: Wire, text: &str, calls: &[(String, String, String)]) -> String {
    match wire {
        Wire::Anthropic => events::anthropic(text, calls, USAGE, None),
        Wire::Responses => events::responses(text, calls, USAGE, None),
        Wire::Chat => events::chat(text, calls, USAGE, None),
    }
}

/// An answer of many deltas, `word` each.
fn pieces(wire: Wire, count: usize) -> Body {
    let whole = turn(wire, "word word ", &[]);
    // The reply of two deltas, with the last one again and again.
    let marks: Vec<usize> = whole.match_indices("\"word ").map(|(at, _)| at).collect();
    let at = marks.get(1).copied().unwrap_or_default();
    let start = whole[..at].rfind("\n\n").map_or(0, |at| at + 2);
    let end = whole[at..].find("\n\n").map_or(whole.len(), |offset| at + offset + 2);
    let [before, middle, after] = [&whole[..start], &whole[start..end], &whole[end..]].map(str::to_owned);
    Body { before, middle, count, after }
}
