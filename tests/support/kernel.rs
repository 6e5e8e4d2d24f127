//! An older or stricter kernel, as the program under test sees it: a seccomp filter that is there before the program
//! starts refuses what such a kernel would not do. Where the answer depends on more than the number of the call, a
//! thread of the test gives it. The program has no part in this, and what it is still allowed to do is real.

use std::io::{Read, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::os::unix::fs::FileExt;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::thread;

use libc::{seccomp_notif, seccomp_notif_resp, sock_filter};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags, pidfd_getfd, pidfd_open};

/// What a kernel can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kernel {
    /// The version of Landlock, 0 for none; nothing stands for what this machine has.
    landlock: Option<u32>,
    namespaces: Namespaces,
}

/// Whether programs may have namespaces of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Namespaces {
    /// As on this machine.
    Permitted,
    /// EPERM, as in containers.
    Refused,
    /// ENOSPC, as where `user.max_user_namespaces` is 0.
    Exhausted,
    /// They can be made, but nothing can be mounted in them, as with the rules of Ubuntu.
    WithoutMounts,
}

/// The kernel that there is, without namespaces.
pub const WITHOUT_NAMESPACES: Kernel = Kernel { landlock: None, namespaces: Namespaces::Refused };

const NEW_NAMESPACES: i32 = libc::CLONE_NEWUSER
    | libc::CLONE_NEWNS
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWNET
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWUTS
    | libc::CLONE_NEWCGROUP;

const MOUNTS: [i64; 5] =
    [libc::SYS_mount, libc::SYS_open_tree, libc::SYS_move_mount, libc::SYS_mount_setattr, libc::SYS_pivot_root];

#[cfg(target_arch = "x86_64")]
const ARCHITECTURE: u32 = 0xc000_003e;
#[cfg(target_arch = "aarch64")]
const ARCHITECTURE: u32 = 0xc000_00b7;
#[cfg(target_arch = "riscv64")]
const ARCHITECTURE: u32 = 0xc000_00f3;

impl Kernel {
    /// A kernel with this version of Landlock.
    pub const fn new(landlock: u32, namespaces: Namespaces) -> Kernel {
        Kernel { landlock: Some(landlock), namespaces }
    }

    /// Has the command run on this kernel. To be called last before it is started.
    pub fn put_under(self, command: &mut Command) {
        let filter = self.filter();
        let (ours, theirs) = UnixStream::pair().expect("a pair of sockets");
        if self.asks() {
            thread::spawn(move || self.answer(ours));
        }
        let asks = self.asks();
        #[expect(unsafe_code, reason = "a filter is installed between fork and exec")]
        // SAFETY: only system calls are made, and nothing is allocated.
        unsafe {
            command.pre_exec(move || enforce(&filter, asks.then_some(&theirs)));
        }
    }

    fn asks(self) -> bool {
        self.landlock.is_some_and(|version| version > 0)
    }

    fn filter(self) -> Vec<sock_filter> {
        let mut filter = Filter::default();
        let landlock =
            [libc::SYS_landlock_create_ruleset, libc::SYS_landlock_add_rule, libc::SYS_landlock_restrict_self];
        match self.landlock {
            None => {}
            Some(0) => landlock.into_iter().for_each(|call| filter.on(call, errno(libc::ENOSYS))),
            Some(_) => landlock.into_iter().for_each(|call| filter.on(call, libc::SECCOMP_RET_USER_NOTIF)),
        }
        let refusal = match self.namespaces {
            Namespaces::Permitted => return filter.finish(),
            Namespaces::Refused => libc::EPERM,
            Namespaces::Exhausted => libc::ENOSPC,
            Namespaces::WithoutMounts => {
                MOUNTS.into_iter().for_each(|call| filter.on(call, errno(libc::EACCES)));
                return filter.finish();
            }
        };
        filter.on(libc::SYS_unshare, errno(refusal));
        filter.on(libc::SYS_clone3, errno(libc::ENOSYS));
        filter.on_flags(libc::SYS_clone, NEW_NAMESPACES.unsigned_abs(), errno(refusal));
        filter.finish()
    }

