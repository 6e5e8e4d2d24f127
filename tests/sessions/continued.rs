//! What a further run of a session sends: all that was said, to any service, and nothing twice.

use serde_json::{Value, json};

use crate::support::wire::{APIS, Usage};
use crate::support::{Api, Flux, Server, for_each_wire};

/// One run of the session in the working directory of `flux`.
pub(super) fn session(flux: &Flux, server: &Server) -> Flux {
    flux.clone().server(server).arg("-c").arg("talk.jsonl")
}

pub(super) fn base() -> Flux {
    crate::support::ask().file("a.txt", "alpha\n").file("b.txt", "beta\n")
}

/// A run with one round of two calls and an answer.
fn first_run(flux: &Flux, api: Api) -> Vec<u8> {
    let calls = [
        (&*api.id(1), "read_files", json!({"paths": ["a.txt"]})),
        (&*api.id(2), "read_files", json!({"paths": ["missing.txt"]})),
    ];
    let server = Server::script(api, [api.text_and_calls("Looking.", &calls), api.text("first answer")]);
    let _ = session(flux, &server).arg("first question").run().code(0).stdout("first answer\n").stderr("");
    server.requests().pop().expect("a request").body
}

pub(super) fn user_texts(api: Api, body: &Value) -> Vec<String> {
    let users = api.messages(body).into_iter().filter(|message| message["role"] == "user");
    users.map(|message| crate::support::wire::text_of(&message["content"])).filter(|text| !text.is_empty()).collect()
}

#[test]
fn session_goes_on_where_it_ended_and_the_cached_bytes_are_sent_again() {
    for_each_wire(|api| {
        let flux = base();
        let before = first_run(&flux, api);
        let server = Server::script(api, [api.text("second answer")]);
        let _ = session(&flux, &server).arg("second question").run().code(0).stdout("second answer\n").stderr("");
        let request = server.only_request();
        assert_eq!(user_texts(api, &request.json), ["first question", "second question"], "{api:?}");
        assert!(request.text().contains("first answer"));
        assert_eq!(api.results(&request.json).len(), 2);
        let same = before.iter().zip(&request.body).take_while(|(a, b)| a == b).count();
        assert!(before.len() - same < 64, "{api:?}: only {same} of {} bytes are the same", before.len());
    });
}

#[test]
fn session_is_valid_on_every_other_wire_and_for_every_other_model() {
    for from in APIS {
        for to in APIS {
            let flux = base();
            first_run(&flux, from);
            let call = to.calls(&[(&to.id(1), "read_files", json!({"paths": ["b.txt"]}))]);
            let server = Server::script(to, [call, to.text("second answer")]);
            let run = session(&flux, &server).args(["-m", "other", "second question"]).run();
            let _ = run.code(0).stdout("second answer\n");
            assert_eq!(to.results(&server.requests()[1].json).len(), 3, "{from:?} to {to:?}");
            // And back, over both.
            let server = Server::script(from, [from.text("third answer")]);
            let _ = session(&flux, &server).arg("third question").run().code(0).stdout("third answer\n");
            let texts = user_texts(from, &server.only_request().json);
            assert_eq!(texts, ["first question", "second question", "third question"]);
        }
    }
}

/// A thinking block goes back to the model that wrote it, and to no other.
#[test]
fn session_sends_sealed_reasoning_to_its_author_only() {
    let api = Api::Anthropic;
    let thinking = |text: &str| {
        let mut reply = api.text(text);
        let body = String::from_utf8(reply.body).expect("UTF-8").replace(
            "event: ping\ndata: {\"type\":\"ping\"}\n\n",
            "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":9,\"content_block\":\
             {\"type\":\"thinking\",\"thinking\":\"\",\"signature\":\"SEALED\"}}\n\nevent: content_block_stop\ndata: \
             {\"type\":\"content_block_stop\",\"index\":9}\n\n",
        );
        assert!(body.contains("SEALED"));
        reply.body = body.into_bytes();
        reply
    };
    let sealed_in = |args: &[&str]| {
        let flux = base();
        let server = Server::script(api, [thinking("first answer")]);
        let _ = session(&flux, &server).arg("first question").run().code(0);
        let server = Server::script(api, [api.text("second answer")]);
        let _ = session(&flux, &server).args(args.to_vec()).arg("second question").run().code(0);
        server.only_request().text().contains("SEALED")
    };
    assert!(sealed_in(&[]), "its author gets it back");
    assert!(!sealed_in(&["-m", "other"]), "another model does not");
    assert!(!sealed_in(&["-s", "another system prompt"]), "nor its author behind another history");
}

#[test]
fn session_question_that_had_no_answer_is_not_asked_twice() {
    for_each_wire(|api| {
        let flux = base();
        let call = |n| api.calls(&[(&api.id(n), "read_files", json!({"paths": ["a.txt"]}))]);
        let refusal = || api.error(400, "invalid_request_error", "no");
        let server = Server::script(api, [call(1), refusal()]);
        let _ = session(&flux, &server).arg("the question").run().failure(69, 1);
        let server = Server::script(api, [call(2), refusal()]);
        let _ = session(&flux, &server).arg("the question").run().failure(69, 1);
        let requests = server.requests();
        assert_eq!(user_texts(api, &requests[0].json), ["the question"], "{api:?}");
        assert_eq!(api.results(&requests[0].json).len(), 1, "what was found out is kept");
        let server = Server::script(api, [api.text("answer")]);
        let _ = session(&flux, &server).arg("the question").run().code(0).stdout("answer\n");
        let request = server.only_request();
        assert_eq!(user_texts(api, &request.json), ["the question"], "{api:?}");
        assert_eq!(api.results(&request.json).len(), 2);
        // Answered, the same words are a new question.
        let server = Server::script(api, [api.text("again")]);
        let _ = session(&flux, &server).arg("the question").run().code(0).stdout("again\n");
        assert_eq!(user_texts(api, &server.only_request().json), ["the question", "the question"]);
    });
}

