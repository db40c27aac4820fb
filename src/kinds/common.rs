//! What several kinds do alike.

use crate::api::Reason;
use crate::engine::decision::error::ReconcileError;

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

#[cfg(test)]
mod tests {
    use super::*;

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
