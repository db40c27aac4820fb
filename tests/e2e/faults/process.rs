//! The operator's binary as a process of its own.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;
use support::canary::Canaries;
use zitadel_operator::engine::decision::config::Config;

use crate::rights::Forbidden;
use crate::waits::until_answered;
use crate::world::{World, config};

/// Clock ticks a second in `/proc`, on every Linux.
const TICKS: u64 = 100;

/// A running operator; killed when dropped.
pub struct Process {
    child: Child,
    log: Arc<Mutex<Vec<Value>>>,
    canaries: Canaries,
    forbidden: Forbidden,
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Process {
    /// Starts one that follows the world's namespace, and has its Lease there.
    pub async fn start(world: &World, arguments: &[&str]) -> Self {
        Self::start_through(&world.control_plane.url(), world, arguments).await
    }

    /// The same for this URL of the API server.
    pub async fn start_through(url: &str, world: &World, arguments: &[&str]) -> Self {
        let followed = Config { namespaces: vec![world.namespace.clone()], ..config() };
        let account = world.account(&world.namespace, followed).await;
        let kubeconfig = redirected(account.kubeconfig(), &world.control_plane.url(), url);
        Self::start_as(&kubeconfig, account.name(), world, arguments)
    }

    /// The same for this way to the API server, as the operator of this name.
    pub fn start_as(kubeconfig: &Path, name: &str, world: &World, arguments: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_zitadel-operator"));
        command.args(["run", "--admin-address", "127.0.0.1:0", "--watch-namespace", &world.namespace]);
        command.args(arguments).env_clear().env("KUBECONFIG", kubeconfig);
        command.envs([("POD_NAMESPACE", world.namespace.as_str()), ("OPERATOR_NAME", name)]);
        command.env("LOG_FORMAT", "json");
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("a process");
        let (stdout, stderr) = (child.stdout.take().expect("piped"), child.stderr.take().expect("piped"));
        let (canaries, forbidden) = (world.canaries.clone(), world.forbidden.clone());
        let process = Self { child, log: Arc::default(), canaries, forbidden };
        process.follow(stdout);
        process.follow(stderr);
        process
    }

    /// Keeps what it writes, and searches it for secrets and for rights that it lacks.
    fn follow(&self, stream: impl Read + Send + 'static) {
        let (log, canaries, forbidden) = (self.log.clone(), self.canaries.clone(), self.forbidden.clone());
        std::thread::spawn(move || {
            for line in BufReader::new(stream).lines().map_while(Result::ok) {
                canaries.watch().inspect(format_args!("what the binary writes"), line.as_bytes());
                forbidden.read(&line);
                let line = serde_json::from_str(&line).unwrap_or_else(|_| line.into());
                log.lock().unwrap().push(line);
            }
        });
    }

    /// Ends it as the kubelet does.
    pub async fn terminate(mut self) {
        self.signal("TERM");
        self.until_ended().await;
    }

    pub fn signal(&self, name: &str) {
        let (signal, pid) = (format!("-{name}"), self.child.id().to_string());
        assert!(Command::new("kill").args([signal, pid]).status().expect("kill").success());
    }

    /// Waits for its end; answers its exit code, if it was not killed.
    pub async fn until_ended(&mut self) -> Option<i32> {
        let ended = until_answered("ended", async || {
            let status = self.child.try_wait().expect("its state");
            (status.is_some(), status)
        });
        ended.await.and_then(|status| status.code())
    }

    /// Waits until it has logged this message; answers the line.
    pub async fn until_logged(&self, message: &str) -> Value {
        let what = format!("logged {message:?}");
        let line = until_answered(&what, async || {
            let line = self.log().into_iter().find(|line| line["message"] == message);
            (line.is_some(), line)
        });
        line.await.expect("a line")
    }

    /// What its probe of readiness answers.
    pub async fn readyz(&self) -> (u16, String) {
        let answer = self.ask("readyz").await;
        (answer.status().as_u16(), answer.text().await.expect("a text"))
    }

    pub async fn until_ready(&self) {
        until_answered("ready", async || {
            let (status, text) = self.readyz().await;
            (status == 200, text)
        })
        .await;
    }

    /// Where its probes and metrics are.
    pub async fn admin(&self) -> String {
        let starting = self.until_logged("starting").await;
        starting["admin"].as_str().expect("an address").to_owned()
    }

    async fn ask(&self, path: &str) -> reqwest::Response {
        reqwest::get(format!("http://{}/{path}", self.admin().await)).await.expect("an answer")
    }

    /// What it logged so far.
    pub fn log(&self) -> Vec<Value> {
        self.log.lock().unwrap().clone()
    }

    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("its state").is_none()
    }

    /// The most memory it ever had, in MiB.
    pub fn peak_memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("it runs");
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a peak");
        peak.trim().trim_end_matches(" kB").parse::<u64>().expect("kilobytes") / 1024
    }

    /// The processor time it has used.
    pub fn processor_time(&self) -> Duration {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).expect("it runs");
        let fields: Vec<&str> = stat.rsplit_once(") ").expect("a name").1.split(' ').collect();
        let ticks: u64 = fields[11..13].iter().map(|ticks| ticks.parse::<u64>().expect("ticks")).sum();
        Duration::from_millis(ticks * 1000 / TICKS)
    }

    /// The page that Prometheus reads.
    pub async fn metrics(&self) -> String {
        let answer = self.ask("metrics").await;
        let text = answer.text().await.expect("metrics");
        self.canaries.watch().inspect(format_args!("/metrics"), text.as_bytes());
        text
    }
}

/// The same kubeconfig for another URL of the API server.
fn redirected(kubeconfig: &Path, from: &str, to: &str) -> PathBuf {
    let text = std::fs::read_to_string(kubeconfig).unwrap();
    let path = kubeconfig.with_extension("redirected");
    std::fs::write(&path, text.replace(from, to)).unwrap();
    path
}
