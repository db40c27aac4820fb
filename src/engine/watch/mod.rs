//! Watches, their stores, and the queues that they feed.

pub mod reflected_store;
pub mod refusal;
pub mod requeue_channel;
pub mod sources;
pub mod synthesize_deletes;
pub mod work_queue;
pub mod workers;
