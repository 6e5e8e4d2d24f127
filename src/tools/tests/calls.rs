//! What a call may look like, and what the model is told of one that cannot run.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;

#[test]
fn the_model_learns_of_every_argument_a_tool_takes_and_of_no_other() {
    let place = Place::writing(&[]);
    for spec in place.toolbox.specs() {
        let schema: Value = serde_json::from_str(&spec.schema).unwrap();
        let described: BTreeSet<&str> = schema["properties"].as_object().unwrap().keys().map(String::as_str).collect();
        let refusal = place.error(&spec.name, json!({ "no such field": 1 }));
        let taken: BTreeSet<&str> = refusal.split('`').skip(1).step_by(2).skip(1).collect();
        assert_eq!(described, taken, "{}: {refusal}", spec.name);
        for required in schema["required"].as_array().unwrap() {
            assert!(described.contains(required.as_str().unwrap()));
        }
        if spec.name != "list_files" {
            let missing = place.error(&spec.name, json!({}));
            let required = schema["required"][0].as_str().unwrap();
            assert_eq!(missing, format!("bad_arguments: missing field `{required}`"));
        }
    }
}

#[test]
fn every_schema_is_one_that_all_providers_take() {
    fn check(schema: &Value) {
        match schema["type"].as_str().unwrap() {
            "object" => {
                assert_eq!(schema["additionalProperties"], false);
                assert!(schema["required"].is_array());
                schema["properties"].as_object().unwrap().values().for_each(check);
            }
            "array" => check(&schema["items"]),
            other => assert!(["string", "integer", "boolean"].contains(&other)),
        }
    }
    for spec in Place::writing(&[]).toolbox.specs() {
        check(&serde_json::from_str(&spec.schema).unwrap());
        assert!(spec.name.len() <= 64 && spec.name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'));
    }
}

#[test]
fn the_tools_cost_little_in_every_request() {
    let specs = Place::new(&[]).toolbox.specs().to_vec();
    let json: Vec<Value> = specs
        .iter()
        .map(|spec| {
            let schema: Value = serde_json::from_str(&spec.schema).unwrap();
            json!({ "name": spec.name, "description": spec.description, "input_schema": schema })
        })
        .collect();
    let bytes = serde_json::to_string(&json).unwrap().len();
    assert!(bytes <= 1800, "{bytes}");
}

#[test]
fn a_run_is_offered_only_what_it_can_use() {
    let names = |allow: &[&str], deny: &[&str]| -> String {
        let place = Place::allowing(allow, deny, &[]);
        place.toolbox.specs().iter().map(|spec| spec.name.as_ref()).collect::<Vec<_>>().join(" ")
    };
    let reading = "read_files list_files find_files grep_search";
    let all = format!("{reading} edit_file write_file move_file delete_file");
    assert_eq!(names(&[], &[]), reading);
    assert_eq!(names(&["write"], &[]), all);
    assert_eq!(names(&["write:a"], &["write:b"]), all);
    assert_eq!(names(&["write"], &["write"]), reading);
    assert_eq!(names(&["write"], &["read"]), "");
}

#[test]
fn a_changing_call_runs_alone() {
    let place = Place::writing(&[]);
    let changing: Vec<&str> = ["edit_file", "write_file", "move_file", "delete_file"].into();
    assert!(changing.iter().all(|tool| !place.toolbox.is_read_only(&call(tool, "{}"))));
}

#[test]
fn what_a_small_model_gets_slightly_wrong_still_works() {
    let place = Place::new(&[("a.txt", "one\nTWO\nthree\n")]);
    let range = json!({ "paths": "a.txt", "start_line": "2", "end_line": 2.0 });
    assert_eq!(place.text("read_files", range), "     2\tTWO\n[lines 2-2 of 3]\n");
    let nulls = json!({ "paths": ["./a.txt"], "start_line": null, "end_line": null });
    assert_eq!(place.text("read_files", nulls), place.read("a.txt"));
    assert_eq!(place.text("read_files", json!({ "paths": "[\"a.txt\"]" })), place.read("a.txt"));
    let loose = json!({ "pattern": "two", "path": "", "glob": "", "context": "0", "ignore_case": "true" });
    assert_eq!(place.text("grep_search", loose), "a.txt:2:TWO\n");
    assert_eq!(place.text("list_files", json!({ "path": "", "depth": "1" })), "a.txt\n");
    assert_eq!(place.toolbox.call(&call("list_files", ""), &|| false).text, "a.txt\n");
}

#[test]
fn arguments_that_make_no_sense_are_refused_with_the_field_named() {
    let place = Place::new(&[("a.txt", "x")]);
    let long: Vec<&str> = vec!["a.txt"; 65];
    let cases = [
        ("read_files", r#"{"paths":5}"#, "`paths`: expected a list of strings"),
        ("read_files", r#"{"paths":[5]}"#, "`paths`: expected a list of strings"),
        ("read_files", r#"{"paths":[]}"#, "`paths` is empty"),
        ("read_files", r#"{"paths":["a"],"start_line":-1}"#, "`start_line`: expected a whole number, not negative"),
        (
            "read_files",
            r#"{"paths":["a"],"start_line":99999999999999999999999}"#,
            "`start_line`: expected a whole number, not negative",
        ),
        ("read_files", r#"{"paths":["a"],"start_line":1e99}"#, "`start_line`: expected a whole number, not negative"),
        ("read_files", r#"{"paths":["a"],"end_line":{}}"#, "`end_line`: expected a whole number"),
        ("read_files", r#"{"paths":["a"],"start_line":5,"end_line":2}"#, "`end_line` 2 is before `start_line` 5"),
        (
            "read_files",
            r#"{"paths":["a"],"paths":["b"]}"#,
            "the arguments are not one JSON object: key `paths` appears twice at line 1 column 29",
        ),
        ("find_files", r#"{"pattern":"a","depth":1}"#, "unknown field `depth`, expected `pattern` or `path`"),
        ("find_files", r#"{"pattern":["a"]}"#, "`pattern`: invalid type: sequence, expected a string"),
        ("list_files", "{\"path\":\n7}", "`path`: invalid type: integer `7`, expected a string"),
        ("grep_search", r#"{"pattern":"a","ignore_case":"yes"}"#, "`ignore_case`: expected true or false"),
    ];
    for (tool, arguments, fault) in cases {
        let result = place.toolbox.call(&call(tool, arguments), &|| false);
        assert_eq!(result.text, format!("bad_arguments: {fault}"), "{arguments}");
        assert_eq!((result.is_error, result.detail.code), (true, Some("bad_arguments")));
    }
    let many = place.error("read_files", json!({ "paths": long }));
    assert_eq!(many, "bad_arguments: `paths` has 65 paths, at most 64 at once");
}

#[test]
fn arguments_that_are_no_json_object_never_run_as_an_empty_one() {
    let place = Place::new(&[("a.txt", "x")]);
    for (arguments, fault) in [
        ("{\"path\":", "EOF while parsing a value at line 1 column 8"),
        ("[1]", "invalid type: sequence, expected a JSON object at line 1 column 0"),
        ("nonsense", "expected ident at line 1 column 2"),
    ] {
        let result = place.toolbox.call(&call("list_files", arguments), &|| false);
        assert_eq!(result.text, format!("bad_arguments: the arguments are not one JSON object: {fault}"));
    }
    let deep = format!("{{\"path\":{}1{}}}", "[".repeat(10_000), "]".repeat(10_000));
    let result = place.toolbox.call(&call("list_files", &deep), &|| false);
    assert!(result.text.starts_with("bad_arguments: "), "{}", result.text);
}

#[test]
fn arguments_above_a_mebibyte_are_refused() {
    let place = Place::new(&[]);
    let long = "x".repeat(5 << 20);
    let good = place.error("read_files", json!({ "paths": [long] }));
    assert_eq!(good, "bad_arguments: the arguments are 5242894 bytes long, at most 1048576 are allowed");
    let broken = place.toolbox.call(&call("read_files", &long), &|| false);
    assert_eq!(broken.text, "bad_arguments: the arguments are 5242880 bytes long, at most 1048576 are allowed");
}

#[test]
fn an_unknown_tool_is_answered_with_the_tools_there_are() {
    let place = Place::new(&[]);
    assert_eq!(
        place.error("cat", json!({})),
        "unknown_tool: there is no tool `cat`; use read_files, list_files, find_files, grep_search"
    );
    let strange = place.error("../\u{1b}[2J", json!({}));
    assert!(strange.starts_with("unknown_tool: there is no tool `../\\x1b[2J`;"), "{strange}");
    assert!(place.error(&"x".repeat(10_000), json!({})).len() < 200);
    let empty = Toolbox::new(Workspace::open(&place.root()).unwrap(), Vec::new());
    let refused = empty.call(&call("cat", "{}"), &|| false);
    assert_eq!(refused.text, "unknown_tool: there is no tool `cat`; there are none in this run");
}

#[test]
fn reading_calls_may_run_side_by_side() {
    let place = Place::new(&[]);
    for spec in place.toolbox.specs() {
        assert!(place.toolbox.is_read_only(&call(&spec.name, "{}")));
    }
    assert!(place.toolbox.is_read_only(&call("unknown", "{}")));
}

#[test]
fn a_run_that_stops_ends_every_call_soon() {
    let place = Place::new(&[]);
    place.write_repeated("big.txt", "some text in a line\n", 4_000_000);
    for n in 0..2000 {
        place.write(format!("many/{n}"), "x\n");
    }
    let cases = [
        ("read_files", json!({ "paths": ["big.txt"], "start_line": 3_999_999 })),
        ("grep_search", json!({ "pattern": "absent" })),
        ("find_files", json!({ "pattern": "*.absent" })),
        ("list_files", json!({ "depth": 5 })),
    ];
    for (tool, arguments) in cases {
        let asked = AtomicUsize::new(0);
        let stop = || asked.fetch_add(1, Ordering::Relaxed) >= 2;
        let call = call(tool, &arguments.to_string());
        let result = within(Duration::from_secs(2), || place.toolbox.call(&call, &stop));
        assert_eq!(result.detail.code, Some("cancelled"), "{tool}: {}", result.text);
        let at_once = place.toolbox.call(&call, &|| true);
        assert_eq!(at_once.detail.code, Some("cancelled"), "{tool}");
    }
}
