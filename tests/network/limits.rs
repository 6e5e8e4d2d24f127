//! Rate limits: what one run learns of them holds for all runs with the same key, and nothing that is wrong with the
//! file that they share it through does any harm.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::support::wait::in_time;
use crate::support::{Api, End, Flux, Reply, Run, Server, say};

/// The one file of the ledger.
#[track_caller]
fn ledger(flux: &Flux) -> PathBuf {
    let folder = flux.path("run/flux");
    let mut files: Vec<_> = fs::read_dir(&folder).expect("the ledger's folder").flatten().collect();
    assert_eq!(files.len(), 1, "one key, one origin, one file");
    files.remove(0).path()
}

/// A server that allows `rate` requests in each second and refuses the rest as services do.
fn limited(rate: usize) -> Server {
    let mut taken: Vec<Instant> = Vec::new();
    Server::of(Api::Chat).answer(move |_| {
        let now = Instant::now();
        taken.retain(|at| now - *at < Duration::from_secs(1));
        if taken.len() < rate {
            taken.push(now);
            return Api::Chat.text("done");
        }
        let wait = Duration::from_secs(1).saturating_sub(now - taken[0]).as_millis().to_string();
        Api::Chat.error(429, "rate_limit_exceeded", "slow down").header("retry-after-ms", wait)
    })
}

/// Runs so many at once; gives the codes and the time that all took.
fn at_once(runs: usize, server: &Server, args: &[&str]) -> (Vec<Run>, Duration) {
    let flux = Flux::to(server).args(args.iter().copied()).arg("p").deadline(Duration::from_secs(90));
    let start = Instant::now();
    let runs: Vec<Run> = thread::scope(|scope| {
        let runs: Vec<_> = (0..runs).map(|_| scope.spawn(|| flux.run())).collect();
        runs.into_iter().map(|run| run.join().expect("a run")).collect()
    });
    (runs, start.elapsed())
}

#[test]
fn a_hundred_runs_at_once_keep_to_what_the_server_allows() {
    let mut told = Vec::new();
    for (name, args) in [("with the ledger", &[][..]), ("without it", &["--no-shared-limits"])] {
        let server = limited(10);
        let (runs, took) = at_once(100, &server, args);
        let odd: Vec<_> = runs.iter().filter(|run| !matches!(run.code, Some(0 | 75))).map(Run::dump).collect();
        assert!(odd.is_empty(), "{}", odd.join("\n"));
        let done = runs.iter().filter(|run| run.code == Some(0)).count();
        assert!(runs.iter().all(|run| run.out() == if run.code == Some(0) { "done\n" } else { "" }));
        let requests = server.requests().len();
        say(&format!("100 runs, 10 a second, {name}: {done} done, {requests} requests, {:.1} s", took.as_secs_f64()));
        told.push((done, took, requests));
    }
    let (done, took, _) = told[0];
    assert_eq!(done, 100);
    // A hundred at ten a second take at least nine seconds.
    assert!(took < Duration::from_millis(13_000), "{took:?}");
    assert!(told[1].2 > told[0].2, "{told:?}");
}

#[test]
fn a_limit_that_the_server_announces_is_kept_by_the_next_run() {
    for api in crate::support::wire::APIS {
        let names = match api {
            Api::Anthropic => ["anthropic-ratelimit-requests-limit", "anthropic-ratelimit-requests-remaining"],
            _ => ["x-ratelimit-limit-requests", "x-ratelimit-remaining-requests"],
        };
        let announce = |reply: Reply| {
            let reply = reply.header(names[0], "30").header(names[1], "0");
            match api {
                Api::Anthropic => reply
                    .header("date", "Tue, 24 Nov 2026 10:00:00 GMT")
                    .header("anthropic-ratelimit-requests-reset", "2026-11-24T10:01:00Z"),
                _ => reply.header("x-ratelimit-reset-requests", "1m0s"),
            }
        };
        let server = Server::script(api, [announce(api.text("done")), api.text("done")]);
        let flux = Flux::to(&server).args(["-v", "p"]).transcript();
        let _ = flux.run().code(0);
        let run = flux.run().code(0).stderr_has("waiting 2.0 s for the rate limit");
        let waits = run.transcript().custom("flux.request").iter().map(|r| r["wait_ms"].as_u64()).collect::<Vec<_>>();
        assert!(waits[0] == Some(0) && waits[1].is_some_and(|ms| (1500..4000).contains(&ms)), "{waits:?}");
    }
}

