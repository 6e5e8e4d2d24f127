//! Runs the binary hermetically: its own HOME, working directory and XDG directories, an empty environment, a
//! deadline, and a full dump of what happened when an expectation fails.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::kernel::Kernel;
use super::log::Log;
use super::server::Server;
use super::user::User;
use super::wire::Api;

pub use super::run::Run;

/// What the program finds on its standard input.
#[derive(Debug, Clone)]
pub enum Stdin {
    /// `/dev/null`
    Null,
    /// A pipe with these bytes.
    Bytes(Vec<u8>),
    /// A pipe that stays open and silent.
    Open,
    /// No descriptor 0 at all (`<&-`).
    Closed,
    /// A file, read from its start.
    File(PathBuf),
    /// An open file as it is, its offset included.
    Given(Arc<File>),
}

/// Where a stream of the program goes.
#[derive(Debug, Clone)]
pub enum Out {
    /// A pipe that the test reads to its end.
    Read,
    /// A pipe whose reader has gone.
    Gone,
    /// No descriptor at all (`>&-`).
    Closed,
    /// This open file or terminal.
    Given(Arc<File>),
}

/// One run of the binary, to be described and then started.
#[derive(Debug, Clone)]
pub struct Flux {
    dir: Arc<TempDir>,
    subcommand: Vec<OsString>,
    server_args: Vec<OsString>,
    args: Vec<OsString>,
    env: BTreeMap<OsString, OsString>,
    stdin: Stdin,
    stdout: Out,
    stderr: Out,
    cwd: PathBuf,
    deadline: Duration,
    before: String,
    log: Option<Log>,
    kernel: Option<Kernel>,
    user: User,
}

/// `flux`, without a subcommand.
pub fn flux() -> Flux {
    beneath(&std::env::temp_dir())
}

/// `flux`, with the directories of the test in this one.
fn beneath(place: &Path) -> Flux {
    let dir = TempDir::with_prefix_in("flux-test-", place).expect("a temporary directory");
    let at = |name: &str| dir.path().join(name);
    for name in ["home", "work", "config/flux/profiles", "run", "tmp"] {
        fs::create_dir_all(at(name)).expect("a directory in it");
    }
    fs::set_permissions(at("run"), fs::Permissions::from_mode(0o700)).expect("chmod");
    let mut flux = Flux {
        subcommand: Vec::new(),
        server_args: Vec::new(),
        args: Vec::new(),
        env: BTreeMap::new(),
        stdin: Stdin::Null,
        stdout: Out::Read,
        stderr: Out::Read,
        cwd: at("work"),
        deadline: Duration::from_secs(20),
        before: String::new(),
        log: None,
        kernel: None,
        user: User::Own,
        dir: Arc::new(dir),
    };
    for (name, sub) in [("HOME", "home"), ("XDG_CONFIG_HOME", "config"), ("XDG_RUNTIME_DIR", "run"), ("TMPDIR", "tmp")]
    {
        let path = flux.path(sub);
        flux = flux.env(name, path);
    }
    flux.env("PATH", "/usr/bin:/bin").env("LANG", "C.UTF-8")
}

/// `flux ask`
pub fn ask() -> Flux {
    let mut flux = flux();
    flux.subcommand = vec!["ask".into()];
    flux
}

impl Flux {
    /// `flux ask` against this server, with `-m m` and a dummy key.
    pub fn to(server: &Server) -> Flux {
        ask().server(server)
    }

    /// `flux ask`, with the directories of the test where cargo keeps its own: not in the one for temporary files, of
    /// which the sandbox makes another.
    pub fn outside_of_tmp() -> Flux {
        Flux { subcommand: vec!["ask".into()], ..beneath(Path::new(env!("CARGO_TARGET_TMPDIR"))) }
    }

    /// Runs on this kernel.
    pub fn kernel(self, kernel: Kernel) -> Flux {
        Flux { kernel: Some(kernel), ..self }
    }

    /// Runs as this user, to whom all files of the test are given.
    pub fn user(self, user: User) -> Flux {
        Flux { user, ..self }
    }

