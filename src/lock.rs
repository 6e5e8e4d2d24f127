//! What flux itself needs of the system once its input is read and its outputs are open: it is kept to that from then
//! on, so that a fault in its own handling of paths or addresses leads nowhere.

use std::path::{Path, PathBuf};

use crate::base::env;
use crate::base::exit::Exit;
use crate::base::failure::{Failure, Result};
use crate::cli::model::Chosen;
use crate::cli::rights::Files;
use crate::cli::settings::Settings;
use crate::client::LEDGERS;
use crate::report::AnswerFile;
use crate::sandbox::{self, OwnNeeds};

/// Names are looked up, certificates verified and processors counted with the help of these.
const SYSTEM: &[&str] =
    &["/etc", "/usr", "/lib", "/lib64", "/run/systemd/resolve", "/run/NetworkManager", "/sys/fs/cgroup", "/proc"];
/// Devices that hold nothing.
const DEVICES: &[&str] = &["/dev/null", "/dev/random", "/dev/urandom"];
/// Where names are looked up over TCP.
const DNS: u16 = 53;

/// Keeps this run to the files and ports that it still needs.
///
/// # Errors
/// The kernel refuses, although it can do so.
pub fn lock(settings: &Settings, chosen: &Chosen, answer: Option<&AnswerFile>) -> Result<()> {
    let needs = needs(settings, chosen.port()?, answer);
    sandbox::lock(&needs).map_err(|error| Failure::new(Exit::Os, format!("flux cannot restrict itself: {error}")))
}

fn needs(settings: &Settings, port: u16, answer: Option<&AnswerFile>) -> OwnNeeds {
    let mut read: Vec<PathBuf> = SYSTEM.iter().chain(DEVICES).map(PathBuf::from).collect();
    read.extend(["SSL_CERT_FILE", "SSL_CERT_DIR"].iter().filter_map(|name| env::var(name)).map(PathBuf::from));
    let mut change: Vec<PathBuf> = answer.and_then(AnswerFile::still_opens).map(Path::to_owned).into_iter().collect();
    change.extend(env::runtime_dir().map(|directory| directory.join(LEDGERS)));
    if let Files::Beneath(root) = &settings.files {
        read.extend_from_slice(settings.policy.places());
        let changes = settings.policy.may_write();
        if changes { change.push(root.clone()) } else { read.push(root.clone()) }
    }
    OwnNeeds { read, change, ports: vec![port, DNS] }
}
