//! A tenant forges everything that it may write, at every moment and under every missing grant: what is another's
//! stays as it is.

use std::time::Duration;

use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};
use support::zitadel::{Behaviour, Double, OrganizationFeatures, State};
use zitadel_operator::engine::decision::access::Right;
use zitadel_operator::kinds::registry;

use crate::estate::{Estate, Instance, estate, shared};
use crate::rows::row;

const TEAM: &str = "team";
const VICTIM: &str = "umbrella";

/// When the tenant writes what it forges.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Moment {
    /// With the resource itself.
    AtOnce,
    /// While the resource is paused; it is deleted before it goes on.
    Paused,
    /// While the operator is down.
    Down,
    /// The same, and it deletes the resource before the operator is back.
    DeletedWhileDown,
    /// After an innocent resource of that name was made and settled.
    Afterwards,
}

const MOMENTS: [Moment; 5] =
    [Moment::AtOnce, Moment::Paused, Moment::Down, Moment::DeletedWhileDown, Moment::Afterwards];

/// What a grant says besides the namespace; none of these lets it touch the victim.
fn missing_grants() -> [Value; 5] {
    [
        json!({}),
        json!({ "organizations": [{ "name": "acme" }] }),
        json!({ "createOrganizations": true }),
        json!({ "organizations": [{ "name": "acme" }], "kinds": ["OrgDomainPolicy"], "deleteOrganizations": true }),
        json!({
            "organizations": [{ "name": "acme" }], "kinds": ["OrgDomainPolicy"], "deleteOrganizations": true,
            "createOrganizations": true, "instance": true,
        }),
    ]
}

/// One resource of the tenant.
struct Forged {
    kind: &'static str,
    name: String,
    innocent: Value,
    spec: Value,
    annotations: Value,
}

/// What belongs to somebody else.
struct Victim {
    organization: String,
    project: String,
}

impl Victim {
    fn of(double: &Double) -> Self {
        double.configure(|behaviour: &mut Behaviour| {
            behaviour.organization_features = OrganizationFeatures::Implemented;
        });
        let organization = double.add_organization(VICTIM);
        let project = double.create_project(&organization, "hive");
        double.set_metadata(&organization, "tier", b"theirs");
        Self { organization, project }
    }

    /// Everything of it, as ZITADEL has it.
    fn state(&self, double: &Double) -> String {
        let id = &self.organization;
        let settings = (double.metadata(id), double.domain_policy(id), double.features(id));
        let login = double.policy("login", Some(id));
        format!("{:?} {:?} {settings:?} {login:?}", double.organization(id), double.projects(id))
    }

    fn is_in(&self, reported: &str) -> bool {
        reported.contains(&self.organization) || reported.contains(&self.project)
    }

    /// Each kind, pointed at the victim in each way that a spec has, with everything else forged besides.
    fn attempts(&self, instance: &Instance) -> Vec<Forged> {
        let mut attempts = Vec::new();
        for (kind, least) in least_specs() {
            for (way, aimed) in self.aims(kind) {
                for parent in [self.organization.as_str(), "", instance.acme.as_str()] {
                    let name = format!("{}-{way}-{}", kind.to_lowercase(), attempts.len());
                    let (mut innocent, mut spec) = (least.clone(), merged(&least, &aimed));
                    for spec in [&mut innocent, &mut spec] {
                        spec["connectionRef"] = shared("shared");
                        spec["deletionPolicy"] = json!("Delete");
                    }
                    let annotations = self.annotations(kind, instance, parent);
                    attempts.push(Forged { kind, name, innocent, spec, annotations });
                }
            }
        }
        attempts
    }

