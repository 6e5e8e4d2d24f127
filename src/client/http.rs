//! The one door to the network. It moves bytes and names failures; what the bytes mean
//! is the wire's business.

use std::error::Error as _;
use std::io::{self, Read};
use std::time::Duration;

use ureq::config::Config;
use ureq::http::{HeaderMap, Response, StatusCode};
use ureq::unversioned::resolver::DefaultResolver;
use ureq::{Agent, Body, BodyReader, Proxy, Timeout};

use super::Endpoint;
use super::connections::{Connections, MAX_IDLE, Opening, Rest};
use super::proxy::complete;
use super::tls::Trust;
use crate::base::clock;
use crate::base::exit::Exit;
use crate::base::failure::{self, Failure};
use crate::base::stop::Stopper;
use crate::wire::{ApiError, Decoder, Delta, End, Ended, ErrorClass, Flow, ReplyHead, ReplyReader};

/// What the network layer needs to know.
#[derive(Debug, Clone)]
pub struct HttpOptions {
    /// Whom TLS trusts.
    pub trust: Trust,
    /// The proxy to use, as a URL.
    pub proxy: Option<String>,
    /// The most time for the name lookup and for the connection, each.
    pub connect_timeout: Duration,
    /// The most time without a byte, before the first as between two.
    pub idle_timeout: Duration,
    /// Plain http to other hosts than loopback is allowed, or the URL is of that kind.
    pub plain: bool,
    /// The host is a name that must be looked up, which takes a thread to limit.
    pub lookup: bool,
}

impl HttpOptions {
    fn patience(&self) -> Duration {
        // Much longer times cannot be added to a clock.
        self.idle_timeout.saturating_mul(KEEP_ALIVES).min(YEAR)
    }
}

/// A pool of connections with one set of options.
#[derive(Debug)]
pub struct Http {
    agent: Agent,
    options: HttpOptions,
    stop: Stopper,
    connections: Connections,
}

/// Keep-alive comments and interim heads count as bytes; they are believed for so many idle timeouts.
const KEEP_ALIVES: u32 = 10;
const YEAR: Duration = Duration::from_secs(365 * 86_400);
/// Bytes of a reply's head at most.
const HEAD: usize = 64 << 10;
/// Bytes of a connection read ahead: more than a head, or one that is too long would look like one that was cut off.
const READ: usize = HEAD + (8 << 10);
/// Bytes sent at once, into which a header of a request must fit. Each page of them is a fault at the start, but short
/// pieces slow long conversations down.
const WRITE: usize = 32 << 10;
/// Bytes decoded at once.
const BUFFER: usize = 16 << 10;

impl Http {
    /// Opens nothing yet.
    ///
    /// # Errors
    /// The proxy's URL is none.
    pub fn new(options: HttpOptions, stop: Stopper) -> failure::Result<Self> {
        let connections = Connections::default();
        let agent = interruptible(&options, &stop, &connections)?;
        Ok(Self { agent, options, stop, connections })
    }

    /// Fetches a small document, within `timeout` in all.
    ///
    /// # Errors
    /// What the network says.
    pub fn get(
        &self,
        url: &str,
        headers: &[(String, String)],
        timeout: Duration,
    ) -> Result<(ReplyHead, String), ApiError> {
        let timeout = self.stop.remaining().map_or(timeout, |left| left.min(timeout));
        let mut request = self.agent.get(url).config().timeout_global(Some(timeout)).build();
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let mut response = request.call().map_err(|e| api_error(&e))?;
        let text = response.body_mut().with_config().limit(1 << 20).lossy_utf8(true).read_to_string();
        Ok((reply_head(response.status(), response.headers()), text.map_err(|e| api_error(&e))?))
    }

    /// Makes the connection of a reply ready for the next request, unless that takes longer than `at_most`.
    pub(super) fn reuse(&self, rest: Rest, at_most: Duration) {
        self.connections.read(rest, at_most);
    }