    /// Adds `--base-url`, `--wire`, `-m m` and the key variable of the server's wire.
    pub fn server(self, server: &Server) -> Flux {
        let api = server.api().expect("a server of some wire");
        let args = ["--base-url", &server.base_url(), "--wire", api.wire(), "-m", "m"].map(OsString::from);
        Flux { server_args: args.into(), ..self.log(server).key(api) }
    }

    /// Shows what this server saw when an expectation fails.
    pub fn log(self, server: &Server) -> Flux {
        Flux { log: Some(server.log().clone()), ..self }
    }

    /// Sets the key variable of that wire.
    pub fn key(self, api: Api) -> Flux {
        self.env(api.key_variable(), api.key())
    }

    /// Adds arguments.
    pub fn args<A: Into<OsString>>(mut self, args: impl IntoIterator<Item = A>) -> Flux {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// Adds one argument.
    pub fn arg(self, arg: impl Into<OsString>) -> Flux {
        self.args([arg.into()])
    }

    /// Writes the transcript to a file that [`Run::transcript`] reads.
    pub fn transcript(self) -> Flux {
        let path = self.path("transcript.jsonl");
        self.arg("--transcript").arg(path)
    }

    /// Sets a variable.
    pub fn env(mut self, name: &str, value: impl Into<OsString>) -> Flux {
        self.env.insert(name.into(), value.into());
        self
    }

    /// Removes a variable.
    pub fn env_remove(mut self, name: &str) -> Flux {
        self.env.remove(&OsString::from(name));
        self
    }

    /// Gives these bytes on a pipe.
    pub fn stdin(self, bytes: impl Into<Vec<u8>>) -> Flux {
        Flux { stdin: Stdin::Bytes(bytes.into()), ..self }
    }

    /// Gives `/dev/null` (the default).
    pub fn stdin_null(self) -> Flux {
        Flux { stdin: Stdin::Null, ..self }
    }

    /// Starts without descriptor 0.
    pub fn stdin_closed(self) -> Flux {
        Flux { stdin: Stdin::Closed, ..self }
    }

    /// Gives a file.
    pub fn stdin_file(self, path: impl Into<PathBuf>) -> Flux {
        Flux { stdin: Stdin::File(path.into()), ..self }
    }

    /// Gives an open file, at the offset where it stands.
    pub fn stdin_given(self, file: File) -> Flux {
        Flux { stdin: Stdin::Given(Arc::new(file)), ..self }
    }

    /// Gives a pipe that never closes.
    pub fn stdin_pipe_open(self) -> Flux {
        Flux { stdin: Stdin::Open, ..self }
    }

    /// Sends stdout elsewhere.
    pub fn stdout_to(self, stdout: Out) -> Flux {
        Flux { stdout, ..self }
    }

    /// Sends stderr elsewhere.
    pub fn stderr_to(self, stderr: Out) -> Flux {
        Flux { stderr, ..self }
    }

    /// Puts all three streams on this terminal.
    pub fn terminal(self, pty: &super::sys::Pty) -> Flux {
        let slave = pty.slave();
        let file = Arc::new(slave);
        Flux { stdin: Stdin::Given(file.clone()), stdout: Out::Given(file.clone()), stderr: Out::Given(file), ..self }
    }

    /// Runs in this directory (relative to the working directory so far).
    pub fn cwd(self, path: impl AsRef<Path>) -> Flux {
        Flux { cwd: self.cwd.join(path), ..self }
    }

    /// Fails after this time instead of after 20 s.
    pub fn deadline(self, deadline: Duration) -> Flux {
        Flux { deadline, ..self }
    }

    /// Has a shell do this first: `ulimit -n 16`, `trap '' PIPE`.
    pub fn after(self, command: &str) -> Flux {
        Flux { before: format!("{command}; "), ..self }
    }

    /// Has a shell become this with the arguments of the program, which is not run otherwise.
    pub fn becomes(self, command: &str) -> Flux {
        Flux { before: format!("{}exec {command} \"$@\"; ", self.before), ..self }
    }

    /// Writes a file in the working directory.
    pub fn file(self, name: &str, content: impl AsRef<[u8]>) -> Flux {
        write(&self.cwd.join(name), content.as_ref());
        self
    }

    /// Writes `$XDG_CONFIG_HOME/flux/config`.
    pub fn config(self, content: &str) -> Flux {
        write(&self.path("config/flux/config"), content.as_bytes());
        self
    }

    /// Writes `$XDG_CONFIG_HOME/flux/profiles/NAME`.
    pub fn profile(self, name: &str, content: &str) -> Flux {
        write(&self.path("config/flux/profiles").join(name), content.as_bytes());
        self
    }

    /// A path in the test's own directory.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A path in the working directory.
    pub fn here(&self, name: &str) -> PathBuf {
        self.cwd.join(name)
    }

    /// Runs it to its end.
    #[track_caller]
    pub fn run(&self) -> Run {
        self.start().wait()
    }

    /// Starts it.
    #[track_caller]
    pub fn start(&self) -> Running {
        let mut command = self.command();
        self.user.owns(self.dir.path());
        self.user.becomes(&mut command);
        if let Some(kernel) = self.kernel {
            kernel.put_under(&mut command);
        }
        let mut child = command.spawn().unwrap_or_else(|e| panic!("{}: {e}", binary().display()));
        let (sender, events) = channel();
        let stdin = feed(child.stdin.take(), &self.stdin);
        watch(child.stdout.take().filter(|_| !matches!(self.stdout, Out::Gone)), Event::Stdout, &sender);
        watch(child.stderr.take().filter(|_| !matches!(self.stderr, Out::Gone)), Event::Stderr, &sender);
        let pid = child.id();
        drop(command);
        wait_for(child, sender);
        Running { flux: self.clone(), pid, stdin, events, started: Instant::now() }
    }

    fn command(&self) -> Command {
        let mut command = self.program();
        command.args(self.subcommand.iter().chain(&self.server_args).chain(&self.args));
        command.env_clear().envs(&self.env).current_dir(&self.cwd);
        command.stdin(match &self.stdin {
            Stdin::Null | Stdin::Closed => Stdio::null(),
            Stdin::Bytes(_) | Stdin::Open => Stdio::piped(),
            Stdin::File(path) => File::open(path).unwrap_or_else(|e| panic!("{}: {e}", path.display())).into(),
            Stdin::Given(file) => file.try_clone().expect("a descriptor can be doubled").into(),
        });
        command.stdout(stdio(&self.stdout)).stderr(stdio(&self.stderr));
        command
    }

    /// The binary, or a shell that closes descriptors and becomes it.
    fn program(&self) -> Command {
        let closed = [
            (matches!(self.stdin, Stdin::Closed), "<&-"),
            (matches!(self.stdout, Out::Closed), ">&-"),
            (matches!(self.stderr, Out::Closed), "2>&-"),
        ];
        let redirects: String = closed.iter().filter(|(is, _)| *is).map(|(_, r)| format!(" {r}")).collect();
        if redirects.is_empty() && self.before.is_empty() {
            return Command::new(binary());
        }
        let mut shell = Command::new("/bin/sh");
        shell.arg("-c").arg(format!("exec{redirects}; {}exec \"$0\" \"$@\"", self.before)).arg(binary());
        shell
    }

    /// The names in the working directory.
    pub(super) fn files(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.cwd).into_iter().flatten().flatten();
        entries.map(|entry| entry.file_name().display().to_string()).collect()
    }

