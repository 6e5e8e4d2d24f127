//! `--prepend-to`, `--fail-open` and `FLUX_DISABLE`: what git hooks rest on.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

use crate::support::{Api, Flux, Reply, Server, ask, for_each_wire};

fn answering(text: &str) -> (Server, Flux) {
    let server = Server::script(Api::Chat, [Api::Chat.text(text)]);
    let flux = Flux::to(&server);
    (server, flux)
}

#[test]
fn prepend_puts_the_answer_above_what_is_there() {
    for_each_wire(|api| {
        let server = Server::script(api, [api.text("Add a thing")]);
        let flux = Flux::to(&server).file("msg", b"\n# Please enter \xff\n").args(["--prepend-to", "msg", "p"]);
        let run = flux.run().code(0).stdout("").stderr("");
        assert_eq!(run.file("msg"), b"Add a thing\n\n# Please enter \xff\n");
    });
    let (_server, flux) = answering("new");
    assert_eq!(flux.args(["--prepend-to", "msg", "p"]).run().code(0).file("msg"), b"new\n");
}

#[test]
fn prepend_keeps_mode_and_symlink_and_leaves_the_file_on_failure() {
    let (_server, flux) = answering("new");
    let flux = flux.file("real", "old\n").args(["--prepend-to", "link", "p"]);
    fs::set_permissions(flux.here("real"), fs::Permissions::from_mode(0o640)).expect("chmod");
    symlink("real", flux.here("link")).expect("a link");
    let run = flux.run().code(0);
    assert_eq!(run.file("real"), b"new\nold\n");
    assert!(fs::symlink_metadata(flux.here("link")).expect("a link").is_symlink());
    assert_eq!(fs::metadata(flux.here("real")).expect("a file").mode() & 0o777, 0o640);

    let server = Server::script(Api::Chat, [Api::Chat.cut("half", None)]);
    let flux = Flux::to(&server).file("msg", "old\n").args(["--prepend-to", "msg", "p"]);
    assert_eq!(flux.run().failure(80, 1).file("msg"), b"old\n");
}

#[test]
fn prepend_takes_nothing_but_a_regular_file() {
    for file in ["/dev/null", "no/such/dir/f", "."] {
        let _ = ask().key(Api::Anthropic).args(["--prepend-to", file, "p"]).run().failure(73, 1);
    }
    for args in [&["--prepend-to", "-", "p"][..], &["-o", "f", "--prepend-to", "g", "p"]] {
        let _ = ask().args(args.iter().copied()).run().failure(2, 1);
    }
}

/// Exit 0, one line with the true code on stderr, nothing on stdout, the file as it was.
fn passes(flux: &Flux, code: i32) {
    let flux = flux.clone().file("msg", "old\n").args(["--fail-open", "--prepend-to", "msg", "p"]);
    let run = flux.run().code(0).stdout("").stderr_has(&format!("(exit {code}, let pass by --fail-open)"));
    let lines = run.err().lines().count();
    let run = run.check(lines == 1, "one line on stderr");
    assert_eq!(run.file("msg"), b"old\n");
}

#[test]
fn fail_open_lets_every_failure_pass_and_touches_no_file() {
    let once = |reply: Reply, code| {
        let server = Server::script(Api::Anthropic, [reply]);
        passes(&Flux::to(&server).args(["--retries", "0"]), code);
    };
    let api = Api::Anthropic;
    once(api.error(500, "api_error", "no"), 75);
    once(api.error(401, "authentication_error", "no"), 77);
    once(api.error(404, "not_found_error", "no"), 69);
    once(api.refusal("No."), 82);
    once(api.cut("half", None), 80);
    passes(&ask(), 78);
    passes(&ask().key(api).args(["-f", "missing"]), 66);
    passes(&ask().key(api).args(["-f", "/bin/sh"]), 65);
    passes(&ask().key(api).config("--nonsense\n"), 78);
    passes(&ask().key(api).args(["-p", "missing"]), 78);
    passes(&ask().key(api).args(["--stdin-timeout", "200ms"]).stdin_pipe_open(), 124);
    let run = ask().key(api).args(["--fail-open", "-o", "no/such/dir/f", "p"]).run().code(0);
    let _ = run.stdout("").stderr_has("(exit 73, let pass by --fail-open)");
}

#[test]
fn the_result_line_has_the_true_code_of_a_failure_that_passed() {
    for_each_wire(|api| {
        let server = Server::script(api, [api.error(500, "api_error", "no")]);
        let flux = Flux::to(&server).args(["--retries", "0", "--fail-open", "-o", "f", "p"]).transcript();
        let run = flux.run().code(0);
        assert_eq!(run.transcript().result()["exit_code"], 75);
    });
}

#[test]
fn fail_open_is_not_for_wrong_usage_checks_and_pipes() {
    for args in [
        &["--fail-open", "p"][..],
        &["--fail-open", "-o", "-", "p"],
        &["--fail-open", "-o", "f", "--check", "p"],
        &["--fail-open", "-o", "f", "--nonsense", "p"],
        &["--fail-open", "-o", "f", "--choice", "a", "p"],
    ] {
        let _ = ask().key(Api::Anthropic).args(args.iter().copied()).run().failure(2, 1);
    }
}

#[test]
fn a_signal_is_not_let_pass() {
    let run = ask().key(Api::Anthropic).args(["--fail-open", "-o", "f", "p"]).stdin_pipe_open().start();
    std::thread::sleep(std::time::Duration::from_millis(500));
    run.signal(rustix::process::Signal::TERM);
    let _ = run.wait().signal(15);
}

#[test]
fn flux_disable_does_nothing_at_once_but_only_where_a_file_waits() {
    let server = Server::script(Api::Chat, []);
    let flux = Flux::to(&server).env("FLUX_DISABLE", "1").file("msg", "old\n");
    let run = flux.args(["--prepend-to", "msg", "p"]).stdin_pipe_open().run().code(0).stdout("");
    assert_eq!(run.stderr_has("FLUX_DISABLE").file("msg"), b"old\n");
    let broken = ask().env("FLUX_DISABLE", "1").config("--nonsense\n").args(["-o", "f", "p"]);
    let _ = broken.run().code(0).stdout("");
    let _ = ask().env("FLUX_DISABLE", "1").args(["--stream", "-o", "f", "p"]).run().failure(2, 1);

    let (_server, flux) = answering("An answer.");
    let _ = flux.env("FLUX_DISABLE", "1").arg("p").run().code(0).stdout("An answer.\n");
    let (_server, flux) = answering("An answer.");
    let run = flux.env("FLUX_DISABLE", "0").args(["-o", "f", "p"]).run().code(0);
    assert_eq!(run.file("f"), b"An answer.\n");
}
