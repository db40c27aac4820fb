//! A way to the API server on which connections can die without a word.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use socket2::{SockFilter, SockRef};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

/// The program of a packet filter that lets nothing through: `BPF_RET | BPF_K` with length 0.
const DROP: SockFilter = SockFilter::new(0x06, 0, 0, 0);

/// Passes bytes on; ends with the runtime of its test.
pub struct Proxy {
    address: SocketAddr,
    alive: Arc<Mutex<CancellationToken>>,
}

impl Proxy {
    /// A proxy to the server of this `https` URL.
    pub async fn to(url: &str) -> Self {
        let server = url.trim_start_matches("https://").to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let proxy = Self { address: listener.local_addr().expect("an address"), alive: Arc::default() };
        let alive = proxy.alive.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let dead = alive.lock().unwrap().clone();
                tokio::spawn(pass_on(client, server.clone(), dead));
            }
        });
        proxy
    }

    pub fn url(&self) -> String {
        format!("https://{}", self.address)
    }

    /// From now on nothing that is sent over the connections of now arrives, probes of the kernel neither, and none of
    /// them ends. New ones work.
    pub fn drop_packets(&self) {
        std::mem::take(&mut *self.alive.lock().unwrap()).cancel();
    }
}

async fn pass_on(mut client: TcpStream, server: String, dead: CancellationToken) -> io::Result<()> {
    let mut server = TcpStream::connect(server).await?;
    tokio::select! {
        passed = tokio::io::copy_bidirectional(&mut client, &mut server) => passed.map(drop),
        // Both sockets stay open.
        () = dead.cancelled() => {
            SockRef::from(&client).attach_filter(&[DROP])?;
            std::future::pending().await
        }
    }
}
