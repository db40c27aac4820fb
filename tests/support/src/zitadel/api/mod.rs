//! The endpoints, one file an API.

use super::route::Route;

pub(super) mod credential;
pub(super) mod domain_policy;
pub(super) mod events;
pub(super) mod factor;
pub(super) mod features;
pub(super) mod iam;
pub(super) mod member;
pub(super) mod metadata;
pub(super) mod organization;
pub(super) mod policy;
pub(super) mod project;
pub(super) mod role;
pub(super) mod token;
pub(super) mod user;

/// Where credentials are exchanged for access tokens.
pub(super) const TOKEN_PATH: &str = "/oauth/v2/token";

/// Every JSON endpoint; where two match, the earlier one counts.
pub(super) fn routes() -> impl Iterator<Item = &'static Route> {
    let apis: [&'static [Route]; 15] = [
        project::ROUTES,
        role::ROUTES,
        organization::ROUTES,
        metadata::ROUTES,
        domain_policy::ROUTES,
        policy::LOGIN_ROUTES,
        policy::LOCKOUT_ROUTES,
        factor::SECOND_ROUTES,
        factor::MULTI_ROUTES,
        features::ROUTES,
        user::ROUTES,
        credential::ROUTES,
        member::ROUTES,
        iam::ROUTES,
        events::ROUTES,
    ];
    apis.into_iter().flatten()
}
