//! What is built from pinned sources: the versions, the packages, and what it costs.

use aws_lc_rs::digest::{SHA256, digest};

use super::assets::Binary;
use super::build::ENVIRONMENT;
use super::process::hex;

/// Binaries that one build makes.
pub(super) struct Recipe {
    /// Names its part of the cache.
    pub(super) name: &'static str,
    pub(super) go_mod: &'static str,
    pub(super) go_sum: &'static str,
    pub(super) packages: &'static [&'static str],
    pub(super) binaries: &'static [Binary],
    /// What Go names otherwise than everybody else.
    pub(super) renamed: &'static [(&'static str, &'static str)],
    tags: Option<&'static str>,
    pub(super) what: &'static str,
    pub(super) takes: &'static str,
    pub(super) needs: &'static str,
}

const CONTROL_PLANE: Recipe = Recipe {
    name: "control-plane",
    go_mod: include_str!("../../control-plane/go.mod"),
    go_sum: include_str!("../../control-plane/go.sum"),
    packages: &[
        "go.etcd.io/etcd/server/v3",
        "k8s.io/kubernetes/cmd/kube-apiserver",
        "k8s.io/kubernetes/cmd/kube-controller-manager",
        "k8s.io/kubernetes/cmd/kubectl",
        "helm.sh/helm/v4/cmd/helm",
    ],
    binaries: &Binary::ALL,
    renamed: &[("server", "etcd")],
    tags: None,
    what: "etcd, Kubernetes and helm",
    takes: "8 minutes",
    needs: "5 GB",
};

const PROMTOOL: Recipe = Recipe {
    name: "promtool",
    go_mod: include_str!("../../promtool/go.mod"),
    go_sum: include_str!("../../promtool/go.sum"),
    packages: &["github.com/prometheus/prometheus/cmd/promtool"],
    binaries: &[Binary::Promtool],
    renamed: &[],
    // Nothing is discovered here; the clients of thirty clouds take longer to build than all the rest.
    tags: Some("-tags=remove_all_sd"),
    what: "promtool",
    takes: "3 minutes",
    needs: "2 GB",
};

impl Recipe {
    /// The one that makes these binaries.
    pub(super) fn of(needs: &[Binary]) -> &'static Self {
        if needs == [Binary::Promtool] { &PROMTOOL } else { &CONTROL_PLANE }
    }

    /// The part of a cache key that does not depend on the Go that builds.
    pub(super) fn key(&self) -> String {
        let Self { go_mod, go_sum, packages, .. } = self;
        let recipe = format!("{go_mod}{go_sum}{packages:?}{ENVIRONMENT:?}{:?}", self.build_flags());
        hex(&digest(&SHA256, recipe.as_bytes()).as_ref()[..8])
    }

    pub(super) fn tags(&self) -> Vec<String> {
        self.tags.into_iter().map(str::to_owned).collect()
    }

    /// Without `-dwarf=false` the build takes twice as long.
    pub(super) fn build_flags(&self) -> Vec<String> {
        let linker = ["-s -w".to_owned(), self.versions()].concat();
        let flags = ["-trimpath", "-gcflags=all=-dwarf=false", "-ldflags", &linker].map(str::to_owned);
        [flags.to_vec(), self.tags()].concat()
    }

    /// What `/version` and helm report.
    fn versions(&self) -> String {
        let Some(kubernetes) = self.pinned("k8s.io/kubernetes") else { return String::new() };
        let mut numbers = kubernetes.trim_start_matches('v').split('.');
        let (major, minor) = (numbers.next().unwrap_or_default(), numbers.next().unwrap_or_default());
        let helm = self.pinned("helm.sh/helm/v4").unwrap_or_default();
        let mut linker = format!(" -X helm.sh/helm/v4/internal/version.version={helm}");
        for package in ["k8s.io/component-base/version", "k8s.io/client-go/pkg/version"] {
            linker += &format!(" -X {package}.gitVersion={kubernetes} -X {package}.gitMajor={major}");
            linker += &format!(" -X {package}.gitMinor={minor} -X {package}.gitTreeState=clean");
        }
        linker
    }

    fn pinned(&self, module: &str) -> Option<&'static str> {
        let version = |line: &'static str| line.trim().strip_prefix(module)?.strip_prefix(' ');
        self.go_mod.lines().find_map(version)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_binary_is_made_by_one_recipe() {
        assert_eq!(Recipe::of(&Binary::ALL).binaries, Binary::ALL);
        assert_eq!(Recipe::of(&Binary::ENVTEST).name, "control-plane");
        assert_eq!(Recipe::of(&[Binary::Promtool]).binaries, [Binary::Promtool]);
    }

    #[test]
    fn a_program_reports_the_version_that_is_pinned() {
        let flags = CONTROL_PLANE.build_flags().join(" ");
        assert!(flags.contains(".gitVersion=v1.") && flags.contains("version.version=v4."), "{flags}");
        assert_ne!(CONTROL_PLANE.key(), PROMTOOL.key());
    }
}
