//! The memory that the operator takes, in a process of its own, whose allocator counts all: what it keeps of each resource,
//! and the most that tenants can make it hold.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use http::{Request, Response};
use jiff::Timestamp;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Api, ApiResource, DynamicObject, GroupVersionKind, Patch, PatchParams};
use peak_alloc::PeakAlloc;
use serde_json::{Value, json};
use support::kubernetes::Cluster;
use support::zitadel::Double;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use zitadel_operator::engine::decision::config::Config;
use zitadel_operator::kinds::definitions;
use zitadel_operator::operator::{self, Options};
use zitadel_operator::runtime::ambient;
use zitadel_operator::runtime::lease::Leadership;
use zitadel_operator::zitadel::{Transport, TransportError};

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

mod elsewhere;
mod hostile;

const NAMESPACE: &str = "team";

/// The allocator counts the whole process: one test at a time.
static ALONE: Mutex<()> = Mutex::new(());

const MIB: usize = 1024 * 1024;

/// The most that the operator holds at a time, whatever tenants do: the chart's limit is 256 MiB, of which the program
/// itself takes some twenty, and what an allocator does not give back is not counted here.
const MOST_AT_A_TIME: usize = 128 * MIB;

/// Resources of 1 MiB.
const CROWD: usize = 300;
/// Organizations of the hostile server that are sought by name.
const SOUGHT: usize = 20;

/// The most bytes that the operator keeps for each of so many `Project`s: the object, and the queues, claims and caches
/// around it.
const MOST: usize = 2560;

/// `RESOURCES=1000` for fewer.
fn resources() -> usize {
    std::env::var("RESOURCES").ok().and_then(|count| count.parse().ok()).unwrap_or(10_000)
}

/// The way to the double, and to the server of a tenant.
struct Direct(Double);

impl Transport for Direct {
    fn send(&self, request: Request<Bytes>) -> BoxFuture<'_, Result<Response<Bytes>, TransportError>> {
        if request.uri().host() == Some(hostile::HOST) {
            return async move { Ok(hostile::answer(&request)) }.boxed();
        }
        let broken = |_| TransportError::Unreachable("connection closed".to_owned());
        self.0.call(request).map(move |answer| answer.map_err(broken)).boxed()
    }
}

struct World {
    cluster: Cluster,
    client: kube::Client,
    zitadel: Double,
    organization: String,
    definitions: Vec<CustomResourceDefinition>,
}

impl World {
    async fn new(epoch: Timestamp) -> Self {
        let definitions = definitions();
        let cluster = Cluster::new(&definitions);
        cluster.add_namespace(NAMESPACE);
        let zitadel = Double::builder().seed(1).epoch(epoch).build();
        let organization = zitadel.add_organization("acme");
        let client = cluster.client();
        let world = Self { cluster, client, zitadel, organization, definitions };
        let token = json!({
            "apiVersion": "v1", "kind": "Secret",
            "metadata": { "name": "zitadel", "labels": { "zitadel-operator.dev/allow": "true" } },
            "stringData": { "token": world.zitadel.admin_token() },
        });
        let secret = ApiResource::from_gvk(&GroupVersionKind::gvk("", "v1", "Secret"));
        let secrets = Api::<DynamicObject>::namespaced_with(world.client.clone(), NAMESPACE, &secret);
        secrets.patch("zitadel", &person(), &Patch::Apply(token)).await.unwrap();
        let connection = json!({
            "url": world.zitadel.url(), "personalAccessToken": { "name": "zitadel" },
            "defaultOrganization": { "id": world.organization },
            "rateLimit": { "requestsPerSecond": 100, "burst": 200 },
        });
        world.apply("Connection", "zitadel", connection).await;
        world
    }

    fn api(&self, kind: &str) -> Api<DynamicObject> {
        self.api_in(NAMESPACE, kind)
    }

