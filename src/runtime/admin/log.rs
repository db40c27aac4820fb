//! `/log`: what is logged as of now, told and changed for peers on the same machine only.

use std::net::SocketAddr;

use axum::extract::{ConnectInfo, DefaultBodyLimit, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get};

use crate::runtime::telemetry::Filter;

/// No filter is longer, in bytes.
const LONGEST: usize = 4096;

const REFUSAL: &str =
    "only for a loopback peer: kubectl port-forward the Pod's admin port, and ask localhost\n";

/// `GET` tells the filter, `PUT` changes it: 400 with the parser's words for a bad one, which changes nothing, and 403
/// for whoever comes over the network.
pub(super) fn route(filter: Filter) -> MethodRouter {
    get(show).put(changed).layer(DefaultBodyLimit::max(LONGEST)).with_state(filter)
}

async fn show(peer: ConnectInfo<SocketAddr>, State(filter): State<Filter>) -> Response {
    match refused(peer) {
        Some(refusal) => refusal,
        None => (filter.text() + "\n").into_response(),
    }
}

async fn changed(peer: ConnectInfo<SocketAddr>, State(filter): State<Filter>, text: String) -> Response {
    if let Some(refusal) = refused(peer) {
        return refusal;
    }
    let text = text.trim();
    match filter.change(text) {
        Ok(()) => {
            tracing::info!(filter = text, "what is logged was changed");
            (text.to_owned() + "\n").into_response()
        }
        Err(error) => (StatusCode::BAD_REQUEST, format!("{error}\n")).into_response(),
    }
}

/// Whoever may forward a port to the Pod, or run a command in it, comes from there; the rest of the network does not.
fn refused(ConnectInfo(peer): ConnectInfo<SocketAddr>) -> Option<Response> {
    (!peer.ip().to_canonical().is_loopback()).then(|| (StatusCode::FORBIDDEN, REFUSAL).into_response())
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::body::{Body, to_bytes};
    use axum::extract::connect_info::MockConnectInfo;
    use axum::http::Request;
    use tower::ServiceExt as _;
    use tracing::Subscriber;

    use super::*;
    use crate::runtime::telemetry::{LogFormat, subscriber};

    fn logger() -> (Box<dyn Subscriber + Send + Sync>, Filter) {
        subscriber(LogFormat::Text, "info", false, std::io::sink).unwrap()
    }

    async fn ask(filter: &Filter, peer: &str, method: &str, body: &str) -> (u16, String) {
        let peer: SocketAddr = peer.parse().unwrap();
        let server = Router::new().route("/log", route(filter.clone())).layer(MockConnectInfo(peer));
        let request = Request::builder().method(method).uri("/log").body(Body::from(body.to_owned()));
        let answer = server.oneshot(request.unwrap()).await.unwrap();
        let status = answer.status().as_u16();
        (status, String::from_utf8(to_bytes(answer.into_body(), 10_000).await.unwrap().into()).unwrap())
    }

    #[tokio::test]
    async fn a_loopback_peer_reads_and_changes_what_is_logged() {
        let (_logger, filter) = logger();
        for peer in ["127.0.0.1:4000", "[::1]:4000", "[::ffff:127.0.0.1]:4000"] {
            filter.change("info").unwrap();
            assert_eq!(ask(&filter, peer, "GET", "").await, (200, "info\n".into()), "{peer}");
            let debug = "info,zitadel_operator=debug\n";
            assert_eq!(ask(&filter, peer, "PUT", debug).await, (200, debug.into()), "{peer}");
            assert_eq!(ask(&filter, peer, "GET", "").await, (200, debug.into()), "{peer}");
        }
    }

    #[tokio::test]
    async fn whoever_comes_over_the_network_is_told_how_and_changes_nothing() {
        let (_logger, filter) = logger();
        for (peer, method) in [("10.1.2.3:4000", "PUT"), ("[fd00::1]:4000", "PUT"), ("10.1.2.3:4000", "GET")]
        {
            let (status, why) = ask(&filter, peer, method, "trace").await;
            assert!(status == 403 && why.contains("kubectl port-forward"), "{peer}: {status} {why}");
        }
        assert_eq!(filter.text(), "info");
    }

    #[tokio::test]
    async fn a_bad_filter_is_answered_with_what_is_wrong_and_changes_nothing() {
        let (_logger, filter) = logger();
        for bad in ["zitadel_operator=loud", "[", "a=b=c"] {
            let (status, why) = ask(&filter, "127.0.0.1:1", "PUT", bad).await;
            assert!(status == 400 && why.contains(bad) && why.contains("is not valid"), "{status} {why}");
        }
        assert_eq!(ask(&filter, "127.0.0.1:1", "PUT", &"a".repeat(LONGEST + 1)).await.0, 413);
        assert_eq!(filter.text(), "info");
    }
}
