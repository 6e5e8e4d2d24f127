//! Servers on this machine: finding one, and asking which models it has.

use std::time::Duration;

use serde_json::Value;

use crate::base::env;
use crate::base::exit::Exit;
use crate::base::failure::{Failure, Result};
use crate::base::secret::Secret;
use crate::base::stop::Stopper;
use crate::client::{Base, Http};

/// A server on this machine answers at once, or is not there.
const PATIENCE: Duration = Duration::from_secs(2);

/// The address of Ollama's OpenAI-compatible API, by `OLLAMA_HOST` as Ollama itself reads it.
pub(super) fn ollama_url() -> String {
    let host = env::var("OLLAMA_HOST").unwrap_or_default();
    let host = host.trim().trim_end_matches('/');
    let (scheme, rest) = host.split_once("://").unwrap_or(("http", host));
    let (name, port) = match rest.rsplit_once(':') {
        Some((name, port)) if !port.contains(']') => (name, port),
        _ => (rest, "11434"),
    };
    let name = match name {
        "" | "0.0.0.0" => "127.0.0.1",
        "[::]" => "[::1]",
        name => name,
    };
    format!("{scheme}://{name}:{port}/v1")
}

/// What was found: the provider's name, the address and the models it lists.
pub(super) type Found = (&'static str, Base, Vec<String>);

/// Looks for Ollama and llama.cpp where they usually listen. A server must say what it is before it is sent anything.
pub(super) fn find(http: &dyn Fn(&Base) -> Result<Http>, stop: &Stopper) -> Result<Option<Found>> {
    let candidates = [
        ("ollama", ollama_url(), "/api/version", is_ollama as fn(&Value) -> bool),
        ("llamacpp", "http://127.0.0.1:8080/v1".to_owned(), "/props", is_llamacpp),
    ];
    for (name, url, path, is_it) in candidates {
        if let Some(why) = stop.stopped() {
            return Err(crate::agent::stopped(why));
        }
        let base = Base::parse(&url, "OLLAMA_HOST")?;
        if !base.is_loopback() && env::var("OLLAMA_HOST").is_none() {
            continue;
        }
        let http = http(&base)?;
        if get(&http, &base.at_origin(path), None).as_ref().is_some_and(is_it) {
            let models = models(&http, &base, None)?;
            return Ok(Some((name, base, models)));
        }
    }
    Ok(None)
}

fn is_ollama(answer: &Value) -> bool {
    answer["version"].is_string()
}

fn is_llamacpp(answer: &Value) -> bool {
    answer["default_generation_settings"].is_object()
}

/// The models that a server lists, in its order.
pub(super) fn models(http: &Http, base: &Base, key: Option<&Secret>) -> Result<Vec<String>> {
    let url = base.join("/models");
    let answer = get(http, &url, key);
    let missing = || Failure::new(Exit::Temporary, format!("{url}: no list of models: is the server running?"));
    let answer = answer.ok_or_else(missing)?;
    let ids = answer["data"].as_array().into_iter().flatten().filter_map(|model| model["id"].as_str());
    Ok(ids.map(str::to_owned).collect())
}

fn get(http: &Http, url: &str, key: Option<&Secret>) -> Option<Value> {
    let headers = key.map(|key| ("authorization".to_owned(), format!("Bearer {}", key.expose())));
    let (head, body) = http.get(url, headers.as_slice(), PATIENCE).ok()?;
    (head.status == 200).then(|| serde_json::from_str(&body).ok()).flatten()
}
