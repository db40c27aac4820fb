//! A real etcd, kube-apiserver and kube-controller-manager on this machine, for tests and the playground.
//!
//! There is no kubelet: pods are never run. [`ControlPlane::shared`] is the one for tests (a namespace for
//! each); [`ControlPlane::start`] is for tests that stop its parts. Nothing outlives the process that started
//! it, even if that is killed.

mod assets;
mod audit;
mod build;
mod error;
pub(crate) mod pki;
mod process;
mod recipe;
mod site;

use std::collections::BTreeMap;
use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::OnceCell;

pub use assets::{Assets, Binary};
pub use audit::{AuditEntry, AuditMark, AuditObject, AuditStatus, AuditUser};
pub use error::Error;
pub use process::{Process, ScratchDir};
use site::Workspace;

const READY_WITHIN: Duration = Duration::from_secs(60);
const PORT_ATTEMPTS: u32 = 3;
/// Made by the controller manager, so its presence says that it works.
const DEFAULT_SERVICE_ACCOUNT: &str = "/api/v1/namespaces/default/serviceaccounts/default";

static SHARED: OnceCell<Result<ControlPlane, Error>> = OnceCell::const_new();

/// What a control plane is to have, see [`ControlPlane::builder`].
#[derive(Clone, Copy, Debug)]
pub struct Builder {
    audited: bool,
    controller_manager: bool,
}

impl Builder {
    /// Logs every write, for [`ControlPlane::audit_since`]. Off by default.
    #[must_use]
    pub const fn audit(mut self, on: bool) -> Self {
        self.audited = on;
        self
    }

    /// Runs kube-controller-manager: without it namespaces are never gone, owned objects not collected, and
    /// namespaces get no service account. On by default; without it the published `envtest` archives will do.
    #[must_use]
    pub const fn controller_manager(mut self, on: bool) -> Self {
        self.controller_manager = on;
        self
    }

    /// Starts it, and returns when it is ready: `/readyz` answers, and so does the controller manager.
    ///
    /// # Errors
    /// The binaries cannot be had (see [`Assets::ensure`]), or a component ended or was not ready in 60 s: the
    /// error then quotes its log.
    pub async fn start(self) -> Result<ControlPlane, Error> {
        let needs: &[Binary] = if self.controller_manager { &Binary::ALL } else { &Binary::ENVTEST };
        let found = tokio::task::spawn_blocking(move || Assets::ensure(needs)).await;
        let assets = found.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))?;
        for _ in 1..PORT_ATTEMPTS {
            match self.launch(&assets).await {
                Err(error) if error.is_port_taken() => {}
                done => return done,
            }
        }
        self.launch(&assets).await
    }

    async fn launch(self, assets: &Assets) -> Result<ControlPlane, Error> {
        let base = runs_dir();
        let scratch = ScratchDir::create(&base).map_err(Error::io("make a directory in", &base))?;
        let site = Workspace::prepare(scratch.path(), self.audited)?;
        let running = Mutex::default();
        let (assets, options) = (assets.clone(), self);
        let control_plane = ControlPlane { running, site, assets, options, scratch };
        control_plane.run(Binary::Etcd)?;
        control_plane.start_api_server().await?;
        Ok(control_plane)
    }
}

/// A running control plane. Dropping it kills its processes and removes its files, before `drop` returns.
#[derive(Debug)]
pub struct ControlPlane {
    // First, because fields are dropped in this order and the files go last.
    running: Mutex<BTreeMap<Binary, Process>>,
    site: Workspace,
    assets: Assets,
    options: Builder,
    scratch: ScratchDir,
}

