//! What the operator counts and what a scrape shows.

pub mod counters;
pub mod scrape;
