//! From a request to its answer.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::Body;
use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode};
use serde_json::Value;

use super::cluster::{Cluster, State};
use super::failure::{Cause, Failure};
use super::fault::{Broken, Call, Delivery, FaultDecision};
use super::kind::Kind;
use super::managers::Author;
use super::read::{get, list, shown};
use super::route::{Manners, Query, Target, Verb, verb};
use super::store::Key;
use super::watching::Watching;
use super::write::{Answer, PatchKind, Writer};

impl tower::Service<Request<kube::client::Body>> for Cluster {
    type Response = Response<Body>;
    type Error = Broken;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Broken>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Broken>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<kube::client::Body>) -> Self::Future {
        let cluster = self.clone();
        Box::pin(async move {
            let (parts, body) = request.into_parts();
            let body = body.collect_bytes().await.map_err(|_| Broken)?;
            match Asked::read(&cluster, &parts, body) {
                Ok(asked) => cluster.handle(asked).await,
                Err(failure) => Ok(refused(&failure)),
            }
        })
    }
}

/// A request that was understood.
struct Asked {
    verb: Verb,
    target: Target,
    query: Query,
    manners: Manners,
    body: Bytes,
    kind: Arc<Kind>,
    index: usize,
}

impl Asked {
    fn read(cluster: &Cluster, parts: &http::request::Parts, body: Bytes) -> Result<Self, Failure> {
        let target = Target::parse(parts.uri.path()).ok_or_else(Failure::unknown_path)?;
        let query = Query::parse(parts.uri.query().unwrap_or_default());
        let verb = verb(&parts.method, &target, &query)?;
        let state = cluster.inner.state();
        let mut kinds = state.store.kinds.iter().enumerate();
        let (index, kind) = kinds.find(|(_, kind)| target.is_of(kind)).ok_or_else(Failure::unknown_path)?;
        let known =
            matches!(target.subresource.as_str(), "") || (target.subresource == "status" && kind.status);
        let manners = Manners::of(parts, &query);
        match known {
            true => Ok(Self { verb, query, manners, body, kind: kind.clone(), index, target }),
            false => Err(Failure::unknown_path()),
        }
    }

    fn call(&self, index: usize) -> Call {
        let Target { group, plural, subresource, namespace, name, .. } = self.target.clone();
        let (verb, manager) = (self.verb, self.manners.manager.clone());
        Call { index, verb, group, resource: plural, subresource, namespace, name, manager, status: None }
    }

    fn key(&self) -> Key {
        Key { kind: self.index, namespace: self.target.namespace.clone(), name: self.target.name.clone() }
    }

    fn json(&self) -> Result<Value, Failure> {
        if self.body.is_empty() && self.verb == Verb::Delete {
            return Ok(Value::Null);
        }
        serde_json::from_slice(&self.body).map_err(|error| {
            let kind = &self.kind.kind;
            let why = format!(
                "the object provided is unrecognized (must be of type {kind}): json parse error: {error}"
            );
            Failure::bad_request(why)
        })
    }

    fn patch_kind(&self) -> Result<PatchKind, Failure> {
        match self.manners.content_type.as_str() {
            "application/merge-patch+json" => Ok(PatchKind::Merge),
            "application/apply-patch+yaml" if self.query.get("fieldManager").is_empty() => {
                let cause = Cause::required("fieldManager", "is required for apply patch");
                Err(Failure::options("PatchOptions", cause))
            }
            "application/apply-patch+yaml" => Ok(PatchKind::Apply { force: self.query.is("force") }),
            _ => {
                let why = "the body of the request was in an unknown format - accepted media types include: application/merge-patch+json, application/apply-patch+yaml";
                Err(Failure::new(415, "UnsupportedMediaType", why))
            }
        }
    }
}

impl Cluster {
    async fn handle(&self, asked: Asked) -> Result<Response<Body>, Broken> {
        let (mut call, faults) = {
            let mut state = self.inner.state();
            let call = asked.call(state.calls.len());
            state.calls.push(call.clone());
            (call, state.faults.clone())
        };
        let response = match faults.before(&call) {
            FaultDecision::Go => self.answer(&asked, &call),
            FaultDecision::Fail(failure) => refused(&failure),
            FaultDecision::Drop => return Err(Broken),
            FaultDecision::Delay(time) => {
                tokio::time::sleep(time).await;
                self.answer(&asked, &call)
            }
            FaultDecision::Hang => std::future::pending().await,
        };
        call.status = Some(response.status().as_u16());
        match faults.after(&call) {
            Delivery::Lose => return Err(Broken),
            Delivery::Withhold => std::future::pending().await,
            Delivery::Deliver => {}
        }
        self.inner.state().calls[call.index].status = call.status;
        Ok(response)
    }

    fn answer(&self, asked: &Asked, call: &Call) -> Response<Body> {
        let mut state = self.inner.state();
        if asked.verb == Verb::Watch {
            let place = (asked.index, asked.target.namespace.as_str());
            let partial = asked.manners.partial;
            return match Watching::begin(&self.inner, &state.store, place, &asked.query, partial) {
                Ok(watching) => json_response(200, Body::from_stream(watching.into_lines())),
                Err(failure) => refused(&failure),
            };
        }
        state.store.call = call.index;
        let before = state.store.version;
        let answer = carry_out(&mut state, asked);
        if state.store.version > before {
            self.inner.changed.notify_waiters();
        }
        match answer {
            Ok((code, body)) => {
                // Only objects have a metadata form; lists were given theirs, a Status has none.
                let whole = asked.verb == Verb::List || body["kind"] == "Status";
                let body = shown(&body, asked.manners.partial && !whole);
                json_response(code, Body::from(body.to_string()))
            }
            Err(failure) => refused(&failure),
        }
    }
}

fn carry_out(state: &mut State, asked: &Asked) -> Answer {
    let Asked { verb, target, query, manners, kind, index, .. } = asked;
    let author = Author {
        manager: manners.manager.clone(),
        subresource: target.subresource.clone(),
        now: state.store.now(),
    };
    let mut writer = Writer { store: &mut state.store, kind: kind.clone(), author };
    match verb {
        Verb::Get => get(writer.store, kind, &asked.key()),
        Verb::List | Verb::Watch => list(writer.store, *index, &target.namespace, query, manners.partial),
        Verb::Create => writer.create(*index, &target.namespace, asked.json()?),
        Verb::Update => writer.replace(asked.key(), asked.json()?),
        Verb::Patch => writer.patch(asked.key(), asked.patch_kind()?, &asked.json()?),
        Verb::Delete => writer.delete(asked.key(), &asked.json()?),
    }
}

fn refused(failure: &Failure) -> Response<Body> {
    let mut response = json_response(failure.code(), Body::from(failure.status().to_string()));
    if let Some(seconds) = failure.retry_after() {
        response.headers_mut().insert("retry-after", HeaderValue::from(seconds));
    }
    response
}

fn json_response(code: u16, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().insert("content-type", HeaderValue::from_static("application/json"));
    response
}
