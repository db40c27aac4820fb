//! Each reference of each kind, tried from a namespace on everything that is another's.
//!
//! More of it: the rights to create and take over organizations in `organization_grants`, servers that lie in
//! `impostor`, a Secret without the label in `credentials` and `org_metadata_values`.

mod attempts;
mod grants;
mod schema;

use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::api::events::v1::Event;
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams};
use serde_json::{Value, json};
use support::zitadel::{Fingerprint, Mark, OrganizationFeatures};
use zitadel_operator::engine::decision::config::Config;

use self::attempts::{Attempt, Loot, Way, attempts, key_of, least, project_beside};
use self::schema::{Names, Reference};
use crate::needs_double;
use crate::organization::ORGANIZATION;
use crate::organization_grants::{grant, share_from, through_shared, unshare_from};
use crate::waits::condition;
use crate::world::{CONNECTION, World, config};

/// The name of everything that the victim has, and bytes that nobody else may see.
const NAME: &str = "hoard";
const CANARY: &str = "canary-of-the-hoard";

/// A namespace with things, and a namespace that is not granted any of them.
struct Scene {
    victim: World,
    thief: World,
    /// The operator's namespace, which no operator of another test has.
    home_organization: World,
    loot: Loot,
}

/// One resource of the thief: its own text, and the reasons that refuse it.
struct Row {
    about: String,
    kind: String,
    name: String,
    written: Value,
    refused: &'static [&'static str],
}

impl Scene {
    async fn new() -> Self {
        let (victim, thief) = (World::without_operator().await, World::without_operator().await);
        let home_organization = World::without_operator().await;
        thief.zitadel.configure(|behaviour| {
            behaviour.organization_features = OrganizationFeatures::Implemented;
        });
        let organization = victim.zitadel.add_organization("umbrella");
        let project = victim.zitadel.create_project(&organization, "hive");
        let granted_organization = victim.zitadel.add_organization("initech");
        let loot = Loot {
            name: NAME,
            namespace: victim.namespace.clone(),
            shared_secret: victim.namespace.clone(),
            ungranted: victim.namespace.clone(),
            elsewhere: format!("{}-elsewhere", victim.namespace),
            granted_organization,
            organization,
            organization_name: "umbrella",
            project,
            project_name: "hive",
        };
        let access = json!([grant(&victim, &json!([{ "all": true }]), true)]);
        share_from(&victim, &home_organization.namespace, access).await;
        let scene = Self { victim, thief, home_organization, loot };
        scene.share_elsewhere().await;
        scene.hoard().await;
        scene.start_operator().await
    }

    async fn start_operator(mut self) -> Self {
        let namespaces = vec![self.victim.namespace.clone(), self.thief.namespace.clone()];
        let config = Config { namespaces, ..config() };
        self.victim.start_operator_of(config, &self.home_organization.namespace).await;
        for kind in ["Project", ORGANIZATION] {
            self.victim.subject(kind, NAME).until_ready().await;
        }
        self
    }

    /// What the victim has, all of it in use.
    async fn hoard(&self) {
        let Self { victim, thief, loot, .. } = self;
        victim.apply_core("ConfigMap", NAME, json!({ "data": { "token": CANARY } })).await;
        victim.apply_core("Secret", NAME, json!({ "stringData": { "token": CANARY } })).await;
        let connection = json!({
            "url": victim.zitadel.url(), "insecure": true, "personalAccessToken": { "name": CONNECTION },
        });
        victim.apply("Connection", NAME, connection).await;
        victim.apply(ORGANIZATION, NAME, through_shared(victim, json!({}))).await;
        let inside = json!({ "organization": { "id": loot.organization }, "name": "in-use" });
        victim.apply("Project", NAME, through_shared(victim, inside)).await;
        thief.apply_core("Secret", "unlabelled", json!({ "stringData": { "token": CANARY } })).await;
        let unlabelled = json!({ "metadata": { "labels": null } });
        let secrets: Api<Secret> = Api::namespaced(thief.client.clone(), &thief.namespace);
        secrets.patch("unlabelled", &PatchParams::default(), &Patch::Merge(unlabelled)).await.unwrap();
    }

