//! `-x`: the first code block, or exit 83.

use super::last_user_text;
use crate::support::{Flux, Server, for_each_wire};

#[test]
fn extract_prints_the_first_block_without_its_fence() {
    for_each_wire(|api| {
        let answer = "Here it is:\n\n```sh\necho a\n\n  b\n```\n\nand\n\n```\nother\n```";
        let server = Server::script(api, [api.text(answer)]);
        let _ = Flux::to(&server).args(["-x", "p"]).run().code(0).stdout("echo a\n\n  b\n").stderr("");
        assert!(api.system(&server.only_request().json).contains("one fenced code block"));
    });
}

#[test]
fn extract_asks_once_more_for_a_block_and_then_gives_up() {
    for_each_wire(|api| {
        let server = Server::script(api, [api.text("echo a"), api.text("```\necho a\n```")]);
        let run = Flux::to(&server).args(["-x", "p"]).transcript().run().code(0).stdout("echo a\n");
        let requests = server.requests();
        assert!(last_user_text(api, &requests[1].json).contains("no fenced code block"));
        assert_eq!(run.transcript().result()["turns"], 2);
        assert_eq!(run.transcript().messages("user").len(), 2, "what was asked again is in the transcript");

        let server = Server::script(api, [api.text("echo a"), api.text("echo b")]);
        let run = Flux::to(&server).args(["-x", "p"]).transcript().run().failure(83, 1).stderr_has("--extract");
        assert_eq!(run.transcript().result()["result"], "echo b");
    });
}

#[test]
fn extract_tells_the_model_also_beside_a_bare_system_prompt() {
    for_each_wire(|api| {
        let server = Server::script(api, [api.text("```\na\n```")]);
        let _ = Flux::to(&server).args(["-x", "--bare-system", "-s", "Be terse.", "p"]).run().code(0).stdout("a\n");
        let system = api.system(&server.only_request().json);
        assert!(system.starts_with("Be terse.\n\n") && system.contains("code block"), "{system}");
    });
}

#[test]
fn a_form_cannot_be_combined_with_another_or_with_a_stream() {
    for args in [
        &["-x", "--check", "p"][..],
        &["--schema", "a", "--choice", "a,b", "p"],
        &["--stream", "-x", "p"],
        &["--stream", "--schema", "a", "p"],
        &["--stream", "--check", "p"],
        &["--stream", "--prepend-to", "f", "p"],
        &["--partial", "--check", "p"],
    ] {
        let _ = crate::support::ask().args(args.iter().copied()).run().failure(2, 1);
    }
}

#[test]
fn forms_are_not_taken_from_the_configuration_but_from_a_profile() {
    let flux = crate::support::ask().config("--check\n").args(["p"]);
    let _ = flux.run().failure(78, 1).stderr_has("or in a profile");
    let api = crate::support::Api::Chat;
    let server = Server::script(api, [api.text("```\na\n```")]);
    let flux = Flux::to(&server).profile("x", "-x\n").env("FLUX_CHECK", "1").args(["-p", "x", "p"]);
    let _ = flux.run().code(0).stdout("a\n");
}
