//! What an attacker wants: secrets to read, places to change, sockets to reach, a process to disturb. All of it belongs
//! to the test, and whatever comes of it is seen.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::net::{TcpListener, UdpSocket};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::os::unix::net::{SocketAddr, UnixListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use crate::support::Flux;
use crate::support::user::User;

/// Stands in every secret, and nowhere else.
pub const CANARY: &str = "CANARY-d9c1f0";
/// Its forms in base64, whatever stands before it.
const CANARY_BASE64: [&str; 3] = ["Q0FOQVJZLWQ5YzFm", "NBTkFSWS1kOWMxZj", "DQU5BUlktZDljMWYw"];

/// The scene of one run.
pub struct Scene {
    pub flux: Flux,
    user: User,
    /// A directory among the temporary files, which the sandbox covers; the other one lies where it does not.
    temporary: TempDir,
    tcp: TcpListener,
    udp: UdpSocket,
    sockets: Vec<UnixListener>,
    name: String,
    bystander: Child,
}

impl Scene {
    /// Sets the scene for a run as this user.
    pub fn new(flux: Flux, user: User) -> Scene {
        let temporary = TempDir::with_prefix("flux-canary-").expect("a temporary directory");
        let name = format!("flux-canary-{}", fastrand::u64(..));
        let address = SocketAddr::from_abstract_name(&name).expect("a name");
        let outside = flux.path("outside");
        fs::create_dir(&outside).expect("a directory");
        let at = |path: PathBuf| UnixListener::bind(path).expect("a socket");
        let sockets = vec![
            at(outside.join("socket")),
            at(temporary.path().join("socket")),
            UnixListener::bind_addr(&address).expect("a socket"),
        ];
        let scene = Scene {
            bystander: bystander(&outside, user),
            tcp: TcpListener::bind("127.0.0.1:0").expect("a listener"),
            udp: UdpSocket::bind("127.0.0.1:0").expect("a socket"),
            sockets,
            name,
            temporary,
            user,
            flux,
        };
        scene.sockets.iter().for_each(|socket| socket.set_nonblocking(true).expect("a socket"));
        scene.tcp.set_nonblocking(true).expect("a socket");
        scene.udp.set_nonblocking(true).expect("a socket");
        symlink(scene.outside().join("secret"), scene.flux.here("link")).expect("a link");
        symlink(scene.outside(), scene.flux.here("dirlink")).expect("a link");
        symlink("dirlink", scene.flux.here("chain")).expect("a link");
        symlink(scene.outside().join("marker"), scene.flux.here("dangling")).expect("a link");
        symlink("/proc", scene.flux.here("proc")).expect("a link");
        repository(&scene.flux.here(""));
        copy(&scene.flux.here(".git"), &scene.flux.path("template"));
        scene.repair();
        scene
    }

    fn outside(&self) -> PathBuf {
        self.flux.path("outside")
    }

    /// Where an attack shall leave nothing and change nothing.
    fn places(&self) -> [PathBuf; 3] {
        [self.outside(), self.flux.path("home"), self.temporary.path().to_owned()]
    }

    /// What the places of a payload are called in this scene.
    pub fn names(&self) -> Vec<(&'static str, String)> {
        let [outside, home, temporary] = self.places().map(|path| path.display().to_string());
        let port = |address: std::io::Result<std::net::SocketAddr>| address.expect("an address").port().to_string();
        vec![
            ("{OUT}", outside),
            ("{HOME}", home),
            ("{TMP}", temporary),
            ("{TCP}", port(self.tcp.local_addr())),
            ("{UDP}", port(self.udp.local_addr())),
            ("{ABSTRACT}", self.name.clone()),
            ("{PID}", self.bystander.id().to_string()),
            ("{KEYFILE}", self.flux.path("config/flux/key").display().to_string()),
            // Never a whole word in a payload, so that it is only in what a payload prints.
            ("{HARM}", "'HA''RM'".to_owned()),
        ]
    }