    fn aims(&self, kind: &str) -> Vec<(&'static str, Value)> {
        let adopting = json!({ "name": VICTIM, "adoptionPolicy": "ByName" });
        match kind {
            "Organization" => vec![
                ("plain", json!({})),
                ("named", json!({ "name": VICTIM })),
                ("adopting", adopting),
                ("inactive", json!({ "name": "mine", "state": "Inactive" })),
                ("observing", json!({ "name": VICTIM, "managementPolicy": "Observe" })),
            ],
            _ => vec![
                ("acme", json!({ "organization": { "name": "acme" } })),
                ("id", json!({ "organization": { "id": self.organization } })),
                ("name", json!({ "organization": { "name": VICTIM } })),
                ("ref", json!({ "organization": { "ref": { "name": "organization-adopting-6" } } })),
            ],
        }
    }

    /// Every annotation that the operator knows, or knew once.
    fn annotations(&self, kind: &str, instance: &Instance, parent: &str) -> Value {
        let (id, name) = match kind {
            "Project" => (&self.project, "hive"),
            _ => (&self.organization, VICTIM),
        };
        let intent = json!({
            "uid": "$uid", "name": name, "after": "2020-01-01T00:00:00Z", "organization": parent, "parent": parent,
            "instance": instance.double.instance_identity(), "connectionRef": shared("shared"),
        });
        json!({
            "zitadel-operator.dev/id": id,
            "zitadel-operator.dev/create-pending": intent.to_string(),
            "zitadel-operator.dev/recreate": id,
            "zitadel-operator.dev/confirm-username-rewrite": "true",
            "zitadel-operator.dev/reconcile-requested-at": "now",
        })
    }
}

