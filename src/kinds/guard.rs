//! What ZITADEL would do and a person may regret: refused until annotations name it, and told where it is done.

use kube::{CustomResourceExt, ResourceExt};

use crate::api::{ClusterConnection, Reason, annotation};
use crate::connection::confirmations::{Needed, is_of_own_user};
use crate::engine::decision::error::ReconcileError;
use crate::engine::drivers::kind::{Context, Kind};
use crate::engine::kubernetes::events::EventSpec;
use crate::zitadel::User;

/// A write that changes the login names of an organization.
pub(super) struct Rewrite<'a> {
    pub(super) organization: &'a str,
    /// What gets another value, and that value as a person reads it.
    pub(super) what: String,
    pub(super) shown: String,
    /// The value as an annotation confirms it.
    pub(super) value: &'a str,
    /// With more users a person has to.
    pub(super) above: i32,
}

/// Refuses a rewrite that is not confirmed and has many users, or would change the client id of the connection; else
/// answers what to tell of it.
pub(super) async fn rewrite<K: Kind>(
    object: &K,
    cx: Context<'_>,
    rewrite: Rewrite<'_>,
) -> Result<Option<EventSpec>, ReconcileError> {
    let Rewrite { organization, what, shown, value, above } = rewrite;
    let users = cx.client.user_count(organization).await?;
    if users == 0 {
        return Ok(None);
    }
    let own = own_user_in(cx, organization).await?;
    let mut effect = format!("changes the login names of all {users} users, machine users included");
    let mut needed = Vec::new();
    if users > u64::from(above.unsigned_abs()) {
        effect += &format!(" (confirmAboveUsers is {above})");
        needed.push((annotation::CONFIRM_USERNAME_REWRITE, value));
    }
    if let Some(User { id, .. }) = own {
        effect += &format!(". The connection's own user {id} is among them");
        if cx.session.endpoint.client_credentials.is_some() {
            effect += ": its client id is its login name, and once that is another one the connection works only with the new one in its Secret";
            needed.push((annotation::CONFIRM_OWN_RENAME, value));
        }
    }
    confirmed(
        object,
        cx,
        &needed,
        Reason::InvalidSpec,
        &format!("{what} would become {shown}, which {effect}"),
    )?;
    Ok(Some(EventSpec::warning("LoginNamesChanged", format!("{what} becomes {shown}, which {effect}"))))
}

/// Refuses what ends the connection's own user, where that lives in this organization, unless its id confirms it.
pub(super) async fn lockout<K: Kind>(
    object: &K,
    cx: Context<'_>,
    organization: &str,
    (annotation, reason, what): (&str, Reason, &str),
) -> Result<(), ReconcileError> {
    let Some(User { id, .. }) = own_user_in(cx, organization).await? else { return Ok(()) };
    let message = format!(
        "organization {organization} would be {what}, and the connection's own user {id} lives in it: the operator may be locked out of ZITADEL"
    );
    confirmed(object, cx, &[(annotation, organization)], reason, &message)
}

/// Asked anew: the credential may be another user's by now.
async fn own_user_in(cx: Context<'_>, organization: &str) -> Result<Option<User>, ReconcileError> {
    Ok(Some(cx.session.confirm_user().await?).filter(|user| user.resource_owner == organization))
}

/// Refuses unless each of these annotations has its value: those of the own user of a `ClusterConnection` on that
/// connection, the others on the resource. The message gives the commands that confirm the rest.
fn confirmed<K: Kind>(
    object: &K,
    cx: Context<'_>,
    needed: &[Needed<'_>],
    reason: Reason,
    message: &str,
) -> Result<(), ReconcileError> {
    let is_shared = |needed: &Needed<'_>| cx.session.access.is_some() && is_of_own_user(needed);
    let (of_connection, own): (Vec<_>, Vec<_>) = needed.iter().copied().partition(is_shared);
    let (key, who) = (&cx.session.key, (cx.uid, K::address_of(object)));
    let of_connection = cx.confirmations.lacking(key, who, &of_connection);
    let commands: Vec<String> = command_of_owner(object, &own)
        .into_iter()
        .chain(command_of_admin(&key.name, &of_connection))
        .collect();
    if commands.is_empty() {
        return Ok(());
    }
    Err(ReconcileError::Stalled {
        reason,
        message: format!("{message}: to confirm it, {}", commands.join("; and ")),
    })
}

/// What confirms those that the resource itself lacks, if any.
fn command_of_owner<K: Kind>(object: &K, needed: &[Needed<'_>]) -> Option<String> {
    let given = object.annotations();
    let lacks = |(name, value): &&Needed<'_>| given.get(*name).map(String::as_str) != Some(*value);
    let lacking: Vec<Needed<'_>> = needed.iter().filter(lacks).copied().collect();
    let (kind, namespace) = (K::crd_name(), object.namespace().unwrap_or_default());
    let name = object.name_any();
    annotations(&lacking)
        .map(|all| format!("kubectl annotate {kind} -n {namespace} {name} --overwrite {all}"))
}

/// What confirms those that a `ClusterConnection` lacks, if any.
fn command_of_admin(name: &str, lacking: &[Needed<'_>]) -> Option<String> {
    let kind = ClusterConnection::crd_name();
    annotations(lacking)
        .map(|all| format!("a cluster admin runs kubectl annotate {kind} {name} --overwrite {all}"))
}

/// As arguments of `kubectl annotate`; `None` for none.
fn annotations(needed: &[Needed<'_>]) -> Option<String> {
    let all: Vec<String> = needed.iter().map(|(name, value)| format!("{name}={}", quoted(value))).collect();
    (!all.is_empty()).then(|| all.join(" "))
}

/// As one word of a shell, whatever a tenant wrote.
fn quoted(value: &str) -> String {
    match value.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c)) {
        true => value.into(),
        false => format!("'{}'", value.replace('\'', r"'\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn a_value_is_one_word_of_the_shell_and_nothing_else() {
        for (value, word) in [
            ("true", "true"),
            ("312909075211944344", "312909075211944344"),
            ("Acme Inc", "'Acme Inc'"),
            ("a; rm -rf $HOME", "'a; rm -rf $HOME'"),
            ("O'Brien `id`", r"'O'\''Brien `id`'"),
        ] {
            assert_eq!(quoted(value), word);
        }
    }
}
