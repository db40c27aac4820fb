//! Which namespaces a `ClusterConnection` lets reach which organizations. Pure; nothing matches: denied.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::core::{Selector, SelectorExt};

use crate::api::connection::{AccessGrant, GrantedOrganization};

/// The organization asked for, resolved and confirmed.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// Its id.
    pub id: &'a str,
    /// Its name; `None` while no grant by name needs it.
    pub name: Option<&'a str>,
}

/// Whether any grant lets a namespace with these labels reach the organization.
pub fn granted(access: &[AccessGrant], labels: &BTreeMap<String, String>, asked: Asked<'_>) -> bool {
    selected(access, labels)
        .flat_map(|grant| &grant.organizations)
        .any(|organization| covers(organization, asked))
}

/// Whether any grant speaks of a namespace with these labels at all.
pub fn selects(access: &[AccessGrant], labels: &BTreeMap<String, String>) -> bool {
    selected(access, labels).next().is_some()
}

/// Whether a namespace with these labels may create organizations.
pub fn creates(access: &[AccessGrant], labels: &BTreeMap<String, String>) -> bool {
    selected(access, labels).any(|grant| grant.create_organizations)
}

/// Whether a decision for this namespace needs the organization's name.
pub fn needs_name(access: &[AccessGrant], labels: &BTreeMap<String, String>) -> bool {
    selected(access, labels)
        .flat_map(|grant| &grant.organizations)
        .any(|organization| organization.name.is_some())
}

/// What the namespaces with these labels are granted, however they are selected.
pub fn terms(access: &[AccessGrant], labels: &BTreeMap<String, String>) -> Vec<AccessGrant> {
    let unselected =
        |grant: &AccessGrant| AccessGrant { namespace_selector: LabelSelector::default(), ..grant.clone() };
    selected(access, labels).map(unselected).collect()
}

fn selected<'a>(
    access: &'a [AccessGrant],
    labels: &'a BTreeMap<String, String>,
) -> impl Iterator<Item = &'a AccessGrant> {
    access.iter().filter(move |grant| {
        // A selector that does not parse selects nothing.
        Selector::try_from(grant.namespace_selector.clone()).is_ok_and(|selector| selector.matches(labels))
    })
}

fn covers(organization: &GrantedOrganization, asked: Asked<'_>) -> bool {
    match organization {
        GrantedOrganization { all: Some(all), .. } => *all,
        GrantedOrganization { id: Some(id), .. } => id == asked.id,
        GrantedOrganization { name: Some(name), .. } => {
            asked.name.is_some_and(|asked| same_name(name, asked))
        }
        GrantedOrganization { .. } => false,
    }
}

/// ZITADEL compares names of organizations and projects without case.
pub fn same_name(a: &str, b: &str) -> bool {
    a.to_lowercase() == b.to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grants(json: serde_json::Value) -> Vec<AccessGrant> {
        serde_json::from_value(json).unwrap()
    }

    fn ask(access: serde_json::Value, team: &str, id: &str, name: &str) -> bool {
        let labels = BTreeMap::from([("team".to_owned(), team.to_owned())]);
        granted(&grants(access), &labels, Asked { id, name: Some(name) })
    }

    #[test]
    fn grants_are_namespace_times_organization_and_fail_closed() {
        use serde_json::json;
        let acme = json!([{ "namespaceSelector": { "matchLabels": { "team": "acme" } }, "organizations": [{ "name": "Acme" }, { "id": "7" }] }]);
        let all = json!([{ "namespaceSelector": {}, "organizations": [{ "all": true }] }]);
        let rows = [
            (json!([]), "acme", "1", "acme", false),
            (acme.clone(), "acme", "1", "ACME", true),
            (acme.clone(), "acme", "7", "other", true),
            (acme.clone(), "acme", "8", "other", false),
            (acme.clone(), "beta", "1", "acme", false),
            (acme, "acme", "Acme", "other", false),
            (all, "anything", "1", "x", true),
            (json!([{ "namespaceSelector": {} }]), "acme", "1", "acme", false),
            (
                json!([{ "namespaceSelector": {}, "organizations": [{ "all": false }] }]),
                "acme",
                "1",
                "acme",
                false,
            ),
            (json!([{ "namespaceSelector": {}, "organizations": [{}] }]), "acme", "1", "acme", false),
            (
                json!([{ "namespaceSelector": { "matchExpressions": [{ "key": "team", "operator": "Nonsense" }] },
                      "organizations": [{ "all": true }] }]),
                "acme",
                "1",
                "acme",
                false,
            ),
        ];
        for (access, team, id, name, expected) in rows {
            assert_eq!(ask(access.clone(), team, id, name), expected, "{access} {team} {id} {name}");
        }
    }
}
