//! Floor 3: one request, made to work: sent, retried where that is safe, read to its end.

mod connections;
mod http;
mod ledger;
mod proxy;
mod retry;
mod throttle;
mod tls;
mod turnstile;
mod url;

use std::time::{Duration, Instant};

use crate::base::clock;
use crate::base::failure::{self, Failure};
use crate::base::stop::{Stop, Stopper};
use crate::chat::{Conversation, Reply};
use crate::wire::{Announced, ApiError, Attempt, Delta, End, Ended, ErrorClass, RequestBody, RequestHead, Wire};

pub use http::{Http, HttpOptions, proxy_port};
pub use ledger::Ledger;
pub use proxy::{ProxyEnv, is_loopback};
pub use retry::RetryPolicy;
pub use throttle::OwnLimits;
pub use tls::Trust;
pub use url::Base;

use connections::Rest;
use http::Reading;
use retry::Failures;
use throttle::Start;
use turnstile::{Turnstile, WORTH_A_LINE};

/// Where requests go and what they carry besides the body.
#[derive(Debug, Clone)]
pub struct Endpoint {
    /// The whole URL.
    pub url: String,
    /// All headers but `content-type`, the key's included.
    pub headers: Vec<(String, String)>,
    /// The host, for messages.
    pub host: String,
    /// The host is this machine.
    pub is_local: bool,
}

/// Why there is no reply.
#[derive(Debug)]
pub enum Failed {
    /// The request failed for good; the reply is what had arrived of it.
    Api(ApiError, Box<Reply>),
    /// The run was stopped from outside; the failure says so, and the reply is what had arrived.
    Stopped(Stop, ApiError, Box<Reply>),
    /// A sink refused what it was given: nobody reads the answer, or it cannot be written.
    Sink(Failure),
}

/// One question to the model.
#[derive(Clone, Copy)]
pub struct Question<'a> {
    /// The turn it opens, from 1.
    pub turn: u64,
    /// Attempts that this turn has had before.
    pub attempts: u32,
    /// The API that the server speaks.
    pub wire: &'a dyn Wire,
    /// Everything but the conversation.
    pub head: &'a RequestHead<'a>,
    /// About how many tokens they are.
    pub estimated_tokens: u64,
}

impl Question<'_> {
    /// What is known of an attempt before it is made.
    fn attempt(&self, number: u32, body: &RequestBody) -> Attempt {
        Attempt {
            turn: self.turn,
            attempt: self.attempts + number,
            messages: body.messages(),
            estimated_tokens: self.estimated_tokens,
            bytes: body.bytes().len() as u64,
            ..Attempt::default()
        }
    }
}

impl std::fmt::Debug for Question<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Question").field("turn", &self.turn).field("head", &self.head).finish_non_exhaustive()
    }
}

/// What hears of a reply while it arrives.
pub trait Listener {
    /// A piece of the reply. Returns true if a person or a pipe has been shown it, which rules out a retry.
    ///
    /// # Errors
    /// It cannot be written.
    fn delta(&mut self, delta: Delta<'_>) -> failure::Result<bool>;

    /// An attempt has ended, well or not.
    ///
    /// # Errors
    /// It cannot be written.
    fn attempt(&mut self, attempt: &Attempt) -> failure::Result<()>;

    /// The next request waits for a rate limit.
    fn waits(&mut self, wait: Duration);

    /// Something that people may want to know.
    fn note(&mut self, note: &str);
}

/// A provider behind its wire and its network address, for one conversation.
#[derive(Debug)]
pub struct Client {
    http: Http,
    endpoint: Endpoint,
    retry: RetryPolicy,
    turnstile: Turnstile,
    stop: Stopper,
    body: RequestBody,
    /// What the last reply's connection still has to say before it can be used again.
    rest: Option<Rest>,
}

/// How long the next request waits for the rest of the last reply before it takes a new connection.
const DRAIN: Duration = Duration::from_millis(50);

/// How much too early the end of the run may seem to have come.
const EARLY: Duration = Duration::from_millis(50);

impl Client {
    /// Makes a client for one conversation.
    #[must_use]
    pub fn new(
        http: Http,
        endpoint: Endpoint,
        retry: RetryPolicy,
        (own, ledger): (OwnLimits, Option<Ledger>),
        stop: Stopper,
    ) -> Self {
        let turnstile = Turnstile::new(own, ledger, stop.clone());
        Self { http, endpoint, retry, turnstile, stop, body: RequestBody::default(), rest: None }
    }

