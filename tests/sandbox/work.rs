//! Real work: a crate as its authors published it, with a fault planted in it. It is built and tested in the sandbox,
//! mended, and tested again.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use super::attack::Call;
use crate::support::flux::binary;
use crate::support::kernel::WITHOUT_NAMESPACES;
use crate::support::{Api, Flux, Reply, Server, say};

const API: Api = Api::Anthropic;

/// A crate that flux itself needs, so it is on this machine; it needs none itself.
const CRATE: &str = "shell-words";

const PLANTED: &str = "\n/// The words of a line, counted.\npub fn count(line: &str) -> Result<usize, ParseError> {\n    \
    split(line).map(|words| words.len() + 1)\n}\n\n#[cfg(test)]\nmod planted {\n    #[test]\n    fn words_are_counted() \
    {\n        assert_eq!(super::count(\"a 'b c'\").unwrap(), 2);\n    }\n}\n";

/// The directory of cargo itself and of the compiler, without what chooses between several of them.
fn toolchain() -> PathBuf {
    let output = Command::new("rustc").args(["--print", "sysroot"]).output().expect("rustc");
    let sysroot = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    Path::new(&sysroot).join("bin")
}

/// Copies the crate's source and plants the fault.
fn plant(at: &Path) {
    let cargo = option_env!("CARGO").unwrap_or("cargo");
    let arguments = ["metadata", "--format-version", "1", "--locked", "--offline"];
    let output = Command::new(cargo).args(arguments).current_dir(env!("CARGO_MANIFEST_DIR")).output();
    let metadata: Value = serde_json::from_slice(&output.expect("cargo metadata").stdout).expect("JSON");
    let packages = metadata["packages"].as_array().expect("packages");
    let package = packages.iter().find(|package| package["name"] == CRATE).expect("the crate");
    let source = Path::new(package["manifest_path"].as_str().expect("a path")).parent().expect("a directory");
    let status = Command::new("cp").arg("-r").arg(source.join(".")).arg(at).status();
    assert!(status.is_ok_and(|status| status.success()), "the crate can be copied");
    let library = at.join("src/lib.rs");
    fs::write(&library, fs::read_to_string(&library).expect("text") + PLANTED).expect("written");
}

fn path() -> String {
    format!("{}:/usr/local/bin:/usr/bin:/bin", toolchain().display())
}

fn test() -> Call {
    ("run_command", json!({"argv": ["cargo", "test", "--lib", "--offline"], "timeout": 300}))
}

/// What a model would do, which has understood the task.
fn turns() -> Vec<Reply> {
    let edit = json!({"path": "src/lib.rs", "edits": [{"search": "words.len() + 1", "replace": "words.len()"}]});
    let calls: [Call; 4] = [("read_files", json!({"paths": ["src/lib.rs"]})), test(), ("edit_file", edit), test()];
    let turn = |(at, (name, arguments)): (usize, Call)| API.calls(&[(&API.id(at), name, arguments)]);
    calls.into_iter().enumerate().map(turn).chain([API.text("The count was one too many.")]).collect()
}

#[test]
fn a_real_crate_is_tested_mended_and_tested_again_in_the_sandbox() {
    for kernel in [None, Some(WITHOUT_NAMESPACES)] {
        let server = Server::script(API, turns());
        let flux = Flux::to(&server).env("PATH", path()).deadline(Duration::from_secs(240)).transcript();
        let flux = flux.args(["--allow", "write", "--allow", "run:cargo test **", "Make the tests pass"]);
        let flux =
            kernel.map_or_else(|| flux.clone().args(["--sandbox", "strict"]), |kernel| flux.clone().kernel(kernel));
        plant(&flux.path("work"));
        let run = flux.run().code(0).stdout("The count was one too many.\n");
        let results = API.results(&server.requests().pop().expect("a request").json);
        let [_, before, edit, after] = &results[..] else { panic!("four results: {results:?}") };
        let failed = before.text.starts_with("exit_status: exit 101") && before.text.contains("words_are_counted");
        assert!(failed && edit.is_error == Some(false), "{}", run.dump());
        assert!(after.text.starts_with("exit 0") && after.text.contains("test result: ok"), "{after:?}");
        say(&format!("{CRATE}: tested, mended and tested again in {:.1?}", run.elapsed));
    }
}

/// As in the README: a pipe in, a pipe out, and the exit code decides.
#[test]
fn a_line_of_shell_has_a_real_crate_mended() {
    let server = Server::script(API, turns());
    let flux = Flux::to(&server);
    plant(&flux.path("work"));
    let line = "cargo test --lib --offline 2>&1 | \"$FLUX\" ask --allow write --allow 'run:cargo test **' \
                --base-url \"$URL\" --wire anthropic -m m 'Mend what fails' > answer.txt && cargo test --lib --offline";
    let output = Command::new("sh")
        .args(["-c", line])
        .current_dir(flux.path("work"))
        .env_clear()
        .envs([("PATH", path()), ("URL", server.base_url()), ("HOME", flux.path("home").display().to_string())])
        .env("FLUX", binary())
        .env(API.key_variable(), API.key())
        .output()
        .expect("a shell");
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && text.contains("test result: ok"), "{text}");
    let answer = fs::read_to_string(flux.here("answer.txt")).expect("the answer");
    assert_eq!(answer, "The count was one too many.\n");
}
