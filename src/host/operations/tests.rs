use std::future::pending;

use super::*;

// The JavaScript layer queues long before, so no function of today gets here.
#[test]
fn more_than_may_be_in_progress_is_refused() {
    let mut operations = Operations::default();
    for _ in 0..limits::OPERATIONS_MAX {
        operations.begin(Box::pin(pending())).unwrap();
    }
    let error = operations.begin(Box::pin(pending())).unwrap_err();
    assert!(error.is::<TooMany>());
    operations.cancel(1);
    assert!(operations.begin(Box::pin(pending())).is_ok());
}
