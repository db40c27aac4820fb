//! Who may call ZITADEL now, and who may write a status.

pub mod limiter;
pub mod queue;
pub mod rates;
pub mod status_rate;
