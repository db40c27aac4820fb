//! Organizations: v2 and admin search, v2 create, `/management/v1/orgs/me`, `/admin/v1/orgs`.

use std::sync::Arc;

use http::Method;
use serde_json::{Value, json};

use crate::zitadel::access::Access::{Authenticated, Needs};
use crate::zitadel::access::granted;
use crate::zitadel::behaviour::{OwnIds, ServerLine};
use crate::zitadel::failure::{Failure, Outcome};
use crate::zitadel::json::{Body, changed, created, details, message};
use crate::zitadel::model::{Organization, Stamp, State, same_name};
use crate::zitadel::route::{Call, Reply, Route, route};
use crate::zitadel::search::{Style, filters, page, passes_all};
use crate::zitadel::store::{Aggregate, Store};

pub(super) const ROUTES: &[Route] = &[
    route(Method::POST, "/v2/organizations", Needs("org.create"), create_v2),
    route(Method::POST, "/v2/organizations/_search", Authenticated, search_v2),
    route(Method::POST, "/management/v1/orgs", Needs("org.create"), create_v1),
    route(Method::GET, "/management/v1/orgs/me", Needs("org.read"), get_mine),
    route(Method::PUT, "/management/v1/orgs/me", Needs("org.write"), update_mine),
    route(Method::DELETE, "/management/v1/orgs/me", Needs("org.delete"), delete_mine),
    route(Method::POST, "/management/v1/orgs/me/_deactivate", Needs("org.write"), deactivate_mine),
    route(Method::POST, "/management/v1/orgs/me/_reactivate", Needs("org.write"), reactivate_mine),
    route(Method::GET, "/admin/v1/orgs/default", Needs("iam.read"), get_default),
    route(Method::POST, "/admin/v1/orgs/_search", Needs("iam.read"), search_admin),
    route(Method::GET, "/admin/v1/orgs/{}", Needs("iam.read"), get_any),
    route(Method::DELETE, "/admin/v1/orgs/{}", Needs("iam.write"), delete_any),
];

fn organization_message(organization: &Organization, prefix: &str) -> Value {
    message(json!({
        "id": organization.id,
        "details": details(&organization.stamp),
        "state": organization.state.wire(prefix),
        "name": organization.name,
        "primaryDomain": organization.primary_domain,
    }))
}

fn domain_of(name: &str) -> String {
    let kept = name.to_lowercase().replace(' ', "-");
    let kept: String = kept.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-').collect();
    format!("{kept}.localhost")
}

/// The name, and the domain that is made of it: two names may make the same one.
fn require_free(store: &Store, name: &str, except: &str) -> Outcome<()> {
    let mut others = store.current().organizations.values().filter(|other| other.state != State::Removed);
    if others.any(|other| other.id != except && same_name(&other.name, name)) {
        let text = match store.behaviour.line {
            ServerLine::V3 => "Organisation's name already taken",
            ServerLine::V4 | ServerLine::V4Newer => "Organisation's name or id already taken",
        };
        return Err(Failure::taken(text));
    }
    let domain = domain_of(name);
    let mut others = store.current().organizations.values().filter(|other| other.state != State::Removed);
    match others.any(|other| other.id != except && other.primary_domain == domain && domain != domain_of(""))
    {
        true => Err(Failure::taken("Domain already exists")),
        false => Ok(()),
    }
}

fn live(store: &Store, id: &str, missing: &'static str) -> Outcome<Organization> {
    let found = store.current().organizations.get(id).filter(|found| found.state != State::Removed);
    found.map(|found| (**found).clone()).ok_or_else(|| Failure::of(missing))
}

/// Commits an event of the organization, together with what it changed.
fn save(
    store: &mut Store,
    mut changed: Organization,
    event: &'static str,
    payload: Value,
) -> Outcome<Organization> {
    changed.stamp.touch(store.push(&Aggregate::organization(&changed.id), event, payload)?);
    store.edit().organizations.insert(changed.id.clone(), Arc::new(changed.clone()));
    Ok(changed)
}

