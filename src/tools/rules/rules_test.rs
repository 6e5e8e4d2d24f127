//! What the sandbox is told about a policy and a tree.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::time::Duration;

use tempfile::TempDir;

use super::*;

struct Place {
    directory: TempDir,
    /// Which directory in it is the home directory.
    home: &'static str,
    stop: Stopper,
    /// How many names are looked at.
    most: usize,
}

impl Place {
    fn new(files: &[&str]) -> Self {
        let (directory, stop) = (tempfile::tempdir().unwrap(), Stopper::new(None).unwrap());
        let place = Self { directory, home: "home", stop, most: MOST_NAMES };
        for file in ["root/x", "home/x"].iter().chain(files) {
            place.write(file);
        }
        place
    }

    fn at(&self, name: &str) -> PathBuf {
        self.directory.path().canonicalize().unwrap().join(name)
    }

    fn write(&self, name: &str) {
        let path = self.at(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, "").unwrap();
        if name.contains("bin/") {
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        }
    }

    fn plan(&self, allow: &[&str], deny: &[&str]) -> Plan {
        self.plan_with(allow, deny, &[("PATH", "/usr/bin:/bin")])
    }

    fn plan_with(&self, allow: &[&str], deny: &[&str], variables: &[(&str, &str)]) -> Plan {
        let words =
            |list: &[&str]| list.iter().map(|word| word.replace('@', &self.at("").display().to_string())).collect();
        let (allow, deny): (Vec<String>, Vec<String>) = (words(allow), words(deny));
        let mut policy = Policy::parse(&allow, &deny).unwrap();
        policy.settle(&self.at("root"), &|path| path.canonicalize().ok()).unwrap();
        let variables = variables.iter().map(|(name, value)| {
            (String::from(*name), OsString::from(value.replace('@', &self.at("").display().to_string())))
        });
        let environment = Environment::of(Some(self.at(self.home)), variables.collect());
        let workspace = Workspace::open(&self.at("root")).unwrap().with_policy(policy.clone()).unwrap();
        let programs = Programs::of_policy(&policy, environment.search_path(), &self.at("root"));
        plan(&workspace, &programs, &environment, &[], self.most, &self.stop)
    }

    /// The paths relative to the place, sorted.
    fn names(&self, paths: &[PathBuf]) -> Vec<String> {
        let mut names: Vec<String> =
            paths.iter().filter_map(|path| Some(path.strip_prefix(self.at("")).ok()?.display().to_string())).collect();
        names.sort();
        names
    }
}

fn variable<'a>(plan: &'a Plan, name: &str) -> Option<&'a str> {
    plan.rules.env.iter().find(|(known, _)| known == name).and_then(|(_, value)| value.to_str())
}

#[test]
fn what_is_protected_or_secret_is_named_wherever_it_is() {
    let place = Place::new(&[
        "root/.git/config",
        "root/.git/hooks/x",
        "root/.git/objects/ab/id_rsa",
        "root/.env",
        "root/a/b/server.pem",
        "root/a/AGENTS.md",
        "root/.github/workflows/ci.yml",
        "root/.github/x.key",
        "root/node_modules/m/.npmrc",
        "root/notes/private/a",
        "root/.gitignore",
    ]);
    fs::write(place.at("root/.gitignore"), "node_modules\n").unwrap();
    let plan = place.plan(&["write", "write:.github/**", "read:.env", "run:ls"], &["read:notes/private"]);
    assert_eq!(place.names(&plan.rules.writable), ["root"]);
    let protected = ["root/.env", "root/.git", "root/a/AGENTS.md", "root/node_modules/m/.npmrc"];
    assert_eq!(place.names(&plan.rules.protected), protected);
    let hidden = [
        "root/.git/config",
        "root/.github/x.key",
        "root/a/b/server.pem",
        "root/node_modules/m/.npmrc",
        "root/notes/private",
    ];
    assert_eq!(place.names(&plan.rules.hidden), hidden);
    assert!(plan.notes.is_empty());
    let unwritten = place.plan(&["run:ls"], &[]);
    assert!(unwritten.rules.writable.is_empty() && unwritten.rules.protected.is_empty());
}

