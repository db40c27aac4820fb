//! A server whose database is gone: what it answers, and what of that must reach nobody.

use http::{Method, StatusCode};
use serde_json::json;

use super::access::no_instance;
use super::api::TOKEN_PATH;
use super::failure::Failure;
use super::fault::InjectedFault;

/// Where the database is, as the server's errors tell it: what it is, and its name.
pub const DATABASE: [(&str, &str); 4] = [
    ("the host of the database", "zitadel-rw.storage.svc"),
    ("the address of the database", "10.96.171.53:5432"),
    ("the user of the database", "zitadel_service"),
    ("the name of the database", "zitadel_production"),
];

/// What the database driver says, as the server passes it on.
pub fn driver_error() -> String {
    let [host, address, user, name] = DATABASE.map(|(_, name)| name);
    format!(
        "failed to connect to `user={user} database={name}`: {address} ({host}): dial error: dial tcp {address}: connect: connection refused"
    )
}

/// What the server says that cannot look up whose instance the host is, as seen of v4: code 5 without details.
pub fn lookup_failed(host: &str) -> String {
    let found = no_instance(host, "http", "localhost");
    let error = "ID=QUERY-d3fas Message=An internal error occurred";
    format!("{found}: {error} Parent=({})", driver_error())
}

impl InjectedFault {
    /// Every call is answered as by a server whose database is gone: 404, and in plain text where it is for a token.
    pub fn database_gone() -> Self {
        Self::respond(|request| {
            let text = lookup_failed(&request.host);
            match request.path.as_str() {
                TOKEN_PATH => (StatusCode::NOT_FOUND, format!("{text}\n")),
                _ => (StatusCode::NOT_FOUND, Failure::bare(5, text).body("en").to_string()),
            }
        })
    }

    /// The same of a server that still knows the instance: 500 with what the driver said, for reads under an id.
    pub fn database_fails() -> Self {
        Self::respond(|request| {
            let text = driver_error();
            let body = match (&request.method, request.path.as_str()) {
                (_, TOKEN_PATH) => json!({"error": "server_error", "error_description": text}),
                (&Method::GET, _) => Failure { code: 13, id: Some("QUERY-AdgQ3"), message: text }.body("en"),
                _ => Failure::bare(2, text).body("en"),
            };
            (StatusCode::INTERNAL_SERVER_ERROR, body.to_string())
        })
    }
}
