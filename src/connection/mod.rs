//! Connections: where ZITADEL is, how to log in, and which namespaces may use it for what.

pub mod any_connection;
pub mod confirmations;
pub mod connections;
pub mod controller;
pub mod credentials;
pub mod installation;
pub mod limits;
pub mod remembered;
pub mod session;
pub mod stores;
