use crate::zitadel::tests::{Fake, Reply, Secret, TestResult, check_url, client_at, parse_base_url};
use crate::zitadel::url::audiences;

#[test]
fn base_urls_keep_scheme_host_port_and_prefix_only() -> TestResult {
    for (text, kept) in [
        ("https://login.example.com", "https://login.example.com/"),
        (" https://login.example.com:443/ ", "https://login.example.com/"),
        ("http://zitadel.ns.svc:8080/auth//", "http://zitadel.ns.svc:8080/auth"),
    ] {
        assert_eq!(parse_base_url(text)?.as_str(), kept);
    }
    for text in [
        "",
        "login.example.com",
        "ftp://host",
        "file:///etc",
        "https://user@host",
        "https://:password@host",
        "https://host/?q=1",
        "https://host/#f",
        "https://ho\"st",
        "https://ho{s}t",
        &format!("https://host/{}", "p".repeat(70_000)),
    ] {
        assert!(parse_base_url(text).is_err(), "{text}");
    }
    Ok(())
}

#[test]
fn a_refused_url_is_not_quoted_with_its_password() {
    let refused = parse_base_url("https://user:hunter2@host");
    assert!(refused.is_err_and(|message| !message.contains("hunter2")));
}

#[test]
fn plain_http_needs_loopback_or_a_word() -> TestResult {
    for (text, insecure, allowed) in [
        ("https://host", false, true),
        ("http://host", false, false),
        ("http://host", true, true),
        ("http://localhost:8080", false, true),
        ("http://127.0.0.1", false, true),
        ("http://[::1]:80", false, true),
        ("http://localhost.example.com", false, false),
        ("http://127.0.0.1.example.com", false, false),
    ] {
        assert_eq!(check_url(&parse_base_url(text)?, insecure).is_ok(), allowed, "{text}");
    }
    Ok(())
}

#[test]
fn assertions_are_addressed_to_the_origin_and_the_external_domain() -> TestResult {
    let inside = parse_base_url("http://zitadel.ns.svc:8080/prefix")?;
    let expected = ["http://zitadel.ns.svc:8080", "https://login.example.com", "http://login.example.com"];
    assert_eq!(audiences(&inside, Some("login.example.com")), expected);
    let outside = parse_base_url("https://login.example.com:443")?;
    assert_eq!(audiences(&outside, Some("login.example.com")), ["https://login.example.com"]);
    assert_eq!(audiences(&outside, None), ["https://login.example.com"]);
    Ok(())
}

#[test]
fn an_external_domain_is_a_host_and_nothing_else() {
    let client = |domain| {
        let transport = Fake::always(Reply::raw(200, &[], "{}"));
        client_at("https://zitadel.example", Some(domain), transport, Secret::pat("t"))
    };
    for good in ["login.example.com", "login.example.com:8443", "localhost", "[::1]:8080"] {
        assert!(client(good).is_ok(), "{good}");
    }
    let long = "a/".repeat(1000);
    assert!(client(&long).is_err_and(|message| message.len() < 200));
    for bad in ["", "a/b", "a b", "a\r\nx: y", "user@host", "host?x", "host#x", "ho\u{e9}st", "host:port"] {
        assert!(client(bad).is_err(), "{bad:?}");
    }
}
