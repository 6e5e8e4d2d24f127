//! A prompt that the server refuses as too long: one harder prune and one retry, or exit 65 with the numbers and the
//! way out.

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::support::wire::Usage;
use crate::support::{Api, End, Flux, Reply, Request, Run, Server, for_each_wire};

/// What the services say when a prompt is too long, and where: in the status or inside a stream.
fn refusals(api: Api) -> Vec<Reply> {
    let stream = |data: Value| Reply::sse(format!("data: {data}\n\n"));
    match api {
        Api::Anthropic => vec![
            api.too_long(9_000, 8_000),
            api.error(413, "request_too_large", "Request exceeds the maximum size"),
            Reply::sse(format!(
                "event: error\ndata: {}\n\n",
                json!({"type": "error", "error": {"type": "invalid_request_error",
                    "message": "prompt is too long: 9000 tokens > 8000 maximum"}})
            )),
            api.error(400, "invalid_request_error", "Input is too long for requested model."),
        ],
        Api::Responses => vec![
            api.error(400, "context_length_exceeded", "Your input exceeds the context window of this model."),
            Reply::sse(format!(
                "event: response.failed\ndata: {}\n\n",
                json!({"type": "response.failed", "response": {"id": "resp_1", "status": "failed", "output": [],
                    "error": {"code": "context_length_exceeded",
                        "message": "Your input exceeds the context window of this model."}}})
            )),
            Reply::sse(format!(
                "event: error\ndata: {}\n\n",
                json!({"type": "error", "code": "context_length_exceeded",
                    "message": "Your input exceeds the context window of this model."})
            )),
        ],
        Api::Chat => vec![
            api.too_long(9_000, 8_000),
            api.error(413, "rate_limit_exceeded", "Request too large for model: Limit 6000, Requested 7000"),
            stream(json!({"error": {"code": 400, "message": "request (9000 tokens) exceeds the available context \
                size (8192 tokens), try increasing it", "type": "exceed_context_size_error",
                "n_prompt_tokens": 9000, "n_ctx": 8192}})),
            Reply::json(
                422,
                &json!({"object": "error", "type": "invalid_request_error", "code": 3051, "message": "Prompt contains \
                    9000 tokens, too large for model with 8192 maximum context length"}),
            ),
            Reply::json(
                400,
                &json!([{"error": {"code": 400, "status": "INVALID_ARGUMENT", "message": "The input token count (9000) \
                    exceeds the maximum number of tokens allowed (8192)."}}]),
            ),
            Reply::json(
                400,
                &json!({"code": "Client specified an invalid argument", "error": "This model's maximum prompt length \
                    is 8192 but the request contains 9000 tokens."}),
            ),
            Reply::json(
                422,
                &json!({"error": "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 8192. Given: \
                    9000 `inputs` tokens and 1024 `max_new_tokens`", "error_type": "validation"}),
            ),
            Reply::json(
                400,
                &json!({"error": {"message": "prompt token count of 9000 exceeds the limit of 8192",
                    "code": "model_max_prompt_tokens_exceeded"}}),
            ),
            api.error(400, "invalid_request_error", "Invalid request: Your request exceeded model token limit: 8192"),
            api.error(400, "invalid_request_error", "Please reduce the length of the messages or completion."),
        ],
    }
}

/// Eight rounds, then as many refusals of that kind, then an answer.
fn refused(api: Api, refusal: Reply, times: usize) -> (Server, Arc<Mutex<usize>>) {
    let left = Arc::new(Mutex::new(times));
    let (mut round, for_server) = (0, Arc::clone(&left));
    let server = Server::of(api).answer(move |request: &Request| {
        let usage = Usage { input: request.body.len() as u64 / 4, cache_read: 0, output: 20 };
        if round < 8 {
            round += 1;
            return api.turn(
                "",
                &[(&api.id(round), "read_files", json!({"paths": ["a.txt"], "start_line": round}))],
                usage,
            );
        }
        let mut left = for_server.lock().expect("no panic before");
        if *left > 0 {
            *left -= 1;
            return refusal.clone();
        }
        api.text_using("done", usage)
    });
    (server, left)
}

