//! With no key and no model named: a local server, if it says what it is before any input is sent to it.

use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::json;

use crate::support::{Api, Flux, Reply, Request, Server, ask};

/// Port 8080 is one for all tests.
static PORT_8080: Mutex<()> = Mutex::new(());

fn lock() -> MutexGuard<'static, ()> {
    PORT_8080.lock().unwrap_or_else(PoisonError::into_inner)
}

fn models(owner: &str) -> Reply {
    Reply::json(
        200,
        &json!({"object": "list", "data": [{"id": "qwen:1b", "object": "model", "owned_by": owner},
        {"id": "other", "object": "model", "owned_by": owner}]}),
    )
}

fn ollama(request: &Request) -> Reply {
    match request.path.as_str() {
        "/" => Reply::new(200, "text/plain; charset=utf-8", "Ollama is running"),
        "/api/version" => Reply::json(200, &json!({"version": "0.13.3"})),
        "/api/tags" => Reply::json(200, &json!({"models": [{"name": "qwen:1b", "model": "qwen:1b"}]})),
        "/v1/models" => models("library"),
        "/v1/chat/completions" => Api::Chat.text("local answer"),
        _ => Reply::new(404, "text/plain", "404 page not found"),
    }
}

fn llamacpp(request: &Request) -> Reply {
    let reply = match request.path.as_str() {
        "/health" => Reply::json(200, &json!({"status": "ok"})),
        "/props" => Reply::json(
            200,
            &json!({"default_generation_settings": {"n_ctx": 8192}, "total_slots": 1,
            "model_path": "/m/qwen.gguf", "build_info": "b11549-abc"}),
        ),
        "/v1/models" => models("llamacpp"),
        "/v1/chat/completions" => Api::Chat.text("local answer"),
        _ => Reply::json(404, &json!({"error": {"code": 404, "message": "File Not Found", "type": "not_found_error"}})),
    };
    reply.header("server", "llama.cpp")
}

/// Every request before the first with input is a bare question.
#[track_caller]
fn input_only_after_the_introduction(server: &Server) {
    let requests = server.requests();
    let first = requests.iter().position(|r| r.method == "POST").expect("the question was asked");
    assert!(first > 0, "no introduction");
    assert!(requests[..first].iter().all(|r| r.method == "GET" && r.body.is_empty()), "{}", server.log().dump());
    assert!(!server.log().dump().contains("CANARY"));
}

fn at(host: &str) -> Flux {
    ask().env("OLLAMA_HOST", host)
}

#[test]
fn ollama_is_found_named_and_used() {
    let _guard = lock();
    for host in ["127.0.0.1", "http://127.0.0.1", "0.0.0.0", "localhost"] {
        let server = Server::plain().answer(ollama);
        let run = at(&format!("{host}:{}", server.port())).log(&server).arg("p").stdin("private input\n").run();
        let run = run.code(0).stdout("local answer\n").stderr_has("ollama").stderr_has("-m local");
        let lines = run.err().lines().count();
        let _ = run.check(lines == 1, "one line was expected");
        input_only_after_the_introduction(&server);
        let requests = server.requests();
        assert_eq!(requests.last().map(|r| r.json["model"].clone()), Some(json!("qwen:1b")));
    }
}

#[test]
fn a_local_model_may_be_asked_for() {
    let _guard = lock();
    let server = Server::plain().answer(ollama);
    let _ = at(&format!("127.0.0.1:{}", server.port()))
        .log(&server)
        .args(["-m", "local", "p"])
        .run()
        .code(0)
        .stdout("local answer\n");
    let server = Server::plain().answer(ollama);
    let flux = at(&format!("127.0.0.1:{}", server.port())).log(&server).args(["-m", "ollama/llama3", "p"]);
    let _ = flux.run().code(0).stdout("local answer\n").stderr("");
    assert_eq!(server.requests().last().map(|r| r.json["model"].clone()), Some(json!("llama3")));
}

