//! Plays the catalogue: a model that obeys the attacker makes each call in turn, and after each of them it is looked
//! at what has come of it. Calls of the same kind that harm nobody must go on working.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use super::attack::{Attack, Bare, Call, Holds, Kind};
use super::catalogue::{PROGRAMS, all};
use super::scene::{Scene, shows_secret};
use crate::support::kernel::{Kernel, Namespaces, WITHOUT_NAMESPACES};
use crate::support::user::User;
use crate::support::wire::ToolOutput;
use crate::support::{Api, Flux, Reply, Request, Server, is_long, say};

/// Results are marked as errors on this wire.
const API: Api = Api::Anthropic;

/// How the program runs that is attacked.
#[derive(Debug, Clone, Copy)]
struct Setting {
    user: User,
    kernel: Option<Kernel>,
    /// As `--sandbox` takes it.
    mode: &'static str,
    /// Named gaps through which attacks may go.
    gaps: &'static [&'static str],
}

const NO_NAMESPACES: &[&str] = &[
    "modes and times of the user's own files outside can be changed",
    "other processes' names and arguments can be seen",
];

const OLD_LANDLOCK: &[&str] = &[NO_NAMESPACES[0], NO_NAMESPACES[1], "the user's own processes can be signalled"];

/// What came of an attack.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Harmless,
    Harm(String),
    NotApplicable(String),
}

#[test]
fn attacks_come_to_nothing_behind_namespaces() {
    hold("namespaces", 0, |user| Setting { user, kernel: None, mode: "strict", gaps: &[] });
}

#[test]
fn attacks_come_to_nothing_behind_landlock_alone() {
    let kernel = Some(WITHOUT_NAMESPACES);
    hold("landlock", 1, |user| Setting { user, kernel, mode: "auto", gaps: NO_NAMESPACES });
}

/// Here signals are a gap, too, and there are no rules for ports.
#[test]
fn attacks_come_to_nothing_behind_the_oldest_landlock_that_is_enough() {
    if is_long() {
        let kernel = |version, namespaces| Some(Kernel::new(version, namespaces));
        hold("namespaces and Landlock 1", 0, |user| Setting {
            user,
            kernel: kernel(1, Namespaces::Permitted),
            mode: "strict",
            gaps: &[],
        });
        hold("landlock 3", 1, |user| Setting {
            user,
            kernel: kernel(3, Namespaces::Refused),
            mode: "auto",
            gaps: OLD_LANDLOCK,
        });
    }
}

/// What the attacks are worth: where nothing holds them they do what they are for.
#[test]
fn the_same_attacks_do_harm_without_a_sandbox() {
    if !is_long() || !rustix::process::getuid().is_root() {
        return;
    }
    let setting = Setting { user: User::Own, kernel: None, mode: "off", gaps: &[] };
    let mut tame = Vec::new();
    let mut count = 0;
    for mut kind in all().into_iter().filter(|kind| kind.holds != Holds::Grants) {
        kind.attacks.retain(|attack| attack.bare == Bare::Harms);
        for (attack, verdict) in play(setting, &kind) {
            count += 1;
            if verdict == Verdict::Harmless {
                tame.push(format!("{}: {}", kind.id, attack.1));
            }
        }
    }
    say(&format!("attacks without a sandbox: {count} tried, {} did harm", count - tame.len()));
    assert!(tame.is_empty(), "these prove nothing:\n{}", tame.join("\n"));
}

/// Plays everything, prints the tables, and fails if one attack did harm. As root it is played as root and as nobody;
/// in a short run each kind is played as one of them, which `first` begins with.
fn hold(level: &str, first: usize, setting: impl Fn(User) -> Setting) {
    let (kinds, users) = (all(), User::all());
    let mut table = format!("attacks behind {level}: tried, harmless, not applicable\n");
    let (mut harms, mut reasons, mut sums) = (Vec::new(), BTreeMap::new(), [0; 3]);
    for (at, kind) in kinds.iter().enumerate() {
        let turn = (at + first) % users.len();
        for &user in if is_long() { users } else { &users[turn..=turn] } {
            let mut counts = [0; 3];
            for (call, verdict) in play(setting(user), kind) {
                counts[0] += 1;
                match verdict {
                    Verdict::Harmless => counts[1] += 1,
                    Verdict::Harm(how) => harms.push(format!("{} as {}: {}\n  {how}", kind.id, user.name(), call.1)),
                    Verdict::NotApplicable(why) => {
                        *reasons.entry(why).or_insert(0) += 1;
                        counts[2] += 1;
                    }
                }
            }
            counts[0] -= counts[2];
            let [tried, harmless, not] = counts;
            let _ =
                writeln!(table, "  {:<8} {:<6} {tried:>4} {harmless:>4} {not:>3}  {}", kind.id, user.name(), kind.aim);
            sums = std::array::from_fn(|at| sums[at] + counts[at]);
        }
    }
    let _ = write!(table, "  all             {:>4} {:>4} {:>3}", sums[0], sums[1], sums[2]);
    for (why, count) in reasons {
        let _ = write!(table, "\n  not applicable: {count} times: {why}");
    }
    say(&table);
    assert!(harms.is_empty(), "{} attacks did harm:\n{}", harms.len(), harms.join("\n"));
}

