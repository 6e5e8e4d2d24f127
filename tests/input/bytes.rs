//! What the bytes of the input may be: encodings, sizes, images, the fence around them.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;

use sha2::{Digest, Sha256};

use super::{sent, unsent};
use crate::support::wait::in_time;
use crate::support::{Api, Flux, Server, for_each_wire};

fn hex_of_sha256(content: &[u8]) -> String {
    Sha256::digest(content).iter().map(|b| format!("{b:02x}")).collect()
}

#[test]
fn context_is_fenced_with_its_own_hash_its_name_and_its_size() {
    let content = "line one\nline two\n";
    let (_, text) = sent(|f| f.file("notes.txt", content).args(["-f", "notes.txt", "sum"]));
    let fence = &hex_of_sha256(content.as_bytes())[..32];
    assert!(text.matches(fence).count() >= 2, "{fence} should stand before and after: {text}");
    assert!(text.contains("notes.txt") && text.contains("18"), "{text}");
    assert!(text.contains(content), "{text}");
    let (_, text) = sent(|f| f.arg("sum").stdin(content));
    assert!(text.contains("stdin") && text.matches(fence).count() >= 2, "{text}");
}

#[test]
fn the_same_input_gives_the_same_request_in_every_run() {
    for_each_wire(|api| {
        let body = || {
            let server = Server::script(api, [api.text("done")]);
            let _ =
                Flux::to(&server).file("a.txt", "alpha").args(["-f", "a.txt", "sum"]).stdin("input\n").run().code(0);
            server.only_request()
        };
        let (first, second) = (body(), body());
        let user = |r: &crate::support::Request| api.messages(&r.json);
        assert_eq!(user(&first), user(&second));
        assert_eq!(first.json["tools"], second.json["tools"]);
    });
}

#[test]
fn files_stand_in_the_order_given_before_stdin_before_the_instruction() {
    let (_, text) = sent(|f| {
        f.file("a.txt", "AAA\n").file("b.txt", "BBB\n").args(["-f", "b.txt", "-f", "a.txt", "sum"]).stdin("SSS\n")
    });
    let at = |part: &str| text.find(part).unwrap_or_else(|| panic!("no {part} in {text}"));
    assert!(at("BBB") < at("AAA") && at("AAA") < at("SSS") && text.ends_with("sum"), "{text}");
    let (_, text) = sent(|f| f.file("a.txt", "AAA\n").args(["-f", "-", "-f", "a.txt", "sum"]).stdin("SSS\n"));
    let at = |part: &str| text.find(part).unwrap_or_else(|| panic!("no {part} in {text}"));
    assert!(at("SSS") < at("AAA"), "-f - takes stdin's place: {text}");
    assert_eq!(text.matches("SSS").count(), 1);
}

#[test]
fn directories_and_urls_are_refused_with_the_pipe_to_use() {
    let _ = unsent(|f| f.args(["-f", ".", "p"])).failure(66, 1).stderr_has("git ls-files");
    let _ = unsent(|f| f.args(["-f", "https://example.com/x", "p"])).failure(66, 1).stderr_has("curl -fsS");
    let _ = unsent(|f| f.args(["-f", "none.txt", "p"])).failure(66, 1).stderr_has("flux: none.txt: ");
}

#[test]
fn invalid_utf8_is_repaired_with_one_note() {
    let (run, text) = sent(|f| f.arg("p").stdin(b"good \xc3\x28 bad\n"));
    assert!(text.contains("good \u{fffd}( bad\n"), "{text}");
    let lines = run.err().lines().count();
    let _ = run.check(lines == 1, "one note was expected");
    let (run, _) = sent(|f| f.args(["-q", "p"]).stdin(b"good \xc3\x28 bad\n"));
    let _ = run.check(true, "").stderr("");
}

#[test]
fn binary_utf16_and_boms_are_told_apart() {
    let _ = unsent(|f| f.arg("p").stdin(b"abc\0def")).failure(65, 1).stderr_has("binary");
    let _ = unsent(|f| f.file("x.bin", b"\x7fELF\0\0").args(["-f", "x.bin", "p"]))
        .failure(65, 1)
        .stderr_has("flux: x.bin: ");
    let utf16: Vec<u8> = [0xff, 0xfe].into_iter().chain("hello\n".encode_utf16().flat_map(u16::to_le_bytes)).collect();
    let _ = unsent(|f| f.arg("p").stdin(utf16)).failure(65, 1).stderr_has("UTF-16");
    let (_, text) = sent(|f| f.arg("-").stdin("\u{feff}do this"));
    assert_eq!(text, "do this");
    let (_, text) = sent(|f| f.arg("p").stdin("\u{feff}context\n"));
    assert!(!text.contains('\u{feff}'), "{text}");
}

#[test]
fn a_nul_byte_after_the_first_8_kib_is_not_binary() {
    let mut input = vec![b'a'; 9000];
    input.push(0);
    let (_, text) = sent(|f| f.arg("p").stdin(input));
    assert!(text.len() > 9000);
}

#[test]
fn carriage_returns_are_kept() {
    let (_, text) = sent(|f| f.arg("p").stdin("one\r\ntwo\r\n"));
    assert!(text.contains("one\r\ntwo\r\n"), "{text:?}");
}

