//! What a person should do about a connection that works: permissions its user lacks, a key that is about to end.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

use crate::api::connection::{ConnectionMembership, ConnectionStatus, MissingPermissions};
use crate::connection::session::Session;
use crate::engine::decision::error::ReconcileError;
use crate::engine::index::needs::{Need, PermissionScope};

/// A key that ends within this time is told.
const NOTICE: SignedDuration = SignedDuration::from_hours(14 * 24);
/// So many organizations of a gap are listed.
const LISTED: usize = 10;

/// What the user lacks in one organization, or in the instance.
type Missing = (&'static str, Vec<&'static str>, Option<String>);

/// The permissions of a connection's user, asked for once for each set of roles: what it may do in an organization
/// follows from its roles there and in the instance.
pub(crate) struct Permissions<'a> {
    session: &'a Session,
    /// The user's own organization, to ask in about the instance.
    own_organization: &'a str,
    memberships: &'a [ConnectionMembership],
    known: BTreeMap<Vec<&'a str>, BTreeSet<&'static str>>,
}

impl<'a> Permissions<'a> {
    pub(crate) fn new(
        session: &'a Session,
        own_organization: &'a str,
        memberships: &'a [ConnectionMembership],
    ) -> Self {
        Self { session, own_organization, memberships, known: BTreeMap::new() }
    }

    /// What is missing for these needs (`POST /auth/v1/permissions/zitadel/me/_search`).
    ///
    /// # Errors
    /// Those that pass by themselves; what cannot be seen or found is told by the resources that need it.
    pub(crate) async fn missing(
        mut self,
        needs: Vec<Need>,
    ) -> Result<Vec<MissingPermissions>, ReconcileError> {
        let mut all = Vec::new();
        for need in needs {
            all.extend(seen(self.missing_for(&need).await)?.flatten());
        }
        Ok(listed(all))
    }

    async fn missing_for(&mut self, need: &Need) -> Result<Option<Missing>, ReconcileError> {
        let organization = match &need.permission_scope {
            PermissionScope::Instance => self.own_organization.to_owned(),
            PermissionScope::Default => self.session.default_organization().await?,
            PermissionScope::Organization(id) => id.clone(),
            PermissionScope::Named(name) => self.session.organization_named(name).await?,
        };
        let present = self.present(&organization).await?;
        let missing = need.permissions.iter().map(|permission| permission.name);
        let missing: Vec<&str> = missing.filter(|name| !present.contains(*name)).collect();
        let in_instance = need.permission_scope == PermissionScope::Instance
            || missing.iter().all(|name| name.starts_with("iam."));
        let organization = (!in_instance).then_some(organization);
        Ok((!missing.is_empty()).then_some((need.kind, missing, organization)))
    }

    async fn present(&mut self, organization: &str) -> Result<&BTreeSet<&'static str>, ReconcileError> {
        let there = self.memberships.iter().filter(|m| m.organization_id.as_deref() == Some(organization));
        let mut roles: Vec<&str> = there.flat_map(|m| &m.roles).map(String::as_str).collect();
        roles.sort_unstable();
        if !self.known.contains_key(&roles) {
            let present = self.session.client.permissions(Some(organization)).await?;
            self.known.insert(roles.clone(), present);
        }
        Ok(self.known.entry(roles).or_default())
    }
}

fn seen<T>(outcome: Result<T, ReconcileError>) -> Result<Option<T>, ReconcileError> {
    match outcome {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.is_transient() => Err(error),
        Err(_) => Ok(None),
    }
}

/// The same permissions that a kind lacks in several organizations are one entry.
fn listed(all: Vec<Missing>) -> Vec<MissingPermissions> {
    let mut places: BTreeMap<(&str, Vec<&str>), BTreeSet<String>> = BTreeMap::new();
    for (kind, missing, organization) in all {
        places.entry((kind, missing)).or_default().extend(organization);
    }
    let entry =
        |((kind, missing), organizations): ((&str, Vec<&str>), BTreeSet<String>)| MissingPermissions {
            kind: kind.into(),
            permissions: missing.into_iter().map(str::to_owned).collect(),
            organization_ids: organizations.into_iter().take(LISTED).collect(),
        };
    places.into_iter().map(entry).collect()
}

