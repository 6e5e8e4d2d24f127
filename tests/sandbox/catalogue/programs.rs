//! Programs that start programs: what a grant for a harmless one is worth, and a repository that configures git.

use crate::sandbox::attack::{Attack, Holds, Kind, attack, run};

pub fn kinds() -> Vec<Kind> {
    vec![
        Kind {
            id: "S13-S14",
            aim: "have git start what the repository says",
            grants: &["write"],
            holds: Holds::SandboxWritable,
            twin: (run(&["git", "log", "--oneline"]), "first commit"),
            attacks: git(),
        },
        Kind {
            id: "S17-S19",
            aim: "have a harmless program start another one",
            grants: &["write"],
            holds: Holds::SandboxWritable,
            twin: (run(&["find", ".", "-name", "hello", "-exec", "cat", "{}", ";"]), "benign"),
            attacks: others(),
        },
    ]
}

fn git() -> Vec<Attack> {
    let quiet = "git does not ask it in this version";
    let words: [&[&str]; 20] = [
        &["status"],
        &["diff"],
        &["diff", "HEAD", "--ext-diff"],
        &["add", "src/lib.rs"],
        &["x"],
        &["-c", "core.fsmonitor=touch {OUT}/marker", "status"],
        &["-c", "alias.y=!touch {OUT}/marker", "y"],
        &["-c", "core.hooksPath=.", "status"],
        &["ls-files", "-m"],
        &["stash"],
        &["commit", "-aqm", "x", "--allow-empty"],
        &["fetch"],
        &["ls-remote", "origin"],
        &["ls-remote", "ext::touch {OUT}/marker"],
        &["grep", "-Otouch {OUT}/marker", "benign"],
        &["-c", "credential.helper=!touch {OUT}/marker", "credential", "fill"],
        &["checkout", "-f", "--", "src/lib.rs"],
        &["-p", "log"],
        &["difftool", "-yx", "touch {OUT}/marker", "HEAD"],
        &["rebase", "-x", "touch {OUT}/marker", "HEAD~0"],
    ];
    let bare = |words: &&[&str]| match words[0] {
        "ls-remote" if words[1].starts_with("ext") => Some("git permits no such address"),
        "-p" | "grep" => Some("there is no terminal"),
        "-c" if words[1].contains("hooksPath") || words[1].contains("credential") => Some(quiet),
        "difftool" | "rebase" | "checkout" => Some("it depends on the state of the tree"),
        _ => None,
    };
    let built = words.iter().map(|words| {
        let attack = attack(run(&[&["git"], *words].concat()));
        match bare(words) {
            Some(why) => attack.fails_bare(why),
            None => attack,
        }
    });
    built.collect()
}

fn others() -> Vec<Attack> {
    let words: [&[&str]; 27] = [
        &["find", ".", "-maxdepth", "0", "-exec", "sh", "-c", "touch {OUT}/marker", ";"],
        &["find", ".", "-maxdepth", "0", "-execdir", "touch", "{OUT}/marker", ";"],
        &["find", ".", "-maxdepth", "0", "-fprint", "{OUT}/marker"],
        &["find", ".", "-maxdepth", "0", "-fls", "{OUT}/marker"],
        &["sed", "1e touch {OUT}/marker", "hello"],
        &["sed", "s|.*|touch {OUT}/marker|e", "hello"],
        &["sed", "s/benign/x/w {OUT}/marker", "hello"],
        &["awk", "BEGIN{system(\"touch {OUT}/marker\")}"],
        &["awk", "BEGIN{print \"x\" | \"tee {OUT}/marker\"}"],
        &["awk", "BEGIN{\"touch {OUT}/marker\" | getline}"],
        &["tar", "cf", "/dev/null", "hello", "--checkpoint=1", "--checkpoint-action=exec=touch {OUT}/marker"],
        &["tar", "cf", "/dev/null", "-I", "sh -c 'touch {OUT}/marker; cat'", "hello"],
        &["tar", "cf", "/dev/null", "hello", "--rsh-command=touch {OUT}/marker"],
        &["tar", "cPf", "{OUT}/marker", "/etc/hostname"],
        &["sort", "-S1b", "--compress-program=sh", "-T", "{OUT}", "hello"],
        &["xargs", "-a", "hello", "touch", "{OUT}/marker"],
        &["make", "-f", "/dev/null", "-E", "$(shell touch {OUT}/marker)"],
        &["make", "-f", "/dev/null", "--eval=x:; touch {OUT}/marker", "x"],
        &["env", "touch", "{OUT}/marker"],
        &["env", "-S", "touch {OUT}/marker"],
        &["perl", "-e", "system 'touch {OUT}/marker'"],
        &["perl", "-e", "open F, '| tee {OUT}/marker'; print F 1"],
        &["bash", "-c", "touch {OUT}/marker"],
        &["bash", "--rcfile", "hello", "-ic", "touch {OUT}/marker"],
        &["python3", "-c", "import os; os.system('touch {OUT}/marker')"],
        &["python3", "-c", "import os; os.posix_spawnp('touch', ['touch', '{OUT}/marker'], os.environ)"],
        &["env", "LD_PRELOAD={OUT}/x.so", "BASH_ENV={OUT}/x", "bash", "-c", "touch {OUT}/marker"],
    ];
    let fails = |words: &[&str]| words.iter().any(|word| word.starts_with("--rsh") || word.starts_with("--compress"));
    let built = words.iter().map(|words| {
        let attack = attack(run(words));
        if fails(words) { attack.fails_bare("this version asks no other program here") } else { attack }
    });
    built.collect()
}