    /// The command line and the files, for the dump of a failed test.
    pub(super) fn describe(&self) -> String {
        let mut text = format!("$ {:?}\n{:?}\n", self.command(), self.stdin).chars().take(6000).collect::<String>();
        text += &format!("files in {}:\n", self.cwd.display());
        for entry in fs::read_dir(&self.cwd).into_iter().flatten().flatten() {
            let size = entry.metadata().map_or(0, |m| m.size());
            text += &format!("  {} ({size} bytes)\n", entry.file_name().display());
        }
        text + &self.log.as_ref().map_or(String::new(), Log::dump)
    }
}

/// Copies the binary to where everybody may execute it. Another process does: a child that a test starts meanwhile
/// would hold the open copy for a moment, and what somebody may still write to cannot be executed.
pub fn copy_binary(to: &Path) {
    assert!(Command::new("cp").arg(binary()).arg(to).status().expect("cp").success());
}

/// The binary under test: `FLUX_TEST_BINARY` where that is set, else the one that cargo has just built.
pub fn binary() -> PathBuf {
    std::env::var_os("FLUX_TEST_BINARY").map_or_else(|| env!("CARGO_BIN_EXE_flux").into(), PathBuf::from)
}

fn write(path: &Path, content: &[u8]) {
    fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
    fs::write(path, content).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
}

