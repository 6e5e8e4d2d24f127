//! The one door to the standard streams: what stdin is, and writing that loses nothing and reports everything.
//!
//! Rust opens `/dev/null` on standard descriptors that were closed at the start, which would turn a lost answer
//! into a success. So whether they were open is noted before Rust's runtime starts.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{FileType, OFlags, fstat};
use rustix::io::Errno;

use super::stop::Stopper;

/// Bit `n` is set if descriptor `n` was closed when the process started.
static CLOSED: AtomicU8 = AtomicU8::new(0);

extern "C" fn note_closed() {
    for fd in 0..3 {
        #[expect(unsafe_code, reason = "whether the descriptor is open is the question")]
        let fd_ref = unsafe { BorrowedFd::borrow_raw(fd) };
        if rustix::io::fcntl_getfd(fd_ref) == Err(Errno::BADF) {
            CLOSED.fetch_or(1 << fd, Ordering::Relaxed);
        }
    }
}

#[used]
#[cfg_attr(target_os = "macos", unsafe(link_section = "__DATA,__mod_init_func"))]
#[cfg_attr(not(target_os = "macos"), unsafe(link_section = ".init_array"))]
#[expect(unsafe_code, reason = "the only place that runs before Rust's runtime reopens closed descriptors")]
static NOTE_CLOSED: extern "C" fn() = note_closed;

fn was_closed(fd: u8) -> bool {
    CLOSED.load(Ordering::Relaxed) >> fd & 1 == 1
}

/// What stdin is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stdin {
    /// Closed, or a device such as `/dev/null`: nothing to read.
    Nothing,
    /// A terminal.
    Terminal,
    /// A pipe.
    Pipe,
    /// A socket.
    Socket,
    /// A regular file that somebody has read up to this offset.
    File {
        /// Where reading would begin.
        offset: u64,
    },
    /// A directory.
    Directory,
}

/// Looks at stdin without reading it.
#[must_use]
pub fn stdin_kind(terminal: bool) -> Stdin {
    if terminal {
        return Stdin::Terminal;
    }
    let stdin = stdin();
    let Ok(stat) = fstat(stdin) else { return Stdin::Nothing };
    match FileType::from_raw_mode(stat.st_mode) {
        _ if was_closed(0) => Stdin::Nothing,
        FileType::RegularFile => Stdin::File { offset: rustix::fs::tell(stdin).unwrap_or(0) },
        FileType::Directory => Stdin::Directory,
        FileType::Socket => Stdin::Socket,
        FileType::CharacterDevice if is_null(stat.st_rdev) => Stdin::Nothing,
        // Other devices are read as a pipe is.
        _ => Stdin::Pipe,
    }
}

/// `/dev/null` by its device number, wherever the node lies. Linux has given it away for good, so it is known even
/// where there is no `/dev`.
fn is_null(device: u64) -> bool {
    let fixed = cfg!(target_os = "linux") && (rustix::fs::major(device), rustix::fs::minor(device)) == (1, 3);
    fixed || std::fs::metadata("/dev/null").is_ok_and(|m| std::os::unix::fs::MetadataExt::rdev(&m) == device)
}

/// stdin, to wait for.
#[must_use]
pub fn stdin() -> BorrowedFd<'static> {
    rustix::stdio::stdin()
}

/// stdout, to wait for.
#[must_use]
pub fn stdout() -> BorrowedFd<'static> {
    rustix::stdio::stdout()
}

/// Reads once; 0 is the end.
///
/// # Errors
/// What the system says; interrupted reads are tried again.
pub fn read(fd: BorrowedFd<'_>, buffer: &mut [u8]) -> io::Result<usize> {
    again(fd, || rustix::io::read(fd, &mut *buffer))
}

/// The same, to the end of `bytes`: up to what there is room for.
///
/// # Errors
/// As for [`read`].
pub fn read_more(fd: BorrowedFd<'_>, bytes: &mut Vec<u8>) -> io::Result<usize> {
    again(fd, || rustix::io::read(fd, rustix::buffer::spare_capacity(bytes)))
}

fn again(fd: BorrowedFd<'_>, mut read: impl FnMut() -> rustix::io::Result<usize>) -> io::Result<usize> {
    loop {
        match read() {
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => wait_for(fd, PollFlags::IN),
            other => return other.map_err(io::Error::from),
        }
    }
}

/// stdin as a reader, without a buffer.
#[derive(Debug, Clone, Copy)]
pub struct Input;

impl io::Read for Input {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if was_closed(0) { Ok(0) } else { read(stdin(), buffer) }
    }
}

/// A standard output stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// stdout
    Out,
    /// stderr
    Err,
}

