//! Who is asked: provider, model, address and key, from flags, environment and a look at this machine.

use std::time::Duration;

use super::key;
use super::local;
use super::settings::{ModelSettings, Settings};
use crate::agent::{AskWindow, Output, UNKNOWN_WINDOW};
use crate::base::env;
use crate::base::exit::Exit;
use crate::base::failure::{Failure, Result};
use crate::base::secret::Secret;
use crate::base::stop::Stopper;
use crate::base::text;
use crate::chat::ToolSpec;
use crate::cli::input::Opening;
use crate::client::{
    Client, Endpoint, Http, HttpOptions, Ledger, ProxyEnv, RetryPolicy, Trust, is_loopback, proxy_port,
};
use crate::report::Messages;
use crate::wire::{self, Model, Provider, Quirks, RequestHead, ToolChoice, Wire, models, providers};

use crate::client::Base;

const MOST_OUTPUT: u64 = 32_000;

/// Who is asked, and how.
#[derive(Clone)]
pub struct Chosen {
    /// The provider's name.
    pub provider: String,
    /// The model, as the server knows it.
    pub model_id: String,
    /// What is known of the model.
    pub model: Option<&'static Model>,
    /// The API that the server speaks.
    pub wire: &'static dyn Wire,
    /// Where the server departs from that API.
    pub quirks: Quirks,
    /// The address that the wire's path is added to.
    pub base_url: String,
    /// The model's window in tokens, where it is known or given.
    pub window: Option<u64>,
    /// Everything that nobody may see.
    pub secrets: Vec<Secret>,
    base: Base,
    key: Option<Secret>,
}

/// A provider and an address, before the model is settled.
struct Server {
    provider: &'static Provider,
    name: String,
    base: Base,
    wire: &'static dyn Wire,
    quirks: Quirks,
    /// The server was found by looking, and lists these models.
    listed: Vec<String>,
}

/// Decides who is asked.
///
/// # Errors
/// No model, no key or no address can be told.
pub fn choose(settings: &Settings, stop: &Stopper, messages: &mut Messages) -> Result<Chosen> {
    let wanted = &settings.model;
    let (server, model_id) = match (&wanted.base_url, wanted.model.as_deref()) {
        (Some(url), model) => (at_base_url(url, wanted)?, model.map(str::to_owned)),
        (None, Some("local")) => found_locally(settings, stop)?,
        (None, Some(name)) => named(name, wanted)?,
        (None, None) => default_choice(settings, stop, messages)?,
    };
    let base = &server.base;
    if !base.is_https() && !base.is_loopback() && !settings.network.allow_http {
        let message = format!("{}: plain http only to this machine; --allow-http permits it", base.shown());
        return Err(Failure::new(Exit::Config, message));
    }
    let key = match key::find(settings, server.provider, base, server.wire.name(), stop) {
        Err(_) if settings.dry_run.is_some() => None,
        key => key?,
    };
    let model_id = match model_id {
        Some(id) => id,
        None => default_model(&server, settings, key.as_ref(), stop)?,
    };
    if wanted.params.seed.is_some() && server.wire.name() != "openai-chat" {
        let message = format!("--seed: the {} API has no such option", server.wire.name());
        return Err(Failure::new(Exit::Usage, message));
    }
    let mut chosen = settle(server, model_id, key, wanted);
    // The window decides of more than pruning, and a server that is named as a local one tells it at once.
    if settings.dry_run.is_none()
        && providers::named(&chosen.provider).is_some_and(|provider| provider.is_local)
        && let Some(ask) = chosen.ask_window(settings, stop)
    {
        chosen.window = ask();
    }
    Ok(chosen)
}

fn settle(server: Server, model_id: String, key: Option<key::Key>, wanted: &ModelSettings) -> Chosen {
    let model = models::lookup(server.provider.name, &model_id);
    let mut quirks = server.quirks;
    if key.as_ref().is_some_and(|key| key.bearer) {
        quirks.auth = wire::Auth::Bearer;
    }
    let key = key.map(|key| key.secret);
    Chosen {
        provider: server.name,
        window: wanted.window.or_else(|| model.and_then(|model| model.window)),
        model,
        model_id,
        wire: server.wire,
        quirks,
        base_url: server.base.shown(),
        secrets: key.iter().cloned().chain(server.base.secrets()).collect(),
        base: server.base,
        key,
    }
}

