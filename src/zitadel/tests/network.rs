use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::body::Body;
use axum::response::Redirect;
use axum::serve::ListenerExt;
use axum::{Router, routing::get};
use bytes::Bytes;
use futures::{StreamExt, stream};
use http::{Request, StatusCode};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::AbortHandle;

use crate::zitadel::tests::{
    Credential, Error, HttpTransport, HttpTransportConfig, MemoryBudget, Reservation, Secret, TestResult,
    Transport, TransportError, client_at,
};
use crate::zitadel::transport::BODY_LIMIT;

/// A loopback server that ends with the test.
pub(super) struct Server {
    pub(super) url: String,
    task: AbortHandle,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

pub(super) async fn serve(router: Router) -> std::io::Result<Server> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", listener.local_addr()?);
    let task = tokio::spawn(async move { axum::serve(listener, router).await }).abort_handle();
    Ok(Server { url, task })
}

/// A server that nobody should visit, and the count of visits.
pub(super) async fn trap() -> std::io::Result<(Server, Arc<AtomicUsize>)> {
    let visits = Arc::new(AtomicUsize::new(0));
    let counted = visits.clone();
    let server = serve(Router::new().fallback(move || {
        counted.fetch_add(1, Ordering::SeqCst);
        async { "{}" }
    }));
    Ok((server.await?, visits))
}

/// Answers every connection with these bytes, then closes it, or holds it open.
pub(super) async fn speak(text: &'static str, hold: bool) -> std::io::Result<Server> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", listener.local_addr()?);
    let task = tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut request = [0; 4096];
                let _read = socket.read(&mut request).await;
                let _written = socket.write_all(text.as_bytes()).await;
                if hold {
                    std::future::pending::<()>().await;
                }
            });
        }
    });
    Ok(Server { url, task: task.abort_handle() })
}

pub(super) fn request(url: &str) -> http::Result<Request<Bytes>> {
    Request::get(url).body(Bytes::new())
}

fn transport(timeout: Duration) -> Result<HttpTransport, String> {
    HttpTransport::new(&HttpTransportConfig { timeout, ..HttpTransportConfig::default() })
}

pub(super) const PATIENT: Duration = Duration::from_secs(15);
const IMPATIENT: Duration = Duration::from_millis(200);

#[tokio::test]
async fn bodies_are_bounded_whether_declared_or_streamed() -> TestResult {
    let chunks = || stream::repeat_with(|| Ok::<_, Infallible>(Bytes::from(vec![b' '; 65_536])));
    let streamed = move |count| Body::from_stream(chunks().take(count));
    let router = Router::new()
        .route("/full", get(|| async { vec![b' '; BODY_LIMIT] }))
        .route("/declared", get(|| async { vec![b' '; BODY_LIMIT + 1] }))
        .route("/streamed", get(move || async move { streamed(BODY_LIMIT / 65_536) }))
        .route("/exceeding", get(move || async move { streamed(BODY_LIMIT / 65_536 + 1) }));
    let server = serve(router).await?;
    let transport = transport(PATIENT)?;
    for path in ["full", "streamed"] {
        let answer = transport.send(request(&format!("{}/{path}", server.url))?).await?;
        assert_eq!(answer.body().len(), BODY_LIMIT, "{path}");
    }
    for path in ["declared", "exceeding"] {
        let refused = transport.send(request(&format!("{}/{path}", server.url))?).await.err();
        assert_eq!(refused, Some(TransportError::TooLarge { status: 200, limit: BODY_LIMIT }), "{path}");
    }
    Ok(())
}

#[tokio::test]
async fn of_the_token_endpoint_less_is_read() -> TestResult {
    let padding = "x".repeat(1 << 16);
    let token = json!({"access_token": "t", "expires_in": 60, "padding": padding}).to_string();
    let server = serve(Router::new().fallback(move || async move { token })).await?;
    let secret = Secret::new(Credential::client_credentials(b"bot", b"s3cret")?);
    let client = client_at(&server.url, None, Arc::new(transport(PATIENT)?), secret)?;
    let what = "it is larger than 65536 bytes".to_owned();
    assert_eq!(client.reread_credential().await.err(), Some(Error::Malformed { status: 200, what }));
    Ok(())
}

#[tokio::test]
async fn a_large_answer_is_read_once_there_is_room_for_it() -> TestResult {
    let server = serve(Router::new().fallback(|| async { vec![b' '; BODY_LIMIT] })).await?;
    let (transport, share) = (transport(PATIENT)?, MemoryBudget::default().share(Some("team")));
    let get = |memory: &Arc<Reservation>| {
        let mut get = request(&server.url)?;
        get.extensions_mut().insert(memory.clone());
        http::Result::Ok(get)
    };
    let held = share.reserve();
    held.grow(BODY_LIMIT).await;
    let mut reading = transport.send(get(&share.reserve())?);
    assert!(tokio::time::timeout(IMPATIENT, &mut reading).await.is_err());
    drop(held);
    assert_eq!(reading.await?.body().len(), BODY_LIMIT);
    Ok(())
}

