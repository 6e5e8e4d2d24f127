//! The fence around this program itself: a fault in its own handling of paths cannot leave it. It is best effort,
//! since what children may do does not rest on it.

use std::io;
use std::path::PathBuf;

use landlock::{ABI, Access as _, AccessFs, AccessNet, NetPort, Ruleset, RulesetAttr as _, RulesetCreatedAttr as _};

use super::fence::{Fence, changing, version};

/// The files that this program itself needs. What does not exist is passed over.
#[derive(Debug, Default)]
pub struct OwnFiles {
    /// Files and directories to read.
    pub read: Vec<PathBuf>,
    /// Files and directories to read and change.
    pub change: Vec<PathBuf>,
}

/// Keeps this thread, and all that it starts, to these files. Kernels without Landlock enforce nothing.
///
/// # Errors
/// The kernel refuses.
pub fn lock_files(files: &OwnFiles) -> io::Result<()> {
    if version() == 0 {
        return Ok(());
    }
    let reading = AccessFs::ReadFile | AccessFs::ReadDir;
    let mut fence = Fence::of_files_alone()?;
    for path in &files.read {
        fence.permit(path, reading)?;
    }
    for path in &files.change {
        fence.permit(path, reading | changing())?;
    }
    fence.enforce()
}

/// Keeps this thread, and all that it starts, to connections to these TCP ports. Kernels that cannot do so enforce
/// nothing.
///
/// # Errors
/// The kernel refuses.
pub fn lock_ports(ports: &[u16]) -> io::Result<()> {
    /// The first version that knows of ports.
    const PORTS: i64 = 4;
    if version() < PORTS {
        return Ok(());
    }
    let rules = Ruleset::default().handle_access(AccessNet::from_all(ABI::V4)).map_err(io::Error::other)?;
    let mut rules = rules.create().map_err(io::Error::other)?;
    for port in ports {
        rules = rules.add_rule(NetPort::new(*port, AccessNet::ConnectTcp)).map_err(io::Error::other)?;
    }
    rules.restrict_self().map(drop).map_err(io::Error::other)
}