    /// Writes the next request, without sending it, and returns what it weighs.
    pub fn prepare(&mut self, wire: &dyn Wire, head: &RequestHead<'_>, conversation: &Conversation) -> u64 {
        self.body.update(wire, head, conversation);
        self.body.weight()
    }

    /// Has the whole body written anew: what was said has changed.
    pub fn forget(&mut self) {
        self.body.clear();
    }

    /// Sends the request that was prepared last and returns the finished reply. Failures that a further attempt can
    /// mend are tried again, as long as nothing of the reply has been shown.
    ///
    /// # Errors
    /// See [`Failed`].
    pub fn respond(&mut self, question: &Question<'_>, listener: &mut dyn Listener) -> Result<Reply, Failed> {
        let (mut wait, mut failures, mut number) = (Duration::ZERO, Failures::default(), 1);
        loop {
            let (error, reply) = match self.try_once(question, number, wait, listener) {
                Err(Failed::Api(error, reply)) => (error, reply),
                ended => return ended,
            };
            wait = match self.retry.next(&error, &mut failures, self.stop.remaining()) {
                Some(delay) => delay,
                None => return Err(Failed::Api(self.named(error), reply)),
            };
            if error.class == ErrorClass::RateLimit && wait >= Duration::from_millis(WORTH_A_LINE) {
                listener.waits(wait);
            }
            if let Some(stop) = self.stop.sleep(wait) {
                return Err(Failed::Stopped(stop, error, reply));
            }
            number += 1;
        }
    }

    /// One attempt, after a wait of `waited`: told to the listener, however it ends. Whether a failure is for good is not
    /// yet known.
    fn try_once(
        &mut self,
        question: &Question<'_>,
        number: u32,
        waited: Duration,
        listener: &mut dyn Listener,
    ) -> Result<Reply, Failed> {
        let mut attempt = question.attempt(number, &self.body);
        let Arrived { ended, shown, refused } = self.ask(question, waited, &mut attempt, listener);
        let stop = ended.error.as_ref().and_then(|error| self.stop_behind(error));
        attempt.error = if stop.is_some() || refused.is_some() { Some(stopped()) } else { ended.error };
        if let Some(error) = &mut attempt.error {
            error.retryable &= !shown;
        }
        attempt.usage = ended.reply.usage;
        attempt.warnings.clone_from(&ended.reply.warnings);
        let recorded = listener.attempt(&attempt);
        if let Some(failure) = refused.or(recorded.err()) {
            return Err(Failed::Sink(failure));
        }
        match (attempt.error, stop) {
            (None, _) => Ok(ended.reply),
            (Some(error), None) => Err(Failed::Api(error, Box::new(ended.reply))),
            (Some(error), Some(stop)) => Err(Failed::Stopped(stop, error, Box::new(ended.reply))),
        }
    }

    /// Sends the request, as soon as the rate limits let it, and reads the reply.
    fn ask(
        &mut self,
        question: &Question<'_>,
        mut waited: Duration,
        attempt: &mut Attempt,
        listener: &mut dyn Listener,
    ) -> Arrived {
        self.settle_connection();
        let start = self.turnstile.pass(attempt.estimated_tokens, &mut waited, listener);
        attempt.wait_ms = u64::try_from(waited.as_millis()).unwrap_or(u64::MAX);
        let decoder = question.wire.decoder(question.head);
        let Ok(start) = start else {
            attempt.bytes = 0;
            return Arrived::unshown(decoder.finish(End::Failed(stopped()), &mut |_| ()));
        };
        let begun = clock::now();
        let reading = match Reading::start(&mut self.http, &self.endpoint, self.body.bytes(), decoder) {
            Ok(reading) => reading,
            Err(unanswered) => {
                attempt.duration_ms = clock::millis_since(begun);
                if unanswered.unsent {
                    self.turnstile.unsent(start, listener);
                }
                return Arrived::unshown(unanswered.ended);
            }
        };
        self.read(reading, start, begun, attempt, listener)
    }