/// What each kind needs at least; differs from what the victim has.
fn least_specs() -> [(&'static str, Value); 6] {
    let policy = json!({
        "userLoginMustBeDomain": true, "validateOrgDomains": true, "smtpSenderAddressMatchesInstanceDomain": false,
    });
    [
        ("Organization", json!({})),
        ("Project", json!({ "name": "hive", "projectRoleCheck": true, "adoptionPolicy": "ByName" })),
        ("OrgMetadata", json!({ "entries": [{ "key": "tier", "value": "forged" }] })),
        ("OrgDomainPolicy", policy),
        ("OrgFeatures", json!({ "features": { "loginDefaultOrg": true } })),
        ("OrgLoginPolicy", json!({ "forceMfa": true, "secondFactors": ["OtpSms"] })),
    ]
}

fn merged(spec: &Value, more: &Value) -> Value {
    let mut merged = spec.clone();
    for (field, value) in more.as_object().into_iter().flatten() {
        merged[field] = value.clone();
    }
    merged
}

impl Forged {
    async fn apply(&self, estate: &Estate, spec: &Value) {
        estate.apply(self.kind, TEAM, &self.name, spec.clone()).await;
    }

    /// Writes annotations and finalizer as `kubectl patch` does; what is gone stays gone.
    async fn forge(&self, estate: &Estate, more: &Value) {
        let api = estate.api(self.kind, TEAM);
        let Ok(Some(object)) = api.get_opt(&self.name).await else { return };
        let uid = object.metadata.uid.unwrap_or_default();
        let text = merged(&self.annotations, more).to_string().replace("$uid", &uid);
        let annotations: Value = serde_json::from_str(&text).expect("JSON");
        let finalizers = ["zitadel-operator.dev/finalizer"];
        let patch = json!({ "metadata": { "annotations": annotations, "finalizers": finalizers } });
        // It may be gone by now.
        let _ = api.patch(&self.name, &PatchParams::default(), &Patch::Merge(patch)).await;
    }

    async fn delete(&self, estate: &Estate) {
        // It may be gone by now.
        let _ = estate.api(self.kind, TEAM).delete(&self.name, &Default::default()).await;
    }
}

/// What came of one moment under one grant.
struct Outcome {
    /// The resources whose status speaks of the victim.
    bound: Vec<String>,
    /// The victim is as it was, also after all were deleted.
    untouched: bool,
}

async fn play(mut estate: Estate, grant: &Value, moment: Moment) -> Outcome {
    let instance = estate.instance("one.example");
    let victim = Victim::of(&instance.double);
    let before = victim.state(&instance.double);
    let grant = merged(&json!({ "namespaceSelector": {} }), grant);
    estate.cluster_connection("shared", &instance, (1000, 1000)).await;
    estate.share("shared", &instance, json!([grant])).await;
    estate.cluster.add_namespace(TEAM);
    let attempts = victim.attempts(&instance);
    let is_down = matches!(moment, Moment::Down | Moment::DeletedWhileDown);
    if !is_down {
        estate.start();
    }
    for attempt in &attempts {
        attempt.begin(&estate, moment).await;
    }
    settle().await;
    for attempt in &attempts {
        attempt.go_on(&estate, moment).await;
    }
    if is_down {
        estate.start();
    }
    settle().await;
    let mut bound = Vec::new();
    for attempt in &attempts {
        bound.extend(attempt.reported(&estate).await.filter(|reported| victim.is_in(reported)));
        attempt.delete(&estate).await;
    }
    settle().await;
    Outcome { bound, untouched: before == victim.state(&instance.double) }
}

/// Long enough for every retry and a resync.
async fn settle() {
    tokio::time::sleep(Duration::from_secs(1500)).await;
}

impl Forged {
    async fn begin(&self, estate: &Estate, moment: Moment) {
        match moment {
            Moment::Afterwards => self.apply(estate, &self.innocent).await,
            _ => self.apply(estate, &self.spec).await,
        }
        if moment == Moment::Paused {
            self.forge(estate, &paused()).await;
        }
    }

    async fn go_on(&self, estate: &Estate, moment: Moment) {
        // The API server refuses another organization once a resource is bound.
        if moment == Moment::Afterwards && (self.kind == "Organization" || !self.is_owned(estate).await) {
            self.apply(estate, &self.spec).await;
        }
        self.forge(estate, &if moment == Moment::Paused { paused() } else { json!({}) }).await;
        if matches!(moment, Moment::Paused | Moment::DeletedWhileDown) {
            self.delete(estate).await;
        }
        if moment == Moment::Paused {
            self.forge(estate, &json!({ "zitadel-operator.dev/paused": null })).await;
        }
    }

    async fn is_owned(&self, estate: &Estate) -> bool {
        let object = estate.api(self.kind, TEAM).get_opt(&self.name).await.expect("an answer");
        object.is_some_and(|object| !object.data["status"]["organizationId"].is_null())
    }

    async fn reason(&self, estate: &Estate) -> Value {
        let object = estate.api(self.kind, TEAM).get(&self.name).await.expect("it is there");
        object.data["status"]["conditions"][0]["reason"].clone()
    }

    /// The status of the resource, but for the messages: they name what the tenant wrote.
    async fn reported(&self, estate: &Estate) -> Option<String> {
        let object = estate.api(self.kind, TEAM).get_opt(&self.name).await.expect("an answer")?;
        let mut status = object.data["status"].clone();
        for condition in status["conditions"].as_array_mut().into_iter().flatten() {
            condition["message"] = Value::Null;
        }
        Some(format!("{} {status}", self.name))
    }
}

fn paused() -> Value {
    json!({ "zitadel-operator.dev/paused": "true" })
}

#[test]
fn forged_annotations_finalizers_and_specs_reach_nothing_that_is_not_granted() {
    for grant in missing_grants() {
        for moment in MOMENTS {
            estate(1, async |estate: Estate| {
                let Outcome { bound, untouched } = play(estate, &grant, moment).await;
                assert!(bound.is_empty(), "under {grant}, forged {moment:?}: {bound:?}");
                assert!(untouched, "under {grant}, forged {moment:?}");
            });
        }
    }
}

/// That the attempts can reach the victim at all.
#[test]
fn the_same_attempts_reach_the_victim_where_everything_is_granted() {
    let everything = json!({
        "organizations": [{ "all": true }], "kinds": ["OrgDomainPolicy"], "deleteOrganizations": true,
        "createOrganizations": true,
    });
    for moment in [Moment::AtOnce, Moment::Down] {
        estate(1, async |estate: Estate| {
            let Outcome { bound, untouched } = play(estate, &everything, moment).await;
            assert!(!bound.is_empty() && !untouched, "{moment:?}");
        });
    }
}

#[test]
fn a_plain_grant_gives_the_kinds_that_an_org_owner_may_have_and_kinds_the_others() {
    for entry in registry().into_iter().filter(|entry| entry.right != Right::OrganizationItself) {
        let web =
            ("Project", json!({ "connectionRef": shared("shared"), "organization": { "name": "acme" } }));
        let role = json!({ "connectionRef": shared("shared"), "project": { "ref": { "name": "web" } } });
        let least = least_specs().into_iter().find(|(kind, _)| *kind == entry.kind);
        let (kind, spec) = match least {
            Some((kind, spec)) => (kind, merged(&spec, &web.1)),
            None if entry.kind == "ProjectRole" => (entry.kind, role),
            None => {
                let row = row(entry.kind);
                let parent =
                    if row.parent.is_some() { &web.1 } else { &json!({ "connectionRef": shared("shared") }) };
                (entry.kind, merged(&row.spec(&row.names()), parent))
            }
        };
        let given = |right: &[Right]| if right.contains(&entry.right) { "Available" } else { "AccessDenied" };
        for (kinds, of_instance, expected) in [
            (json!([]), false, given(&[Right::Organization])),
            (json!([kind]), false, given(&[Right::Organization, Right::Kind])),
            (json!([kind]), true, "Available"),
        ] {
            estate(0, async |mut estate: Estate| {
                let instance = estate.instance("one.example");
                drop(Victim::of(&instance.double));
                let grant = json!({
                    "namespaceSelector": {}, "organizations": [{ "name": "acme" }], "kinds": kinds, "instance": of_instance,
                });
                estate.cluster_connection("shared", &instance, (1000, 1000)).await;
                estate.share("shared", &instance, json!([grant])).await;
                estate.cluster.add_namespace(TEAM);
                estate.start();
                if kind == "ProjectRole" {
                    estate.apply(web.0, TEAM, "web", web.1.clone()).await;
                }
                estate.apply(kind, TEAM, "own", spec.clone()).await;
                tokio::time::sleep(Duration::from_secs(60)).await;
                let object = estate.api(kind, TEAM).get("own").await.expect("it is there");
                let ready = object.data["status"]["conditions"][0].clone();
                assert_eq!(ready["reason"], expected, "{kind} under {grant}: {ready}");
                let written = instance.double.ledger().writes().iter().any(|write| write.committed > 0);
                assert_eq!(written, expected == "Available", "{kind} under {grant}");
            });
        }
    }
}

#[test]
fn a_plain_grant_neither_takes_over_nor_removes_the_organization_it_covers() {
    estate(1, async |mut estate: Estate| {
        let instance = estate.instance("one.example");
        let plain = json!({ "namespaceSelector": {}, "organizations": [{ "name": "acme" }] });
        let full = merged(&plain, &json!({ "deleteOrganizations": true }));
        estate.cluster_connection("shared", &instance, (1000, 1000)).await;
        estate.share("shared", &instance, json!([plain])).await;
        estate.cluster.add_namespace(TEAM);
        estate.start();
        let spec = json!({ "name": "acme", "deletionPolicy": "Delete", "connectionRef": shared("shared") });
        let annotations = json!({ "zitadel-operator.dev/id": instance.acme });
        let own = Forged {
            kind: "Organization",
            name: "own".into(),
            innocent: json!({}),
            spec: spec.clone(),
            annotations,
        };
        own.apply(&estate, &spec).await;
        own.forge(&estate, &json!({})).await;
        settle().await;
        assert_eq!(own.reason(&estate).await, "AccessDenied");
        assert!(!own.is_owned(&estate).await);
        estate.share("shared", &instance, json!([full])).await;
        settle().await;
        assert_eq!(own.reason(&estate).await, "Available");
        estate.share("shared", &instance, json!([plain])).await;
        own.delete(&estate).await;
        settle().await;
        assert_eq!(own.reason(&estate).await, "DeletionBlocked");
        assert_ne!(instance.double.organization(&instance.acme).expect("it is there").state, State::Removed);
    });
}
