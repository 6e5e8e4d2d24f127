//! What the tests of this floor share.

use super::{Auth, EchoReasoning, MaxTokensField, Params, Quirks, RequestHead, Structured, ToolChoice};

static PARAMS: Params = Params { effort: None, temperature: None, seed: None, extra: Vec::new() };

/// Quirks of a server that takes everything back.
pub(super) fn quirks() -> Quirks {
    Quirks {
        auth: Auth::Bearer,
        max_tokens_field: MaxTokensField::MaxTokens,
        stream_options: true,
        nine_letter_ids: false,
        echo_reasoning: EchoReasoning::AsReceived,
        assistant_after_tools: false,
        structured: Structured::BesideTools,
        anthropic_service: true,
    }
}

/// A request head with nothing but the necessary.
pub(super) fn head(quirks: &Quirks) -> RequestHead<'_> {
    RequestHead {
        provider: "p",
        model: "m",
        system: "",
        tools: &[],
        max_tokens: Some(1000),
        params: &PARAMS,
        quirks,
        tool_choice: ToolChoice::Auto,
        format: None,
    }
}