/// The server at `--base-url`: a listed provider if the address is that provider's, else a custom one.
fn at_base_url(url: &str, wanted: &ModelSettings) -> Result<Server> {
    let base = Base::parse(url, "--base-url")?;
    let custom = &providers::CUSTOM;
    let provider = providers::PROVIDERS.iter().find(|provider| serves(provider, &base)).unwrap_or(custom);
    let mut quirks = provider.quirks;
    let wire_name = wanted.wire.as_deref().unwrap_or(provider.wire);
    if wire_name == "anthropic" && provider.name == custom.name {
        quirks.auth = wire::Auth::XApiKey;
    }
    Ok(Server {
        provider,
        name: provider.name.to_owned(),
        wire: known_wire(wire_name)?,
        base,
        quirks,
        listed: Vec::new(),
    })
}

/// Whether an address is a hosted provider's own.
fn serves(provider: &Provider, base: &Base) -> bool {
    let own = provider.base_url.and_then(|url| Base::parse(url, "").ok());
    let azure = provider.name == "azure" && base.host().ends_with(".openai.azure.com");
    !provider.is_local && (azure || own.is_some_and(|own| own.same_origin(base)))
}

fn known_wire(name: &str) -> Result<&'static dyn Wire> {
    wire::named(name).ok_or_else(|| Failure::new(Exit::Usage, format!("--wire {name}: no such wire")))
}

/// `PROVIDER/MODEL`, `PROVIDER` or a listed `MODEL`.
fn named(name: &str, wanted: &ModelSettings) -> Result<(Server, Option<String>)> {
    if let Some((provider, model)) = name.split_once('/')
        && let Some(provider) = providers::named(provider)
        && !model.is_empty()
    {
        return Ok((at_provider(provider, wanted)?, Some(model.to_owned())));
    }
    if let Some(provider) = providers::named(name) {
        return Ok((at_provider(provider, wanted)?, None));
    }
    if let Some(model) = models::find(name) {
        let provider = providers::named(model.provider).unwrap_or(&providers::CUSTOM);
        return Ok((at_provider(provider, wanted)?, Some(name.to_owned())));
    }
    let near = models::nearest(name).iter().map(|model| model.id).collect::<Vec<_>>().join(", ");
    let near = if near.is_empty() { String::new() } else { format!(": did you mean {near}?") };
    let (exit, from) =
        if wanted.typed { (Exit::Usage, "") } else { (Exit::Config, " (FLUX_MODEL, profile or config)") };
    let message = format!("-m {name}{from}: not a listed model{near}; others: PROVIDER/MODEL, or --base-url");
    Err(Failure::new(exit, message))
}

fn at_provider(provider: &'static Provider, wanted: &ModelSettings) -> Result<Server> {
    let (url, source) = provider_url(provider);
    let url = url.ok_or_else(|| {
        Failure::new(Exit::Config, format!("{}: it has no common address: add --base-url", provider.name))
    })?;
    let base = Base::parse(&url, source)?;
    Ok(Server {
        provider,
        name: provider.name.to_owned(),
        wire: known_wire(wanted.wire.as_deref().unwrap_or(provider.wire))?,
        // The newest API version and prompt caching are the service's own.
        quirks: Quirks {
            anthropic_service: provider.quirks.anthropic_service && serves(provider, &base),
            ..provider.quirks
        },
        base,
        listed: Vec::new(),
    })
}

/// The provider's address, and the variable it comes from where there is one.
fn provider_url(provider: &Provider) -> (Option<String>, &'static str) {
    let official = match provider.name {
        "anthropic" => "ANTHROPIC_BASE_URL",
        "openai" => "OPENAI_BASE_URL",
        "azure" => {
            let resource = env::var("AZURE_OPENAI_ENDPOINT");
            return (resource.map(|url| format!("{}/openai/v1", url.trim_end_matches('/'))), "AZURE_OPENAI_ENDPOINT");
        }
        "ollama" => return (Some(local::ollama_url()), "OLLAMA_HOST"),
        _ => return (provider.base_url.map(str::to_owned), ""),
    };
    (env::var(official).or_else(|| provider.base_url.map(str::to_owned)), official)
}

