//! One reconcile of one resource.

pub mod authorization;
pub mod bounded;
pub(crate) mod claiming;
pub mod creation;
pub mod effects;
pub mod explain;
pub mod load;
pub mod malformed;
pub mod mark;
pub mod marking;
pub mod references;
pub mod refused;
pub mod run;
pub mod state;
pub mod steps;
pub mod target;
