//! Error answers of the REST gateway.

use serde_json::{Value, json};

/// A gRPC status as the gateway renders it: `{code, message, details}`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("code {code}: {message} ({})", id.unwrap_or("no id"))]
pub struct Failure {
    /// gRPC code.
    pub code: u8,
    /// ZITADEL's error id; without one the answer has no `details`.
    pub id: Option<&'static str>,
    /// Text without the id.
    pub message: String,
}

pub(super) type Outcome<T> = Result<T, Failure>;

impl Failure {
    fn with_id(code: u8, id: &'static str, message: &str) -> Self {
        Self {
            code,
            id: Some(id),
            message: message.to_owned(),
        }
    }

    /// A bare status: the answer has no `details`.
    pub fn bare(code: u8, message: impl Into<String>) -> Self {
        Self {
            code,
            id: None,
            message: message.into(),
        }
    }

    pub(super) fn argument(id: &'static str, message: &str) -> Self {
        Self::with_id(3, id, message)
    }

    pub(super) fn not_found(id: &'static str, message: &str) -> Self {
        Self::with_id(5, id, message)
    }

    pub(super) fn already_exists(id: &'static str, message: &str) -> Self {
        Self::with_id(6, id, message)
    }

    pub(super) fn denied(id: &'static str, message: &str) -> Self {
        Self::with_id(7, id, message)
    }

    /// 429 with code 8, for example `LIMITS-molsj` or `QUOTA-vjAy8`.
    pub fn exhausted(id: &'static str, message: &str) -> Self {
        Self::with_id(8, id, message)
    }

    pub(super) fn precondition(id: &'static str, message: &str) -> Self {
        Self::with_id(9, id, message)
    }

    pub(super) fn unauthenticated(id: &'static str, message: &str) -> Self {
        Self::with_id(16, id, message)
    }

    pub(super) fn too_large(size: usize) -> Self {
        Self::bare(
            8,
            format!("grpc: received message larger than max ({size} vs. 4194304)"),
        )
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
        let detail =
            json!({"@type": "type.googleapis.com/zitadel.v1.ErrorDetail", "id": id, "message": text});
        json!({"code": self.code, "message": format!("{text} ({id})"), "details": [detail]})
    }
}
