//! Places outside the root that may be read: what is in them can be read and searched, and nothing else is reached
//! or changed through them.

use super::*;

fn place() -> Place {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().canonicalize().unwrap().join(name);
    for (file, text) in [
        ("other/a.txt", "needle inside\n"),
        ("other/sub/b.txt", "needle deeper\n"),
        ("other/.env", "CANARY needle"),
        ("other/x.log", "needle in a log\n"),
        ("beside/c.txt", "CANARY beside needle"),
        ("keys/own.pem", "granted key\n"),
        ("keys/other.pem", "CANARY key"),
    ] {
        fs::create_dir_all(at(file).parent().unwrap()).unwrap();
        fs::write(at(file), text).unwrap();
    }
    for (target, link) in [("../beside/c.txt", "up"), ("sub/b.txt", "in"), ("..", "parent")] {
        std::os::unix::fs::symlink(target, at("other").join(link)).unwrap();
    }
    std::os::unix::fs::symlink(at("beside"), at("other/absolute")).unwrap();
    std::os::unix::fs::symlink(at("other/sub"), at("other/own")).unwrap();
    let allow =
        [format!("read:{}", at("other").display()), format!("read:{}", at("keys/own.pem").display()), "write".into()];
    let mut policy = Policy::parse(&allow, &[format!("read:{}", at("other/denied").display())]).unwrap();
    let place = Place::within(directory, &[(".gitignore", "*.log\n"), ("in.txt", "x")], super::super::DEFAULT_CAP);
    policy.settle(&place.root().canonicalize().unwrap(), &|path| path.canonicalize().ok()).unwrap();
    let tools = permitted_tools(&policy);
    let workspace = Workspace::open(&place.root()).unwrap().with_policy(policy).unwrap();
    Place { toolbox: Toolbox::new(workspace, tools), ..place }
}

impl Place {
    fn outside(&self, name: &str) -> String {
        self.directory.path().canonicalize().unwrap().join(name).display().to_string()
    }
}

#[test]
fn what_is_in_a_granted_place_can_be_read_listed_found_and_searched() {
    let place = place();
    let at = |name: &str| place.outside(name);
    assert_eq!(place.read(&at("other/a.txt")), "     1\tneedle inside\n");
    assert_eq!(place.read(&at("other/in")), "     1\tneedle deeper\n");
    assert_eq!(place.read(&at("other/own/b.txt")), "     1\tneedle deeper\n");
    assert_eq!(place.read(&at("other/sub/../a.txt")), "     1\tneedle inside\n");
    assert_eq!(place.read(&at("keys/own.pem")), "     1\tgranted key\n");
    let listed = place.text("list_files", json!({ "path": at("other") }));
    assert!(listed.contains("a.txt") && listed.contains("x.log") && listed.contains("    b.txt"), "{listed}");
    let found = place.text("find_files", json!({ "path": at("other"), "pattern": "*.txt" }));
    assert_eq!(found, format!("{}\n{}\n", at("other/a.txt"), at("other/sub/b.txt")));
    let hits = place.text("grep_search", json!({ "path": at("other"), "pattern": "needle" }));
    assert!(hits.contains(&format!("{}:1:needle deeper", at("other/sub/b.txt"))), "{hits}");
    assert!(hits.contains("needle in a log") && !hits.contains("CANARY"), "{hits}");
    let own = place.text("grep_search", json!({ "pattern": "." }));
    assert!(!own.contains("needle"), "{own}");
}

#[test]
fn nothing_else_is_reached_through_it() {
    let place = place();
    let outside = |name: &str| {
        let error = place.read_error(&place.outside(name));
        assert!(!error.contains("CANARY") && error.starts_with("outside_root: "), "{name}: {error}");
    };
    for name in
        ["other/up", "other/../beside/c.txt", "other/parent/beside/c.txt", "other/absolute/c.txt", "beside/c.txt"]
    {
        outside(name);
    }
    for name in ["keys/other.pem", "keys", "other/../keys/own.pem", ""] {
        outside(name);
    }
    assert!(place.read_error(&place.outside("other/.env")).starts_with("denied: "));
    assert!(place.read_error(&place.outside("other/gone")).starts_with("not_found: "));
    assert!(place.read_error(&place.outside("other/denied/x")).starts_with("not_found: "));
}

#[test]
fn nothing_is_changed_in_it() {
    let place = place();
    let path = place.outside("other/a.txt");
    place.read(&path);
    let calls = [
        ("write_file", json!({"path": path, "content": "x"})),
        ("write_file", json!({"path": place.outside("other/new"), "content": "x"})),
        ("edit_file", edit(&path, "needle", "x")),
        ("delete_file", json!({"path": path})),
        ("move_file", json!({"path": path, "to": "stolen"})),
        ("move_file", json!({"path": "in.txt", "to": place.outside("other/new")})),
    ];
    for (tool, arguments) in calls {
        let error = place.error(tool, arguments);
        assert!(error.starts_with("outside_root: "), "{tool}: {error}");
    }
    assert_eq!(fs::read_to_string(path).unwrap(), "needle inside\n");
}
