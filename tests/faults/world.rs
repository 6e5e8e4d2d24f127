//! Worlds in which something is missing that every other machine has, and signals in odd order.

use std::os::unix::process::CommandExt;
use std::process::Command;
use std::thread;
use std::time::Duration;

use rustix::process::Signal;

use crate::support::flux::{binary, copy_binary};
use crate::support::{Api, Flux, Server, ask, say};

/// Runs in namespaces of its own after `commands`; `None` where there can be none.
fn apart(flux: Flux, flags: &str, commands: &str) -> Option<Flux> {
    let possible = Command::new("unshare").args([flags, "sh", "-c", &format!("{commands} true")]).output();
    if !possible.is_ok_and(|output| output.status.success()) {
        say(&format!("skipped: no namespaces here for: unshare {flags} {commands}"));
        return None;
    }
    let inner = format!("{commands} exec '{}' \\\"\\$@\\\"", binary().display());
    Some(flux.becomes(&format!("unshare {flags} sh -c \"{inner}\" sh")))
}

#[test]
fn a_program_started_without_a_name_does_not_crash() {
    let output = Command::new(binary()).arg0("").env_clear().output().expect("it starts");
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(!String::from_utf8_lossy(&output.stderr).contains("panicked"));
}

#[test]
fn the_second_address_of_a_host_is_tried() {
    let server = Server::script(Api::Chat, [Api::Chat.text("done")]);
    let flux = ask().key(Api::Chat).log(&server);
    let flux = flux.file("hosts", "127.0.0.9 two.test\n127.0.0.1 two.test\n");
    let url = format!("http://two.test:{}/v1", server.port());
    let mount = format!("mount --bind '{}' /etc/hosts &&", flux.here("hosts").display());
    let args = ["--base-url", &url, "-m", "m", "--allow-http", "--api-key-env", Api::Chat.key_variable(), "p"];
    match apart(flux.args(args), "-rm", &mount) {
        Some(flux) => drop(flux.run().code(0).stdout("done\n").stderr("")),
        None => drop(Flux::to(&server).arg("p").run()),
    }
}

#[test]
fn without_a_network_a_run_fails_soon() {
    let args = [
        "--base-url",
        "https://192.0.2.1/v1",
        "-m",
        "m",
        "--api-key-env",
        Api::Chat.key_variable(),
        "--retries=0",
        "p",
    ];
    if let Some(flux) = apart(ask().key(Api::Chat).args(args), "-rn", "") {
        let run = flux.run().failure(75, 1);
        assert!(run.elapsed < Duration::from_secs(5), "{:?}", run.elapsed);
    }
}

#[test]
fn without_proc_and_dev_a_run_works_or_says_so() {
    for (what, codes) in [("/proc", &[0][..]), ("/dev", &[0, 71])] {
        let server = Server::of(Api::Chat).unused_allowed().script([Api::Chat.text("done")]);
        let mount = format!("mount -t tmpfs none {what} &&");
        if let Some(flux) = apart(Flux::to(&server).arg("p"), "-rm", &mount) {
            let run = flux.run();
            let holds =
                run.code.is_some_and(|code| codes.contains(&code)) && (run.code != Some(0) || run.out() == "done\n");
            let _ = run.check(holds, what);
        }
    }
}

#[test]
fn without_threads_a_run_says_so_or_works() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let server = Server::of(Api::Chat).unused_allowed().script([Api::Chat.text("done")]);
    let flux = Flux::to(&server).arg("p");
    let copy = flux.path("flux");
    copy_binary(&copy);
    assert!(Command::new("chown").args(["-R", "65534:65534"]).arg(flux.path(".")).status().expect("chown").success());
    let run =
        flux.becomes(&format!("setpriv --reuid 65534 --clear-groups prlimit --nproc=0 '{}'", copy.display())).run();
    let _ = run.failure(71, 1);
}

#[test]
fn a_second_signal_ends_the_run_at_once() {
    let server = Server::script(Api::Chat, []);
    let flux = Flux::to(&server).args(["-f", "pipe", "p"]);
    assert!(Command::new("mkfifo").arg(flux.here("pipe")).status().expect("mkfifo").success());
    let running = flux.start();
    thread::sleep(Duration::from_millis(400));
    running.signal(Signal::INT);
    let second = std::time::Instant::now();
    running.signal(Signal::INT);
    let _ = running.wait().signal(2);
    assert!(second.elapsed() < Duration::from_millis(250), "{:?}", second.elapsed());
}

#[test]
fn a_stopped_run_goes_on_where_it_was() {
    let server = Server::script(Api::Chat, [Api::Chat.text("done").delay(Duration::from_millis(700))]);
    let running = Flux::to(&server).args(["--timeout=20s", "p"]).start();
    thread::sleep(Duration::from_millis(300));
    running.signal(Signal::STOP);
    thread::sleep(Duration::from_millis(1500));
    running.signal(Signal::CONT);
    let _ = running.wait().code(0).stdout("done\n").stderr("");
}