    fn api_in(&self, namespace: &str, kind: &str) -> Api<DynamicObject> {
        let definition = self.definitions.iter().find(|crd| crd.spec.names.kind == kind).unwrap();
        let resource = GroupVersionKind::gvk(&definition.spec.group, "v1alpha1", kind);
        let resource = ApiResource::from_gvk_with_plural(&resource, &definition.spec.names.plural);
        Api::namespaced_with(self.client.clone(), namespace, &resource)
    }

    async fn apply(&self, kind: &str, name: &str, spec: Value) {
        let body = json!({
            "apiVersion": "zitadel-operator.dev/v1alpha1", "kind": kind, "metadata": { "name": name },
            "spec": spec,
        });
        self.api(kind).patch(name, &person(), &Patch::Apply(body)).await.unwrap();
    }

    async fn apply_project(&self, name: &str) {
        let connection = json!({ "kind": "Connection", "name": "zitadel" });
        self.apply("Project", name, json!({ "connectionRef": connection, "name": name })).await;
    }

    fn start(&self) -> JoinHandle<()> {
        self.start_as(Leadership::always())
    }

    fn start_as(&self, leadership: Leadership) -> JoinHandle<()> {
        self.start_with(leadership, Config::default())
    }

    fn start_with(&self, leadership: Leadership, config: Config) -> JoinHandle<()> {
        let transport = Arc::new(Direct(self.zitadel.clone()));
        let factory = Arc::new(move |_: &_| Ok(transport.clone() as Arc<dyn Transport>));
        let options = Options { transport: factory, leadership, config, ..Options::new("zitadel-operator") };
        let running = operator::run(self.cluster.client(), options, Default::default());
        tokio::spawn(async move { running.await.unwrap() })
    }

    /// Lets time pass until ZITADEL is asked nothing for a while.
    async fn rest(&self) {
        let mut mark = None;
        while mark != Some(self.zitadel.ledger().requests().len()) {
            mark = Some(self.zitadel.ledger().requests().len());
            tokio::time::sleep(Duration::from_secs(5)).await;
        }
    }

    /// Another one as the operator left the first.
    async fn copy(&self, first: &Value, name: &str) {
        let id = self.zitadel.create_project(&self.organization, name);
        self.apply_project(name).await;
        let mut status = first["status"].clone();
        status["id"] = json!(id);
        let metadata = json!({
            "finalizers": first["metadata"]["finalizers"], "annotations": { "zitadel-operator.dev/id": id },
        });
        let (api, params) = (self.api("Project"), PatchParams::default());
        api.patch(name, &params, &Patch::Merge(json!({ "metadata": metadata }))).await.unwrap();
        api.patch_status(name, &params, &Patch::Merge(json!({ "status": status }))).await.unwrap();
    }
}

fn person() -> PatchParams {
    PatchParams::apply("a-person").force()
}

async fn ended(operator: JoinHandle<()>) {
    operator.abort();
    let _ = operator.await;
}

impl World {
    /// 1 MiB, which is what etcd takes at most, in an organization of its own, where the values are there already.
    async fn crowd(&self, n: usize) {
        let organization = self.zitadel.add_organization(&format!("crowd{n}"));
        let value = |letter: &str| letter.repeat(500_000);
        for key in ["a", "b"] {
            self.zitadel.set_metadata(&organization, key, value(key).as_bytes());
        }
        let spec = json!({
            "connectionRef": { "kind": "Connection", "name": "zitadel" },
            "organization": { "id": organization },
            "entries": [{ "key": "a", "value": value("a") }, { "key": "b", "value": value("b") }],
        });
        self.apply("OrgMetadata", &format!("m{n}"), spec).await;
    }

    /// A connection to the hostile server, and projects in organizations that it is asked for by name.
    async fn tempt(&self) {
        let spec = json!({
            "url": format!("http://{}", hostile::HOST), "insecure": true,
            "personalAccessToken": { "name": "zitadel" },
            "rateLimit": { "requestsPerSecond": 100, "burst": 200 },
        });
        self.apply("Connection", "hostile", spec).await;
        for n in 0..SOUGHT {
            let spec = json!({
                "connectionRef": { "kind": "Connection", "name": "hostile" },
                "organization": { "name": format!("sought{n}") },
            });
            self.apply("Project", &format!("sought{n}"), spec).await;
        }
    }

