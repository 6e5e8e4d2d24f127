//! What the HTTP client does not tell of its connections: whether a request went over one that was kept, whether an
//! answer to it had begun; and how long the rest of a reply may hold up the next request. Knows nothing of what is said.

use std::io::{self, Read as _};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ureq::unversioned::transport::{Buffers, ConnectionDetails, Connector, DefaultConnector, NextTimeout, Transport};
use ureq::{BodyReader, Error};

use crate::base::clock;

/// More than this is not read: the connection is given up.
const LIMIT: u64 = 64 << 10;

/// A connection that had died before a request says so within so long; one that ends later may have been at work on it.
const SOON: Duration = Duration::from_secs(2);

/// A connection that was idle for so long may be dead without a sign of it.
pub(super) const MAX_IDLE: Duration = Duration::from_secs(600);

/// What follows the end marker of a reply. Once it is read, the connection can be used again.
pub(super) struct Rest {
    body: BodyReader<'static>,
    /// When the end marker came.
    since: Instant,
}

impl std::fmt::Debug for Rest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rest").finish_non_exhaustive()
    }
}

impl Rest {
    pub(super) fn new(body: BodyReader<'static>) -> Self {
        Self { body, since: clock::now() }
    }
}

/// The connections of an agent, which it opens by way of this. Clones share what is known.
#[derive(Debug, Clone, Default)]
pub(super) struct Connections(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    /// How many were begun, whether or not they came about.
    opened: u64,
    /// Something has come since the last request.
    heard: bool,
    /// When reads end, while there is such a time.
    cutoff: Option<Instant>,
}

/// The moment before a request.
#[derive(Debug, Clone, Copy)]
pub(super) struct Mark {
    opened: u64,
    at: Instant,
}

impl Connections {
    /// A request is about to be sent.
    pub(super) fn mark(&self) -> Mark {
        let mut state = self.state();
        state.heard = false;
        Mark { opened: state.opened, at: clock::now() }
    }

    /// Whether the request since then, which has just failed, went to a connection that was kept and had died.
    pub(super) fn had_died(&self, mark: Mark) -> bool {
        let state = self.state();
        state.opened == mark.opened && !state.heard && mark.at.elapsed() < SOON
    }

    /// Reads a rest to its end, where the connection goes back to the pool. What takes longer than `at_most` is given up,
    /// and so is a connection that was idle for too long meanwhile: the pool would take it for one just used.
    pub(super) fn read(&self, rest: Rest, at_most: Duration) {
        if rest.since.elapsed() < MAX_IDLE {
            self.state().cutoff = Some(clock::now() + at_most);
            let _ = io::copy(&mut rest.body.take(LIMIT), &mut io::sink());
            self.state().cutoff = None;
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn limit(&self, timeout: NextTimeout) -> NextTimeout {
        let Some(cutoff) = self.state().cutoff else { return timeout };
        let left = cutoff.saturating_duration_since(clock::now());
        NextTimeout { after: (*timeout.after).min(left).into(), ..timeout }
    }
}

/// Opens connections as the HTTP client does by itself.
#[derive(Debug)]
pub(super) struct Opening {
    by_default: DefaultConnector,
    all: Connections,
}

impl Opening {
    pub(super) fn new(all: &Connections) -> Self {
        Self { by_default: DefaultConnector::default(), all: all.clone() }
    }
}

impl Connector<()> for Opening {
    type Out = Connection;

    fn connect(&self, details: &ConnectionDetails<'_>, chained: Option<()>) -> Result<Option<Self::Out>, Error> {
        self.all.state().opened += 1;
        let inner = self.by_default.connect(details, chained)?;
        Ok(inner.map(|inner| Connection { inner, all: self.all.clone() }))
    }
}

/// One of them. Behind a proxy there is one within another.
#[derive(Debug)]
pub(super) struct Connection {
    inner: Box<dyn Transport>,
    all: Connections,
}

impl Transport for Connection {
    fn buffers(&mut self) -> &mut dyn Buffers {
        self.inner.buffers()
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        self.inner.transmit_output(amount, timeout)
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        let heard = self.all.state().heard;
        let more = self.inner.await_input(self.all.limit(timeout))?;
        // What the inner one has heard may be no more than the outer one's encryption.
        self.all.state().heard = heard || more;
        Ok(more)
    }

    fn is_open(&mut self) -> bool {
        self.inner.is_open()
    }

    fn is_tls(&self) -> bool {
        self.inner.is_tls()
    }
}
