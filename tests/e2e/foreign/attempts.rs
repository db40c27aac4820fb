//! What a namespace may try with each reference to get at what is another's, and what it must be answered.

use serde_json::{Value, json};

use super::schema::{Names, Reference};
use crate::conformance::rows::row;
use crate::organization::ORGANIZATION;
use crate::project_role::ROLE;

/// What belongs to another namespace, by the names a thief would need.
pub struct Loot {
    /// A `Connection`, a Secret, a ConfigMap and an `Organization` of that namespace.
    pub name: &'static str,
    pub namespace: String,
    /// The Secret of a `ClusterConnection`, in the operator's namespace.
    pub shared_secret: String,
    /// A `ClusterConnection` that does not grant the thief's namespace anything.
    pub ungranted: String,
    /// One that grants it another organization.
    pub elsewhere: String,
    pub granted_organization: String,
    pub organization: String,
    pub organization_name: &'static str,
    pub project: String,
    pub project_name: &'static str,
}

/// Through which connection it goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    Own,
    Ungranted,
    Elsewhere,
}

/// One try: what is written where, and the reasons that refuse it.
pub struct Attempt {
    pub way: Way,
    pub value: Value,
    pub refused: &'static [&'static str],
}

const NOT_HERE: &[&str] = &["ReferenceNotFound"];
const DENIED: &[&str] = &["AccessDenied"];
const UNREADABLE: &[&str] = &["ReferenceNotFound", "CredentialsUnavailable"];
const NOTHING: &[&str] = &["NotFound"];

fn attempt(way: Way, value: Value, refused: &'static [&'static str]) -> Attempt {
    Attempt { way, value, refused }
}

/// Everything that may be tried with this reference.
pub fn attempts(reference: &Reference, loot: &Loot) -> Vec<Attempt> {
    use Way::{Elsewhere, Own, Ungranted};
    let escape = format!("{}/{}", loot.namespace, loot.name);
    match reference.names {
        Names::Secret => [loot.name, loot.shared_secret.as_str(), "unlabelled"]
            .map(|name| attempt(Own, key_of(reference, name), UNREADABLE))
            .into(),
        Names::ConfigMap => vec![attempt(Own, key_of(reference, loot.name), UNREADABLE)],
        Names::Connection => vec![
            attempt(Own, json!({ "kind": "Connection", "name": loot.name }), NOT_HERE),
            attempt(Own, json!({ "kind": "Connection", "name": escape }), NOT_HERE),
            attempt(Own, json!({ "kind": "ClusterConnection", "name": loot.ungranted }), DENIED),
        ],
        Names::Neighbour => vec![
            attempt(Own, json!({ "name": loot.name }), NOT_HERE),
            attempt(Own, json!({ "name": escape }), NOT_HERE),
            attempt(Elsewhere, json!({ "name": loot.name }), NOT_HERE),
            attempt(Ungranted, json!({ "name": loot.name }), DENIED),
        ],
        Names::OrganizationId | Names::OrganizationName => {
            let (id, name) = (json!(loot.organization), json!(loot.organization_name));
            let (fitting, other) = match reference.names {
                Names::OrganizationId => (id, name),
                _ => (name, id),
            };
            let own = attempt(Own, fitting.clone(), NOTHING);
            let mut attempts = vec![own];
            // The organization of a connection's default is chosen by who writes the connection.
            if reference.kind != "Connection" {
                attempts.extend([Ungranted, Elsewhere].map(|way| attempt(way, fitting.clone(), DENIED)));
                attempts.push(attempt(Elsewhere, other, DENIED));
            }
            attempts
        }
        Names::ProjectId => vec![
            attempt(Own, json!(loot.project), NOTHING),
            attempt(Ungranted, json!(loot.project), DENIED),
            attempt(Elsewhere, json!(loot.project), NOTHING),
        ],
        Names::ProjectName => vec![
            attempt(Own, json!(loot.project_name), NOT_HERE),
            attempt(Ungranted, json!(loot.project_name), DENIED),
            attempt(Elsewhere, json!(loot.project_name), NOT_HERE),
        ],
        Names::Import => imports(reference, loot),
    }
}

/// A setting has no id to import: its annotation means nothing, and the way alone decides.
fn imports(reference: &Reference, loot: &Loot) -> Vec<Attempt> {
    use Way::{Elsewhere, Own, Ungranted};
    let (id, refused) = match reference.kind.as_str() {
        ORGANIZATION => (&loot.organization, DENIED),
        "Project" => (&loot.project, NOTHING),
        _ => return vec![attempt(Ungranted, json!(loot.organization), DENIED)],
    };
    vec![
        attempt(Own, json!(id), NOTHING),
        attempt(Ungranted, json!(id), DENIED),
        attempt(Elsewhere, json!(id), refused),
    ]
}

/// The reference to this name, with a key for each that it takes.
pub fn key_of(reference: &Reference, name: &str) -> Value {
    let mut value = json!({ "name": name });
    for key in &reference.keys {
        value[key] = json!("token");
    }
    value
}

/// The least that the kind needs, through this way.
pub fn least(kind: &str, way: Way, connection: &str, loot: &Loot) -> Value {
    let (row, mut spec) = (row(kind), json!({}));
    if kind != ORGANIZATION {
        spec = row.placed("", "", row.resource).spec(&[]);
    }
    if kind == ROLE {
        spec["project"] = json!({ "id": "1" });
    }
    spec["connectionRef"] = match way {
        Way::Own => json!({ "kind": "Connection", "name": connection }),
        Way::Ungranted => json!({ "kind": "ClusterConnection", "name": loot.ungranted }),
        Way::Elsewhere => json!({ "kind": "ClusterConnection", "name": loot.elsewhere }),
    };
    let granted = json!({ "id": loot.granted_organization });
    match kind {
        _ if way != Way::Elsewhere || row.parent.is_none() => {}
        ROLE => spec["project"]["organization"] = granted,
        _ => spec["organization"] = granted,
    }
    spec
}

/// What a spec says of its project besides the reference to it that is tried.
pub fn project_beside(reference: &Reference, way: Way, loot: &Loot) -> Value {
    let granted = json!({ "organization": { "id": loot.granted_organization } });
    match reference.names {
        Names::ProjectId | Names::ProjectName if way == Way::Elsewhere => granted,
        Names::ProjectId | Names::ProjectName => json!({}),
        _ if reference.path.ends_with("project.ref") => json!({}),
        _ => json!({ "id": "1" }),
    }
}
