//! Hosts that a tenant may not name: those of the operator itself.

use std::net::{IpAddr, SocketAddr};

use axum::Router;

use crate::zitadel::resolve::{DENIED, is_local, public};
use crate::zitadel::tests::network::{request, serve};
use crate::zitadel::tests::{
    HttpTransport, HttpTransportConfig, TestResult, Transport, TransportError, check_public, parse_base_url,
};

#[test]
fn an_address_is_local_however_it_is_written() -> TestResult {
    for (text, local) in [
        ("127.0.0.1", true),
        ("127.255.255.254", true),
        ("0.0.0.0", true),
        ("0.1.2.3", true),
        ("169.254.169.254", true),
        ("224.0.0.1", true),
        ("255.255.255.255", true),
        ("::", true),
        ("::1", true),
        ("::127.0.0.1", true),
        ("::ffff:127.0.0.1", true),
        ("::ffff:169.254.169.254", true),
        ("64:ff9b::127.0.0.1", true),
        ("64:ff9b::a9fe:a9fe", true),
        ("fe80::1", true),
        ("febf::1", true),
        ("ff02::1", true),
        // Services and Pods of the cluster, where ZITADEL itself may be, and everybody else.
        ("10.96.0.1", false),
        ("192.168.0.1", false),
        ("100.64.0.1", false),
        ("fd00::1", false),
        ("1.1.1.1", false),
        ("::ffff:1.1.1.1", false),
        ("64:ff9b::1.1.1.1", false),
        ("2606:4700::1111", false),
    ] {
        assert_eq!(is_local(text.parse()?), local, "{text}");
    }
    Ok(())
}

#[test]
fn a_name_is_connected_to_at_its_other_addresses_only() -> TestResult {
    let address = |ip: &str| Ok::<_, std::net::AddrParseError>(SocketAddr::new(ip.parse::<IpAddr>()?, 0));
    let (inside, outside) = (address("127.0.0.1")?, address("203.0.113.7")?);
    assert_eq!(public([inside, outside, address("::1")?].into_iter())?, [outside]);
    for none in [vec![inside], vec![]] {
        assert_eq!(public(none.into_iter()).map_err(|refused| refused.to_string()), Err(DENIED.to_owned()));
    }
    Ok(())
}

#[tokio::test]
async fn local_addresses_can_be_denied_also_behind_a_name() -> TestResult {
    let server = serve(Router::new().fallback(|| async { "{}" })).await?;
    let port = server.url.rsplit(':').next().unwrap_or_default();
    let open = HttpTransport::new(&HttpTransportConfig::default())?;
    let closed =
        HttpTransport::new(&HttpTransportConfig { deny_local: true, ..HttpTransportConfig::default() })?;
    // The last three reach the server too where nothing is denied: they are 127.0.0.1.
    for host in ["localhost", "127.0.0.1", "2130706433", "0x7f.1", "0177.0.0.1"] {
        let url = format!("http://{host}:{port}/");
        assert_eq!(open.send(request(&url)?).await?.status(), 200, "{host}");
        let denied = closed.send(request(&url)?).await.err();
        assert_eq!(denied, Some(TransportError::Unreachable(DENIED.to_owned())), "{host}");
    }
    for host in
        ["127.1.2.3", "169.254.169.254", "0.0.0.0", "[::1]", "[::]", "[fe80::1]", "[::ffff:127.0.0.1]"]
    {
        let denied = closed.send(request(&format!("http://{host}:{port}/"))?).await.err();
        assert_eq!(denied, Some(TransportError::Unreachable(DENIED.to_owned())), "{host}");
    }
    Ok(())
}

#[test]
fn a_url_that_says_that_it_is_local_is_refused_before_anything_is_sent() -> TestResult {
    for host in [
        "127.0.0.1",
        "127.1",
        "127.0.0.1.",
        "2130706433",
        "017700000001",
        "0x7f.1",
        "0",
        "\u{ff11}27.0.0.1",
        "127\u{3002}0.0.1",
        "%31%32%37.0.0.1",
        "[::1]",
        "[::ffff:7f00:1]",
        "169.254.169.254",
        "2852039166",
        "localhost",
        "LocalHost:8080",
        "localhost.",
        "a.localhost",
    ] {
        let url = parse_base_url(&format!("https://{host}"))?;
        assert_eq!(check_public(&url), Err(DENIED.to_owned()), "{host}");
    }
    for host in
        ["login.example.com", "zitadel.ns.svc:8080", "10.0.0.1", "localhost.example.com", "notlocalhost"]
    {
        check_public(&parse_base_url(&format!("https://{host}"))?)?;
    }
    Ok(())
}
