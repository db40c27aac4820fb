//! TLS, HTTP/2 and the proxy, against loopback servers.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::Router;
use futures::future::try_join_all;
use support::tls::{Authority, Front};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::zitadel::tests::network::{PATIENT, Server, request, serve, speak, trap};
use crate::zitadel::tests::{
    HttpTransport, HttpTransportConfig, Proxy, Secret, TestResult, Transport, TransportError, client_at,
};

/// A server that answers `{}`, behind TLS of this authority.
async fn secured(authority: &Authority) -> std::io::Result<(Server, Front)> {
    let server = serve(Router::new().fallback(|| async { "{}" })).await?;
    let address = server.url.trim_start_matches("http://").parse().map_err(std::io::Error::other)?;
    let front = Front::start(authority, address).await?;
    Ok((server, front))
}

fn trusting(authority: &Authority) -> HttpTransportConfig {
    HttpTransportConfig { ca_bundle: Some(authority.pem().into()), ..HttpTransportConfig::default() }
}

#[tokio::test]
async fn only_a_certificate_of_an_authority_that_is_trusted_is_accepted() -> TestResult {
    let (ours, other) = (Authority::new("ours"), Authority::new("other"));
    let (_server, front) = secured(&ours).await?;
    let answer = HttpTransport::new(&trusting(&ours))?.send(request(&front.url())?).await?;
    assert_eq!(answer.status(), 200);
    for config in [HttpTransportConfig::default(), trusting(&other)] {
        let refused = HttpTransport::new(&config)?.send(request(&front.url())?).await.err();
        assert!(
            matches!(&refused, Some(TransportError::Unreachable(text)) if text.contains("UnknownIssuer")),
            "{refused:?}"
        );
    }
    Ok(())
}

#[tokio::test]
async fn a_port_that_speaks_plain_http_is_told() -> TestResult {
    let server = serve(Router::new().fallback(|| async { "{}" })).await?;
    let transport = HttpTransport::new(&HttpTransportConfig::default())?;
    let refused = transport.send(request(&server.url.replace("http:", "https:"))?).await.err();
    let message = "this port speaks plain http, not https".to_owned();
    assert_eq!(refused, Some(TransportError::Unreachable(message)));
    Ok(())
}

#[tokio::test]
async fn two_authorities_in_one_bundle_are_both_trusted() -> TestResult {
    let (old, new) = (Authority::new("old"), Authority::new("new"));
    let bundle = format!("{}\n{}", old.pem(), new.pem());
    let config = HttpTransportConfig { ca_bundle: Some(bundle.into()), ..HttpTransportConfig::default() };
    let transport = HttpTransport::new(&config)?;
    for authority in [old, new] {
        let (_server, front) = secured(&authority).await?;
        transport.send(request(&front.url())?).await?;
    }
    Ok(())
}

#[tokio::test]
async fn over_tls_calls_at_the_same_time_share_one_connection_of_http_2() -> TestResult {
    let authority = Authority::new("ours");
    let (_server, front) = secured(&authority).await?;
    let transport = Arc::new(HttpTransport::new(&trusting(&authority))?);
    transport.send(request(&front.url())?).await?;
    let requests = (0..20).map(|_| request(&front.url())).collect::<Result<Vec<_>, _>>()?;
    try_join_all(requests.into_iter().map(|request| transport.send(request))).await?;
    assert_eq!(front.protocols(), ["h2"]);
    Ok(())
}

#[tokio::test]
async fn a_handshake_that_never_ends_is_given_up() -> TestResult {
    let silent = speak("", true).await?;
    let timeout = Duration::from_millis(200);
    let transport = HttpTransport::new(&HttpTransportConfig { timeout, ..HttpTransportConfig::default() })?;
    let late = transport.send(request(&silent.url.replace("http:", "https:"))?).await.err();
    assert_eq!(late, Some(TransportError::Timeout(timeout)));
    Ok(())
}

/// A proxy that tunnels, and keeps the first line and the `proxy-authorization` of every request.
struct Tunnel {
    port: u16,
    asked: Arc<parking_lot::Mutex<Vec<String>>>,
    _task: JoinSet<()>,
}

impl Tunnel {
    async fn start() -> std::io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let port = listener.local_addr()?.port();
        let (asked, mut task) = (Arc::<parking_lot::Mutex<Vec<String>>>::default(), JoinSet::new());
        let seen = asked.clone();
        task.spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                tokio::spawn(tunnel(socket, seen.clone()));
            }
        });
        Ok(Self { port, asked, _task: task })
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().clone()
    }
}

/// Whatever the name, the server is on this machine.
async fn tunnel(socket: TcpStream, seen: Arc<parking_lot::Mutex<Vec<String>>>) -> std::io::Result<()> {
    let mut socket = BufReader::new(socket);
    let mut port = String::new();
    loop {
        let mut line = String::new();
        socket.read_line(&mut line).await?;
        let line = line.trim_end();
        if let Some(target) = line.strip_prefix("CONNECT ") {
            port = target.split([':', ' ']).nth(1).unwrap_or_default().to_owned();
        }
        if line.is_empty() {
            break;
        }
        if line.contains("HTTP/1.1") || line.to_lowercase().starts_with("proxy-authorization") {
            seen.lock().push(line.to_owned());
        }
    }
    let mut server = TcpStream::connect(format!("127.0.0.1:{port}")).await?;
    socket.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await?;
    copy_bidirectional(&mut socket, &mut server).await.map(drop)
}

