//! Proxies as curl reads them; redirects, which are never followed.

use crate::support::{Api, Flux, Reply, Run, Server, ask, for_each_wire};

/// A command for a host that only the proxy knows.
fn far(api: Api, proxy: &Server) -> Flux {
    let url = format!("http://models.test{}", api.base_path());
    let args =
        ["--allow-http", "--base-url", &url, "--wire", api.wire(), "-m", "m", "--retries", "0", "--api-key-env", "K"];
    ask().log(proxy).env("K", "a-key").args(args)
}

fn proxied(api: Api, prepare: impl FnOnce(Flux, &str) -> Flux) -> (Run, Server) {
    let proxy = Server::of(api).unused_allowed().script([api.text("done")]);
    let flux = prepare(far(api, &proxy), &proxy.origin());
    (flux.arg("p").run(), proxy)
}

#[test]
fn a_proxy_of_the_environment_is_used_for_other_hosts() {
    for_each_wire(|api| {
        for name in ["http_proxy", "ALL_PROXY", "all_proxy"] {
            let (run, proxy) = proxied(api, |f, url| f.env(name, url));
            let _ = run.code(0).stdout("done\n").stderr("");
            let authority = proxy.only_request().authority.unwrap_or_default();
            assert!(authority.starts_with("models.test"), "{name}: {authority}");
        }
    });
}

#[test]
fn loopback_is_never_sent_through_a_proxy() {
    for_each_wire(|api| {
        let (server, proxy) = (Server::script(api, [api.text("done")]), Server::plain().script([]));
        let flux = ["http_proxy", "HTTP_PROXY", "ALL_PROXY", "https_proxy", "HTTPS_PROXY"]
            .iter()
            .fold(Flux::to(&server), |flux, name| flux.env(name, proxy.origin()));
        let _ = flux.arg("p").run().code(0).stdout("done\n");
        assert_eq!(proxy.connections(), 0);
    });
}

#[test]
fn no_proxy_names_the_hosts_that_are_asked_directly() {
    for no_proxy in ["models.test", "*", ".test", "other.example, models.test", "test"] {
        let (run, proxy) = proxied(Api::Chat, |f, url| f.env("http_proxy", url).env("NO_PROXY", no_proxy));
        let _ = run.failure(75, 1);
        assert_eq!(proxy.connections(), 0, "{no_proxy}");
    }
    for no_proxy in ["", "other.example", "odels.test", "models.test.example"] {
        let (run, proxy) = proxied(Api::Chat, |f, url| f.env("http_proxy", url).env("no_proxy", no_proxy));
        let _ = run.code(0);
        assert_eq!(proxy.connections(), 1, "{no_proxy}");
    }
}

#[test]
fn a_bad_proxy_is_a_configuration_error_not_a_way_around_it() {
    for url in ["http://", "::::", "gopher://127.0.0.1:1", "http://127.0.0.1:99999", "127.0.0.1:x", "127.0.0.1:0"] {
        let (run, proxy) = proxied(Api::Chat, |f, _| f.env("http_proxy", url));
        let _ = run.failure(78, 3);
        assert_eq!(proxy.connections(), 0);
    }
}

#[test]
fn a_proxy_that_is_down_or_wants_a_password_is_named() {
    let (run, _proxy) = proxied(Api::Chat, |f, _| f.env("http_proxy", "http://127.0.0.1:1"));
    let _ = run.failure(75, 1);
    let denied = Reply::new(407, "text/plain", "who are you?");
    let proxy = Server::of(Api::Chat).refuses_tunnels().unused_allowed().script([denied]);
    let _ = far(Api::Chat, &proxy).env("http_proxy", proxy.origin()).arg("p").run().failure(77, 1);
    let (run, _proxy) = proxied(Api::Chat, |f, _| f.env("http_proxy", "http://127.0.0.1"));
    let _ = run.failure(75, 1);
}

#[test]
fn a_redirect_is_refused_and_the_other_server_sees_nothing() {
    for_each_wire(|api| {
        for status in [301, 302, 303, 307, 308] {
            let other = Server::plain().script([]);
            let reply = Reply::new(status, "text/plain", "go away").header("location", other.origin() + "/v1/x");
            let server = Server::script(api, [reply]);
            let _ = Flux::to(&server).arg("p").run().failure(76, 1);
            assert_eq!(other.connections(), 0);
        }
    });
}

#[test]
fn plain_http_to_another_host_needs_the_users_word() {
    let proxy = Server::plain().script([]);
    let run = ask()
        .env("K", "a-key")
        .env("http_proxy", proxy.origin())
        .args(["--base-url", "http://models.test/v1", "-m", "m", "--api-key-env", "K", "p"])
        .run();
    let _ = run.failure(78, 3).stderr_has("--allow-http");
    assert_eq!(proxy.connections(), 0);
}
