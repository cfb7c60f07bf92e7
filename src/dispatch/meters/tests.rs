//! Buckets, by a clock that the test moves.

use super::*;

fn after(start: Instant, ms: u64) -> Instant {
    start + Duration::from_millis(ms)
}

#[test]
fn fuel_may_be_overdrawn_once_and_is_made_up_for() {
    let bucket = Bucket::new(60_000);
    let start = bucket.state.lock().unwrap().at;
    assert!(bucket.check(start).is_ok());
    bucket.spend(59_999, start);
    assert!(bucket.check(start).is_ok(), "something is left");
    bucket.spend(30_001, start);
    // 30,000 are owed, and a thousand come back in a second.
    let wait = bucket.check(start).unwrap_err();
    assert!(
        wait >= Duration::from_secs(30) && wait < Duration::from_secs(31),
        "{wait:?}"
    );
    assert!(bucket.check(after(start, 29_000)).is_err());
    assert!(bucket.check(after(start, 30_100)).is_ok());
}

#[test]
fn a_bucket_holds_a_minute_and_no_more() {
    let bucket = Bucket::new(100);
    let start = bucket.state.lock().unwrap().at;
    let much_later = after(start, 3_600_000);
    bucket.spend(100, much_later);
    assert!(bucket.check(much_later).is_err());
}

#[test]
fn many_small_steps_of_time_lose_nothing() {
    let bucket = Bucket::new(60);
    let start = bucket.state.lock().unwrap().at;
    bucket.spend(60, start);
    for ms in 0..999 {
        assert!(bucket.check(after(start, ms)).is_err(), "{ms}");
    }
    assert!(bucket.check(after(start, 1001)).is_ok());
}

#[test]
fn a_quota_of_nothing_lets_nothing_through() {
    let rates = Rates::new(
        Quotas {
            concurrent: Some(0),
            requests_per_minute: Some(0),
            subrequests_per_minute: Some(0),
            fuel_per_minute: Some(0),
            ..Quotas::default()
        },
        10,
    );
    assert_eq!(rates.concurrent, 0);
    assert!(rates.requests.take().is_err());
    assert!(rates.subrequests.take().is_err());
    assert!(rates.fuel.unwrap().check(clock::monotonic()).is_err());
}

#[test]
fn the_operators_limit_holds_above_a_quota() {
    let quotas = Quotas {
        concurrent: Some(1000),
        ..Quotas::default()
    };
    assert_eq!(Rates::new(quotas, 10).concurrent, 10);
    assert_eq!(Rates::new(Quotas::default(), 10).concurrent, 10);
}
