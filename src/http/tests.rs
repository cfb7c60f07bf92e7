//! What becomes of a panic.

use std::error::Error as _;

use super::*;

#[test]
fn what_a_panic_says_is_for_the_log() {
    for panic in [
        Box::new("a secret") as Box<dyn Any + Send>,
        Box::new("a secret".to_owned()),
    ] {
        let error = panic_error(panic.as_ref());
        assert_eq!(error.code, Code::Internal);
        assert!(!error.detail.contains("secret"));
        assert!(error.source().unwrap().to_string().contains("a secret"));
    }
    assert_eq!(answer_to_panic(&7).status(), 500);
}
