//! Giving up what a child does not need, for good: capabilities, the way to new ones, and more than its share.

use std::io;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::thread::{CapabilitySet, CapabilitySets};

/// Open files of one process.
const OPEN_FILES: u64 = 1024;
/// Bytes of one file.
const FILE_SIZE: u64 = 1 << 30;
/// Processes of the user, where the kernel counts them.
const PROCESSES: u64 = 4096;
/// Numbers above all capabilities that exist.
const CAPABILITIES: u32 = 64;
/// Root is a user like any other, and nothing changes that: `SECBIT_NOROOT`, `SECBIT_NO_SETUID_FIXUP` and
/// `SECBIT_NO_CAP_AMBIENT_RAISE`, each with its lock (linux/securebits.h).
const SECURE_BITS: libc::c_ulong = 0b1100_1111;

/// Drops all capabilities so that no program can have them again, and rules out new privileges.
pub(super) fn drop_all() -> io::Result<()> {
    for capability in 0..CAPABILITIES {
        // Beyond the last one, or without the right to do so; then there is nothing that could be had again either.
        #[expect(unsafe_code, reason = "the list of capabilities of the kernel is longer than that of any crate")]
        // SAFETY: a call without pointers.
        if unsafe { libc::prctl(libc::PR_CAPBSET_DROP, libc::c_ulong::from(capability), 0, 0, 0) } != 0 {
            break;
        }
    }
    #[expect(unsafe_code, reason = "no crate at hand sets all of these bits")]
    // SAFETY: a call without pointers. It fails without capabilities, and is not needed then.
    unsafe {
        libc::prctl(libc::PR_SET_SECUREBITS, SECURE_BITS, 0, 0, 0);
    }
    // Kernels without an ambient set have none to clear.
    let _ = rustix::thread::clear_ambient_capability_set();
    let none = CapabilitySet::empty();
    let none = CapabilitySets { effective: none, permitted: none, inheritable: none };
    rustix::thread::set_capabilities(None, none)?;
    rustix::thread::set_no_new_privs(true)?;
    Ok(())
}

/// Limits what one child can take. `memory` is for the data of one process, in bytes.
pub(super) fn limit(seconds: u64, memory: Option<u64>) -> io::Result<()> {
    lower(Resource::Core, 0)?;
    lower(Resource::Nofile, OPEN_FILES)?;
    lower(Resource::Fsize, FILE_SIZE)?;
    lower(Resource::Nproc, PROCESSES)?;
    lower(Resource::Cpu, seconds.saturating_mul(processors()).saturating_add(1))?;
    memory.map_or(Ok(()), |memory| lower(Resource::Data, memory))
}

/// A process with a thread on every processor uses its time faster than the clock.
fn processors() -> u64 {
    std::thread::available_parallelism().map_or(1, |count| count.get() as u64)
}

fn lower(resource: Resource, value: u64) -> io::Result<()> {
    let now = getrlimit(resource);
    let least = |limit: Option<u64>| Some(limit.map_or(value, |limit| limit.min(value)));
    Ok(setrlimit(resource, Rlimit { current: least(now.current), maximum: least(now.maximum) })?)
}
