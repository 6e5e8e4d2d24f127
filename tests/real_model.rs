//! flux against real models: nothing here is scripted but the questions.
//!
//! The small local model (`tests/local-model/serve`) answers over two wires. It is weak, so the tests hold what flux
//! must do in every run, and ask a few questions until the model has once done what is needed (`ask_until`).
//! Without it these tests fail; `FLUX_TEST_OFFLINE=1` skips them.
//!
//! With keys set, the same runs go to the services themselves:
//! `FLUX_TEST_LIVE=1 cargo test --test tests live_` (a few cents).

mod windows;

use std::collections::BTreeSet;
use std::env;
use std::fmt;
use std::fs;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread;

use serde_json::{Value, json};

const MODEL: &str = "qwen2.5-coder-0.5b";

/// Port 7341 stands nowhere but in the file, so an answer that names it was read there.
const CONFIG: &str = "host = \"127.0.0.1\"\nport = 7341\nlog = \"info\"\n";
const PORT: &str = "7341";
const PORT_QUESTIONS: [&str; 4] = [
    "Read the file config.toml with the read_files tool. Which port?",
    "Read the file config.toml and tell me which port it sets.",
    "Which port does config.toml set?",
    "What is in the file config.toml?",
];

#[test]
fn local_model_answers() {
    for_each_wire(|wire| {
        let run = wire.ask(&["-n", "What is the capital of France? Answer in one word."], "");
        run.expect(0);
        assert!(run.stdout.to_lowercase().contains("paris"), "{run}");
        assert!(run.stdout.ends_with('\n') && !run.stdout.ends_with("\n\n"), "one newline at the end: {run}");
        assert_eq!(run.stderr, "", "a run that succeeds says nothing: {run}");
    });
}

#[test]
fn local_model_works_on_what_is_piped_in() {
    for_each_wire(|wire| {
        let run = ask_until(wire, &["Which port does this file set?", "What is the port?"], CONFIG, |run| {
            run.stdout.contains(PORT)
        });
        assert_eq!(run.result()["turns"], json!(run.replies().len()), "{run}");
    });
}

#[test]
fn local_model_reads_a_file_and_goes_on() {
    for_each_wire(reads_a_file_and_goes_on);
}

#[test]
fn local_model_cut_at_its_limit_is_no_answer() {
    for_each_wire(|wire| {
        let run = wire.ask(&["-n", "--max-tokens", "5", "Write a long story about a fox."], "");
        run.expect(80);
        assert_eq!(run.stdout, "", "{run}");
        assert_eq!(run.replies()[0]["stopReason"], "length", "{run}");
    });
}

/// Every request that the real exchange needs, as it went over the socket; `FLUX_CHECKER` names a checker that knows
/// the services' rules better than the local server, which takes nearly everything.
#[test]
fn local_model_gets_valid_requests() {
    let Some(url) = local_server() else { return };
    let proxy = Recorder::start(url.strip_prefix("http://").expect("a loopback URL"));
    for wire in local_wires(&format!("http://{}", proxy.address)) {
        reads_a_file_and_goes_on(&wire);
    }
    let requests = proxy.requests.lock().expect("the recorder did not panic").clone();
    let posts: Vec<&Value> = requests.iter().filter(|r| r["method"] == "POST").collect();
    let paths: BTreeSet<&str> = posts.iter().filter_map(|r| r["path"].as_str()).collect();
    assert_eq!(paths, BTreeSet::from(["/v1/chat/completions", "/v1/messages"]));
    for request in &posts {
        let body: Value = serde_json::from_str(request["body"].as_str().expect("text")).expect("a body in JSON");
        assert_eq!(body["model"], MODEL);
        assert_eq!(body["stream"], true);
    }
    if let Some(checker) = env::var_os("FLUX_CHECKER") {
        let folder = Folder::new();
        let log = folder.path.join("requests.jsonl");
        let lines: Vec<String> = posts.iter().map(ToString::to_string).collect();
        fs::write(&log, lines.join("\n") + "\n").expect("write the requests");
        let check = Command::new(repository("tests/check-requests")).arg(checker).arg(&log).output().expect("run it");
        assert!(check.status.success(), "{}", text(&check.stdout) + &text(&check.stderr));
    }
}

