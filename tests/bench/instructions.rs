//! Instruction counts, which do not depend on how busy a machine is: by callgrind, compared with a committed file.

use std::process::{Command, Stdio};

use super::measure::{Case, flux};
use super::server::{Script, Server, Wire};

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/bench/instructions.txt");
/// A count may differ by this part of itself.
const TOLERANCE: f64 = 0.05;

/// Without tools: callgrind does not know the calls by which files are opened for them.
const CASES: &[(&str, Script, &[&str])] = &[
    ("a plain answer", Script::Turns(0), &["-n", "--no-tools"]),
    ("10,000 chunks", Script::Chunks(10_000), &["-n", "--no-tools"]),
    ("1 MiB of input", Script::Turns(0), &["-n", "--no-tools", "-f", "large.txt"]),
];

/// Compares the counts with the file. Returns false if one differs by more than the tolerance.
pub fn compare() -> bool {
    let counts: Vec<(&str, u64)> = CASES.iter().map(|(name, script, args)| (*name, count(*script, args))).collect();
    let surroundings = surroundings();
    if std::env::var_os("FLUX_REGENERATE").is_some() {
        let lines: Vec<String> = counts.iter().map(|(name, count)| format!("{name}: {count}\n")).collect();
        std::fs::write(FILE, format!("{surroundings}\n{}", lines.concat())).expect("the file");
    }
    let text = std::fs::read_to_string(FILE).expect("the committed counts");
    let is_alike = text.lines().next() == Some(&surroundings);
    if !is_alike {
        println!("the counts are not those of {surroundings}: nothing to compare");
    }
    let mut good = true;
    for (name, count) in counts {
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        let before: f64 = line.and_then(|number| number.parse().ok()).unwrap_or(0.0);
        #[expect(clippy::cast_precision_loss, reason = "no program runs that long")]
        let ratio = count as f64 / before;
        good &= (ratio - 1.0).abs() <= TOLERANCE || !is_alike;
        println!("{name:<44} {count:>12} {before:>12} {ratio:>7.3}");
    }
    good
}

/// What else the counts depend on: the compiler, the C library, and the processor, by which libraries choose their code.
fn surroundings() -> String {
    let first_line = |program: &str| {
        let output = Command::new(program).arg("--version").output().map(|output| output.stdout).unwrap_or_default();
        String::from_utf8_lossy(&output).lines().next().unwrap_or_default().trim().to_owned()
    };
    let processor = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = processor.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or_default();
    format!("{}, {}, {}", first_line("rustc"), first_line("ldd"), model.trim_start_matches([' ', '\t', ':']))
}

/// The instructions of one run.
fn count(script: Script, args: &[&str]) -> u64 {
    let folder = tempfile::tempdir().expect("a folder");
    let line = "a line of some file that is read\n";
    std::fs::write(folder.path().join("large.txt"), line.repeat((1 << 20) / line.len())).expect("a file");
    let server = Server::start(Wire::Anthropic, script);
    let case = Case { wire: Wire::Anthropic, script, input: 0, args, reading: None, folder: folder.path() };
    let plain = flux(&case, &server.url);
    let out = folder.path().join("callgrind.out");
    let mut command = Command::new("valgrind");
    command.args(["--tool=callgrind", "-q", &format!("--callgrind-out-file={}", out.display())]);
    command.arg(plain.get_program()).args(plain.get_args()).env_clear().env("HOME", "/nonexistent");
    let path = std::env::var_os("PATH").unwrap_or_default();
    let output = command.env("PATH", path).current_dir(folder.path()).stdin(Stdio::null()).output().expect("valgrind");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = std::fs::read_to_string(&out).expect("callgrind's output");
    let summary =
        text.lines().find_map(|line| line.strip_prefix("summary: ").or_else(|| line.strip_prefix("totals: ")));
    summary.and_then(|number| number.trim().parse().ok()).expect("a count")
}
