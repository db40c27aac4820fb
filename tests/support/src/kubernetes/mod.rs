//! A Kubernetes API in memory, behind [`kube::Client`]'s own seam: no sockets, no threads, no time but tokio's.
//!
//! [`Cluster::client`] speaks to it in process. Under paused time everything is reproducible: UIDs are counted, the
//! clock starts at a fixed moment, and one counter gives every resourceVersion.
//!
//! # What is served
//! Namespaces, Secrets, ConfigMaps, Events (`events.k8s.io`), Leases and whatever the given
//! CustomResourceDefinitions define: get, list (pages, snapshots), watch (bookmarks, streaming lists, 410), create,
//! update, merge patch, server-side apply with owners of fields, delete with finalizers and preconditions, the
//! `status` subresource, `PartialObjectMetadata`. Deleting a namespace deletes what is in it at once.
//!
//! # What is not
//! CEL rules, JSON patch, `deletecollection`, dry runs, garbage collection by owner, discovery, RBAC, conversion
//! between versions, who owns an explicit null of an apply. The conformance suite holds the rest to a real kube-apiserver.

mod cluster;
mod failure;
mod fault;
mod fields;
mod kind;
mod managers;
mod object;
mod read;
mod route;
mod schema;
mod secret;
mod selector;
mod service;
mod store;
mod watching;
mod write;

pub use cluster::{Cluster, Write};
pub use failure::Failure;
pub use fault::{Broken, Call, Delivery, FaultDecision, Faults};
pub use route::Verb;

fn with(mut object: serde_json::Value, name: &str, value: serde_json::Value) -> serde_json::Value {
    object[name] = value;
    object
}
