//! The start and the end of an operator.

use std::time::Duration;

use crate::world::{PATIENCE, World};

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_that_is_stopped_while_it_starts_ends_at_once() {
    let mut world = World::without_operator().await;
    for delay in (0..200).step_by(10) {
        world.start_operator().await;
        tokio::time::sleep(Duration::from_millis(delay)).await;
        tokio::time::timeout(PATIENCE, world.stop_operator()).await.expect("it ends in time");
    }
}
