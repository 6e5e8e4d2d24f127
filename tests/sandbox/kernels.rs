//! Kernels with an old Landlock or none, and systems that give no namespaces: what is wanted is built, or the run ends
//! with exit 85 before anything is asked or started.

use serde_json::{Value, json};

use crate::support::kernel::{Kernel, Namespaces};
use crate::support::user::User;
use crate::support::{Api, Flux, Server, say};

use Namespaces::{Exhausted, Permitted, Refused, WithoutMounts};

/// What shall come of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    /// The command runs, behind this.
    Runs(&'static str),
    /// Exit 85.
    Ends,
}

use Outcome::{Ends, Runs};

const NAMESPACES: Outcome = Runs("namespaces");
const LANDLOCK: Outcome = Runs("landlock");
const OFF: Outcome = Runs("off");

/// A kernel, and what comes of `--sandbox auto`, `strict` and `off` on it.
const KERNELS: &[(Kernel, [Outcome; 3])] = &[
    (Kernel::new(0, Permitted), [Ends, Ends, OFF]),
    (Kernel::new(0, Refused), [Ends, Ends, OFF]),
    (Kernel::new(1, Permitted), [NAMESPACES, NAMESPACES, OFF]),
    (Kernel::new(1, Refused), [Ends, Ends, OFF]),
    (Kernel::new(2, WithoutMounts), [Ends, Ends, OFF]),
    (Kernel::new(3, Permitted), [NAMESPACES, NAMESPACES, OFF]),
    (Kernel::new(3, Refused), [LANDLOCK, Ends, OFF]),
    (Kernel::new(3, WithoutMounts), [LANDLOCK, Ends, OFF]),
    (Kernel::new(5, Permitted), [NAMESPACES, NAMESPACES, OFF]),
    (Kernel::new(5, Refused), [LANDLOCK, Ends, OFF]),
    (Kernel::new(5, Exhausted), [LANDLOCK, Ends, OFF]),
    (Kernel::new(6, WithoutMounts), [LANDLOCK, Ends, OFF]),
];

/// The gap that only a Landlock without scopes leaves open.
const SIGNALS: &str = "can be signalled";

/// A run whose model starts one command, which tells its process id: in a namespace of its own that is a small one.
fn run(kernel: Kernel, user: User, mode: &str) -> (Outcome, Value) {
    let api = Api::Chat;
    let id = api.id(1);
    let call = api.calls(&[(&id, "run_command", json!({"argv": ["sh", "-c", "echo pid $$; cat inside"]}))]);
    let server = Server::of(api).unused_allowed().script([call, api.text("done")]);
    let flux = Flux::to(&server).kernel(kernel).user(user).file("inside", "benign\n").transcript();
    let run = flux.args(["--allow", "run:sh **", "--sandbox", mode, "p"]).run();
    if run.code == Some(85) {
        assert_eq!(server.connections(), 0, "a request was sent before\n{}", run.dump());
        let _ = run.failure(85, 2).stderr_has("--sandbox off");
        return (Ends, Value::Null);
    }
    let run = run.code(0).stdout("done\n");
    let result = api.result(&server.requests().pop().expect("a request").json, &id);
    let run = run.check(result.text.starts_with("exit 0\nstdout:\npid "), &result.text);
    assert!(result.text.ends_with("\nbenign\n"), "{}", run.dump());
    let sandbox = run.transcript().custom("flux.context")[0]["sandbox"].clone();
    let level = ["namespaces", "landlock", "off"].into_iter().find(|level| sandbox["level"] == *level);
    let level = level.unwrap_or_else(|| panic!("no level in {sandbox}\n{}", run.dump()));
    let is_alone = result.text.split_whitespace().nth(4).is_some_and(|pid| pid == "2");
    assert_eq!(is_alone, level == "namespaces", "{level}: {result:?}");
    (Runs(level), sandbox["gaps"].clone())
}

#[test]
fn what_is_wanted_is_built_or_the_run_ends_before_it_asks() {
    for &(kernel, outcomes) in KERNELS {
        for (mode, wanted) in ["auto", "strict", "off"].into_iter().zip(outcomes) {
            let user = if fastrand::bool() { User::all()[0] } else { User::all()[User::all().len() - 1] };
            let (outcome, gaps) = run(kernel, user, mode);
            assert_eq!(outcome, wanted, "{kernel:?} as {user:?}, --sandbox {mode}");
            let text = gaps.to_string();
            match outcome {
                LANDLOCK => {
                    assert!(text.contains("protected names are watched"), "{text}");
                    assert_eq!(text.contains(SIGNALS), kernel != Kernel::new(6, WithoutMounts), "{kernel:?}: {text}");
                }
                _ => assert!(!text.contains("can be"), "{kernel:?}, --sandbox {mode}: {text}"),
            }
        }
    }
    say(&format!("{} kernels, each with --sandbox auto, strict and off: as expected", KERNELS.len()));
}

/// What needs no sandbox needs no kernel that can build one.
#[test]
fn a_run_that_starts_no_programs_works_on_every_kernel() {
    for &(kernel, _) in KERNELS {
        let api = Api::Chat;
        let read = api.calls(&[(&api.id(1), "read_files", json!({"paths": ["a"]}))]);
        let write = api.calls(&[(&api.id(2), "write_file", json!({"path": "b", "content": "new\n"}))]);
        let server = Server::script(api, [read, write, api.text("done")]);
        let flux = Flux::to(&server).kernel(kernel).file("a", "old\n").args(["--allow", "write", "-o", "answer", "p"]);
        let run = flux.run().code(0).stdout("");
        assert_eq!((run.file("b"), run.file("answer")), (b"new\n".to_vec(), b"done\n".to_vec()), "{kernel:?}");
    }
}
