use super::*;
use crate::zitadel::{CredentialError, Error};

fn text() -> String {
    "text".into()
}

/// One row a class of error: what a person sees and how soon it is tried again.
fn rows() -> Vec<(Error, Reason, Severity, RequeuePolicy)> {
    [passing(), stalled()].concat()
}

/// Those that pass by themselves, and those that a credential mends.
fn passing() -> Vec<(Error, Reason, Severity, RequeuePolicy)> {
    use Severity::{Stalled, Transient};
    let soon = Duration::from_secs(7);
    vec![
        (Error::Unreachable { message: text() }, Reason::Unavailable, Transient, RequeuePolicy::Transient),
        (Error::Timeout { after: soon }, Reason::Unavailable, Transient, RequeuePolicy::Transient),
        (
            Error::Malformed { status: 200, what: text() },
            Reason::Unavailable,
            Transient,
            RequeuePolicy::Transient,
        ),
        (
            Error::Unavailable { status: 503, code: Some(14), id: None },
            Reason::Unavailable,
            Transient,
            RequeuePolicy::Transient,
        ),
        (
            Error::TokenUnavailable { status: 500, message: text() },
            Reason::Unavailable,
            Transient,
            RequeuePolicy::Transient,
        ),
        (
            Error::RateLimited { retry_after: Some(soon), id: None },
            Reason::RateLimited,
            Transient,
            RequeuePolicy::After(soon),
        ),
        (
            Error::RateLimited { retry_after: None, id: None },
            Reason::RateLimited,
            Transient,
            RequeuePolicy::Slow,
        ),
        (
            Error::Unauthorized { id: None, message: text() },
            Reason::Unauthorized,
            Stalled,
            RequeuePolicy::Slow,
        ),
        (Error::TokenRefused { message: text() }, Reason::Unauthorized, Stalled, RequeuePolicy::Slow),
        (
            Error::Credential(CredentialError::Missing(text())),
            Reason::CredentialsUnavailable,
            Stalled,
            RequeuePolicy::Slow,
        ),
    ]
}

fn id() -> String {
    "ID".to_owned()
}

/// Those that a person mends.
fn stalled() -> Vec<(Error, Reason, Severity, RequeuePolicy)> {
    use Severity::{Stalled, Transient};
    vec![
        (
            Error::PermissionDenied { permission: "p", organization: None, id: None, message: text() },
            Reason::PermissionDenied,
            Stalled,
            RequeuePolicy::Slow,
        ),
        (
            Error::OrganizationNotFound { organization: None, id: id(), message: text() },
            Reason::NotFound,
            Stalled,
            RequeuePolicy::Slow,
        ),
        (
            Error::ProjectNotFound { project: text(), organization: text() },
            Reason::NotFound,
            Stalled,
            RequeuePolicy::Slow,
        ),
        (Error::NotFound { id: id(), message: text() }, Reason::NotFound, Stalled, RequeuePolicy::Slow),
        (
            Error::UnknownEndpoint { message: text(), id: None },
            Reason::NotFound,
            Stalled,
            RequeuePolicy::Slow,
        ),
        (Error::AlreadyExists { id: None, message: text() }, Reason::Conflict, Stalled, RequeuePolicy::Slow),
        (Error::Unchanged { id: id() }, Reason::Conflict, Transient, RequeuePolicy::Transient),
        (Error::Invalid { id: None, message: text() }, Reason::InvalidSpec, Stalled, RequeuePolicy::Resync),
        (Error::TooLarge, Reason::InvalidSpec, Stalled, RequeuePolicy::Resync),
        (Error::Unsupported { message: text() }, Reason::Unsupported, Stalled, RequeuePolicy::Rare),
    ]
}

#[test]
fn every_class_of_error_has_its_reason_severity_and_pace() {
    for (error, reason, severity, requeue) in rows() {
        let update = ConditionUpdate::of(&error.clone().into()).unwrap();
        assert_eq!(
            (update.reason, update.severity, update.requeue),
            (reason, severity, requeue),
            "{error:?}"
        );
    }
}

#[test]
fn a_deletion_that_needs_a_person_is_blocked_and_says_how_to_free_it() {
    for (error, reason, severity, _) in rows() {
        let update = ConditionUpdate::of(&error.into()).unwrap().blocking_deletion("FREE");
        if severity == Severity::Stalled {
            assert_eq!((update.reason, update.severity), (Reason::DeletionBlocked, Severity::Stalled));
            assert!(update.message.ends_with("FREE"), "{}", update.message);
        } else {
            assert_eq!((update.reason, update.severity), (reason, severity));
        }
    }
}

#[test]
fn a_deletion_on_another_instance_keeps_that_reason_and_says_how_to_free_it() {
    let error = ReconcileError::Blocked { block: BlockReason::InstanceChanged, message: text() };
    let update = ConditionUpdate::of(&error).unwrap().blocking_deletion("FREE");
    assert_eq!(update.reason, Reason::InstanceChanged);
    assert!(update.message.ends_with("FREE"));
}

#[test]
fn nothing_is_told_of_what_says_nothing_about_the_resource() {
    assert_eq!(ConditionUpdate::of(&ReconcileError::Stale), None);
    assert_eq!(ConditionUpdate::of(&ReconcileError::NotAdmitted(Duration::ZERO)), None);
}

/// A 422 whose causes are these fields.
fn invalid(fields: &[&str]) -> ReconcileError {
    let cause = |field: &&str| serde_json::json!({ "reason": "FieldValueInvalid", "field": field });
    let causes: Vec<_> = fields.iter().map(cause).collect();
    let details = serde_json::from_value(serde_json::json!({ "causes": causes })).unwrap();
    refused(kube::core::Status { details: Some(details), ..of_code(422) })
}

fn of_code(code: u16) -> kube::core::Status {
    kube::core::Status::failure("no", "no").with_code(code)
}

fn refused(status: kube::core::Status) -> ReconcileError {
    kube::Error::Api(status.boxed()).into()
}

#[test]
fn a_422_is_stale_only_where_it_is_about_what_guards_the_write() {
    for fields in
        [&["metadata.uid"][..], &["metadata.resourceVersion"], &["metadata.uid", "metadata.resourceVersion"]]
    {
        assert!(matches!(invalid(fields), ReconcileError::Stale), "{fields:?}");
    }
    for fields in [&[][..], &["metadata.finalizers"], &["metadata.uid", "spec.name"]] {
        assert!(invalid(fields).definite_refusal().is_some(), "{fields:?}");
    }
}

#[test]
fn a_refusal_that_another_attempt_may_change_is_none_for_good() {
    let is_definite = |code| refused(of_code(code)).definite_refusal().is_some();
    assert_eq!([400, 403, 405, 413, 422].map(is_definite), [true; 5]);
    assert_eq!([401, 404, 408, 409, 429, 500, 503].map(is_definite), [false; 7]);
}
