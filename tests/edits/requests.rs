//! The tools that change files are offered in requests that the services take, and changing calls keep their order.

use serde_json::json;

use crate::support::for_each_wire;
use crate::support::tools::results;

#[test]
fn calls_of_one_turn_see_what_the_calls_before_them_did() {
    for_each_wire(|api| {
        let edit = |from: &str, to: &str| json!({"path": "a.txt", "edits": [{"search": from, "replace": to}]});
        let read = || ("read_files", json!({"paths": ["a.txt"]}));
        let calls = [read(), ("edit_file", edit("one", "two")), read(), ("edit_file", edit("two", "three")), read()];
        let answers = results(api, |f| f.args(["--allow", "write"]).file("a.txt", "one\n"), &calls);
        let texts: Vec<&str> = [0, 2, 4].map(|n| answers[n].text.as_str()).to_vec();
        assert_eq!(texts, ["     1\tone\n", "     1\ttwo\n", "     1\tthree\n"]);
    });
}