fn run(server: &Server) -> Run {
    let lines = (0..80).map(|n| format!("{n} words and more words\n")).collect::<String>();
    Flux::to(server).transcript().arg("the task").stdin("context\n").file("a.txt", lines).run()
}

#[test]
fn overflow_is_recovered_by_one_harder_prune_however_the_server_says_it() {
    for_each_wire(|api| {
        for refusal in refusals(api) {
            let shown = String::from_utf8_lossy(&refusal.body).into_owned();
            let (server, _) = refused(api, refusal, 1);
            let run = run(&server).code(0).stdout("done\n").stderr("");
            let transcript = run.transcript();
            let prunes = transcript.custom("flux.prune");
            assert_eq!(prunes.len(), 1, "{shown}");
            assert_eq!(prunes[0]["reason"], "overflow");
            assert!(prunes[0]["tokens_after"].as_u64() < prunes[0]["tokens_before"].as_u64());
            let requests = server.requests();
            let (refused, again) = (&requests[8], &requests[9]);
            assert!(again.body.len() < refused.body.len() * 7 / 10, "{shown}: hardly smaller");
            assert_eq!(api.first_user_text(&again.json), api.first_user_text(&requests[0].json));
            let attempts: Vec<u64> =
                transcript.custom("flux.request").iter().filter_map(|request| request["attempt"].as_u64()).collect();
            assert_eq!(attempts[8..], [1, 2], "{shown}");
            assert_eq!(transcript.result()["retries"], 1);
            assert_eq!(transcript.faults(), Vec::<String>::new());
        }
    });
}

/// Sizes that no model has are none, wherever they stand.
#[test]
fn overflow_with_sizes_that_make_no_sense_is_recovered() {
    for_each_wire(|api| {
        for sizes in
            ["5000 tokens, and you sent 18446744073709551615", "18446744073709551615 tokens, and you sent 5000"]
        {
            let message = format!("This model's maximum context length is {sizes} tokens.");
            let (server, _) = refused(api, api.error(400, "context_length_exceeded", &message), 1);
            let _ = run(&server).code(0).stdout("done\n").stderr("");
        }
    });
}

/// A count that no prompt has is none: nothing is pruned for it.
#[test]
fn usage_that_makes_no_sense_prunes_nothing() {
    for_each_wire(|api| {
        let usage = Usage { input: u64::MAX - 100, cache_read: 0, output: 20 };
        let call = api.turn("", &[(&api.id(1), "read_files", json!({"paths": ["a.txt"]}))], usage);
        let run = run(&Server::script(api, [call, api.text("done")])).code(0).stdout("done\n").stderr("");
        assert_eq!(run.transcript().custom("flux.prune").len(), 0, "{api:?}");
    });
}

#[test]
fn overflow_that_stays_is_exit_65_with_the_numbers_and_the_way_out() {
    for_each_wire(|api| {
        for refusal in refusals(api) {
            let (server, left) = refused(api, refusal, 5);
            let run = run(&server).failure(65, 1);
            assert_eq!(*left.lock().expect("no panic before"), 3, "one retry, no more");
            let run = run.stderr_has("tokens").stderr_has("larger window");
            assert!(run.transcript().result()["error"]["class"].is_string());
            assert_eq!(run.transcript().faults(), Vec::<String>::new());
        }
    });
}

#[test]
fn overflow_of_a_task_alone_is_not_sent_twice() {
    for_each_wire(|api| {
        let server = Server::script(api, [api.too_long(9_000, 8_000)]);
        let run = Flux::to(&server).transcript().arg("the task").stdin("words\n".repeat(6_000)).run().failure(65, 1);
        assert_eq!(run.transcript().custom("flux.prune").len(), 0);
    });
}

