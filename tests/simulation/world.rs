//! A cluster, a ZITADEL and an operator in one process, on time of their own.

use std::cell::RefCell;
use std::io::Write;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Api, ApiResource, DynamicObject, GroupVersionKind, Patch, PatchParams};
use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;
use serde_json::{Value, json};
use support::canary::{self, Canaries, Lookout, Watch};
use support::kubernetes::Cluster;
use support::zitadel::{Behaviour, Double};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::subscriber::DefaultGuard;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::SubscriberExt;
use zitadel_operator::api::annotation;
use zitadel_operator::engine::decision::backoff::Delays;
use zitadel_operator::engine::decision::config::Config;
use zitadel_operator::engine::metrics::counters::Metrics;
use zitadel_operator::kinds::definitions;
use zitadel_operator::operator::{self, Options};
use zitadel_operator::runtime::ambient;
use zitadel_operator::runtime::growth::Growth;
use zitadel_operator::runtime::lease::Leadership;
use zitadel_operator::runtime::telemetry::may_be_logged;

use crate::line::ServerLine;
use crate::oracle::Oracle;

/// The namespace of every resource.
pub const NAMESPACE: &str = "team";

/// The connection of every resource, and its Secret.
pub const CONNECTION: &str = "zitadel";

/// The namespace of the operator, and a `ClusterConnection` for whoever shares it.
pub const HOME: &str = "zitadel-operator";
pub const SHARED: &str = "shared";

/// A value of a Secret that may show nowhere else.
pub const CANARY: &str = "canary-8d1f-72c3-e09b";

/// Of so many worlds one logs everything, and the log is searched for secrets: that costs more than the rest.
const LOGGED: usize = 16;

/// Made once: it takes longer than many a simulation.
pub static DEFINITIONS: LazyLock<Vec<CustomResourceDefinition>> = LazyLock::new(definitions);

/// Both servers, the operator, and the people who use them.
pub struct World {
    pub cluster: Cluster,
    pub client: kube::Client,
    pub zitadel: Double,
    /// The organization of the connection.
    pub acme: String,
    pub oracle: Arc<Oracle>,
    /// What may show nowhere: every value of a Secret, and the credentials in every request.
    canaries: Canaries,
    operator: RefCell<Option<Operator>>,
    token: RefCell<String>,
}

struct Operator {
    line: ServerLine,
    leadership: Leadership,
    stop: CancellationToken,
    task: JoinHandle<()>,
    metrics: Registry,
}

/// Runs a simulation: the same one for the same seed.
pub fn simulate<T>(seed: u64, behaviour: Behaviour, run: impl AsyncFnOnce(World) -> T) -> T {
    fastrand::seed(seed);
    let canaries = Watch::default().begin();
    let _logging = logged(&canaries);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.expect("a runtime").block_on(async {
        let epoch: Timestamp = "2026-01-01T00:00:00Z".parse().expect("a time");
        ambient::simulate(seed, epoch);
        run(World::new(seed, epoch, behaviour, canaries).await).await
    })
}

/// Searches the log of this thread for secrets, for one world of many; for each where a seed is replayed.
fn logged(canaries: &Canaries) -> Option<DefaultGuard> {
    static WORLDS: AtomicUsize = AtomicUsize::new(0);
    let chosen = WORLDS.fetch_add(1, Ordering::Relaxed).is_multiple_of(LOGGED);
    (chosen || std::env::var_os("SEED").is_some()).then(|| overheard(canaries))
}

/// The same for as long as the guard lives.
pub fn overheard(canaries: &Canaries) -> DefaultGuard {
    canary::log_panics();
    let lookout = Lookout::new(canaries.watch().clone());
    let subscriber = tracing_subscriber::registry().with(lookout).with(filter_fn(may_be_logged));
    tracing::subscriber::set_default(subscriber)
}

impl World {
    async fn new(seed: u64, epoch: Timestamp, behaviour: Behaviour, canaries: Canaries) -> Self {
        let cluster = Cluster::new(&DEFINITIONS);
        cluster.add_namespace(NAMESPACE);
        let zitadel = Double::builder().seed(seed).epoch(epoch).behaviour(behaviour).build();
        let acme = zitadel.add_organization("acme");
        furnish(&zitadel, &acme);
        let oracle = Arc::new(Oracle::new(&cluster, &zitadel, &acme, &canaries));
        let client = cluster.client();
        let world = Self {
            cluster,
            client,
            zitadel,
            acme,
            oracle,
            canaries,
            operator: RefCell::default(),
            token: RefCell::default(),
        };
        world.store_token(&world.zitadel.admin_token()).await;
        world.store("ConfigMap", "site", json!({ "data": { "region": "eu" } })).await;
        world.apply("Connection", CONNECTION, world.connection()).await;
        world
    }

    /// The spec of the connection.
    pub fn connection(&self) -> Value {
        json!({
            "url": self.zitadel.url(),
            "personalAccessToken": { "name": CONNECTION },
            "defaultOrganization": { "id": self.acme },
            "resyncInterval": "1m",
        })
    }

