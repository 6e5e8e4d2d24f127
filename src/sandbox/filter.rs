//! The system calls that children do without: sockets, namespaces, mounts, other processes' memory, the kernel itself.
//! Compiled once, enforced in every child. What a filter cannot see (paths, file contents) is not its business.

use std::collections::BTreeMap;
use std::io;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    TargetArch, apply_filter, sock_filter,
};

use crate::base::env::ARCHITECTURE;

/// Refused whatever the arguments.
const REFUSED: &[i64] = &[
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_process_madvise,
    libc::SYS_kcmp,
    libc::SYS_pidfd_getfd,
    libc::SYS_keyctl,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_bpf,
    libc::SYS_userfaultfd,
    libc::SYS_perf_event_open,
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_mount_setattr,
    libc::SYS_move_mount,
    libc::SYS_open_tree,
    libc::SYS_fsopen,
    libc::SYS_fsmount,
    libc::SYS_fsconfig,
    libc::SYS_fspick,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_unshare,
    libc::SYS_setns,
    libc::SYS_open_by_handle_at,
    libc::SYS_name_to_handle_at,
    libc::SYS_kexec_load,
    libc::SYS_kexec_file_load,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_reboot,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_acct,
    libc::SYS_quotactl,
    libc::SYS_syslog,
    libc::SYS_vhangup,
    libc::SYS_clock_settime,
    libc::SYS_settimeofday,
    libc::SYS_adjtimex,
    libc::SYS_clock_adjtime,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
    libc::SYS_fanotify_init,
];

/// Memory and messages that processes of a user share by number or name. Namespaces have their own.
const SHARED: &[i64] = &[
    libc::SYS_shmget,
    libc::SYS_shmat,
    libc::SYS_shmctl,
    libc::SYS_msgget,
    libc::SYS_msgsnd,
    libc::SYS_msgrcv,
    libc::SYS_msgctl,
    libc::SYS_semget,
    libc::SYS_semop,
    libc::SYS_semtimedop,
    libc::SYS_semctl,
    libc::SYS_mq_open,
    libc::SYS_mq_unlink,
];

/// Calls that set a mode, and which argument it is.
#[cfg(target_arch = "x86_64")]
const SET_MODE: &[(i64, u8)] = &[
    (libc::SYS_chmod, 1),
    (libc::SYS_creat, 1),
    (libc::SYS_mknod, 1),
    (libc::SYS_fchmod, 1),
    (libc::SYS_fchmodat, 2),
    (libc::SYS_fchmodat2, 2),
    (libc::SYS_mknodat, 2),
];
#[cfg(not(target_arch = "x86_64"))]
const SET_MODE: &[(i64, u8)] =
    &[(libc::SYS_fchmod, 1), (libc::SYS_fchmodat, 2), (libc::SYS_fchmodat2, 2), (libc::SYS_mknodat, 2)];

/// Calls that may create a file, and which argument are the flags; the mode follows.
#[cfg(target_arch = "x86_64")]
const OPEN: &[(i64, u8)] = &[(libc::SYS_open, 1), (libc::SYS_openat, 2)];
#[cfg(not(target_arch = "x86_64"))]
const OPEN: &[(i64, u8)] = &[(libc::SYS_openat, 2)];

/// Creating namespaces by `clone`; `clone3` hides its flags in memory, so it does not exist for children.
const NEW_NAMESPACES: u64 = (libc::CLONE_NEWUSER
    | libc::CLONE_NEWNS
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWNET
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWUTS
    | libc::CLONE_NEWCGROUP) as u64;

/// Calls that do not exist for children, because they hide in memory what a filter would have to see.
const ABSENT: [i64; 2] = [libc::SYS_clone3, libc::SYS_openat2];

/// The filters, ready to be enforced.
#[derive(Debug)]
pub(super) struct Filter(Vec<BpfProgram>);

impl Filter {
    /// Compiles the filters. With `net` children may open internet sockets, but never others; `alone`, without
    /// namespaces, they may not share memory and messages with other processes of the user.
    pub(super) fn compile(net: bool, alone: bool) -> io::Result<Self> {
        let denied = SeccompAction::Errno(libc::EPERM.unsigned_abs());
        let absent = SeccompAction::Errno(libc::ENOSYS.unsigned_abs());
        let mut programs = vec![
            program(refusals(net, alone)?, denied)?,
            program(ABSENT.map(|call| (call, Vec::new())).into(), absent)?,
        ];
        if cfg!(target_arch = "x86_64") {
            programs.push(without_x32());
        }
        Ok(Self(programs))
    }

    /// Enforces the filters on this process and all that it becomes. New privileges must be ruled out before.
    pub(super) fn enforce(&self) -> io::Result<()> {
        self.0.iter().try_for_each(|program| apply_filter(program).map_err(io::Error::other))
    }
}

fn program(rules: BTreeMap<i64, Vec<SeccompRule>>, action: SeccompAction) -> io::Result<BpfProgram> {
    let arch = TargetArch::try_from(ARCHITECTURE).map_err(io::Error::other)?;
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, action, arch).map_err(io::Error::other)?;
    filter.try_into().map_err(io::Error::other)
}

