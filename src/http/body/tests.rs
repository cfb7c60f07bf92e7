//! Bodies that are whole, too large, late, broken off or unwanted.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::{StreamExt, stream};

use super::*;

const TIME: Duration = Duration::from_secs(60);

fn unread(body: Body) -> Unread {
    Unread::new(&HeaderMap::new(), body, TaskTracker::new())
}

/// A body of no announced length, and how many chunks of it were taken.
fn chunks(chunks: Vec<&'static str>, is_endless: bool) -> (Body, Arc<AtomicUsize>) {
    let taken = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&taken);
    let chunks = stream::iter(chunks).map(move |chunk| {
        count.fetch_add(1, Ordering::Relaxed);
        Ok::<_, std::io::Error>(chunk)
    });
    let body = match is_endless {
        true => Body::from_stream(chunks.chain(stream::pending())),
        false => Body::from_stream(chunks),
    };
    (body, taken)
}

#[tokio::test]
async fn a_body_is_read_whole() {
    assert_eq!(unread(Body::from("hello")).read(5).await.unwrap(), "hello");
    assert_eq!(unread(Body::empty()).read(0).await.unwrap(), "");
    let (body, _) = chunks(vec!["he", "", "llo"], false);
    assert_eq!(unread(body).read(5).await.unwrap(), "hello");
    let (body, _) = chunks(vec![], false);
    assert_eq!(unread(body).read(5).await.unwrap(), "");
}

#[tokio::test]
async fn an_announced_length_above_the_limit_is_refused_unread() {
    let body = unread(Body::from("hello"));
    let refused = body.read(4).await.unwrap_err();
    assert_eq!(refused.code, Code::BodyTooLarge);
    assert!(
        refused.detail.contains("may have 4 bytes; 5 are announced"),
        "{}",
        refused.detail
    );
}

#[tokio::test]
async fn a_body_that_grows_beyond_the_limit_is_refused() {
    let (body, _) = chunks(vec!["hel", "lo!"], true);
    assert_eq!(
        unread(body).read(5).await.unwrap_err().code,
        Code::BodyTooLarge
    );
}

#[tokio::test]
async fn a_client_that_stops_sending_does_not_wait_for_ever() {
    let (body, _) = chunks(vec!["half"], true);
    let refused = unread(body)
        .read_within(100, Duration::from_millis(5))
        .await
        .unwrap_err();
    assert_eq!(refused.code, Code::RequestTimeout);
}

#[tokio::test]
async fn a_body_that_breaks_off_is_incomplete() {
    let items = [Ok("half"), Err(std::io::Error::other("reset"))];
    let refused = unread(Body::from_stream(stream::iter(items)))
        .read(100)
        .await
        .unwrap_err();
    assert_eq!(refused.code, Code::BodyIncomplete);
    assert!(refused.source.is_some());
}

#[tokio::test]
async fn an_unwanted_body_is_read_to_its_end_behind_the_answer() {
    let tasks = TaskTracker::new();
    let (body, taken) = chunks(vec!["a", "b", "c"], false);
    drop(Unread::new(&HeaderMap::new(), body, tasks.clone()));
    let (body, taken_of_refused) = chunks(vec!["a", "b", "c"], false);
    let refused = Unread::new(&HeaderMap::new(), body, tasks.clone());
    assert_eq!(
        refused.read_within(1, TIME).await.unwrap_err().code,
        Code::BodyTooLarge
    );
    tasks.close();
    tasks.wait().await;
    assert_eq!(taken.load(Ordering::Relaxed), 3);
    assert_eq!(taken_of_refused.load(Ordering::Relaxed), 3);
}

#[tokio::test]
async fn a_client_that_waits_to_be_asked_is_not_asked_for_an_unwanted_body() {
    let tasks = TaskTracker::new();
    let mut headers = HeaderMap::new();
    headers.insert(EXPECT, "100-Continue".parse().unwrap());
    let (body, taken) = chunks(vec!["a"], false);
    drop(Unread::new(&headers, body, tasks.clone()));
    tasks.close();
    tasks.wait().await;
    assert_eq!(taken.load(Ordering::Relaxed), 0);
    let (body, _) = chunks(vec!["a"], false);
    assert_eq!(
        Unread::new(&headers, body, tasks).read(9).await.unwrap(),
        "a"
    );
}