#[test]
fn own_limits_pace_the_turns_of_a_run_and_the_runs_after_it() {
    let turns = [Api::Chat.calls(&[("call_1", "list_files", serde_json::json!({}))]), Api::Chat.text("done")];
    let server = Server::script(Api::Chat, turns.iter().cloned().chain([Api::Chat.text("done")]));
    let flux = Flux::to(&server).args(["--rpm", "60", "p"]);
    let _ = flux.run().code(0);
    let _ = flux.run().code(0);
    let at: Vec<Instant> = server.requests().iter().map(|request| request.at).collect();
    for pair in at.windows(2) {
        let gap = pair[1] - pair[0];
        assert!(gap > Duration::from_millis(900) && gap < Duration::from_millis(2000), "{gap:?}");
    }
}

#[test]
fn tokens_a_minute_count_what_a_reply_took() {
    // The scripted reply reports some 30 tokens, less than the request's bytes make one expect: about a second.
    let server = Server::script(Api::Chat, [Api::Chat.text("done"), Api::Chat.text("done")]);
    let flux = Flux::to(&server).args(["--tpm", "2000", "--no-tools", "p"]);
    let _ = flux.run().code(0);
    let _ = flux.run().code(0);
    let at: Vec<Instant> = server.requests().iter().map(|request| request.at).collect();
    let gap = at[1] - at[0];
    assert!(gap > Duration::from_millis(500) && gap < Duration::from_secs(3), "{gap:?}");
}

#[test]
fn tokens_a_minute_are_not_taken_by_requests_that_were_refused_or_never_sent() {
    // Each request is expected to take some 2 s of the limit.
    let refused = || Api::Chat.error(429, "rate_limit_exceeded", "slow down").header("retry-after-ms", "100");
    let server = Server::script(Api::Chat, [refused(), refused(), refused(), Api::Chat.text("done")]);
    let run = Flux::to(&server).args(["--tpm", "2000", "--no-tools", "--retries", "5", "p"]).run().code(0);
    assert!(run.elapsed < Duration::from_secs(4), "{:?}", run.elapsed);
    let server = Server::script(Api::Chat, [Api::Chat.text("done")]);
    let flux = Flux::to(&server).args(["--tpm", "2000", "--no-tools", "--retries", "0", "p"]);
    let nobody = "http://127.0.0.1:1/v1";
    for _ in 0..3 {
        let _ = flux.clone().args(["--base-url", nobody]).run().code(75);
    }
    let run = flux.run().code(0);
    assert!(run.elapsed < Duration::from_secs(2), "{:?}", run.elapsed);
}

#[test]
fn tokens_a_minute_are_taken_by_requests_that_the_server_got_and_left_without_a_reply() {
    for end in [End::Close, End::Reset, End::Stall] {
        let server = Server::script(Api::Chat, [Reply::raw("").end(end), Api::Chat.text("done")]);
        let flux = Flux::to(&server).args(["--tpm", "2000", "--no-tools", "--retries", "0", "--idle-timeout", "1s"]);
        let _ = flux.clone().arg("p").run().code(75);
        let _ = flux.arg("p").run().code(0);
        let at: Vec<Instant> = server.requests().iter().map(|request| request.at).collect();
        assert!(at[1] - at[0] > Duration::from_millis(1_500), "{end:?}: {:?}", at[1] - at[0]);
    }
}

