//! Signals: the first asks the run to end, the second ends it. Dying of a signal is real, so that a shell sees it.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGXFSZ};
use signal_hook::iterator::Signals;

use super::stop::Stopper;

/// How long a run that a signal has asked to end may take for it.
const GRACE: Duration = Duration::from_millis(400);

/// Watches SIGINT, SIGTERM and SIGHUP on a thread of its own, but none that was ignored at the start (`nohup`, a
/// background job of a shell). `last` is what is to be done before a signal ends the process at once; it must be short.
///
/// # Errors
/// No thread or no descriptor is left.
pub fn watch(stop: Stopper, last: impl Fn(i32) + Send + Sync + 'static) -> io::Result<()> {
    let last = Arc::new(last);
    unblock();
    let wanted = [SIGINT, SIGTERM, SIGHUP].into_iter().filter(|signal| !is_ignored(*signal));
    // A file size limit is to be an error of the write, not a death.
    signal_hook::flag::register(SIGXFSZ, Arc::default())?;
    let mut signals = Signals::new(wanted)?;
    std::thread::Builder::new().name("signals".to_owned()).stack_size(64 << 10).spawn(move || {
        for number in signals.forever() {
            if !stop.signal(number) {
                last(number);
                die(number);
            }
            // What cannot be told to end (opening a pipe, connecting) must not hold up the end of the run.
            let last = Arc::clone(&last);
            let watch = move || {
                super::clock::pause(GRACE);
                last(number);
                die(number)
            };
            let _ = std::thread::Builder::new().name("grace".to_owned()).stack_size(64 << 10).spawn(watch);
        }
    })?;
    Ok(())
}

/// Ends the process by the default action of signal `number`; as PID 1, where the kernel ignores that, by exiting
/// with 128 + `number`.
pub fn die(number: i32) -> ! {
    if std::process::id() != 1 {
        let _ = signal_hook::low_level::emulate_default_handler(number);
    }
    signal_hook::low_level::exit(128 + number)
}

/// Ends the process at once with this code, without running what is registered for its end: in a fork that would be
/// the business of the original.
pub fn exit(code: i32) -> ! {
    signal_hook::low_level::exit(code)
}

/// Gives every signal its default action and lets all of them through, whatever the parent process had set; but a pipe
/// without a reader stays an error of the write.
#[expect(unsafe_code, reason = "no crate at hand resets what was inherited")]
pub fn reset() {
    // SAFETY: no handler is installed, no other thread runs; numbers that name no signal are refused by the system.
    unsafe {
        for signal in (1..=64).filter(|signal| *signal != libc::SIGPIPE) {
            libc::signal(signal, libc::SIG_DFL);
        }
        let mut set = std::mem::zeroed();
        libc::sigemptyset(&raw mut set);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const set, std::ptr::null_mut());
    }
}

/// Lets signals through that the parent had blocked.
#[expect(unsafe_code, reason = "no crate at hand changes the signal mask")]
fn unblock() {
    // SAFETY: the set is a local that sigemptyset initialises; no other thread runs yet.
    unsafe {
        let mut set = std::mem::zeroed();
        libc::sigemptyset(&raw mut set);
        for signal in [SIGINT, SIGTERM, SIGHUP] {
            libc::sigaddset(&raw mut set, signal);
        }
        libc::sigprocmask(libc::SIG_UNBLOCK, &raw const set, std::ptr::null_mut());
    }
}

/// Whether the parent has had this signal ignored.
#[expect(unsafe_code, reason = "no crate at hand asks for it")]
fn is_ignored(signal: i32) -> bool {
    // SAFETY: the structure is a local of the right type, for which zero is a value; nothing is changed.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        libc::sigaction(signal, std::ptr::null(), &raw mut action) == 0 && action.sa_sigaction == libc::SIG_IGN
    }
}