/// Nothing was named: the provider whose key is set, else a server on this machine.
fn default_choice(settings: &Settings, stop: &Stopper, messages: &mut Messages) -> Result<(Server, Option<String>)> {
    let wanted = &settings.model;
    let with_key = [("anthropic", ["ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN"]), ("openai", ["OPENAI_API_KEY"; 2])];
    for (name, variables) in with_key {
        if variables.iter().any(|variable| env::var(variable).is_some())
            && let Some(provider) = providers::named(name)
        {
            return Ok((at_provider(provider, wanted)?, None));
        }
    }
    let (server, model) = found_locally(settings, stop).map_err(|failure| match failure.exit {
        Exit::Config => no_key(),
        _ => failure,
    })?;
    let model_name = model.as_deref().unwrap_or_default();
    let name = if server.name == "llamacpp" { "llama.cpp" } else { &server.name };
    let address = server.base.shown();
    messages.note(format!("no model named, no key set: asking {name} at {address} for {model_name} (-m local)"));
    Ok((server, model))
}

fn no_key() -> Failure {
    Failure::new(Exit::Config, "no model named, no key set, and no local server found").advice(
        "  set ANTHROPIC_API_KEY or OPENAI_API_KEY (or --api-key-cmd 'pass show openai' with -m openai),\n  or start ollama or llama.cpp, or name a server: --base-url URL -m MODEL",
    )
}

fn found_locally(settings: &Settings, stop: &Stopper) -> Result<(Server, Option<String>)> {
    stay_offline(settings)?;
    let found = local::find(&|base: &Base| http(base, settings, stop), stop)?;
    let missing = || Failure::new(Exit::Config, "no local server: start ollama or llama.cpp");
    let (name, base, models) = found.ok_or_else(missing)?;
    let provider = providers::named(name).unwrap_or(&providers::CUSTOM);
    let mut server = Server {
        provider,
        name: name.to_owned(),
        base,
        wire: known_wire(settings.model.wire.as_deref().unwrap_or(provider.wire))?,
        quirks: provider.quirks,
        listed: models,
    };
    let first = (!server.listed.is_empty()).then(|| server.listed.swap_remove(0));
    let empty = || Failure::new(Exit::Config, format!("{name} at {} has no model: pull one", server.base.shown()));
    let first = first.ok_or_else(empty)?;
    Ok((server, Some(first)))
}

/// A dry run asks nobody, so it cannot ask which models there are.
fn stay_offline(settings: &Settings) -> Result<()> {
    let message = "--dry-run asks no server what it has: name provider and model: -m PROVIDER/MODEL";
    if settings.dry_run.is_some() { Err(Failure::new(Exit::Usage, message)) } else { Ok(()) }
}

/// The model to ask where only the provider was named.
fn default_model(server: &Server, settings: &Settings, key: Option<&key::Key>, stop: &Stopper) -> Result<String> {
    if let Some(model) = server.provider.default_model {
        return Ok(model.to_owned());
    }
    if server.base.is_loopback() {
        stay_offline(settings)?;
        let http = http(&server.base, settings, stop)?;
        let models = local::models(&http, &server.base, key.map(|key| &key.secret))?;
        if let Some(first) = models.into_iter().next() {
            return Ok(first);
        }
    }
    let message = format!("{} has no default model: name one: -m {}/MODEL", server.name, server.name);
    Err(Failure::new(Exit::Config, message))
}

fn http(base: &Base, settings: &Settings, stop: &Stopper) -> Result<Http> {
    let network = &settings.network;
    let proxy = proxy(base);
    let options = HttpOptions {
        trust: if base.is_https() { trust(network.ca_file.as_deref())? } else { Trust::Bundled },
        lookup: base.is_name() && proxy.is_none(),
        proxy,
        connect_timeout: Duration::from_secs(10),
        idle_timeout: network.idle_timeout,
        plain: !base.is_https(),
    };
    Http::new(options, stop.clone())
}

fn proxy(base: &Base) -> Option<String> {
    ProxyEnv::read(env::var).choose(base.scheme(), base.host()).map(str::to_owned)
}

fn trust(ca_file: Option<&std::path::Path>) -> Result<Trust> {
    let file = ca_file.map(std::path::Path::to_owned).or_else(|| env::var("SSL_CERT_FILE").map(Into::into));
    let directory = env::var("SSL_CERT_DIR").map(std::path::PathBuf::from).filter(|_| ca_file.is_none());
    if file.is_none() && directory.is_none() {
        return Ok(Trust::Bundled);
    }
    Trust::only(&file.into_iter().collect::<Vec<_>>(), directory.as_deref())
}

impl std::fmt::Debug for Chosen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Chosen")
            .field("provider", &self.provider)
            .field("model", &self.model_id)
            .field("wire", &self.wire.name())
            .finish_non_exhaustive()
    }
}

