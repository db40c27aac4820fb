//! The controllers of the kinds.

pub mod controller;
pub mod learn;
pub mod sources;
pub mod watch_failed;