/// The server's own mode holds the answer to the schema where it has one; flux checks it in any case.
#[test]
fn local_model_answers_in_the_form_that_is_demanded() {
    for_each_wire(|wire| {
        let question = "Which port does this file set?";
        let run = wire.ask(&["--no-tools", "--schema", "port int", question], CONFIG);
        run.expect(0);
        let value: Value = serde_json::from_str(&run.stdout).expect("JSON");
        assert!(value["port"].is_i64() && run.stdout.lines().count() == 1, "{run}");
        assert_eq!(run.result()["structured"], value, "{run}");

        let run = wire.ask(&["--no-tools", "--check", "Does this file set a port?"], CONFIG);
        assert!(matches!(run.code, Some(0 | 1 | 83)), "{run}");
        let verdict = run.result()["structured"]["verdict"].clone();
        let wanted = match run.code {
            Some(0) => json!("yes"),
            Some(1) => json!("no"),
            _ => Value::Null,
        };
        assert_eq!(verdict, wanted, "{run}");
    });
}

/// The commit hook of the recipes: whatever this model says, the commit is made, with a subject.
#[test]
fn local_model_writes_a_commit_message() {
    for_each_wire(|wire| {
        let diff = "diff --git a/config.toml b/config.toml\n-port = 80\n+port = 7341\n";
        let arguments = ["--no-tools", "--fail-open", "--prepend-to", "config.toml"];
        let prompt = "Write the commit message: a subject under 60 characters in the imperative, a blank line, why.";
        let run = wire.ask(&[&arguments[..], &[prompt]].concat(), diff);
        run.expect(0);
        assert_eq!(run.stdout, "", "{run}");
        assert_eq!(run.stderr, "", "{run}");
        assert!(!run.result()["result"].as_str().unwrap_or_default().trim().is_empty(), "{run}");
    });
}

#[test]
fn live_anthropic() {
    live("anthropic", "ANTHROPIC_API_KEY");
}

#[test]
fn live_openai() {
    live("openai", "OPENAI_API_KEY");
}

fn live(provider: &str, key: &str) {
    if env::var_os("FLUX_TEST_LIVE").is_none_or(|v| v != "1") || env::var_os(key).is_none() {
        return skipped(&format!("needs FLUX_TEST_LIVE=1 and {key}"));
    }
    let wire = Wire { name: provider.to_owned(), flags: vec!["-m".into(), provider.into()], live: true };
    let run = wire.ask(&["-n", "What is the capital of France? Answer in one word."], "");
    run.expect(0);
    assert!(run.stdout.contains("Paris"), "{run}");
    reads_a_file_and_goes_on(&wire);
}

/// A call, its result, and an answer that could not be given without it.
fn reads_a_file_and_goes_on(wire: &Wire) {
    let run = ask_until(wire, &PORT_QUESTIONS, "", |run| run.stdout.contains(PORT) && !run.calls().is_empty());
    let read = run.calls().into_iter().find(|call| call["name"] == "read_files").expect("a call of read_files");
    let result = run.tool_results().into_iter().find(|r| r["toolCallId"] == read["id"]).expect("its result");
    assert_eq!(result["isError"], false, "{run}");
    assert!(result["content"][0]["text"].as_str().is_some_and(|t| t.contains("port = 7341")), "{run}");
    assert_eq!(run.result()["tool_calls"]["ok"].as_u64(), Some(run.tool_results().len() as u64), "{run}");
}

/// Asks one question after the other until a run is as it should be; each must be sound in any case.
fn ask_until(wire: &Wire, questions: &[&str], stdin: &str, good: impl Fn(&Run) -> bool) -> Run {
    let mut runs = String::new();
    for question in questions {
        let run = if stdin.is_empty() { wire.ask(&["-n", question], "") } else { wire.ask(&[question], stdin) };
        run.expect(0);
        run.is_sound();
        if good(&run) {
            return run;
        }
        runs += &run.to_string();
    }
    panic!("no question led there over {}: {runs}", wire.name);
}

/// One way to a model.
struct Wire {
    name: String,
    flags: Vec<String>,
    live: bool,
}

fn local_wires(url: &str) -> Vec<Wire> {
    let wire = |name: &str, base_url: String| Wire {
        name: name.to_owned(),
        flags: ["--base-url", &base_url, "--wire", name, "-m", MODEL].map(str::to_owned).to_vec(),
        live: false,
    };
    vec![wire("openai-chat", format!("{url}/v1")), wire("anthropic", url.to_owned())]
}

