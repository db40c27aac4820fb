//! What can go wrong between the operator and a real API server, and with what people put into it.

mod adversary;
mod installs;
mod order;
mod outage;
pub mod process;
mod proxy;
mod rights;
mod silence;
mod standby;
mod status;
mod tap;
mod view;
