//! Keys: where they may come from, and where they may go.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::service;
use crate::support::{Api, Flux, Run, Server, ask, for_each_wire};

/// Runs against a server of that wire with no key variable set; gives the key that was sent.
#[track_caller]
fn key_sent(api: Api, prepare: impl FnOnce(Flux) -> Flux) -> Option<String> {
    let server = Server::of(api).keyless().script([api.text("done")]);
    let flux = Flux::to(&server).env_remove(api.key_variable());
    let _ = prepare(flux).arg("p").run().code(0).stdout("done\n").stderr_lacks("s3cret");
    let request = server.only_request();
    let bearer = request.header("authorization").map(|v| v.trim_start_matches("Bearer ").to_owned());
    bearer.or(request.header("x-api-key").map(str::to_owned))
}

#[test]
fn a_key_comes_from_a_variable_a_file_or_a_command() {
    for_each_wire(|api| {
        let expected = Some("s3cret-key".to_owned());
        assert_eq!(key_sent(api, |f| f.env("MY_KEY", "s3cret-key").args(["--api-key-env", "MY_KEY"])), expected);
        let file = |f: Flux| {
            let path = f.path("key");
            fs::write(&path, "s3cret-key\n").expect("a file");
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("chmod");
            f.arg("--api-key-file").arg(path)
        };
        assert_eq!(key_sent(api, file), expected);
        assert_eq!(key_sent(api, |f| f.args(["--api-key-cmd", "echo s3cret-key"])), expected);
        assert_eq!(key_sent(api, |f| f.env(api.key_variable(), "s3cret-key")), expected);
    });
}

#[test]
fn a_variable_may_have_a_name_that_looks_like_a_key() {
    const NAME: &str = "CORP_OPENAI_PRODUCTION_API_KEY_V2";
    for_each_wire(|api| {
        let sent = key_sent(api, |f| f.env(NAME, "s3cret-key").args(["--api-key-env", NAME]));
        assert_eq!(sent.as_deref(), Some("s3cret-key"));
        let run = Flux::to(&Server::script(api, [])).args(["--api-key-env", NAME, "p"]).run();
        let _ = run.failure(78, 3).stderr_has("--api-key-env").stderr_lacks(NAME);
    });
}

#[test]
fn key_sources_may_stand_in_the_config() {
    let sent = key_sent(Api::Chat, |f| f.env("MY_KEY", "s3cret-key").config("--api-key-env MY_KEY\n"));
    assert_eq!(sent.as_deref(), Some("s3cret-key"));
}

#[test]
fn a_server_on_loopback_may_want_no_key() {
    assert_eq!(key_sent(Api::Chat, |f| f), None);
}

#[test]
fn a_key_source_that_gives_nothing_is_a_configuration_error() {
    let fails = |prepare: &dyn Fn(Flux) -> Flux| -> Run {
        let server = Server::script(Api::Chat, []);
        prepare(Flux::to(&server).env_remove("OPENAI_API_KEY")).arg("p").run().failure(78, 3)
    };
    let _ = fails(&|f| f.args(["--api-key-env", "NOT_SET"])).stderr_has("NOT_SET");
    let _ = fails(&|f| f.args(["--api-key-file", "no-such-file"])).stderr_has("no-such-file");
    let _ = fails(&|f| f.args(["--api-key-cmd", "false"]));
    let _ = fails(&|f| f.args(["--api-key-cmd", "true"]));
    let _ = fails(&|f| {
        let f = f.file("key", "s3cret").args(["--api-key-file", "key"]);
        fs::set_permissions(f.here("key"), fs::Permissions::from_mode(0o666)).expect("chmod");
        f
    })
    .stderr_lacks("s3cret");
}

#[test]
fn a_missing_key_is_told_with_the_variable_and_costs_no_request() {
    for (model, variable) in
        [("anthropic", "ANTHROPIC_API_KEY"), ("openai", "OPENAI_API_KEY"), ("groq/x", "GROQ_API_KEY")]
    {
        let _ = ask().args(["-m", model, "p"]).run().failure(78, 3).stderr_has(variable);
    }
}