fn for_each_wire(test: impl Fn(&Wire)) {
    if let Some(url) = local_server() {
        local_wires(url).iter().for_each(test);
    }
}

impl Wire {
    /// Runs flux in a fresh folder that holds `config.toml`, with nothing of the user's own around it.
    fn ask(&self, arguments: &[&str], stdin: &str) -> Run {
        let folder = Folder::new();
        let root = folder.path.join("root");
        fs::create_dir(&root).expect("a folder to work in");
        fs::write(root.join("config.toml"), CONFIG).expect("write config.toml");
        let transcript = folder.path.join("transcript.jsonl");

        let flux = env::var_os("FLUX_TEST_BINARY").unwrap_or_else(|| env!("CARGO_BIN_EXE_flux").into());
        let mut command = Command::new(flux);
        command.arg("ask").args(&self.flags).arg("--transcript").arg(&transcript).args(arguments);
        command.current_dir(&root).env_clear().env("HOME", &folder.path);
        let passed_on = |name: &str| {
            let proxy = name.to_ascii_uppercase().ends_with("_PROXY");
            let service =
                name.starts_with("ANTHROPIC_") || name.starts_with("OPENAI_") || name.starts_with("SSL_CERT_");
            name == "PATH" || self.live && (proxy || service)
        };
        if !self.live {
            // The local server wants no key; the checker of requests does.
            command.env("ANTHROPIC_API_KEY", "a-dummy-key").env("OPENAI_API_KEY", "a-dummy-key");
        }
        command.envs(env::vars().filter(|(name, _)| passed_on(name)));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());

        let mut child = command.spawn().expect("start flux");
        // flux may end without reading its input: then it is its exit code that tells
        let _ = child.stdin.take().expect("a pipe").write_all(stdin.as_bytes());
        let output = child.wait_with_output().expect("wait for flux");
        Run::new(format!("{command:?}"), &output, &fs::read_to_string(&transcript).unwrap_or_default())
    }
}

/// A finished run of flux and its transcript.
struct Run {
    command: String,
    code: Option<i32>,
    stdout: String,
    stderr: String,
    lines: Vec<Value>,
}

impl Run {
    fn new(command: String, output: &Output, transcript: &str) -> Self {
        let lines = transcript.lines().map(|line| serde_json::from_str(line).expect("every line is JSON")).collect();
        let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
        Self { command, code: output.status.code(), stdout, stderr, lines }
    }

    fn expect(&self, code: i32) {
        assert_eq!(self.code, Some(code), "{self}");
        assert_eq!(self.result()["exit_code"], code, "{self}");
    }

    /// What holds for every run that ended well, whatever the model said.
    fn is_sound(&self) {
        let replies = self.replies();
        assert_eq!(self.result()["turns"], json!(replies.len()), "{self}");
        for usage in replies.iter().map(|reply| &reply["usage"]).chain([&self.result()["usage"]]) {
            // what the server took from its cache is counted apart
            let input: u64 = ["input", "cacheRead", "cacheWrite"].iter().filter_map(|k| usage[k].as_u64()).sum();
            assert!(input > 0, "tokens read: {self}");
            assert!(usage["output"].as_u64().is_some_and(|n| n > 0), "tokens written: {self}");
        }
        let called: Vec<Value> = self.calls().iter().map(|call| call["id"].clone()).collect();
        let answered: Vec<Value> = self.tool_results().iter().map(|result| result["toolCallId"].clone()).collect();
        assert_eq!(called, answered, "every call is answered once, in order: {self}");
        assert_eq!(self.lines.iter().filter(|line| line["type"] == "result").count(), 1, "{self}");
        let answer = self.result()["result"].as_str().expect("the answer is in the result line");
        assert_eq!(self.stdout.trim_end_matches('\n'), answer.trim_end_matches('\n'), "{self}");
    }

    fn result(&self) -> &Value {
        let last = self.lines.last().unwrap_or_else(|| panic!("a transcript: {self}"));
        assert_eq!(last["type"], "result", "{self}");
        last
    }

    fn messages(&self, role: &str) -> Vec<&Value> {
        self.lines.iter().map(|line| &line["message"]).filter(|message| message["role"] == role).collect()
    }

    fn replies(&self) -> Vec<&Value> {
        self.messages("assistant")
    }

    fn tool_results(&self) -> Vec<&Value> {
        self.messages("toolResult")
    }

