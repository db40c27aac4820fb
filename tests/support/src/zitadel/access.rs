//! Who calls, in which organization, and what the roles there permit.

use std::collections::BTreeSet;

use http::HeaderMap;

use super::behaviour::ServerLine;
use super::failure::{Failure, Outcome};
use super::model::State;
use super::roles::permissions;
use super::store::Store;

/// What a route asks of its caller.
#[derive(Debug, Clone, Copy)]
pub(super) enum Access {
    /// A valid token.
    Authenticated,
    /// This permission in the context organization.
    Needs(&'static str),
}

/// Finds the instance by `x-zitadel-instance-host`, or else the host, without its port.
pub(super) fn resolve_instance(store: &Store, host: &str) -> Outcome<()> {
    if store.domains.iter().any(|domain| domain == without_port(host)) {
        return Ok(());
    }
    let asked = without_port(host);
    let (looked, known_as) = match store.behaviour.line {
        ServerLine::V4Newer => {
            (format!("domain: instanceDomain {asked}, publicHostname {asked}"), "Errors.Instance.NotFound")
        }
        _ => (format!("host: instanceHost {host}, publicHost "), "Errors.IAM.NotFound"),
    };
    let help = "Instance not found. Make sure you got the domain right. Check out https://zitadel.com/docs/apis/introduction#domains";
    let parent = format!("unable to get instance by {looked}: ID=QUERY-1kIjX Message={known_as}");
    let found = no_instance(host, store.scheme, &store.domains[0]);
    Err(Failure::bare(5, format!("{found}: ID=QUERY-1kIjX Message={help} Parent=({parent})")))
}

/// How every refusal to answer for a host begins.
pub(super) fn no_instance(host: &str, scheme: &str, domain: &str) -> String {
    format!("unable to set instance using origin &{{{host}  {scheme}}} (ExternalDomain is {domain})")
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|digit| digit.is_ascii_digit()) => name,
        _ => host,
    }
}

/// The id of the user that the token belongs to.
pub(super) fn authenticate(store: &Store, headers: &HeaderMap) -> Outcome<String> {
    let Some(header) = headers.get(http::header::AUTHORIZATION) else {
        return Err(Failure::bare(16, "auth header missing"));
    };
    let header = header.to_str().unwrap_or_default();
    let Some(token) = header.strip_prefix("Bearer ") else {
        return Err(Failure::of("AUTH-toLo1"));
    };
    let user = store.credentials.holder(token, store.clock.now());
    let user = user.filter(|user| store.current().users.contains_key(*user));
    user.map(str::to_owned).ok_or_else(|| Failure::of("AUTH-7fs1e"))
}

/// The context organization: the one of `x-zitadel-orgid`, or else the caller's own.
pub(super) fn context(store: &Store, user: &str, asked: Option<&str>) -> Outcome<String> {
    let own = store.current().users.get(user).map(|user| user.organization.as_str()).unwrap_or_default();
    let id = asked.filter(|id| !id.is_empty()).unwrap_or(own);
    let known = match store.current().organizations.get(id).map(|organization| organization.state) {
        Some(State::Removed) => store.behaviour.removed_organizations_linger,
        found => found.is_some(),
    };
    if known { Ok(id.to_owned()) } else { Err(Failure::of("AUTH-Bs7Ds")) }
}

/// Checks a permission as the interceptor does: no membership is 404, a missing permission 403.
pub(super) fn allow(store: &Store, user: &str, organization: &str, needed: &str) -> Outcome<()> {
    let of_instance = needed == "org.create" && store.behaviour.creates_organizations_in_instance;
    let organization = if of_instance { "" } else { organization };
    let granted = granted(store, user, organization);
    if granted.is_empty() {
        return Err(Failure::of("AUTHZ-cdgFk"));
    }
    if granted.contains(&needed) {
        return Ok(());
    }
    Err(Failure::of("AUTH-5mWD2"))
}

/// Everything the caller may do in an organization, in the order of the roles' own lists.
pub(super) fn granted(store: &Store, user: &str, organization: &str) -> Vec<&'static str> {
    let members = &store.current().members;
    let scopes = [None, Some(organization.to_owned())];
    let memberships = scopes.into_iter().filter_map(|scope| members.get(&(user.to_owned(), scope)));
    let mut seen = BTreeSet::new();
    let lists = memberships.flat_map(|member| &member.roles).flat_map(|role| permissions(role));
    let all = lists.filter(|permission| seen.insert(*permission));
    let line = store.behaviour.line;
    let known = |permission: &&str| match *permission {
        "session.read" => line != ServerLine::V3,
        permission if permission.starts_with("group.") => line == ServerLine::V4Newer,
        _ => true,
    };
    all.filter(known).collect()
}
