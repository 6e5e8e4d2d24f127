//! What the sandbox costs: a command through the whole program, beside a call that starts nothing and beside a plain
//! process, all in one run.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::kernel::WITHOUT_NAMESPACES;
use crate::support::{Api, Flux, Server, say};

const API: Api = Api::Chat;

/// Commands that are measured.
const COUNT: usize = 60;

/// What a command may cost more than a plain process, with namespaces and without, where the program is not optimised
/// and the machine is busy. A release on an idle machine keeps 10 and 6 milliseconds.
const MOST: [Duration; 2] = [Duration::from_millis(60), Duration::from_millis(40)];

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

/// The medians of a command and of a call that starts nothing, as the model sees them; and of a plain process.
fn medians(prepare: impl FnOnce(Flux) -> Flux) -> [Duration; 3] {
    let times = Arc::new(Mutex::new([Vec::new(), Vec::new(), Vec::new()]));
    let (seen, mut count, mut asked) = (times.clone(), 0, Instant::now());
    let server = Server::of(API).lenient().answer(move |_| {
        let mut seen = seen.lock().expect("times");
        if count > 0 {
            seen[count % 2].push(asked.elapsed());
        }
        if count == 2 * COUNT {
            return API.text("done");
        }
        let started = Instant::now();
        let status = std::process::Command::new("/bin/true").status();
        assert!(status.is_ok_and(|status| status.success()), "/bin/true");
        seen[2].push(started.elapsed());
        count += 1;
        asked = Instant::now();
        let call = if count % 2 == 1 { ("run_command", json!({"argv": ["true"]})) } else { ("list_files", json!({})) };
        API.calls(&[(&API.id(count), call.0, call.1)])
    });
    let limits = ["--max-turns", "0", "--max-tool-calls", "0", "p"];
    let flux = prepare(Flux::to(&server).args(["--allow", "run:true"]).args(limits));
    let _ = flux.deadline(Duration::from_secs(120)).run().code(0);
    let [calls, commands, plain] = times.lock().expect("times").clone();
    [median(commands), median(calls), median(plain)]
}

#[test]
fn a_command_costs_little_more_than_a_plain_process() {
    let with = medians(|flux| flux.args(["--sandbox", "strict"]));
    let without = medians(|flux| flux.kernel(WITHOUT_NAMESPACES));
    let off = medians(|flux| flux.args(["--sandbox", "off"]));
    let cost = |[command, call, plain]: [Duration; 3]| command.saturating_sub(call).saturating_sub(plain);
    let line = |name: &str, times: [Duration; 3]| {
        let [command, call, plain] = times;
        let cost = cost(times);
        say(&format!(
            "{name}: command {command:.1?}, other call {call:.1?}, plain process {plain:.1?}, cost {cost:.1?}"
        ));
    };
    line("namespaces", with);
    line("landlock  ", without);
    line("off       ", off);
    for (times, most) in [with, without].into_iter().zip(MOST) {
        assert!(cost(times) < most, "{times:?}");
    }
}