    /// How many of the crowd say that ZITADEL is as specified.
    async fn ready(&self) -> usize {
        let mut ready = 0;
        for n in 0..CROWD {
            let seen = self.api("OrgMetadata").get(&format!("m{n}")).await.unwrap();
            let conditions = seen.data["status"]["conditions"].as_array().cloned().unwrap_or_default();
            ready += usize::from(conditions.iter().any(|c| c["type"] == "Ready" && c["status"] == "True"));
        }
        ready
    }
}

/// The memory of this process that no file backs, in bytes; what the allocator has not given back counts too.
fn anonymous() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<usize>().ok()).unwrap_or(0) * 1024
}

/// What the operator held at most since `before`, beside what the servers keep.
fn peak(before: usize) -> usize {
    ALLOCATOR.peak_usage().saturating_sub(ALLOCATOR.current_usage().max(before))
}

#[test]
fn large_resources_a_hostile_server_and_a_failover_stay_within_the_limit() {
    let _alone = ALONE.lock();
    simulated(async |world| {
        for n in 0..CROWD {
            world.crowd(n).await;
        }
        world.tempt().await;
        let before = ALLOCATOR.current_usage();
        ALLOCATOR.reset_peak_usage();
        let leader = world.start();
        tokio::time::sleep(Duration::from_secs(300)).await;
        ended(leader).await;
        let led = peak(before);
        assert_eq!(world.ready().await, CROWD);
        let before = ALLOCATOR.current_usage();
        ALLOCATOR.reset_peak_usage();
        let leadership = Leadership::pending();
        let standby = world.start_as(leadership.clone());
        tokio::time::sleep(Duration::from_secs(60)).await;
        leadership.begin(Instant::now() + Duration::from_secs(86_400));
        tokio::time::sleep(Duration::from_secs(300)).await;
        ended(standby).await;
        let followed = peak(before);
        eprintln!("{} MiB at most, {} MiB through a failover", led / MIB, followed / MIB);
        assert!(hostile::asked() > SOUGHT, "the hostile server was not asked");
        assert!(led.max(followed) <= MOST_AT_A_TIME);
    });
}

fn simulated(run: impl AsyncFnOnce(World)) {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let epoch: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        ambient::simulate(1, epoch);
        run(World::new(epoch).await).await;
    });
}

#[test]
fn a_project_takes_a_bounded_part_of_memory() {
    let _alone = ALONE.lock();
    simulated(async |world| {
        world.apply_project("first").await;
        let operator = world.start();
        world.rest().await;
        let first = serde_json::to_value(world.api("Project").get("first").await.unwrap()).unwrap();
        assert!(first["status"]["id"].is_string(), "{first}");
        ended(operator).await;
        let (count, asked) = (resources(), world.zitadel.ledger().requests().len());
        for n in 1..count {
            world.copy(&first, &format!("web{n}")).await;
        }
        let (before, subject) = (ALLOCATOR.current_usage(), anonymous());
        let operator = world.start();
        world.rest().await;
        let subject = anonymous().saturating_sub(subject);
        assert!(world.zitadel.ledger().requests().len() >= asked + count, "not all were looked at");
        // What the servers remember of the requests stays when the operator goes.
        let with = ALLOCATOR.current_usage();
        ended(operator).await;
        let without = ALLOCATOR.current_usage();
        let each = with.saturating_sub(without) / count;
        let servers = without.saturating_sub(before);
        eprintln!("{each} bytes for each of {count} projects");
        eprintln!("{} bytes each resident", subject.saturating_sub(servers) / count);
        assert!(each <= MOST, "{each} bytes each");
    });
}