    fn calls(&self) -> Vec<&Value> {
        let blocks = self.replies().into_iter().filter_map(|reply| reply["content"].as_array()).flatten();
        blocks.filter(|block| block["type"] == "toolCall").collect()
    }
}

impl fmt::Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { command, code, stdout, stderr, lines } = self;
        writeln!(f, "\n{command}\ncode: {code:?}\nstdout: {stdout}\nstderr: {stderr}\ntranscript:")?;
        lines.iter().try_for_each(|line| writeln!(f, "  {line}"))
    }
}

/// The base URL of the one server that all tests share; None where these tests are to be skipped.
fn local_server() -> Option<&'static str> {
    /// The server lives as long as the other end of its stdin: as this test process, however that ends.
    static SERVER: OnceLock<Option<(Mutex<Child>, String)>> = OnceLock::new();
    if env::var_os("FLUX_TEST_OFFLINE").is_some_and(|v| v == "1") {
        skipped("FLUX_TEST_OFFLINE=1");
        return None;
    }
    let server = SERVER.get_or_init(|| {
        let mut command = Command::new("python3");
        command.arg(repository("tests/local-model/serve")).arg("--until-eof");
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().ok()?;
        let mut url = String::new();
        BufReader::new(child.stdout.take()?).read_line(&mut url).ok()?;
        (!url.is_empty()).then(|| (Mutex::new(child), url.trim().to_owned()))
    });
    let (_, url) = server.as_ref().expect("the local model, but see above; FLUX_TEST_OFFLINE=1 skips these tests");
    Some(url)
}

/// Passes connections on to a server and keeps the requests, in the form that the checker reads.
struct Recorder {
    address: String,
    requests: Arc<Mutex<Vec<Value>>>,
}

impl Recorder {
    fn start(upstream: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("its address").to_string();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (log, upstream) = (Arc::clone(&requests), upstream.to_owned());
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let (log, server) = (Arc::clone(&log), TcpStream::connect(&upstream).expect("the real server"));
                thread::spawn(move || pass_on(client, server, &log));
            }
        });
        Self { address, requests }
    }
}

fn pass_on(client: TcpStream, server: TcpStream, log: &Mutex<Vec<Value>>) {
    let (mut replies, mut back) = (server.try_clone().expect("clone"), client.try_clone().expect("clone"));
    thread::spawn(move || {
        let _ = io::copy(&mut replies, &mut back);
        let _ = back.shutdown(Shutdown::Write); // a server ends connections that stay idle: so must this
    });
    let (mut client, mut server) = (BufReader::new(client), server);
    while let Some((head, body)) = read_request(&mut client) {
        log.lock().expect("nobody panics with it").push(record(&head, &body));
        if server.write_all(head.as_bytes()).and_then(|()| server.write_all(&body)).is_err() {
            break;
        }
    }
    let _ = server.shutdown(Shutdown::Write);
}

/// The head of the next request, its empty line included, and its body; None once the client has gone.
fn read_request(client: &mut impl BufRead) -> Option<(String, Vec<u8>)> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if client.read_line(&mut head).ok()? == 0 {
            return None;
        }
    }
    let length = header_lines(&head).find(|(name, _)| name == "content-length");
    let mut body = vec![0; length.map_or(0, |(_, value)| value.parse().expect("a number"))];
    client.read_exact(&mut body).ok()?;
    Some((head, body))
}

fn header_lines(head: &str) -> impl Iterator<Item = (String, &str)> {
    head.lines().skip(1).filter_map(|l| l.split_once(':')).map(|(n, v)| (n.to_ascii_lowercase(), v.trim()))
}

fn record(head: &str, body: &[u8]) -> Value {
    let mut words = head.split(' ');
    let (method, path) = (words.next(), words.next());
    let headers: serde_json::Map<_, _> = header_lines(head).map(|(name, value)| (name, value.into())).collect();
    json!({"method": method, "path": path, "headers": headers, "body": text(body)})
}

/// A temporary folder, removed at the end.
struct Folder {
    path: PathBuf,
}

impl Folder {
    fn new() -> Self {
        static NEXT: Mutex<u32> = Mutex::new(0);
        let mut next = NEXT.lock().expect("nobody panics with it");
        *next += 1;
        let path = env::temp_dir().join(format!("flux-real-model-{}-{next}", std::process::id()));
        fs::create_dir(&path).expect("a temporary folder");
        Self { path }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.path);
    }
}

fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn skipped(why: &str) {
    eprintln!("skipped: {why}");
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
