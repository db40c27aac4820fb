//! What several kinds do alike.

use crate::api::Reason;
use crate::engine::decision::error::ReconcileError;
use crate::zitadel::{Details, Error};

/// Names of the fields that differ.
pub(super) fn differing<const N: usize>(fields: [(&str, bool); N]) -> Vec<String> {
    fields.into_iter().filter(|(_, differs)| *differs).map(|(field, _)| field.to_owned()).collect()
}

/// The longest name ZITADEL takes, in characters.
const NAME_LIMIT: usize = 200;

/// The CRD refuses these names too; an object may have been stored before it did.
pub(super) fn valid_name(what: &str, name: String) -> Result<String, ReconcileError> {
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
pub(super) fn written(details: &mut Details, outcome: Result<Details, Error>) -> Result<bool, Error> {
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
