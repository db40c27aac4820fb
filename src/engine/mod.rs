//! The engine: reconciles any [`drivers::kind::Kind`] without knowing one.

pub mod admission;
pub mod controllers;
pub mod decision;
pub mod drivers;
pub mod index;
pub mod kubernetes;
pub mod metrics;
pub mod reconcile;
pub mod sessions;
pub mod shared;
pub mod watch;
