//! `metav1.Status` answers, worded as kube-apiserver 1.34 words them.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::kind::Kind;

/// A refusal: the HTTP status and the `metav1.Status` that goes with it.
#[derive(Clone, Debug, PartialEq)]
pub struct Failure {
    code: u16,
    reason: &'static str,
    message: String,
    details: Value,
    retry_after: Option<u32>,
}

impl Failure {
    /// A refusal without details, such as 500 `InternalError`.
    pub fn new(code: u16, reason: &'static str, message: impl Into<String>) -> Self {
        Self { code, reason, message: message.into(), details: Value::Null, retry_after: None }
    }

    /// 429 `TooManyRequests`, with a `Retry-After` of that many seconds.
    pub fn too_many_requests(retry_after: u32) -> Self {
        let message = "Too many requests, please try again later.";
        let details = json!({ "retryAfterSeconds": retry_after });
        let retry_after = Some(retry_after);
        Self { details, retry_after, ..Self::new(429, "TooManyRequests", message) }
    }

    /// What the header `Retry-After` is to say, in seconds.
    pub fn retry_after(&self) -> Option<u32> {
        self.retry_after
    }

    /// The HTTP status code.
    pub fn code(&self) -> u16 {
        self.code
    }

    /// The body: a `Status` object.
    pub fn status(&self) -> Value {
        let mut status = json!({ "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": self.message, "code": self.code });
        if !self.reason.is_empty() {
            status["reason"] = self.reason.into();
        }
        if !self.details.is_null() {
            status["details"] = self.details.clone();
        }
        status
    }

    fn about(self, kind: &Kind, called: &str, name: &str) -> Self {
        let mut details = json!({ "name": name, "kind": called });
        if !kind.group.is_empty() {
            details["group"] = kind.group.clone().into();
        }
        Self { details, ..self }
    }

    fn caused(mut self, causes: &[Cause]) -> Self {
        self.details["causes"] = causes.iter().map(Cause::json).collect();
        self
    }

    pub(super) fn not_found(kind: &Kind, name: &str) -> Self {
        let message = format!("{} \"{name}\" not found", kind.qualified());
        Self::new(404, "NotFound", message).about(kind, &kind.plural, name)
    }

    pub(super) fn unknown_path() -> Self {
        Self::new(404, "NotFound", "the server could not find the requested resource")
    }

    pub(super) fn already_exists(kind: &Kind, name: &str, deleting: bool) -> Self {
        let prefix = if deleting { "object is being deleted: " } else { "" };
        let message = format!("{prefix}{} \"{name}\" already exists", kind.qualified());
        Self::new(409, "AlreadyExists", message).about(kind, &kind.plural, name)
    }

    pub(super) fn conflict(kind: &Kind, name: &str) -> Self {
        let message = format!(
            "Operation cannot be fulfilled on {} \"{name}\": the object has been modified; please apply your changes to the latest version and try again",
            kind.qualified()
        );
        Self::new(409, "Conflict", message).about(kind, &kind.plural, name)
    }

    pub(super) fn precondition(kind: &Kind, name: &str, why: &str) -> Self {
        let message = format!("Operation cannot be fulfilled on {} \"{name}\": {why}", kind.kind_qualified());
        Self::new(409, "Conflict", message).about(kind, &kind.kind, name)
    }

    /// Fields that others own: who, and which.
    pub(super) fn field_conflicts(conflicts: &[(String, String)]) -> Self {
        let reported = match conflicts {
            [(who, field)] => format!("1 conflict: conflict with {who}: {field}"),
            several => {
                let mut fields: BTreeMap<&str, Vec<String>> = BTreeMap::new();
                for (who, field) in several {
                    fields.entry(who).or_default().push(format!("\n- {field}"));
                }
                let reported =
                    fields.iter().map(|(who, fields)| format!("conflicts with {who}:{}", fields.concat()));
                format!("{} conflicts: {}", several.len(), reported.collect::<Vec<_>>().join("\n"))
            }
        };
        let cause = |(who, field): &(String, String)| {
            Cause::new("FieldManagerConflict", field, format!("conflict with {who}"))
        };
        let causes: Vec<Cause> = conflicts.iter().map(cause).collect();
        Self::new(409, "Conflict", format!("Apply failed with {reported}")).caused(&causes)
    }

    pub(super) fn invalid(kind: &Kind, name: &str, causes: &[Cause]) -> Self {
        let reported =
            causes.iter().map(|cause| format!("{}: {}", cause.field, cause.message)).collect::<Vec<_>>();
        let reported =
            if reported.len() == 1 { reported[0].clone() } else { format!("[{}]", reported.join(", ")) };
        let message = format!("{} \"{name}\" is invalid: {reported}", kind.kind_qualified());
        Self::new(422, "Invalid", message).about(kind, &kind.kind, name).caused(causes)
    }

    /// A PUT that does not say what it replaces.
    pub(super) fn unversioned(kind: &Kind, name: &str) -> Self {
        let cause = Cause::bad("metadata.resourceVersion", &0.into(), "must be specified for an update");
        let message =
            format!("{} \"{name}\" is invalid: {}: {}", kind.qualified(), cause.field, cause.message);
        Self::new(422, "Invalid", message).about(kind, &kind.plural, name).caused(&[cause])
    }

    pub(super) fn terminating(kind: &Kind, name: &str, namespace: &str) -> Self {
        let message = format!(
            "{} \"{name}\" is forbidden: unable to create new content in namespace {namespace} because it is being terminated",
            kind.qualified()
        );
        let cause = format!("namespace {namespace} is being terminated");
        let cause = Cause::new("NamespaceTerminating", "metadata.namespace", cause);
        Self::new(403, "Forbidden", message).about(kind, &kind.plural, name).caused(&[cause])
    }

    pub(super) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(400, "BadRequest", message)
    }

    pub(super) fn too_old(asked: u64, oldest: u64) -> Self {
        Self::new(410, "Expired", format!("too old resource version: {asked} ({oldest})"))
    }

    pub(super) fn options(options: &str, cause: Cause) -> Self {
        let reported = format!("{options}.meta.k8s.io \"\" is invalid: {}: {}", cause.field, cause.message);
        let details = json!({ "group": "meta.k8s.io", "kind": options });
        Self { details, ..Self::new(422, "Invalid", reported) }.caused(&[cause])
    }
}

/// One thing that is wrong with a field.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Cause {
    reason: &'static str,
    pub field: String,
    message: String,
}

impl Cause {
    pub(super) fn new(reason: &'static str, field: impl Into<String>, message: impl Into<String>) -> Self {
        Self { reason, field: field.into(), message: message.into() }
    }

    pub(super) fn required(field: impl Into<String>, why: &str) -> Self {
        let why = if why.is_empty() { String::new() } else { format!(": {why}") };
        Self::new("FieldValueRequired", field, format!("Required value{why}"))
    }

    pub(super) fn bad(field: impl Into<String>, value: &Value, why: &str) -> Self {
        Self::new("FieldValueInvalid", field, format!("Invalid value: {value}: {why}"))
    }

    fn json(&self) -> Value {
        json!({ "reason": self.reason, "message": self.message, "field": self.field })
    }
}