    /// Starts an operator.
    pub fn start(&self) {
        self.start_with(config());
    }

    /// Starts an operator with these settings.
    pub fn start_with(&self, config: Config) {
        let line = ServerLine::new(self.oracle.clone());
        let transport = line.transport(&self.zitadel);
        let leadership = Leadership::always();
        let mut metrics = Registry::default();
        let options = Options {
            leadership: leadership.clone(),
            metrics: Metrics::registered(&mut metrics),
            config,
            transport: Arc::new(move |_| Ok(transport.clone())),
            ..Options::new("zitadel-operator")
        };
        let stop = CancellationToken::new();
        let running = operator::run(line.client(&self.cluster), options, stop.clone());
        let task = tokio::spawn(async move { running.await.expect("no controller ends by itself") });
        self.operator.replace(Some(Operator { line, leadership, stop, task, metrics }));
    }

    /// The way of the running operator.
    pub fn line(&self) -> ServerLine {
        self.operator.borrow().as_ref().expect("a running operator").line.clone()
    }

    /// The metrics of the running operator.
    pub fn metrics(&self) -> String {
        let (operator, mut shown) = (self.operator.borrow(), String::new());
        encode(&mut shown, &operator.as_ref().expect("a running operator").metrics).expect("text");
        shown
    }

    /// Ends the operator at once, wherever it is; what it sent arrives.
    pub async fn crash(&self) {
        let running = self.operator.take();
        if let Some(operator) = running {
            operator.task.abort();
            let _ = operator.task.await;
        }
    }

    /// Ends the operator as SIGTERM does.
    pub async fn stop(&self) {
        let running = self.operator.take();
        if let Some(operator) = running {
            operator.stop.cancel();
            operator.task.await.expect("the operator ends in peace");
        }
    }

    /// Stops the operator for so long, as SIGSTOP does. Another takes over meanwhile, and stays.
    pub async fn stall(&self, span: Duration) {
        let Some(stalled) = self.operator.take() else { return };
        stalled.line.hold(true);
        self.start();
        tokio::time::sleep(span).await;
        // By its own clock its Lease is over; what it was about to send is sent.
        stalled.leadership.end();
        stalled.line.hold(false);
        tokio::time::sleep(Duration::from_millis(5)).await;
        stalled.task.abort();
        let _ = stalled.task.await;
    }

    /// Does an operator run?
    pub fn is_running(&self) -> bool {
        self.operator.borrow().is_some()
    }

    /// Puts a personal access token where the connection reads it.
    pub async fn store_token(&self, token: &str) {
        self.token.replace(token.to_owned());
        self.store("Secret", CONNECTION, json!({ "stringData": { "token": token } })).await;
    }

    /// The token that the connection has, or had last.
    pub fn token(&self) -> String {
        self.token.borrow().clone()
    }