#[test]
fn the_repository_of_a_worktree_is_protected_where_it_lies() {
    let place = Place::new(&["root/main.git/worktrees/w/HEAD", "root/main.git/HEAD", "root/w/.git", "root/v/.git"]);
    fs::write(place.at("root/w/.git"), format!("gitdir: {}\n", place.at("root/main.git/worktrees/w").display()))
        .unwrap();
    fs::write(place.at("root/main.git/worktrees/w/commondir"), "../..\n").unwrap();
    fs::write(place.at("root/v/.git"), "gitdir: ../../home\n").unwrap();
    let protected = place.names(&place.plan(&["write", "run:ls"], &[]).rules.protected);
    assert_eq!(protected, ["root/main.git", "root/main.git/worktrees/w", "root/v/.git", "root/w/.git"]);
}

#[test]
fn a_narrow_grant_gives_programs_its_directories_and_files_and_no_more() {
    let place = Place::new(&["root/src/a/b", "root/docs/x", "root/a.txt", "root/b.md", "root/.env", "outside/x"]);
    symlink(place.at("outside"), place.at("root/link")).unwrap();
    let allow = [
        "write:src/**",
        "write:src/a/**",
        "write:a.txt",
        "write:*.md",
        "write:link/**",
        "write:gone/**",
        "write:.env",
        "run:ls",
    ];
    let plan = place.plan(&allow, &[]);
    assert_eq!(place.names(&plan.rules.writable), ["root/a.txt", "root/src"]);
    let denied = place.plan(&["write", "run:ls"], &["write:docs/**", "write:a.txt"]);
    assert_eq!(place.names(&denied.rules.writable), ["root"]);
    assert_eq!(place.names(&denied.rules.protected), ["root/.env", "root/a.txt", "root/docs"]);
    for inexpressible in ["write:*.md", "write:new.txt", "write:link"] {
        let plan = place.plan(&["write", "run:ls"], &[inexpressible]);
        assert!(plan.rules.writable.is_empty() && plan.notes.len() == 1, "{inexpressible}: {:?}", plan.notes);
    }
    let beside = place.plan(&["write:src/**", "run:ls"], &["write:elsewhere/**"]);
    assert_eq!(place.names(&beside.rules.writable), ["root/src"]);
    assert!(place.plan(&["write", "run:ls"], &["write"]).rules.writable.is_empty());
}

#[test]
fn children_get_little_of_the_environment() {
    let place = Place::new(&[]);
    let variables = [
        ("PATH", "relative:@root/bin:/usr/bin:/bin"),
        ("LANG", "C"),
        ("LC_ALL", "C.UTF-8"),
        ("TZ", "UTC"),
        ("SECRET_KEY", "CANARY"),
        ("WANTED", "yes"),
        ("DENIED", "no"),
    ];
    let plan = place.plan_with(&["run:ls", "env:WANTED", "env:DENIED", "env:ABSENT"], &["env:DENIED"], &variables);
    let mut names: Vec<&str> = plan.rules.env.iter().filter_map(|(name, _)| name.to_str()).collect();
    names.sort_unstable();
    let wanted = ["GIT_CONFIG_GLOBAL", "GIT_CONFIG_NOSYSTEM", "LANG", "LC_ALL", "PATH", "TERM", "TZ", "WANTED"];
    assert_eq!(names, wanted);
    assert_eq!(variable(&plan, "PATH"), Some("/usr/bin:/bin"));
    assert!(!plan.rules.net && place.plan(&["run:ls", "net"], &[]).rules.net);
}