fn stdio(out: &Out) -> Stdio {
    match out {
        Out::Read | Out::Gone => Stdio::piped(),
        Out::Closed => Stdio::null(),
        Out::Given(file) => file.try_clone().expect("a descriptor can be doubled").into(),
    }
}

/// Writes the bytes from a thread of their own; an open pipe is handed back.
fn feed(pipe: Option<ChildStdin>, stdin: &Stdin) -> Option<ChildStdin> {
    let mut pipe = pipe?;
    let Stdin::Bytes(bytes) = stdin.clone() else { return Some(pipe) };
    thread::spawn(move || drop(pipe.write_all(&bytes)));
    None
}

#[derive(Debug)]
enum Event {
    Stdout(Vec<u8>),
    Stderr(Vec<u8>),
    Exit(ExitStatus),
}

fn watch(stream: Option<impl Read + Send + 'static>, event: fn(Vec<u8>) -> Event, sender: &Sender<Event>) {
    let sender = sender.clone();
    thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut stream) = stream {
            drop(stream.read_to_end(&mut bytes));
        }
        drop(sender.send(event(bytes)));
    });
}

fn wait_for(mut child: Child, sender: Sender<Event>) {
    thread::spawn(move || {
        let status = child.wait().expect("the child can be waited for");
        drop(sender.send(Event::Exit(status)));
    });
}

/// A run that is under way.
#[derive(Debug)]
pub struct Running {
    flux: Flux,
    pid: u32,
    /// The writing end of an open stdin pipe.
    pub stdin: Option<ChildStdin>,
    events: Receiver<Event>,
    started: Instant,
}

impl Running {
    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: rustix::process::Signal) {
        assert!(self.signal_if_there(signal), "the process is not there");
    }

    /// Sends it a signal; false if it has ended.
    pub fn signal_if_there(&self, signal: rustix::process::Signal) -> bool {
        let pid = i32::try_from(self.pid).ok().and_then(rustix::process::Pid::from_raw).expect("a process id");
        rustix::process::kill_process(pid, signal).is_ok()
    }

    /// Waits for its end; kills it and fails at the deadline.
    #[track_caller]
    pub fn wait(self) -> Run {
        let (mut stdout, mut stderr, mut status) = (None, None, None);
        while stdout.is_none() || stderr.is_none() || status.is_none() {
            let left = self.flux.deadline.saturating_sub(self.started.elapsed());
            match self.events.recv_timeout(left) {
                Ok(Event::Stdout(bytes)) => stdout = Some(bytes),
                Ok(Event::Stderr(bytes)) => stderr = Some(bytes),
                Ok(Event::Exit(exit)) => status = Some(exit),
                Err(_) => self.hangs(),
            }
        }
        let status = status.expect("the loop ends with a status");
        let run = Run {
            code: status.code(),
            signal: status.signal(),
            stdout: stdout.unwrap_or_default(),
            stderr: stderr.unwrap_or_default(),
            elapsed: self.started.elapsed(),
            flux: self.flux,
        };
        run.cleanly()
    }

    #[track_caller]
    fn hangs(&self) -> ! {
        self.signal(rustix::process::Signal::KILL);
        panic!("still running after {:?}\n{}", self.flux.deadline, self.flux.describe());
    }
}