    /// Shares the instance with the namespace, which may create organizations.
    pub async fn share(&self) {
        self.cluster.add_namespace(HOME);
        let secret = json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": { "name": SHARED },
            "stringData": { "token": self.zitadel.admin_token() },
        });
        let api = Api::<DynamicObject>::namespaced_with(self.client.clone(), HOME, &core("Secret"));
        api.patch(SHARED, &person(), &Patch::Apply(secret)).await.expect("stored");
        let body = json!({
            "apiVersion": "zitadel-operator.dev/v1alpha1", "kind": "ClusterConnection",
            "metadata": { "name": SHARED },
            "spec": {
                "url": self.zitadel.url(), "personalAccessToken": { "name": SHARED }, "resyncInterval": "1m",
                "access": [{ "namespaceSelector": {}, "createOrganizations": true }],
            },
        });
        let api = Api::<DynamicObject>::all_with(self.client.clone(), &ours("ClusterConnection"));
        api.patch(SHARED, &person(), &Patch::Apply(body)).await.expect("applied");
    }

    /// Takes a resource away before the operator can do anything about it, and makes it anew without its status.
    pub async fn restore(&self, kind: &str, name: &str) {
        let kept = self.get(kind, name).await;
        self.annotate(kind, name, annotation::PAUSED, json!("true")).await;
        let bare = Patch::Merge(json!({ "metadata": { "finalizers": null } }));
        let api = self.api(kind);
        api.patch(name, &PatchParams::default(), &bare).await.expect("patched");
        api.delete(name, &Default::default()).await.expect("deleted");
        let annotations = kept["metadata"]["annotations"].clone();
        self.apply_annotated(kind, name, annotations, kept["spec"].clone()).await;
    }

    /// Gives the connection another token, and ends the one before.
    pub async fn rotate_token(&self) {
        let before = self.token();
        self.store_token(&self.zitadel.issue_token(&self.zitadel.admin().user, None)).await;
        self.zitadel.revoke_token(&before);
    }

    /// Applies a Secret or ConfigMap that the operator may read.
    pub async fn store(&self, kind: &str, name: &str, mut object: Value) {
        if kind == "Secret" {
            self.canaries.mark_secret(name, &object);
        }
        (object["apiVersion"], object["kind"]) = (json!("v1"), json!(kind));
        object["metadata"] = json!({ "name": name, "labels": { "zitadel-operator.dev/allow": "true" } });
        let api = Api::<DynamicObject>::namespaced_with(self.client.clone(), NAMESPACE, &core(kind));
        api.patch(name, &person(), &Patch::Apply(object)).await.expect("stored");
    }

    /// Removes a Secret.
    pub async fn remove_secret(&self, name: &str) {
        let api = Api::<Secret>::namespaced(self.client.clone(), NAMESPACE);
        // It may have been removed already.
        let _ = api.delete(name, &Default::default()).await;
    }

    /// The API of one of our kinds.
    pub fn api(&self, kind: &str) -> Api<DynamicObject> {
        Api::namespaced_with(self.client.clone(), NAMESPACE, &ours(kind))
    }

    /// Applies a resource as a person does.
    pub async fn apply(&self, kind: &str, name: &str, spec: Value) {
        self.apply_annotated(kind, name, json!({}), spec).await;
    }

    /// Applies a resource with annotations as a person does.
    pub async fn apply_annotated(&self, kind: &str, name: &str, annotations: Value, mut spec: Value) {
        if kind != "Connection" && spec["connectionRef"].is_null() {
            spec["connectionRef"] = json!({ "kind": "Connection", "name": CONNECTION });
        }
        let body = json!({
            "apiVersion": "zitadel-operator.dev/v1alpha1", "kind": kind,
            "metadata": { "name": name, "annotations": annotations }, "spec": spec,
        });
        self.api(kind).patch(name, &person(), &Patch::Apply(body)).await.expect("applied");
    }

    /// Sets an annotation, or removes it with null. Of what is not there nothing is said.
    pub async fn annotate(&self, kind: &str, name: &str, annotation: &str, value: Value) {
        let patch = json!({ "metadata": { "annotations": { annotation: value } } });
        let _ = self.api(kind).patch(name, &PatchParams::default(), &Patch::Merge(patch)).await;
    }

    /// A resource as it is now; null if it is gone.
    pub async fn get(&self, kind: &str, name: &str) -> Value {
        serde_json::to_value(self.api(kind).get_opt(name).await.expect("an answer")).expect("JSON")
    }

    /// Asks for the deletion of a resource and returns at once.
    pub async fn delete(&self, kind: &str, name: &str) {
        // It may be gone already.
        let _ = self.api(kind).delete(name, &Default::default()).await;
    }

    /// Lets time pass until nothing was asked of ZITADEL for `quiet`, at most `patience`; answers whether it became quiet.
    pub async fn rest(&self, quiet: Duration, patience: Duration) -> bool {
        let end = tokio::time::Instant::now() + patience;
        let mut mark = self.zitadel.ledger().mark();
        while tokio::time::Instant::now() < end {
            tokio::time::sleep(quiet).await;
            if self.zitadel.ledger().mark() == mark {
                return true;
            }
            mark = self.zitadel.ledger().mark();
        }
        false
    }
}

/// The longest waits of production are shorter, so that a schedule is some minutes long, not hours.
pub fn config() -> Config {
    let growth = |base, cap| Growth { base: Duration::from_secs(base), cap: Duration::from_secs(cap) };
    let delays = Delays {
        transient: growth(1, 20),
        dependency: growth(2, 30),
        slow: growth(5, 60),
        rare: Duration::from_secs(60),
    };
    Config { delays, ..Config::default() }
}

/// Says it also where the test passes: only what the macros print is kept back.
pub fn say(text: &str) {
    // Nobody may be listening.
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// What belongs to others: beside ours, and under the same names elsewhere.
fn furnish(zitadel: &Double, acme: &str) {
    let other = zitadel.add_organization("other");
    for organization in [acme, &other] {
        zitadel.create_project(organization, "legacy");
        zitadel.set_metadata(organization, "theirs", b"kept");
    }
    zitadel.create_project(&other, "web");
    zitadel.set_metadata(&other, "tier", b"theirs");
}

/// One of our kinds.
pub fn ours(kind: &str) -> ApiResource {
    let definition = DEFINITIONS.iter().find(|crd| crd.spec.names.kind == kind).expect("our kind");
    let kind = GroupVersionKind::gvk(&definition.spec.group, "v1alpha1", kind);
    ApiResource::from_gvk_with_plural(&kind, &definition.spec.names.plural)
}

/// A Secret or ConfigMap.
pub fn core(kind: &str) -> ApiResource {
    ApiResource::from_gvk(&GroupVersionKind::gvk("", "v1", kind))
}

/// How a person applies.
pub fn person() -> PatchParams {
    PatchParams::apply("a-person").force()
}
