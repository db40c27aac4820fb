//! The ServiceAccount of an operator, whose rights can be given, cut and taken.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures::future::{join_all, try_join_all};
use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::authorization::v1::{SelfSubjectRulesReview, SelfSubjectRulesReviewSpec};
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::api::{Api, DeleteParams, DynamicObject, Patch, PatchParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::core::{ApiResource, GroupVersionKind};
use serde_json::{Value, json};
use tokio::sync::Mutex;

use super::Install;
use crate::waits::until_answered;
use crate::world::World;

/// The accounts of one world.
#[derive(Default)]
pub struct Accounts(Mutex<Vec<Arc<Account>>>);

impl Accounts {
    /// The one of this installation.
    pub async fn of(&self, world: &World, install: Install) -> Arc<Account> {
        let mut known = self.0.lock().await;
        if let Some(account) = known.iter().find(|account| account.install == install) {
            return account.clone();
        }
        let release = format!("{}-{}", world.namespace, known.len());
        let account = Arc::new(Account::install(world, install, &release).await);
        known.push(account.clone());
        account
    }
}

/// A ServiceAccount with what the chart grants it.
pub struct Account {
    install: Install,
    release: String,
    admin: kube::Client,
    objects: Vec<Value>,
    kubeconfig: PathBuf,
}

impl Account {
    async fn install(world: &World, install: Install, release: &str) -> Self {
        let mut objects = install.manifest(world.control_plane, release);
        let kept_back = world.forbidden.kept_back();
        objects.iter_mut().for_each(|object| cut(object, &kept_back));
        let admin = world.client.clone();
        try_join_all(objects.iter().map(|object| apply(&admin, object))).await.unwrap();
        let token = token(&admin, &install.home_organization, release).await;
        let kubeconfig = world.control_plane.kubeconfig_for(release, &token).unwrap();
        let account = Self { install, release: release.to_owned(), admin, objects, kubeconfig };
        account.until_known(true).await;
        account
    }

    /// Its name, and that of the installation.
    pub fn name(&self) -> &str {
        &self.release
    }

    /// A kubeconfig that logs in as it.
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// A client of its own connections that logs in as it.
    pub async fn client(&self) -> kube::Client {
        let (kubeconfig, options) =
            (Kubeconfig::read_from(&self.kubeconfig).unwrap(), KubeConfigOptions::default());
        let config = kube::Config::from_custom_kubeconfig(kubeconfig, &options).await.unwrap();
        kube::Client::try_from(config).unwrap()
    }

    /// Gives back what was taken.
    pub async fn give(&self) {
        try_join_all(self.bindings().map(|binding| apply(&self.admin, binding))).await.unwrap();
        self.until_known(true).await;
    }

    /// Takes every right.
    pub async fn take(&self) {
        let params = DeleteParams::default();
        for binding in self.bindings() {
            api(&self.admin, binding).delete(name_of(binding), &params).await.unwrap();
        }
        self.until_known(false).await;
    }

    fn bindings(&self) -> impl Iterator<Item = &Value> {
        self.objects.iter().filter(|object| object["kind"].as_str().unwrap().ends_with("Binding"))
    }

    /// The server decides by a copy of the rules that is late by a moment.
    async fn until_known(&self, granted: bool) {
        let client = self.client().await;
        let mut namespaces: Vec<&String> =
            self.install.used.iter().chain([&self.install.home_organization]).collect();
        namespaces.sort();
        namespaces.dedup();
        join_all(namespaces.iter().map(|namespace| self.until_known_in(namespace, &client, granted))).await;
    }

    async fn until_known_in(&self, namespace: &str, client: &kube::Client, granted: bool) {
        let here = self.bindings().filter(|binding| {
            binding["kind"] == "ClusterRoleBinding" || binding["metadata"]["namespace"] == namespace
        });
        until_applied(&self.rules(here), granted, client, namespace).await;
    }

    /// Waits until the server knows that what was granted in this namespace alone is gone.
    pub async fn until_lost(&self, namespace: &str) {
        let here = self.bindings().filter(|binding| binding["metadata"]["namespace"] == namespace);
        until_applied(&self.rules(here), false, &self.client().await, namespace).await;
    }

    /// What these bindings grant.
    fn rules<'a>(&self, bindings: impl Iterator<Item = &'a Value>) -> Vec<Value> {
        let role_of = |binding: &Value| {
            let (role, namespace) = (&binding["roleRef"], &binding["metadata"]["namespace"]);
            let is_it = |object: &&Value| {
                object["kind"] == role["kind"]
                    && object["metadata"]["name"] == role["name"]
                    && (role["kind"] == "ClusterRole" || object["metadata"]["namespace"] == *namespace)
            };
            self.objects.iter().find(is_it).expect("a role of the chart")["rules"].clone()
        };
        bindings.flat_map(|binding| role_of(binding).as_array().cloned().unwrap_or_default()).collect()
    }
}

