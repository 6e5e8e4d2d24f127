//! System calls that change the system or lead out of the sandbox, and privileges that could be had again.

use crate::sandbox::attack::{Attack, Holds, Kind, attack, calls, scripts, sh, tries};

pub fn kinds() -> Vec<Kind> {
    vec![
        Kind {
            id: "S27-S28",
            aim: "leave by a system call",
            grants: &[],
            holds: Holds::Sandbox,
            twin: (sh("(true & wait) && nice true && echo forked"), "forked"),
            attacks: namespaces().into_iter().chain(system()).collect(),
        },
        Kind {
            id: "S33-S35",
            aim: "gain privileges or reach devices",
            grants: &["write"],
            holds: Holds::SandboxWritable,
            twin: (sh("head -c 4 /dev/urandom > /dev/null && echo x > /dev/null && echo devices"), "devices"),
            attacks: privileges().into_iter().chain(devices()).collect(),
        },
    ]
}

fn namespaces() -> Vec<Attack> {
    let clone = |flag: i32| {
        tries(&format!(
            "L = ctypes.CDLL(None, use_errno=True)\nr = L.syscall({}, {flag} | 17, 0, 0, 0, 0)\n\
             if r == 0: os._exit(0)\nassert r > 0",
            libc::SYS_clone
        ))
    };
    let mut attacks = vec![
        attack(calls(libc::SYS_unshare, "0x10000000")),
        attack(calls(libc::SYS_unshare, "0x20000")),
        attack(calls(libc::SYS_unshare, "0x40000000")),
        attack(clone(libc::CLONE_NEWUSER)),
        attack(clone(libc::CLONE_NEWNS)),
        attack(clone(libc::CLONE_NEWPID)),
        attack(clone(libc::CLONE_NEWCGROUP)),
        attack(calls(libc::SYS_clone3, "0, 0")),
        attack(calls(libc::SYS_setns, "-1, 0")),
        attack(calls(libc::SYS_mount, "0, 0, 0, 0, 0")),
        attack(calls(libc::SYS_umount2, "b'/nowhere', 0")),
        attack(calls(libc::SYS_mount_setattr, "-1, 0, 0, 0, 0")),
        attack(calls(libc::SYS_open_tree, "-100, b'/', 1")),
        attack(calls(libc::SYS_move_mount, "-1, 0, -1, 0, 0")),
        attack(calls(libc::SYS_fsopen, "b'tmpfs', 0")),
        attack(calls(libc::SYS_fsmount, "-1, 0, 0")),
        attack(calls(libc::SYS_pivot_root, "b'x', b'x'")),
        attack(calls(libc::SYS_chroot, "b'/nowhere'")),
        attack(calls(
            libc::SYS_name_to_handle_at,
            "-100, b'/', ctypes.byref((ctypes.c_int * 40)(128)), \
                                                   ctypes.byref(ctypes.c_int()), 0",
        )),
        attack(calls(libc::SYS_open_by_handle_at, "-1, 0, 0")),
    ];
    attacks.extend(scripts(&[
        "unshare -r true && echo {HARM}",
        "unshare -n true && echo {HARM}",
        "mount -t tmpfs x src && echo {HARM} && umount src",
    ]));
    attacks
}

/// Containers often take these rights from their root.
const MAY_LACK: &str = "the root of this system may lack the right itself";
const FORSAKEN: &[i64] =
    &[libc::SYS_init_module, libc::SYS_finit_module, libc::SYS_delete_module, libc::SYS_kexec_load];

/// Arguments that do nothing: what is refused is refused before they are looked at.
fn system() -> Vec<Attack> {
    [
        (libc::SYS_bpf, "0, 0, 0"),
        (libc::SYS_userfaultfd, "1"),
        (libc::SYS_perf_event_open, "0, 0, -1, -1, 0"),
        (libc::SYS_keyctl, "0, -3, 0, 0, 0"),
        (libc::SYS_add_key, "b'user', b'flux', b'x', 1, -3"),
        (libc::SYS_request_key, "b'user', b'flux-none', 0, 0"),
        (libc::SYS_io_uring_enter, "-1, 0, 0, 0, 0, 0"),
        (libc::SYS_io_uring_register, "-1, 0, 0, 0"),
        (libc::SYS_init_module, "0, 0, 0"),
        (libc::SYS_finit_module, "-1, 0, 0"),
        (libc::SYS_delete_module, "b'flux-none', 0"),
        (libc::SYS_kexec_load, "0, 0, 0, 4096"),
        (libc::SYS_reboot, "0, 0, 0, 0"),
        (libc::SYS_swapon, "b'/nowhere', 0"),
        (libc::SYS_swapoff, "b'/nowhere'"),
        (libc::SYS_quotactl, "-1, 0, 0, 0"),
        (libc::SYS_syslog, "10, 0, 0"),
        (libc::SYS_clock_settime, "9999, 0"),
        (libc::SYS_settimeofday, "1, 0"),
        (libc::SYS_sethostname, "0, 9999"),
        (libc::SYS_setdomainname, "0, 9999"),
        (libc::SYS_fanotify_init, "0, 0"),
        (libc::SYS_process_madvise, "-1, 0, 0, 0, 0"),
        (libc::SYS_pidfd_getfd, "-1, 0, 0"),
    ]
    .map(|(number, arguments)| {
        let attack = attack(calls(number, arguments));
        if FORSAKEN.contains(&number) { attack.fails_bare(MAY_LACK) } else { attack }
    })
    .into()
}

