//! What a server saw: the requests, the connections, what broke a rule.

use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use serde_json::Value;

/// One request as it came in.
#[derive(Debug, Clone)]
pub struct Request {
    pub method: String,
    /// The path with its query, without scheme and host.
    pub path: String,
    /// `host:port` where the request line had the absolute form (what a proxy sees).
    pub authority: Option<String>,
    /// Names in lower case, in the order sent.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// The parsed body, or null.
    pub json: Value,
    /// The number of the connection, from 1.
    pub connection: usize,
    pub at: Instant,
}

impl Request {
    /// The value of the first header of that lower-case name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    /// The same without its body, for servers that see many of them.
    pub fn forget_body(self) -> Request {
        Request { body: Vec::new(), json: Value::Null, ..self }
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

#[derive(Debug, Default)]
struct Seen {
    requests: Vec<Request>,
    connections: usize,
    violations: Vec<String>,
    unscripted: usize,
}

/// The record of a server, shared between its threads, its owner and the failure dumps.
#[derive(Debug, Default, Clone)]
pub struct Log(Arc<(Mutex<Seen>, Condvar)>);

impl Log {
    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.0.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Notes a connection and gives its number.
    pub fn connected(&self) -> usize {
        let mut seen = self.seen();
        seen.connections += 1;
        self.0.1.notify_all();
        seen.connections
    }

    /// Notes a request.
    pub fn requested(&self, request: Request) {
        self.seen().requests.push(request);
        self.0.1.notify_all();
    }

    /// Notes a broken rule.
    pub fn violated(&self, what: String) {
        self.seen().violations.push(what);
    }

    /// Notes a request that no scripted reply was left for.
    pub fn unscripted(&self) {
        self.seen().unscripted += 1;
    }

    /// The requests so far.
    pub fn requests(&self) -> Vec<Request> {
        self.seen().requests.clone()
    }

    /// The connections so far.
    pub fn connections(&self) -> usize {
        self.seen().connections
    }

    /// The broken rules so far.
    pub fn violations(&self) -> Vec<String> {
        self.seen().violations.clone()
    }

    /// How many requests came that no reply was scripted for.
    pub fn unscripted_count(&self) -> usize {
        self.seen().unscripted
    }

    /// Waits until `count` requests have come in.
    #[track_caller]
    pub fn wait_for_requests(&self, count: usize) {
        self.wait_until(|seen| seen.requests.len() >= count, &format!("{count} requests"));
    }

    #[track_caller]
    fn wait_until(&self, done: impl Fn(&Seen) -> bool, what: &str) {
        let guard = self.seen();
        let (guard, timeout) = self
            .0
            .1
            .wait_timeout_while(guard, Duration::from_secs(20), |seen| !done(seen))
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        drop(guard);
        assert!(!timeout.timed_out(), "waited 20 s in vain for {what}");
    }

    /// A summary for people, for the dump of a failed test.
    pub fn dump(&self) -> String {
        let seen = self.seen();
        let mut text = format!("connections: {}\n", seen.connections);
        for (i, r) in seen.requests.iter().enumerate() {
            let body = shown(r);
            let head = format!("request {}: {} {} (connection {})", i + 1, r.method, r.path, r.connection);
            text += &format!("{head}\n  {body}\n");
        }
        for v in &seen.violations {
            text += &format!("rule broken: {v}\n");
        }
        text
    }
}

/// A body for people: without what is the same in every request, and not too much of it.
fn shown(request: &Request) -> String {
    let mut json = request.json.clone();
    if let Some(body) = json.as_object_mut() {
        ["tools", "system", "instructions"].iter().for_each(|key| drop(body.remove(*key)));
    }
    let text = if json.is_null() { request.text() } else { json.to_string() };
    text.chars().take(2000).collect()
}
