//! Signals: the first asks the run to end, the second ends it. Dying of a signal is real, so that a shell sees it.

use std::io;
use std::sync::Arc;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGXFSZ};
use signal_hook::iterator::Signals;

use super::stop::Stopper;

/// Watches SIGINT, SIGTERM and, unless it was ignored at the start (`nohup`), SIGHUP on a thread of its own.
///
/// # Errors
/// No thread or no descriptor is left.
pub fn watch(stop: Stopper) -> io::Result<()> {
    let mut wanted = vec![SIGINT, SIGTERM];
    if !ignored(SIGHUP) {
        wanted.push(SIGHUP);
    }
    // A file size limit is to be an error of the write, not a death.
    signal_hook::flag::register(SIGXFSZ, Arc::default())?;
    let mut signals = Signals::new(wanted)?;
    std::thread::Builder::new().name("signals".to_owned()).stack_size(64 << 10).spawn(move || {
        for number in signals.forever() {
            if !stop.signal(number) {
                die(number);
            }
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

/// Whether `signal` was ignored when the program started.
fn ignored(signal: i32) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:")).map_or("0", str::trim);
    u64::from_str_radix(mask, 16).is_ok_and(|mask| mask >> (signal - 1) & 1 == 1)
}
