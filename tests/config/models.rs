//! Which model and which provider a run uses.

use super::{service, with_both_services};
use crate::support::{Api, Flux, Server, ask};

/// Runs and gives the wire that was asked, and the model.
#[track_caller]
fn asked(prepare: impl FnOnce(Flux) -> Flux) -> (Api, String) {
    let (anthropic, openai) = (service(Api::Anthropic), service(Api::Responses));
    let _ = prepare(with_both_services(&anthropic, &openai)).arg("p").run().code(0).stdout("done\n").stderr("");
    let [a, o] = [&anthropic, &openai].map(Server::requests);
    let (api, request) = match (&a[..], &o[..]) {
        ([request], []) => (Api::Anthropic, request),
        ([], [request]) => (Api::Responses, request),
        _ => panic!("one request was expected"),
    };
    (api, request.json["model"].as_str().unwrap_or_default().to_owned())
}

fn both_keys(flux: Flux) -> Flux {
    flux.key(Api::Anthropic).key(Api::Responses)
}

#[test]
fn with_no_model_named_the_provider_whose_key_is_set_is_asked_anthropic_first() {
    assert_eq!(asked(|f| f.key(Api::Anthropic)), (Api::Anthropic, "claude-sonnet-5-5".into()));
    assert_eq!(asked(|f| f.key(Api::Responses)), (Api::Responses, "gpt-6-sol".into()));
    assert_eq!(asked(both_keys), (Api::Anthropic, "claude-sonnet-5-5".into()));
}

#[test]
fn a_model_may_be_named_by_provider_by_name_or_by_both() {
    let cases = [
        ("openai", Api::Responses, "gpt-6-sol"),
        ("anthropic", Api::Anthropic, "claude-sonnet-5-5"),
        ("anthropic/claude-haiku-4-5", Api::Anthropic, "claude-haiku-4-5"),
        ("claude-haiku-4-5", Api::Anthropic, "claude-haiku-4-5"),
        ("gpt-6-luna", Api::Responses, "gpt-6-luna"),
        ("openai/some-new-model", Api::Responses, "some-new-model"),
    ];
    for (model, api, name) in cases {
        assert_eq!(asked(|f| both_keys(f).args(["-m", model])), (api, name.into()));
    }
}

#[test]
fn command_line_beats_environment_beats_profile_beats_config() {
    let layered =
        |f: Flux| both_keys(f).config("-m anthropic/from-config\n").profile("x", "-m anthropic/from-profile\n");
    assert_eq!(asked(layered).1, "from-config");
    assert_eq!(asked(|f| layered(f).args(["-p", "x"])).1, "from-profile");
    assert_eq!(asked(|f| layered(f).args(["--profile", "x"]).env("FLUX_MODEL", "anthropic/from-env")).1, "from-env");
    assert_eq!(
        asked(|f| layered(f).env("FLUX_MODEL", "anthropic/from-env").args(["-m", "anthropic/from-line"])).1,
        "from-line"
    );
    assert_eq!(asked(|f| layered(f).arg("--no-config")).1, "claude-sonnet-5-5");
}

#[test]
fn an_unlisted_model_without_a_provider_is_a_usage_error_with_the_nearest_names() {
    let run = ask().key(Api::Anthropic).args(["-m", "claude-sonet-5-5", "p"]).run().failure(2, 3);
    let _ = run.stderr_has("claude-sonnet-5-5");
}

#[test]
fn a_provider_without_a_default_model_asks_for_one() {
    let _ = ask().env("OPENROUTER_API_KEY", "k").args(["-m", "openrouter", "p"]).run().failure(78, 3);
}

#[test]
fn a_base_url_takes_any_model_and_splits_nothing_off() {
    for model in ["ollama/qwen:7b", "anthropic/claude", "some-model", "openai"] {
        let server = Server::script(Api::Chat, [Api::Chat.text("done")]);
        let run = ask().log(&server).key(Api::Chat).args(["--base-url", &server.base_url(), "-m", model, "p"]).run();
        let _ = run.code(0).stdout("done\n");
        assert_eq!(server.only_request().json["model"], model);
    }
}

#[test]
fn a_trailing_slash_of_a_base_url_makes_no_difference() {
    let server = Server::script(Api::Chat, [Api::Chat.text("done")]);
    let url = format!("{}/", server.base_url());
    let _ = ask().key(Api::Chat).args(["--base-url", &url, "-m", "m", "p"]).run().code(0);
    assert_eq!(server.only_request().path, "/v1/chat/completions");
}

#[test]
fn a_query_of_a_base_url_stays_behind_the_path() {
    let server = Server::of(Api::Chat).lenient().script([Api::Chat.text("done")]);
    let url = format!("{}?api-version=2024-10-21", server.base_url());
    let _ = ask().key(Api::Chat).args(["--base-url", &url, "-m", "m", "p"]).run().code(0);
    assert_eq!(server.only_request().path, "/v1/chat/completions?api-version=2024-10-21");
}

#[test]
fn a_bad_base_url_is_a_configuration_error_before_any_connection() {
    for url in [
        "http://models.example/v1",
        "file:///etc/passwd",
        "https://user:pass@models.example/",
        "nonsense",
        "http://a b/",
    ] {
        let run = ask().key(Api::Chat).args(["--base-url", url, "-m", "m", "p"]).run();
        let known = run.code == Some(78) || run.code == Some(2);
        let code = run.code.unwrap_or_default();
        let _ = run.check(known, "exit 78 was expected").failure(code, 3).stderr_lacks("pass@");
    }
}