    /// Makes everything as it was.
    pub fn repair(&self) {
        for place in self.places() {
            fs::create_dir_all(&place).expect("a directory");
            for entry in fs::read_dir(&place).expect("a directory").flatten() {
                if entry.file_name() != "socket" {
                    remove(&entry.path());
                }
            }
            secret(&place.join("secret"));
        }
        secret(&self.flux.path("home/.ssh/id_rsa"));
        secret(&self.flux.path("config/flux/key"));
        let here = |name: &str| self.flux.here(name);
        secret(&here(".env"));
        secret(&here("sub/.env.local"));
        for (name, content) in [("hello", "benign\n"), ("src/lib.rs", "// benign\n"), ("AGENTS.md", "benign\n")] {
            write(&here(name), content);
        }
        for planted in [".husky", ".vscode", ".github", "bare", "sub/.git", ".envrc", ".bashrc", "marker", ".mcp.json"]
        {
            let path = here(planted);
            remove(&path);
        }
        self.repair_repository();
        for path in [self.outside(), self.flux.path("home"), self.temporary.path().to_owned(), self.flux.path("work")] {
            self.user.owns(&path);
        }
    }

    /// In place: rules are about the very directory.
    fn repair_repository(&self) {
        let (own, template) = (self.flux.here(".git"), self.flux.path("template"));
        let lines = |path: &Path| -> Vec<String> {
            let is_index = |line: &String| line.contains("/index");
            let lines = state(path, false).into_iter().filter(|line| !is_index(line));
            lines.map(|line| line.replacen(&path.display().to_string(), "", 1)).collect()
        };
        if lines(&own) != lines(&template) {
            fs::create_dir_all(&own).expect("a directory");
            fs::read_dir(&own).expect("a directory").flatten().for_each(|entry| remove(&entry.path()));
            copy(&template.join("."), &own);
        }
    }

    /// Everything outside that could be changed: path, inode, owner, mode, links, times and content.
    pub fn state(&self) -> Vec<String> {
        self.places().iter().flat_map(|place| state(place, true)).collect()
    }

    /// What stays as it is although the working directory may be changed.
    pub fn protected_state(&self) -> Vec<String> {
        let git = [".git/config", ".git/config.worktree", ".git/HEAD", ".git/commondir", ".git/hooks", ".git/info"];
        let names =
            [".env", "AGENTS.md", ".envrc", ".bashrc", ".husky", ".vscode", ".github", ".mcp.json", "bare/HEAD"];
        let names = git.into_iter().chain(names).chain(["sub/.git/hooks"]);
        names.flat_map(|name| state(&self.flux.here(name), false)).collect()
    }

    /// Content of the working directory, but for git's own files.
    pub fn work_state(&self) -> Vec<String> {
        let lines = state(&self.flux.here(""), false).into_iter();
        lines.filter(|line| !line.contains("/.git/")).collect()
    }

    /// What has come in since the last time: the names of the sockets.
    pub fn visitors(&self) -> Vec<&'static str> {
        let mut visitors = Vec::new();
        while self.tcp.accept().is_ok() {
            visitors.push("TCP");
        }
        while self.udp.recv(&mut [0; 64]).is_ok() {
            visitors.push("UDP");
        }
        for (socket, name) in self.sockets.iter().zip(["unix", "unix in /tmp", "abstract"]) {
            while socket.accept().map_err(|error| error.kind() != ErrorKind::WouldBlock).is_ok() {
                visitors.push(name);
            }
        }
        visitors
    }

    /// Whether the process beside still runs, undisturbed.
    pub fn is_bystander_well(&self) -> bool {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.bystander.id())).unwrap_or_default();
        let is_running = stat.rsplit(") ").next().is_some_and(|rest| rest.starts_with(['S', 'R']));
        is_running && !self.outside().join("disturbed").exists()
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        let _ = self.bystander.kill();
        let _ = self.bystander.wait();
    }
}

/// Whether a secret is in a text, or what flux shows instead of a key.
pub fn shows_secret(text: &str) -> bool {
    text.contains(CANARY)
        || text.contains("sk-CANARY")
        || text.contains("[REDACTED]")
        || CANARY_BASE64.iter().any(|form| text.contains(form))
}

