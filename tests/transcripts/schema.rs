//! `flux transcript schema`: a schema that others can use, and that says what `validate` and the readers say.

use std::process::Command;

use serde_json::{Value, json};

use super::{lines, recorded, transcript};
use crate::support::{Api, flux, say};

fn schema() -> Value {
    let run = flux().args(["transcript", "schema"]).run().code(0).stderr("");
    serde_json::from_str(&run.out()).expect("JSON")
}

#[test]
fn the_schema_is_one_of_draft_2020_12() {
    let schema = schema();
    assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
    jsonschema::meta::validate(&schema).expect("a schema");
}

/// Every line of a transcript, and each of them with each of its fields removed, replaced by something else, and
/// joined by fields that only other kinds of lines have.
fn mutants(path: &str) -> Vec<Value> {
    let mut all = Vec::new();
    for line in lines(path) {
        let mut pointers = Vec::new();
        walk(&line, "", &mut pointers);
        all.push(line.clone());
        for pointer in pointers {
            for replacement in [json!(null), json!("x"), json!(-1), json!(7), json!([]), json!({}), json!(true)] {
                let mut mutant = line.clone();
                *mutant.pointer_mut(&pointer).expect("a field") = replacement;
                all.push(mutant);
            }
            let mut mutant = line.clone();
            if let Some(Value::Object(object)) = mutant.pointer_mut(&pointer) {
                for name in
                    ["isError", "details", "usage", "name", "arguments", "thinking", "data", "toolCallId", "text"]
                {
                    object.entry(name).or_insert(json!(["foreign"]));
                }
                all.push(mutant);
            }
            let (parent, name) = pointer.rsplit_once('/').expect("a pointer");
            let mut mutant = line.clone();
            if let Some(Value::Object(parent)) = mutant.pointer_mut(parent) {
                parent.remove(name);
                all.push(mutant);
            }
        }
    }
    all
}

fn walk(value: &Value, at: &str, pointers: &mut Vec<String>) {
    let children: Vec<(String, &Value)> = match value {
        Value::Object(map) => map.iter().map(|(name, value)| (name.clone(), value)).collect(),
        Value::Array(list) => list.iter().enumerate().map(|(n, value)| (n.to_string(), value)).collect(),
        _ => Vec::new(),
    };
    for (name, value) in children {
        let pointer = format!("{at}/{}", name.replace('~', "~0").replace('/', "~1"));
        // What a tool's own schema looks like is nobody's business here.
        if !pointer.contains("/input_schema/") && !pointer.contains("/permissions/") {
            walk(value, &pointer, pointers);
        }
        pointers.push(pointer);
    }
}

#[test]
fn what_the_schema_permits_every_reader_takes() {
    let schema = jsonschema::validator_for(&schema()).expect("a schema");
    for api in crate::support::wire::APIS {
        let (place, path) = recorded(api);
        let mutants = mutants(&path);
        let valid: Vec<&Value> = mutants.iter().filter(|mutant| schema.is_valid(mutant)).collect();
        assert!(valid.len() > 200 && mutants.len() - valid.len() > 500, "{} of {}", valid.len(), mutants.len());
        let text: String = valid.iter().map(|mutant| format!("{mutant}\n")).collect();
        let place = place.file("valid.jsonl", format!("{}\n{text}", lines(&path)[0]));
        let _ = transcript(&place, &["stats", "valid.jsonl"]).run().code(0).stderr("");
    }
}

#[test]
fn validate_says_what_another_validator_says() {
    let (place, path) = recorded(Api::Responses);
    let mutants = mutants(&path);
    let place = place.file("schema.json", schema().to_string());
    // Each after a header, so that it is a file of its own but for the rules between lines.
    let header = lines(&path)[0].to_string();
    let text: String = mutants.iter().map(|mutant| format!("{mutant}\n")).collect();
    let place = place.file("mutants.jsonl", format!("{header}\n{text}"));
    let script = "import json,sys,jsonschema\n\
        v=jsonschema.Draft202012Validator(json.load(open('schema.json')))\n\
        [print(n) for n,l in enumerate(open('mutants.jsonl'),1) if not v.is_valid(json.loads(l))]";
    let python = std::env::var("FLUX_TEST_PYTHON").unwrap_or_else(|_| "python3".into());
    let output = Command::new(python).args(["-c", script]).current_dir(place.here("")).output().expect("Python");
    if String::from_utf8_lossy(&output.stderr).contains("No module named") {
        return say("skipped: validate_says_what_another_validator_says needs PyPI jsonschema (FLUX_TEST_PYTHON)");
    }
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let theirs: Vec<usize> =
        String::from_utf8(output.stdout).expect("text").lines().map(|n| n.parse().expect("a number")).collect();
    let ours = jsonschema::validator_for(&schema()).expect("a schema");
    let ours_too: Vec<usize> =
        mutants.iter().enumerate().filter(|(_, mutant)| !ours.is_valid(mutant)).map(|(n, _)| n + 2).collect();
    assert_eq!(ours_too, theirs);
    let run = transcript(&place, &["validate", "mutants.jsonl"]).run().code(65);
    let said: std::collections::BTreeSet<usize> =
        run.out().lines().filter_map(|line| line.split(':').nth(1)?.parse().ok()).collect();
    let unsaid: Vec<_> = theirs.iter().filter(|line| !said.contains(line)).collect();
    assert!(unsaid.is_empty(), "{unsaid:?}");
}