/// Waits until all of these rules apply in the namespace to whoever asks, or none.
async fn until_applied(rules: &[Value], granted: bool, client: &kube::Client, namespace: &str) {
    until_answered("was told its rights", async || {
        let known = rules_of(client, namespace).await;
        let wrong: Vec<_> = rules.iter().filter(|rule| known.contains(rule) != granted).collect();
        (wrong.is_empty(), format!("{wrong:?}"))
    })
    .await;
}

/// Leaves a role without these `verb resource`.
fn cut(role: &mut Value, kept_back: &[String]) {
    let Some(rules) = role["rules"].as_array().filter(|_| !kept_back.is_empty()) else { return };
    let words = |list: &Value| -> Vec<String> { serde_json::from_value(list.clone()).unwrap() };
    let mut left = Vec::new();
    for rule in rules {
        for resource in words(&rule["resources"]) {
            let mut verbs = words(&rule["verbs"]);
            verbs.retain(|verb| !kept_back.contains(&format!("{verb} {resource}")));
            if !verbs.is_empty() {
                let mut rule = rule.clone();
                (rule["resources"], rule["verbs"]) = (json!([resource]), json!(verbs));
                left.push(rule);
            }
        }
    }
    role["rules"] = json!(left);
}

fn name_of(object: &Value) -> &str {
    object["metadata"]["name"].as_str().unwrap()
}

fn api(admin: &kube::Client, object: &Value) -> Api<DynamicObject> {
    let version = object["apiVersion"].as_str().unwrap();
    let (group, version) = version.rsplit_once('/').unwrap_or(("", version));
    let resource =
        ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, object["kind"].as_str().unwrap()));
    match object["metadata"]["namespace"].as_str() {
        Some(namespace) => Api::namespaced_with(admin.clone(), namespace, &resource),
        None => Api::all_with(admin.clone(), &resource),
    }
}

async fn apply(admin: &kube::Client, object: &Value) -> kube::Result<DynamicObject> {
    let params = PatchParams::apply("helm").force();
    api(admin, object).patch(name_of(object), &params, &Patch::Apply(object)).await
}

async fn token(admin: &kube::Client, namespace: &str, name: &str) -> String {
    let spec = TokenRequestSpec { expiration_seconds: Some(6 * 3600), ..TokenRequestSpec::default() };
    let request = TokenRequest { spec, ..TokenRequest::default() };
    let accounts = Api::<ServiceAccount>::namespaced(admin.clone(), namespace);
    let minted = accounts.create_token_request(name, &PostParams::default(), &request).await.unwrap();
    minted.status.unwrap().token
}

/// All that whoever asks may do in a namespace, as the roles say it.
async fn rules_of(client: &kube::Client, namespace: &str) -> Vec<Value> {
    let spec = SelfSubjectRulesReviewSpec { namespace: Some(namespace.to_owned()) };
    let review = SelfSubjectRulesReview { spec, ..SelfSubjectRulesReview::default() };
    let answer = Api::all(client.clone()).create(&PostParams::default(), &review).await.unwrap();
    let rules = answer.status.unwrap().resource_rules;
    rules.iter().map(|rule| serde_json::to_value(rule).unwrap()).collect()
}