#[test]
fn a_program_of_a_toolchain_in_the_home_directory_brings_it() {
    let place = Place::new(&[
        "home/.cargo/bin/cargo",
        "home/.cargo/credentials.toml",
        "home/.rustup/toolchains/x/bin/cargo",
        "home/.nvm/versions/node/v1/bin/node",
        "home/.local/bin/own",
        "home/.pyenv/shims/x",
        "opt/bin/tool",
    ]);
    let path = [("PATH", "@home/.cargo/bin:@home/.nvm/versions/node/v1/bin:@home/.local/bin:@opt/bin:/usr/bin:/bin")];
    let cargo = place.plan_with(&["run:cargo test **"], &[], &path);
    assert_eq!(place.names(&cargo.rules.readable), ["home/.cargo", "home/.cargo/bin/cargo", "home/.rustup"]);
    assert_eq!(place.names(&cargo.rules.unreadable), ["home/.cargo/credentials.toml"]);
    assert!(variable(&cargo, "CARGO_HOME").is_some_and(|path| path.ends_with("home/.cargo")));
    assert!(variable(&cargo, "RUSTUP_HOME").is_some() && variable(&cargo, "NVM_DIR").is_none());
    assert_eq!(variable(&cargo, "CARGO_NET_OFFLINE"), Some("true"));
    let online = place.plan_with(&["run:cargo test **", "net"], &[], &path);
    assert!(variable(&online, "CARGO_NET_OFFLINE").or(variable(&online, "GIT_CONFIG_GLOBAL")).is_none());
    let own = place.plan_with(&["run:own", "run:tool"], &[], &path);
    assert_eq!(place.names(&own.rules.readable), ["home/.local/bin/own", "opt"]);
    let shell = place.plan_with(&["shell"], &[], &path);
    let readable = place.names(&shell.rules.readable);
    assert!(readable.contains(&"home/.cargo".into()) && readable.contains(&"home/.nvm".into()), "{readable:?}");
    assert!(!readable.contains(&"home/.pyenv".into()), "{readable:?}");
    let elsewhere = [("PATH", "@home/.cargo/bin:/bin"), ("RUSTUP_HOME", "@opt")];
    let moved = place.plan_with(&["run:cargo"], &[], &elsewhere);
    assert!(variable(&moved, "RUSTUP_HOME").is_some_and(|path| path.ends_with("opt")));
}

#[test]
fn another_place_is_readable_less_its_secrets() {
    let place = Place::new(&["other/a", "other/b/id_rsa", "other/c/d", "other/.env", "keys/own.pem"]);
    let plan = place.plan(&["run:ls", "read:@other", "read:@keys/own.pem"], &["read:@other/c"]);
    assert_eq!(place.names(&plan.rules.readable), ["keys/own.pem", "other"]);
    assert_eq!(place.names(&plan.rules.unreadable), ["other/.env", "other/b/id_rsa", "other/c"]);
}

#[test]
fn a_toolchain_is_known_by_its_name_outside_the_home_directory_too() {
    let place = Place::new(&["srv/.pyenv/bin/tool", "srv/.pyenv/lib/test.pem", "srv/.cargo/bin/x", "opt/bin/y"]);
    place.write("srv/.cargo/credentials");
    place.write("srv/.cargo/.netrc");
    place.write("opt/plain.key");
    let path = [("PATH", "@srv/.pyenv/bin:@srv/.cargo/bin:@opt/bin:/bin")];
    let shell = place.plan_with(&["shell"], &[], &path);
    assert_eq!(place.names(&shell.rules.readable), ["opt", "srv/.cargo", "srv/.pyenv"]);
    let closed = ["opt/plain.key", "srv/.cargo/.netrc", "srv/.cargo/credentials", "srv/.pyenv/lib/test.pem"];
    assert_eq!(place.names(&shell.rules.unreadable), closed);
    assert!(variable(&shell, "PYENV_ROOT").is_some_and(|path| path.ends_with("srv/.pyenv")));
    let one = place.plan_with(&["run:tool"], &[], &path);
    assert_eq!(place.names(&one.rules.readable), ["srv/.pyenv"]);
    assert_eq!(place.names(&one.rules.unreadable), ["srv/.pyenv/lib/test.pem"]);
    // The home directory is none, whatever it is called, and what else is in it stays closed.
    for home in ["srv/.pyenv", "srv"] {
        let place = Place { home, ..Place::new(&["srv/.pyenv/bin/tool", "srv/.pyenv/x", "srv/a/.cargo/bin/x"]) };
        let plan = place.plan_with(&["run:tool", "run:x"], &[], &[("PATH", "@srv/.pyenv/bin:@srv/a/.cargo/bin")]);
        let readable = place.names(&plan.rules.readable);
        assert_eq!(readable.contains(&"srv/a/.cargo".into()), home != "srv", "{readable:?}");
        assert_eq!(readable.contains(&"srv/.pyenv".into()), home == "srv", "{readable:?}");
    }
}

