//! Sessions whose earlier runs ended without an answer, and what a small window leaves of earlier runs: nothing of it
//! may stand in the way of a later question.

use serde_json::json;

use super::continued::{base, session, user_texts};
use crate::support::wire::Usage;
use crate::support::{Flux, Request, Server, for_each_wire};

fn lines_of(kind: &str, flux: &Flux) -> usize {
    std::fs::read_to_string(flux.here("talk.jsonl")).expect("the session").matches(kind).count()
}

#[test]
fn session_question_that_was_too_long_does_not_spoil_the_next() {
    for_each_wire(|api| {
        for window in [&[][..], &["--max-context", "8000"]] {
            let flux = base();
            let log = |lines: usize| "some log line of a long night\n".repeat(lines);
            let server = Server::of(api).window(8_000).answer(move |_| api.text("answer"));
            let ask = |question: &str| session(&flux, &server).args(window.to_vec()).arg(question);
            let _ = ask("why?").stdin(log(1_600)).run().failure(65, 1);
            let _ = ask("why?").stdin(log(100)).run().code(0).stdout("answer\n");
            let request = server.requests().pop().expect("a request");
            assert_eq!(request.text().matches("long night").count(), 100, "{api:?}: the log of the failed run is gone");
            let _ = ask("say hello").run().code(0).stdout("answer\n");
            let request = server.requests().pop().expect("a request");
            let texts = user_texts(api, &request.json);
            assert!(texts.len() == 2 && texts[0].ends_with("why?") && texts[1] == "say hello", "{api:?}: {texts:?}");
            assert_eq!(lines_of("\"flux.prune\"", &flux), 1, "{api:?}: what is gone stays gone");
        }
    });
}

#[test]
fn session_goes_on_after_many_runs_without_an_answer() {
    for_each_wire(|api| {
        let flux = base();
        let server = Server::script(api, (0..8).map(|_| api.error(500, "server_error", "down")));
        let ask = |server: &Server, n: usize| {
            let stdin = format!("host log entry {n} of the night\n").repeat(500);
            session(&flux, server).args(["--retries", "0", "--max-context", "16000", "anything odd?"]).stdin(stdin)
        };
        for n in 0..8 {
            let _ = ask(&server, n).run().failure(75, 1);
        }
        let server = Server::of(api).window(16_000).answer(move |_| api.text("answer"));
        let _ = ask(&server, 8).run().code(0).stdout("answer\n");
        let request = server.only_request();
        let text = request.text();
        assert_eq!(text.matches("entry 8 ").count(), 500, "{api:?}: this run's input is whole");
        assert_eq!(text.matches("entry 0 ").count(), 0, "{api:?}: the oldest goes first");
        assert_eq!(text.matches("entry 7 ").count(), 500, "{api:?}: what fits stays");
    });
}

/// A run that was cut off behind many results is no reason to forget what was said before it.
#[test]
fn session_keeps_what_fits_of_a_run_that_was_cut_off() {
    for_each_wire(|api| {
        let flux = base().file("long.txt", "words and more words\n".repeat(250));
        let _ = session(&flux, &Server::script(api, [api.text("Hello Ada")])).arg("My name is Ada.").run().code(0);
        let call = |n: usize| {
            let ids = [n * 10, n * 10 + 1, n * 10 + 2].map(|n| api.id(n));
            api.calls(&ids.each_ref().map(|id| (id.as_str(), "read_files", json!({"paths": ["long.txt"]}))))
        };
        let replies = (1..7).map(call).chain([api.error(500, "server_error", "down")]);
        let run = session(&flux, &Server::script(api, replies)).args(["--retries", "0", "q1"]).run();
        let _ = run.failure(75, 1);
        let server = Server::script(api, [api.text("answer")]);
        let _ = session(&flux, &server).args(["--max-context", "8000", "q2"]).run().code(0).stdout("answer\n");
        let request = server.only_request();
        let texts = user_texts(api, &request.json).join("|");
        assert!(texts.starts_with("My name is Ada.|q1|") && texts.ends_with("q2"), "{api:?}: {texts}");
        assert!(request.text().contains("Hello Ada"), "{api:?}");
        assert!(request.body.len() > 12_000, "{api:?}: {} bytes of 18,000 are used", request.body.len());
    });
}

#[test]
fn session_keeps_what_the_user_said_longer_than_the_answers() {
    for_each_wire(|api| {
        let flux = base();
        let mut turn = 0;
        let server = Server::of(api).answer(move |request: &Request| {
            turn += 1;
            let usage = Usage { input: request.body.len() as u64 / 4, cache_read: 0, output: 20 };
            api.text_using(&format!("answer {turn} ").repeat(700), usage)
        });
        for n in 0..14 {
            let fact = format!("fact {n}: the code is {}", n * 7);
            let _ = session(&flux, &server).args(["--max-context", "8000", &fact]).run().code(0);
        }
        let request = server.requests().pop().expect("a request");
        let text = request.text();
        let kept: Vec<usize> = (0..14).filter(|n| text.contains(&format!("fact {n}:"))).collect();
        assert_eq!(kept, (0..14).collect::<Vec<_>>(), "{api:?}");
        assert!(text.contains("answer 13 ") && !text.contains("answer 3 "), "{api:?}: the newest answers stay");
        assert!(request.body.len() / 4 <= 6_000, "{api:?}: {} bytes", request.body.len());
    });
}

/// The same input would be refused again, so what was refused is not said again.
#[test]
fn session_goes_on_without_a_question_that_was_refused() {
    for_each_wire(|api| {
        let call = |n: usize| api.calls(&[(&api.id(n), "read_files", json!({"paths": ["a.txt"]}))]);
        let by_status = || api.error(400, "content_filter", "flagged");
        for refusal in [api.refusal("no"), by_status()] {
            for earlier in [true, false] {
                let flux = base();
                if earlier {
                    let server = Server::script(api, [api.text("first answer")]);
                    let _ = session(&flux, &server).arg("first question").run().code(0);
                }
                let server = Server::script(api, [call(1), refusal.clone()]);
                let _ = session(&flux, &server).arg("bad question").run().failure(82, 1);
                let _ = session(&flux, &Server::script(api, [refusal.clone()])).arg("bad question").run().code(82);
                let server = Server::script(api, [api.text("answer")]);
                let _ = session(&flux, &server).arg("last question").run().code(0).stdout("answer\n");
                let texts = user_texts(api, &server.only_request().json);
                let expected = if earlier { &["first question", "last question"][..] } else { &["last question"] };
                assert_eq!(texts, expected, "{api:?}");
            }
        }
    });
}

#[test]
fn session_keeps_an_open_question_when_the_next_is_refused() {
    for_each_wire(|api| {
        let flux = base();
        let server = Server::script(api, [api.error(400, "invalid_request_error", "no")]);
        let _ = session(&flux, &server).arg("open question").run().failure(69, 1);
        let _ = session(&flux, &Server::script(api, [api.refusal("no")])).arg("bad question").run().failure(82, 1);
        let server = Server::script(api, [api.text("answer")]);
        let _ = session(&flux, &server).arg("last question").run().code(0).stdout("answer\n");
        let texts = user_texts(api, &server.only_request().json);
        assert_eq!(texts, ["open question\n\nlast question"], "{api:?}");
    });
}
