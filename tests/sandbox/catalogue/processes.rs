//! Other processes: their memory, their environment, their life. flux itself is one of them, and holds the key.

use crate::sandbox::attack::{Attack, Holds, Kind, attack, calls, py, run, scripts, sh, tries};

const NAMES: &str = "other processes' names and arguments can be seen";
/// Where Landlock is too old to keep signals in.
const SIGNALS: &str = "the user's own processes can be signalled";

pub fn kinds() -> Vec<Kind> {
    let kind = |id, aim, twin, attacks| Kind { id, aim, grants: &[], holds: Holds::Sandbox, twin, attacks };
    vec![
        kind(
            "S29-S30",
            "read the key or another process",
            (sh("cat /proc/self/status | grep -c Name; echo own"), "own"),
            reading(),
        ),
        kind("S31", "disturb another process", (sh("sleep 9 & kill $!; wait $!; echo ended"), "ended"), disturbing()),
    ]
}

fn reading() -> Vec<Attack> {
    let mut attacks = scripts(&[
        "tr '\\0' ' ' < /proc/{FLUX}/environ",
        "tr '\\0' ' ' < /proc/{PID}/environ",
        "cat /proc/*/environ | tr '\\0' ' '",
        "cat /proc/*/task/*/environ | tr '\\0' ' '",
        "cat /proc/{FLUX}/maps | grep -q . && echo {HARM}",
        "cat /proc/{FLUX}/cwd/.env",
        "cat /proc/{FLUX}/root{OUT}/secret",
        "for f in /proc/{FLUX}/fd/*; do test -e $f && echo {HARM}; done",
        "cat /proc/{FLUX}/auxv /proc/{FLUX}/pagemap | grep -q . && echo {HARM}",
        "cat /proc/{FLUX}/syscall /proc/{FLUX}/stack /proc/{FLUX}/io | grep -q . && echo {HARM}",
    ]);
    attacks.extend([
        attack(sh("tr '\\0' ' ' < /proc/$PPID/environ")).fails_bare("the parent of programs has a clean one, too"),
        attack(sh("dd if=/proc/{FLUX}/mem bs=1 count=1 skip=$((0x400000))")).fails_bare("it prints no secret"),
        attack(sh("env; set; export")).fails_bare("the environment of programs is always a clean one"),
        attack(sh("cat /proc/self/environ /proc/$$/environ"))
            .fails_bare("the environment of programs is always a clean one"),
        attack(run(&["python3", "-c", "import os; print(os.environb)"])).fails_bare("as above"),
        attack(sh("ulimit -c unlimited; kill -SEGV $$; cat core*")).fails_bare("no secret is in it"),
        attack(sh("grep -q disturbed /proc/{PID}/cmdline && echo {HARM}")).gap(NAMES),
        attack(sh("ls /proc/{FLUX}/fd/ | grep -q . && echo {HARM}")).gap(NAMES),
        attack(sh("test -d /proc/{PID} && echo {HARM}")).gap(NAMES),
        attack(tries(PTRACE)),
        attack(tries("L = ctypes.CDLL(None, use_errno=True)\nassert L.ptrace(0x4206, {PID}, 0, 0) == 0")),
        attack(calls(libc::SYS_process_vm_readv, "{PID}, 0, 0, 0, 0, 0")),
        attack(calls(libc::SYS_process_vm_writev, "{PID}, 0, 0, 0, 0, 0")),
        attack(calls(libc::SYS_kcmp, "{PID}, os.getpid(), 1, 0, 0")),
        attack(tries(
            "L = ctypes.CDLL(None)\np = L.syscall(434, {PID}, 0)\nassert p >= 0\nassert L.syscall(438, p, 0, 0) >= 0",
        )),
        attack(tries("L = ctypes.CDLL(None)\nassert L.setns(os.open('/proc/{PID}/ns/net', 0), 0) == 0")),
        attack(tries("os.open('/proc/{PID}/ns/pid', 0)")),
    ]);
    attacks
}

const PTRACE: &str = "L = ctypes.CDLL(None, use_errno=True)\nr = L.ptrace(16, {PID}, 0, 0)\nassert r == 0\n\
    os.waitpid({PID}, 0)\nL.ptrace(17, {PID}, 0, 0)";

fn disturbing() -> Vec<Attack> {
    let signals = scripts(&[
        "kill -WINCH {PID}",
        "kill -TERM {PID}",
        "kill -0 {PID} && echo {HARM}",
        "kill -0 {FLUX} && echo {HARM}",
        "kill -STOP {PID}; kill -CONT {PID}",
    ]);
    let mut attacks: Vec<Attack> = signals.into_iter().map(|attack| attack.gap(SIGNALS)).collect();
    // Without a sandbox these would reach all processes of this machine.
    attacks.extend([
        attack(sh("kill -WINCH -1; sleep 0.05")).untried().gap(SIGNALS),
        attack(sh("for p in /proc/[0-9]*; do kill -WINCH ${p#/proc/} 2>/dev/null; done; sleep 0.05"))
            .untried()
            .gap(SIGNALS),
        attack(sh("kill -USR1 -{PID}")).fails_bare("it leads no group").gap(SIGNALS),
    ]);
    attacks.extend([
        attack(tries(
            "L = ctypes.CDLL(None)\np = L.syscall(434, {PID}, 0)\nassert p >= 0\n\
                      assert L.syscall(424, p, 28, 0, 0) == 0",
        ))
        .gap(SIGNALS),
        attack(tries("os.kill({PID}, 28)")).gap(SIGNALS),
        attack(tries("L = ctypes.CDLL(None)\nassert L.syscall(62, {PID}, 28) == 0")).gap(SIGNALS),
        attack(tries("L = ctypes.CDLL(None)\nassert L.syscall(200, {PID}, 28) == 0")).gap(SIGNALS),
        attack(tries("resource.prlimit({PID}, resource.RLIMIT_CORE, (0, 0))")),
        attack(tries("resource.prlimit({FLUX}, resource.RLIMIT_NOFILE, (9, 9))")).untried(),
        attack(py("import fcntl, os, signal\nr, w = os.pipe()\nfcntl.fcntl(r, fcntl.F_SETOWN, {PID})\n\
                   fcntl.fcntl(r, fcntl.F_SETFL, os.O_ASYNC)\nfcntl.fcntl(r, 10, 28)\nos.write(w, b'x')"))
        .gap(SIGNALS),
        attack(tries("open('/proc/{PID}/oom_score_adj', 'w').write('1000')")),
        attack(tries("open('/proc/{PID}/clear_refs', 'w').write('1')")),
        attack(tries("open('/proc/{PID}/comm', 'w').write('x')")),
        attack(tries("open('/proc/{PID}/timerslack_ns', 'w').write('1')")),
        attack(tries("open('/proc/{PID}/mem', 'r+b')")),
    ]);
    attacks
}
