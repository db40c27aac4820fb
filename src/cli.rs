//! The command line: `run` and `crds`.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::config::KubeConfigOptions;
use prometheus_client::registry::Registry;
use secrecy::{ExposeSecret, SecretString};
use tokio_util::sync::CancellationToken;

use crate::api::crd;
use crate::connection::installation::Installation;
use crate::engine::decision::config::Config;
use crate::engine::metrics::counters::Metrics;
use crate::operator::{self, Options};
use crate::runtime::admin::{self, Admin, Readiness};
use crate::runtime::kubernetes::Clients;
use crate::runtime::lease::{self, Elector, Leadership};
use crate::runtime::{shutdown, telemetry};
use crate::zitadel::Proxy;

/// Who lost the Lease writes nothing any more; what it has under way may end for so long.
const DRAIN: Duration = Duration::from_secs(5);

/// Makes a ZITADEL instance follow Kubernetes custom resources.
#[derive(Debug, Parser)]
#[command(name = "zitadel-operator", version)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the operator.
    Run(Box<Run>),
    /// Print the CustomResourceDefinitions as YAML: `zitadel-operator crds | kubectl apply --server-side -f -`
    Crds,
}

#[derive(Debug, Args)]
struct Run {
    /// Namespace of the operator: the Secrets of ClusterConnections and the Lease are here.
    #[arg(long, env = "POD_NAMESPACE", default_value = "zitadel-operator")]
    operator_namespace: String,
    /// Name of this installation: that of its Lease, and what the names of its roles begin with.
    #[arg(long, env = "OPERATOR_NAME", default_value = operator::NAME)]
    name: String,
    /// The operator's ServiceAccount, for the commands in messages.
    #[arg(long, env = "SERVICE_ACCOUNT", default_value = operator::NAME)]
    service_account: String,
    /// Follow resources of this namespace only (repeatable; default: all).
    #[arg(long, env = "WATCH_NAMESPACE", value_delimiter = ',')]
    watch_namespace: Vec<String>,
    /// Follow resources with these labels only.
    #[arg(long, env = "LABEL_SELECTOR")]
    label_selector: Option<String>,
    /// Let a Lease elect the one process that writes (default: true in a cluster, false outside).
    #[arg(long, env = "LEADER_ELECTION", num_args = 0..=1, default_missing_value = "true")]
    leader_election: Option<bool>,
    /// Where /livez, /readyz, /metrics and, for the same machine, /log answer; [::] is every address, of IPv4 too.
    #[arg(long, env = "ADMIN_ADDRESS", default_value = "[::]:8080")]
    admin_address: SocketAddr,
    /// Reconciles of one kind at a time.
    #[arg(long, env = "CONCURRENCY", default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=1000))]
    concurrency: u16,
    /// The form of the logs.
    #[arg(long, env = "LOG_FORMAT", value_enum, default_value = "text")]
    log_format: telemetry::LogFormat,
    /// What is logged, as in `info,zitadel_operator=debug`; `PUT /log` changes it.
    #[arg(long, env = "LOG", default_value = "info,kube=warn")]
    log: String,
    /// The shortest resync interval, in seconds, that a connection may ask for.
    #[arg(long, env = "MIN_RESYNC_SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=604_800))]
    min_resync_seconds: u64,
    /// The most calls a second that a connection may ask for; a burst is at most twice that.
    #[arg(long, env = "MAX_REQUESTS_PER_SECOND", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1000))]
    max_requests_per_second: u32,
    /// The HTTP proxy for the https of ClusterConnections; no other variable of the environment names one to ZITADEL.
    #[arg(long, env = "PROXY", hide_env_values = true)]
    proxy: Option<SecretString>,
    /// Hosts, addresses and networks that are reached without the proxy (repeatable).
    #[arg(long, env = "PROXY_EXCEPT", value_delimiter = ',')]
    proxy_except: Vec<String>,
}

