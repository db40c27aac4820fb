//! What a kind tells the engine.

pub mod kind;
pub mod policy;
mod policy_sets;
pub mod stored;
pub mod values;
pub mod wire;
