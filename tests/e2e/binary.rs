//! The binary with everything logged, before a ZITADEL that repeats whatever it hears.

use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{HeaderMap, StatusCode, Uri};
use k8s_openapi::api::events::v1::Event;
use kube::api::{Api, ListParams, Patch, PatchParams};
use serde_json::{Value, json};
use support::zitadel::InjectedFault;

use crate::faults::process::Process;
use crate::needs_double;
use crate::waits::{condition, until_answered};
use crate::world::World;

const WAYS: [&str; 3] = ["token", "key", "client"];
// No part of them is in what other tests write.
const VALUE: &str = "5e9a-value-of-a-secret-canary";
const MINTED: &str = "7c1d-minted-token-canary";

/// How a request is answered that repeats it.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Manner {
    Refused(u16),
    /// 200, and no JSON.
    Malformed,
    /// 200, and JSON of another shape.
    Misshapen,
    /// 302 to a place named after the credential.
    Redirect,
    /// No token is minted.
    Logins(u16),
}

const MANNERS: [Manner; 9] = [
    Manner::Refused(400),
    Manner::Refused(401),
    Manner::Refused(403),
    Manner::Refused(500),
    Manner::Malformed,
    Manner::Misshapen,
    Manner::Redirect,
    Manner::Logins(400),
    Manner::Logins(500),
];

type Shared = Arc<Mutex<(Manner, usize)>>;

/// A server that repeats credentials and bodies.
struct Parrot {
    port: u16,
    state: Shared,
}

impl Parrot {
    async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let state: Shared = Arc::new(Mutex::new((MANNERS[0], 0)));
        let router = Router::new().fallback(repeat).with_state(state.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { port, state }
    }

    /// From now on; counts from nothing.
    fn behave(&self, manner: Manner) {
        *self.state.lock().unwrap() = (manner, 0);
    }

    fn served(&self) -> usize {
        self.state.lock().unwrap().1
    }
}

async fn repeat(State(state): State<Shared>, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    let manner = {
        let mut state = state.lock().unwrap();
        state.1 += 1;
        state.0
    };
    let credential = headers.get("authorization").map_or("", |value| value.to_str().unwrap());
    let heard = format!("{credential} {}", String::from_utf8_lossy(&body));
    let login = uri.path().ends_with("/oauth/v2/token");
    let refusal = |status: u16| {
        let detail =
            json!({ "@type": "type.googleapis.com/zitadel.v1.ErrorDetail", "id": heard, "message": heard });
        let body = match login {
            true => json!({ "error": "invalid_client", "error_description": heard }),
            false => json!({ "code": 3, "message": heard, "details": [detail] }),
        };
        (StatusCode::from_u16(status).unwrap(), body.to_string()).into_response()
    };
    match manner {
        Manner::Logins(status) if login => refusal(status),
        _ if login => json!({ "access_token": MINTED, "expires_in": 43_199 }).to_string().into_response(),
        Manner::Refused(status) | Manner::Logins(status) => refusal(status),
        Manner::Malformed => heard.into_response(),
        Manner::Misshapen => json!({ "user": heard, "iamProjectId": [heard] }).to_string().into_response(),
        Manner::Redirect => {
            let place = format!("http://localhost:1/{}", credential.replace(' ', "/"));
            (StatusCode::FOUND, [("location", place)]).into_response()
        }
    }
}

/// A connection of each way to log in, and a value of a Secret through each.
async fn furnish(world: &World) {
    let owner = world.hire("owner", Some("ORG_OWNER")).await;
    let key = owner.add_key().await;
    let (id, secret) = world.zitadel.create_client_secret(&owner.id);
    let logins = json!({
        "token": owner.token.secret, "key.json": key.file, "client-id": id, "client-secret": secret,
    });
    world.apply_core("Secret", "logins", json!({ "stringData": logins })).await;
    world.store_value("Secret", "values", "k", VALUE.as_bytes()).await;
    let place = json!({ "name": "logins" });
    let credentials = [
        json!({ "personalAccessToken": place }),
        json!({ "jwtProfile": place }),
        json!({ "clientCredentials": place }),
    ];
    for (way, mut spec) in WAYS.into_iter().zip(credentials) {
        (spec["url"], spec["insecure"]) = (json!(world.zitadel.url()), json!(true));
        spec["defaultOrganization"] = json!({ "id": world.organization });
        spec["resyncInterval"] = json!("1s");
        spec["rateLimit"] = json!({ "requestsPerSecond": 100, "burst": 100 });
        world.apply("Connection", way, spec).await;
        world.apply("OrgMetadata", way, entries(way, &[way])).await;
    }
}

