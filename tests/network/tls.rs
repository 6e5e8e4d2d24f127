//! TLS: whom flux trusts, and that not a byte of the request goes to anybody else.

use std::fs;

use crate::support::tls::{Authority, Flaw, Seen, serve};
use crate::support::{Api, Flux, Run, Server, ask, say};

fn flux(port: u16, prepare: impl FnOnce(Flux) -> Flux) -> Flux {
    let url = format!("https://127.0.0.1:{port}/v1");
    prepare(ask().key(Api::Chat).args(["--base-url", &url, "-m", "m", "--api-key-env", Api::Chat.key_variable()]))
        .arg("p")
}

/// Expects exit 76 and that the server was told nothing.
#[track_caller]
fn refused(run: Run, seen: &Seen, connections: usize) {
    let run = run.failure(76, 1).stderr_has("127.0.0.1");
    assert_eq!(seen.told(), "", "{}", run.dump());
    assert_eq!(seen.connections(), connections, "a failed handshake is not tried again\n{}", run.dump());
}

#[test]
fn an_authority_that_the_user_names_is_trusted_whichever_way_it_is_named() {
    let authority = Authority::new();
    let ways: [&dyn Fn(Flux) -> Flux; 3] = [
        &|f| f.args(["--ca-file", "ca.pem"]),
        &|f| {
            let file = f.here("ca.pem");
            f.env("SSL_CERT_FILE", file)
        },
        &|f| {
            let folder = f.here("certs");
            let f = f.env("SSL_CERT_DIR", folder);
            fs::create_dir(f.here("certs")).expect("a folder");
            fs::copy(f.here("ca.pem"), f.here("certs/0a1b2c3d.0")).expect("a copy");
            f
        },
    ];
    for way in ways {
        let (port, seen) = serve(&authority, Flaw::Sound);
        let flux = flux(port, |f| way(f.file("ca.pem", &authority.pem)));
        let _ = flux.run().code(0).stdout("done\n").stderr("");
        assert!(seen.told().contains(Api::Chat.key()));
    }
}

#[test]
fn a_certificate_with_any_flaw_is_refused_before_a_byte_of_the_request_is_sent() {
    let authority = Authority::new();
    for flaw in [Flaw::Expired, Flaw::NotYet, Flaw::WrongName, Flaw::SelfSigned] {
        let (port, seen) = serve(&authority, flaw);
        let run = flux(port, |f| f.file("ca.pem", &authority.pem).args(["--ca-file", "ca.pem"])).run();
        refused(run, &seen, 1);
    }
}

#[test]
fn an_unknown_authority_is_refused_by_every_kind_of_trust() {
    let (authority, other) = (Authority::new(), Authority::new());
    let (port, seen) = serve(&authority, Flaw::Sound);
    refused(flux(port, |f| f.file("ca.pem", &other.pem).args(["--ca-file", "ca.pem"])).run(), &seen, 1);
    let (port, seen) = serve(&authority, Flaw::Sound);
    // The bundled roots, then the platform's.
    refused(flux(port, |f| f).run(), &seen, 2);
}

#[test]
fn a_plain_server_at_an_https_address_gets_no_request() {
    let server = Server::of(Api::Chat).unused_allowed().script([Api::Chat.text("done")]);
    let _ = flux(server.port(), |f| f).run().failure(76, 1);
    assert!(server.requests().is_empty());
    assert_eq!(server.connections(), 1, "it is not tried again");
}

#[test]
fn certificates_that_cannot_be_used_are_said_before_anything_is_sent() {
    for (content, args) in
        [("no certificate", "--ca-file=ca.pem"), ("", "--ca-file=ca.pem"), ("", "--ca-file=none.pem")]
    {
        let (port, seen) = serve(&Authority::new(), Flaw::Sound);
        let _ = flux(port, |f| f.file("ca.pem", content).arg(args)).run().failure(78, 1);
        assert_eq!(seen.connections(), 0);
    }
}

#[test]
fn what_only_the_platform_trusts_is_trusted() {
    const STORE: &str = "/etc/ssl/certs/ca-certificates.crt";
    let authority = Authority::new();
    let (port, seen) = serve(&authority, Flaw::Sound);
    let flux = flux(port, |f| f.file("ca.pem", &authority.pem));
    let own = format!("mount --bind '{}' {STORE}", flux.here("ca.pem").display());
    let possible = ["-rm", "sh", "-c", &own];
    let possible = std::process::Command::new("unshare").args(possible).status().is_ok_and(|status| status.success());
    if !possible {
        say("skipped: the platform's store cannot be replaced here");
        return;
    }
    let flux = flux.after(&format!("exec unshare -rm sh -c \"{own} && exec \\\"\\$0\\\" \\\"\\$@\\\"\" \"$0\" \"$@\""));
    let _ = flux.run().code(0).stdout("done\n").stderr("");
    assert_eq!(seen.connections(), 2, "the bundled roots first, then the platform's");
}
