//! Who the caller is and which instance answers: `/auth/v1/…/me`, `/management/v1/iam`, `/admin/v1/instances/me`.

use http::Method;
use serde_json::{Value, json};

use super::user::user_message;
use crate::zitadel::access::Access::{Authenticated, Needs};
use crate::zitadel::access::granted;
use crate::zitadel::failure::{Failure, Outcome};
use crate::zitadel::json::{details, message};
use crate::zitadel::model::Member;
use crate::zitadel::route::{Call, Reply, Route, route};
use crate::zitadel::search::{Style, page};
use crate::zitadel::store::Tables;

pub(super) const ROUTES: &[Route] = &[
    route(Method::GET, "/auth/v1/users/me", Authenticated, me),
    route(Method::POST, "/auth/v1/memberships/me/_search", Authenticated, memberships),
    route(Method::POST, "/auth/v1/permissions/zitadel/me/_search", Authenticated, permissions),
    route(Method::GET, "/management/v1/iam", Authenticated, identity),
    route(Method::GET, "/admin/v1/instances/me", Needs("iam.read"), instance),
];

/// The name that the instance and its default organization have from setup.
pub(in crate::zitadel) const INSTANCE_NAME: &str = "ZITADEL";

fn me(call: &mut Call<'_>) -> Outcome<Reply> {
    let tables = call.store.read();
    let found = tables.users.get(&call.user);
    let user = found.ok_or_else(|| Failure::of("QUERY-Dfbg2"))?;
    Reply::ok(json!({"user": user_message(&tables, user)}))
}

fn membership(tables: &Tables, user: &str, scope: Option<&str>, member: &Member) -> Value {
    let organization = scope.and_then(|id| tables.organizations.get(id));
    message(json!({
        "userId": user,
        "details": details(&member.stamp),
        "roles": member.roles,
        "displayName": organization.map_or(INSTANCE_NAME, |organization| &organization.name),
        "iam": scope.is_none(),
        "orgId": scope,
    }))
}

fn memberships(call: &mut Call<'_>) -> Outcome<Reply> {
    let tables = call.store.listed();
    let mine = tables.members.iter().filter(|((user, _), _)| *user == call.user);
    let rows =
        mine.map(|((user, scope), member)| membership(&tables, user, scope.as_deref(), member)).collect();
    page(call, Style::V1, rows, 0)
}

fn permissions(call: &mut Call<'_>) -> Outcome<Reply> {
    let granted = granted(call.store, &call.user, &call.organization);
    Reply::ok(message(json!({"result": granted})))
}

fn identity(call: &mut Call<'_>) -> Outcome<Reply> {
    let instance = &call.store.instance;
    let default = &instance.default_organization;
    Reply::ok(json!({"globalOrgId": default, "iamProjectId": instance.project, "defaultOrgId": default}))
}

fn instance(call: &mut Call<'_>) -> Outcome<Reply> {
    let instance = &call.store.instance;
    let details = details(&instance.created);
    let domains = json!([
        {"details": details, "domain": instance.generated_domain, "generated": true},
        {"details": details, "domain": call.store.domains[0], "primary": true},
    ]);
    let shown = json!({
        "id": instance.id,
        "details": details,
        "state": "STATE_RUNNING",
        "name": INSTANCE_NAME,
        "version": call.store.behaviour.version(),
        "domains": domains,
    });
    Reply::ok(json!({"instance": shown}))
}