/// # Errors
/// 409 where the id or the name is taken, 400 where the name is blank.
pub(in crate::zitadel) fn add(store: &mut Store, id: Option<String>, name: &str) -> Outcome<Organization> {
    let (name, id) = (name.trim().to_owned(), id.unwrap_or_else(|| store.ids.id()));
    if name.is_empty() {
        return Err(Failure::of("ORG-mruNY"));
    }
    if live(store, &id, "ORG-1MRds").is_ok() {
        return Err(Failure::of("ORG-laho2n"));
    }
    require_free(store, &name, "")?;
    let (stamp, payload) = (Stamp::begin(store.clock.now(), &id), json!({"name": name}));
    let organization = Organization { id, name, state: State::Active, primary_domain: String::new(), stamp };
    let organization = save(store, organization, "org.added", payload)?;
    move_domain(store, organization)
}

/// Gives the organization the domain that follows from its name.
fn move_domain(store: &mut Store, mut organization: Organization) -> Outcome<Organization> {
    let domain = domain_of(&organization.name);
    if organization.primary_domain != domain {
        organization.primary_domain.clone_from(&domain);
        for event in ["org.domain.added", "org.domain.verified", "org.domain.primary.set"] {
            organization = save(store, organization, event, json!({"domain": domain}))?;
        }
    }
    Ok(organization)
}

pub(in crate::zitadel) fn rename(store: &mut Store, id: &str, name: &str) -> Outcome<Organization> {
    let name = name.trim().to_owned();
    let organization = live(store, id, "ORG-1MRds")?;
    if organization.name == name {
        return Err(Failure::of("ORG-4VSdf"));
    }
    require_free(store, &name, id)?;
    let payload = json!({"name": name});
    let organization = save(store, Organization { name, ..organization }, "org.changed", payload)?;
    move_domain(store, organization)
}

pub(in crate::zitadel) fn set_state(store: &mut Store, id: &str, state: State) -> Outcome<Organization> {
    let (missing, event, refused) = match state {
        State::Active => ("ORG-Dgf3g", "org.reactivated", "EVENT-bfnrh"),
        _ => ("ORG-oL9nT", "org.deactivated", "EVENT-Dbs2g"),
    };
    let organization = live(store, id, missing)?;
    if organization.state == state {
        return Err(Failure::of(refused));
    }
    save(store, Organization { state, ..organization }, event, Value::Null)
}

/// Removes the organization with all it owns; later projects may still name it.
pub(in crate::zitadel) fn remove(store: &mut Store, id: &str) -> Outcome<Organization> {
    let organization = live(store, id, "COMMA-aps2n")?;
    if id == store.instance.default_organization {
        return Err(Failure::of("COMMA-wG9p1"));
    }
    let removed = Organization { state: State::Removed, ..organization };
    let removed = save(store, removed, "org.removed", Value::Null)?;
    let tables = store.edit();
    tables.projects.retain(|_, project| project.organization != id);
    let projects = &tables.projects;
    tables.roles.retain(|(project, _), _| projects.contains_key(project));
    tables.metadata.retain(|(owner, _), _| owner != id);
    tables.policies.remove(id);
    tables.own_policies.retain(|(_, owner), _| owner.as_deref() != Some(id));
    tables.factors.retain(|(_, owner, _)| owner.as_deref() != Some(id));
    tables.features.remove(id);
    tables.users.retain(|_, user| user.organization != id);
    let users = &tables.users;
    tables.members.retain(|(user, scope), _| scope.as_deref() != Some(id) && users.contains_key(user));
    Ok(removed)
}

fn own_id(call: &Call<'_>) -> Outcome<Option<String>> {
    let (old, new) = (call.body.string("orgId")?, call.body.string("organizationId")?);
    let chosen = match call.store.behaviour.own_ids {
        OwnIds::Ignored => String::new(),
        OwnIds::OrgId => old,
        OwnIds::OrganizationId => Some(new).filter(|new| !new.is_empty()).unwrap_or(old),
    };
    Ok(Some(chosen).filter(|id| !id.is_empty()))
}

fn create_v2(call: &mut Call<'_>) -> Outcome<Reply> {
    let name = call.name("AddOrganizationRequest", "name")?;
    let id = own_id(call)?;
    let organization = add(call.store, id, &name)?;
    let mut answer = changed(&organization.stamp);
    answer["organizationId"] = json!(organization.id);
    Ok(Reply { status: 201, body: answer })
}

fn create_v1(call: &mut Call<'_>) -> Outcome<Reply> {
    let name = call.name("AddOrgRequest", "name")?;
    let organization = add(call.store, None, &name)?;
    super::member::set(call.store, &call.user, Some(&organization.id), &["ORG_OWNER"])?;
    let mut answer = created(&organization.stamp);
    answer["id"] = json!(organization.id);
    Reply::ok(answer)
}

