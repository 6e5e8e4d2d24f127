//! How the server is reached, as the flags say it: key, headers, trust, patience.

use std::path::PathBuf;
use std::time::Duration;

use super::args::Ask;
use super::settings::usage;
use crate::base::failure::Result;
use crate::client::OwnLimits;

/// Where the key comes from, if not from the provider's own variable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeySource {
    /// The output of a command.
    Command(String),
    /// The content of a file.
    File(String),
    /// A variable.
    Variable(String),
}

/// How the server is reached.
#[derive(Debug)]
pub struct NetworkSettings {
    /// Where the key comes from.
    pub key: Option<KeySource>,
    /// `--header`, as name and value.
    pub headers: Vec<(String, String)>,
    /// Plain http is allowed to any host.
    pub allow_http: bool,
    /// `--ca-file`
    pub ca_file: Option<PathBuf>,
    /// Attempts after the first.
    pub retries: u32,
    /// `--rpm` and `--tpm`
    pub own_limits: OwnLimits,
    /// What is known of rate limits is shared with other runs.
    pub share_limits: bool,
    /// The most time without a byte.
    pub idle_timeout: Duration,
}

/// Settles the flags.
///
/// # Errors
/// A header is none, or not the user's to set.
pub(super) fn settle(ask: &Ask) -> Result<NetworkSettings> {
    let args = &ask.network;
    let key = match (&args.api_key_cmd, &args.api_key_file, &args.api_key_env) {
        (Some(command), _, _) => Some(KeySource::Command(command.clone())),
        (_, Some(file), _) => Some(KeySource::File(file.clone())),
        (_, _, Some(name)) => Some(KeySource::Variable(name.clone())),
        _ => None,
    };
    Ok(NetworkSettings {
        key,
        headers: args.header.iter().map(|text| header(text)).collect::<Result<_>>()?,
        allow_http: args.allow_http,
        ca_file: args.ca_file.as_ref().map(PathBuf::from),
        retries: args.retries.unwrap_or(4),
        own_limits: OwnLimits {
            requests: args.rpm.filter(|limit| *limit > 0),
            tokens: args.tpm.filter(|limit| *limit > 0),
        },
        share_limits: !args.no_shared_limits,
        idle_timeout: args.idle_timeout.unwrap_or(Duration::from_secs(300)),
    })
}

fn header(text: &str) -> Result<(String, String)> {
    const FRAMING: &[&str] =
        &["connection", "content-length", "content-type", "expect", "host", "te", "transfer-encoding", "upgrade"];
    const KEYS: &[&str] = &["authorization", "x-api-key", "api-key", "proxy-authorization", "cookie"];
    let (name, value) = text.split_once(':').ok_or_else(|| usage("--header takes 'NAME: VALUE'"))?;
    let (name, value) = (name.trim(), value.trim());
    let token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    if name.is_empty() || !name.chars().all(token) || value.chars().any(char::is_control) {
        return Err(usage(format!("--header {name}: not a header")));
    }
    if FRAMING.contains(&name.to_ascii_lowercase().as_str()) {
        return Err(usage(format!("--header {name}: flux sets it itself")));
    }
    if KEYS.contains(&name.to_ascii_lowercase().as_str()) {
        return Err(usage(format!("--header {name}: keys come from --api-key-env, --api-key-file or --api-key-cmd")));
    }
    Ok((name.to_ascii_lowercase(), value.to_owned()))
}
