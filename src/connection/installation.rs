//! Where the operator runs.

use crate::zitadel::Proxy;

/// Where the operator runs.
#[derive(Clone, Debug)]
pub struct Installation {
    /// Its namespace: the Secrets of every `ClusterConnection` are here.
    pub namespace: String,
    /// What this installation is called: the names of its roles begin with it.
    pub name: String,
    /// Its ServiceAccount.
    pub service_account: String,
    /// In a cluster a tenant's `Connection` may not point at the operator's own loopback or link-local network.
    pub in_cluster: bool,
    /// What the https of a `ClusterConnection` goes through. A tenant's `Connection` has no use of it: a proxy resolves
    /// names itself, and stands in a network that is not the tenant's.
    pub proxy: Option<Proxy>,
}

impl Installation {
    /// The command that lets the operator read the Secrets and ConfigMaps of a namespace. Its RoleBinding has another
    /// name than the chart's there: Helm refuses to make what is there already.
    pub fn reading(&self, namespace: &str) -> String {
        let Self { name, namespace: own, service_account: account, .. } = self;
        let role = format!("{name}-secret-reader");
        format!(
            "kubectl create rolebinding {role}-by-hand -n {namespace} --clusterrole={role} --serviceaccount={own}:{account}"
        )
    }
}