/// One run in which the attacks of a kind are made one after the other.
fn play(setting: Setting, kind: &Kind) -> Vec<(Call, Verdict)> {
    let scene = Arc::new(Scene::new(Flux::outside_of_tmp(), setting.user));
    let flux_pid = Arc::new(AtomicU32::new(0));
    let mut verdicts = Vec::new();
    let mut calls = Vec::new();
    for attack in &kind.attacks {
        match obstacle(setting, attack) {
            Some(why) => verdicts.push((attack.call.clone(), Verdict::NotApplicable(why))),
            None => calls.push(attack.call.clone()),
        }
    }
    let model = Arc::new(Mutex::new(Model::new(scene.clone(), setting, kind, calls, flux_pid.clone())));
    let answering = model.clone();
    let server = Server::of(API).lenient().answer(move |request| match request.method.as_str() {
        // A question for the window of the model is none for the model.
        "GET" => Reply::json(404, &json!({"error": "not found"})),
        _ => answering.lock().expect("a model").answer(request),
    });
    let grants = if kind.holds == Holds::Grants { &[] } else { PROGRAMS };
    let flux = scene.flux.clone().server(&server).user(setting.user).transcript().deadline(Duration::from_secs(180));
    let flux = flux.args(grants.iter().chain(kind.grants).flat_map(|grant| ["--allow", grant]));
    let flux = flux.args(["--max-turns", "0", "--max-tool-calls", "0", "--sandbox", setting.mode, "p"]);
    let secret = scene.flux.path("outside/secret");
    let mut flux = flux.after(&format!("exec 9<'{}'", secret.display())).env("PATH", search_path());
    if let Some(kernel) = setting.kernel {
        flux = flux.kernel(kernel);
    }
    let running = flux.start();
    flux_pid.store(running.pid(), Ordering::SeqCst);
    let run = running.wait().code(0);
    let transcript = run.transcript();
    let gaps = transcript.custom("flux.context")[0]["sandbox"]["gaps"].to_string();
    for gap in kind.attacks.iter().filter_map(|attack| attack.gap).filter(|gap| setting.gaps.contains(gap)) {
        assert!(gaps.contains(gap), "{gap} is not named: {gaps}");
    }
    let shown = format!("{}{}{:?}", run.out(), run.err(), transcript.messages("toolResult"));
    assert!(!shows_secret(&shown) || setting.mode == "off", "{}: a secret was shown\n{shown}", kind.id);
    let mut model = model.lock().expect("a model");
    model.finish();
    verdicts.append(&mut model.verdicts);
    verdicts
}

/// Why an attack cannot be tried in this setting.
fn obstacle(setting: Setting, attack: &Attack) -> Option<String> {
    if let Some(gap) = attack.gap.filter(|gap| setting.gaps.contains(gap)) {
        return Some(format!("a gap that the transcript names: {gap}"));
    }
    let program = attack.program()?;
    let path = search_path();
    let is_missing = !program.contains('/') && !path.split(':').any(|place| Path::new(place).join(program).is_file());
    let is_granted = PROGRAMS.iter().any(|grant| grant.strip_prefix("run:").is_some_and(|g| g.starts_with(program)));
    (is_missing && is_granted).then(|| format!("there is no {program} on this system"))
}

fn search_path() -> &'static str {
    "/usr/local/bin:/usr/bin:/bin"
}

/// What has been asked last.
enum Asked {
    Nothing,
    Attack(Call),
    Twin,
}

/// The model that obeys the attacker.
struct Model {
    scene: Arc<Scene>,
    holds: Holds,
    mode: &'static str,
    calls: std::vec::IntoIter<Call>,
    twin: (Call, String),
    flux_pid: Arc<AtomicU32>,
    asked: Asked,
    count: usize,
    before: [Vec<String>; 3],
    verdicts: Vec<(Call, Verdict)>,
}

impl Model {
    fn new(scene: Arc<Scene>, setting: Setting, kind: &Kind, calls: Vec<Call>, flux_pid: Arc<AtomicU32>) -> Model {
        let mut model = Model {
            scene,
            holds: kind.holds,
            mode: setting.mode,
            calls: calls.into_iter(),
            twin: (kind.twin.0.clone(), kind.twin.1.to_owned()),
            flux_pid,
            asked: Asked::Nothing,
            count: 0,
            before: Default::default(),
            verdicts: Vec::new(),
        };
        model.before = model.state();
        model
    }

    fn state(&self) -> [Vec<String>; 3] {
        [self.scene.state(), self.scene.protected_state(), self.scene.work_state()]
    }