/// Why the process ends with a failure.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The logs cannot be set up.
    #[error(transparent)]
    Telemetry(#[from] telemetry::Error),
    /// The signals cannot be handled.
    #[error(transparent)]
    Shutdown(#[from] shutdown::Error),
    /// There is no way to a cluster.
    #[error("no Kubernetes API: {0}; run in a cluster, or set KUBECONFIG")]
    Kubernetes(String),
    /// The admin address cannot be used.
    #[error(transparent)]
    Admin(#[from] admin::Error),
    /// The Lease cannot be given up.
    #[error(transparent)]
    Lease(#[from] lease::Error),
    /// The proxy cannot be used.
    #[error("{0}")]
    Proxy(String),
    /// Leadership went to another process.
    #[error("leadership was lost: another process holds the Lease, or it could not be renewed in time")]
    LeadershipLost,
    /// A controller ended.
    #[error(transparent)]
    Ended(#[from] operator::Ended),
    /// Something could not be printed.
    #[error("cannot print: {0}")]
    Print(String),
}

impl Cli {
    /// Carries the command out; `run` returns at the end of the operator.
    pub async fn execute(self) -> Result<(), Error> {
        match self.command {
            Command::Run(run) => run.execute().await,
            Command::Crds => {
                let yaml = crds_yaml().map_err(Error::Print)?;
                print(&yaml)
            }
        }
    }
}

/// Every CustomResourceDefinition as a stream of YAML documents.
pub fn crds_yaml() -> Result<String, String> {
    crd::all().iter().map(crd_yaml).collect()
}

/// One CustomResourceDefinition as a YAML document, begun by its separator: the content of its file in `crds/`.
pub fn crd_yaml(definition: &CustomResourceDefinition) -> Result<String, String> {
    let document = serde_saphyr::to_string(definition).map_err(|error| error.to_string())?;
    Ok(format!("---\n{document}"))
}

fn print(text: &str) -> Result<(), Error> {
    use std::io::Write;
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(Error::Print(error.to_string())),
        _ => Ok(()),
    }
}

impl Run {
    async fn execute(self) -> Result<(), Error> {
        let filter = telemetry::init(self.log_format, &self.log)?;
        let proxy = self.proxy().map_err(Error::Proxy)?;
        let stop = shutdown::on_signals()?;
        let (clients, in_cluster) = kubernetes().await?;
        let mut registry = Registry::default();
        let metrics = Metrics::registered(&mut registry);
        let readiness = Readiness::default();
        let admin = Admin::bind(self.admin_address).await?;
        tracing::info!(version = env!("CARGO_PKG_VERSION"), admin = %admin.local_addr(), in_cluster, "starting");
        operator::components().into_iter().for_each(|name| drop(readiness.register(name)));
        let probes = CancellationToken::new();
        let serving =
            tokio::spawn(admin.serve(readiness.clone(), Arc::new(registry), filter, probes.clone()));
        let installation = self.installation(in_cluster, proxy);
        let options = |leadership| self.options(installation, leadership, readiness, metrics);
        let result = match self.leader_election.unwrap_or(in_cluster) {
            true => self.elect(clients, options, &stop).await,
            false => Ok(operator::run(clients, options(Leadership::always()), stop.clone()).await?),
        };
        probes.cancel();
        let served = serving.await.unwrap_or(Ok(()));
        tracing::info!("stopped");
        result.and(Ok(served?))
    }

    /// Stands by, leads once the Lease is held, and gives it up at the end.
    async fn elect(
        &self,
        clients: Clients,
        options: impl FnOnce(Leadership) -> Options,
        stop: &CancellationToken,
    ) -> Result<(), Error> {
        let host = std::env::var("HOSTNAME").unwrap_or_else(|_| "zitadel-operator".into());
        let identity = lease::unique_identity(&host);
        let elector = Elector::new(clients.lease.clone(), &self.operator_namespace, &self.name, identity);
        let (leadership, running) = (elector.leadership(), stop.child_token());
        let operator = operator::run(clients, options(leadership.clone()), running.clone());
        let lost = async {
            leadership.lost().cancelled().await;
            running.cancel();
            tokio::time::sleep(DRAIN).await;
        };
        let operator = async {
            tokio::select! {
                result = operator => result,
                () = lost => Ok(()),
            }
        };
        let (result, lease_guard) = futures::join!(operator, elector.acquire(&running));
        if leadership.lost().is_cancelled() {
            return Err(Error::LeadershipLost);
        }
        if let Some(lease_guard) = lease_guard {
            lease_guard.release().await?;
        }
        Ok(result?)
    }

    fn proxy(&self) -> Result<Option<Proxy>, String> {
        let url = self.proxy.as_ref().map(|url| url.expose_secret().trim()).filter(|url| !url.is_empty());
        url.map(|url| Proxy::parse(url, &self.proxy_except)).transpose()
    }

    fn installation(&self, in_cluster: bool, proxy: Option<Proxy>) -> Installation {
        Installation {
            namespace: self.operator_namespace.clone(),
            name: self.name.clone(),
            service_account: self.service_account.clone(),
            in_cluster,
            proxy,
        }
    }

    fn options(
        &self,
        installation: Installation,
        leadership: Leadership,
        readiness: Readiness,
        metrics: Metrics,
    ) -> Options {
        let named = |names: &[String]| -> BTreeSet<String> {
            names.iter().map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()).collect()
        };
        let config = Config {
            concurrency: self.concurrency,
            min_resync: Duration::from_secs(self.min_resync_seconds),
            max_requests_per_second: self.max_requests_per_second,
            namespaces: named(&self.watch_namespace).into_iter().collect(),
            label_selector: self.label_selector.clone().filter(|selector| !selector.trim().is_empty()),
            ..Config::default()
        };
        Options { installation, config, leadership, readiness, metrics, ..Options::new("") }
    }
}

/// The cluster this process runs in, else that of the current kubeconfig context.
async fn kubernetes() -> Result<(Clients, bool), Error> {
    let refused = |error: &dyn std::error::Error| Error::Kubernetes(error.to_string());
    let (config, in_cluster) = match kube::Config::incluster() {
        Ok(config) => (config, true),
        Err(_) => {
            let config = kube::Config::from_kubeconfig(&KubeConfigOptions::default()).await;
            (config.map_err(|error| refused(&error))?, false)
        }
    };
    let clients = Clients::new(&config).map_err(|error| refused(&error))?;
    Ok((clients, in_cluster))
}
