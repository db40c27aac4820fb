//! A namespace, a ZITADEL and an operator for one test.

use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use k8s_openapi::api::core::v1::{Namespace, Secret};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Api, ApiResource, DynamicObject, Patch, PatchParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{CustomResourceExt, ResourceExt};
use serde_json::{Value, json};
use support::canary::{self, Canaries, Watch};
use support::control_plane::ControlPlane;
use support::zitadel::Double;
use tokio::sync::OnceCell;
use zitadel_operator::api::Project;
use zitadel_operator::engine::decision::backoff::Delays;
use zitadel_operator::engine::decision::config::Config;
use zitadel_operator::kinds::definitions;
use zitadel_operator::runtime::growth::Growth;
use zitadel_operator::runtime::telemetry::may_be_logged;

use crate::operators::Operator;
use crate::person::Person;
use crate::rights::{Accounts, Forbidden, Rights};
use crate::verdicts;

/// No wait of a test is longer.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// The name of the connection that every world has.
pub const CONNECTION: &str = "zitadel";

static CRDS: OnceCell<()> = OnceCell::const_new();
static NEXT: AtomicU32 = AtomicU32::new(0);

/// The real ZITADEL the tests are to use: its URL and a token of an IAM_OWNER.
pub fn real_zitadel() -> Option<(String, String)> {
    let variable = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
    Some((variable("ZITADEL_TEST_URL")?, variable("ZITADEL_TEST_TOKEN")?))
}

/// Says which test is not run, and why.
pub fn skipped(why: &str) {
    eprintln!("skipped: {} {why}", std::thread::current().name().unwrap_or_default());
}

/// Ends a test that only the double can serve, where a real ZITADEL is to be used, and says what it needs.
#[macro_export]
macro_rules! needs_double {
    ($what:literal) => {
        if $crate::world::real_zitadel().is_some() {
            return $crate::world::skipped(concat!("needs ", $what, ", which only the double has"));
        }
    };
}

/// Skips a test of what everybody on a real server shares, unless no other test runs beside it.
#[macro_export]
macro_rules! needs_own_server {
    () => {
        if $crate::world::real_zitadel().is_some() && std::env::var_os("ZITADEL_TEST_ALONE").is_none() {
            return $crate::world::skipped(
                "changes what everybody shares: ZITADEL_TEST_ALONE and --test-threads 1 run it",
            );
        }
    };
}

/// One test's part of the cluster.
pub struct World {
    pub control_plane: &'static ControlPlane,
    pub client: kube::Client,
    /// Whoever edits ZITADEL behind the operator's back, on the double or on a real server.
    pub person: Person,
    /// A token of an IAM_OWNER that the connection may use: the one it has at first.
    pub token: String,
    /// The organization the connection defaults to: acme of the double, or a fresh one of the real server.
    pub organization: String,
    pub zitadel: Double,
    pub namespace: String,
    pub operator: Option<Operator>,
    /// What may show nowhere: every value of a Secret, and the credentials in every request.
    pub canaries: Canaries,
    /// What its operators may do.
    pub rights: Rights,
    pub accounts: Accounts,
    /// What its operators were refused.
    pub forbidden: Forbidden,
}

/// A real server keeps nothing of a test, no secret has shown anywhere, and the rights of the chart were enough.
impl Drop for World {
    fn drop(&mut self) {
        // An operator at work could still make a project in what is about to go.
        drop(self.operator.take());
        if real_zitadel().is_some() {
            self.clean_up();
        }
        if std::thread::panicking() {
            eprintln!("the operator had the rights of {:?}", self.rights);
        }
        self.canaries.end();
        self.forbidden.end();
    }
}

impl World {
    fn clean_up(&self) {
        let person = self.person.clone();
        let removing = std::thread::spawn(move || {
            let runtime = tokio::runtime::Runtime::new().expect("a runtime");
            runtime.block_on(person.clean_up());
        });
        if removing.join().is_err() {
            eprintln!("the organization {} may have been left behind", self.organization);
        }
    }
}