#[test]
fn a_key_on_the_command_line_is_refused_and_not_echoed() {
    for args in [
        &["--api-key", "s3cret", "p"][..],
        &["--api-key=s3cret", "p"],
        &["--header", "Authorization: Bearer s3cret", "p"],
    ] {
        let _ = ask().key(Api::Anthropic).args(args.iter().copied()).run().failure(2, 3).stderr_lacks("s3cret");
    }
    let _ = ask()
        .key(Api::Anthropic)
        .args(["--header", "x-api-key: s3cret", "p"])
        .run()
        .failure(2, 3)
        .stderr_lacks("s3cret");
}

#[test]
fn a_key_in_place_of_its_source_is_not_echoed() {
    let keys = ["sk-ant-s3cret-0123456789", "gsk_s3cret0123456789", "AIzaS3cret", "0a1b2c3d4e5f60718293a4b5c6d7e8f9"];
    let s3cret = |args: &[&str], key: &str| {
        let server = Server::script(Api::Chat, []);
        let run = Flux::to(&server).env_remove("OPENAI_API_KEY").args(args.iter().copied()).arg("p").run();
        run.failure(78, 3).stderr_lacks(key).err()
    };
    for key in keys {
        for source in ["--api-key-cmd", "--api-key-file", "--api-key-env"] {
            let says = s3cret(&[source, key], key);
            assert!(says.contains(source), "{says}");
        }
        let says = s3cret(&["--api-key-cmd", &format!("false {key}")], key);
        assert!(says.contains("--api-key-cmd 'false …'"), "{says}");
    }
}

/// Runs against a host that is not loopback, by way of a proxy that is the server.
fn at_a_foreign_host(api: Api, prepare: impl FnOnce(Flux) -> Flux) -> (Run, Server) {
    let server = Server::of(api).keyless().unused_allowed().script([api.text("done")]);
    let url = format!("http://models.test{}", api.base_path());
    let flux = ask()
        .log(&server)
        .key(api)
        .env("http_proxy", server.origin())
        .env("HTTP_PROXY", server.origin())
        .args(["--allow-http", "--base-url", &url, "--wire", api.wire(), "-m", "m", "--retries", "0"]);
    (prepare(flux).arg("p").run(), server)
}

#[test]
fn a_standard_key_is_never_sent_to_a_foreign_origin() {
    for_each_wire(|api| {
        let (run, server) = at_a_foreign_host(api, |f| f);
        for request in server.requests() {
            assert!(request.headers.iter().all(|(_, v)| !v.contains(api.key())), "{:?}", request.headers);
        }
        let _ = run.stderr_lacks(api.key());
        let (run, server) = at_a_foreign_host(api, |f| f.args(["--api-key-env", api.key_variable()]));
        let _ = run.code(0).stdout("done\n");
        let request = server.only_request();
        assert!(request.headers.iter().any(|(_, v)| v.contains(api.key())), "{:?}", request.headers);
        assert!(request.authority.as_deref().is_some_and(|a| a.starts_with("models.test")), "{:?}", request.authority);
    });
}

#[test]
fn one_providers_key_is_not_sent_to_the_other() {
    let anthropic = Server::of(Api::Anthropic).keyless().unused_allowed().script([Api::Anthropic.text("done")]);
    let args = ["-m", "anthropic/claude-haiku-4-5", "p"];
    let run = ask().env("ANTHROPIC_BASE_URL", anthropic.origin()).key(Api::Responses).args(args).run();
    let known = matches!(run.code, Some(0 | 78));
    let _ = run.check(known, "no key, or none needed on loopback");
    for request in anthropic.requests() {
        assert!(
            request.headers.iter().all(|(_, value)| !value.contains(Api::Responses.key())),
            "{:?}",
            request.headers
        );
    }
}

#[test]
fn an_auth_token_of_anthropic_goes_as_bearer() {
    let server = service(Api::Anthropic);
    let run = ask()
        .env("ANTHROPIC_BASE_URL", server.origin())
        .env("ANTHROPIC_AUTH_TOKEN", "token-1")
        .args(["-m", "anthropic", "p"])
        .run();
    let _ = run.code(0).stdout("done\n");
    let request = server.only_request();
    assert_eq!((request.header("authorization"), request.header("x-api-key")), (Some("Bearer token-1"), None));
}
