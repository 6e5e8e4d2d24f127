//! The table of faults of `reliability.md`, section 5: every row is tried here, or by a test that is named, or does
//! not apply for a reason that is named. Rows that are tried here run as the user of the suite and, if that is root,
//! once more as nobody; and every one of them must also end in time, leave no process and no temporary file, show no
//! key anywhere, keep its memory in bounds and say nothing of a panic.

pub(super) mod driver;
mod elsewhere;
mod here;

use std::collections::BTreeSet;
use std::path::Path;

use crate::support::say;
use driver::User;

/// The source text of all tests, those beside the code included.
fn tests() -> String {
    let mut text = String::new();
    let mut folders = ["tests", "src"].map(|name| Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).to_vec();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
            let path = entry.path();
            if path.is_dir() && !path.ends_with("target") {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                text += &std::fs::read_to_string(path).expect("source text");
            }
        }
    }
    text
}

#[test]
fn every_row_of_the_fault_table_is_tried_or_named() {
    let mut users = vec![User::Own];
    if rustix::process::geteuid().is_root() {
        users.push(User::Nobody);
    }
    let mut faults = Vec::new();
    for user in users {
        let mut passed = 0;
        for row in here::ROWS {
            match driver::try_row(row, user) {
                Ok(()) => passed += 1,
                Err(why) => faults.push(format!("{} as {user:?}: {}: {why}", row.id, row.fault)),
            }
        }
        say(&format!("faults tried here as {user:?}: {}, passed {passed}", here::ROWS.len()));
    }
    let tests = tests();
    for (id, name) in elsewhere::TRIED {
        if !tests.contains(&format!("fn {name}(")) {
            faults.push(format!("{id}: there is no test {name}"));
        }
    }
    for (id, why) in elsewhere::NOT_APPLICABLE {
        say(&format!("not applicable: {id}: {why}"));
    }
    let ids = here::ROWS.iter().map(|row| row.id).chain(elsewhere::TRIED.iter().map(|(id, _)| *id));
    let covered: BTreeSet<&str> = ids.chain(elsewhere::NOT_APPLICABLE.iter().map(|(id, _)| *id)).collect();
    let missing: Vec<&&str> = elsewhere::ALL.iter().filter(|id| !covered.contains(**id)).collect();
    say(&format!("rows of the table: {}, covered {}", elsewhere::ALL.len(), elsewhere::ALL.len() - missing.len()));
    assert!(missing.is_empty(), "rows that nobody tries: {missing:?}");
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
}