/// Delays short enough for tests and still growing.
pub fn config() -> Config {
    let growth = |base, cap| Growth { base: Duration::from_millis(base), cap: Duration::from_millis(cap) };
    Config {
        min_resync: Duration::from_millis(100),
        max_requests_per_second: 1000,
        projection_lag: Duration::from_secs(4),
        delays: Delays {
            transient: growth(200, 1000),
            dependency: growth(300, 1500),
            slow: growth(500, 2000),
            rare: Duration::from_secs(1),
        },
        ..Config::default()
    }
}

impl World {
    /// A world whose operator is running.
    pub async fn new() -> Self {
        let mut world = Self::without_operator().await;
        world.start_operator().await;
        world
    }

    /// A world with a double, a namespace, a connection and no operator yet.
    pub async fn without_operator() -> Self {
        let control_plane = ControlPlane::shared().await;
        let client = client(control_plane).await;
        CRDS.get_or_init(|| install_crds(client)).await;
        Self::on(control_plane).await
    }

    /// One whose namespace can go. With it go its RoleBindings, at once: an operator that has rights by these alone
    /// could not end its work, and is refused the Secrets of one that has rights everywhere.
    pub async fn to_be_deleted() -> Self {
        let mut world = Self::without_operator().await;
        world.rights = Rights::Cluster;
        for verb in ["get", "list", "watch"] {
            world.forbidden.expect(&format!("{verb} secrets {}", world.namespace));
        }
        world
    }

    /// The same on a control plane that has the CRDs.
    pub async fn on(control_plane: &'static ControlPlane) -> Self {
        canary::install(may_be_logged);
        verdicts::watch(control_plane);
        let canaries = Watch::shared().begin();
        let client = canaries.marking(client(control_plane).await);
        let zitadel = Double::start().await;
        let namespace = format!("e2e-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let (url, person, token, organization) = match real_zitadel() {
            Some((url, token)) => {
                let person = Person::new(&url, &token);
                // A secret of one test that all share would be found where another lets it out on purpose.
                let token = person.hire_owner(&namespace).await;
                let organization = person.create_organization(&namespace).await;
                (url, person, token, organization)
            }
            None => {
                let url = zitadel.url();
                // The ledger tells a person's calls from the operator's by the credential.
                let person = Person::new(&url, &zitadel.issue_token(&zitadel.admin().user, None));
                (url, person, zitadel.admin_token(), zitadel.add_organization("acme"))
            }
        };
        let world = Self {
            control_plane,
            client,
            person,
            token,
            organization,
            zitadel,
            namespace,
            operator: None,
            canaries,
            rights: Rights::of_this_test(),
            accounts: Accounts::default(),
            forbidden: Forbidden::default(),
        };
        world.create_namespace().await;
        world.store_token(&world.token).await;
        let spec = json!({
            "url": url,
            "insecure": true,
            "personalAccessToken": { "name": CONNECTION },
            "defaultOrganization": { "id": world.organization },
            "rateLimit": { "requestsPerSecond": 1000, "burst": 1000 },
        });
        world.apply("Connection", CONNECTION, spec).await;
        world
    }

    async fn create_namespace(&self) {
        let namespace: Namespace =
            serde_json::from_value(json!({ "metadata": { "name": self.namespace } })).unwrap();
        Api::all(self.client.clone()).create(&PostParams::default(), &namespace).await.unwrap();
    }

    /// Puts a personal access token where the connection reads it.
    pub async fn store_token(&self, token: &str) {
        let secret = json!({
            "apiVersion": "v1", "kind": "Secret",
            "metadata": { "name": CONNECTION, "labels": { "zitadel-operator.dev/allow": "true" } },
            "stringData": { "token": token },
        });
        let api: Api<Secret> = Api::namespaced(self.client.clone(), &self.namespace);
        api.patch(CONNECTION, &person(), &Patch::Apply(secret)).await.unwrap();
    }