    /// The most time without anything of a reply, whatever else comes.
    pub(super) fn patience(&self) -> Duration {
        self.options.patience()
    }

    fn post(&mut self, endpoint: &Endpoint, body: &[u8]) -> Result<Response<Body>, ureq::Error> {
        let mark = self.connections.mark();
        let mut result = self.post_once(endpoint, body);
        if let Err(error) = &result {
            // Beside the retries only where a kept connection was dead before anybody could be at work on the request.
            let is_unread = is_closed(error) && self.connections.had_died(mark);
            if is_unread && self.stop.stopped().is_none() {
                result = self.post_once(endpoint, body);
            } else if matches!(self.options.trust, Trust::Bundled) && is_unknown_issuer(error) {
                self.options.trust = Trust::Platform;
                if let Ok(agent) = interruptible(&self.options, &self.stop, &self.connections) {
                    self.agent = agent;
                }
                result = self.post_once(endpoint, body);
            }
        }
        result
    }

    fn post_once(&self, endpoint: &Endpoint, body: &[u8]) -> Result<Response<Body>, ureq::Error> {
        let mut request = self.agent.post(&endpoint.url);
        if let Some(left) = self.stop.remaining() {
            request = request.config().timeout_global(Some(left)).build();
        }
        for (name, value) in &endpoint.headers {
            request = request.header(name, value);
        }
        request.header("content-type", "application/json").send(body)
    }
}

/// An agent whose blocked reads end when a signal comes.
fn interruptible(options: &HttpOptions, stop: &Stopper, connections: &Connections) -> failure::Result<Agent> {
    let agent = Agent::with_parts(config(options)?, Opening::new(connections), DefaultResolver::default());
    let handle = agent.clone();
    stop.on_signal(move || handle.clone().shutdown());
    Ok(agent)
}

/// The TCP port of a proxy.
///
/// # Errors
/// The URL is none of a proxy.
pub fn proxy_port(url: &str) -> failure::Result<u16> {
    proxy(url).map(|proxy| proxy.port())
}

fn proxy(url: &str) -> failure::Result<Proxy> {
    let complete = complete(url).and_then(|url| Proxy::new(&url).ok());
    complete.ok_or_else(|| Failure::new(Exit::Config, "the proxy in the environment is not a proxy URL"))
}

fn config(options: &HttpOptions) -> failure::Result<Config> {
    let proxy = options.proxy.as_deref().map(proxy).transpose()?;
    let config = Agent::config_builder()
        .tls_config(options.trust.config())
        .proxy(proxy)
        .https_only(!options.plain)
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .accept_encoding("identity")
        .accept("")
        .user_agent(concat!("flux/", env!("CARGO_PKG_VERSION")))
        .timeout_resolve(options.lookup.then_some(options.connect_timeout))
        .timeout_connect(Some(options.connect_timeout))
        .timeout_recv_response(Some(options.patience()))
        .timeout_per_read(Some(options.idle_timeout))
        .timeout_per_write(Some(options.idle_timeout))
        .max_response_header_size(HEAD)
        .input_buffer_size(READ)
        .output_buffer_size(WRITE)
        .max_idle_age(MAX_IDLE);
    Ok(config.build())
}

/// A request to which no head of a reply came.
pub(super) struct Unanswered {
    /// The empty reply, with the failure.
    pub(super) ended: Ended,
    /// No server can have seen the request.
    pub(super) unsent: bool,
}

/// One request and its reply, read piece by piece.
pub(super) struct Reading {
    reader: ReplyReader,
    head: ReplyHead,
    body: BodyReader<'static>,
    end: Option<End>,
    buffer: Vec<u8>,
    /// A byte of the body has come.
    begun: bool,
}

