//! Many namespaces and several instances behind one operator, where every request to ZITADEL is on the record.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use http::{Request, Response};
use jiff::Timestamp;
use kube::api::{Api, DynamicObject, Patch};
use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;
use serde_json::{Value, json};
use support::kubernetes::Cluster;
use support::zitadel::Double;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use zitadel_operator::api::annotation::PAUSED;
use zitadel_operator::engine::decision::config::Config;
use zitadel_operator::engine::metrics::counters::{Metrics, Visits};
use zitadel_operator::operator::{self, Options};
use zitadel_operator::runtime::admin::Readiness;
use zitadel_operator::runtime::ambient;
use zitadel_operator::zitadel::{Transport, TransportError};

use crate::world::{DEFINITIONS, core, ours, person};

/// Where the operator is at home.
const HOME: &str = "zitadel-operator";
/// As the transport of production.
const TIMEOUT: Duration = Duration::from_secs(15);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Under this host one of the instances is found too.
const ALIAS: &str = "alias.example";

/// How an instance is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum State {
    /// It answers after so long.
    Answers(Duration),
    /// Nobody listens.
    Refuses,
    /// It accepts no connection and says nothing.
    BlackHole,
    /// It answers 429, and says to come back after so many seconds.
    Limits(u64),
    /// It answers 503.
    Starts,
}

/// It answers as quickly as one in the neighbourhood.
pub const WELL: State = State::Answers(Duration::from_millis(20));

/// One ZITADEL.
pub struct Instance {
    pub double: Double,
    pub acme: String,
    host: &'static str,
    state: Arc<Mutex<State>>,
    sent: Arc<Mutex<Vec<Instant>>>,
}

impl Instance {
    /// From now on it is so.
    pub fn set(&self, state: State) {
        *self.state.lock().unwrap() = state;
    }

    /// When each request was sent to it, whether it arrived or not.
    pub fn sent(&self) -> Vec<Instant> {
        self.sent.lock().unwrap().clone()
    }

    /// How many requests were sent to it since.
    pub fn sent_since(&self, since: Instant) -> usize {
        self.sent().iter().filter(|at| **at >= since).count()
    }

    /// When each project was first asked for, in seconds after the start.
    pub fn creations(&self, started: Timestamp) -> BTreeMap<String, f64> {
        let mut creations = BTreeMap::new();
        let path = "/management/v1/projects";
        for request in self.double.ledger().select(|r| r.method == http::Method::POST && r.path == path) {
            let name = request.body["name"].as_str().unwrap_or_default().to_owned();
            let after = request.at.duration_since(started).as_secs_f64();
            creations.entry(name).or_insert(after);
        }
        creations
    }
}

/// The cluster, the instances and the operator.
pub struct Estate {
    pub cluster: Cluster,
    client: kube::Client,
    instances: Vec<Arc<Instance>>,
    operator: Option<Operator>,
}

/// One that runs.
struct Operator {
    stop: CancellationToken,
    task: JoinHandle<()>,
    metrics: Registry,
    visits: Visits,
    readiness: Readiness,
}

/// Runs a simulation on time of its own.
pub fn estate<T>(seed: u64, run: impl AsyncFnOnce(Estate) -> T) -> T {
    fastrand::seed(seed);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.expect("a runtime").block_on(async {
        ambient::simulate(seed, epoch());
        let cluster = Cluster::new(&DEFINITIONS);
        cluster.add_namespace(HOME);
        let client = cluster.client();
        run(Estate { cluster, client, instances: Vec::new(), operator: None }).await
    })
}

fn epoch() -> Timestamp {
    "2026-01-01T00:00:00Z".parse().expect("a time")
}

impl Estate {
    /// An instance under this host (and [`ALIAS`]), with an organization `acme`.
    pub fn instance(&mut self, host: &'static str) -> Arc<Instance> {
        let seed = self.instances.len() as u64;
        let double = Double::builder().seed(seed).epoch(epoch()).domain(host).domain(ALIAS).build();
        let acme = double.add_organization("acme");
        let (state, sent) = (Arc::new(Mutex::new(WELL)), Arc::default());
        let instance = Arc::new(Instance { double, acme, host, state, sent });
        self.instances.push(instance.clone());
        instance
    }

    /// The second way to an instance, which may be broken where the first is well.
    pub fn alias(&mut self, of: &Instance) -> Arc<Instance> {
        let (double, acme) = (of.double.clone(), of.acme.clone());
        let (state, sent) = (Arc::new(Mutex::new(WELL)), of.sent.clone());
        let instance = Arc::new(Instance { double, acme, host: ALIAS, state, sent });
        self.instances.push(instance.clone());
        instance
    }

    /// A `ClusterConnection` that everybody may use.
    pub async fn cluster_connection(&self, name: &str, to: &Instance, rate: (u32, u32)) {
        self.cluster_connection_with(name, to, rate, "10m").await;
    }

