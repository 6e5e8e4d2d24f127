//! `man/flux-debugging.7`: its commands run, its debug lines are those that flux prints, and it has a way out of every
//! exit code there is.

use std::fs;
use std::path::Path;

use flux::base::exit::TABLE;
use serde_json::json;

use crate::support::{Flux, Server, for_each_wire};

fn page() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("man/flux-debugging.7");
    fs::read_to_string(path).expect("the page").replace("\\-", "-")
}

/// The lines of all blocks.
fn lines() -> Vec<String> {
    let page = page();
    let blocks = page.split(".nf\n").skip(1).filter_map(|rest| rest.split_once("\n.fi")).map(|(block, _)| block);
    blocks.flat_map(str::lines).map(str::to_owned).collect()
}

#[test]
fn every_command_of_the_debugging_page_works() {
    let commands: Vec<String> = lines().into_iter().filter(|line| !line.starts_with('[')).collect();
    assert!(commands.len() > 12, "{commands:?}");
    crate::manual::run_all(&commands);
}

#[test]
fn the_debug_lines_are_those_of_the_page() {
    let shown: Vec<String> = lines().into_iter().filter(|line| line.starts_with('[')).collect();
    assert_eq!(shown.len(), 3, "{shown:?}");
    for_each_wire(|api| {
        let calls = [(&*api.id(1), "list_files", json!({}))];
        let server = Server::script(api, [api.calls(&calls), api.text("done")]);
        let run = Flux::to(&server).file("README.md", "").args(["--debug", "p"]).run().code(0);
        let err = run.err();
        for line in &shown {
            assert!(err.lines().any(|printed| printed.trim_end() == line), "{line} is not among\n{err}");
        }
    });
}

#[test]
fn the_page_has_a_way_out_of_every_exit_code() {
    let page = page();
    for row in TABLE.iter().filter(|row| row.code != "0") {
        let heads = page.lines().filter_map(|line| line.strip_prefix(".B "));
        let found = heads.clone().any(|head| head == row.code || head.split(", ").any(|code| code == row.code));
        assert!(found, "{} is not on the page", row.code);
    }
}
