//! Error answers of the REST gateway.

use serde_json::{Value, json};

use super::json::message;

/// A gRPC status as the gateway renders it: `{code, message, details}`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("code {code}: {message} ({})", id.unwrap_or("no id"))]
pub struct Failure {
    /// gRPC code.
    pub code: u8,
    /// ZITADEL's error id; without one the answer has no `details`, and with an empty one they hold none.
    pub id: Option<&'static str>,
    /// Text without the id.
    pub message: String,
}

pub(super) type Outcome<T> = Result<T, Failure>;

/// Every error id the double answers with, but for those of policies, which are in their rows: id, gRPC code, message.
/// `V3-DKcYh` has several messages.
const KNOWN: &[(&str, u8, &str)] = &[
    ("AUTH-5mWD2", 7, "No matching permissions found"),
    ("AUTH-7fs1e", 16, "Errors.Token.Invalid"),
    ("AUTH-Bs7Ds", 7, "Organisation doesn't exist"),
    ("AUTH-toLo1", 16, "invalid auth header"),
    ("AUTHZ-cdgFk", 5, "membership not found"),
    ("COMMA-aps2n", 5, "Organisation not found"),
    ("COMMA-wG9p1", 9, "Default Organisation must not be deleted"),
    ("COMMAND-112M9", 5, "Project not found"),
    ("COMMAND-2M0fs", 9, "No changes"),
    ("COMMAND-3M9sd", 5, "Project not found"),
    ("COMMAND-5M0cs", 9, "No changes"),
    ("COMMAND-5M9bs", 9, "Project is not deactivated"),
    ("COMMAND-EbFMN", 9, "Project not found"),
    ("COMMAND-QXPGs", 9, "Organisation not found"),
    ("COMMAND-Vigh1", 3, "No changes"),
    ("COMMAND-m9od", 5, "User could not be found"),
    ("COMMAND-m9vMf", 5, "Role doesn't exist"),
    ("COMMAND-mki55", 9, "Project is not active"),
    ("COMMAND-vv8M9", 5, "Role doesn't exist"),
    ("EVENT-Dbs2g", 9, "Organisation is already deactivated"),
    ("EVENT-bfnrh", 9, "Organisation is already active"),
    ("LIMITS-molsj", 8, "Errors.Limits.Instance.Blocked"),
    ("MANAG-SFf2a", 5, "Project not found"),
    ("META-2npds", 5, "One or more keys do not exist"),
    ("META-9mm2d", 9, "Metadata list is empty"),
    ("META-9mw2d", 9, "Metadata list is empty"),
    ("META-mcnw3", 5, "Metadata not found"),
    ("ORG-1M8ds", 6, "Errors.Org.DomainPolicy.AlreadyExists"),
    ("ORG-1MRds", 5, "Organisation not found"),
    ("ORG-2N9sd", 5, "Errors.Org.DomainPolicy.NotFound"),
    ("ORG-3M9ds", 9, "Private Label Policy has not been changed"),
    ("ORG-4VSdf", 9, "Organisation not changed"),
    ("ORG-Dgf3g", 5, "Organisation not found"),
    ("ORG-Dvsh3", 5, "Errors.Org.DomainPolicy.NotFound"),
    ("ORG-laho2n", 6, "Errors.Org.AlreadyExisting"),
    ("ORG-mruNY", 3, "Organisation is invalid"),
    ("ORG-oL9nT", 5, "Organisation not found"),
    ("ORG-poWwe", 6, "Errors.Org.Member.AlreadyExists"),
    ("Org-D8JxR", 5, "Errors.NotFound"),
    ("QUERY-4M0fs", 3, "Limit exceeded"),
    ("QUERY-Dfbg2", 5, "User could not be found"),
    ("QUERY-K0Jr5", 5, "Errors.IAM.DomainPolicy.NotFound"),
    ("QUERY-Rph32", 5, "Metadata not found"),
    ("QUERY-fk2fs", 5, "Project not found"),
    ("QUERY-iTTGJ", 5, "Organisation not found"),
    ("QUERY-leq5Q", 5, "Organisation not found"),
    ("QUOTA-vjAy8", 8, "Quota.Access.Exhausted"),
];

impl Failure {
    /// The error with that id.
    ///
    /// # Panics
    /// For an id that the double does not know.
    pub fn of(id: &str) -> Self {
        let known = KNOWN.iter().find(|(known, ..)| *known == id);
        let (id, code, message) = known.unwrap_or_else(|| panic!("unknown error id {id}"));
        Self { code: *code, id: Some(id), message: (*message).to_owned() }
    }

    /// 409 `V3-DKcYh` of a name that is taken.
    pub(super) fn taken(message: &str) -> Self {
        Self { code: 6, id: Some("V3-DKcYh"), message: message.to_owned() }
    }

    /// The error with that id and message, as the row of a policy has them.
    pub(super) fn refusal(code: u8, (id, message): (&'static str, &str)) -> Self {
        Self { code, id: Some(id), message: message.to_owned() }
    }

    /// A bare status: the answer has no `details`.
    pub fn bare(code: u8, message: impl Into<String>) -> Self {
        Self { code, id: None, message: message.into() }
    }

    /// What a server that wraps statuses makes of this one, where a call of this path met it.
    pub(super) fn wrapped(self, path: &str) -> Self {
        let name = match self.code {
            2 if self.message.starts_with("rpc error: ") => return Self { id: Some(""), ..self },
            3 if self.message.starts_with("invalid ") => "InvalidArgument",
            16 => "Unauthenticated",
            _ => return self,
        };
        if self.id.is_some() || path.starts_with("/v2") {
            return self;
        }
        let message = format!("rpc error: code = {name} desc = {}", self.message);
        Self { code: 2, id: Some(""), message }
    }

    pub(super) fn too_large(size: usize) -> Self {
        Self::bare(8, format!("grpc: received message larger than max ({size} vs. 4194304)"))
    }

    pub(super) fn overlapping_write() -> Self {
        let text = "integrity violation: duplicate key value violates unique constraint \"events2_pkey\" (SQLSTATE 23505)";
        Self::bare(2, text)
    }

    /// HTTP status as grpc-gateway maps the code; 405 for its own "Method Not Allowed".
    pub fn status(&self) -> u16 {
        match self.code {
            1 => 499,
            3 | 9 | 11 => 400,
            4 => 504,
            5 => 404,
            6 | 10 => 409,
            7 => 403,
            8 => 429,
            12 if self.message == "Method Not Allowed" => 405,
            12 => 501,
            14 => 503,
            16 => 401,
            _ => 500,
        }
    }

    /// The body, in the language of an `Accept-Language` value where a translation was recorded.
    pub fn body(&self, language: &str) -> Value {
        let Some(id) = self.id else {
            return json!({"code": self.code, "message": self.message});
        };
        let text = match (language.starts_with("de"), id) {
            (true, "QUERY-fk2fs") => "Project konnte nicht gefunden werden",
            _ => &self.message,
        };
        let detail = message(
            json!({"@type": "type.googleapis.com/zitadel.v1.ErrorDetail", "id": id, "message": text}),
        );
        json!({"code": self.code, "message": format!("{text} ({id})"), "details": [detail]})
    }
}