fn through(
    tunnel: &Tunnel,
    user: &str,
    except: &[&str],
    authority: &Authority,
) -> Result<HttpTransport, String> {
    let except: Vec<String> = except.iter().map(ToString::to_string).collect();
    let proxy = Proxy::parse(&format!("http://{user}127.0.0.1:{}", tunnel.port), &except)?;
    HttpTransport::new(&HttpTransportConfig { proxy: Some(proxy), ..trusting(authority) })
}

#[tokio::test]
async fn a_proxy_is_asked_for_host_and_port_and_sees_no_more() -> TestResult {
    let (authority, tunnel) = (Authority::new("ours"), Tunnel::start().await?);
    let (_server, front) = secured(&authority).await?;
    // A name that only the proxy can resolve; its certificate is for localhost, which is where the way ends.
    let url = format!("https://zitadel.invalid:{}", front.port());
    let transport = through(&tunnel, "user:pa%20ss@", &[], &authority)?;
    let refused = transport.send(request(&url)?).await.err();
    assert!(
        matches!(&refused, Some(TransportError::Unreachable(text)) if text.contains("not valid for name")),
        "{refused:?}"
    );
    let connect = format!("CONNECT zitadel.invalid:{} HTTP/1.1", front.port());
    assert_eq!(tunnel.asked(), [connect.as_str(), "proxy-authorization: Basic dXNlcjpwYSBzcw=="]);
    assert!(!format!("{transport:?}").contains("pa%20ss"), "{transport:?}");
    Ok(())
}

#[tokio::test]
async fn plain_http_loopback_and_exceptions_go_without_the_proxy() -> TestResult {
    let (authority, tunnel) = (Authority::new("ours"), Tunnel::start().await?);
    let (server, front) = secured(&authority).await?;
    let transport = through(&tunnel, "", &["zitadel.invalid", "203.0.113.0/24"], &authority)?;
    for url in [server.url.clone(), front.url(), format!("https://127.0.0.1:{}", front.port())] {
        assert_eq!(transport.send(request(&url)?).await?.status(), 200, "{url}");
    }
    for url in ["https://zitadel.invalid", "https://inside.zitadel.invalid", "http://plain.invalid"] {
        assert!(transport.send(request(url)?).await.is_err(), "{url}");
    }
    assert_eq!(tunnel.asked(), [""; 0]);
    Ok(())
}

#[tokio::test]
async fn where_local_addresses_are_denied_no_proxy_resolves_names() -> TestResult {
    let (authority, tunnel) = (Authority::new("ours"), Tunnel::start().await?);
    let proxy = Proxy::parse(&format!("http://127.0.0.1:{}", tunnel.port), &[])?;
    let config = HttpTransportConfig { deny_local: true, proxy: Some(proxy), ..trusting(&authority) };
    assert!(HttpTransport::new(&config)?.send(request("https://zitadel.invalid")?).await.is_err());
    assert_eq!(tunnel.asked(), [""; 0]);
    Ok(())
}

#[test]
fn a_proxy_is_a_url_of_http_and_is_never_quoted() {
    for url in
        ["http://proxy.example.com:3128", "https://user:hunter2@proxy.example.com", " http://10.0.0.1 "]
    {
        assert_eq!(Proxy::parse(url, &[]).map(|proxy| format!("{proxy:?}")), Ok("Proxy".to_owned()), "{url}");
    }
    for url in [
        "",
        "proxy:3128",
        "hunter2@proxy",
        "socks5://user:hunter2@proxy",
        "http://user:hunter2@/",
        "http://a/hunter2",
    ] {
        assert!(Proxy::parse(url, &[]).is_err_and(|message| !message.contains("hunter2")), "{url}");
    }
}

/// The token goes to the host of the connection, also where its server asks for another.
#[tokio::test]
async fn a_server_cannot_send_the_token_elsewhere() -> TestResult {
    let (trap, visits) = trap().await?;
    for (status, header) in [
        (301, "location"),
        (302, "location"),
        (303, "location"),
        (307, "location"),
        (308, "location"),
        (200, "refresh"),
        (200, "alt-svc"),
    ] {
        let target = match header {
            "refresh" => format!("0; url={}", trap.url),
            "alt-svc" => format!("h2=\"{}\"", trap.url.trim_start_matches("http://")),
            _ => trap.url.clone(),
        };
        let answer = move || async move {
            (http::StatusCode::from_u16(status).unwrap_or_default(), [(header, target)], "{}")
        };
        let server = serve(Router::new().fallback(answer)).await?;
        let transport = HttpTransport::new(&HttpTransportConfig { timeout: PATIENT, ..Default::default() })?;
        let client = client_at(&server.url, None, Arc::new(transport), Secret::pat("t"))?;
        for _ in 0..2 {
            let _ = client.me().await;
        }
    }
    assert_eq!(visits.load(Ordering::SeqCst), 0);
    Ok(())
}
