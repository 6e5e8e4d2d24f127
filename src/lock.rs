//! What flux itself needs of the system once its input is read and its outputs are open: it is kept to that from then
//! on, so that a fault in its own handling of paths or addresses leads nowhere.

use std::path::{Path, PathBuf};

use crate::base::env;
use crate::base::exit::Exit;
use crate::base::failure::{Failure, Result};
use crate::cli::model::Chosen;
use crate::cli::rights::Files;
use crate::cli::settings::Settings;
use crate::report::AnswerFile;
use crate::sandbox::{self, OwnNeeds};

/// Names are looked up and certificates verified with the help of these.
const SYSTEM: &[&str] = &["/var/lib/ca-certificates", "/run/systemd/resolve", "/run/NetworkManager"];
/// Processors are counted by them.
const PROCESSORS: &[&str] = &["/sys/fs/cgroup", "/proc/self/cgroup", "/proc/self/mountinfo"];
/// What in them is often a link to somewhere else.
const LINKS: &[&str] =
    &["/etc/resolv.conf", "/etc/hosts", "/etc/nsswitch.conf", "/etc/ssl/certs", "/etc/pki/tls/certs"];
/// Devices that hold nothing.
const DEVICES: &[&str] = &["/dev/null", "/dev/random", "/dev/urandom"];
/// Where names are looked up over TCP.
const DNS: u16 = 53;

/// Keeps this run to the files and ports that it still needs.
///
/// # Errors
/// The kernel refuses, although it can do so.
pub fn lock(settings: &Settings, chosen: &Chosen, answer: Option<&AnswerFile>) -> Result<()> {
    let needs = needs(settings, chosen, answer)?;
    sandbox::lock(&needs).map_err(|error| Failure::new(Exit::Os, format!("flux cannot restrict itself: {error}")))
}

fn needs(settings: &Settings, chosen: &Chosen, answer: Option<&AnswerFile>) -> Result<OwnNeeds> {
    let (mut read, mut ports) = (Vec::new(), vec![chosen.port()?]);
    if !chosen.is_direct() {
        let system = sandbox::PROGRAMS.iter().chain([&sandbox::PUBLIC]).chain(SYSTEM).chain(DEVICES);
        read.extend(system.map(PathBuf::from));
        read.extend(LINKS.iter().filter_map(|link| Path::new(link).canonicalize().ok()));
        read.extend(["SSL_CERT_FILE", "SSL_CERT_DIR"].iter().filter_map(|name| env::var(name)).map(PathBuf::from));
        ports.push(DNS);
    }
    let mut change: Vec<PathBuf> = answer.and_then(AnswerFile::still_opens).map(Path::to_owned).into_iter().collect();
    // The directory of ledgers is made in it when there is something to put there.
    change.extend(env::runtime_dir());
    if let Files::Beneath(root) = &settings.files {
        read.extend(PROCESSORS.iter().map(PathBuf::from));
        read.extend_from_slice(settings.policy.places());
        let changes = settings.policy.may_write();
        if changes { change.push(root.clone()) } else { read.push(root.clone()) }
    }
    Ok(OwnNeeds { read, change, ports })
}
