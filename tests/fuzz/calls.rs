//! Every call of the client.

use std::fmt::Debug;

use futures::FutureExt;
use futures::future::BoxFuture;
use serde_json::Map;
use zitadel_operator::api::{OrgDomainPolicy, OrgLoginPolicy, Project};
use zitadel_operator::engine::drivers::object::ObjectKind;
use zitadel_operator::engine::drivers::policy::PolicyKind;
use zitadel_operator::zitadel::{Client, Error, ORGANIZATION, ObjectPaths, PolicyPaths, RemoteState};

use crate::server::ID;

/// A call, and its result as `Debug` shows it.
pub type Call = fn(&Client) -> BoxFuture<'_, Result<String, Error>>;

fn shown<T: Debug>(result: Result<T, Error>) -> Result<String, Error> {
    result.map(|value| format!("{value:?}"))
}

macro_rules! calls {
    ($($name:ident($($argument:expr),*)),+ $(,)?) => {
        /// Their names and themselves.
        pub const CALLS: &[(&str, Call)] = &[$((
            stringify!($name),
            |client| async move { shown(client.$name($($argument),*).await) }.boxed(),
        )),+];
    };
}

const DEFAULT: PolicyPaths = PolicyPaths::of_instance("/admin/v1/policies/domain", &[]);
const DOMAIN: PolicyPaths = <OrgDomainPolicy as PolicyKind>::PATHS;
const LOGIN: PolicyPaths = <OrgLoginPolicy as PolicyKind>::PATHS;

/// Where projects are.
pub const PROJECT: ObjectPaths = <Project as ObjectKind>::PATHS;

calls! {
    instance(),
    version(),
    me(),
    memberships(),
    permissions(Some(ID)),
    permissions(None),
    organization(ID),
    living_organization(ID),
    organizations_named("acme"),
    create_organization("acme", ID),
    update_object(&ORGANIZATION, ID, ID, &Map::new()),
    set_object_state(&ORGANIZATION, ID, ID, RemoteState::Inactive),
    set_object_state(&ORGANIZATION, ID, ID, RemoteState::Active),
    delete_organization(ID),
    object(&PROJECT, ID, ID),
    objects_named(&PROJECT, ID, "web"),
    create_object(&PROJECT, ID, &Map::new()),
    update_object(&PROJECT, ID, ID, &Map::new()),
    delete_object(&PROJECT, ID, ID),
    set_object_state(&PROJECT, ID, ID, RemoteState::Inactive),
    set_object_state(&PROJECT, ID, ID, RemoteState::Active),
    policy(&DOMAIN, ID),
    policy(&DEFAULT, ""),
    add_policy(&DOMAIN, ID, &Map::new()),
    update_policy(&DOMAIN, ID, &Map::new()),
    reset_policy(&DOMAIN, ID),
    add_to_policy((&LOGIN, &LOGIN.sets[0]), ID, "SECOND_FACTOR_TYPE_OTP"),
    remove_from_policy((&LOGIN, &LOGIN.sets[0]), ID, "SECOND_FACTOR_TYPE_OTP"),
    user_count(ID),
    metadata(ID, |_| true),
    set_metadata(ID, &[("tier", b"gold")]),
    set_metadata(ID, &[("tier", b"gold"), ("logo", b"x")]),
    remove_metadata(ID, &["tier"]),
    organization_features(ID),
    set_organization_features(ID, &Map::new()),
    reset_organization_features(ID),
}