#[test]
fn a_place_within_another_is_searched_once() {
    let place = Place::new(&["opt/bin/x", "opt/in/bin/y", "opt/in/server.pem"]);
    let plan = place.plan_with(&["shell"], &[], &[("PATH", "@opt/bin:@opt/in/bin:@opt/bin:/bin")]);
    assert_eq!(place.names(&plan.rules.readable), ["opt", "opt/in"]);
    assert_eq!(place.names(&plan.rules.unreadable), ["opt/in/server.pem"]);
}

#[test]
fn the_search_ends_with_the_run() {
    let place = Place { stop: Stopper::new(Some(Duration::ZERO)).unwrap(), ..Place::new(&["opt/bin/x"]) };
    let plan = place.plan_with(&["shell"], &[], &[("PATH", "@opt/bin:/bin")]);
    assert!(plan.unsearched.is_some());
}

#[test]
fn a_place_behind_a_link_is_searched_where_it_really_is() {
    let place = Place::new(&["opt/app/bin/y", "opt/app/releases/2/node/bin/node", "opt/app/releases/2/node/.env"]);
    symlink("releases/2", place.at("opt/app/current")).unwrap();
    let path = [("PATH", "@opt/app/bin:@opt/app/current/node/bin:/bin")];
    for allow in [&["run:y **", "run:node **"][..], &["run:node **", "run:y **"], &["shell"]] {
        let plan = place.plan_with(allow, &["read:@opt/app/current/node/bin/x"], &path);
        assert_eq!(place.names(&plan.rules.readable), ["opt/app", "opt/app/releases/2/node"]);
        assert_eq!(place.names(&plan.rules.unreadable), ["opt/app/releases/2/node/.env"]);
        assert!(place.names(&plan.rules.links).contains(&"opt/app/current/node".into()), "{:?}", plan.rules.links);
    }
    let place = Place::new(&["home/private/bin/x", "home/private/y"]);
    symlink("home/private", place.at("linked")).unwrap();
    let plan = place.plan_with(&["run:x"], &[], &[("PATH", "@linked/bin")]);
    assert_eq!(place.names(&plan.rules.readable), ["home/private/bin/x"]);
    assert_eq!(place.names(&plan.rules.links), ["linked/bin/x"]);
}

#[test]
fn more_of_a_toolchain_elsewhere_is_not_opened_than_its_programs_bring() {
    let place = Place::new(&["srv/.pyenv/versions/3/bin/python", "srv/.pyenv/secret", "srv/.pyenv/versions/3/.env"]);
    let path = ("PATH", "@srv/.pyenv/versions/3/bin:/bin");
    let plan = place.plan_with(&["run:python **"], &[], &[path]);
    assert_eq!(place.names(&plan.rules.readable), ["srv/.pyenv/versions/3"]);
    assert_eq!(place.names(&plan.rules.unreadable), ["srv/.pyenv/versions/3/.env"]);
    assert!(variable(&plan, "PYENV_ROOT").is_some_and(|path| path.ends_with("srv/.pyenv")));
    let named = place.plan_with(&["run:python **"], &[], &[path, ("PYENV_ROOT", "@srv/.pyenv")]);
    assert_eq!(place.names(&named.rules.readable), ["srv/.pyenv", "srv/.pyenv/versions/3"]);
    assert_eq!(place.names(&named.rules.unreadable), ["srv/.pyenv/versions/3/.env"]);
}

#[test]
fn of_a_place_that_holds_too_much_only_the_program_is_opened_unless_the_user_names_it() {
    let files = ["big/bin/x", "big/lib/1", "big/lib/2", "big/lib/3", "big/lib/server.pem", "small/bin/y"];
    let place = Place { most: 5, ..Place::new(&files) };
    let path = [("PATH", "@big/bin:/bin")];
    let plan = place.plan_with(&["run:x **"], &[], &path);
    assert!(plan.unsearched.is_none() && plan.notes.len() == 1, "{:?}", plan.notes);
    assert_eq!(place.names(&plan.rules.readable), ["big/bin/x"]);
    assert!(plan.rules.unreadable.is_empty());
    let named = place.plan_with(&["run:x **", "read:@big"], &[], &path);
    assert_eq!(named.unsearched, Some(place.at("big")));
}
