//! The operator as a whole: stores, engine and controllers, from start to shutdown.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt, future};
use k8s_openapi::api::core::v1::Namespace;
use kube::core::PartialObjectMeta;
use kube::runtime::watcher;
use kube::{Api, ResourceExt};
use tokio::task::JoinSet;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::api::{ClusterConnection, Connection};
use crate::connection::any_connection::AnyConnection;
use crate::connection::connections::Connections;
use crate::connection::controller::follow::{self, FollowContext};
use crate::connection::installation::Installation;
use crate::connection::stores::ConnectionStores;
use crate::engine::admission::limiter::Admissions;
use crate::engine::controllers::controller::{scoped, scopes};
use crate::engine::controllers::sources;
use crate::engine::decision::config::Config;
use crate::engine::index::selector::Selector;
use crate::engine::kubernetes::fence;
use crate::engine::metrics::counters::Metrics;
use crate::engine::shared::Engine;
use crate::engine::watch::reflected_store::{StoreWriter, reflected_store};
use crate::engine::watch::sources::Sources;
use crate::kinds;
use crate::runtime::admin::{Component, Readiness};
use crate::runtime::kubernetes::{Clients, Watching};
use crate::runtime::lease::Leadership;
use crate::zitadel::{TransportFactory, http_transport};

/// What an installation and its ServiceAccount are called where nothing else is said.
pub const NAME: &str = "zitadel-operator";

/// No more reconciles of one instance run at a time.
const UNDER_WAY: u16 = 8;

/// What is under way at the end may take so long: a call to ZITADEL and the status after it. A Pod has 45 s, in which
/// the Lease is to be given up too.
const DRAIN: Duration = Duration::from_secs(25);

const NAMESPACE: &str = "Namespace";

/// What [`run`] needs besides the Kubernetes API.
pub struct Options {
    /// Where the operator runs.
    pub installation: Installation,
    /// The engine's settings.
    pub config: Config,
    /// How ZITADEL is reached.
    pub transport: Arc<TransportFactory>,
    /// Whether this process may write.
    pub leadership: Leadership,
    /// Where the parts say that they are ready.
    pub readiness: Readiness,
    /// What is counted.
    pub metrics: Metrics,
}

impl Options {
    /// Production settings for an operator in this namespace that needs no leader election.
    pub fn new(operator_namespace: impl Into<String>) -> Self {
        let installation = Installation {
            namespace: operator_namespace.into(),
            name: NAME.into(),
            service_account: NAME.into(),
            in_cluster: false,
            proxy: None,
        };
        Self {
            installation,
            config: Config::default(),
            transport: Arc::new(http_transport),
            leadership: Leadership::always(),
            readiness: Readiness::default(),
            metrics: Metrics::default(),
        }
    }
}

/// The names under which the parts of the operator say that they are ready.
pub fn components() -> Vec<&'static str> {
    [vec![NAMESPACE], reconciled()].concat()
}

fn reconciled() -> Vec<&'static str> {
    let connections = [Connection::NAME, ClusterConnection::NAME].into_iter();
    connections.chain(kinds::registry().iter().map(|entry| entry.kind)).collect()
}