    /// The same, looking again after so long.
    pub async fn cluster_connection_with(&self, name: &str, to: &Instance, rate: (u32, u32), resync: &str) {
        self.secret(HOME, name, &to.double.admin_token()).await;
        let all = json!([{ "namespaceSelector": {}, "organizations": [{ "all": true }] }]);
        self.grant(name, to, rate, resync, all).await;
    }

    /// The same, used by those who are granted it.
    pub async fn grant(&self, name: &str, to: &Instance, rate: (u32, u32), resync: &str, access: Value) {
        let mut spec = connection(name, to, rate);
        (spec["resyncInterval"], spec["access"]) = (json!(resync), access);
        self.apply("ClusterConnection", "", name, spec).await;
    }

    /// Sets the grants of a `ClusterConnection`.
    pub async fn share(&self, name: &str, to: &Instance, access: Value) {
        let mut spec = connection(name, to, (1000, 1000));
        spec["access"] = access;
        self.apply("ClusterConnection", "", name, spec).await;
    }

    /// A `Connection` of a namespace.
    pub async fn connection(&self, namespace: &str, to: &Instance, rate: (u32, u32)) {
        self.cluster.add_namespace(namespace);
        self.secret(namespace, "own", &to.double.admin_token()).await;
        self.apply("Connection", namespace, "own", connection("own", to, rate)).await;
    }

    /// So many projects of a namespace, named after it.
    pub async fn projects(&self, namespace: &str, through: Value, count: usize) {
        self.cluster.add_namespace(namespace);
        for number in 0..count {
            self.project(namespace, through.clone(), &format!("{namespace}-{number}")).await;
        }
    }

    /// One project.
    pub async fn project(&self, namespace: &str, through: Value, name: &str) {
        self.apply("Project", namespace, name, json!({ "connectionRef": through })).await;
    }

    /// So many more of a namespace, with which nothing is to be done.
    pub async fn paused_projects(&self, namespace: &str, through: Value, count: usize) {
        for number in 0..count {
            let name = format!("{namespace}-paused-{number}");
            let metadata = json!({ "name": name, "annotations": { PAUSED: "true" } });
            self.store("Project", namespace, metadata, json!({ "connectionRef": through })).await;
        }
    }

    /// Applies a resource as a person does.
    pub async fn apply(&self, kind: &str, namespace: &str, name: &str, spec: Value) {
        self.store(kind, namespace, json!({ "name": name }), spec).await;
    }

    async fn store(&self, kind: &str, namespace: &str, metadata: Value, spec: Value) {
        let name = metadata["name"].as_str().expect("a name").to_owned();
        let body = json!({
            "apiVersion": "zitadel-operator.dev/v1alpha1", "kind": kind, "metadata": metadata, "spec": spec,
        });
        self.api(kind, namespace).patch(&name, &person(), &Patch::Apply(body)).await.expect("applied");
    }

    async fn secret(&self, namespace: &str, name: &str, token: &str) {
        let body = json!({
            "apiVersion": "v1", "kind": "Secret", "stringData": { "token": token },
            "metadata": { "name": name, "labels": { "zitadel-operator.dev/allow": "true" } },
        });
        let api = Api::<DynamicObject>::namespaced_with(self.client.clone(), namespace, &core("Secret"));
        api.patch(name, &person(), &Patch::Apply(body)).await.expect("stored");
    }

    /// The API of one of our kinds; without a namespace in all of them.
    pub fn api(&self, kind: &str, namespace: &str) -> Api<DynamicObject> {
        match namespace {
            "" => Api::all_with(self.client.clone(), &ours(kind)),
            namespace => Api::namespaced_with(self.client.clone(), namespace, &ours(kind)),
        }
    }

    /// Starts the operator of production, with its own delays.
    pub fn start(&mut self) {
        self.start_with(Config::default());
    }

    /// The same with these settings.
    pub fn start_with(&mut self, config: Config) {
        let transport: Arc<dyn Transport> = Arc::new(Net { instances: self.instances.clone() });
        let (mut metrics, readiness, stop) =
            (Registry::default(), Readiness::default(), CancellationToken::new());
        let counted = Metrics::registered(&mut metrics);
        let visits = counted.visits.clone();
        let options = Options {
            transport: Arc::new(move |_| Ok(transport.clone())),
            config,
            metrics: counted,
            readiness: readiness.clone(),
            ..Options::new(HOME)
        };
        let running = operator::run(self.client.clone(), options, stop.clone());
        let task = tokio::spawn(async move { running.await.expect("no controller ends by itself") });
        self.operator = Some(Operator { stop, task, metrics, visits, readiness });
    }

    /// Ends the operator as SIGTERM does.
    pub async fn end(&mut self) {
        let operator = self.operator.take().expect("a running operator");
        operator.stop.cancel();
        operator.task.await.expect("the operator ends in peace");
    }