#[test]
fn session_question_after_one_without_an_answer_joins_it() {
    for_each_wire(|api| {
        let flux = base();
        let server = Server::script(api, [api.error(400, "invalid_request_error", "no")]);
        let _ = session(&flux, &server).arg("first question").run().failure(69, 1);
        let server = Server::script(api, [api.text("answer")]);
        let _ = session(&flux, &server).arg("second question").run().code(0).stdout("answer\n");
        let text = api.first_user_text(&server.only_request().json);
        assert!(text.starts_with("first question\n\n") && text.ends_with("second question"), "{text}");
    });
}

#[test]
fn session_takes_a_changed_tool_set() {
    for_each_wire(|api| {
        let flux = base();
        first_run(&flux, api);
        let server = Server::script(api, [api.text("without")]);
        let _ = session(&flux, &server).args(["--no-tools", "second question"]).run().code(0).stdout("without\n");
        let request = server.only_request().json;
        let choice = &request["tool_choice"];
        assert!(*choice == "none" || choice["type"] == "none", "{api:?}: {choice}");
        assert!(api.tool_names(&request).contains(&"read_files".to_owned()), "what was called stays declared");
        let server = Server::script(api, [api.text("more")]);
        let _ = session(&flux, &server).args(["--allow", "write", "third question"]).run().code(0).stdout("more\n");
        assert!(api.tool_names(&server.only_request().json).contains(&"write_file".to_owned()));
    });
}

#[test]
fn session_is_forked_by_cp() {
    let api = Api::Chat;
    let flux = base();
    first_run(&flux, api);
    std::fs::copy(flux.here("talk.jsonl"), flux.here("fork.jsonl")).expect("cp");
    for (file, answer) in [("fork.jsonl", "in the fork"), ("talk.jsonl", "in the trunk")] {
        let server = Server::script(api, [api.text(answer)]);
        let run = flux.clone().server(&server).args(["-c", file, "second question"]).run();
        let _ = run.code(0).stdout(format!("{answer}\n"));
        assert!(!server.only_request().text().contains("in the fork"));
    }
}

/// Earlier runs are pruned before this run's message, their questions last; and a later run does not undo it.
#[test]
fn session_is_pruned_and_stays_so_in_later_runs() {
    for_each_wire(|api| {
        let flux = base().file("long.txt", "words and more words\n".repeat(400));
        let mut prunes = 0;
        let mut before: Vec<u8> = Vec::new();
        for n in 0..12 {
            let mut asked = 0;
            let server = Server::of(api).answer(move |request| {
                let usage = Usage { input: request.body.len() as u64 / 4, cache_read: 0, output: 20 };
                asked += 1;
                let call = (&*api.id(1000 + n * 10 + asked), "read_files", json!({"paths": ["long.txt"]}));
                if asked < 3 { api.turn("", &[call], usage) } else { api.text_using(&format!("answer {n}"), usage) }
            });
            let question = format!("question {n}");
            let run = session(&flux, &server).args(["--max-context", "8000", &question]).run();
            let _ = run.code(0).stdout(format!("answer {n}\n"));
            let requests = server.requests();
            for request in &requests {
                assert!(request.body.len() / 4 <= 6_000, "{api:?}: {} bytes", request.body.len());
                let texts = user_texts(api, &request.json);
                assert_eq!(texts.last().map(String::as_str), Some(&*question), "{texts:?}");
                assert_eq!(texts.len(), n + 1, "{api:?}: what was asked goes last, and there is room: {texts:?}");
            }
            let lines = std::fs::read_to_string(flux.here("talk.jsonl")).expect("the session");
            let now = lines.matches("\"flux.prune\"").count();
            let first = &requests[0].body;
            let same = before.iter().zip(first).take_while(|(a, b)| a == b).count();
            if now == prunes || before.is_empty() {
                assert!(before.len().saturating_sub(same) < 64, "{api:?}, run {n}: the cached prefix is lost");
            }
            prunes = now;
            before.clone_from(&requests[requests.len() - 1].body);
        }
        assert!(prunes > 2, "{prunes}");
    });
}

#[test]
fn session_question_whose_answers_had_not_the_form_is_not_asked_twice() {
    let flux = base();
    let ask = |replies: Vec<crate::support::Reply>, code: i32| {
        let server = Server::script(Api::Chat, replies);
        let _ = session(&flux, &server).args(["--choice", "yes,no", "the question"]).run().code(code);
        server.requests().pop().expect("a request").json
    };
    ask(vec![Api::Chat.text("maybe"), Api::Chat.text("perhaps")], 83);
    ask(vec![Api::Chat.text("maybe"), Api::Chat.text("perhaps")], 83);
    let last = ask(vec![Api::Chat.text("yes")], 0);
    let asked = user_texts(Api::Chat, &last).iter().filter(|text| text.contains("the question")).count();
    assert_eq!(asked, 1, "{last}");
}
