//! The Helm chart: its generated files, what it renders, and its life with the real helm on a real API server.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod cluster;
mod connection;
mod files;
mod helm;
mod lifecycle;
mod monitoring;
mod notes;
mod pods;
mod release;
mod rendering;
mod rights;
mod rules;
mod schema;
mod values;
