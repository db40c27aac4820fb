//! The kinds, and the one list of them.

mod guard;
mod org_domain_policy;
mod org_features;
mod org_metadata;
mod organization;
mod project;

use std::sync::Arc;

use futures::future::BoxFuture;
use tokio_util::sync::CancellationToken;

use crate::api::{OrgDomainPolicy, OrgFeatures, OrgMetadata, Organization, Project, Reason};
use crate::engine::controllers::controller::follow;
use crate::engine::decision::access::Right;
use crate::engine::decision::error::ReconcileError;
use crate::engine::drivers::kind::{Kind, Permission};
use crate::engine::shared::Engine;
use crate::runtime::admin::Readiness;
use crate::zitadel::{Details, Error};

/// The longest name ZITADEL takes, in characters.
const NAME_LIMIT: usize = 200;

/// Starts the controller of a kind.
type Follow = fn(Arc<Engine>, Readiness, CancellationToken) -> BoxFuture<'static, ()>;

/// A kind as the registry lists it.
pub struct Entry {
    /// Its name.
    pub kind: &'static str,
    /// What it needs to be allowed in an organization.
    pub permissions: &'static [Permission],
    /// What a grant must say for it.
    pub right: Right,
    /// Its controller.
    pub follow: Follow,
}

/// Every workload kind: one line each.
pub fn registry() -> Vec<Entry> {
    vec![
        entry::<Organization>(),
        entry::<Project>(),
        entry::<OrgMetadata>(),
        entry::<OrgDomainPolicy>(),
        entry::<OrgFeatures>(),
    ]
}

/// Names of the fields that differ.
fn differing<const N: usize>(fields: [(&str, bool); N]) -> Vec<String> {
    fields.into_iter().filter(|(_, differs)| *differs).map(|(field, _)| field.to_owned()).collect()
}

fn entry<K: Kind>() -> Entry {
    Entry {
        kind: K::KIND,
        permissions: K::PERMISSIONS,
        right: K::right(),
        follow: |engine, readiness, stop| Box::pin(follow::<K>(engine, readiness, stop)),
    }
}

/// The CRD refuses these names too; an object may have been stored before it did.
fn valid_name(what: &str, name: String) -> Result<String, ReconcileError> {
    let length = name.chars().count();
    let problem = match name {
        _ if !(1..=NAME_LIMIT).contains(&length) => {
            format!("the {what} name has {length} characters; ZITADEL takes 1 to {NAME_LIMIT}: set spec.name")
        }
        _ if name.chars().any(char::is_control) => {
            format!("the {what} name holds a control character: correct spec.name")
        }
        _ => return Ok(name),
    };
    Err(ReconcileError::Stalled { reason: Reason::InvalidSpec, message: problem })
}

/// Takes sequence and date of a write; `false`: "it is so already", which brings none and is seen by a read only. Some
/// writes call their date that of a creation (the rename of an organization).
fn written(details: &mut Details, outcome: Result<Details, Error>) -> Result<bool, Error> {
    match outcome {
        Ok(Details { sequence, change_date, creation_date, .. }) => {
            details.sequence = sequence;
            details.change_date = change_date.or(creation_date).or(details.change_date);
            Ok(true)
        }
        Err(Error::Unchanged { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_one_date_of_a_write_is_that_of_the_change() {
        let at = |second| jiff::Timestamp::from_second(second).ok();
        let before = Details { creation_date: at(1), change_date: at(2), ..Default::default() };
        for (change_date, creation_date, expected) in
            [(at(3), None, at(3)), (None, at(3), at(3)), (None, None, at(2))]
        {
            let mut details = before.clone();
            written(&mut details, Ok(Details { change_date, creation_date, ..Default::default() })).unwrap();
            assert_eq!((details.creation_date, details.change_date), (at(1), expected));
        }
    }

    #[test]
    fn names_zitadel_would_refuse_are_never_sent() {
        for (name, fine) in [
            ("é".repeat(200), true),
            ("é".repeat(201), false),
            (String::new(), false),
            ("a\0b".into(), false),
            ("a\nb".into(), false),
            (" web ".into(), true),
        ] {
            assert_eq!(valid_name("project", name.clone()).is_ok(), fine, "{name:?}");
        }
    }
}
