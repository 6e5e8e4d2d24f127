//! `--dry-run`: the request as it would be sent, what it may cost and what the model may do. Nothing is sent.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::base::text;
use crate::chat::estimate::Estimator;
use crate::chat::{Conversation, Usage};
use crate::cli::args::Format;
use crate::cli::model::Chosen;
use crate::cli::settings::Settings;
use crate::client::Endpoint;
use crate::form::Answer;
use crate::help;
use crate::toolbox::Built;
use crate::wire::{RequestBody, RequestHead, cost};

/// Shown in place of a key.
const REDACTED: &str = "[REDACTED]";

/// Everything there is to say of a request.
#[derive(Debug)]
pub struct Report<'a> {
    settings: &'a Settings,
    chosen: &'a Chosen,
    head: &'a RequestHead<'a>,
    built: &'a Built,
}

fn redacted(mut endpoint: Endpoint) -> Endpoint {
    for (name, value) in &mut endpoint.headers {
        if matches!(name.as_str(), "authorization" | "x-api-key" | "api-key") {
            REDACTED.clone_into(value);
        }
    }
    endpoint.headers.insert(0, ("content-type".to_owned(), "application/json".to_owned()));
    endpoint
}

/// The price of the request if it has a token for every two bytes, and the longest reply.
fn ceiling(chosen: &Chosen, head: &RequestHead<'_>, bytes: u64) -> Option<f64> {
    if chosen.is_free() {
        return Some(0.0);
    }
    let input = bytes / 2;
    // flux asks the service to cache the prompt, which costs more than not to.
    let cached = head.quirks.anthropic_service;
    let usage =
        Usage { input: Some(input), cache_write: cached.then_some(input), output: head.max_tokens, ..Usage::default() };
    cost(chosen.model?, &usage).map(|cost| cost.total())
}

impl<'a> Report<'a> {
    /// For this request, whose tools are these.
    #[must_use]
    pub fn new(settings: &'a Settings, chosen: &'a Chosen, head: &'a RequestHead<'a>, built: &'a Built) -> Self {
        Self { settings, chosen, head, built }
    }

    /// The report on the request for this conversation, as text or as JSON.
    #[must_use]
    pub fn answer(&self, conversation: &Conversation, format: Format) -> Answer {
        let mut request = RequestBody::default();
        let body = String::from_utf8_lossy(request.update(self.chosen.wire, self.head, conversation)).into_owned();
        let tokens = Estimator::default().tokens(request.weight());
        let text = match format {
            Format::Text => self.text(&body, tokens),
            Format::Json | Format::Jsonl => self.json(&body, tokens).to_string(),
        };
        Answer { text, ..Answer::default() }
    }

    fn text(&self, body: &str, tokens: u64) -> String {
        let Self { settings, chosen, head, built } = self;
        let endpoint = redacted(chosen.endpoint(settings));
        let line = |(name, value): &(String, String)| format!("{name}: {value}");
        let headers = endpoint.headers.iter().map(line).collect::<Vec<_>>().join("\n");
        let bytes = body.len() as u64;
        let cost = match (ceiling(chosen, head, bytes), settings.limits.cost) {
            (None, _) => "the price is not known".to_owned(),
            (Some(cost), None) => format!("at most ${cost:.4} for this request; --max-cost limits the run"),
            (Some(cost), Some(most)) => format!("at most ${cost:.4} for this request, ${most} for the run"),
        };
        format!(
            "POST {}\n{headers}\n\n{body}\n\nmodel:  {}/{}, window {}\ninput:  about {} tokens, {}\noutput: at most {} \
             tokens\ncost:   {cost}\n\n{}",
            endpoint.url,
            chosen.provider,
            chosen.model_id,
            chosen.window.map_or_else(|| "unknown".to_owned(), text::count),
            text::count(tokens),
            text::bytes(bytes),
            head.max_tokens.map_or_else(|| "any number of".to_owned(), text::count),
            help::tools(settings, built),
        )
    }

    fn json(&self, body: &str, tokens: u64) -> Value {
        let Self { settings, chosen, head, .. } = self;
        let endpoint = redacted(chosen.endpoint(settings));
        let (allow, deny) = settings.policy.words();
        json!({
            "method": "POST",
            "url": endpoint.url,
            "headers": endpoint.headers.into_iter().collect::<BTreeMap<_, _>>(),
            "body": serde_json::from_str::<Value>(body).unwrap_or_default(),
            "provider": chosen.provider,
            "model": chosen.model_id,
            "window": chosen.window,
            "bytes": body.len(),
            "estimated_tokens": tokens,
            "max_tokens": head.max_tokens,
            "max_cost_usd": ceiling(chosen, head, body.len() as u64),
            "tools": head.tools.iter().map(|tool| tool.name.as_ref()).collect::<Vec<_>>(),
            "permissions": {"allow": allow, "deny": deny},
        })
    }
}
