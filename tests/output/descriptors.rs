//! Output through descriptors that are open already goes where they stand, and destroys nothing before it.

use std::fs;

use super::answering;

#[test]
fn an_answer_through_a_descriptor_is_appended_where_it_stands() {
    for name in ["/dev/stdout", "/dev/fd/1"] {
        let (_server, flux) = answering("Hello");
        let run = flux.args(["-o", name, "p"]).after("echo HEAD LINE").run().code(0);
        let _ = run.stdout("HEAD LINE\nHello\n");
    }
    let (_server, flux) = answering("Hello");
    fs::write(flux.here("file"), "HEAD LINE IS LONG\n").expect("a file");
    let run = flux.args(["-o", "/dev/fd/3", "p"]).after("exec 3>>file").run().code(0);
    assert_eq!(run.file("file"), b"HEAD LINE IS LONG\nHello\n");
}

#[test]
fn a_transcript_through_a_descriptor_shares_its_offset() {
    let (_server, flux) = answering("Hello");
    let run = flux.args(["--transcript", "fd:3", "p"]).after("exec 3>file; echo first >&3").run().code(0);
    let text = String::from_utf8(run.file("file")).expect("text");
    assert!(text.starts_with("first\n{\"type\":\"session\""), "{text}");
}

#[test]
fn a_directory_link_beneath_the_root_does_not_lead_the_output_out() {
    for flag in ["-o", "--transcript"] {
        let (_server, flux) = super::untouched();
        fs::create_dir(flux.path("outside")).expect("a directory");
        std::os::unix::fs::symlink(flux.path("outside"), flux.here("link")).expect("a link");
        let run = flux.args([flag, "link/x", "p"]).run().failure(73, 1);
        assert!(fs::read_dir(run.flux.path("outside")).expect("it").next().is_none());
    }
}

#[test]
fn a_name_that_no_file_can_have_is_known_before_a_request_is_paid() {
    for name in ["", "dir/"] {
        let (_server, flux) = super::untouched();
        let _ = flux.args(["-o", name, "p"]).run().failure(73, 1);
    }
}

#[test]
fn a_dash_as_output_is_stdout() {
    let (_server, flux) = answering("Hello");
    let _ = flux.args(["-o", "-", "p"]).run().code(0).stdout("Hello\n");
}

#[test]
fn a_stdout_that_is_only_for_reading_is_known_before_a_request_is_paid() {
    let (_server, flux) = super::untouched();
    let _ = flux.arg("p").after("exec 1< /dev/null").run().failure(74, 1).stderr_has("Bad file descriptor");
}

#[test]
fn a_check_that_prints_nothing_needs_no_stdout() {
    let verdict = "{\"verdict\":\"no\",\"reason\":\"r\"}";
    for before in ["exec 1>&-", "exec 1< /dev/null"] {
        let (_server, flux) = answering(verdict);
        let _ = flux.args(["--check", "-q", "p"]).after(before).run().code(1);
    }
    let (_server, flux) = answering(verdict);
    let _ = flux.args(["--check", "-q", "p"]).stdout_to(crate::support::flux::Out::Gone).run().code(1);
}

#[test]
fn stdout_carries_the_answer_or_the_transcript_and_never_both() {
    for name in ["-", "fd:1", "/dev/stdout", "/dev/fd/1"] {
        let (_server, flux) = super::untouched();
        let _ = flux.args(["--transcript", name, "p"]).run().failure(2, 1).stderr_has("--format jsonl");
        let (_server, flux) = answering("Hello");
        let run = flux.args(["--transcript", name, "--jsonl", "p"]).run().code(0);
        assert_eq!(run.out().matches("\"type\":\"result\"").count(), 1, "{name}");
    }
    let (_server, flux) = super::untouched();
    let _ = flux.args(["--json", "-o", "file", "--transcript", "fd:1", "p"]).run().failure(2, 1);
    for name in ["fd:-1", "fd:x", "fd:"] {
        let (_server, flux) = super::untouched();
        let _ = flux.args(["--transcript", name, "p"]).run().failure(2, 1).stderr_has("fd:N");
    }
}
