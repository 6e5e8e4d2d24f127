//! Stopping a run from outside: a signal, the deadline of `--timeout`, or a reader who has gone. Everything that waits
//! asks here.

use std::io::{self, Write as _};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::clock;

/// What ends a run from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// A signal of this number.
    Signal(i32),
    /// The deadline of the whole run.
    Deadline,
    /// Nobody reads any more what the run writes.
    ReaderGone,
}

/// A shared handle on the end of the run.
#[derive(Clone)]
pub struct Stopper {
    inner: Arc<Inner>,
    deadline: Option<Instant>,
    /// What the run writes to a reader.
    written: Option<BorrowedFd<'static>>,
}

type Interrupt = Box<dyn Fn() + Send>;

struct Inner {
    /// The signal that came first; 0 for none.
    signal: AtomicI32,
    /// Readable as soon as a signal has come.
    woken: UnixStream,
    waker: UnixStream,
    /// What ends blocked network reads.
    interrupts: Mutex<Vec<Interrupt>>,
}

impl std::fmt::Debug for Stopper {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stopper").field("stopped", &self.stopped()).finish_non_exhaustive()
    }
}

impl Stopper {
    /// A handle that stops by itself after `timeout`.
    ///
    /// # Errors
    /// No descriptor is left.
    pub fn new(timeout: Option<Duration>) -> io::Result<Self> {
        let (woken, waker) = UnixStream::pair()?;
        waker.set_nonblocking(true)?;
        let inner = Inner { signal: AtomicI32::new(0), woken, waker, interrupts: Mutex::default() };
        let deadline = timeout.and_then(|t| clock::now().checked_add(t));
        Ok(Self { inner: Arc::new(inner), deadline, written: None })
    }

    /// Stops also when the reader of this pipe has gone.
    #[must_use]
    pub fn writing_to(self, written: BorrowedFd<'static>) -> Self {
        Self { written: Some(written), ..self }
    }

    /// Asks the run to end because of a signal. Returns false if one had come before.
    pub fn signal(&self, number: i32) -> bool {
        let first = self.inner.signal.compare_exchange(0, number, Ordering::SeqCst, Ordering::SeqCst).is_ok();
        if first {
            let _ = (&self.inner.waker).write(&[1]);
            for interrupt in self.inner.interrupts.lock().unwrap_or_else(PoisonError::into_inner).iter() {
                interrupt();
            }
        }
        first
    }

    /// Registers what ends a blocked network read when a signal comes, besides what is registered.
    pub fn on_signal(&self, interrupt: impl Fn() + Send + 'static) {
        let mut interrupts = self.inner.interrupts.lock().unwrap_or_else(PoisonError::into_inner);
        if self.inner.signal.load(Ordering::SeqCst) != 0 {
            interrupt();
        }
        interrupts.push(Box::new(interrupt));
    }

    /// Whether and why the run is to end.
    #[must_use]
    pub fn stopped(&self) -> Option<Stop> {
        match self.inner.signal.load(Ordering::SeqCst) {
            0 if self.is_reader_gone() => Some(Stop::ReaderGone),
            0 => self.deadline.is_some_and(|at| clock::now() >= at).then_some(Stop::Deadline),
            number => Some(Stop::Signal(number)),
        }
    }

    fn is_reader_gone(&self) -> bool {
        let Some(written) = self.written else { return false };
        let mut fds = [PollFd::from_borrowed_fd(written, PollFlags::empty())];
        poll(&mut fds, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })).is_ok() && fds[0].revents().contains(PollFlags::ERR)
    }

    /// Time left until the deadline.
    #[must_use]
    pub fn remaining(&self) -> Option<Duration> {
        self.deadline.map(|at| at.saturating_duration_since(clock::now()))
    }

    /// Sleeps, but no longer than the run lasts. Returns why the run ends, if it does.
    #[must_use]
    pub fn sleep(&self, duration: Duration) -> Option<Stop> {
        let until = clock::now() + duration;
        loop {
            let left = until.saturating_duration_since(clock::now());
            if left.is_zero() || self.stopped().is_some() {
                return self.stopped();
            }
            let _ = self.wait_for(None, left);
        }
    }

    /// Waits until `fd` can be read (or written, by `flags`), the run is to end, or `at_most` is over. Returns true
    /// if `fd` is ready.
    #[must_use]
    pub fn wait_for(&self, fd: Option<(BorrowedFd<'_>, PollFlags)>, at_most: Duration) -> bool {
        let wait = self.remaining().map_or(at_most, |left| left.min(at_most));
        let wait = Timespec {
            tv_sec: i64::try_from(wait.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: i64::from(wait.subsec_nanos()),
        };
        let woken = PollFd::from_borrowed_fd(self.inner.woken.as_fd(), PollFlags::IN);
        // Without flags it is only told that the reader has gone.
        let written = self.written.map_or(woken.clone(), |fd| PollFd::from_borrowed_fd(fd, PollFlags::empty()));
        let Some((fd, flags)) = fd else {
            let _ = poll(&mut [woken, written], Some(&wait));
            return false;
        };
        let mut fds = [PollFd::from_borrowed_fd(fd, flags), woken, written];
        poll(&mut fds, Some(&wait)).is_ok() && !fds[0].revents().is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sleep_ends_at_a_signal_and_at_the_deadline() {
        let stop = Stopper::new(None).unwrap();
        assert_eq!(stop.sleep(Duration::from_millis(1)), None);
        let other = stop.clone();
        let start = clock::now();
        std::thread::Builder::new().spawn(move || other.signal(2)).unwrap();
        assert_eq!(stop.sleep(Duration::from_secs(60)), Some(Stop::Signal(2)));
        assert!(start.elapsed() < Duration::from_secs(5));
        assert!(!stop.signal(15), "the second signal is not the first");
        let soon = Stopper::new(Some(Duration::from_millis(5))).unwrap();
        assert_eq!(soon.sleep(Duration::from_secs(60)), Some(Stop::Deadline));
    }

    #[test]
    fn a_sleep_ends_when_the_reader_goes() {
        let (reader, writer) = io::pipe().unwrap();
        let writer: &'static _ = Box::leak(Box::new(writer));
        let stop = Stopper::new(None).unwrap().writing_to(writer.as_fd());
        assert_eq!(stop.sleep(Duration::from_millis(1)), None);
        let start = clock::now();
        std::thread::Builder::new().spawn(move || drop(reader)).unwrap();
        assert_eq!(stop.sleep(Duration::from_secs(60)), Some(Stop::ReaderGone));
        assert!(start.elapsed() < Duration::from_secs(5));
    }
}