    /// Answers the calls that reach the filter until all of its processes have ended.
    fn answer(self, mut stream: UnixStream) {
        let mut numbers = [0; 8];
        // A program that could not be started says nothing.
        let Ok(()) = stream.read_exact(&mut numbers) else { return };
        let [pid, fd] = [0, 4].map(|at| i32::from_ne_bytes(numbers[at..at + 4].try_into().expect("four bytes")));
        let pidfd = Pid::from_raw(pid).map(|pid| pidfd_open(pid, PidfdFlags::empty()));
        let pidfd = pidfd.expect("a process id").expect("the program is there");
        let listener = pidfd_getfd(&pidfd, fd, PidfdGetfdFlags::empty()).expect("the descriptor of the filter");
        stream.write_all(&[0]).expect("the program waits");
        drop(stream);
        while let Some(call) = next(&listener) {
            self.reply(&listener, &call);
        }
    }

    fn reply(self, listener: &OwnedFd, call: &seccomp_notif) {
        let mut reply = seccomp_notif_resp { id: call.id, val: 0, error: 0, flags: 0 };
        match self.judge(call) {
            Answer::Value(value) => reply.val = value,
            Answer::Error(error) => reply.error = -error,
            Answer::Real => reply.flags = 1,
        }
        // A process that has been killed meanwhile wants no answer.
        let _ = notification(listener, SEND, (&raw mut reply).cast());
    }

    /// What a kernel with this version would say.
    fn judge(self, call: &seccomp_notif) -> Answer {
        let version = self.landlock.unwrap_or_default();
        let args = call.data.args;
        match i64::from(call.data.nr) {
            libc::SYS_landlock_create_ruleset if args[2] == 1 && args[0] == 0 => Answer::Value(version.into()),
            libc::SYS_landlock_create_ruleset if args[2] != 0 => Answer::Error(libc::EINVAL),
            libc::SYS_landlock_create_ruleset => {
                let size = usize::try_from(args[1]).unwrap_or_default().min(4096);
                match read(call.pid, args[0], size) {
                    Some(attributes) => judge_attributes(version, &attributes),
                    // Not this process's to read: a program that has closed itself off.
                    None => Answer::Real,
                }
            }
            // Rules for ports came with version 4.
            libc::SYS_landlock_add_rule if args[1] != 1 && version < 4 => Answer::Error(libc::EINVAL),
            libc::SYS_landlock_restrict_self if args[1] != 0 && version < 7 => Answer::Error(libc::EINVAL),
            _ => Answer::Real,
        }
    }
}

/// What the filter's process gets.
#[derive(Debug, PartialEq, Eq)]
enum Answer {
    Value(i64),
    Error(i32),
    /// What this machine's own kernel says.
    Real,
}

/// Whether a kernel of this version knows all rights of `struct landlock_ruleset_attr`: files, ports, scopes.
fn judge_attributes(version: u32, attributes: &[u8]) -> Answer {
    let files = match version {
        1 => 13,
        2 => 14,
        3 | 4 => 15,
        5..=8 => 16,
        _ => 17,
    };
    let known = [files, if version < 4 { 0 } else { 2 }, if version < 6 { 0 } else { 2 }];
    for (at, word) in attributes.chunks(8).enumerate() {
        let bits = word.iter().rev().fold(0_u64, |bits, byte| bits << 8 | u64::from(*byte));
        let is_foreign = bits >> known.get(at).copied().unwrap_or_default() != 0;
        if is_foreign {
            let is_beyond = known.get(at).is_none_or(|bits| *bits == 0);
            return Answer::Error(if is_beyond { libc::E2BIG } else { libc::EINVAL });
        }
    }
    Answer::Real
}

fn read(pid: u32, address: u64, size: usize) -> Option<Vec<u8>> {
    let mut bytes = vec![0; size];
    let memory = std::fs::File::open(format!("/proc/{pid}/mem")).ok()?;
    memory.read_exact_at(&mut bytes, address).ok().map(|()| bytes)
}

const RECEIVE: libc::Ioctl = 0xc050_2100;
const SEND: libc::Ioctl = 0xc018_2101;

/// The next call that waits for an answer, until nobody is left who could make one.
fn next(listener: &OwnedFd) -> Option<seccomp_notif> {
    loop {
        let mut fds = [PollFd::new(listener, PollFlags::IN)];
        poll(&mut fds, None).ok()?;
        if fds[0].revents().contains(PollFlags::HUP) {
            return None;
        }
        #[expect(unsafe_code, reason = "the kernel wants it empty")]
        // SAFETY: all of its fields are numbers.
        let mut call: seccomp_notif = unsafe { std::mem::zeroed() };
        // An error means that the process was killed in the meantime.
        if notification(listener, RECEIVE, (&raw mut call).cast()) {
            return Some(call);
        }
    }
}