#[test]
fn what_verbose_says_of_a_wait_is_how_long_it_is() {
    let refused = Api::Chat.error(429, "rate_limit_exceeded", "slow down").header("retry-after", "7");
    let server = Server::script(Api::Chat, [refused, Api::Chat.text("done")]);
    let flux = Flux::to(&server).args(["-v", "p"]);
    let _ = flux.clone().args(["--retries", "0"]).run().code(75);
    let run = flux.run().code(0);
    let said: Vec<f64> = run
        .err()
        .lines()
        .filter_map(|line| line.strip_prefix("flux: waiting ")?.split_once(' ')?.0.parse().ok())
        .collect();
    let took = run.elapsed.as_secs_f64();
    let _ = run.check(said.len() == 1 && (took - said[0]).abs() < 1.0, &format!("{said:?} said, {took} s waited"));
}

#[test]
fn a_wait_for_a_limit_ends_at_the_timeout_and_at_a_signal() {
    let server = Server::script(Api::Chat, [Api::Chat.text("done")]);
    let flux = Flux::to(&server).args(["--rpm", "1"]).transcript();
    let _ = flux.clone().arg("p").run().code(0);
    let run = flux.clone().args(["--timeout", "1s", "p"]).run().failure(124, 1);
    assert!(run.elapsed < Duration::from_secs(3), "{:?}", run.elapsed);
    let requests = run.transcript();
    let last = requests.custom("flux.request").last().map(|request| (*request).clone()).expect("a request line");
    assert!(last["wait_ms"].as_u64().is_some_and(|ms| ms > 500) && last["bytes"] == 0, "nothing was sent: {last}");
    let running = flux.args(["p"]).start();
    thread::sleep(Duration::from_millis(400));
    running.signal(Signal::TERM);
    let run = running.wait().signal(15);
    assert!(run.elapsed < Duration::from_millis(1500), "{:?}", run.elapsed);
}

#[test]
fn runs_that_do_not_share_do_not_wait_for_each_other() {
    let odd: [&dyn Fn(Flux) -> Flux; 3] =
        [&|flux| flux.arg("--no-shared-limits"), &|flux| flux.env_remove("XDG_RUNTIME_DIR"), &|flux| {
            flux.env("XDG_RUNTIME_DIR", "/nonexistent")
        }];
    for prepare in odd {
        let server = Server::script(Api::Chat, [Api::Chat.text("done"), Api::Chat.text("done")]);
        let flux = prepare(Flux::to(&server).args(["--rpm", "6"])).arg("p");
        for _ in 0..2 {
            let run = flux.run().code(0).stderr("");
            assert!(run.elapsed < Duration::from_secs(3), "{:?}", run.elapsed);
        }
        assert!(!flux.path("run/flux").exists());
    }
}

#[test]
fn where_no_server_has_limits_nothing_is_left_behind() {
    let server = Server::script(Api::Chat, [Api::Chat.text("done")]);
    let flux = Flux::to(&server).arg("p");
    let _ = flux.run().code(0).stderr("");
    assert!(!flux.path("run/flux").exists());
}

#[test]
fn the_ledger_holds_no_key_and_is_for_its_user_alone() {
    let server = Server::script(Api::Chat, [Api::Chat.text("done"), Api::Chat.text("done")]);
    let _ = Flux::to(&server).arg("p").run().code(0).stderr("");
    let flux = Flux::to(&server).args(["--rpm", "6000", "p"]);
    let _ = flux.run().code(0).stderr("");
    let file = ledger(&flux);
    let text = fs::read_to_string(&file).expect("text");
    assert!(!text.contains(Api::Chat.key()) && !text.contains("127.0.0.1"), "{text}");
    assert_eq!(fs::metadata(&file).expect("a file").permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::metadata(flux.path("run/flux")).expect("a folder").permissions().mode() & 0o777, 0o700);
}

