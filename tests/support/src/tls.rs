//! TLS in front of a server that speaks none.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rcgen::ExtendedKeyUsagePurpose::ServerAuth;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::aws_lc_rs::default_provider;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{DEFAULT_VERSIONS, ServerConfig};

use crate::control_plane::pki;

/// A certificate authority that nobody trusts yet.
pub struct Authority(pki::Authority);

impl Authority {
    /// A new one of this name.
    ///
    /// # Panics
    /// Where no key can be made.
    pub fn new(name: &str) -> Self {
        Self(pki::authority(name).expect("a certificate authority"))
    }

    /// Its certificate (PEM).
    pub fn pem(&self) -> String {
        self.0.pem()
    }

    fn acceptor(&self) -> TlsAcceptor {
        let (certificate, key) =
            pki::leaf(&self.0, "server", &["127.0.0.1", "localhost"], ServerAuth).expect("a certificate");
        let certificate = CertificateDer::from_pem_slice(certificate.as_bytes()).expect("PEM");
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).expect("PEM");
        let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_protocol_versions(DEFAULT_VERSIONS)
            .and_then(|builder| builder.with_no_client_auth().with_single_cert(vec![certificate], key))
            .expect("a certificate that fits its key");
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        TlsAcceptor::from(Arc::new(config))
    }
}

/// Ends TLS on a free loopback port, with a certificate for 127.0.0.1 and `localhost`, and passes on what is inside.
/// Offers HTTP/2 and HTTP/1.1. Closes with its last use.
pub struct Front {
    port: u16,
    shared: Arc<Mutex<Shared>>,
    listening: JoinSet<()>,
}

struct Shared {
    acceptor: TlsAcceptor,
    protocols: Vec<String>,
    open: JoinSet<()>,
}

impl Front {
    /// In front of the server at `upstream`, with a certificate of `authority`.
    ///
    /// # Errors
    /// Where no port can be bound.
    pub async fn start(authority: &Authority, upstream: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let port = listener.local_addr()?.port();
        let shared =
            Shared { acceptor: authority.acceptor(), protocols: Vec::new(), open: JoinSet::default() };
        let shared = Arc::new(Mutex::new(shared));
        let mut listening = JoinSet::new();
        listening.spawn(accept(listener, upstream, shared.clone()));
        Ok(Self { port, shared, listening })
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// `https://localhost:PORT`.
    pub fn url(&self) -> String {
        format!("https://localhost:{}", self.port)
    }

    /// From now on shows a certificate of another authority; ends what is open.
    pub fn present(&self, authority: &Authority) {
        let mut shared = lock(&self.shared);
        shared.acceptor = authority.acceptor();
        shared.open.abort_all();
    }

    /// What every connection so far agreed to speak, in order: `h2`, `http/1.1`, or nothing.
    pub fn protocols(&self) -> Vec<String> {
        lock(&self.shared).protocols.clone()
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        self.listening.abort_all();
        lock(&self.shared).open.abort_all();
    }
}

async fn accept(listener: TcpListener, upstream: SocketAddr, shared: Arc<Mutex<Shared>>) {
    while let Ok((socket, _)) = listener.accept().await {
        let connection = pass_on(socket, upstream, shared.clone());
        lock(&shared).open.spawn(connection);
    }
}

async fn pass_on(socket: TcpStream, upstream: SocketAddr, shared: Arc<Mutex<Shared>>) {
    let acceptor = lock(&shared).acceptor.clone();
    let Ok(mut inside) = acceptor.accept(socket).await else {
        return;
    };
    let protocol = inside.get_ref().1.alpn_protocol().unwrap_or_default();
    lock(&shared).protocols.push(String::from_utf8_lossy(protocol).into_owned());
    if let Ok(mut server) = TcpStream::connect(upstream).await {
        let _ = copy_bidirectional(&mut inside, &mut server).await;
    }
}

fn lock(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}