    /// Merges these values into the Secret that the connection reads.
    pub async fn store_secret(&self, values: Value) {
        let secrets: Api<Secret> = Api::namespaced(self.client.clone(), &self.namespace);
        let patch = Patch::Merge(json!({ "stringData": values }));
        secrets.patch(CONNECTION, &PatchParams::default(), &patch).await.unwrap();
    }

    /// The API of one of our kinds in this namespace.
    pub fn api(&self, kind: &str) -> Api<DynamicObject> {
        let definition =
            definitions().into_iter().find(|crd| crd.spec.names.kind == kind).expect("one of our kinds");
        let scope = definition.spec.scope.clone();
        let resource = resource(definition);
        match scope.as_str() {
            "Cluster" => Api::all_with(self.client.clone(), &resource),
            _ => Api::namespaced_with(self.client.clone(), &self.namespace, &resource),
        }
    }

    /// Applies a resource as a person does.
    pub async fn apply(&self, kind: &str, name: &str, spec: Value) -> Value {
        self.try_apply(kind, name, spec)
            .await
            .unwrap_or_else(|error| panic!("{kind} {name} refused: {error}"))
    }

    /// Applies a resource that may be refused.
    pub async fn try_apply(&self, kind: &str, name: &str, spec: Value) -> kube::Result<Value> {
        self.try_apply_annotated(kind, name, json!({}), spec).await
    }

    /// Applies a resource with annotations that may be refused.
    pub async fn try_apply_annotated(
        &self,
        kind: &str,
        name: &str,
        annotations: Value,
        spec: Value,
    ) -> kube::Result<Value> {
        let body = json!({
            "apiVersion": "zitadel-operator.dev/v1alpha1", "kind": kind,
            "metadata": { "name": name, "annotations": annotations }, "spec": spec,
        });
        let applied = self.api(kind).patch(name, &person(), &Patch::Apply(body)).await?;
        Ok(serde_json::to_value(applied).unwrap())
    }

    /// Merges a patch into the spec of the connection.
    pub async fn patch_connection(&self, spec: Value) {
        let patch = Patch::Merge(json!({ "spec": spec }));
        self.api("Connection").patch(CONNECTION, &PatchParams::default(), &patch).await.unwrap();
    }
}

/// The same spec through the world's own connection.
pub fn through_connection(mut spec: Value) -> Value {
    spec["connectionRef"] = json!({ "kind": "Connection", "name": CONNECTION });
    spec
}

/// The resource that this defines.
pub fn resource(definition: CustomResourceDefinition) -> ApiResource {
    ApiResource {
        group: definition.spec.group,
        version: "v1alpha1".into(),
        api_version: "zitadel-operator.dev/v1alpha1".into(),
        kind: definition.spec.names.kind,
        plural: definition.spec.names.plural,
    }
}

fn person() -> PatchParams {
    PatchParams::apply("a-person").force()
}

/// A client of its own connection pool: tests have a runtime each.
pub async fn client(control_plane: &ControlPlane) -> kube::Client {
    client_at(&control_plane.kubeconfig_path()).await
}

/// A client of its own for who has only the kubeconfig.
pub async fn client_at(kubeconfig: &Path) -> kube::Client {
    let kubeconfig = Kubeconfig::read_from(kubeconfig).unwrap();
    let config =
        kube::Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.unwrap();
    kube::Client::try_from(config).unwrap()
}

pub async fn install_crds(client: kube::Client) {
    let api = Api::all(client);
    for definition in definitions() {
        api.patch(&definition.name_any(), &person(), &Patch::Apply(&definition)).await.unwrap();
        let name = definition.name_any();
        let established = kube::runtime::conditions::is_crd_established();
        kube::runtime::wait::await_condition(api.clone(), &name, established).await.unwrap();
    }
    // The name keeps the type in use where a test speaks of it.
    assert_eq!(Project::crd_name(), "projects.zitadel-operator.dev");
}