fn get(call: &mut Call<'_>, id: &str) -> Outcome<Reply> {
    let (tables, behaviour) = (call.store.read(), &call.store.behaviour);
    let visible =
        |found: &&Arc<Organization>| found.state != State::Removed || behaviour.removed_organizations_linger;
    let missing = match behaviour.line {
        ServerLine::V3 => "QUERY-iTTGJ",
        ServerLine::V4 | ServerLine::V4Newer => "QUERY-leq5Q",
    };
    let found = tables.organizations.get(id).filter(visible);
    let organization = found.ok_or_else(|| Failure::of(missing))?;
    Reply::ok(json!({"org": organization_message(organization, "ORG_STATE")}))
}

fn get_mine(call: &mut Call<'_>) -> Outcome<Reply> {
    get(call, &call.organization.clone())
}

fn get_any(call: &mut Call<'_>) -> Outcome<Reply> {
    get(call, &call.parameters[0].clone())
}

fn get_default(call: &mut Call<'_>) -> Outcome<Reply> {
    get(call, &call.store.instance.default_organization.clone())
}

fn update_mine(call: &mut Call<'_>) -> Outcome<Reply> {
    let name = call.name("UpdateOrgRequest", "name")?;
    Reply::ok(created(&rename(call.store, &call.organization, &name)?.stamp))
}

fn deactivate_mine(call: &mut Call<'_>) -> Outcome<Reply> {
    Reply::ok(changed(&set_state(call.store, &call.organization, State::Inactive)?.stamp))
}

fn reactivate_mine(call: &mut Call<'_>) -> Outcome<Reply> {
    Reply::ok(changed(&set_state(call.store, &call.organization, State::Active)?.stamp))
}

fn delete(call: &mut Call<'_>, id: &str) -> Outcome<Reply> {
    let removed = remove(call.store, id)?;
    Reply::ok(changed(&Stamp { owner: call.store.instance.id.clone(), ..removed.stamp }))
}

fn delete_mine(call: &mut Call<'_>) -> Outcome<Reply> {
    delete(call, &call.organization.clone())
}

fn delete_any(call: &mut Call<'_>) -> Outcome<Reply> {
    delete(call, &call.parameters[0].clone())
}

/// Whether the organization passes every query of the request.
fn queried(call: &Call<'_>, body: &Body, organization: &Organization, prefix: &str) -> Outcome<bool> {
    let state = organization.state.wire(prefix).unwrap_or_default();
    let default = organization.id == call.store.instance.default_organization;
    let states = [format!("{prefix}_UNSPECIFIED"), format!("{prefix}_ACTIVE"), format!("{prefix}_INACTIVE")];
    let in_state = |query: &Body| match query.get("state") {
        Some(Value::Number(index)) => index.as_u64().and_then(|i| states.get(i as usize)) == Some(&state),
        Some(name) => *name == json!(state),
        None => false,
    };
    Ok(passes_all(&filters(body, "nameQuery"), "name", &organization.name)?
        && passes_all(&filters(body, "domainQuery"), "domain", &organization.primary_domain)?
        && passes_all(&filters(body, "idQuery"), "id", &organization.id)?
        && filters(body, "stateQuery").iter().all(in_state)
        && (default || filters(body, "defaultQuery").is_empty()))
}

fn search(call: &mut Call<'_>, style: Style, prefix: &str) -> Outcome<Reply> {
    let tables = call.store.listed();
    let (mut rows, mut invisible) = (Vec::new(), 0);
    for organization in tables.organizations.values().filter(|found| found.state != State::Removed) {
        if !queried(call, &call.body, organization, prefix)? {
            continue;
        }
        match granted(call.store, &call.user, &organization.id).contains(&"org.read") {
            true => rows.push(organization_message(organization, prefix)),
            false => invisible += 1,
        }
    }
    page(call, style, rows, invisible)
}

fn search_v2(call: &mut Call<'_>) -> Outcome<Reply> {
    search(call, Style::V2, "ORGANIZATION_STATE")
}

fn search_admin(call: &mut Call<'_>) -> Outcome<Reply> {
    search(call, Style::V1, "ORG_STATE")
}