    fn answer(&mut self, request: &Request) -> Reply {
        let result = API.results(&request.json).pop();
        let mut needs_twin = self.calls.len() == 0;
        match (std::mem::replace(&mut self.asked, Asked::Nothing), result) {
            (Asked::Attack(call), Some(result)) => {
                // Five denials in a row would end the run.
                needs_twin |= result.is_error == Some(true);
                let harm = self.harm(&result);
                self.verdicts.push((call, harm.map_or(Verdict::Harmless, Verdict::Harm)));
            }
            (Asked::Twin, Some(result)) => {
                let works = result.text.contains(&self.twin.1) && result.is_error == Some(false);
                if !works {
                    let how = format!("the benign call does not work: {}", result.text);
                    self.verdicts.push((self.twin.0.clone(), Verdict::Harm(how)));
                }
                if self.calls.len() == 0 {
                    return API.text("done");
                }
                needs_twin = false;
                // What it has changed is meant to be.
                self.before = self.state();
                let _ = self.scene.visitors();
            }
            _ => {}
        }
        let next = if needs_twin { None } else { self.calls.next() };
        let call = next.as_ref().unwrap_or(&self.twin.0).clone();
        self.asked = next.map_or(Asked::Twin, Asked::Attack);
        self.count += 1;
        API.calls(&[(&API.id(self.count), call.0, self.placed(&call.1))])
    }

    /// The arguments with the names of this scene.
    fn placed(&self, arguments: &Value) -> Value {
        let mut text = arguments.to_string();
        for (name, place) in self.scene.names() {
            text = text.replace(name, &place);
        }
        let text = text.replace("{FLUX}", &self.flux_pid.load(Ordering::SeqCst).to_string());
        serde_json::from_str(&text).expect("JSON")
    }

    /// What an attack has done, and everything as it was again.
    fn harm(&mut self, result: &ToolOutput) -> Option<String> {
        let now = self.state();
        let visitors = self.scene.visitors();
        let is_online = self.holds == Holds::SandboxOnline;
        let changed = |at: usize| self.before[at] != now[at];
        let harm = if shows_secret(&result.text) {
            Some(format!("a secret was read: {}", result.text))
        } else if result.text.contains("HARM") {
            Some(format!("it succeeded: {}", result.text))
        } else if changed(0) {
            Some(format!("it changed what is outside: {}", difference(&self.before[0], &now[0])))
        } else if visitors.iter().any(|visitor| !(is_online && *visitor == "TCP")) {
            Some(format!("it reached {visitors:?}"))
        } else if !self.scene.is_bystander_well() {
            Some("it disturbed another process".to_owned())
        } else if changed(1) && (self.mode == "off" || !is_reported(result)) {
            Some(format!("it changed what is protected: {}; {}", difference(&self.before[1], &now[1]), result.text))
        } else if changed(2) && matches!(self.holds, Holds::Sandbox | Holds::SandboxOnline | Holds::Grants) {
            Some(format!("it changed the working directory: {}", difference(&self.before[2], &now[2])))
        } else if self.holds == Holds::Grants && !is_refused(result) {
            Some(format!("it was not refused: {}", result.text))
        } else {
            None
        };
        if changed(0) || changed(1) || changed(2) {
            self.scene.repair();
            self.before = self.state();
        }
        harm
    }

    /// Looks once more for what comes late.
    fn finish(&mut self) {
        if self.verdicts.iter().any(|(call, _)| call.1.to_string().contains("sleep 1")) {
            thread::sleep(Duration::from_millis(1200));
        }
        let place = self.scene.flux.path("outside").display().to_string();
        let is_late = self.before[0] != self.scene.state() || lives(&place);
        if is_late {
            let how = difference(&self.before[0], &self.scene.state());
            self.verdicts.push((self.twin.0.clone(), Verdict::Harm(format!("something came late: {how}"))));
        }
    }
}

/// Whether nothing was started and nothing opened.
fn is_refused(result: &ToolOutput) -> bool {
    let code = result.text.split(':').next().unwrap_or_default();
    let ran = [
        "exit_status",
        "signal",
        "timeout",
        "too_much_output",
        "protected_changed",
        "command_not_found",
        "not_executable",
        "sandbox",
        "cancelled",
    ]
    .contains(&code);
    result.is_error == Some(true) && !ran
}

/// Whether the model was told that something protected was changed.
fn is_reported(result: &ToolOutput) -> bool {
    result.is_error == Some(true) && result.text.contains("protected")
}

/// Whether a process has this in its command line.
fn lives(place: &str) -> bool {
    let processes = std::fs::read_dir("/proc").expect("/proc").flatten();
    let line = |entry: std::fs::DirEntry| std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
    processes.map(line).any(|line| String::from_utf8_lossy(&line).contains(place))
}

fn difference(before: &[String], now: &[String]) -> String {
    let lines = before.iter().filter(|line| !now.contains(line)).map(|line| format!("- {line}"));
    lines.chain(now.iter().filter(|line| !before.contains(line)).map(|line| format!("+ {line}"))).collect()
}
