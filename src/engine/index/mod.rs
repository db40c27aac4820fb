//! What the cluster holds, indexed, and what the operator remembers of each resource.

pub mod claims;
pub mod facts;
pub mod kind_stores;
pub mod kinds;
pub mod needs;
pub mod object_states;
pub mod relation;
pub mod resources;
pub mod selector;
