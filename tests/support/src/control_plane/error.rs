use std::io;
use std::path::Path;
use std::process::ExitStatus;

/// Why there is no control plane; its text says what to do about it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Neither binaries nor a Go to build them with: what is wrong with `KUBEBUILDER_ASSETS`.
    #[error(
        "no control plane binaries: {0}, the cache has none, and there is no `go` on PATH to build them; \
         install Go 1.26 or newer, or set KUBEBUILDER_ASSETS to a directory with etcd, kube-apiserver, \
         kube-controller-manager, kubectl and helm"
    )]
    NoGo(String),
    /// The Go on `PATH` cannot build this Kubernetes: its version.
    #[error("{0} is too old: install Go 1.26 or newer, or set KUBEBUILDER_ASSETS")]
    OldGo(String),
    /// No place for the binaries.
    #[error("no cache directory: set XDG_CACHE_HOME or HOME, or KUBEBUILDER_ASSETS")]
    NoCache,
    /// Go failed: the command and how it ended, the end of its output.
    #[error("{0} failed; its output ends with:\n{1}")]
    Build(String, String),
    /// The operating system refused: to do what, on which file or program, and why.
    #[error("cannot {0} {1}: {2}")]
    Io(&'static str, String, #[source] io::Error),
    /// A component ended by itself: which one, how, the end of its log.
    #[error("{0} ended ({1}); its log ends with:\n{2}")]
    Exited(&'static str, ExitStatus, String),
    /// No good answer in time: the path, the last answer, the end of the API server's log.
    #[error("no 200 from {0} in time, but {1}; the log of kube-apiserver ends with:\n{2}")]
    NotReady(&'static str, String, String),
    /// No certificate could be made.
    #[error("cannot make certificates: {0}")]
    Certificates(#[from] rcgen::Error),
    /// No HTTP client could be made.
    #[error("cannot make an HTTP client: {0}")]
    Client(#[from] reqwest::Error),
    /// The audit log is not what it should be.
    #[error("cannot read an audit entry: {0}")]
    Audit(#[from] serde_json::Error),
}

impl Error {
    pub(super) fn io(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.display().to_string();
        move |source| Self::Io(what, path, source)
    }

    pub(super) fn is_port_taken(&self) -> bool {
        matches!(self, Self::Exited(_, _, log) if log.contains("address already in use"))
    }
}
