//! What a kind tells the engine.

pub mod kind;
pub mod object;
pub mod policy;
pub mod stored;
pub mod values;
pub mod wire;
