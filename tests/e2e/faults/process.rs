//! The operator's binary as a process of its own.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;
use support::canary::Canaries;

use crate::waits::until_answered;
use crate::world::World;

/// Clock ticks a second in `/proc`, on every Linux.
const TICKS: u64 = 100;

/// A running operator; killed when dropped.
pub struct Process {
    child: Child,
    log: Arc<Mutex<Vec<Value>>>,
    canaries: Canaries,
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Process {
    /// Starts one that follows the world's namespace, and has its Lease there.
    pub fn start(world: &World, kubeconfig: &Path, arguments: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_zitadel-operator"));
        command.args(["run", "--admin-address", "127.0.0.1:0", "--watch-namespace", &world.namespace]);
        command.args(arguments).env_clear().env("KUBECONFIG", kubeconfig);
        command.envs([("POD_NAMESPACE", world.namespace.as_str()), ("LOG_FORMAT", "json")]);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("a process");
        let (stdout, stderr) = (child.stdout.take().expect("piped"), child.stderr.take().expect("piped"));
        let process = Self { child, log: Arc::default(), canaries: world.canaries.clone() };
        process.follow(stdout);
        process.follow(stderr);
        process
    }

    /// Keeps what it writes, and searches it for secrets.
    fn follow(&self, stream: impl Read + Send + 'static) {
        let (log, canaries) = (self.log.clone(), self.canaries.clone());
        std::thread::spawn(move || {
            for line in BufReader::new(stream).lines().map_while(Result::ok) {
                canaries.watch().look(format_args!("what the binary writes"), line.as_bytes());
                let line = serde_json::from_str(&line).unwrap_or_else(|_| line.into());
                log.lock().unwrap().push(line);
            }
        });
    }

    /// Ends it as the kubelet does.
    pub async fn terminate(mut self) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().expect("kill").success());
        until_answered("ended", async || (!self.is_running(), ())).await;
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

    /// Where its probes and metrics are.
    pub async fn admin(&self) -> String {
        let starting = until_answered("said where its probes are", async || {
            let starting = self.log().into_iter().find(|line| line["message"] == "starting");
            (starting.is_some(), starting)
        });
        starting.await.expect("a line")["admin"].as_str().expect("an address").to_owned()
    }

    /// The page that Prometheus reads.
    pub async fn metrics(&self) -> String {
        let admin = self.admin().await;
        let answer = reqwest::get(format!("http://{admin}/metrics")).await.expect("an answer");
        let text = answer.text().await.expect("metrics");
        self.canaries.watch().look(format_args!("/metrics"), text.as_bytes());
        text
    }
}

/// A kubeconfig of the administrator for this URL of the API server.
pub fn kubeconfig(world: &World, url: &str) -> PathBuf {
    let control_plane = world.control_plane;
    let path = control_plane.kubeconfig_for(&world.namespace, control_plane.admin_token()).unwrap();
    let text = std::fs::read_to_string(&path).unwrap().replace(&control_plane.url(), url);
    std::fs::write(&path, text).unwrap();
    path
}