impl Reading {
    /// Sends the request and waits for the head of the reply.
    ///
    /// # Errors
    /// No head came.
    pub(super) fn start(
        http: &mut Http,
        endpoint: &Endpoint,
        body: &[u8],
        decoder: Box<dyn Decoder>,
    ) -> Result<Self, Box<Unanswered>> {
        match http.post(endpoint, body) {
            Ok(response) => {
                let head = reply_head(response.status(), response.headers());
                let reader = ReplyReader::new(decoder, head.clone());
                // No limit here: the reply's reader has its own.
                let body = response.into_body().into_with_config().limit(u64::MAX).reader();
                Ok(Self { reader, head, body, end: None, buffer: vec![0; BUFFER], begun: false })
            }
            Err(error) => {
                let failure = End::Failed(named(api_error(&error), endpoint));
                let ended = decoder.finish(failure, &mut |_| ());
                Err(Box::new(Unanswered { ended, unsent: is_before_request(&error) }))
            }
        }
    }

    /// Reads and decodes the next piece. Returns false at the end.
    pub(super) fn step(&mut self, on: &mut dyn FnMut(Delta<'_>)) -> bool {
        if self.end.is_some() {
            return false;
        }
        match self.body.read(&mut self.buffer) {
            Ok(0) => self.end = Some(End::Eof),
            Ok(n) => {
                self.begun = true;
                if self.reader.feed(&self.buffer[..n], on) == Flow::Done {
                    self.end = Some(End::Marker);
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => self.end = Some(End::Failed(cut_error(error, self.begun))),
        }
        self.end.is_none()
    }

    /// Whether an event of the reply has come.
    pub(super) fn has_event(&self) -> bool {
        self.reader.has_begun()
    }

    /// Ends the reading with a failure.
    pub(super) fn give_up(&mut self, error: ApiError) {
        self.end = Some(End::Failed(error));
    }

    /// Whether a byte of the body has come.
    pub(super) fn has_begun(&self) -> bool {
        self.begun
    }

    /// Status and headers.
    pub(super) fn head(&self) -> &ReplyHead {
        &self.head
    }

    /// The HTTP status.
    pub(super) fn status(&self) -> u16 {
        self.head.status
    }

    /// The server's id of the request.
    pub(super) fn request_id(&self) -> Option<String> {
        self.head.header("request-id").or_else(|| self.head.header("x-request-id")).map(str::to_owned)
    }

    /// Ends the reply. Where more turns follow, the rest of its body is to be read first.
    pub(super) fn finish(self, on: &mut dyn FnMut(Delta<'_>)) -> (Ended, Rest) {
        let ended = self.reader.finish(self.end.unwrap_or(End::Eof), on);
        (ended, Rest::new(self.body))
    }
}

fn reply_head(status: StatusCode, headers: &HeaderMap) -> ReplyHead {
    let text = |(name, value): (&ureq::http::HeaderName, &ureq::http::HeaderValue)| {
        (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
    };
    let mut headers: Vec<_> = headers.iter().map(text).collect();
    // Dates in a reply are judged by the server's clock; where it does not tell, by this machine's.
    if !headers.iter().any(|(name, _)| name == "date") {
        headers.push(("date".to_owned(), clock::http_date()));
    }
    ReplyHead { status: status.as_u16(), headers }
}

/// The server has closed the connection.
fn is_closed(error: &ureq::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
    matches!(error, ureq::Error::Io(e) if matches!(e.kind(), BrokenPipe | ConnectionAborted | ConnectionReset | UnexpectedEof))
}

/// There was no connection yet that could have taken the request.
fn is_before_request(error: &ureq::Error) -> bool {
    use io::ErrorKind::{AddrNotAvailable, ConnectionRefused, HostUnreachable, NetworkUnreachable};
    use ureq::Error as E;
    match error {
        _ if tls_error(error).is_some() => true,
        E::Io(e) => {
            let kinds = [AddrNotAvailable, ConnectionRefused, HostUnreachable, NetworkUnreachable];
            is_lookup(e) || kinds.contains(&e.kind())
        }
        E::Timeout(which) => matches!(which, Timeout::Resolve | Timeout::Connect),
        E::HostNotFound | E::ConnectionFailed | E::ConnectProxyFailed(_) | E::Tls(_) | E::RequireHttpsOnly(_) => true,
        _ => false,
    }
}

fn tls_error(error: &ureq::Error) -> Option<&rustls::Error> {
    match error {
        ureq::Error::Rustls(error) => Some(error),
        ureq::Error::Io(error) => error.get_ref()?.downcast_ref(),
        _ => None,
    }
}

fn is_unknown_issuer(error: &ureq::Error) -> bool {
    matches!(tls_error(error), Some(rustls::Error::InvalidCertificate(rustls::CertificateError::UnknownIssuer)))
}

/// A failure before or while the head of the reply came.
fn api_error(error: &ureq::Error) -> ApiError {
    use ureq::Error as E;
    let (class, message) = match error {
        _ if tls_error(error).is_some() => {
            (ErrorClass::Tls, tls_error(error).map(ToString::to_string).unwrap_or_default())
        }
        E::Tls(what) => (ErrorClass::Tls, (*what).to_owned()),
        E::Timeout(which) => (ErrorClass::Timeout, timeout_message(*which)),
        E::HostNotFound => (ErrorClass::Network, "host not found".to_owned()),
        E::Io(e) if is_lookup(e) => (ErrorClass::Network, "host not found".to_owned()),
        E::Io(e) => (ErrorClass::Network, io_message(e)),
        E::ConnectionFailed => (ErrorClass::Network, "connection failed".to_owned()),
        E::ConnectProxyFailed(what) if what.contains("407") => {
            (ErrorClass::Auth, "the proxy wants other credentials".to_owned())
        }
        E::ConnectProxyFailed(what) => (ErrorClass::Network, format!("proxy: {what}")),
        E::RequireHttpsOnly(_) => (ErrorClass::Protocol, "plain http is not allowed (--allow-http)".to_owned()),
        other => (ErrorClass::Protocol, other.to_string()),
    };
    let retryable = matches!(class, ErrorClass::Network | ErrorClass::Timeout);
    ApiError { retryable, ..ApiError::new(class, message) }
}

/// Failures of the network say which host they are about; on this machine the likeliest cause is named.
fn named(error: ApiError, endpoint: &Endpoint) -> ApiError {
    if !matches!(error.class, ErrorClass::Network | ErrorClass::Timeout | ErrorClass::Tls) {
        return error;
    }
    let hint = if endpoint.is_local && error.class == ErrorClass::Network { ": is the server running?" } else { "" };
    ApiError { message: format!("{}: {}{hint}", endpoint.host, error.message), ..error }
}

/// A failure within the body of the reply.
fn cut_error(error: io::Error, begun: bool) -> ApiError {
    let error = ureq::Error::from(error);
    let (class, message) = match &error {
        ureq::Error::Timeout(which) => (ErrorClass::Timeout, timeout_message(*which)),
        _ if begun => (ErrorClass::Truncated, "the reply was cut off".to_owned()),
        other => (ErrorClass::Truncated, format!("the reply was cut off: {other}")),
    };
    ApiError::new(class, message)
}

fn timeout_message(which: Timeout) -> String {
    match which {
        Timeout::Resolve => "the host's name was not found in time".to_owned(),
        Timeout::Connect => "no connection in time".to_owned(),
        Timeout::RecvResponse => "no reply began for too long (--idle-timeout)".to_owned(),
        Timeout::PerRead => "no byte came for too long (--idle-timeout)".to_owned(),
        other => format!("timeout: {other}"),
    }
}

/// The standard library has no kind for a name that cannot be resolved.
fn is_lookup(error: &io::Error) -> bool {
    error.raw_os_error().is_none() && error.to_string().starts_with("failed to lookup address")
}

fn io_message(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => "connection refused".to_owned(),
        io::ErrorKind::UnexpectedEof => "the server closed the connection without a reply".to_owned(),
        io::ErrorKind::ConnectionReset => "the server reset the connection".to_owned(),
        _ => error.source().map_or_else(|| error.to_string(), ToString::to_string),
    }
}
