//! Base URLs and external domains, as people write them.

use std::sync::Arc;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use url::{Host, Url};
use zitadel_operator::zitadel::{check_url, parse_base_url};

use crate::foreign::{CANARY, text};
use crate::server::{Server, client_at, on_paused_time, response, token};

#[derive(Debug)]
pub struct Input {
    url: String,
    domain: Option<String>,
}

pub fn inputs() -> impl Strategy<Value = Input> {
    let part = |known: &[&str]| {
        let known: Vec<String> = known.iter().map(|part| (*part).to_owned()).collect();
        prop_oneof![6 => select(known), 1 => text()]
    };
    let url = (
        part(&["https", "http", "HTTPS", "ftp", "file", ""]),
        part(&["://", "://", "://", ":", ":/", ":\\\\"]),
        part(&["", "", "", "", "user@", "user:c4n4ry-s3cr3t@", ":c4n4ry-s3cr3t@", "@"]),
        host(),
        part(&["", "", ":443", ":80", ":8080", ":0", ":65536", ":"]),
        part(&["", "", "/", "/prefix", "/a/../b", "//", "/%2e%2e/", "/a b/", "/é", "/a|b"]),
        part(&["", "", "", "?q=c4n4ry-s3cr3t", "#c4n4ry-s3cr3t", "?", "#"]),
    )
        .prop_map(|(a, b, c, d, e, f, g)| [a, b, c, d, e, f, g].concat());
    let domain =
        prop_oneof![3 => Just(None), 1 => (host(), part(&["", ":8443"])).prop_map(|(a, b)| Some(a + &b))];
    (prop_oneof![8 => url, 1 => text()], domain).prop_map(|(url, domain)| Input { url, domain })
}

fn host() -> impl Strategy<Value = String> {
    let known = [
        "login.example.com",
        "localhost",
        "a.localhost",
        "localhost.",
        "127.0.0.1",
        "127.1",
        "0x7f.1",
        "2130706433",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "0.0.0.0",
        "[::]",
        "zitadel.ns.svc",
        "ex_ample",
        "xn--mnchen-3ya.de",
        "m\u{fc}nchen.de",
        "a{b}",
        "a\"b",
        "a`b",
        "a!b",
        "a'b",
        "a$b",
        "a*b",
        "(ab)",
        "a;b",
        "a,b",
        "a=b",
        "a&b",
        "a+b",
        "a~b",
        "LOGIN.example",
        "a..b",
        "-a-",
        "",
    ];
    let made = vec(prop_oneof!["[!-~]".prop_map(String::from), text(), Just("a".to_owned())], 0..5);
    prop_oneof![6 => select(known.to_vec()).prop_map(str::to_owned), 1 => made.prop_map(|parts| parts.concat())]
}

/// A URL that is accepted is one under which every call goes to just that host; a refusal quotes no password.
pub fn lead_where_they_say(Input { url, domain }: Input) {
    let base = match parse_base_url(&url) {
        Ok(base) => base,
        Err(message) => return assert!(!message.contains(CANARY) && message.len() < 300, "{message}"),
    };
    assert_eq!(parse_base_url(base.as_str()).as_ref(), Ok(&base));
    assert!(
        base.username().is_empty()
            && base.password().is_none()
            && base.query().is_none()
            && base.fragment().is_none()
    );
    assert_eq!(check_url(&base, false).is_ok(), base.scheme() == "https" || is_this_machine(&base), "{base}");
    assert_eq!(check_url(&base, true), Ok(()));
    let server = Server::new(|_| response(200, &[], br#"{"user": {"id": "1"}}"#.to_vec()));
    let client = match client_at(&url, domain.as_deref(), server.clone() as Arc<_>, token()) {
        Ok(client) => client,
        Err(message) => return assert!(domain.is_some() && message.len() < 600, "{message}"),
    };
    let answer = on_paused_time(async { client.me().await });
    let seen = server.seen();
    assert!(answer.is_ok() && seen.len() == 1, "{base}: {answer:?}");
    let sent = Url::parse(&seen[0].uri().to_string()).unwrap();
    let path = format!("{}/auth/v1/users/me", base.path().trim_end_matches('/'));
    assert_eq!((sent.origin(), sent.path(), sent.query()), (base.origin(), path.as_str(), None));
    let named = seen[0].headers().get("x-zitadel-instance-host").map(|value| value.to_str().unwrap());
    assert_eq!(named, domain.as_deref());
}

fn is_this_machine(url: &Url) -> bool {
    match url.host().unwrap() {
        Host::Domain(name) => name == "localhost",
        Host::Ipv4(address) => address.octets()[0] == 127,
        Host::Ipv6(address) => address.segments() == [0, 0, 0, 0, 0, 0, 0, 1],
    }
}