    /// The names of the projects of the first instance.
    pub fn project_names(&self) -> Vec<String> {
        let instance = self.instances.first().expect("an instance");
        let projects = instance.double.projects(&instance.acme).into_iter();
        let mut names: Vec<String> = projects.map(|project| project.settings.name).collect();
        names.sort_unstable();
        names
    }

    /// What the running operator is not ready for.
    pub fn waiting_for(&self) -> Vec<String> {
        self.running().readiness.waiting_for()
    }

    /// The sum of a metric of the running operator over all series with this label.
    pub fn metric(&self, name: &str, label: &str) -> f64 {
        let mut shown = String::new();
        encode(&mut shown, &self.running().metrics).expect("text");
        let series =
            shown.lines().filter(|line| line.starts_with(&format!("{name}{{")) && line.contains(label));
        series.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
    }

    /// How many entries of its indexes the running operator has looked at.
    pub fn visits(&self) -> u64 {
        self.running().visits.get()
    }

    fn running(&self) -> &Operator {
        self.operator.as_ref().expect("a running operator")
    }

    /// The projects of a namespace (of all without one) that are not ready.
    pub async fn unready(&self, namespace: &str) -> Vec<String> {
        let projects = self.api("Project", namespace).list(&Default::default()).await.expect("a list");
        let is_ready = |object: &DynamicObject| {
            let conditions = object.data["status"]["conditions"].as_array().cloned().unwrap_or_default();
            let holds = |kind: &str| conditions.iter().any(|c| c["type"] == kind && c["status"] == "True");
            holds("Ready") && holds("Synced")
        };
        let unready = projects.items.into_iter().filter(|object| !is_ready(object));
        unready.map(|object| object.metadata.name.unwrap_or_default()).collect()
    }

    /// Lets time pass until all projects are ready; answers how long it took.
    pub async fn converge(&self, patience: Duration) -> Duration {
        let since = Instant::now();
        loop {
            let unready = self.unready("").await;
            if unready.is_empty() {
                return since.elapsed();
            }
            assert!(since.elapsed() < patience, "{} are not ready: {:?}", unready.len(), &unready[0]);
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }
}

/// The reference to a `Connection` of the namespace.
pub fn own() -> Value {
    json!({ "kind": "Connection", "name": "own" })
}

/// The reference to a `ClusterConnection`.
pub fn shared(name: &str) -> Value {
    json!({ "kind": "ClusterConnection", "name": name })
}

fn connection(name: &str, to: &Instance, (requests_per_second, burst): (u32, u32)) -> Value {
    json!({
        "url": format!("http://{}", to.host),
        "insecure": true,
        "personalAccessToken": { "name": name },
        "defaultOrganization": { "id": to.acme },
        "rateLimit": { "requestsPerSecond": requests_per_second, "burst": burst },
    })
}

/// Carries requests to the instance of their host.
struct Net {
    instances: Vec<Arc<Instance>>,
}

impl Transport for Net {
    fn send(&self, request: Request<Bytes>) -> BoxFuture<'_, Result<Response<Bytes>, TransportError>> {
        let host = request.uri().host().unwrap_or_default().to_owned();
        let instance =
            self.instances.iter().find(|instance| instance.host == host).expect("a known host").clone();
        async move {
            instance.sent.lock().unwrap().push(Instant::now());
            let state = *instance.state.lock().unwrap();
            match state {
                State::Answers(after) => answered(&instance, request, after).await,
                State::Refuses => Err(TransportError::Unreachable("connection refused".into())),
                State::BlackHole => {
                    tokio::time::sleep(CONNECT_TIMEOUT).await;
                    Err(TransportError::Timeout(CONNECT_TIMEOUT))
                }
                State::Limits(seconds) => {
                    let answer = Response::builder().status(429).header("retry-after", seconds);
                    Ok(answer.body(Bytes::new()).expect("an answer"))
                }
                State::Starts => Ok(Response::builder().status(503).body(Bytes::new()).expect("an answer")),
            }
        }
        .boxed()
    }
}

async fn answered(
    instance: &Instance,
    request: Request<Bytes>,
    after: Duration,
) -> Result<Response<Bytes>, TransportError> {
    tokio::time::sleep(after.min(TIMEOUT)).await;
    if after >= TIMEOUT {
        return Err(TransportError::Timeout(TIMEOUT));
    }
    let answer = instance.double.call(request).await;
    answer.map_err(|_| TransportError::Unreachable("connection closed".into()))
}

/// Does the record keep to a rate and a burst, at every moment?
pub fn keeps_to((rate, burst): (u32, u32), sent: &[Instant]) -> bool {
    let interval = Duration::from_secs(1) / rate;
    let Some(first) = sent.first() else { return true };
    let mut full_at = *first;
    sent.iter().all(|at| {
        full_at = full_at.max(*at) + interval;
        // Timers fire on whole milliseconds.
        full_at <= *at + interval * burst + Duration::from_millis(2)
    })
}