    /// A `ClusterConnection` to the victim's server, with a token of its own, that grants the thief another organization.
    async fn share_elsewhere(&self) {
        let Self { victim, thief, home_organization, loot } = self;
        let token = victim.zitadel.issue_token(&victim.zitadel.admin().user, None);
        let name = loot.elsewhere.as_str();
        home_organization.apply_core("Secret", name, json!({ "stringData": { "token": token } })).await;
        let spec = json!({
            "url": victim.zitadel.url(), "insecure": true, "personalAccessToken": { "name": name },
            "access": [grant(thief, &json!([{ "id": loot.granted_organization }]), false)],
        });
        victim.apply("ClusterConnection", name, spec).await;
    }

    /// A spec of the kind with the attempt in it.
    fn spec(&self, reference: &Reference, attempt: &Attempt) -> Value {
        let mut spec = match reference.kind.as_str() {
            "Connection" => self.connection(reference),
            kind => least(kind, attempt.way, CONNECTION, &self.loot),
        };
        if reference.is_of_project() {
            spec["project"] = project_beside(reference, attempt.way, &self.loot);
        }
        reference.put(&mut spec, attempt.value.clone());
        spec
    }

    /// With a credential of the thief's own it leads to the thief's server, with another's to the victim's.
    fn connection(&self, reference: &Reference) -> Value {
        let mut spec = json!({ "url": self.thief.zitadel.url(), "insecure": true });
        match ["caBundle", "defaultOrganization"].contains(&reference.root()) {
            true => spec["personalAccessToken"] = json!({ "name": CONNECTION }),
            false => spec["url"] = json!(self.victim.zitadel.url()),
        }
        spec
    }

    /// Applies the attempt; a connection is tried by a project that uses it.
    async fn make(&self, number: usize, reference: &Reference, attempt: Attempt) -> Row {
        let (name, thief) = (format!("try-{number}"), &self.thief);
        let spec = self.spec(reference, &attempt);
        let annotations = match reference.names {
            Names::Import => json!({ "zitadel-operator.dev/id": attempt.value }),
            _ => json!({}),
        };
        let about = format!("{} = {} ({:?})", reference.path, attempt.value, attempt.way);
        let written = json!([spec, annotations]);
        let applied = thief.try_apply_annotated(&reference.kind, &name, annotations, spec).await;
        applied.unwrap_or_else(|error| panic!("{about}: {error}: say in `attempts` what is valid"));
        if reference.kind == "Connection" {
            let user = least("Project", Way::Own, &name, &self.loot);
            thief.apply("Project", &name, user).await;
        }
        let kind = if reference.kind == "Connection" { "Project".into() } else { reference.kind.clone() };
        Row { about, kind, name, written, refused: attempt.refused }
    }

    /// Waits until the row is refused; nothing in its status is more than was written.
    async fn assert_refused(&self, row: &Row) {
        let what = format!("was refused with one of {:?}: {}", row.refused, row.about);
        let refused = |object: &Value| {
            let reason = condition(object, "Ready")["reason"].clone();
            row.refused.iter().any(|expected| reason == *expected)
        };
        let seen = self.thief.until(&row.kind, &row.name, &what, refused).await;
        assert!(
            seen["status"]["sequence"].is_null() && seen["status"]["id"].is_null(),
            "{}: {seen}",
            row.about
        );
        self.assert_reveals_nothing(&row.about, &row.written, &seen["status"]);
        if row.kind == "Project"
            && let Some(connection) = self.connection_of(row).await
        {
            self.assert_reveals_nothing(&row.about, &row.written, &connection["status"]);
        }
    }

    async fn connection_of(&self, row: &Row) -> Option<Value> {
        let found = self.thief.api("Connection").get_opt(&row.name).await.unwrap()?;
        Some(serde_json::to_value(found).unwrap())
    }

