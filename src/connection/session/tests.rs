use super::*;

#[tokio::test(start_paused = true)]
async fn a_session_remembers_a_bounded_number_of_names() {
    let (mut names, freshness) = (Remembered::default(), Duration::from_secs(60));
    for n in 0..1000 {
        names.learn(format!("{n}"), "acme".into(), (freshness, KNOWN_OF_TENANT));
        assert!(names.0.len() <= KNOWN_OF_TENANT);
    }
    assert_eq!(names.recent("999", freshness).as_deref(), Some("acme"));
    tokio::time::advance(freshness).await;
    assert_eq!(names.recent("999", freshness), None);
}
