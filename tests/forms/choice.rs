//! `--choice`: one of the words, or exit 83.

use crate::support::{Flux, Server, ask, for_each_wire};

#[test]
fn choice_prints_the_word_as_the_user_spelled_it() {
    for_each_wire(|api| {
        let server = Server::script(api, [api.text("**Bug.**")]);
        let _ = Flux::to(&server).args(["--choice", "bug, feature", "p"]).run().code(0).stdout("bug\n");
        assert!(api.system(&server.only_request().json).contains("bug | feature"));
    });
}

#[test]
fn choice_never_prints_anything_else() {
    for_each_wire(|api| {
        let server = Server::script(api, [api.text("It is a bug, no feature."), api.text("bug\nfeature")]);
        let _ = Flux::to(&server).args(["--choice", "bug,feature", "p"]).run().failure(83, 1).stderr_has("--choice");
    });
}

#[test]
fn a_choice_of_nothing_is_wrong_usage() {
    for words in ["", "a", "a,", "a,A"] {
        let _ = ask().args(["--choice", words, "p"]).run().failure(2, 1).stderr_has("--choice");
    }
}
