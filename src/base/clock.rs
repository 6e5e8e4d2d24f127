//! The one door to time. Deadlines use the monotonic clock; only what people read uses the wall clock.
#![expect(clippy::disallowed_methods, reason = "this is the module that owns the clock")]

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// The monotonic time.
#[must_use]
pub fn now() -> Instant {
    Instant::now()
}

/// Sleeps. For threads that only watch: everything that works sleeps by `Stopper`.
pub fn pause(duration: Duration) {
    std::thread::sleep(duration);
}

/// Milliseconds since `start`.
#[must_use]
pub fn millis_since(start: Instant) -> u64 {
    u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX)
}

/// Milliseconds of a clock that never goes back and that all processes of this machine share.
#[must_use]
pub fn monotonic_millis() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // The C library knows the way to the clock already; rustix would look for it in this process's memory first.
    #[expect(unsafe_code, reason = "the standard library does not tell what its instants count from")]
    // SAFETY: the pointer is to a local of the right type.
    unsafe {
        libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut time);
    }
    u64::try_from(time.tv_sec * 1000 + time.tv_nsec / 1_000_000).unwrap_or(0)
}

/// Which start of the machine that clock counts from; empty where the system does not say.
#[must_use]
pub fn boot_id() -> String {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_owned()
}

/// Milliseconds of Unix time.
#[must_use]
pub fn unix_millis() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// The wall clock as HTTP writes dates.
#[must_use]
pub fn http_date() -> String {
    httpdate::fmt_http_date(SystemTime::now())
}

/// The wall clock in RFC 3339 with milliseconds and `Z`.
#[must_use]
pub fn rfc3339() -> String {
    humantime::format_rfc3339_millis(SystemTime::now()).to_string()
}

/// The Unix time in milliseconds that a text in RFC 3339 names.
#[must_use]
pub fn parse_rfc3339(text: &str) -> Option<u64> {
    let since = humantime::parse_rfc3339(text).ok()?.duration_since(UNIX_EPOCH).ok()?;
    u64::try_from(since.as_millis()).ok()
}
