//! The files, ports and command lines of one control plane.

use std::collections::hash_map::RandomState;
use std::fs::{self, OpenOptions};
use std::hash::BuildHasher as _;
use std::io::{self, Write as _};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::json;

use super::assets::Binary;
use super::process::random_hex;
use super::{Error, pki};

/// Where each component listens, by its name in the flags below.
const PORTS: [&str; 4] = ["{etcd}", "{etcd-peer}", "{api-server}", "{controller-manager}"];
const ETCD_PORT: usize = 0;
const API_SERVER_PORT: usize = 2;

const ETCD: &str = "--name=test --data-dir={dir}/etcd --unsafe-no-fsync --log-level=warn
    --listen-client-urls=http://127.0.0.1:{etcd} --advertise-client-urls=http://127.0.0.1:{etcd}
    --listen-peer-urls=http://127.0.0.1:{etcd-peer} --initial-advertise-peer-urls=http://127.0.0.1:{etcd-peer}
    --initial-cluster=test=http://127.0.0.1:{etcd-peer}";

const API_SERVER: &str = "--etcd-servers=http://127.0.0.1:{etcd} --bind-address=127.0.0.1
    --advertise-address=127.0.0.1 --secure-port={api-server} --endpoint-reconciler-type=none
    --cert-dir={dir}/pki --tls-cert-file={dir}/pki/apiserver.crt --tls-private-key-file={dir}/pki/apiserver.key
    --client-ca-file={dir}/pki/ca.crt --token-auth-file={dir}/tokens.csv
    --authorization-mode=RBAC --anonymous-auth=false --allow-privileged=true --profiling=false
    --service-account-issuer=https://kubernetes.default.svc.cluster.local
    --service-account-key-file={dir}/pki/sa.pub --service-account-signing-key-file={dir}/pki/sa.key
    --service-cluster-ip-range=10.96.0.0/16 --shutdown-delay-duration=0s
    --requestheader-client-ca-file={dir}/pki/front-proxy-ca.crt
    --requestheader-allowed-names=front-proxy-client --requestheader-username-headers=X-Remote-User
    --requestheader-group-headers=X-Remote-Group --requestheader-extra-headers-prefix=X-Remote-Extra-
    --proxy-client-cert-file={dir}/pki/front-proxy.crt --proxy-client-key-file={dir}/pki/front-proxy.key";

/// In MB, and huge: marks are offsets, so the file must never be rotated.
const AUDIT: &str = "--audit-policy-file={dir}/audit-policy.yaml --audit-log-path={dir}/audit.log
    --audit-log-maxsize=100000";

/// With the default of 20 requests a second it needs 5 seconds more to log its controllers in.
const CONTROLLER_MANAGER: &str = "--kubeconfig={dir}/admin.kubeconfig
    --authentication-kubeconfig={dir}/admin.kubeconfig --authorization-kubeconfig={dir}/admin.kubeconfig
    --bind-address=127.0.0.1 --secure-port={controller-manager} --cert-dir={dir}/pki --leader-elect=false
    --use-service-account-credentials=true --kube-api-qps=500 --kube-api-burst=1000
    --service-account-private-key-file={dir}/pki/sa.key --root-ca-file={dir}/pki/ca.crt
    --cluster-signing-cert-file={dir}/pki/ca.crt --cluster-signing-key-file={dir}/pki/ca.key
    --service-cluster-ip-range=10.96.0.0/16";

const CLIENT: &str = "--kubeconfig={dir}/admin.kubeconfig";

/// Only what is meant to change something, once it is decided; and all that an installed operator asks for.
const AUDIT_POLICY: &str = "apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- {level: Metadata, userGroups: ['system:serviceaccounts:zitadel-operator']}
- {level: Metadata, verbs: [create, update, patch, delete, deletecollection]}
- {level: None}
";

#[derive(Debug)]
pub(super) struct Workspace {
    dir: PathBuf,
    audited: bool,
    ports: [u16; 4],
    pub(super) token: String,
    pub(super) ca_pem: String,
}

impl Workspace {
    /// Chooses free ports and writes certificates, tokens and the administrator's kubeconfig into `dir`.
    pub(super) fn prepare(dir: &Path, audited: bool) -> Result<Self, Error> {
        let pki = dir.join("pki");
        fs::create_dir(&pki).map_err(Error::io("make", &pki))?;
        let ports = free_ports().map_err(Error::io("find free ports for", dir))?;
        let (token, ca_pem) = (random_hex(16), pki::write(&pki)?);
        let site = Self { dir: dir.to_path_buf(), audited, ports, token, ca_pem };
        site.write("tokens.csv", &format!("{},admin,admin,system:masters\n", site.token))?;
        site.write("audit-policy.yaml", AUDIT_POLICY)?;
        site.write_kubeconfig("admin", &site.token)?;
        Ok(site)
    }

    pub(super) fn url(&self) -> String {
        format!("https://127.0.0.1:{}", self.ports[API_SERVER_PORT])
    }

    pub(super) fn etcd_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.ports[ETCD_PORT])
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    pub(super) fn write_kubeconfig(&self, user: &str, token: &str) -> Result<PathBuf, Error> {
        let ca = BASE64_STANDARD.encode(&self.ca_pem);
        // JSON is YAML, and needs no other library.
        let kubeconfig = json!({
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "test", "cluster": {"server": self.url(), "certificate-authority-data": ca}}],
            "users": [{"name": user, "user": {"token": token}}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": user}}],
            "current-context": "test",
        });
        self.write(&format!("{user}.kubeconfig"), &format!("{kubeconfig:#}\n"))
    }

    /// The arguments of this program; all they name is in this directory.
    pub(super) fn arguments(&self, binary: Binary) -> Vec<String> {
        match binary {
            Binary::Etcd => self.fill_in(ETCD),
            Binary::ApiServer if self.audited => [self.fill_in(API_SERVER), self.fill_in(AUDIT)].concat(),
            Binary::ApiServer => self.fill_in(API_SERVER),
            Binary::ControllerManager => self.fill_in(CONTROLLER_MANAGER),
            Binary::Kubectl | Binary::Helm => self.fill_in(CLIENT),
            Binary::Promtool => Vec::new(),
        }
    }

    fn fill_in(&self, flags: &str) -> Vec<String> {
        let named = PORTS.iter().zip(self.ports);
        let ports = |flag: &str| {
            named.clone().fold(flag.to_owned(), |f, (name, port)| f.replace(name, &port.to_string()))
        };
        let dir = self.dir.display().to_string();
        flags.split_whitespace().map(|flag| ports(flag).replace("{dir}", &dir)).collect()
    }

    fn write(&self, name: &str, text: &str) -> Result<PathBuf, Error> {
        let path = self.path(name);
        let opened = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&path);
        opened.and_then(|mut file| file.write_all(text.as_bytes())).map_err(Error::io("write", &path))?;
        Ok(path)
    }
}

/// Not port 0: what that gives lies in the range of outgoing connections, where a client that retries a stopped
/// server can end up connected to itself and hold the port for good.
fn free_ports() -> io::Result<[u16; 4]> {
    let start = RandomState::new().hash_one(()) % 10_000;
    let candidates = (start..start + 2_000).map(|step| 20_000 + (step % 10_000) as u16);
    let free = candidates.filter_map(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).ok());
    let held: Vec<TcpListener> = free.take(PORTS.len()).collect();
    let ports =
        held.iter().map(|listener| Ok(listener.local_addr()?.port())).collect::<io::Result<Vec<_>>>()?;
    ports.try_into().map_err(|_| io::Error::other("2000 ports tried, too few are free"))
}
