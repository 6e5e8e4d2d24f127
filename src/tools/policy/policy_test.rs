//! What the words of `--allow` and `--deny` let through.

use super::*;

fn policy(allow: &[&str], deny: &[&str]) -> Policy {
    let words = |list: &[&str]| list.iter().map(ToString::to_string).collect::<Vec<_>>();
    Policy::parse(&words(allow), &words(deny)).unwrap()
}

fn remedy(policy: &Policy, path: &str) -> Option<String> {
    match policy.check_change(Path::new(path)) {
        Ok(()) => None,
        Err(Refusal::Denied { remedy, .. }) => Some(remedy),
        Err(other) => panic!("{other:?}"),
    }
}

#[track_caller]
fn may(policy: &Policy, paths: &[&str]) {
    for path in paths {
        assert_eq!(remedy(policy, path), None, "{path}");
    }
}

#[track_caller]
fn may_not(policy: &Policy, paths: &[&str]) {
    for path in paths {
        assert!(remedy(policy, path).is_some(), "{path}");
    }
}

#[test]
fn a_glob_stays_within_its_directory() {
    may(&policy(&["write"], &[]), &["a", "src/a/b.rs", "token-secrets/tokenizer.rs", "*", "-rf"]);
    let some = policy(&["write:src/*.rs", "write:docs/**", "write:a/[id].ts"], &[]);
    may(&some, &["src/a.rs", "docs/a", "docs/a/b", "a/[id].ts"]);
    may_not(&some, &["src/a/b.rs", "a.rs", "docs", "xsrc/a.rs", "src/a.rs/x", "a/x.ts"]);
    assert_eq!(remedy(&some, "it's").as_deref(), Some(r"--allow 'write:it'\''s'"));
    assert!(!policy(&[], &[]).may_write() && policy(&["write:a"], &[]).may_write());
}

#[test]
fn a_denial_always_wins_and_holds_for_all_beneath() {
    let denied = policy(&["write", "write:src/a", "read:.env"], &["write:src", "read:.env"]);
    may(&denied, &["srcs", "lib/src"]);
    may_not(&denied, &["src/a", "src/b/c", "src", ".env"]);
    assert_eq!(remedy(&denied, "src/a").as_deref(), Some("leave out --deny 'write:src'"));
    assert_eq!(denied.check_read(Path::new(".env")), Err(Withheld::Denied("read:.env".to_owned())));
    assert!(!policy(&["write"], &["write"]).may_write());
    let blind = policy(&["write"], &["read"]);
    assert!(!blind.may_read() && !blind.may_write());
}

#[test]
fn a_protected_name_is_unlocked_only_by_its_name() {
    let broad = policy(&["write", "write:**", "write:*", "write:.*/**"], &[]);
    may_not(&broad, &[".git/hooks/x", ".github/workflows/ci.yml", "AGENTS.md", "a/.envrc", ".cargo/config.toml"]);
    let named = policy(&["write:.github/**", "write:**/AGENTS.md", "write:.cargo/config*"], &[]);
    may(&named, &[".github/workflows/ci.yml", "AGENTS.md", "a/AGENTS.md", ".cargo/config.toml"]);
    may_not(&named, &[".github/.git/hooks/x", ".github/x/CLAUDE.md", ".git/AGENTS.md", ".vscode/x"]);
    assert_eq!(remedy(&broad, ".github/x").as_deref(), Some("--allow 'write:.github/x'"));
}

#[test]
fn a_secret_needs_both_grants() {
    assert_eq!(remedy(&policy(&["write"], &[]), "a.pem").as_deref(), Some("--allow 'read:a.pem'"));
    assert_eq!(remedy(&policy(&["write"], &[]), ".env").as_deref(), Some("--allow 'write:.env' --allow 'read:.env'"));
    may(&policy(&["write:.env", "read:.env"], &[]), &[".env"]);
    may(&policy(&["write", "read:*.pem"], &[]), &["a.pem"]);
    may_not(&policy(&["write", "read:*.pem"], &[]), &["a/b.pem", ".env"]);
}

