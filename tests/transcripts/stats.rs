//! `flux transcript stats`: sums that are right, as a table and as JSON.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{lines, printed, recorded, transcript, write};
use crate::support::{Api, Flux, Server, for_each_wire};

fn stats(place: &Flux, paths: &[&str]) -> Value {
    printed(&transcript(place, &[&["stats", "--json"], paths].concat()).run().code(0).stderr("")).remove(0)
}

#[test]
fn the_sums_are_those_of_the_lines() {
    for_each_wire(|api| {
        let (place, path) = recorded(api);
        let sums = stats(&place, &[&path, &path]);
        assert_eq!(
            (&sums["files"], &sums["runs"]["total"], &sums["runs"]["crashed"]),
            (&json!(2), &json!(4), &json!(0))
        );
        assert_eq!(sums["runs"]["by_status"], json!({"ok": 4}));
        assert_eq!((&sums["turns"], &sums["retries"]), (&json!(6), &json!(2)));
        assert_eq!(sums["api_errors"], json!({"overloaded": 2}));
        let tools = &sums["tools"];
        assert_eq!((&tools["read_files"]["ok"], &tools["read_files"]["calls"]), (&json!(2), &json!(2)));
        assert_eq!(tools["no_such_tool"]["errors"], json!({"unknown_tool": 2}));
        let results: Vec<Value> = lines(&path).into_iter().filter(|line| line["type"] == "result").collect();
        let total: u64 = results.iter().filter_map(|line| line["usage"]["totalTokens"].as_u64()).sum();
        assert_eq!(sums["tokens"]["total"], 2 * total);
        let model = sums["models"].as_object().expect("models").values().next().expect("a model");
        assert_eq!((&model["requests"], &model["errors"], &model["turns"]), (&json!(8), &json!(2), &json!(6)));
        assert_eq!(sums["latency_ms"]["run"]["count"], 4);
        assert_eq!(sums["latency_ms"]["request"]["count"], 6);
    });
}

#[test]
fn an_unknown_price_is_never_a_guess() {
    let (place, path) = recorded(Api::Chat);
    let priced = |cost: Value| {
        let mut all = lines(&path);
        for line in all.iter_mut().filter(|line| line["type"] == "result") {
            line["cost_usd"] = cost.clone();
        }
        all
    };
    write(place.here("known"), &priced(json!(0.25)));
    write(place.here("unknown"), &priced(json!(null)));
    let sums = stats(&place, &["known", "unknown"]);
    assert_eq!((&sums["cost_usd"], &sums["runs_without_cost"]), (&json!(0.5), &json!(2)));
    let sums = stats(&place, &["unknown"]);
    assert_eq!((&sums["cost_usd"], &sums["runs_without_cost"]), (&json!(null), &json!(2)));
    let table = transcript(&place, &["stats", "unknown"]).run().code(0).out();
    assert!(table.contains("without the 2 runs whose price is not known"), "{table}");
}

#[test]
fn a_crashed_run_is_counted_by_what_it_has() {
    let (place, path) = recorded(Api::Chat);
    let mut all = lines(&path);
    let first = all.iter().position(|line| line["type"] == "result").expect("a result");
    all.truncate(first);
    write(&path, &all);
    let sums = stats(&place, &[&path]);
    assert_eq!((&sums["runs"]["total"], &sums["runs"]["crashed"], &sums["turns"]), (&json!(1), &json!(1), &json!(2)));
    assert!(sums["tokens"]["total"].as_u64().is_some_and(|n| n > 0));
}

#[test]
fn denials_limits_and_prunes_are_told_apart() {
    let api = Api::Chat;
    let server =
        Server::script(api, [api.calls(&[(&api.id(1), "read_files", json!({"paths": [".env"]}))]), api.text("no")]);
    let place = Flux::to(&server).file(".env", "x").transcript().args(["-n", "p"]);
    let _ = place.run().code(0);
    let path = place.path("transcript.jsonl").display().to_string();
    let mut all = lines(&path);
    let mut prune = all[1].clone();
    prune["customType"] = json!("flux.prune");
    prune["data"] = json!({"reason": "budget", "messages_before": 9, "messages_after": 3, "tokens_before": 1000,
        "tokens_after": 400, "removed": ["a"], "shrunk": []});
    all.insert(2, prune);
    write(&path, &all);
    let sums = stats(&place, &[&path]);
    assert_eq!((&sums["tools"]["read_files"]["denied"], &sums["tools"]["read_files"]["error"]), (&json!(1), &json!(0)));
    assert_eq!(sums["prunes"], json!({"count": 1, "tokens_removed": 600}));
}

#[test]
fn the_table_says_the_same_in_columns() {
    let (place, path) = recorded(Api::Chat);
    let table = transcript(&place, &["stats", &path]).run().code(0).stderr("").out();
    let row = |name: &str| -> Vec<String> {
        let line = table.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("{name}: {table}"));
        line.split_whitespace().map(str::to_owned).collect()
    };
    assert_eq!(row("runs")[..4], ["runs", "2", "ok", "2"].map(str::to_owned));
    assert_eq!(row("read_files")[..5], ["read_files", "1", "1", "0", "0"].map(str::to_owned));
    assert_eq!(row("no_such_tool")[..5], ["no_such_tool", "1", "0", "1", "0"].map(str::to_owned));
    assert_eq!(row("overloaded"), ["overloaded", "1"].map(str::to_owned));
    let heads: BTreeMap<usize, usize> = table
        .split("\n\n")
        .skip(1)
        .enumerate()
        .map(|(n, part)| {
            (n, part.lines().map(|line| line.chars().count()).collect::<std::collections::BTreeSet<_>>().len())
        })
        .collect();
    assert!(heads.values().all(|widths| *widths == 1), "the columns do not stand straight:\n{table}");
}

#[test]
fn absurd_numbers_do_not_end_the_count() {
    let (place, path) = recorded(Api::Chat);
    let text = std::fs::read_to_string(&path).expect("a transcript");
    let huge = u64::MAX.to_string();
    let text = text.replace("\"duration_ms\":", &format!("\"duration_ms\":{huge},\"was\":"));
    let mut all: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    for line in &mut all {
        for usage in ["/usage", "/message/usage"] {
            if let Some(Value::Object(usage)) = line.pointer_mut(usage) {
                usage.values_mut().filter(|value| value.is_u64()).for_each(|value| *value = json!(u64::MAX));
            }
        }
        if let Some(data) = line.pointer_mut("/data").filter(|data| data["wait_ms"].is_u64()) {
            data["wait_ms"] = json!(u64::MAX);
        }
    }
    write(&path, &all);
    for command in [&["stats"][..], &["stats", "--json"], &["show"], &["report"], &["export", "--to", "atif"]] {
        let _ = transcript(&place, &[command, &[&*path, &path][..]].concat()).run().code(0).stderr("");
    }
}