/// A server on this machine is asked before anything is pruned for a window that nobody has named.
#[test]
fn window_is_asked_for_before_the_first_prune() {
    let (mut round, mut asked) = (0, 0);
    let api = Api::Chat;
    let server = Server::of(api).lenient().answer(move |request| {
        if request.method == "GET" {
            asked += 1;
            assert!(asked == 1 && request.path == "/props" && round > 0, "{} {asked}", request.path);
            return Reply::json(200, &json!({"default_generation_settings": {"n_ctx": 200_000}}));
        }
        round += 1;
        let usage = Usage { input: request.body.len() as u64 / 4, cache_read: 0, output: 20 };
        if round > 40 {
            return api.text_using("done", usage);
        }
        api.turn("", &[(&api.id(round), "read_files", json!({"paths": ["a.txt"], "start_line": round}))], usage)
    });
    let lines = (0..300).map(|n| format!("{n} words and more words\n")).collect::<String>();
    let run = Flux::to(&server).transcript().arg("the task").file("a.txt", lines).run().code(0);
    assert_eq!(run.transcript().custom("flux.prune").len(), 0);
    let largest = server.requests().iter().map(|request| request.body.len()).max();
    assert!(largest > Some(4 * 32_768), "{largest:?}");
}

/// After a refusal the run keeps to the window that the server named.
#[test]
fn overflow_teaches_the_window() {
    for_each_wire(|api| {
        let mut round = 0;
        let server = Server::of(api).window(6_000).answer(move |request| {
            let usage = Usage { input: request.body.len() as u64 / 4, cache_read: 0, output: 20 };
            round += 1;
            if round > 40 {
                return api.text_using("done", usage);
            }
            let arguments = json!({"paths": ["a.txt"], "start_line": round});
            api.turn("", &[(&api.id(round), "read_files", arguments)], usage)
        });
        let run = run(&server).code(0).stdout("done\n");
        let transcript = run.transcript();
        let overflows = transcript.custom("flux.prune").iter().filter(|prune| prune["reason"] == "overflow").count();
        assert!((1..=2).contains(&overflows), "{overflows} refusals");
        assert!(transcript.custom("flux.prune").len() > overflows);
    });
}

/// The most tokens that a request lets a reply have.
fn most_output(request: &Request) -> Option<u64> {
    let names = ["max_tokens", "max_completion_tokens", "max_output_tokens"];
    names.iter().find_map(|name| request.json[*name].as_u64())
}

/// A server that names a window of 4,096 tokens, and six rounds of reading against it.
fn small_server(api: Api) -> Server {
    let mut round = 0;
    Server::of(api).lenient().answer(move |request| {
        if request.method == "GET" {
            return match request.path.as_str() {
                "/props" => Reply::json(200, &json!({"default_generation_settings": {"n_ctx": 4096}})),
                _ => Reply::json(404, &json!({"error": "not found"})),
            };
        }
        let tokens = request.body.len() as u64 / 4;
        assert!(tokens <= 4096, "{api:?}: {tokens} tokens, of which such a server cuts the beginning off");
        round += 1;
        let usage = Usage { input: tokens, cache_read: 0, output: 20 };
        if round > 6 {
            return api.text_using("done", usage);
        }
        api.turn("", &[(&api.id(round), "read_files", json!({"paths": ["a.txt"], "start_line": round}))], usage)
    })
}

#[test]
fn window_of_a_server_on_this_machine_holds_for_all_that_depends_on_it() {
    for_each_wire(|api| {
        let server = small_server(api);
        let run = run(&server).code(0).stdout("done\n").stderr("");
        let requests = server.requests();
        assert_eq!(requests.iter().filter(|request| request.method == "GET").count(), 1, "{api:?}");
        let last = requests.last().expect("a request");
        assert_eq!(most_output(last), Some(1024), "{api:?}: a quarter of the window");
        let result = run.transcript().messages("toolResult")[3]["message"]["content"].to_string();
        assert!(result.len() < 2_600, "{api:?}: a result has {} bytes", result.len());
    });
}

