//! The operator of a test has the rights that the chart gives its ServiceAccount, for real.
//!
//! `E2E_RIGHTS=cluster` installs the chart with its defaults: the operator follows all namespaces, and sees the world's
//! own. `E2E_RIGHTS=namespaces` names the world's in `watchNamespaces`. Without it the name of a test decides, so that a
//! run has both; a test that names the namespaces it follows is always of the second sort.

mod account;
mod chart;
mod forbidden;
mod sight;

use std::sync::Arc;

use zitadel_operator::engine::decision::config::Config;

pub use account::{Account, Accounts};
pub use chart::Install;
pub use forbidden::Forbidden;
pub use sight::only;

use crate::world::{World, config};

/// Where an operator may follow resources.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rights {
    /// Everywhere.
    Cluster,
    /// In the namespaces that it is told.
    Namespaces,
}

impl Rights {
    /// Those of this test. A test run by one thread alone has no name: all are then of one sort.
    pub fn of_this_test() -> Self {
        let forced = std::env::var("E2E_RIGHTS").ok().filter(|forced| !forced.is_empty());
        match forced.as_deref() {
            Some("cluster") => Self::Cluster,
            Some("namespaces") => Self::Namespaces,
            Some(other) => panic!("E2E_RIGHTS is cluster or namespaces, and not {other:?}"),
            None => Self::of(std::thread::current().name().unwrap_or_default()),
        }
    }

    fn of(test: &str) -> Self {
        match test.bytes().map(u32::from).sum::<u32>() % 2 {
            0 => Self::Cluster,
            _ => Self::Namespaces,
        }
    }
}

impl World {
    /// These settings for the rights of this world.
    pub fn confined(&self, config: Config) -> Config {
        match self.rights {
            Rights::Namespaces if config.namespaces.is_empty() => {
                Config { namespaces: vec![self.namespace.clone()], ..config }
            }
            _ => config,
        }
    }

    /// What the operator of this namespace may do under these settings; given at once.
    pub async fn account(&self, home_organization: &str, config: Config) -> Arc<Account> {
        let watched = self.confined(config).namespaces;
        let used = if watched.is_empty() { vec![self.namespace.clone()] } else { watched.clone() };
        let install = Install { home_organization: home_organization.to_owned(), watched, used };
        self.accounts.of(self, install).await
    }

    /// The way to the cluster of an operator that lives in the world's namespace.
    pub async fn operator_client(&self) -> kube::Client {
        self.account(&self.namespace, config()).await.client().await
    }
}
