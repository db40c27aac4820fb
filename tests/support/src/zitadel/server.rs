//! The listening socket: opened, closed and opened again on the same port.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use axum::body::Body;
use axum::response::Response;
use http::Request;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

use super::double::{Double, Inner};
use super::fault::Dropped;

#[derive(Debug, Default)]
struct Socket {
    address: Option<SocketAddr>,
    accepting: Option<JoinHandle<()>>,
    stopped: bool,
}

#[derive(Debug, Default)]
pub(super) struct Server(Mutex<Socket>);

impl Server {
    pub(super) fn is_stopped(&self) -> bool {
        self.socket().stopped
    }

    fn socket(&self) -> MutexGuard<'_, Socket> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(accepting) = self.socket().accepting.take() {
            accepting.abort();
        }
    }
}

impl Double {
    /// Base URL; of a double without a socket, one that it answers to in-process.
    pub fn url(&self) -> String {
        let address = self.inner.server.socket().address;
        address.map_or_else(|| "http://localhost:8080".to_owned(), |address| format!("http://{address}"))
    }

    /// Refuses connections and cuts those that exist, until [`Self::resume`]. In-process calls fail too.
    pub async fn stop(&self) {
        let accepting = {
            let mut socket = self.inner.server.socket();
            socket.stopped = true;
            socket.accepting.take()
        };
        if let Some(accepting) = accepting {
            accepting.abort();
            // An aborted task always ends with an error.
            let _ = accepting.await;
        }
    }

    /// Listens again, on the same port as before if it did before.
    ///
    /// # Errors
    /// Where the port cannot be bound.
    pub async fn resume(&self) -> io::Result<()> {
        let known = self.inner.server.socket().address;
        let address = known.unwrap_or_else(|| (Ipv4Addr::LOCALHOST, self.inner.port).into());
        let listener = TcpListener::bind(address).await?;
        let mut socket = self.inner.server.socket();
        socket.address = Some(listener.local_addr()?);
        socket.stopped = false;
        socket.accepting = Some(tokio::spawn(accept(listener, Arc::downgrade(&self.inner))));
        Ok(())
    }
}

async fn accept(listener: TcpListener, double: Weak<Inner>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => if let Ok((stream, _)) = accepted {
                connections.spawn(serve(stream, double.clone()));
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn serve(stream: TcpStream, double: Weak<Inner>) {
    let service = service_fn(move |request| answer(double.clone(), request));
    let builder = auto::Builder::new(TokioExecutor::new());
    // A connection that a client or a fault cuts is no failure of the double.
    let _ = builder.serve_connection(TokioIo::new(stream), service).await;
}

/// An error makes hyper end the connection without an answer.
async fn answer(double: Weak<Inner>, request: Request<Incoming>) -> Result<Response, Dropped> {
    let inner = double.upgrade().ok_or(Dropped)?;
    let response = Double { inner }.answer(request.map(Body::new)).await;
    match response.extensions().get::<Dropped>() {
        Some(dropped) => Err(*dropped),
        None => Ok(response),
    }
}
