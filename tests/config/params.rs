//! What is sent of the request's parameters: nothing that was not asked for.

use serde_json::{Value, json};

use crate::support::{Api, Flux, Request, Server, for_each_wire};

#[track_caller]
fn request(api: Api, args: &[&str]) -> Request {
    let server = Server::script(api, [api.text("done")]);
    let _ = Flux::to(&server).args(args.iter().copied()).arg("p").run().code(0).stdout("done\n");
    server.only_request()
}

#[test]
fn nothing_is_sent_that_was_not_given() {
    for_each_wire(|api| {
        let body = request(api, &[]).json;
        for key in [
            "temperature",
            "top_p",
            "seed",
            "reasoning",
            "reasoning_effort",
            "thinking",
            "output_config",
            "stop",
            "user",
        ] {
            assert_eq!(body.get(key), None, "{api:?}: {key}");
        }
        assert_eq!(request(api, &["--no-tools"]).json.get("tools"), None);
    });
}

#[test]
fn effort_and_limits_are_sent_where_the_wire_has_them() {
    let body = request(Api::Anthropic, &["--effort", "low", "--max-tokens", "77"]).json;
    assert_eq!((&body["output_config"]["effort"], &body["max_tokens"]), (&json!("low"), &json!(77)));
    let body = request(Api::Responses, &["--effort", "high", "--max-output-tokens", "77"]).json;
    assert_eq!((&body["reasoning"]["effort"], &body["max_output_tokens"]), (&json!("high"), &json!(77)));
    let body =
        request(Api::Chat, &["--effort", "none", "--max-tokens", "2k", "--seed", "5", "--temperature", "0"]).json;
    assert_eq!((&body["reasoning_effort"], &body["seed"]), (&json!("none"), &json!(5)));
    assert_eq!(body["temperature"].as_f64(), Some(0.0));
    assert_eq!(body["max_tokens"], 2000);
}

#[test]
fn an_anthropic_temperature_is_sent_with_the_version_that_has_it() {
    let sent = request(Api::Anthropic, &["--temperature", "0.5"]);
    assert_eq!((&sent.json["temperature"], sent.header("anthropic-version")), (&json!(0.5), Some("2023-06-01")));
}

#[test]
fn params_are_json_and_headers_are_sent_as_they_are() {
    let sent =
        request(Api::Chat, &["--param", "top_p=0.5", "--param", "stop=[\"END\"]", "--header", "X-Title: my run"]);
    assert_eq!((&sent.json["top_p"], &sent.json["stop"]), (&json!(0.5), &json!(["END"])));
    assert_eq!(sent.header("x-title"), Some("my run"));
    for bad in ["top_p", "top_p={", "=1"] {
        let server = Server::script(Api::Chat, []);
        let _ = Flux::to(&server).args(["--param", bad, "p"]).run().failure(2, 3);
    }
}

#[test]
fn bad_values_are_usage_errors_that_name_the_flag() {
    let bad = [
        ("--effort", "extreme"),
        ("--temperature", "hot"),
        ("--max-turns", "-1"),
        ("--max-tokens", "many"),
        ("--timeout", "soon"),
        ("--wire", "gopher"),
        ("--retries", "x"),
        ("--color", "maybe"),
    ];
    for (flag, value) in bad {
        let server = Server::script(Api::Chat, []);
        let _ = Flux::to(&server).arg(format!("{flag}={value}")).arg("p").run().failure(2, 3).stderr_has(flag);
    }
}

#[test]
fn durations_and_sizes_are_read_as_the_contract_says() {
    for duration in ["90", "90s", "5m", "1h"] {
        let _ = request(Api::Chat, &["--timeout", duration]);
    }
    for size in ["200k", "64M", "1000"] {
        let _ = request(Api::Chat, &["--max-input", size]);
    }
}

#[test]
fn the_answer_is_streamed_on_the_wire_without_compression() {
    for_each_wire(|api| {
        let sent = request(api, &[]);
        assert_eq!(sent.json["stream"], Value::Bool(true));
        assert!(sent.header("accept-encoding").is_none_or(|v| v == "identity"), "{:?}", sent.header("accept-encoding"));
        if api == Api::Chat {
            assert_eq!(sent.json["stream_options"]["include_usage"], true);
        }
    });
}

#[test]
fn max_cost_needs_a_price_unless_the_server_is_on_loopback() {
    let run = {
        let server = Server::script(Api::Chat, [Api::Chat.text("done")]);
        Flux::to(&server).args(["--max-cost", "0.01", "p"]).run()
    };
    let _ = run.code(0).stdout("done\n");
    let args =
        ["--base-url", "https://models.test/v1", "-m", "unheard-of", "--api-key-env", "K", "--max-cost", "1", "p"];
    let _ = crate::support::ask().env("K", "k").args(args).run().failure(2, 3).stderr_has("--max-cost");
}
