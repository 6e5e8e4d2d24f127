//! Waiting for something that may never come, without hanging the whole suite.

use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

/// Gives what `work` gives; fails if that takes more than ten seconds.
#[track_caller]
pub fn in_time<T: Send + 'static>(what: &str, work: impl FnOnce() -> T + Send + 'static) -> T {
    let (sender, receiver) = channel();
    thread::spawn(move || drop(sender.send(work())));
    receiver.recv_timeout(Duration::from_secs(10)).unwrap_or_else(|_| panic!("waited ten seconds in vain for {what}"))
}