/// The value of the Secret under these keys, through the connection of this way.
fn entries(way: &str, keys: &[&str]) -> Value {
    let source = json!({ "secretKeyRef": { "name": "values", "key": "k" } });
    let entries: Vec<Value> = keys.iter().map(|key| json!({ "key": key, "valueFrom": source })).collect();
    json!({ "connectionRef": { "kind": "Connection", "name": way }, "entries": entries })
}

async fn until_all_ready(world: &World) {
    for way in WAYS {
        for kind in ["Connection", "OrgMetadata"] {
            let ready = |o: &Value| {
                condition(o, "Synced")["status"] == "True" && condition(o, "Ready")["status"] == "True"
            };
            world.subject(kind, way).until("was ready", ready).await;
        }
    }
}

async fn point_to(world: &World, url: &str) {
    for way in WAYS {
        let patch = Patch::Merge(json!({ "spec": { "url": url } }));
        world.api("Connection").patch(way, &PatchParams::default(), &patch).await.unwrap();
    }
}

/// Statuses, annotations and Events, as whoever may read them sees them.
async fn look_at_what_is_kept(world: &World) {
    for kind in ["Connection", "OrgMetadata"] {
        for way in WAYS {
            let now = world.subject(kind, way).now().await;
            let shown = format!("{} {}", now["status"], now["metadata"]["annotations"]);
            assert!(shown.contains("conditions"), "{shown}");
            world.canaries.watch().inspect(format_args!("the status of {kind} {way}"), shown.as_bytes());
        }
    }
    let events: Api<Event> = Api::namespaced(world.client.clone(), &world.namespace);
    for event in events.list(&ListParams::default()).await.unwrap() {
        let shown = serde_json::to_string(&event).unwrap();
        world.canaries.watch().inspect(format_args!("an Event"), shown.as_bytes());
    }
}

/// Writes of metadata are refused with a text that repeats them.
async fn refuse_values(world: &World) {
    let text = format!("invalid value: {VALUE} {{\"value\":\"{}\"}}", STANDARD.encode(VALUE));
    let fault = InjectedFault::answer(400).header("content-type", "application/json");
    let fault = fault.body(json!({ "code": 3, "message": text }).to_string());
    let fault = fault
        .when(|call| call.path.starts_with("/management/v1/metadata") && !call.path.ends_with("_search"));
    let fault = world.zitadel.inject(fault);
    for way in WAYS {
        world.apply("OrgMetadata", way, entries(way, &[way, &format!("{way}-too")])).await;
        world.subject("OrgMetadata", way).until_reason("InvalidSpec").await;
    }
    look_at_what_is_kept(world).await;
    fault.remove();
    for way in WAYS {
        world.apply("OrgMetadata", way, entries(way, &[way])).await;
    }
    until_all_ready(world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_secret_is_in_the_log_at_trace_whatever_zitadel_answers() {
    needs_double!("client secrets, and faults");
    let world = World::without_operator().await;
    world.canaries.mark("a minted token", MINTED.as_bytes());
    furnish(&world).await;
    let parrot = Parrot::start().await;
    let arguments = ["--log", "trace", "--min-resync-seconds", "1", "--leader-election", "false"];
    let binary = Process::start(&world, &arguments).await;
    until_all_ready(&world).await;
    refuse_values(&world).await;
    for (host, manner) in (2..).zip(MANNERS) {
        parrot.behave(manner);
        // Another host is another connection: nothing that failed is remembered.
        point_to(&world, &format!("http://127.0.0.{host}:{}", parrot.port)).await;
        for way in WAYS {
            let failed = |o: &Value| {
                let (synced, ready) = (condition(o, "Synced"), condition(o, "Ready"));
                let current = &o["metadata"]["generation"];
                (synced["status"] == "False" && synced["observedGeneration"] == *current)
                    || (ready["status"] == "False" && ready["observedGeneration"] == *current)
            };
            world.subject("Connection", way).until(&format!("failed under {manner:?}"), failed).await;
        }
        until_answered("asked", async || (parrot.served() >= WAYS.len(), parrot.served())).await;
        look_at_what_is_kept(&world).await;
    }
    point_to(&world, "http://127.0.0.1:1").await;
    for way in WAYS {
        let unreachable = |o: &Value| o["status"].to_string().contains("cannot be reached");
        world.subject("Connection", way).until("was unreachable", unreachable).await;
    }
    look_at_what_is_kept(&world).await;
    point_to(&world, &world.zitadel.url()).await;
    until_all_ready(&world).await;
    binary.metrics().await;
    for way in WAYS {
        world.subject("OrgMetadata", way).delete().await;
        world.subject("OrgMetadata", way).until_gone().await;
    }
    let log: Vec<String> = binary.log().iter().map(ToString::to_string).collect();
    for part in ["\"level\":\"TRACE\"", "hyper_util::client", "reqwest::connect", "zitadel_operator::"] {
        assert!(log.iter().any(|line| line.contains(part)), "no line of {part}");
    }
    binary.terminate().await;
}
