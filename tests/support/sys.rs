//! The few system calls that std does not offer: a reset instead of an orderly close, and pseudo-terminals.

use std::ffi::{c_int, c_ulong, c_void};
use std::fs::{File, OpenOptions};
use std::io::Read;
use std::net::TcpStream;
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::thread;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

const SOL_SOCKET: c_int = 1;
const SO_LINGER: c_int = 13;
const TIOCOUTQ: c_ulong = 0x5411;
const TIOCSPTLCK: c_ulong = 0x4004_5431;
const TIOCGPTN: c_ulong = 0x8004_5430;
const O_NOCTTY: i32 = 0o400;

#[expect(unsafe_code, reason = "std has no set_linger and no pseudo-terminals")]
unsafe extern "C" {
    fn setsockopt(fd: c_int, level: c_int, name: c_int, value: *const c_void, len: u32) -> c_int;
    fn ioctl(fd: c_int, request: c_ulong, ...) -> c_int;
}

/// Closes the connection with a TCP reset, once the other side has taken what was sent: a reset throws the rest away.
#[expect(unsafe_code, reason = "one setsockopt on a descriptor that is ours")]
pub fn reset(stream: TcpStream) {
    while unsent(&stream) > 0 {
        thread::sleep(Duration::from_millis(1));
    }
    let linger: [c_int; 2] = [1, 0];
    let code = unsafe { setsockopt(stream.as_raw_fd(), SOL_SOCKET, SO_LINGER, linger.as_ptr().cast(), 8) };
    assert_eq!(code, 0, "SO_LINGER");
    drop(stream);
}

/// How many bytes the other side has not acknowledged.
#[expect(unsafe_code, reason = "one ioctl on a descriptor that is ours")]
fn unsent(stream: &TcpStream) -> c_int {
    let mut bytes: c_int = 0;
    let code = unsafe { ioctl(stream.as_raw_fd(), TIOCOUTQ, &raw mut bytes) };
    if code == 0 { bytes } else { 0 }
}

/// A pseudo-terminal: the side that a person would sit at, and the path of the side that a program gets.
#[derive(Debug)]
pub struct Pty {
    /// The person's side.
    pub master: File,
    path: String,
}

impl Pty {
    /// Opens a new pair.
    #[expect(unsafe_code, reason = "two ioctls on a descriptor that is ours")]
    pub fn open() -> Pty {
        let master = open("/dev/ptmx");
        let (mut number, unlock): (c_int, c_int) = (0, 0);
        let fd = master.as_raw_fd();
        let codes = unsafe { (ioctl(fd, TIOCSPTLCK, &raw const unlock), ioctl(fd, TIOCGPTN, &raw mut number)) };
        assert_eq!(codes, (0, 0), "no pseudo-terminal");
        Pty { master, path: format!("/dev/pts/{number}") }
    }

    /// The path of the program's side.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// What the person sees, once the program has ended.
    pub fn shown(&self) -> String {
        let mut shown = Vec::new();
        let mut bytes = [0; 4096];
        while self.has_output() {
            match (&self.master).read(&mut bytes) {
                Ok(n) if n > 0 => shown.extend_from_slice(&bytes[..n]),
                _ => break,
            }
        }
        String::from_utf8_lossy(&shown).replace("\r\n", "\n")
    }

    fn has_output(&self) -> bool {
        let mut fds = [PollFd::new(&self.master, PollFlags::IN)];
        let timeout = Timespec { tv_sec: 0, tv_nsec: 200_000_000 };
        poll(&mut fds, Some(&timeout)).is_ok_and(|n| n > 0)
    }

    /// The program's side, to be handed to a child.
    pub fn slave(&self) -> File {
        open(&self.path)
    }
}

fn open(path: &str) -> File {
    let options = OpenOptions::new().read(true).write(true).custom_flags(O_NOCTTY).clone();
    options.open(path).unwrap_or_else(|e| panic!("{path}: {e}"))
}

/// An address at which a connection is neither made nor refused, for as long as the sockets are held: its queue is
/// full, so the system lets further attempts wait.
#[expect(unsafe_code, reason = "the standard library knows no small queue")]
pub fn unanswered() -> (std::net::SocketAddr, Vec<TcpStream>, std::net::TcpListener) {
    use std::os::fd::AsRawFd as _;
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    // SAFETY: the descriptor is an open, listening socket.
    assert_eq!(unsafe { libc::listen(listener.as_raw_fd(), 0) }, 0);
    let address = listener.local_addr().expect("its address");
    let connect = || TcpStream::connect_timeout(&address, Duration::from_millis(300)).ok();
    let queued = std::iter::from_fn(connect).take(20).collect();
    (address, queued, listener)
}