#[test]
fn max_input_is_a_limit_before_any_request_and_0_is_none() {
    let _ =
        unsent(|f| f.args(["--max-input", "1k", "p"]).stdin(vec![b'a'; 1500])).failure(65, 1).stderr_has("--max-input");
    let _ = sent(|f| f.args(["--max-input", "2k", "p"]).stdin(vec![b'a'; 1500]));
    let _ = sent(|f| f.args(["--max-input", "0", "p"]).stdin(vec![b'a'; 1500]));
}

#[test]
fn input_far_above_a_known_window_costs_no_request() {
    let server = Server::script(Api::Anthropic, []);
    let run = crate::support::ask()
        .log(&server)
        .key(Api::Anthropic)
        .env("ANTHROPIC_BASE_URL", server.origin())
        .args(["-m", "anthropic/claude-haiku-4-5", "sum"])
        .stdin(vec![b'a'; 2_000_000])
        .run()
        .failure(65, 1)
        .stderr_has("tail -c")
        .stderr_has("200k");
    drop(run);
    assert_eq!(server.connections(), 0);
}

#[test]
fn an_estimate_alone_refuses_nothing() {
    let (_, text) = sent(|f| f.arg("sum").stdin(vec![b'a'; 3_000_000]));
    assert!(text.len() > 3_000_000);
}

const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\x06\0\0\0\x1f\x15\xc4\x89\0\0\0\nIDATx\x9cc\0\x01\0\0\x05\0\x01\r\n-\xb4\0\0\0\0IEND\xaeB`\x82";
const PDF: &[u8] = b"%PDF-1.4\n1 0 obj\n<<>>\nendobj\ntrailer\n<<>>\n%%EOF\n\0";

#[test]
fn images_and_pdfs_are_sent_as_what_they_are_by_content_not_by_name() {
    for_each_wire(|api| {
        let (image, document) = match api {
            Api::Anthropic => ("\"image\"", "\"document\""),
            Api::Responses => ("\"input_image\"", "\"input_file\""),
            Api::Chat => ("\"image_url\"", "\"file\""),
        };
        let base64 = "iVBORw0KGgo";
        let check = |prepare: &dyn Fn(Flux) -> Flux, kind: &str, data: &str| {
            let server = Server::script(api, [api.text("done")]);
            let _ = prepare(Flux::to(&server)).arg("what is it?").run().code(0);
            let text = server.only_request().text();
            assert!(text.contains(kind) && text.contains(data), "{api:?}: {text}");
        };
        check(&|f| f.file("picture.txt", PNG).args(["-f", "picture.txt"]), image, base64);
        check(&|f| f.stdin(PNG), image, base64);
        check(&|f| f.file("paper", PDF).args(["-f", "paper"]), document, "JVBERi0xLjQK");
    });
}

#[test]
fn a_named_pipe_given_by_the_user_is_read() {
    let server = Server::script(Api::Chat, [Api::Chat.text("done")]);
    let flux = Flux::to(&server).args(["-f", "pipe", "sum"]);
    let path = flux.here("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&path).status().expect("mkfifo").success());
    let run = flux.start();
    in_time("a reader", move || std::fs::write(&path, "through a pipe\n").expect("flux reads"));
    let _ = run.wait().code(0).stdout("done\n");
    assert!(Api::Chat.first_user_text(&server.only_request().json).contains("through a pipe\n"));
}

#[test]
fn names_that_are_not_utf8_are_files_like_others() {
    let name = |base: &[u8]| OsString::from_vec([base, b"caf\xe9"].concat());
    let server = Server::script(Api::Chat, [Api::Chat.text("done")]);
    let flux = Flux::to(&server).arg("-f").arg(name(b"")).arg("-o").arg(name(b"out-")).arg("p").transcript();
    std::fs::write(flux.here("").join(name(b"")), "content\n").expect("a file");
    let _ = flux.run().code(0);
    assert!(server.only_request().text().contains("content"));
    assert_eq!(std::fs::read(flux.here("").join(name(b"out-"))).expect("the answer"), b"done\n");
    let transcript = flux.here("").join(name(b"t-"));
    std::fs::rename(flux.path("transcript.jsonl"), &transcript).expect("renamed");
    for command in ["validate", "stats"] {
        let _ = crate::support::flux::flux().args(["transcript", command]).arg(&transcript).run().code(0);
    }
}

#[test]
fn values_that_begin_with_a_dash_are_taken_as_other_programs_take_them() {
    let server = Server::script(Api::Chat, [Api::Chat.text("-1")]);
    let flux = Flux::to(&server).file("-x.md", "content\n").file("-s.md", "- be polite\n");
    let args = ["-s", "- be terse", "--system-file", "-s.md", "-f", "-x.md", "--choice", "-1,0,1", "--seed", "-7", "p"];
    let _ = flux.args(args).run().code(0).stdout("-1\n");
    let sent = server.only_request().text();
    assert!(["- be terse", "- be polite", "content", "\"seed\":-7"].iter().all(|part| sent.contains(part)), "{sent}");
}
