//! Fuzz targets: every parser of bytes that somebody else wrote.
//!
//! `cargo test --test fuzz` runs each for a second, always with the same inputs in the same order. `FUZZ_SECONDS=300`
//! runs longer, `SEED=7` alone replays the inputs of one seed, both begin there.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]
#![allow(clippy::needless_pass_by_value)] // a check takes what was drawn

mod answers;
mod calls;
mod conditions;
mod foreign;
mod intervals;
mod keys;
mod leases;
mod limits;
mod lists;
mod operator;
mod paths;
mod recordings;
mod resources;
mod runner;
mod secrets;
mod server;
mod tokens;
mod urls;

/// Declares each target: what it draws, and what must hold.
macro_rules! targets {
    ($($name:ident: $inputs:path, $check:path;)+) => {$(
        #[test]
        fn $name() {
            runner::run(stringify!($name), &$inputs(), $check);
        }
    )+};
}

targets! {
    answers_to_calls: answers::successes, answers::check;
    refusals_of_calls: answers::refusals, answers::check;
    strange_answers: answers::strangers, answers::check;
    times_in_headers: limits::times, limits::check;
    lists_of_zitadel: lists::honest, lists::is_complete;
    lists_made_up: lists::liar, lists::ends;
    lists_that_change: lists::changing, lists::misses_nothing;
    answers_of_the_token_endpoint: tokens::answers, tokens::check;
    secrets_with_tokens: secrets::texts, secrets::can_be_sent;
    secrets_with_key_files: secrets::key_files, secrets::is_a_key;
    bundles_of_certificates: secrets::bundles, secrets::is_trusted_or_refused;
    ids_in_paths: paths::ids, paths::stay_in_their_place;
    entries_of_metadata: paths::entries, paths::arrive;
    base_urls: urls::inputs, urls::lead_where_they_say;
    intervals: intervals::texts, intervals::come_back;
    resources_in_the_cluster: resources::objects, resources::come_back;
    values_of_metadata: resources::secrets, resources::stay_hidden;
    conditions_in_the_cluster: conditions::inputs, conditions::settle;
    operator_and_stored_resources: operator::resources, operator::lives_with_them;
    records_of_leases: leases::records, leases::are_respected;
}
