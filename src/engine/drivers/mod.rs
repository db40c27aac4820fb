//! What a kind tells the engine.

pub mod kind;
pub mod stored;
pub mod values;
