//! The fence around this program itself: a fault in its own handling of paths cannot leave it. It is best effort,
//! since what children may do does not rest on it.

use std::io;
use std::path::PathBuf;

use landlock::AccessFs;

use super::fence::{Fence, changing, version};

/// What this program itself needs. Files that do not exist are passed over.
#[derive(Debug, Default)]
pub struct OwnNeeds {
    /// Files and directories to read.
    pub read: Vec<PathBuf>,
    /// Files and directories to read and change.
    pub change: Vec<PathBuf>,
    /// TCP ports to connect to.
    pub ports: Vec<u16>,
}

/// Keeps this thread, and all that it starts, to these files and ports, as far as the kernel can do so.
///
/// # Errors
/// The kernel refuses.
pub fn lock(needs: &OwnNeeds) -> io::Result<()> {
    if version() == 0 {
        return Ok(());
    }
    let reading = AccessFs::ReadFile | AccessFs::ReadDir;
    let mut fence = Fence::of_program()?;
    needs.read.iter().try_for_each(|path| fence.permit(path, reading))?;
    needs.change.iter().try_for_each(|path| fence.permit(path, reading | changing()))?;
    needs.ports.iter().try_for_each(|port| fence.permit_port(*port))?;
    fence.enforce()
}

/// Keeps other processes of the same user, and the disk, from what is in this one's memory: no dump, no debugger.
pub fn conceal() {
    use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};
    // Best effort: the key is also nowhere that a child could look.
    let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
    let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
}
