//! Where the instruction comes from and how the command line is read.

use std::time::Duration;

use super::{sent, unsent};
use crate::support::sys::Pty;
use crate::support::{Api, Flux, Server, flux};

#[test]
fn words_are_joined_by_one_space_and_stand_after_the_context() {
    let (_, text) = sent(|f| f.args(["explain", "this", "now"]).stdin("some context\n"));
    assert!(text.ends_with("explain this now"), "{text}");
    assert!(text.contains("some context\n"), "{text}");
}

#[test]
fn without_words_stdin_is_the_instruction_byte_for_byte() {
    let prompt = "  do this\n\nand\tthat \r\n";
    let (_, text) = sent(|f| f.stdin(prompt));
    assert_eq!(text, prompt);
    let (_, text) = sent(|f| f.arg("-").stdin(prompt));
    assert_eq!(text, prompt);
}

#[test]
fn a_lone_dash_is_needed_where_stdin_could_be_meant_as_context() {
    let hint = "no prompt: as context: flux ask 'WHAT TO DO'; as the instruction: flux ask -";
    let options: [&[&str]; 3] = [&["-s", "be terse"], &["--system-file", "s.txt"], &["-f", "s.txt"]];
    for args in options {
        let _ = unsent(|f| f.file("s.txt", "text").args(args.iter().copied()).stdin("do this"))
            .failure(2, 3)
            .stderr_has(hint);
    }
    for args in options {
        let (_, text) = sent(|f| f.file("s.txt", "text").args(args.iter().copied()).arg("-").stdin("do this"));
        assert!(text.ends_with("do this"), "{text}");
    }
}

#[test]
fn no_prompt_at_all_is_a_usage_error_at_once() {
    let run = unsent(Flux::stdin_null).failure(2, 3);
    assert!(run.elapsed < Duration::from_secs(3));
    let _ = unsent(Flux::stdin_closed).failure(2, 3);
    let pty = Pty::open();
    let run = unsent(|f| f.stdin_given(pty.slave())).failure(2, 3);
    assert!(run.elapsed < Duration::from_secs(3), "it must not wait for the terminal");
}

#[test]
fn a_dash_at_a_terminal_reads_to_control_d_as_cat_does() {
    use std::io::Write;
    let pty = Pty::open();
    let server = Server::script(Api::Chat, [Api::Chat.text("done")]);
    let run = Flux::to(&server).arg("-").stdin_given(pty.slave()).start();
    (&pty.master).write_all(b"typed\n\x04").expect("a terminal");
    let _ = run.wait().code(0).stdout("done\n");
    assert_eq!(Api::Chat.first_user_text(&server.only_request().json), "typed\n");
}

#[test]
fn options_may_follow_a_prompt_of_one_word() {
    let (_, text) = sent(|f| f.args(["what is it?", "--no-tools"]));
    assert_eq!(text, "what is it?");
    let (_, text) = sent(|f| f.args(["--no-tools", "what", "is it?"]));
    assert_eq!(text, "what is it?");
}

#[test]
fn an_option_among_several_words_is_refused_not_guessed() {
    let run = unsent(|f| f.args(["use", "the", "-s", "flag"])).failure(2, 3);
    let _ = run.stderr_has("'-s' stands in the prompt: quote the prompt, or put options first");
    for args in [&["what", "is", "it?", "--no-tools"][..], &["read", "-", "now"], &["read", "it", "-"]] {
        let _ = unsent(|f| f.args(args.iter().copied())).failure(2, 3).stderr_has("stands in the prompt");
    }
}

#[test]
fn a_glob_after_f_is_noticed_instead_of_becoming_the_prompt() {
    let files = |f: Flux| f.file("a.md", "a").file("b.md", "b");
    let run = unsent(|f| files(f).args(["-f", "a.md", "b.md", "sum"])).failure(2, 3);
    let _ = run.stderr_has("'b.md' is not taken by -f: repeat -f");
    let (_, text) = sent(|f| files(f).args(["-f", "a.md", "-f", "b.md", "sum"]));
    assert!(text.ends_with("sum"));
}

#[test]
fn an_unknown_command_is_told_what_was_meant() {
    let run = flux().args(["explain", "this"]).run().failure(2, 3);
    let _ = run.stderr_has("did you mean flux ask '");
}

#[test]
fn a_non_utf8_argument_is_a_usage_error_not_a_crash() {
    use std::os::unix::ffi::OsStringExt;
    let bad = std::ffi::OsString::from_vec(b"a\xffb".to_vec());
    let _ = unsent(|f| f.arg(bad)).failure(2, 3);
}

#[test]
fn system_text_and_file_are_added_to_the_own_prompt_unless_it_is_bare() {
    let system = |args: &[&str]| {
        let server = Server::script(Api::Anthropic, [Api::Anthropic.text("done")]);
        let _ = Flux::to(&server).file("s.txt", "from the file").args(args.iter().copied()).arg("p").run().code(0);
        Api::Anthropic.system(&server.only_request().json)
    };
    let own = system(&[]);
    assert!(!own.is_empty());
    let added = system(&["-s", "from the flag", "--system-file", "s.txt"]);
    assert!(added.starts_with(&own) && added.contains("from the flag") && added.contains("from the file"), "{added}");
    assert_eq!(system(&["--bare-system", "-s", "only this"]), "only this");
    assert_eq!(system(&["--bare-system"]), "");
}

#[test]
fn prompt_file_is_the_instruction_and_typed_words_follow_it() {
    let (_, text) =
        sent(|f| f.file("task.txt", "The task.").args(["--prompt-file", "task.txt", "in", "short"]).stdin("context\n"));
    assert!(text.ends_with("The task.\n\nin short"), "{text}");
    assert!(text.contains("context\n"));
    let _ = unsent(|f| f.args(["--prompt-file", "none.txt"])).failure(66, 1).stderr_has("none.txt");
}

#[test]
fn people_at_a_terminal_get_help_from_flux_itself_and_are_told_how_to_ask_the_model() {
    for phrase in ["help", "version", "list models", "list tools"] {
        let pty = Pty::open();
        let server = Server::script(Api::Chat, []);
        let run = Flux::to(&server).arg(phrase).terminal(&pty).run().code(0);
        let shown = pty.shown();
        let _ = run.check(shown.contains("flux ask --"), &shown);
        assert_eq!(server.connections(), 0);
    }
}
