//! Domain policies: `/admin/v1/orgs/{id}/policies/domain`, the instance's default, the effective one.

use std::sync::Arc;

use http::Method;
use serde_json::{Value, json};

use crate::zitadel::access::Access::{Authenticated, Needs};
use crate::zitadel::failure::{Failure, Outcome};
use crate::zitadel::json::{changed, created, details, message};
use crate::zitadel::model::{DomainPolicy, DomainSettings, Moment, Organization, Stamp, User};
use crate::zitadel::route::{Call, Reply, Route, length, route};
use crate::zitadel::store::{Aggregate, Store, Tables};

const PATH: &str = "/admin/v1/orgs/{}/policies/domain";

pub(super) const ROUTES: &[Route] = &[
    route(Method::GET, PATH, Needs("iam.policy.read"), get),
    route(Method::POST, PATH, Needs("iam.policy.write"), create),
    route(Method::PUT, PATH, Needs("iam.policy.write"), update),
    route(Method::DELETE, PATH, Needs("iam.policy.delete"), delete),
    route(Method::GET, "/admin/v1/policies/domain", Needs("iam.policy.read"), get_default),
    route(Method::GET, "/management/v1/policies/domain", Authenticated, get_effective),
];

fn settings(call: &Call<'_>) -> Outcome<DomainSettings> {
    Ok(DomainSettings {
        user_login_must_be_domain: call.body.flag("userLoginMustBeDomain")?,
        validate_org_domains: call.body.flag("validateOrgDomains")?,
        smtp_sender_address_matches_instance_domain: call
            .body
            .flag("smtpSenderAddressMatchesInstanceDomain")?,
    })
}

fn shown(settings: DomainSettings) -> Value {
    message(json!({
        "userLoginMustBeDomain": settings.user_login_must_be_domain,
        "validateOrgDomains": settings.validate_org_domains,
        "smtpSenderAddressMatchesInstanceDomain": settings.smtp_sender_address_matches_instance_domain,
    }))
}

/// The policy in force: the organization's own, or the instance's default.
pub(in crate::zitadel) fn effective(tables: &Tables, organization: &str) -> Option<DomainPolicy> {
    tables.policies.get(organization).or(tables.default_policy.as_ref()).cloned()
}

fn scopes_names(store: &Store, organization: &str) -> bool {
    effective(store.current(), organization).is_some_and(|policy| policy.settings.user_login_must_be_domain)
}

/// Rewrites every user name, as a write does that flips the effective `userLoginMustBeDomain`; the last event.
fn rewrite_names(store: &mut Store, organization: &Organization, scoped: bool) -> Outcome<Option<Moment>> {
    let domain = format!("@{}", organization.primary_domain);
    let own = |user: &&Arc<User>| user.organization == organization.id;
    let users: Vec<Arc<User>> = store.current().users.values().filter(own).cloned().collect();
    let mut last = None;
    for mut user in users.into_iter().map(Arc::unwrap_or_clone) {
        user.user_name = match scoped {
            true => user.user_name.trim_end_matches(&domain).to_owned(),
            false => format!("{}{domain}", user.user_name),
        };
        let aggregate = Aggregate::of("user", &user.id, &organization.id);
        let moment = store.push(&aggregate, "user.username.changed", json!({"userName": user.user_name}))?;
        user.stamp.touch(moment);
        last = Some(moment);
        store.edit().users.insert(user.id.clone(), Arc::new(user));
    }
    Ok(last)
}

/// Sets the organization's policy, or removes it. Answers with the last event, as the server does: the policy's,
/// or that of the last user whose name changed.
pub(in crate::zitadel) fn write(
    store: &mut Store,
    id: &str,
    settings: Option<DomainSettings>,
) -> Outcome<Moment> {
    let (known, scoped) = (store.current().policies.get(id).cloned(), scopes_names(store, id));
    let event = match (&known, settings) {
        (None, _) => "org.policy.domain.added",
        (Some(_), Some(_)) => "org.policy.domain.changed",
        (Some(_), None) => "org.policy.domain.removed",
    };
    let moment = store.push(&Aggregate::organization(id), event, settings.map(shown).unwrap_or_default())?;
    let policies = &mut store.edit().policies;
    match settings {
        Some(settings) => {
            let mut stamp = known.map_or_else(|| Stamp::new(moment, id), |known| known.stamp);
            stamp.touch(moment);
            policies.insert(id.to_owned(), DomainPolicy { settings, stamp });
        }
        None => drop(policies.remove(id)),
    }
    let (scopes, organization) = (scopes_names(store, id), store.current().organizations.get(id).cloned());
    let renamed = match organization.filter(|_| scopes != scoped) {
        Some(organization) => rewrite_names(store, &organization, scopes)?,
        None => None,
    };
    Ok(renamed.unwrap_or(moment))
}

fn policy_message(tables: &Tables, organization: &str) -> Outcome<Reply> {
    let missing = || Failure::of("QUERY-K0Jr5");
    let policy = effective(tables, organization).ok_or_else(missing)?;
    let mut shown = shown(policy.settings);
    shown["details"] = details(&policy.stamp);
    if !tables.policies.contains_key(organization) {
        shown["isDefault"] = json!(true);
    }
    Reply::ok(json!({"policy": shown}))
}

fn target(call: &Call<'_>, request: &str) -> Outcome<String> {
    length(request, "OrgId", &call.parameters[0])?;
    Ok(call.parameters[0].clone())
}

fn get(call: &mut Call<'_>) -> Outcome<Reply> {
    policy_message(&call.store.read(), &target(call, "GetCustomDomainPolicyRequest")?)
}

fn get_default(call: &mut Call<'_>) -> Outcome<Reply> {
    policy_message(&call.store.read(), "")
}

fn get_effective(call: &mut Call<'_>) -> Outcome<Reply> {
    policy_message(&call.store.read(), &call.organization)
}

fn create(call: &mut Call<'_>) -> Outcome<Reply> {
    let (settings, organization) = (settings(call)?, target(call, "AddCustomDomainPolicyRequest")?);
    if call.store.current().policies.contains_key(&organization) {
        return Err(Failure::of("ORG-1M8ds"));
    }
    let moment = write(call.store, &organization, Some(settings))?;
    Reply::ok(created(&Stamp::new(moment, &organization)))
}

fn update(call: &mut Call<'_>) -> Outcome<Reply> {
    let (settings, organization) = (settings(call)?, target(call, "UpdateCustomDomainPolicyRequest")?);
    match call.store.current().policies.get(&organization) {
        None => {
            return Err(Failure::of("ORG-2N9sd"));
        }
        Some(known) if known.settings == settings => {
            return Err(Failure::of("ORG-3M9ds"));
        }
        Some(_) => {}
    }
    let moment = write(call.store, &organization, Some(settings))?;
    Reply::ok(changed(&Stamp::new(moment, &organization)))
}

fn delete(call: &mut Call<'_>) -> Outcome<Reply> {
    let organization = target(call, "ResetCustomDomainPolicyToDefaultRequest")?;
    if !call.store.current().policies.contains_key(&organization) {
        return Err(Failure::of("ORG-Dvsh3"));
    }
    let moment = write(call.store, &organization, None)?;
    Reply::ok(changed(&Stamp::new(moment, &organization)))
}
