//! A certificate authority of the tests' own, and a server that shows a certificate, answers one request, and records
//! what it was told after the handshake.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::wire::Api;

/// An authority that nobody trusts unless told to.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    /// Its own certificate as PEM.
    pub pem: String,
}

/// What is wrong with a server's certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flaw {
    /// Nothing.
    Sound,
    /// It was valid until 2001.
    Expired,
    /// It will be valid from 2990 on.
    NotYet,
    /// It is for another host.
    WrongName,
    /// It is signed by itself.
    SelfSigned,
}

impl Authority {
    /// Makes a new one.
    pub fn new() -> Authority {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(Vec::new()).expect("parameters");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).expect("a certificate").pem();
        Authority { issuer: Issuer::new(params, key), pem }
    }

    fn config(&self, flaw: Flaw) -> ServerConfig {
        let key = KeyPair::generate().expect("a key");
        let name = if flaw == Flaw::WrongName { "other.example" } else { "127.0.0.1" };
        let mut params = CertificateParams::new(vec![name.to_owned()]).expect("parameters");
        match flaw {
            Flaw::Expired => params.not_after = date_time_ymd(2001, 1, 1),
            Flaw::NotYet => params.not_before = date_time_ymd(2990, 1, 1),
            _ => {}
        }
        let certificate = match flaw {
            Flaw::SelfSigned => params.self_signed(&key),
            _ => params.signed_by(&key, &self.issuer),
        };
        let chain = vec![CertificateDer::from(certificate.expect("a certificate"))];
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        config.expect("versions").with_no_client_auth().with_single_cert(chain, key).expect("a pair")
    }
}

/// What a TLS server has seen.
#[derive(Debug, Clone, Default)]
pub struct Seen {
    connections: Arc<AtomicUsize>,
    told: Arc<Mutex<Vec<u8>>>,
}

impl Seen {
    /// How many connections were made.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// All that came after a handshake.
    pub fn told(&self) -> String {
        String::from_utf8_lossy(&self.told.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
    }
}

/// Starts a server of the Chat wire on a port of its own; gives the port and what it will have seen.
pub fn serve(authority: &Authority, flaw: Flaw) -> (u16, Seen) {
    let config = Arc::new(authority.config(flaw));
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let seen = Seen::default();
    let shared = seen.clone();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            shared.connections.fetch_add(1, Ordering::SeqCst);
            let (config, shared) = (Arc::clone(&config), shared.clone());
            thread::spawn(move || answer(stream, config, &shared));
        }
    });
    (port, seen)
}

/// Reads one request and answers it, as far as the client goes along.
fn answer(stream: TcpStream, config: Arc<ServerConfig>, seen: &Seen) {
    drop(stream.set_read_timeout(Some(Duration::from_secs(5))));
    let connection = ServerConnection::new(config).expect("a connection");
    let mut stream = StreamOwned::new(connection, stream);
    let mut bytes = vec![0; 64 << 10];
    while let Ok(n) = stream.read(&mut bytes) {
        if n == 0 {
            break;
        }
        let mut told = seen.told.lock().unwrap_or_else(PoisonError::into_inner);
        told.extend_from_slice(&bytes[..n]);
        if told.windows(4).any(|end| end == b"\r\n\r\n") && told.ends_with(b"}") {
            let body = Api::Chat.text("done").body;
            let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";
            drop(stream.write_all(head.as_bytes()));
            drop(stream.write_all(&body));
            stream.conn.send_close_notify();
            drop(stream.flush());
            break;
        }
    }
}
