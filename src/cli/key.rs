//! Finding the key. A key goes only to the origin it is for.

use std::path::Path;
use std::time::Duration;

use super::settings::{KeySource, Settings};
use crate::base::env;
use crate::base::exit::Exit;
use crate::base::failure::{Failure, OrFail as _, Result};
use crate::base::files;
use crate::base::process;
use crate::base::secret::{Secret, looks_like_key};
use crate::base::stop::Stopper;
use crate::client::Base;
use crate::wire::Provider;
use crate::wire::providers::CUSTOM;

/// A key and how it is to be sent.
#[derive(Debug)]
pub(super) struct Key {
    pub secret: Secret,
    /// It is a token that goes into `authorization: Bearer`, whatever the provider's keys do.
    pub bearer: bool,
}

const LONGEST: usize = 64 << 10;
const PATIENCE: Duration = Duration::from_secs(120);

/// The key for a server: from where the user says, else from the provider's own variable if the server is the
/// provider's or on this machine.
pub(super) fn find(
    settings: &Settings,
    provider: &Provider,
    base: &Base,
    wire: &str,
    stop: &Stopper,
) -> Result<Option<Key>> {
    if let Some(source) = &settings.network.key {
        if matches!(source, KeySource::Command(_)) && settings.dry_run.is_some() {
            // The command may ask somebody, or a network.
            return Ok(Some(Key { secret: Secret::new("not asked for".to_owned()), bearer: false }));
        }
        let secret = named(source, stop)?;
        return Ok(Some(Key { secret, bearer: false }));
    }
    let own = settings.model.base_url.is_none() || !is_custom(provider);
    let names: &[&str] = match (own, provider.key_env) {
        (true, Some("ANTHROPIC_API_KEY")) => &["ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN"],
        (true, Some(name)) => &[name],
        (false, _) if base.is_loopback() && wire == "anthropic" => &["ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN"],
        (false, _) if base.is_loopback() => &["OPENAI_API_KEY"],
        _ => return Ok(None),
    };
    for name in names {
        if let Some(value) = env::var(name) {
            return check(&value, name).map(|secret| Some(Key { secret, bearer: *name == "ANTHROPIC_AUTH_TOKEN" }));
        }
    }
    if is_custom(provider) {
        return Ok(None);
    }
    let message = format!("no key for {}: set {}, or use --api-key-cmd or --api-key-file", provider.name, names[0]);
    Err(Failure::new(Exit::Config, message))
}

fn is_custom(provider: &Provider) -> bool {
    provider.name == CUSTOM.name
}

fn named(source: &KeySource, stop: &Stopper) -> Result<Secret> {
    match source {
        KeySource::Variable(name) => {
            if let Some(value) = env::var(name) {
                return check(&value, name);
            }
            // Not shown where it may be the key itself.
            let message = if looks_like_key(name) || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
                "--api-key-env takes the name of a variable".to_owned()
            } else {
                format!("--api-key-env {name}: the variable is not set")
            };
            Err(Failure::new(Exit::Config, message))
        }
        KeySource::File(path) => {
            let shown = shown(path);
            let missing = || Failure::new(Exit::Config, format!("--api-key-file {shown}: no such file"));
            let bytes = files::read_trusted(Path::new(path), LONGEST as u64)?.ok_or_else(missing)?;
            check(&String::from_utf8_lossy(&bytes), shown)
        }
        KeySource::Command(command) => {
            let words = shell_words::split(command).or_fail(Exit::Config, || "--api-key-cmd")?;
            printed(&words, stop)
        }
    }
}

/// The key that a command prints.
fn printed(words: &[String], stop: &Stopper) -> Result<Secret> {
    let output = process::output_of(words, LONGEST, PATIENCE, stop);
    if let Some(why) = stop.stopped() {
        return Err(why.into());
    }
    let exit = match &output {
        Err(error) if process::is_shortage(error) => Exit::Os,
        _ => Exit::Config,
    };
    let command = words.iter().map(|word| shown(word)).collect::<Vec<_>>().join(" ");
    let output = output.or_fail(exit, || format!("--api-key-cmd '{command}'"))?;
    check(&String::from_utf8_lossy(&output), "--api-key-cmd")
}

/// A word as it may be shown: one that looks like a key was meant to be one.
fn shown(word: &str) -> &str {
    if looks_like_key(word) { "…" } else { word }
}

/// A key is one line of printable characters; anything else would break the header that carries it.
fn check(value: &str, source: &str) -> Result<Secret> {
    let key = value.trim();
    if key.is_empty() {
        return Err(Failure::new(Exit::Config, format!("{source}: the key is empty")));
    }
    if !key.chars().all(|c| c.is_ascii_graphic()) {
        return Err(Failure::new(Exit::Config, format!("{source}: the key holds characters that no key has")));
    }
    Ok(Secret::new(key.to_owned()))
}
