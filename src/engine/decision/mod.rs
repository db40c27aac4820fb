//! Decisions, free of IO: the next step, what an error means, conditions, what a grant allows, delays.

pub mod access;
pub mod backoff;
pub mod claimant;
pub mod conditions;
pub mod config;
pub mod error;
pub mod outcome;
pub mod plan;