#[test]
fn a_key_comes_before_a_local_server() {
    let _guard = lock();
    let (local, service) = (Server::plain().answer(ollama), super::service(Api::Anthropic));
    let flux =
        at(&format!("127.0.0.1:{}", local.port())).env("ANTHROPIC_BASE_URL", service.origin()).key(Api::Anthropic);
    let _ = flux.arg("p").run().code(0).stdout("done\n").stderr("");
    assert_eq!(local.connections(), 0);
}

#[test]
fn a_server_that_does_not_say_what_it_is_gets_no_input() {
    let _guard = lock();
    let strangers: [fn(&Request) -> Reply; 3] = [
        |_| Reply::new(404, "text/plain", "not found"),
        |_| Reply::new(200, "text/html", "<html>My development server</html>"),
        |_| Reply::json(200, &json!({"object": "list", "data": [{"id": "m"}]})),
    ];
    for stranger in strangers {
        let server = Server::plain().answer(stranger);
        let flux = at(&format!("127.0.0.1:{}", server.port())).log(&server);
        let _ = flux.arg("p").stdin("private input\n").run().failure(78, 3);
        assert!(server.requests().iter().all(|r| r.method == "GET" && !r.text().contains("private")));
    }
}

#[test]
fn llamacpp_is_found_on_port_8080() {
    let _guard = lock();
    if std::net::TcpListener::bind("127.0.0.1:8080").is_err() {
        println!("port 8080 is taken, this test cannot say anything");
        return;
    }
    let server = Server::plain().port(8080).answer(llamacpp);
    let run = at("127.0.0.1:1").log(&server).arg("p").stdin("private input\n").run();
    let _ = run.code(0).stdout("local answer\n").stderr_has("llama").stderr_has("-m local");
    input_only_after_the_introduction(&server);
}

/// The window that a local server tells decides of the output limit and of pruning.
#[test]
fn the_window_of_a_local_server_is_asked_for() {
    let _guard = lock();
    let tells: [fn(&Request) -> Reply; 3] = [
        |request| match request.path.as_str() {
            "/props" => Reply::json(200, &json!({"default_generation_settings": {"n_ctx": 8192}})),
            _ => ollama(request),
        },
        |request| match request.path.as_str() {
            "/v1/models" => Reply::json(
                200,
                &json!({"object": "list", "data": [{"id": "qwen:1b", "max_model_len": 8192},
                {"id": "other", "max_model_len": 9}]}),
            ),
            _ => ollama(request),
        },
        |request| match request.path.as_str() {
            "/api/ps" => Reply::json(200, &json!({"models": [{"name": "qwen:1b", "context_length": 8192}]})),
            _ => ollama(request),
        },
    ];
    let limit = |tell: fn(&Request) -> Reply, flags: &[&str]| {
        let server = Server::plain().answer(tell);
        let flux = at(&format!("127.0.0.1:{}", server.port())).log(&server).args(["-m", "local"]).args(flags.to_vec());
        let _ = flux.arg("p").run().code(0).stdout("local answer\n");
        server.requests().last().map(|request| request.json["max_tokens"].clone())
    };
    for tell in tells {
        assert_eq!(limit(tell, &[]), Some(json!(2048)));
    }
    assert_eq!(limit(ollama, &[]), Some(json!(8192)), "nobody says: 32,768 is assumed");
    assert_eq!(limit(tells[0], &["--max-context", "4096"]), Some(json!(1024)), "the flag decides");
}

#[test]
fn with_nothing_at_all_three_lines_say_what_to_do() {
    let _guard = lock();
    let run = at("127.0.0.1:1").arg("p").run();
    let taken = std::net::TcpListener::bind("127.0.0.1:8080").is_err();
    if !taken {
        let run = run.failure(78, 3).stderr_has("ANTHROPIC_API_KEY");
        let lines = run.err().lines().count();
        let _ = run.check(lines == 3, "three lines were expected");
    }
}
