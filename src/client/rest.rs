//! What follows the end marker of a reply: it is read so that the connection can be used again, though only as long as
//! that is faster than a new one. Knows connections, not what is said on them.

use std::io::{self, Read as _};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use ureq::unversioned::transport::{Buffers, ConnectionDetails, Connector, NextTimeout, Transport};
use ureq::{BodyReader, Error};

use crate::base::clock;

/// More than this is not read: the connection is given up.
const LIMIT: u64 = 64 << 10;

/// A connection that was idle for so long may be dead without a sign of it.
pub(super) const MAX_IDLE: Duration = Duration::from_secs(600);

/// The rest of a reply, unread.
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

    /// Reads it to its end, where the connection goes back to the pool. What takes longer than `at_most` is given up, and
    /// so is a connection that was idle for too long meanwhile: the pool would take it for one just used.
    pub(super) fn read(self, cutoff: &Cutoff, at_most: Duration) {
        if self.since.elapsed() < MAX_IDLE {
            cutoff.set(Some(clock::now() + at_most));
            let _ = io::copy(&mut self.body.take(LIMIT), &mut io::sink());
            cutoff.set(None);
        }
    }
}

/// When reads of an agent's connections end, while there is such a time.
#[derive(Debug, Clone, Default)]
pub(super) struct Cutoff(Arc<Mutex<Option<Instant>>>);

impl Cutoff {
    fn set(&self, end: Option<Instant>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = end;
    }

    fn applied_to(&self, timeout: NextTimeout) -> NextTimeout {
        let Some(end) = *self.0.lock().unwrap_or_else(PoisonError::into_inner) else { return timeout };
        let left = end.saturating_duration_since(clock::now());
        NextTimeout { after: (*timeout.after).min(left).into(), ..timeout }
    }
}

impl<In: Transport> Connector<In> for Cutoff {
    type Out = Limited<In>;

    fn connect(&self, _: &ConnectionDetails<'_>, chained: Option<In>) -> Result<Option<Self::Out>, Error> {
        Ok(chained.map(|inner| Limited { inner, cutoff: self.clone() }))
    }
}

/// A connection whose reads heed a [`Cutoff`].
#[derive(Debug)]
pub(super) struct Limited<T> {
    inner: T,
    cutoff: Cutoff,
}

impl<T: Transport> Transport for Limited<T> {
    fn buffers(&mut self) -> &mut dyn Buffers {
        self.inner.buffers()
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        self.inner.transmit_output(amount, timeout)
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        self.inner.await_input(self.cutoff.applied_to(timeout))
    }

    fn is_open(&mut self) -> bool {
        self.inner.is_open()
    }

    fn is_tls(&self) -> bool {
        self.inner.is_tls()
    }
}
