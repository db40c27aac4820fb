//! What a kind tells the engine.

pub mod keyed_child;
pub mod kind;
pub mod object;
pub mod policy;
mod policy_sets;
pub mod remote;
pub mod stored;
pub mod subject;
pub mod values;
pub mod wire;