impl Stream {
    fn fd(self) -> BorrowedFd<'static> {
        match self {
            Self::Out => stdout(),
            Self::Err => rustix::stdio::stderr(),
        }
    }

    /// Fails if the stream was closed when the program started, if it is only for reading, or if nobody reads the pipe
    /// any more.
    ///
    /// # Errors
    /// `EBADF` or `EPIPE`.
    pub fn check(self) -> io::Result<()> {
        if was_closed(if self == Self::Out { 1 } else { 2 }) {
            return Err(Errno::BADF.into());
        }
        let fd = self.fd();
        if rustix::fs::fcntl_getfl(fd).is_ok_and(|flags| flags & OFlags::RWMODE == OFlags::RDONLY) {
            return Err(Errno::BADF.into());
        }
        let mut fds = [PollFd::from_borrowed_fd(fd, PollFlags::OUT)];
        let now = rustix::event::Timespec { tv_sec: 0, tv_nsec: 0 };
        if poll(&mut fds, Some(&now)).is_ok() && fds[0].revents().contains(PollFlags::ERR) {
            return Err(Errno::PIPE.into());
        }
        Ok(())
    }

    /// Writes all of `bytes`, however slow the reader.
    ///
    /// # Errors
    /// What the system says: nothing is lost silently.
    pub fn write_all(self, bytes: &[u8]) -> io::Result<()> {
        if was_closed(if self == Self::Out { 1 } else { 2 }) {
            return Err(Errno::BADF.into());
        }
        write_all(self.fd(), bytes)
    }

    /// The same, but a reader that does not read cannot hold up the end of the run.
    ///
    /// # Errors
    /// What the system says; interrupted, if the run was stopped before all was written.
    pub fn write_until(self, bytes: &[u8], stop: &Stopper) -> io::Result<()> {
        if was_closed(if self == Self::Out { 1 } else { 2 }) {
            return Err(Errno::BADF.into());
        }
        write_until(self.fd(), bytes, stop)
    }
}

/// Writes all of `bytes` to `fd`; a reader that does not read cannot hold up the end of the run.
///
/// # Errors
/// What the system says; interrupted, if the run was stopped before all was written.
pub fn write_until(fd: impl AsFd, mut bytes: &[u8], stop: &Stopper) -> io::Result<()> {
    // A pipe that is ready takes this much without blocking (PIPE_BUF).
    const PIECE: usize = 4096;
    let fd = fd.as_fd();
    while !bytes.is_empty() {
        let (piece, rest) = bytes.split_at(bytes.len().min(PIECE));
        while !stop.wait_for(Some((fd, PollFlags::OUT)), Duration::from_secs(3600)) {
            if stop.stopped().is_some() {
                return Err(io::ErrorKind::Interrupted.into());
            }
        }
        write_all(fd, piece)?;
        bytes = rest;
    }
    Ok(())
}

/// Writes all of `bytes` to `fd`, waiting where it is full.
///
/// # Errors
/// What the system says.
pub fn write_all(fd: impl AsFd, mut bytes: &[u8]) -> io::Result<()> {
    let fd = fd.as_fd();
    while !bytes.is_empty() {
        match rustix::io::write(fd, bytes) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(n) => bytes = &bytes[n..],
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => wait_for(fd, PollFlags::OUT),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

fn wait_for(fd: BorrowedFd<'_>, flags: PollFlags) {
    let _ = poll(&mut [PollFd::from_borrowed_fd(fd, flags)], None);
}

/// Closes every descriptor from this number on. Whatever owned one of them must not be used again.
pub fn close_from(first: u32) {
    close_range(first, u32::MAX);
}

/// Closes every descriptor but this one. Whatever owned another one must not be used again.
pub fn close_all_but(kept: BorrowedFd<'_>) {
    let kept = std::os::fd::AsRawFd::as_raw_fd(&kept).unsigned_abs();
    if let Some(below) = kept.checked_sub(1) {
        close_range(0, below);
    }
    close_from(kept + 1);
}

fn close_range(first: u32, last: u32) {
    #[expect(unsafe_code, reason = "descriptors that nobody here owns are the point")]
    // SAFETY: a call without pointers; the callers promise that nothing uses these descriptors any more.
    unsafe {
        libc::syscall(libc::SYS_close_range, first, last, 0_u32);
    }
}

/// An open descriptor of this process by its number, with its own offset, unlike what `/dev/fd/N` opens.
///
/// # Errors
/// It is not open.
pub fn duplicate(number: i32) -> io::Result<File> {
    #[expect(unsafe_code, reason = "whether the descriptor is open is the question")]
    let fd = unsafe { BorrowedFd::borrow_raw(number) };
    Ok(File::from(rustix::io::fcntl_dupfd_cloexec(fd, 3)?))
}

/// Whether stdin reads this very file.
#[must_use]
pub fn is_stdin(file: &File) -> bool {
    match (fstat(stdin()), fstat(file)) {
        (Ok(a), Ok(b)) => !was_closed(0) && (a.st_dev, a.st_ino) == (b.st_dev, b.st_ino),
        _ => false,
    }
}

/// True if the error says that the reader of a pipe has gone.
#[must_use]
pub fn reader_gone(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::BrokenPipe
}
