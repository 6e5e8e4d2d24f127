//! The providers that are known by name: where they are, how they take a key, how they depart from their API.
//! Data alone, as of 2026-11-22.

use super::{Auth, EchoReasoning, MaxTokensField, Quirks, Structured};

/// A place that serves models.
#[derive(Debug, Clone, Copy)]
pub struct Provider {
    /// Its name on the command line and in transcripts.
    pub name: &'static str,
    /// Where it is, without a slash at the end; `None` where every customer has a URL of their own.
    pub base_url: Option<&'static str>,
    /// The environment variable with its key; `None` where no key is needed.
    pub key_env: Option<&'static str>,
    /// The name of the wire it speaks.
    pub wire: &'static str,
    /// How it departs from that API.
    pub quirks: Quirks,
    /// The model to ask where none is named.
    pub default_model: Option<&'static str>,
    /// True for servers on one's own machine.
    pub is_local: bool,
}

/// What most servers of the Chat Completions wire are like.
const COMPATIBLE: Quirks = Quirks {
    auth: Auth::Bearer,
    max_tokens_field: MaxTokensField::MaxTokens,
    stream_options: true,
    nine_letter_ids: false,
    echo_reasoning: EchoReasoning::Nothing,
    assistant_after_tools: false,
    structured: Structured::WithoutTools,
    anthropic_service: false,
};

/// The same for the newer name of the output limit.
const NEWER: Quirks = Quirks { max_tokens_field: MaxTokensField::MaxCompletionTokens, ..COMPATIBLE };

/// What a server at a URL of the user's is taken for.
pub static CUSTOM: Provider = chat("custom", None, None, COMPATIBLE);

/// All providers, in the order in which they are listed to people.
pub static PROVIDERS: &[Provider] = &[
    Provider {
        name: "anthropic",
        base_url: Some("https://api.anthropic.com"),
        key_env: Some("ANTHROPIC_API_KEY"),
        wire: "anthropic",
        quirks: Quirks {
            auth: Auth::XApiKey,
            structured: Structured::BesideTools,
            anthropic_service: true,
            ..COMPATIBLE
        },
        default_model: Some("claude-sonnet-5-5"),
        is_local: false,
    },
    Provider {
        wire: "openai-responses",
        default_model: Some("gpt-6-sol"),
        ..chat(
            "openai",
            Some("https://api.openai.com/v1"),
            Some("OPENAI_API_KEY"),
            Quirks { structured: Structured::BesideTools, ..NEWER },
        )
    },
    local("ollama", "http://localhost:11434/v1"),
    local("llamacpp", "http://localhost:8080/v1"),
    local("vllm", "http://localhost:8000/v1"),
    local("lmstudio", "http://localhost:1234/v1"),
    chat(
        "openrouter",
        Some("https://openrouter.ai/api/v1"),
        Some("OPENROUTER_API_KEY"),
        Quirks { echo_reasoning: EchoReasoning::AsReceived, ..NEWER },
    ),
    chat(
        "deepseek",
        Some("https://api.deepseek.com"),
        Some("DEEPSEEK_API_KEY"),
        Quirks { echo_reasoning: EchoReasoning::Always, structured: Structured::Never, ..COMPATIBLE },
    ),
    chat(
        "groq",
        Some("https://api.groq.com/openai/v1"),
        Some("GROQ_API_KEY"),
        // It refuses a schema together with a stream.
        Quirks { structured: Structured::Never, ..NEWER },
    ),
    chat(
        "mistral",
        Some("https://api.mistral.ai/v1"),
        Some("MISTRAL_API_KEY"),
        Quirks { stream_options: false, nine_letter_ids: true, assistant_after_tools: true, ..COMPATIBLE },
    ),
    chat("together", Some("https://api.together.xyz/v1"), Some("TOGETHER_API_KEY"), COMPATIBLE),
    chat("xai", Some("https://api.x.ai/v1"), Some("XAI_API_KEY"), NEWER),
    chat("gemini", Some("https://generativelanguage.googleapis.com/v1beta/openai"), Some("GEMINI_API_KEY"), COMPATIBLE),
    chat(
        "azure",
        None,
        Some("AZURE_OPENAI_API_KEY"),
        Quirks { auth: Auth::ApiKey, structured: Structured::BesideTools, ..NEWER },
    ),
];

const fn chat(
    name: &'static str,
    base_url: Option<&'static str>,
    key_env: Option<&'static str>,
    quirks: Quirks,
) -> Provider {
    Provider { name, base_url, key_env, wire: "openai-chat", quirks, default_model: None, is_local: false }
}

const fn local(name: &'static str, base_url: &'static str) -> Provider {
    let quirks = Quirks { echo_reasoning: EchoReasoning::AsReceived, ..COMPATIBLE };
    Provider { is_local: true, ..chat(name, Some(base_url), None, quirks) }
}

/// Looks a provider up by its name.
#[must_use]
pub fn named(name: &str) -> Option<&'static Provider> {
    PROVIDERS.iter().find(|provider| provider.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::models;

    #[test]
    fn wires_and_default_models_exist() {
        for provider in PROVIDERS.iter().chain([&CUSTOM]) {
            assert!(crate::wire::named(provider.wire).is_some(), "{}", provider.name);
            assert!(!provider.base_url.is_some_and(|url| url.ends_with('/')), "{}", provider.name);
            if let Some(model) = provider.default_model {
                assert!(models::lookup(provider.name, model).is_some(), "{model}");
            }
        }
    }
}
