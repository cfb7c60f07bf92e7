//! Peers that take nothing, or take their time.

use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

use super::*;

#[tokio::test]
async fn a_peer_that_takes_nothing_ends_the_writing() {
    let (near, _far) = duplex(4);
    let mut guarded = StallGuard::new(near, Duration::from_millis(10));
    guarded.write_all(b"1234").await.unwrap();
    let error = guarded.write_all(b"5").await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
}

#[tokio::test]
async fn a_peer_that_takes_a_little_at_a_time_is_waited_for() {
    let (near, mut far) = duplex(4);
    let mut guarded = StallGuard::new(near, Duration::from_secs(60));
    let all = [7; 1000];
    let mut taken = Vec::new();
    let (written, read) = tokio::join!(
        async {
            guarded.write_all(&all).await?;
            guarded.shutdown().await
        },
        far.read_to_end(&mut taken)
    );
    written.unwrap();
    read.unwrap();
    assert_eq!(taken, all);
}

#[tokio::test]
async fn reading_may_take_its_time() {
    let (near, mut far) = duplex(4);
    let mut guarded = StallGuard::new(near, Duration::from_millis(1));
    let mut first = [0];
    let late = async {
        tokio::time::sleep(Duration::from_millis(20)).await;
        far.write_all(b"x").await
    };
    let (read, written) = tokio::join!(guarded.read_exact(&mut first), late);
    read.unwrap();
    written.unwrap();
    assert_eq!(&first, b"x");
}
