//! An operator of the whole cluster in a test that has one namespace of it.

use http::{Method, Request, Uri};
use kube::client::Body;

use crate::way;

const OURS: &str = "/apis/zitadel-operator.dev/v1alpha1/";

/// The same client. What it asks for in the whole cluster, the server decides upon as such, and answers of it what is
/// in this namespace, and of the ClusterConnections the one that is named like it.
pub fn only(client: kube::Client, namespace: &str) -> kube::Client {
    let namespace = namespace.to_owned();
    way::with(client, move |client, mut request| {
        if let Some(narrowed) = narrowed(&request, &namespace) {
            *request.uri_mut() = narrowed;
        }
        async move { client.send(request).await }
    })
}

/// A list or watch of one of our kinds in all namespaces, if it is that.
fn narrowed(request: &Request<Body>, namespace: &str) -> Option<Uri> {
    let (method, uri) = (request.method(), request.uri());
    let plural = uri.path().strip_prefix(OURS).filter(|rest| method == Method::GET && !rest.contains('/'))?;
    let field = if plural == "clusterconnections" { "name" } else { "namespace" };
    let query = uri.query().unwrap_or_default();
    assert!(!query.contains("fieldSelector"), "another selection of its own: {uri}");
    // Of a selection by namespace the API server (1.37) loses all pages but the first.
    let pages = |parameter: &&str| !parameter.starts_with("limit=");
    let query = query.split('&').filter(pages).collect::<Vec<_>>().join("&");
    let narrowed = format!("{}?{query}&fieldSelector=metadata.{field}%3D{namespace}", uri.path());
    Some(narrowed.parse().expect("a URI"))
}
