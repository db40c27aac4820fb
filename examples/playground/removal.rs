//! What leaves a ZITADEL as it was before the examples.

use kube::api::DynamicObject;
use serde_json::{Value, json};

/// One call that removes something.
pub struct Removal {
    pub path: String,
    pub organization: String,
    pub body: Option<Value>,
}

impl Removal {
    fn new(organization: &str, path: impl Into<String>) -> Self {
        Self { path: path.into(), organization: organization.into(), body: None }
    }

    pub fn of_project(organization: &str, id: &str) -> Self {
        Self::new(organization, format!("/management/v1/projects/{id}"))
    }

    pub fn of_organization(id: &str) -> Self {
        Self::new(id, "/management/v1/orgs/me")
    }

    fn of_metadata(organization: &str, key: &Value) -> Self {
        let body = Some(json!({ "keys": [key] }));
        Self { body, ..Self::new(organization, "/management/v1/metadata/_bulk") }
    }

    /// What undoes a resource whose status says that the operator created something.
    pub fn of_resource(resource: &DynamicObject) -> Vec<Self> {
        let (kind, status) =
            (resource.types.as_ref().map(|types| types.kind.as_str()), &resource.data["status"]);
        let Some(organization) = status["organizationId"].as_str().filter(|_| status["origin"] == "Created")
        else {
            return Vec::new();
        };
        match kind {
            Some("Organization") => vec![Self::of_organization(organization)],
            Some("Project") => {
                status["id"].as_str().map(|id| Self::of_project(organization, id)).into_iter().collect()
            }
            Some("OrgMetadata") => {
                let entries = status["entries"].as_array().into_iter().flatten();
                entries.map(|entry| Self::of_metadata(organization, &entry["key"])).collect()
            }
            Some("OrgDomainPolicy") => {
                vec![Self::new(organization, format!("/admin/v1/orgs/{organization}/policies/domain"))]
            }
            Some("OrgLoginPolicy") => {
                vec![Self::new(organization, "/management/v1/policies/login")]
            }
            Some("OrgFeatures") => {
                vec![Self::new(organization, format!("/v2/features/organization/{organization}"))]
            }
            _ => Vec::new(),
        }
    }
}