    /// Whatever of the victim is in what was told was in what was written.
    #[track_caller]
    fn assert_reveals_nothing(&self, about: &str, written: &Value, reported: &Value) {
        let Self { victim, loot, .. } = self;
        let secrets = [
            CANARY,
            &victim.zitadel.admin_token(),
            &loot.organization,
            loot.organization_name,
            &loot.project,
            &loot.namespace,
            &victim.zitadel.instance_identity(),
        ];
        let (written, reported) = (written.to_string(), reported.to_string());
        for secret in secrets {
            assert!(
                written.contains(secret) || !reported.contains(secret),
                "{about} reveals {secret}: {reported}"
            );
        }
    }

    async fn assert_events_reveal_nothing(&self, rows: &[Row]) {
        let events: Api<Event> = Api::namespaced(self.thief.client.clone(), &self.thief.namespace);
        for event in events.list(&ListParams::default()).await.unwrap() {
            let about = event.regarding.and_then(|regarding| regarding.name).unwrap_or_default();
            let row = rows.iter().find(|row| row.name == about);
            let written = row.map(|row| row.written.clone()).unwrap_or_default();
            self.assert_reveals_nothing(&about, &written, &json!(event.note));
        }
    }

    /// No call with the victim's credentials, and no write with any.
    fn assert_untouched_since(&self, mark: Mark) {
        let theirs = Fingerprint::of_token(&self.victim.zitadel.admin_token());
        let calls = self.victim.zitadel.ledger().since(mark);
        let borrowed: Vec<_> = calls.iter().filter(|call| call.credential == Some(theirs)).collect();
        assert!(borrowed.is_empty(), "{borrowed:?}");
        let written: Vec<_> = calls.iter().filter(|call| call.committed > 0).collect();
        assert!(written.is_empty(), "{written:?}");
    }

    /// Other operators of the process would go on with the `ClusterConnection`s.
    async fn end(mut self, rows: &[Row]) {
        for row in rows {
            self.thief.api(&row.kind).delete(&row.name, &DeleteParams::default()).await.unwrap();
        }
        for row in rows {
            self.thief.until(&row.kind, &row.name, "went", Value::is_null).await;
        }
        for kind in ["Project", ORGANIZATION] {
            self.victim.subject(kind, NAME).delete().await;
            self.victim.subject(kind, NAME).until_gone().await;
        }
        unshare_from(&self.victim, &self.home_organization.namespace).await;
        let elsewhere = self.loot.elsewhere.as_str();
        self.victim.api("ClusterConnection").delete(elsewhere, &DeleteParams::default()).await.unwrap();
        self.victim.until("ClusterConnection", elsewhere, "went", Value::is_null).await;
        self.victim.stop_operator().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_reference_of_any_kind_reaches_what_is_anothers() {
    needs_double!("the ledger");
    let scene = Scene::new().await;
    let held = |world: &World| {
        format!("{:?}", (world.zitadel.organizations(), world.zitadel.projects(&scene.loot.organization)))
    };
    let (before, mark) = (held(&scene.victim), scene.victim.until_quiet().await);
    let mut rows = Vec::new();
    for reference in schema::all().references {
        for attempt in attempts(&reference, &scene.loot) {
            rows.push(scene.make(rows.len(), &reference, attempt).await);
        }
    }
    for row in &rows {
        scene.assert_refused(row).await;
    }
    scene.assert_events_reveal_nothing(&rows).await;
    scene.assert_untouched_since(mark);
    assert_eq!(held(&scene.victim), before);
    for kind in ["Project", ORGANIZATION] {
        scene.victim.subject(kind, NAME).until_ready().await;
    }
    scene.end(&rows).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_of_another_namespace_is_no_name_of_a_secret_or_config_map() {
    let world = World::without_operator().await;
    for reference in schema::all().references {
        if !matches!(reference.names, Names::Secret | Names::ConfigMap) {
            continue;
        }
        for name in ["other/hoard", "../other/secrets/hoard", "hoard?namespace=other", "%2e%2e"] {
            let mut spec = match reference.kind.as_str() {
                "Connection" => json!({ "url": "https://zitadel.example.com" }),
                _ => json!({}),
            };
            reference.put(&mut spec, key_of(&reference, name));
            let refused = world.try_apply(&reference.kind, "escape", spec).await.unwrap_err().to_string();
            assert!(refused.contains("should match"), "{}: {refused}", reference.path);
        }
    }
}