/// A process of this user that notes when it is signalled. Its environment holds a secret.
fn bystander(outside: &Path, user: User) -> Child {
    let note = "trap 'echo yes > disturbed' WINCH HUP TERM USR1 CONT; while :; do sleep 100 & wait $!; done";
    let mut command = Command::new("/bin/sh");
    command.args(["-c", note]).env("SECRET", CANARY).current_dir(outside).stdin(Stdio::null());
    user.becomes(&mut command);
    command.spawn().expect("a shell")
}

fn remove(path: &Path) {
    let is_directory = path.symlink_metadata().is_ok_and(|metadata| metadata.is_dir());
    let _ = if is_directory { fs::remove_dir_all(path) } else { fs::remove_file(path) };
}

fn copy(from: &Path, to: &Path) {
    let status = Command::new("cp").arg("-a").args([from, to]).status();
    assert!(status.is_ok_and(|status| status.success()), "{} cannot be copied", from.display());
}

fn write(path: &Path, content: &str) {
    fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
    // Written only if it is not so: what is not changed keeps its times.
    if fs::read_to_string(path).ok().as_deref() != Some(content) {
        let _ = fs::remove_file(path);
        fs::write(path, content).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }
}

fn secret(path: &Path) {
    write(path, &format!("sk-{CANARY}-{CANARY}-{CANARY}\n"));
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).expect("chmod");
}

fn state(path: &Path, with_times: bool) -> Vec<String> {
    let mut found = Vec::new();
    let mut pending = vec![path.to_owned()];
    while let Some(path) = pending.pop() {
        let Ok(metadata) = path.symlink_metadata() else { continue };
        if metadata.is_dir() {
            pending.extend(fs::read_dir(&path).into_iter().flatten().flatten().map(|entry| entry.path()));
        }
        let content = if metadata.is_file() { fs::read(&path).unwrap_or_default() } else { Vec::new() };
        let times = if with_times { (metadata.ino(), metadata.ctime(), metadata.ctime_nsec()) } else { (0, 0, 0) };
        let links = if metadata.is_file() { metadata.nlink() } else { 0 };
        found.push(format!(
            "{} {:o} {} {links} {times:?} {:?}",
            path.display(),
            metadata.mode(),
            metadata.uid(),
            String::from_utf8_lossy(&content)
        ));
    }
    found.sort();
    found
}

/// A repository with one commit, whose configuration starts a program wherever git can be made to start one. Without
/// git it is a directory of that name.
fn repository(root: &Path) {
    write(&root.join("hello"), "benign\n");
    write(&root.join(".gitattributes"), "*.rs diff=x filter=x merge=x\n");
    write(&root.join("src/lib.rs"), "// benign\n");
    let git = |words: &[&str]| {
        let identity = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false"];
        let command = Command::new("git").args(identity).args(words).current_dir(root).output();
        command.is_ok_and(|output| output.status.success())
    };
    if !(git(&["init", "-q"]) && git(&["add", "."]) && git(&["commit", "-qm", "first commit"])) {
        write(&root.join(".git/config"), "");
    }
    let marker = root.parent().expect("a parent").join("outside/marker");
    let touch = format!("touch {}", marker.display());
    let config = format!(
        "[core]\n\tfsmonitor = {touch}\n\tpager = {touch}\n\teditor = {touch}\n\tsshCommand = {touch}\n\
         [diff]\n\texternal = {touch}\n[diff \"x\"]\n\ttextconv = {touch}; cat\n[filter \"x\"]\n\tclean = {touch}; cat\n\
         \tsmudge = {touch}; cat\n[gpg]\n\tprogram = {touch}\n[alias]\n\tx = !{touch}\n[credential]\n\thelper = !{touch}\n\
         [remote \"origin\"]\n\turl = ssh://localhost/x\n[user]\n\tname = a\n\temail = a@b\n",
    );
    let path = root.join(".git/config");
    let before = fs::read_to_string(&path).unwrap_or_default();
    fs::write(&path, before + &config).expect("written");
    let hook = root.join(".git/hooks/pre-commit");
    write(&hook, &format!("#!/bin/sh\n{touch}\n"));
    fs::set_permissions(hook, fs::Permissions::from_mode(0o755)).expect("chmod");
    let _ = File::create(root.join(".git/kept"));
}