    /// Reads a reply to its end and tells the listener of each piece.
    fn read(
        &mut self,
        mut reading: Reading,
        start: Start,
        begun: Instant,
        attempt: &mut Attempt,
        listener: &mut dyn Listener,
    ) -> Arrived {
        let mut tap = Tap { listener, shown: false, refused: None };
        let announced = Announced::of(reading.head());
        if reading.status() < 400 {
            self.turnstile.accepted(start, &announced, tap.listener);
        }
        self.follow(&mut reading, &mut tap, begun, attempt);
        attempt.duration_ms = clock::millis_since(begun);
        attempt.status = Some(reading.status());
        attempt.request_id = reading.request_id();
        let (ended, rest) = reading.finish(&mut |delta| tap.take(delta));
        self.turnstile.ended(start, &announced, ended.error.as_ref(), &ended.reply.usage, tap.listener);
        if attempt.request_id.is_none() {
            attempt.request_id = ended.error.as_ref().and_then(|error| error.request_id.clone());
        }
        if ended.error.is_none() {
            self.rest = Some(rest);
        }
        Arrived { ended, shown: tap.shown, refused: tap.refused }
    }

    /// Reads piece by piece, until there is no more or a piece is refused.
    fn follow(&self, reading: &mut Reading, tap: &mut Tap<'_>, begun: Instant, attempt: &mut Attempt) {
        let patience = self.http.patience();
        while tap.refused.is_none() {
            let more = reading.step(&mut |delta| tap.take(delta));
            if reading.has_begun() {
                attempt.ttft_ms.get_or_insert_with(|| clock::millis_since(begun));
            }
            if !more {
                break;
            }
            if !reading.has_event() && begun.elapsed() > patience {
                reading.give_up(ApiError::new(ErrorClass::Timeout, "nothing but keep-alives came for too long"));
            }
        }
    }

    /// Why the run is to end, where an attempt failed with this.
    fn stop_behind(&self, error: &ApiError) -> Option<Stop> {
        // What limits a connection or a read by the time that is left counts with clocks of its own.
        let is_due = || self.stop.remaining().is_some_and(|left| left <= EARLY);
        if error.class == ErrorClass::Timeout && is_due() { self.stop.sleep(EARLY) } else { self.stop.stopped() }
    }

    /// Says which host a failure is about.
    fn named(&self, error: ApiError) -> ApiError {
        let host = &self.endpoint.host;
        if error.message.starts_with(host.as_str()) {
            return error;
        }
        ApiError { message: format!("{host}: {}", error.message), ..error }
    }

    fn settle_connection(&mut self) {
        if let Some(rest) = self.rest.take() {
            self.http.reuse(rest, DRAIN);
        }
    }
}

fn stopped() -> ApiError {
    ApiError::new(ErrorClass::Cancelled, "the run was stopped")
}

/// What came of an attempt.
struct Arrived {
    ended: Ended,
    /// Something of it has been shown.
    shown: bool,
    /// A sink would not take it.
    refused: Option<Failure>,
}

impl Arrived {
    fn unshown(ended: Ended) -> Self {
        Self { ended, shown: false, refused: None }
    }
}

/// Passes the pieces of a reply on until the listener refuses one.
struct Tap<'a> {
    listener: &'a mut dyn Listener,
    shown: bool,
    refused: Option<Failure>,
}

impl Tap<'_> {
    fn take(&mut self, delta: Delta<'_>) {
        if self.refused.is_none() {
            match self.listener.delta(delta) {
                Ok(shown) => self.shown |= shown,
                Err(failure) => self.refused = Some(failure),
            }
        }
    }
}