/// What to do about it, in a sentence each; the same for the same status until a key comes near its end.
pub(crate) fn remedies(status: &ConnectionStatus, now: Timestamp) -> Vec<String> {
    let expires = status.credential.as_ref().and_then(|credential| credential.expires_at.as_deref());
    let expires = expires.and_then(|date| date.parse::<Timestamp>().ok());
    let near = expires.filter(|expires| expires.duration_since(now) < NOTICE);
    let near = near.map(|expires| format!("its key ends at {expires}: put a new one into its Secret"));
    status.missing_permissions.iter().map(remedy).chain(near).collect()
}

fn remedy(missing: &MissingPermissions) -> String {
    let MissingPermissions { kind, permissions, organization_ids } = missing;
    let permission_scope = match organization_ids.as_slice() {
        [] => "in the instance".to_owned(),
        [one] => format!("in organization {one}"),
        [first, ..] => format!("in organization {first} and others"),
    };
    let lacks = format!("its user lacks {} for {kind} {permission_scope}", permissions.join(", "));
    let registry = crate::kinds::registry();
    let mut stated = registry.iter().filter(|entry| entry.kind == kind).flat_map(|entry| entry.permissions);
    let roles = stated.rfind(|p| permissions.iter().any(|name| name == p.name)).map(|p| p.roles);
    roles.map_or(lacks.clone(), |roles| format!("{lacks}: give it the role {roles}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::connection::{ConnectionCredential, CredentialType};

    fn ending(at: &str) -> ConnectionStatus {
        let credential =
            ConnectionCredential { r#type: CredentialType::JwtProfile, expires_at: Some(at.into()) };
        ConnectionStatus { credential: Some(credential), ..Default::default() }
    }

    #[test]
    fn a_key_is_told_two_weeks_before_its_end_and_after_it() {
        let now = "2026-11-22T00:00:00Z".parse().unwrap();
        for (end, is_named) in [
            ("2026-12-06T00:00:00Z", false),
            ("2026-12-05T23:59:59Z", true),
            ("2026-11-21T00:00:00Z", true),
            ("9999-12-31T23:59:59Z", false),
        ] {
            let remedies = remedies(&ending(end), now);
            assert_eq!(remedies.iter().any(|remedy| remedy.contains(end)), is_named, "{end}: {remedies:?}");
        }
    }

    #[test]
    fn gaps_of_a_kind_are_joined_over_organizations_and_never_over_permissions() {
        let missing_for = |kind, missing: &[&'static str], at: Option<&str>| {
            (kind, missing.to_vec(), at.map(str::to_owned))
        };
        let write = ["project.create", "project.write"];
        let many = (0..20).map(|number| missing_for("Project", &write, Some(&format!("{number:02}"))));
        let others = [
            missing_for("Project", &["project.delete"], Some("7")),
            missing_for("OrgDomainPolicy", &["iam.policy.write"], None),
            missing_for("OrgDomainPolicy", &["iam.policy.write"], None),
        ];
        let missing_permissions = listed(many.chain(others).collect());
        let status = ConnectionStatus { missing_permissions, ..Default::default() };
        assert_eq!(status.missing_permissions[1].organization_ids.len(), LISTED);
        let expected = [
            "its user lacks iam.policy.write for OrgDomainPolicy in the instance: give it the role IAM_OWNER",
            "its user lacks project.create, project.write for Project in organization 00 and others: give it the role ORG_OWNER or IAM_OWNER",
            "its user lacks project.delete for Project in organization 7: give it the role ORG_OWNER or IAM_OWNER",
        ];
        assert_eq!(remedies(&status, Timestamp::UNIX_EPOCH), expected);
    }
}