impl Chosen {
    /// Everything about the requests but the conversation.
    #[must_use]
    pub fn head<'a>(&'a self, settings: &'a ModelSettings, system: &'a str, tools: &'a [ToolSpec]) -> RequestHead<'a> {
        RequestHead {
            provider: &self.provider,
            model: &self.model_id,
            system,
            tools,
            max_tokens: Some(self.output(settings).tokens()),
            params: &settings.params,
            quirks: &self.quirks,
            tool_choice: ToolChoice::Auto,
            format: None,
        }
    }

    /// The most tokens of a reply.
    #[must_use]
    pub fn output(&self, settings: &ModelSettings) -> Output {
        let of_model = self.model.and_then(|model| model.max_output).unwrap_or(u64::MAX);
        let usual = || Output::Usual(of_model.min(MOST_OUTPUT)).within(self.window.unwrap_or(UNKNOWN_WINDOW));
        settings.max_tokens.map_or_else(usual, Output::Given)
    }

    /// The client for this choice.
    ///
    /// # Errors
    /// Certificates or proxy cannot be used.
    pub fn client(&self, settings: &Settings, stop: &Stopper) -> Result<Client> {
        let http = http(&self.base, settings, stop)?;
        let network = &settings.network;
        let retry = RetryPolicy { retries: network.retries };
        let limits = (network.own_limits, self.ledger().filter(|_| network.share_limits));
        Ok(Client::new(http, self.endpoint(settings), retry, limits, stop.clone()))
    }

    /// Where requests go and the headers they carry.
    #[must_use]
    pub fn endpoint(&self, settings: &Settings) -> Endpoint {
        let mut headers = settings.network.headers.clone();
        if let Some(key) = &self.key {
            let key = key.expose();
            headers.push(match self.quirks.auth {
                wire::Auth::Bearer => ("authorization".to_owned(), format!("Bearer {key}")),
                wire::Auth::XApiKey => ("x-api-key".to_owned(), key.to_owned()),
                wire::Auth::ApiKey => ("api-key".to_owned(), key.to_owned()),
            });
        }
        let head = self.head(&settings.model, "", &[]);
        let own = self.wire.headers(&head).into_iter().map(|(name, value)| (name.to_owned(), value.to_owned()));
        // A header of the user's replaces the API's.
        headers.extend(own.filter(|(name, _)| !settings.network.headers.iter().any(|(given, _)| given == name)));
        self.base.endpoint(self.wire.path(), headers)
    }

    /// Where runs share what is known of the rate limits of this key, if there is a place for it.
    fn ledger(&self) -> Option<Ledger> {
        let directory = env::runtime_dir()?;
        Some(Ledger::new(&directory, self.key.as_ref(), &self.base.origin()))
    }

    /// Whether requests need neither a lookup nor certificates nor a proxy.
    #[must_use]
    pub fn is_direct(&self) -> bool {
        self.base.is_direct()
    }

    /// The TCP port that the client connects to.
    ///
    /// # Errors
    /// The proxy's URL is none.
    pub fn port(&self) -> Result<u16> {
        proxy(&self.base).map_or(Ok(self.base.port()), |proxy| proxy_port(&proxy))
    }

    /// How to ask for the model's window, if nobody has said how large it is and the server is on this machine.
    #[must_use]
    pub fn ask_window<'a>(&self, settings: &'a Settings, stop: &'a Stopper) -> Option<AskWindow<'a>> {
        if self.window.is_some() || !self.is_free() {
            return None;
        }
        let (base, model, key) = (self.base.clone(), self.model_id.clone(), self.key.clone());
        Some(Box::new(move || local::window(&http(&base, settings, stop).ok()?, &base, &model, key.as_ref())))
    }

    /// A turn costs nothing: the server is on this machine.
    #[must_use]
    pub fn is_free(&self) -> bool {
        is_loopback(self.base.host())
    }
}

/// Refuses what can certainly not fit: more than eight bytes a token above a known window.
///
/// # Errors
/// The input is too large, with the cut that would fit.
pub fn check_window(chosen: &Chosen, opening: &Opening) -> Result<()> {
    let Some(window) = chosen.window.filter(|window| opening.text_bytes / 8 > *window) else { return Ok(()) };
    let (name, size) = opening.largest.clone().unwrap_or_default();
    let message = format!(
        "{name} is {}, about {} tokens; {} takes {}: tail -c {}",
        text::bytes(size),
        text::count(size * 2 / 7),
        chosen.model_id,
        text::count(window),
        format_args!("{}k", window * 3 / 1000),
    );
    Err(Failure::new(Exit::Data, message).class("too_large"))
}