#[test]
fn short_prompts_cost_no_question_for_the_window() {
    let server = Server::of(Api::Chat).lenient().script([Api::Chat.text("answer")]);
    let _ = Flux::to(&server).arg("the question").run().code(0).stdout("answer\n");
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn window_is_asked_for_once_where_the_server_is_silent() {
    let server = Server::of(Api::Chat).lenient().answer(|request| match request.method.as_str() {
        "GET" => Reply::raw("").end(End::Stall),
        _ => Api::Chat.text("answer"),
    });
    let _ = Flux::to(&server).arg("the question").stdin("words\n".repeat(2_000)).run().code(0).stdout("answer\n");
    assert_eq!(server.requests().len(), 2);
}

/// Some services want room for the whole output limit, and say so.
#[test]
fn overflow_by_the_output_limit_lowers_it() {
    for_each_wire(|api| {
        let window = 9_000;
        let server = Server::of(api).unused_allowed().answer(move |request: &Request| {
            let (prompt, output) = (request.body.len() as u64 / 4, most_output(request).expect("a limit"));
            if prompt + output > window {
                let message =
                    format!("input length and `max_tokens` exceed context limit: {prompt} + {output} > {window}");
                return api.error(400, "invalid_request_error", &message);
            }
            api.text("done")
        });
        let stdin = "words and more words\n".repeat(600);
        let flux = || Flux::to(&server).transcript().arg("the task").stdin(stdin.clone());
        let run = flux().run().code(0).stdout("done\n").stderr("");
        assert_eq!(run.transcript().custom("flux.prune").len(), 0, "{api:?}: nothing has to be pruned");
        let sent: Vec<_> = server.requests().iter().map(most_output).collect();
        assert_eq!(sent, [Some(8192), Some(window / 4)], "{api:?}");
        let given = flux().args(["--max-tokens", "8000"]).run().failure(65, 1);
        let _ = given.stderr_has("lower --max-tokens 8000");
        assert_eq!(server.requests().len(), 3, "{api:?}: what the user has said is not changed, nor sent again");
    });
}

/// No prune makes room beside replies that may be as long as the window.
#[test]
fn overflow_by_an_output_limit_as_large_as_the_window_prunes_nothing() {
    for_each_wire(|api| {
        let (server, _) = refused(api, api.too_long(9_000, 8_192), 1);
        let lines = "words and more words\n".repeat(80);
        let flux = Flux::to(&server).transcript().args(["--max-tokens", "9000", "the task"]).file("a.txt", lines);
        let run = flux.run().failure(65, 1);
        assert_eq!(run.transcript().custom("flux.prune").len(), 0, "{api:?}");
        let _ = run.stderr_has("lower --max-tokens 9000");
    });
}

/// The way out is that of what fills the window: the prompt, or what was said before it.
#[test]
fn overflow_by_the_history_does_not_blame_the_prompt() {
    for_each_wire(|api| {
        let flux = crate::support::ask();
        let session = |server: &Server| flux.clone().server(server).args(["-c", "talk.jsonl"]);
        let server = Server::script(api, [api.text(&"a long answer ".repeat(4_000))]);
        let _ = session(&server).arg("q").run().code(0);
        let server = Server::of(api).answer(move |_| api.too_long(208_310, 200_000));
        let run = session(&server).arg("task").run().failure(65, 1);
        let run = run.stderr_has("about 208k tokens were sent").stderr_has("--max-context").stderr_lacks("shorten it");
        let task = run.err().split("sent, ").nth(1).and_then(|rest| rest.split(' ').next().map(str::to_owned));
        assert!(
            task.as_deref().is_some_and(|task| task.parse::<u64>().is_ok_and(|task| task < 100)),
            "{api:?}: {task:?}"
        );
        let _ =
            session(&server).arg("task").stdin("words\n".repeat(50_000)).run().failure(65, 1).stderr_has("shorten it");
    });
}

#[test]
fn window_that_is_full_in_the_middle_of_a_run_wants_a_shorter_history() {
    let api = Api::Anthropic;
    let full = || {
        let mut reply = api.cut("so far", None);
        let body = String::from_utf8(reply.body).expect("UTF-8");
        reply.body = body.replace("max_tokens", "model_context_window_exceeded").into_bytes();
        reply
    };
    let rounds = (1..9).map(|n| api.calls(&[(&api.id(n), "read_files", json!({"paths": ["a.txt"]}))]));
    let _ = run(&Server::script(api, rounds.chain([full()]))).failure(80, 1).stderr_has("--max-context");
    let server = Server::script(api, [full()]);
    let flux = Flux::to(&server).arg("task").stdin("words\n".repeat(9_000));
    let _ = flux.run().failure(80, 1).stderr_has("shorten it (head -c, tail -c)");
}
