//! Servers on this machine: finding one, and asking which models it has.

use std::time::Duration;

use serde_json::Value;

use crate::base::env;
use crate::base::exit::Exit;
use crate::base::failure::{Failure, Result};
use crate::base::secret::Secret;
use crate::base::stop::Stopper;
use crate::client::{Base, Http};
use crate::wire::ApiError;

/// A server on this machine answers at once, or is not there.
const PATIENCE: Duration = Duration::from_secs(2);

/// The address of Ollama's OpenAI-compatible API, by `OLLAMA_HOST` as Ollama itself reads it.
pub(super) fn ollama_url() -> String {
    let host = env::var("OLLAMA_HOST").unwrap_or_default();
    let host = host.trim().trim_end_matches('/');
    let (scheme, rest) = host.split_once("://").unwrap_or(("http", host));
    let default_port = match host.split_once("://") {
        Some(("http", _)) => "80",
        Some(("https", _)) => "443",
        _ => "11434",
    };
    let (name, port) = match rest.rsplit_once(':') {
        Some((name, port)) if !port.contains(']') => (name, port),
        _ => (rest, default_port),
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
            return Err(why.into());
        }
        let base = Base::parse(&url, "OLLAMA_HOST")?;
        if !base.is_loopback() && env::var("OLLAMA_HOST").is_none() {
            continue;
        }
        let http = http(&base)?;
        if document(&http, &base, path).as_ref().is_some_and(is_it) {
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

/// How many tokens the window of a model has, where the server tells: llama.cpp in `/props`, vLLM and LM Studio in the
/// list of models, Ollama for a model that it has loaded. A server that is silent is asked once.
pub(super) fn window(http: &Http, base: &Base, model: &str, key: Option<&Secret>) -> Option<u64> {
    type Read = fn(&Value, &str) -> Option<u64>;
    let places: [(String, Read); 3] = [
        (base.at_origin("/props"), |answer, _| answer["default_generation_settings"]["n_ctx"].as_u64()),
        (base.join("/models"), |answer, model| window_in_list(&answer["data"], model)),
        (base.at_origin("/api/ps"), |answer, model| window_in_list(&answer["models"], model)),
    ];
    let headers = authorization(key);
    for (url, read) in places {
        let (head, body) = http.get(&url, headers.as_slice(), PATIENCE).ok()?;
        let answer: Value = serde_json::from_str(&body).unwrap_or_default();
        if let Some(window) = read(&answer, model).filter(|window| head.status == 200 && *window > 0) {
            return Some(window);
        }
    }
    None
}

fn window_in_list(list: &Value, model: &str) -> Option<u64> {
    const NAMES: [&str; 5] =
        ["max_model_len", "loaded_context_length", "context_length", "context_window", "max_context_length"];
    let is_it = |entry: &&Value| ["id", "name", "model"].iter().any(|name| entry[*name] == model);
    let entry = list.as_array()?.iter().find(is_it)?;
    NAMES.iter().find_map(|name| entry[*name].as_u64()).or_else(|| entry["meta"]["n_ctx"].as_u64())
}

fn authorization(key: Option<&Secret>) -> Option<(String, String)> {
    key.map(|key| ("authorization".to_owned(), format!("Bearer {}", key.expose())))
}

/// The models that a server lists, in its order.
pub(super) fn models(http: &Http, base: &Base, key: Option<&Secret>) -> Result<Vec<String>> {
    let headers = authorization(key);
    let answer = http.get(&base.join("/models"), headers.as_slice(), PATIENCE);
    let (head, body) = answer.map_err(|error| Failure::from(&error).context(base.shown()))?;
    if head.status != 200 {
        return Err(Failure::from(&ApiError::from_response(&head, body.as_bytes())).context(base.shown()));
    }
    let answer: Value = serde_json::from_str(&body).unwrap_or_default();
    let listed = answer["data"].as_array().ok_or_else(|| {
        Failure::new(Exit::Protocol, format!("{}: no list of models: name one with -m", base.shown()))
    })?;
    Ok(listed.iter().filter_map(|model| model["id"].as_str()).map(str::to_owned).collect())
}

/// A document at the root of the origin, if it is there.
fn document(http: &Http, base: &Base, path: &str) -> Option<Value> {
    let (head, body) = http.get(&base.at_origin(path), &[], PATIENCE).ok()?;
    (head.status == 200).then(|| serde_json::from_str(&body).ok()).flatten()
}