#[test]
fn words_that_cannot_be_understood_are_refused_with_the_part_at_fault() {
    let cases = [
        ("write:/etc/**", "--allow write:/etc/**: the path is relative to the root, so it does not begin with '/'"),
        ("write:../**", "--allow write:../**: the path is one beneath the root, so it has no '..'"),
        ("write:a/../../b", "--allow write:a/../../b: the path is one beneath the root, so it has no '..'"),
        ("write:", "--allow write:: no path stands after the ':'"),
        ("write:.", "--allow write:.: no path stands after the ':'"),
        ("write:src/", "--allow write:src/: write 'DIRECTORY/**' for all that is in a directory"),
        ("write:[", "--allow write:[: this is no glob: "),
        ("read", "--allow read: reading needs no grant; "),
    ];
    for (word, message) in cases {
        let error = Policy::parse(&[word.to_owned()], &[]).unwrap_err();
        assert!(error.starts_with(message), "{error}");
    }
    for word in ["cargo test", "bash", "all", "run:sh*", "net:80", "env:HOME", "", "WRITE", " write"] {
        let error = Policy::parse(&[], &[word.to_owned()]).unwrap_err();
        assert!(error.starts_with(&format!("--deny {word}: ")), "{error}");
    }
    for word in ["read", "run", "env"] {
        assert!(Policy::parse(&[word.to_owned()], &[]).is_err(), "{word}");
        assert!(Policy::parse(&[], &[word.to_owned()]).is_ok(), "{word}");
    }
}

fn run_remedy(policy: &Policy, argv: &str) -> Option<String> {
    let argv: Vec<String> = argv.split(' ').map(str::to_owned).collect();
    match policy.check_run(&argv) {
        Ok(()) => None,
        Err(Refusal::Denied { remedy, .. }) => Some(remedy),
        Err(other) => panic!("{other:?}"),
    }
}

#[test]
fn a_command_needs_its_grant_and_no_denial() {
    let some = policy(&["run:cargo test **", "run:git status"], &["run:cargo test --release **"]);
    assert!(some.may_run() && !some.may_shell() && !some.may_net());
    assert_eq!(run_remedy(&some, "cargo test --lib"), None);
    assert_eq!(run_remedy(&some, "cargo build").as_deref(), Some("--allow 'run:cargo build **'"));
    let denied = run_remedy(&some, "cargo test --release x");
    assert_eq!(denied.as_deref(), Some("leave out --deny 'run:cargo test --release **'"));
    assert!(!policy(&["run:ls"], &["run"]).may_run() && !policy(&["run:ls"], &["read"]).may_run());
    assert!(policy(&["shell"], &["run"]).may_shell() && !policy(&["shell"], &["shell"]).may_shell());
    assert!(policy(&["net"], &[]).may_net() && !policy(&["net"], &["net"]).may_net());
    let variables = |allow: &[&str], deny: &[&str]| policy(allow, deny).variables().count();
    assert_eq!((variables(&["env:A", "env:B"], &["env:B"]), variables(&["env:A"], &["env"])), (1, 0));
}

#[test]
fn an_absolute_path_is_another_place_or_one_beneath_the_root() {
    let real = |path: &Path| (!path.starts_with("/gone")).then(|| path.to_owned());
    let settled = |allow: &[&str], deny: &[&str]| {
        let mut policy = policy(allow, deny);
        policy.settle(Path::new("/root"), &real).map(|()| policy)
    };
    let some = settled(&["read:/root/.env", "read:/usr/share", "read:/k/a.pem"], &["read:/usr/share/x"]).unwrap();
    assert_eq!(some.places(), [Path::new("/usr/share"), Path::new("/k/a.pem")]);
    for (path, may) in
        [(".env", true), ("a/.env", false), ("/usr/share/a", true), ("/usr/share/x/y", false), ("/k/a.pem", true)]
    {
        assert_eq!(some.check_read(Path::new(path)).is_ok(), may, "{path}");
    }
    assert_eq!(some.check_read(Path::new("/usr/share/a.pem")), Err(Withheld::Secret));
    assert!(settled(&["read:/gone"], &[]).is_err() && settled(&[], &["read:/gone"]).is_ok());
    assert!(!settled(&[], &["read:/root"]).unwrap().may_read());
}

#[test]
fn what_a_grant_takes_in_is_told_in_directories_where_it_can() {
    let extents = policy(&["write:src/**", "write:a.txt", "write:*.md", "write:**"], &[]).writable();
    let wanted =
        [Extent::Beneath("src".into()), Extent::Exactly("a.txt".into()), Extent::Scattered, Extent::Everything];
    assert_eq!(extents, wanted);
    let some = policy(&["write", "write:.github/**", "write:**/AGENTS.md"], &[]);
    let unlocked = |path: &str| some.unlocks(Path::new(path));
    assert!(unlocked(".github") && unlocked(".github/x") && unlocked("a/AGENTS.md"));
    assert!(!unlocked(".git") && !unlocked("CLAUDE.md") && !unlocked("a/.github"));
}
