//! Memberships of users in organizations and the instance.

use serde_json::json;

use crate::zitadel::failure::Outcome;
use crate::zitadel::model::{Member, Stamp};
use crate::zitadel::store::{Aggregate, Store};

/// Gives the user exactly these roles in the organization, or in the instance; without roles, none.
pub(in crate::zitadel) fn set(
    store: &mut Store,
    user: &str,
    scope: Option<&str>,
    roles: &[&str],
) -> Outcome<()> {
    let key = (user.to_owned(), scope.map(str::to_owned));
    let known = store.current().members.get(&key).cloned();
    let events = match scope {
        Some(_) => ["org.member.added", "org.member.changed", "org.member.removed"],
        None => ["instance.member.added", "instance.member.changed", "instance.member.removed"],
    };
    let event = match (&known, roles.is_empty()) {
        (None, true) => return Ok(()),
        (None, false) => events[0],
        (Some(_), false) => events[1],
        (Some(_), true) => events[2],
    };
    let aggregate = match scope {
        Some(organization) => Aggregate::organization(organization),
        None => Aggregate::of("instance", &store.instance.id, &store.instance.id),
    };
    let moment = store.push(&aggregate, event, json!({"userId": user, "roles": roles}))?;
    if roles.is_empty() {
        store.edit().members.remove(&key);
        return Ok(());
    }
    let mut stamp = known.map_or_else(|| Stamp::new(moment, &aggregate.owner), |known| known.stamp);
    stamp.touch(moment);
    let roles = roles.iter().map(|role| (*role).to_owned()).collect();
    store.edit().members.insert(key, Member { roles, stamp });
    Ok(())
}