fn refusals(net: bool, alone: bool) -> io::Result<BTreeMap<i64, Vec<SeccompRule>>> {
    let shared = SHARED.iter().filter(|_| alone);
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> =
        REFUSED.iter().chain(shared).map(|call| (*call, Vec::new())).collect();
    // A condition cannot say "any of these bits", so each of them is refused by itself.
    let flags = (0..64).map(|bit| 1 << bit).filter(|flag| NEW_NAMESPACES & flag != 0);
    let clones = flags.map(|flag| rule([condition(0, SeccompCmpArgLen::Qword, SeccompCmpOp::MaskedEq(flag), flag)?]));
    rules.insert(libc::SYS_clone, clones.collect::<io::Result<_>>()?);
    // Typing into a terminal.
    let typing = [libc::TIOCSTI, libc::TIOCLINUX].map(|request| {
        let request = request & 0xffff_ffff;
        rule([condition(1, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, request)?])
    });
    rules.insert(libc::SYS_ioctl, typing.into_iter().collect::<io::Result<_>>()?);
    rules.extend(set_id_modes()?);
    rules.insert(libc::SYS_prlimit64, vec![others_limits()?]);
    // A pair of datagram sockets could be turned on any socket of the system that has a path.
    let pair = |kind: i32| {
        let mask = SeccompCmpOp::MaskedEq(0xf);
        rule([condition(1, SeccompCmpArgLen::Dword, mask, u64::from(kind.unsigned_abs()))?])
    };
    rules.insert(libc::SYS_socketpair, vec![pair(libc::SOCK_DGRAM)?, pair(libc::SOCK_RAW)?]);
    rules.insert(libc::SYS_socket, if net { all_but_internet()? } else { Vec::new() });
    Ok(rules)
}

/// Giving a file a mode by which whoever runs it becomes its owner: such a file would outlive the sandbox. Creating
/// one by `openat2`, which hides the mode in memory, does not exist for children.
fn set_id_modes() -> io::Result<BTreeMap<i64, Vec<SeccompRule>>> {
    const CREATES: u64 = libc::O_CREAT as u64;
    const IS_UNNAMED: u64 = (libc::O_TMPFILE & !libc::O_DIRECTORY) as u64;
    let bits = [libc::S_ISUID, libc::S_ISGID].map(u64::from);
    let has = |argument, bits| condition(argument, SeccompCmpArgLen::Dword, SeccompCmpOp::MaskedEq(bits), bits);
    let mut rules = BTreeMap::new();
    for (call, mode) in SET_MODE {
        let of_bits = bits.map(|bit| rule([has(*mode, bit)?]));
        rules.insert(*call, of_bits.into_iter().collect::<io::Result<_>>()?);
    }
    for (call, flags) in OPEN {
        // Without these flags the mode is not given, and anything may stand in its place.
        let pairs = [CREATES, IS_UNNAMED].into_iter().flat_map(|flag| bits.map(|bit| (flag, bit)));
        let of_pairs = pairs.map(|(flag, bit)| rule([has(*flags, flag)?, has(flags + 1, bit)?]));
        rules.insert(*call, of_pairs.collect::<io::Result<_>>()?);
    }
    Ok(rules)
}

/// Setting the limits of another process, as the same user may: without namespaces it could be this program.
fn others_limits() -> io::Result<SeccompRule> {
    rule([
        condition(0, SeccompCmpArgLen::Dword, SeccompCmpOp::Ne, 0)?,
        condition(2, SeccompCmpArgLen::Qword, SeccompCmpOp::Ne, 0)?,
    ])
}

/// Every socket but TCP and UDP over IPv4 and IPv6, and asking the kernel for routes as name lookup does.
fn all_but_internet() -> io::Result<Vec<SeccompRule>> {
    let domain = |op, value: i32| condition(0, SeccompCmpArgLen::Dword, op, u64::from(value.unsigned_abs()));
    let kind = |value: i32| {
        let mask = SeccompCmpOp::MaskedEq(0xf);
        condition(1, SeccompCmpArgLen::Dword, mask, u64::from(value.unsigned_abs()))
    };
    let other_domains = rule([
        domain(SeccompCmpOp::Ne, libc::AF_INET)?,
        domain(SeccompCmpOp::Ne, libc::AF_INET6)?,
        domain(SeccompCmpOp::Ne, libc::AF_NETLINK)?,
    ])?;
    let netlink_but_route = rule([
        domain(SeccompCmpOp::Eq, libc::AF_NETLINK)?,
        condition(2, SeccompCmpArgLen::Dword, SeccompCmpOp::Ne, u64::from(libc::NETLINK_ROUTE.unsigned_abs()))?,
    ])?;
    let mut rules = vec![other_domains, netlink_but_route];
    for internet in [libc::AF_INET, libc::AF_INET6] {
        for special in [libc::SOCK_RAW, libc::SOCK_RDM, libc::SOCK_SEQPACKET, libc::SOCK_DCCP] {
            rules.push(rule([domain(SeccompCmpOp::Eq, internet)?, kind(special)?])?);
        }
    }
    Ok(rules)
}

fn condition(argument: u8, length: SeccompCmpArgLen, op: SeccompCmpOp, value: u64) -> io::Result<SeccompCondition> {
    SeccompCondition::new(argument, length, op, value).map_err(io::Error::other)
}

fn rule<const N: usize>(conditions: [SeccompCondition; N]) -> io::Result<SeccompRule> {
    SeccompRule::new(conditions.into()).map_err(io::Error::other)
}

/// Refuses the second system call table of x86-64, whose numbers the other filters do not know. They check the
/// architecture themselves.
fn without_x32() -> BpfProgram {
    const LOAD_NUMBER: u16 = 0x20;
    const JUMP_IF_GREATER_OR_EQUAL: u16 = 0x35;
    const RETURN: u16 = 0x06;
    const X32: u32 = 0x4000_0000;
    let instruction = |code, jt, jf, k| sock_filter { code, jt, jf, k };
    vec![
        instruction(LOAD_NUMBER, 0, 0, 0),
        instruction(JUMP_IF_GREATER_OR_EQUAL, 0, 1, X32),
        instruction(RETURN, 0, 0, SeccompAction::Errno(libc::EPERM.unsigned_abs()).into()),
        instruction(RETURN, 0, 0, SeccompAction::Allow.into()),
    ]
}