#[test]
fn a_ledger_that_cannot_be_used_does_no_harm() {
    type Harm = fn(&Flux, &PathBuf);
    let harms: [(&str, bool, Harm); 10] = [
        ("empty", false, |_, file| fs::write(file, "").expect("a file")),
        ("torn", false, |_, file| fs::write(file, "{\"format\":\"flux-limi").expect("a file")),
        ("binary", false, |_, file| fs::write(file, [0xff; 4096]).expect("a file")),
        ("of another start of the machine", false, |_, file| {
            let far = "{\"format\":\"flux-limits/1\",\"boot\":\"x\",\"pace\":{\"pause\":[0,99999999999]}}\n";
            fs::write(file, far).expect("a file");
        }),
        ("of a newer flux", true, |_, file| fs::write(file, "{\"format\":\"flux-limits/2\"}\n").expect("a file")),
        ("huge", true, |_, file| fs::write(file, vec![b'x'; 1 << 20]).expect("a file")),
        ("a directory", true, |_, file| {
            fs::remove_file(file).expect("the file");
            fs::create_dir(file).expect("a directory");
        }),
        ("a link", true, |flux, file| {
            fs::remove_file(file).expect("the file");
            fs::write(flux.here("target"), "mine").expect("a file");
            symlink(flux.here("target"), file).expect("a link");
        }),
        ("a pipe", true, |_, file| {
            fs::remove_file(file).expect("the file");
            assert!(std::process::Command::new("mkfifo").arg(file).status().expect("mkfifo").success());
        }),
        ("writable by others", true, |_, file| {
            fs::set_permissions(file, fs::Permissions::from_mode(0o666)).expect("chmod");
        }),
    ];
    for (name, told, harm) in harms {
        let server = Server::script(Api::Chat, [Api::Chat.text("done"), Api::Chat.text("done")]);
        let flux = Flux::to(&server).args(["--rpm", "6000", "p"]);
        let _ = flux.run().code(0);
        let file = ledger(&flux);
        harm(&flux, &file);
        let content = || fs::metadata(&file).is_ok_and(|m| m.is_file()).then(|| fs::read(&file).expect("a file"));
        let before = content();
        let run = flux.run().code(0).stdout("done\n");
        assert!(run.elapsed < Duration::from_secs(5), "{name}: {:?}", run.elapsed);
        let lines = run.err().lines().count();
        assert_eq!(lines, usize::from(told), "{name}: {}", run.err());
        assert!(!told || run.err().contains("--no-shared-limits"), "{name}: {}", run.err());
        assert!(!told || content() == before, "{name}: it should be left alone");
    }
}

#[test]
fn a_lock_that_somebody_holds_is_waited_for_and_then_gone_without() {
    let server = Server::script(Api::Chat, [Api::Chat.text("done"), Api::Chat.text("done")]);
    let flux = Flux::to(&server).args(["--rpm", "6000", "p"]).deadline(Duration::from_secs(30));
    let _ = flux.run().code(0);
    let file = fs::File::open(ledger(&flux)).expect("the ledger");
    file.lock().expect("a lock");
    let run = flux.run().code(0).stdout("done\n").stderr_has("locked for too long");
    assert_eq!(run.err().lines().count(), 1, "{}", run.err());
    assert!(run.elapsed > Duration::from_secs(9) && run.elapsed < Duration::from_secs(14), "{:?}", run.elapsed);
}

#[test]
fn a_killed_run_holds_nobody_up() {
    let server = Server::of(Api::Chat).answer(|_| Api::Chat.text("done"));
    let flux = Flux::to(&server).args(["--rpm", "300", "p"]);
    for wait in 0..20 {
        let running = flux.start();
        thread::sleep(Duration::from_millis(wait / 4));
        running.signal(Signal::KILL);
        let _ = running.wait();
    }
    let run = in_time("a run after twenty that were killed", move || flux.run());
    let _ = run.code(0).stdout("done\n").stderr("");
}