#[tokio::test]
async fn redirects_are_answers_and_the_token_goes_nowhere_else() -> TestResult {
    let (trap, visits) = trap().await?;
    let target = trap.url.clone();
    let server = serve(Router::new().fallback(move || async move { Redirect::temporary(&target) })).await?;
    let secret = Secret::pat("t");
    let client = client_at(&server.url, None, Arc::new(transport(PATIENT)?), secret)?;
    assert!(matches!(client.me().await, Err(Error::Malformed { status: 307, .. })));
    assert_eq!(visits.load(Ordering::SeqCst), 0);
    Ok(())
}

#[tokio::test]
async fn a_real_exchange_carries_status_headers_body_and_user_agent() -> TestResult {
    let agent = |headers: http::HeaderMap| async move {
        let agent =
            headers.get("user-agent").and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
        (StatusCode::IM_A_TEAPOT, [("x-a", "b")], agent)
    };
    let server = serve(Router::new().route("/", get(agent))).await?;
    let answer = transport(PATIENT)?.send(request(&server.url)?).await?;
    assert_eq!((answer.status(), answer.headers()["x-a"].as_bytes()), (StatusCode::IM_A_TEAPOT, &b"b"[..]));
    assert_eq!(answer.body(), concat!("zitadel-operator/", env!("CARGO_PKG_VERSION")));
    Ok(())
}

#[tokio::test]
async fn failures_name_their_last_cause() -> TestResult {
    let cut = speak("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{", false).await?;
    let silent = speak("", true).await?;
    let dripping = speak("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{", true).await?;
    let free = TcpListener::bind("127.0.0.1:0").await?.local_addr()?;
    let refused = transport(PATIENT)?.send(request(&format!("http://{free}"))?).await.err();
    assert!(
        matches!(&refused, Some(TransportError::Unreachable(text)) if text.starts_with("Connection refused")),
        "{refused:?}"
    );
    let broken = transport(PATIENT)?.send(request(&cut.url)?).await.err();
    assert!(
        matches!(&broken, Some(TransportError::Unreachable(text)) if !text.contains("127.0.0.1")),
        "{broken:?}"
    );
    for server in [silent, dripping] {
        let late = transport(IMPATIENT)?.send(request(&server.url)?).await.err();
        assert_eq!(late, Some(TransportError::Timeout(IMPATIENT)));
    }
    let plain = speak("HTTP/1.1 400 Bad Request\r\n\r\n", false).await?;
    let tls = transport(PATIENT)?.send(request(&plain.url.replace("http:", "https:"))?).await.err();
    assert!(matches!(&tls, Some(TransportError::Unreachable(_))), "{tls:?}");
    Ok(())
}

/// Neither the head nor the body of an answer may go on for ever, a byte at a time.
#[tokio::test]
async fn an_answer_that_trickles_ends_with_the_time_for_it() -> TestResult {
    for head in ["HTTP/1.1 200 OK\r\nx: ", "HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n"] {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let trickle = tokio::spawn(async move {
            let (mut socket, _) = listener.accept().await?;
            let _request = socket.read(&mut [0; 4096]).await?;
            let mut written = socket.write_all(head.as_bytes()).await;
            while written.is_ok() {
                tokio::time::sleep(IMPATIENT / 20).await;
                written = socket.write_all(b" ").await;
            }
            written
        });
        let late = transport(IMPATIENT)?.send(request(&url)?).await.err();
        assert_eq!(late, Some(TransportError::Timeout(IMPATIENT)), "{head:?}");
        assert!(trickle.await?.is_err(), "and its connection was closed");
    }
    Ok(())
}

#[tokio::test]
async fn calls_one_after_another_share_a_connection() -> TestResult {
    let opened = Arc::new(AtomicUsize::new(0));
    let counted = opened.clone();
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", listener.local_addr()?);
    let listener = listener.tap_io(move |_| {
        counted.fetch_add(1, Ordering::SeqCst);
    });
    let router = Router::new().fallback(|| async { "{}" });
    let server =
        Server { url, task: tokio::spawn(axum::serve(listener, router).into_future()).abort_handle() };
    let transport = transport(PATIENT)?;
    for _ in 0..20 {
        transport.send(request(&server.url)?).await?;
    }
    assert_eq!(opened.load(Ordering::SeqCst), 1);
    Ok(())
}

#[test]
fn a_ca_bundle_must_hold_a_certificate() {
    for bundle in ["", "hello", "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n"] {
        let config = HttpTransportConfig { ca_bundle: Some(bundle.into()), ..HttpTransportConfig::default() };
        assert!(HttpTransport::new(&config).is_err(), "{bundle:?}");
    }
}