/// Why the operator ended before it was told to.
#[derive(Debug, thiserror::Error)]
#[error("the {0} controller ended by itself")]
pub struct Ended(&'static str);

/// Runs every controller until `stop`, then lets running reconciles end, for [`DRAIN`] at most.
///
/// Before the leadership begins it stands by: it follows the cluster, and neither writes nor calls ZITADEL.
///
/// # Errors
/// A controller ended by itself; the others were stopped.
pub async fn run(
    clients: impl Into<Clients>,
    options: Options,
    stop: CancellationToken,
) -> Result<(), Ended> {
    let mut clients: Clients = clients.into();
    let Options { installation, config, transport, leadership, readiness, metrics } = options;
    clients.calls = fence::kubernetes(clients.calls, leadership.clone());
    let transport = fence::zitadel(transport, leadership.clone());
    metrics.watches(NAMESPACE);
    reconciled().into_iter().for_each(|name| metrics.follows(name, config.concurrency));
    let scopes = scopes(&config);
    let (namespaced, namespaced_feeds): (Vec<_>, Vec<_>) = scopes.iter().map(|_| reflected_store()).unzip();
    let (cluster, cluster_feed) = reflected_store();
    let (namespaces, namespaces_feed) = reflected_store();
    let stores = ConnectionStores { namespaced: namespaced.clone(), cluster: cluster.clone() };
    let (sources, wanted) = Sources::new();
    let admissions =
        Arc::new(Admissions::new(Arc::default(), most_under_way(&config), metrics.zitadel.clone()));
    let (calls, gates) = (clients.calls.clone(), admissions.clone());
    let connections =
        Connections::new(calls, installation, config.clone(), stores, transport, sources, gates);
    let engine = Arc::new(Engine::new(
        kinds::registry().iter().map(|entry| entry.kind).collect(),
        clients.clone(),
        config,
        connections,
        namespaces,
        metrics,
        leadership,
    ));
    engine.metrics.shows(Arc::<Engine>::downgrade(&engine));
    let mut controllers = Controllers::default();
    let context = |scope| FollowContext {
        engine: engine.clone(),
        namespace: scope,
        readiness: readiness.clone(),
        stop: stop.clone(),
    };
    for ((scope, reader), feed) in scopes.into_iter().zip(namespaced).zip(namespaced_feeds) {
        let api = scoped(clients.resources.clone(), scope.as_deref());
        controllers.spawn("Connection", follow::follow::<Connection>(context(scope), api, reader, feed));
    }
    let all = follow::follow::<ClusterConnection>(
        context(None),
        Api::all(clients.resources),
        cluster,
        cluster_feed,
    );
    controllers.spawn("ClusterConnection", all);
    let (e, r, s) = (&engine, &readiness, &stop);
    let named = r.register(NAMESPACE);
    controllers.spawn(NAMESPACE, follow_namespaces(e.clone(), named, namespaces_feed, s.clone()));
    controllers.spawn("Source", sources::follow(e.clone(), wanted, s.clone()));
    controllers.spawn("Admission", serve(admissions, e.clone(), s.clone()));
    for entry in kinds::registry() {
        controllers.spawn(entry.kind, (entry.follow)(e.clone(), r.clone(), s.clone()));
    }
    drained(controllers.0, &stop).await
}

/// The controllers that run; each ends with its name.
#[derive(Default)]
struct Controllers(JoinSet<&'static str>);

impl Controllers {
    fn spawn(&mut self, name: &'static str, controller: impl Future<Output = ()> + Send + 'static) {
        self.0.spawn(async move {
            controller.await;
            name
        });
    }
}

/// Wakes whose turn it is; at the end nobody begins any more.
async fn serve(admissions: Arc<Admissions>, engine: Arc<Engine>, stop: CancellationToken) {
    stop.run_until_cancelled(admissions.serve()).await;
    engine.workers.end();
}

/// Reconciles of one instance at a time: one that is slow never occupies all workers of a kind by itself.
fn most_under_way(config: &Config) -> u16 {
    (config.concurrency / 2).clamp(1, UNDER_WAY)
}

/// A reconcile may go on for minutes where ZITADEL is slow; one that is dropped is taken up by whoever leads next.
async fn drained(controllers: JoinSet<&'static str>, stop: &CancellationToken) -> Result<(), Ended> {
    let late = async {
        stop.cancelled().await;
        sleep(DRAIN).await;
    };
    tokio::select! {
        result = supervise(controllers, stop) => result,
        () = late => {
            tracing::warn!(after = ?DRAIN, "what is still under way is left to who leads next");
            Ok(())
        }
    }
}

/// One controller that ends too early ends them all: the process is better started anew.
async fn supervise(mut controllers: JoinSet<&'static str>, stop: &CancellationToken) -> Result<(), Ended> {
    let mut result = Ok(());
    while let Some(ended) = controllers.join_next().await {
        if !stop.is_cancelled() {
            result = Err(Ended(ended.unwrap_or("crashed")));
            stop.cancel();
        }
    }
    result
}

/// Keeps the labels of namespaces, and wakes the resources of one whose labels changed: grants may follow them.
async fn follow_namespaces(
    engine: Arc<Engine>,
    ready: Component,
    feed: StoreWriter<PartialObjectMeta<Namespace>>,
    stop: CancellationToken,
) {
    use watcher::Event::{Apply, Delete, Init, InitApply, InitDone};
    let api = Api::all(engine.clients.resources.clone());
    let mut labels: HashMap<String, BTreeMap<String, String>> = HashMap::new();
    let watching = feed
        .follow(api, Watching::Resources.config(), engine.leadership.clone(), engine.bulk.clone())
        .take_until(stop.cancelled())
        .for_each(|event| {
            match event {
                Ok(Apply(namespace) | InitApply(namespace)) => {
                    let name = namespace.name_any();
                    let known = labels.insert(name.clone(), namespace.labels().clone());
                    // What is seen before the first list is complete is no change.
                    if engine.namespaces.is_filled() && known.as_ref() != Some(namespace.labels()) {
                        engine.requeues.wake(engine.resources(Selector::Namespace(&name)));
                    }
                }
                Ok(Delete(namespace)) => drop(labels.remove(&namespace.name_any())),
                Ok(Init | InitDone) => {}
                Err(error) => engine.watch_failed(NAMESPACE, &error),
            }
            future::ready(())
        });
    let report_ready = async {
        if engine.namespaces.warm().await {
            ready.ready();
        }
    };
    future::join(watching, report_ready).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_reconcile_without_end_does_not_keep_the_process() {
        let (mut controllers, stop) = (Controllers::default(), CancellationToken::new());
        controllers.spawn("slow", future::pending());
        let running = drained(controllers.0, &stop);
        let begun = tokio::time::Instant::now();
        let (ended, ()) = future::join(running, async {
            sleep(Duration::from_secs(3600)).await;
            stop.cancel();
        })
        .await;
        assert!(ended.is_ok());
        assert_eq!(begun.elapsed(), Duration::from_secs(3600) + DRAIN);
    }
}
