//! The parts of the benchmark.

#![expect(clippy::cast_precision_loss, reason = "figures for people")]

use std::io::{BufWriter, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};

use super::measure::{Case, Figures, alone, compare, floor, flux, installed, median, middle, peaks, program, time};
use super::server::{Script, Server, Wire};

/// Each part by its name.
pub const PARTS: &[(&str, fn())] = &[
    ("start", start),
    ("answer", answer),
    ("turns", turns),
    ("stream", stream),
    ("input", input),
    ("parallel", parallel),
    ("search", search),
    ("stats", stats),
    ("slow", slow),
];

const PLAIN: &[&str] = &[];

/// A case in a folder with one small file.
fn in_folder<T>(run: impl FnOnce(Case<'_>) -> T) -> T {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("a.txt"), "a line of some file that is read\n".repeat(30)).expect("a file");
    let (script, wire) = (Script::Turns(0), Wire::Anthropic);
    run(Case { wire, script, input: 1024, args: PLAIN, reading: None, folder: folder.path() })
}

fn row(name: &str, flux: f64, floor: f64) {
    println!("{name:<44} {flux:>10.2} {floor:>10.2} {:>7.2}", flux / floor);
}

fn peak_row(name: &str, case: &Case<'_>) {
    let [flux, floor] = peaks(case);
    row(&format!("{name}, peak KiB"), flux, floor);
}

fn rows(name: &str, [flux, floor]: &[Vec<Figures>; 2], wanted: &[Wanted]) {
    for (what, of) in wanted {
        row(&format!("{name}, {what}"), median(flux, of), median(floor, of));
    }
}

/// A figure and its name.
type Wanted = (&'static str, fn(&Figures) -> f64);

const WALL: Wanted = ("wall ms", |f| f.wall_ms);
const CPU: Wanted = ("CPU ms", |f| f.cpu_ms);
const PEAK: Wanted = ("peak KiB", |f| f.peak_kib);
const SENT: Wanted = ("KiB sent", |f| f.seen.bytes as f64 / 1024.0);
const CONNECTIONS: Wanted = ("connections", |f| f.seen.connections as f64);

/// The program's start beside that of a program that prints a line.
fn start() {
    let folder = tempfile::tempdir().expect("a folder");
    let (source, hello) = (folder.path().join("hello.rs"), folder.path().join("hello"));
    std::fs::write(&source, "fn main() { println!(\"hello\"); }").expect("a file");
    let built = Command::new("rustc").arg("-O").arg(&source).arg("-o").arg(&hello).status().expect("rustc");
    assert!(built.success());
    let hello = installed(hello);
    for flag in ["--version", "--help"] {
        let (mut own, mut least) = (Vec::new(), Vec::new());
        for _ in 0..60 {
            own.push(time(Command::new(program()).arg(flag)));
            least.push(time(&mut Command::new(&hello)));
        }
        row(&format!("{flag} beside hello world, wall ms"), middle(own), middle(least));
    }
    let size = std::fs::metadata(program()).expect("the program").len();
    println!("{:<44} {:>10.2}", "the binary, MiB", size as f64 / f64::from(1 << 20));
}

fn answer() {
    in_folder(|case| {
        rows("plain answer", &compare(31, &case), &[WALL, CPU, SENT]);
        peak_row("plain answer", &case);
        let streamed = compare(31, &Case { args: &["--stream"], ..case });
        rows(
            "plain answer",
            &streamed,
            &[("first byte out ms", |f| f.first_ms), ("exit after the end ms", |f| f.exit_ms)],
        );
        let bare = compare(1, &Case { args: &["--no-tools"], ..case });
        println!(
            "{:<44} {:>10.0}",
            "a request without tools, bytes besides 1 KiB",
            median(&bare[0], |f| f.seen.bytes as f64) - 1040.0
        );
    });
}

fn turns() {
    in_folder(|case| {
        for (turns, runs) in [(10, 9), (200, 5), (1000, 3)] {
            for (wire, name) in [(Wire::Anthropic, "anthropic"), (Wire::Responses, "responses"), (Wire::Chat, "chat")] {
                let case = Case { wire, script: Script::Turns(turns), ..case };
                let both = compare(runs, &case);
                rows(&format!("{turns} turns, {name}"), &both, &[WALL, CPU, SENT, CONNECTIONS]);
                peak_row(&format!("{turns} turns, {name}"), &case);
                let last = turns - 9..turns + 1;
                for range in [1..11, last].into_iter().take(if turns > 10 { 2 } else { 1 }) {
                    let of = |f: &Figures| f.own_ms(range.clone());
                    let name = format!("{turns} turns, {name}, own ms a turn {}-{}", range.start + 1, range.end);
                    row(&name, median(&both[0], of), median(&both[1], of));
                }
            }
        }
    });
}

fn stream() {
    in_folder(|case| {
        for (script, name) in
            [(Script::Chunks(100_000), "100,000 chunks"), (Script::Bytes(1000), "100,000 one-byte reads")]
        {
            let case = Case { script, ..case };
            rows(name, &compare(5, &case), &[WALL, CPU]);
            peak_row(name, &case);
        }
    });
}

fn input() {
    in_folder(|case| {
        for (size, name) in [(10, "10 MiB of stdin"), (100, "100 MiB of stdin")] {
            let case = Case { input: size << 20, ..case };
            rows(name, &compare(3, &case), &[WALL, CPU]);
            peak_row(name, &case);
        }
    });
}

fn parallel() {
    in_folder(|case| {
        let case = Case { script: Script::Parallel(64), ..case };
        rows("64 calls in one turn", &compare(9, &case), &[WALL, CPU]);
        peak_row("64 calls in one turn", &case);
    });
}

/// A tree of 100 MB beside `rg`, which uses as many threads as there are processors.
fn search() {
    let tree = tempfile::tempdir().expect("a folder");
    grow(tree.path());
    let case = Case {
        wire: Wire::Anthropic,
        script: Script::Search,
        input: 0,
        args: &["-n"],
        reading: None,
        folder: tree.path(),
    };
    let (mut own, mut ripgrep) = (Vec::new(), Vec::new());
    for _ in 0..5 {
        let server = Server::start(case.wire, case.script);
        let _ = time(&mut flux(&case, &server.url));
        let seen = server.seen();
        own.push(seen.asked[1].duration_since(seen.answered[0].1).as_secs_f64() * 1000.0);
        let mut rg = Command::new("rg");
        rg.args(["-n", "needle [0-9]+"]).current_dir(tree.path()).stderr(Stdio::null());
        if Command::new("rg").arg("--version").stdout(Stdio::null()).status().is_ok() {
            ripgrep.push(time(&mut rg));
        }
    }
    if ripgrep.is_empty() {
        println!("{:<44} {:>10.2}   (rg is not on PATH)", "grep_search over 100 MB, ms", middle(own));
    } else {
        row("grep_search over 100 MB beside rg, ms", middle(own), middle(ripgrep));
    }
}

/// 2,000 files of 50 KB; one in a hundred lines of one in ten files matches.
fn grow(tree: &Path) {
    let line = "a line of some source file with words that nobody is looking for\n";
    for n in 0..2000 {
        let folder = tree.join(format!("d{}", n / 50));
        std::fs::create_dir_all(&folder).expect("a folder");
        let mut text = line.repeat(50_000 / line.len());
        if n % 10 == 0 {
            text.push_str("needle 42\n");
        }
        std::fs::write(folder.join(format!("f{n}.txt")), text).expect("a file");
    }
}

/// `transcript stats` of 1 GiB, beside a program that parses each line.
fn stats() {
    in_folder(|case| {
        let path = case.folder.join("t.jsonl");
        let server = Server::start(case.wire, Script::Turns(10));
        alone(flux(&case, &server.url).arg("--transcript").arg(&path));
        repeat_run(&path, 1 << 30);
        let mut both = [Vec::new(), Vec::new()];
        for n in 0..=3 {
            let own = alone(Command::new(program()).args(["transcript", "stats"]).arg(&path));
            let least = alone(Command::new(floor()).arg("lines").arg(&path));
            // The first finds a file that is still being written to the disk.
            if n > 0 {
                both[0].push(own);
                both[1].push(least);
            }
        }
        rows("transcript stats of 1 GiB", &both, &[WALL, CPU, PEAK]);
    });
}

/// Copies the run of a transcript, under ids of its own, until the file has so many bytes.
fn repeat_run(path: &Path, size: usize) {
    let text = std::fs::read_to_string(path).expect("a transcript");
    let (_, run) = text.split_once('\n').expect("a header and more");
    let id = run.split_once("\"run\":\"").and_then(|(_, rest)| rest.get(..36)).expect("an id");
    let mut file = BufWriter::new(std::fs::File::options().append(true).open(path).expect("a transcript"));
    for n in 0..size / run.len() {
        file.write_all(run.replace(id, &format!("00000000-0000-7000-8000-{n:012x}")).as_bytes()).expect("lines");
    }
    file.flush().expect("lines");
}

/// A reader that takes 64 KiB a second, once: it takes a while.
fn slow() {
    in_folder(|case| {
        let both = compare(1, &Case { script: Script::Long(1 << 20), reading: Some(64 << 10), ..case });
        rows("1 MiB to a reader of 64 KiB a second", &both, &[CPU, ("bytes out", |f| f.output)]);
    });
}
