//! The operators of a test: each runs in this process, and every output of it is watched.

use support::canary::Canaries;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use zitadel_operator::engine::decision::config::Config;
use zitadel_operator::engine::metrics::counters::Metrics;
use zitadel_operator::operator::Options;

use crate::rights;
use crate::watched;
use crate::world::{World, config};

/// An operator running in this process, for one namespace.
pub struct Operator {
    stop: CancellationToken,
    task: JoinHandle<()>,
    metrics: Metrics,
    canaries: Canaries,
}

impl Operator {
    /// Lets it end its work, as SIGTERM does.
    pub async fn stop(mut self) {
        self.stop.cancel();
        (&mut self.task).await.expect("the operator ends in peace");
    }

    /// Ends it at once, wherever it is, as SIGKILL does.
    pub async fn crash(mut self) {
        self.task.abort();
        let _ = (&mut self.task).await;
    }
}

impl Drop for Operator {
    fn drop(&mut self) {
        self.task.abort();
        watched::metrics(&self.canaries, &self.metrics);
    }
}

impl World {
    /// Starts the operator with the settings of [`config`].
    pub async fn start_operator(&mut self) {
        self.start_operator_with(config()).await;
    }

    /// Starts the operator with these settings.
    pub async fn start_operator_with(&mut self, config: Config) {
        self.start_operator_of(config, &self.namespace.clone()).await;
    }

    /// Starts the operator with the settings of [`config`] and this way to the cluster.
    pub fn start_operator_through(&mut self, client: kube::Client) {
        self.operator = Some(self.operator(client, Metrics::default()));
    }

    /// Starts the operator as one of another namespace, whose Secrets need no label.
    pub async fn start_operator_from(&mut self, operator_namespace: &str) {
        self.start_operator_of(config(), operator_namespace).await;
    }

    /// The same with these settings.
    pub async fn start_operator_of(&mut self, config: Config, operator_namespace: &str) {
        self.start_operator_as(Options { config, ..Options::new(operator_namespace) }).await;
    }

    /// Starts the operator as one that runs in the cluster, in this namespace.
    pub async fn start_operator_in_cluster(&mut self, operator_namespace: &str) {
        let mut options = Options { config: config(), ..Options::new(operator_namespace) };
        options.installation.in_cluster = true;
        self.start_operator_as(options).await;
    }

    async fn start_operator_as(&mut self, mut options: Options) {
        let account = self.account(&options.installation.namespace, options.config.clone()).await;
        options.installation.name = account.name().to_owned();
        options.installation.service_account = account.name().to_owned();
        self.operator = Some(self.run(account.client().await, options));
    }

    /// Starts the operator with the settings of [`config`], this way to the cluster, and these metrics.
    pub fn start_operator_tapped(&mut self, client: kube::Client, metrics: Metrics) {
        self.operator = Some(self.operator(client, metrics));
    }

    /// Ends the operator as SIGTERM does.
    pub async fn stop_operator(&mut self) {
        self.operator.take().expect("a running operator").stop().await;
    }

    /// Ends the operator as SIGKILL does.
    pub async fn crash_operator(&mut self) {
        self.operator.take().expect("a running operator").crash().await;
    }

    /// An operator for this namespace with the settings of [`config`], besides the world's own.
    pub fn operator(&self, client: kube::Client, metrics: Metrics) -> Operator {
        self.run(client, Options { config: config(), metrics, ..Options::new(&self.namespace) })
    }

    /// Starts an operator with all these settings.
    pub fn run(&self, client: kube::Client, options: Options) -> Operator {
        let (stop, canaries, metrics) =
            (CancellationToken::new(), self.canaries.clone(), options.metrics.clone());
        let transport = watched::transport(options.transport, &canaries);
        let options = Options { transport, config: self.confined(options.config), ..options };
        let client = match options.config.namespaces.as_slice() {
            [] => rights::only(client, &self.namespace),
            _ => client,
        };
        let client = self.forbidden.watching(canaries.watching(client));
        let running = zitadel_operator::operator::run(client, options, stop.clone());
        let task = tokio::spawn(async move { running.await.expect("no controller ends by itself") });
        Operator { stop, task, metrics, canaries }
    }
}