impl ControlPlane {
    /// The one of this process, audited, started on first use. It works from any runtime, and is gone when the
    /// process has ended. Do not stop its parts: other tests use it too.
    ///
    /// # Panics
    /// It could not be started; every caller then gets the same message, without another attempt.
    pub async fn shared() -> &'static Self {
        match SHARED.get_or_init(|| Self::builder().audit(true).start()).await {
            Ok(control_plane) => control_plane,
            Err(error) => panic!("{error}"),
        }
    }

    /// Starts one with the defaults.
    ///
    /// # Errors
    /// See [`Builder::start`].
    pub async fn start() -> Result<Self, Error> {
        Self::builder().start().await
    }

    /// With a controller manager, without an audit log.
    #[must_use]
    pub const fn builder() -> Builder {
        Builder { audited: false, controller_manager: true }
    }

    /// `https://127.0.0.1:PORT`.
    #[must_use]
    pub fn url(&self) -> String {
        self.site.url()
    }

    /// A bearer token of the group `system:masters`.
    #[must_use]
    pub fn admin_token(&self) -> &str {
        &self.site.token
    }

    /// The certificate that the API server's is signed with.
    #[must_use]
    pub fn ca_pem(&self) -> &str {
        &self.site.ca_pem
    }

    /// The administrator's kubeconfig: an absolute path, mode 0600.
    #[must_use]
    pub fn kubeconfig_path(&self) -> PathBuf {
        self.site.path("admin.kubeconfig")
    }

    /// Writes a kubeconfig that logs in with `token`, such as one of `kubectl create token`. `user` is the name
    /// in it and of its file.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn kubeconfig_for(&self, user: &str, token: &str) -> Result<PathBuf, Error> {
        self.site.write_kubeconfig(user, token)
    }

    /// `kubectl` as administrator. Of the caller's environment it sees only `PATH`.
    #[must_use]
    pub fn kubectl(&self) -> Command {
        self.client(Binary::Kubectl)
    }

    /// `helm` as administrator. Of the caller's environment it sees only `PATH`.
    #[must_use]
    pub fn helm(&self) -> Command {
        self.client(Binary::Helm)
    }

    /// The directory with the binaries.
    #[must_use]
    pub fn bin_dir(&self) -> &Path {
        self.assets.dir()
    }

    /// What this component has logged so far.
    #[must_use]
    pub fn log_path(&self, component: Binary) -> PathBuf {
        self.site.path(&format!("{}.log", component.file_name()))
    }

    /// Kills the API server, as a crash would.
    pub fn stop_api_server(&self) {
        self.stop(Binary::ApiServer);
    }

    /// Starts the API server again, on the same port, and returns when it is ready; also the controller manager,
    /// should that have ended (it normally reconnects by itself). Nothing happens to what is running.
    ///
    /// # Errors
    /// A component ended or was not ready in 60 s.
    pub async fn start_api_server(&self) -> Result<(), Error> {
        self.run(Binary::ApiServer)?;
        self.wait_for("/readyz", &[Binary::Etcd, Binary::ApiServer]).await?;
        if self.options.controller_manager {
            self.run(Binary::ControllerManager)?;
            let components = [Binary::ApiServer, Binary::ControllerManager];
            self.wait_for(DEFAULT_SERVICE_ACCOUNT, &components).await?;
        }
        Ok(())
    }

    /// Kills etcd, as a crash would; its data stays.
    pub fn stop_etcd(&self) {
        self.stop(Binary::Etcd);
    }

    /// Starts etcd again, on the same ports and data, and waits for the rest as [`Self::start_api_server`].
    ///
    /// # Errors
    /// A component ended or was not ready in 60 s.
    pub async fn start_etcd(&self) -> Result<(), Error> {
        self.run(Binary::Etcd)?;
        self.start_api_server().await
    }

    /// Where etcd answers, its JSON gateway too.
    #[must_use]
    pub fn etcd_url(&self) -> String {
        self.site.etcd_url()
    }

    /// The moment up to which writes have been logged: all that were answered by now.
    ///
    /// # Errors
    /// It runs without [`Builder::audit`].
    pub fn audit_mark(&self) -> Result<AuditMark, Error> {
        audit::mark(&self.site.path("audit.log"))
    }

    /// The writes since then, of every user, in the order in which they were answered; with the reads of the
    /// service accounts of the namespace `zitadel-operator`.
    ///
    /// # Errors
    /// It runs without [`Builder::audit`], or the log cannot be read.
    pub fn audit_since(&self, mark: AuditMark) -> Result<Vec<AuditEntry>, Error> {
        audit::since(&self.site.path("audit.log"), mark)
    }

    fn running(&self) -> MutexGuard<'_, BTreeMap<Binary, Process>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn stop(&self, component: Binary) {
        // Not in one statement: the lock must not be held while the process is waited for.
        let stopped = self.running().remove(&component);
        drop(stopped);
    }

    fn run(&self, component: Binary) -> Result<(), Error> {
        let mut running = self.running();
        let path = self.assets.path(component);
        if let Some(process) = running.get_mut(&component)
            && process.exited().map_err(Error::io("ask about", &path))?.is_none()
        {
            return Ok(());
        }
        let log = self.log_path(component);
        let mut command = Process::command(&path, &log);
        command.args(self.site.arguments(component)).current_dir(self.scratch.path());
        let process = Process::spawn(command, &log, &self.scratch).map_err(Error::io("start", &path))?;
        running.insert(component, process);
        Ok(())
    }

    fn check_alive(&self, components: &[Binary]) -> Result<(), Error> {
        for (component, process) in self.running().iter_mut().filter(|(name, _)| components.contains(name)) {
            let name = component.file_name();
            if let Some(status) = process.exited().map_err(Error::io("wait for", Path::new(name)))? {
                return Err(Error::Exited(name, status, process.log_tail()));
            }
        }
        Ok(())
    }

    async fn wait_for(&self, path: &'static str, components: &[Binary]) -> Result<(), Error> {
        let authority = reqwest::Certificate::from_pem(self.ca_pem().as_bytes())?;
        let client = reqwest::Client::builder().tls_certs_only([authority]).no_proxy();
        let client = client.timeout(Duration::from_secs(5)).build()?;
        let started = Instant::now();
        loop {
            self.check_alive(components)?;
            let request = client.get(self.url() + path).bearer_auth(self.admin_token());
            let answer = match request.send().await {
                Ok(response) if response.status().is_success() => return Ok(()),
                Ok(response) => response.status().to_string(),
                Err(error) => format!("{error:?}"),
            };
            if started.elapsed() > READY_WITHIN {
                let log = self.running().get(&Binary::ApiServer).map(Process::log_tail);
                return Err(Error::NotReady(path, answer, log.unwrap_or_default()));
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    fn client(&self, binary: Binary) -> Command {
        let mut command = Command::new(self.assets.path(binary));
        // A kubeconfig, proxy or context of the caller's must not reach another cluster; caches go with HOME.
        command.env_clear().envs(env::var_os("PATH").map(|path| ("PATH", path)));
        command.env("HOME", self.scratch.path()).env("KUBECONFIG", self.kubeconfig_path());
        command.args(self.site.arguments(binary));
        command
    }
}

/// One directory a user: others' would not be ours to write or sweep.
fn runs_dir() -> PathBuf {
    let user = env::var("USER").unwrap_or_else(|_| "run".to_owned());
    let temp = env::temp_dir();
    std::path::absolute(&temp).unwrap_or(temp).join(format!("zitadel-operator-{user}"))
}
