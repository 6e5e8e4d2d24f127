//! A scripted HTTP/1.1 server on loopback: a thread a connection, kept alive, every request recorded.
//!
//! With an [`Api`] it is as strict as that service: a request that breaks a rule is answered 400 and fails the
//! test. When it is dropped it asserts that every scripted reply was used and nothing more was asked.

use std::collections::VecDeque;
use std::fmt;
use std::io::{BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use super::http::{read_request, write_reply};
use super::log::{Log, Request};
use super::reply::{End, Reply};
use super::strict;
use super::sys;
use super::wire::Api;

type Answer = Box<dyn FnMut(&Request) -> Reply + Send>;

enum Script {
    List(VecDeque<Reply>),
    Answer(Answer),
}

/// How a server is set up; [`Setup::script`] or [`Setup::answer`] starts it.
#[derive(Debug, Clone)]
pub struct Setup {
    api: Option<Api>,
    rules: bool,
    key: bool,
    window: Option<usize>,
    unused_allowed: bool,
    forgets: bool,
    tunnels_refused: bool,
    address: SocketAddr,
}

impl Setup {
    /// Answers without judging the requests.
    pub fn lenient(self) -> Setup {
        Setup { rules: false, ..self }
    }

    /// Wants no key, as local servers do.
    pub fn keyless(self) -> Setup {
        Setup { key: false, ..self }
    }

    /// Answers 400 "prompt is too long" to bodies of more than this many tokens (of four bytes).
    pub fn window(self, tokens: usize) -> Setup {
        Setup { window: Some(tokens), ..self }
    }

    /// Does not mind if scripted replies are left over at the end.
    pub fn unused_allowed(self) -> Setup {
        Setup { unused_allowed: true, ..self }
    }

    /// Does not keep the bodies of requests.
    pub fn forgets_bodies(self) -> Setup {
        Setup { forgets: true, ..self }
    }

    /// As a proxy, answers 407 to `CONNECT`.
    pub fn refuses_tunnels(self) -> Setup {
        Setup { tunnels_refused: true, ..self }
    }

    /// Listens on this port of 127.0.0.1.
    pub fn port(self, port: u16) -> Setup {
        Setup { address: SocketAddr::from(([127, 0, 0, 1], port)), ..self }
    }

    /// Starts a server that gives these replies in turn.
    pub fn script(self, replies: impl IntoIterator<Item = Reply>) -> Server {
        Server::start(self, Script::List(replies.into_iter().collect()))
    }

    /// Starts a server that asks `answer` for each reply.
    pub fn answer(self, answer: impl FnMut(&Request) -> Reply + Send + 'static) -> Server {
        Server::start(self, Script::Answer(Box::new(answer)))
    }
}

struct Shared {
    setup: Setup,
    log: Log,
    script: Mutex<Script>,
    open: Mutex<Vec<TcpStream>>,
    stopping: AtomicBool,
}

/// A running server; it stops, and judges what it saw, when it is dropped.
pub struct Server {
    shared: Arc<Shared>,
    address: SocketAddr,
    acceptor: Option<JoinHandle<()>>,
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Server {
    /// A strict server of that service, to be set up further.
    pub fn of(api: Api) -> Setup {
        Setup { api: Some(api), rules: true, key: true, ..Server::plain() }
    }

    /// A server that knows no wire and judges nothing.
    pub fn plain() -> Setup {
        Setup {
            api: None,
            rules: false,
            key: false,
            window: None,
            unused_allowed: false,
            forgets: false,
            tunnels_refused: false,
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
        }
    }

    /// A strict server that gives these replies in turn.
    pub fn script(api: Api, replies: impl IntoIterator<Item = Reply>) -> Server {
        Server::of(api).script(replies)
    }

    fn start(setup: Setup, script: Script) -> Server {
        let listener = TcpListener::bind(setup.address).unwrap_or_else(|e| panic!("{}: {e}", setup.address));
        let address = listener.local_addr().expect("a listener has an address");
        let shared = Arc::new(Shared {
            setup,
            log: Log::default(),
            script: Mutex::new(script),
            open: Mutex::default(),
            stopping: AtomicBool::new(false),
        });
        let for_thread = Arc::clone(&shared);
        let acceptor = Some(thread::spawn(move || accept(&listener, &for_thread)));
        Server { shared, address, acceptor }
    }

    /// The wire that this server speaks.
    pub fn api(&self) -> Option<Api> {
        self.shared.setup.api
    }

    /// `http://127.0.0.1:PORT`
    pub fn origin(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// The base URL as flux's `--base-url` takes it for this wire.
    pub fn base_url(&self) -> String {
        self.origin() + self.api().map_or("", Api::base_path)
    }

    /// The record of what came in.
    pub fn log(&self) -> &Log {
        &self.shared.log
    }

    /// The requests so far.
    pub fn requests(&self) -> Vec<Request> {
        self.shared.log.requests()
    }

    /// The only request; fails if there was none or another.
    #[track_caller]
    pub fn only_request(&self) -> Request {
        let mut requests = self.requests();
        assert_eq!(requests.len(), 1, "exactly one request was expected\n{}", self.shared.log.dump());
        requests.remove(0)
    }

    /// How many connections were made.
    pub fn connections(&self) -> usize {
        self.shared.log.connections()
    }

    fn stop(&mut self) {
        self.shared.stopping.store(true, Ordering::SeqCst);
        drop(TcpStream::connect(self.address));
        if let Some(acceptor) = self.acceptor.take() {
            drop(acceptor.join());
        }
        for stream in lock(&self.shared.open).drain(..) {
            drop(stream.shutdown(Shutdown::Both));
        }
    }

    fn judge(&self) {
        let (log, setup) = (&self.shared.log, &self.shared.setup);
        let broken = log.violations();
        assert!(broken.is_empty(), "the service would refuse this\n{}", log.dump());
        assert_eq!(log.unscripted_count(), 0, "more was asked than scripted\n{}", log.dump());
        if let Script::List(left) = &*lock(&self.shared.script) {
            assert!(
                setup.unused_allowed || left.is_empty(),
                "{} replies were not asked for\n{}",
                left.len(),
                log.dump()
            );
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
        if !thread::panicking() {
            self.judge();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    for stream in listener.incoming() {
        if shared.stopping.load(Ordering::SeqCst) {
            return;
        }
        let Ok(stream) = stream else { continue };
        if let Ok(clone) = stream.try_clone() {
            lock(&shared.open).push(clone);
        }
        let number = shared.log.connected();
        let shared = Arc::clone(shared);
        thread::spawn(move || serve(stream, number, &shared));
    }
}

fn serve(stream: TcpStream, number: usize, shared: &Shared) {
    drop(stream.set_nodelay(true));
    let mut reader = BufReader::new(stream.try_clone().expect("a socket can be cloned"));
    let mut writer = stream;
    let judged = shared.setup.rules;
    let mut tunnel = None;
    while let Some(mut request) = read_request(&mut reader, number) {
        if request.method == "CONNECT" {
            let refused = shared.setup.tunnels_refused;
            let head = if refused { "407 Proxy Authentication Required" } else { "200 Connected" };
            tunnel = Some(request.path.clone());
            if writer.write_all(format!("HTTP/1.1 {head}\r\n\r\n").as_bytes()).is_err() || refused {
                break;
            }
            continue;
        }
        request.authority = request.authority.or_else(|| tunnel.clone());
        if judged && request.method == "GET" {
            // A question for the window of a model: these services have no answer to it.
            match write_reply(&mut writer, &Reply::json(404, &serde_json::json!({"error": "not found"}))) {
                Ok(true) => continue,
                _ => break,
            }
        }
        let reply = reply_to(&request, shared);
        if judged && is_for_a_service(&request) {
            record(&request);
        }
        shared.log.requested(if shared.setup.forgets { request.forget_body() } else { request });
        match write_reply(&mut writer, &reply) {
            Ok(true) => continue,
            Ok(false) if reply.end == End::Stall => wait_for_the_end(&mut reader),
            Ok(false) | Err(_) => {}
        }
        return close(writer, reader, reply.end, shared);
    }
    close(writer, reader, End::Close, shared);
}

/// Whether the services' rules hold for a request: it has a key, a path of theirs, and does not send a paused turn
/// back, which the outside checker takes for a forbidden prefill.
fn is_for_a_service(request: &Request) -> bool {
    let has_key = request.headers.iter().any(|(name, _)| name == "x-api-key" || name == "authorization");
    has_key && request.path != "/x" && !request.text().contains("\"server_tool_use\"")
}

/// Appends the request to the file that `FLUX_TEST_REQUESTS` names, in the form that an outside checker reads.
fn record(request: &Request) {
    let Some(path) = std::env::var_os("FLUX_TEST_REQUESTS") else { return };
    let headers: serde_json::Map<_, _> = request.headers.iter().map(|(n, v)| (n.clone(), v.as_str().into())).collect();
    let line = serde_json::json!({"path": request.path, "headers": headers, "body": request.text()});
    let file = std::fs::File::options().create(true).append(true).open(path);
    file.and_then(|mut f| f.write_all(format!("{line}\n").as_bytes())).expect("the request log can be written");
}

/// Closes for good: the clone that `Server::stop` would use must go too, or the socket stays open.
fn close(writer: TcpStream, reader: BufReader<TcpStream>, end: End, shared: &Shared) {
    let peer = writer.peer_addr().ok();
    lock(&shared.open).retain(|other| other.peer_addr().ok() != peer);
    drop(reader);
    match end {
        End::Reset => sys::reset(writer),
        _ => drop(writer.shutdown(Shutdown::Both)),
    }
}

fn wait_for_the_end(reader: &mut BufReader<TcpStream>) {
    let mut rest = [0; 64];
    while matches!(reader.read(&mut rest), Ok(n) if n > 0) {}
}

fn reply_to(request: &Request, shared: &Shared) -> Reply {
    if let (Some(api), true) = (shared.setup.api, shared.setup.rules) {
        let broken = strict::violations(api, request, shared.setup.key);
        if let Some(first) = broken.first() {
            let reply = api.error(400, "invalid_request_error", first);
            broken.into_iter().for_each(|what| shared.log.violated(what));
            return reply;
        }
    }
    if let (Some(api), Some(window)) = (shared.setup.api, shared.setup.window)
        && request.body.len() / 4 > window
    {
        return api.too_long(request.body.len() / 4, window);
    }
    match &mut *lock(&shared.script) {
        Script::Answer(answer) => answer(request),
        Script::List(replies) => replies.pop_front().unwrap_or_else(|| {
            shared.log.unscripted();
            Reply::json(400, &serde_json::json!({"error": {"message": "the script has no reply left", "type": "test"}}))
        }),
    }
}