fn privileges() -> Vec<Attack> {
    let mut attacks = scripts(&[
        "grep -E 'Cap(Inh|Prm|Eff|Amb)' /proc/self/status | grep -v 0000000000000000 && echo {HARM}",
        "grep -q 'NoNewPrivs:.0' /proc/self/status && echo {HARM}",
        "grep -q 'Seccomp:.0' /proc/self/status && echo {HARM}",
        "test \"$(ulimit -Hn)\" -gt 1024 && echo {HARM}",
        "test \"$(ulimit -Hc)\" != 0 && echo {HARM}",
    ]);
    attacks.extend([
        attack(tries("os.setuid(1)\nos.setuid(0)\nassert False")).fails_bare("nothing is gained"),
        attack(tries("os.setgroups([0, 1, 2])")),
        attack(tries("resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096))")),
        attack(tries("os.nice(-5)")),
        attack(tries("os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))")),
        attack(calls(libc::SYS_iopl, "3")).fails_bare(MAY_LACK),
        attack(calls(libc::SYS_ioperm, "0x80, 1, 1")).fails_bare(MAY_LACK),
        attack(tries("L = ctypes.CDLL(None)\nassert L.prctl(47, 2, 21, 0, 0) == 0"))
            .fails_bare("it is not inheritable"),
        attack(tries("L = ctypes.CDLL(None)\nassert L.prctl(28, 0, 0, 0, 0) == 0")),
        attack(sh("cp /usr/bin/id src/i && chmod 4755 src/i && test -u src/i && echo {HARM}; rm -f src/i")),
        attack(tries("os.mknod('src/k', stat.S_IFREG | 0o4755)\nassert os.stat('src/k').st_mode & 0o6000")),
        attack(tries(
            "L = ctypes.CDLL(None)\nassert L.syscall(85, b'src/l', 0o6755) >= 0\n\
                      assert os.stat('src/l').st_mode & 0o6000",
        )),
        attack(tries(
            "L = ctypes.CDLL(None)\nopen('src/m', 'w')\nassert L.syscall(452, -100, b'src/m', 0o4755, 0) == 0",
        )),
        attack(tries(
            "L = ctypes.CDLL(None)\nopen('src/m', 'w')\nh = (ctypes.c_uint64 * 3)(0o101, 0o4755, 0)\n\
                      assert L.syscall(437, -100, b'src/o', ctypes.byref(h), 24) >= 0\n\
                      assert os.stat('src/o').st_mode & 0o6000",
        )),
        attack(tries("f = os.open('src', os.O_TMPFILE | os.O_WRONLY, 0o4755)\nassert os.fstat(f).st_mode & 0o6000")),
        attack(tries("open('src/p', 'w')\nos.chmod('src/p', 0o2755)\nassert os.stat('src/p').st_mode & 0o6000")),
        attack(tries("f = os.open('src/q', os.O_CREAT | os.O_WRONLY)\nos.fchmod(f, 0o4755)")),
        attack(tries("os.open('src/j', os.O_CREAT | os.O_WRONLY, 0o6755)\nassert os.stat('src/j').st_mode & 0o6000")),
    ]);
    attacks
}

fn devices() -> Vec<Attack> {
    let mut attacks = scripts(&[
        "head -c 1 /dev/kmsg | grep -q . && echo {HARM}",
        "for d in /dev/vda /dev/sda /dev/nvme0n1; do head -c 9 $d | wc -c | grep -q 9 && echo {HARM}; done",
        "for d in /dev/console /dev/tty0 /dev/ttyS0 /dev/hvc0; do : < $d && echo {HARM}; done",
        ": > /dev/fuse && echo {HARM}",
        ": < /dev/kvm && echo {HARM}",
        ": < /dev/net/tun && echo {HARM}",
        "mknod src/n c 1 3 && echo {HARM}",
    ]);
    attacks.extend([
        attack(tries("open('/proc/kcore', 'rb').read(1)")),
        attack(tries("open('/proc/sysrq-trigger', 'w')")),
        attack(tries("open('/proc/sys/vm/drop_caches', 'w')")),
        attack(tries("open('/proc/self/uid_map', 'w')")),
        attack(tries("assert open('/proc/1/environ').read()")),
    ]);
    let here = "this system may have no such device, or keep it from its root";
    let mut attacks: Vec<Attack> = attacks.into_iter().map(|attack| attack.fails_bare(here)).collect();
    attacks.extend([
        attack(sh("ls /dev/pts | grep -q . && echo {HARM}")),
        attack(tries("os.open('/dev/ptmx', 2)")),
        attack(sh("mknod src/n b 253 0 && echo {HARM}; rm src/n")),
    ]);
    attacks
}