fn notification(listener: &OwnedFd, request: libc::Ioctl, about: *mut libc::c_void) -> bool {
    #[expect(unsafe_code, reason = "no crate at hand answers such calls")]
    // SAFETY: both kinds are given the structure that they are defined with.
    unsafe {
        libc::ioctl(listener.as_fd().as_raw_fd(), request, about) == 0
    }
}

/// Puts the filter in force, and waits until the other side has what it needs to answer.
fn enforce(filter: &[sock_filter], stream: Option<&UnixStream>) -> std::io::Result<()> {
    let program =
        libc::sock_fprog { len: u16::try_from(filter.len()).unwrap_or(0), filter: filter.as_ptr().cast_mut() };
    let flags = if stream.is_some() { libc::SECCOMP_FILTER_FLAG_NEW_LISTENER } else { 0 };
    #[expect(unsafe_code, reason = "no crate at hand asks for a listener")]
    // SAFETY: the program lives as long as the call.
    let listener = unsafe {
        libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
        libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, flags, &raw const program)
    };
    if listener < 0 {
        return Err(std::io::Error::last_os_error());
    }
    let Some(mut stream) = stream else { return Ok(()) };
    let mut numbers = [0; 8];
    numbers[..4].copy_from_slice(&std::process::id().to_ne_bytes());
    numbers[4..].copy_from_slice(&RawFd::try_from(listener).unwrap_or(-1).to_ne_bytes());
    stream.write_all(&numbers)?;
    stream.read_exact(&mut [0])
}

/// A filter that is being written.
#[derive(Debug, Default)]
struct Filter(Vec<sock_filter>);

impl Filter {
    fn on(&mut self, call: i64, action: u32) {
        self.0.extend([jump(libc::BPF_JEQ, number(call), 0, 1), instruction(libc::BPF_RET, action)]);
    }

    /// Only if one of these bits is set in the first argument.
    fn on_flags(&mut self, call: i64, flags: u32, action: u32) {
        self.0.extend([
            jump(libc::BPF_JEQ, number(call), 0, 3),
            load(16),
            jump(libc::BPF_JSET, flags, 0, 1),
            instruction(libc::BPF_RET, action),
            load(0),
        ]);
    }

    fn finish(self) -> Vec<sock_filter> {
        let allow = instruction(libc::BPF_RET, libc::SECCOMP_RET_ALLOW);
        let mut filter = vec![load(4), jump(libc::BPF_JEQ, ARCHITECTURE, 1, 0), allow, load(0)];
        filter.extend(self.0);
        filter.push(allow);
        filter
    }
}

fn number(call: i64) -> u32 {
    u32::try_from(call).expect("a number of a call")
}

fn errno(error: i32) -> u32 {
    libc::SECCOMP_RET_ERRNO | error.unsigned_abs()
}

/// Loads a word of `struct seccomp_data`: 0 is the number of the call, 4 the architecture, 16 the first argument.
fn load(offset: u32) -> sock_filter {
    instruction(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, offset)
}

fn instruction(code: u32, k: u32) -> sock_filter {
    sock_filter { code: u16::try_from(code).expect("a short code"), jt: 0, jf: 0, k }
}

fn jump(condition: u32, k: u32, jt: u8, jf: u8) -> sock_filter {
    sock_filter { jt, jf, ..instruction(libc::BPF_JMP | condition | libc::BPF_K, k) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_kernels_refuse_what_they_do_not_know() {
        let attributes = |words: [u64; 3]| words.map(u64::to_le_bytes).concat();
        let judge = |version, words| judge_attributes(version, &attributes(words));
        assert_eq!(judge(1, [0x1fff, 0, 0]), Answer::Real);
        assert_eq!(judge(1, [0x3fff, 0, 0]), Answer::Error(libc::EINVAL));
        assert_eq!(judge(3, [0x7fff, 0, 0]), Answer::Real);
        assert_eq!(judge(3, [0xffff, 0, 0]), Answer::Error(libc::EINVAL));
        assert_eq!(judge(3, [0x7fff, 3, 0]), Answer::Error(libc::E2BIG));
        assert_eq!(judge(5, [0xffff, 3, 0]), Answer::Real);
        assert_eq!(judge(5, [0xffff, 3, 3]), Answer::Error(libc::E2BIG));
        assert_eq!(judge(6, [0xffff, 3, 3]), Answer::Real);
    }
}
