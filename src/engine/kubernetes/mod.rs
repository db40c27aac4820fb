//! Calls to the Kubernetes API: what is read in bulk, what is written, and the fence before both.

pub mod bulk;
pub mod events;
pub mod fence;
pub mod resource;
pub mod seal;
pub mod stripped;
