use std::error::Error as _;

use super::*;

#[test]
fn an_invocation_counts_as_running_until_its_answer_is_gone() {
    let invocations = Arc::<Invocations>::default();
    let counts = |invocations: &Invocations| {
        let load = |number: &AtomicU64| number.load(Ordering::Relaxed);
        (load(&invocations.running), load(&invocations.total))
    };
    let (first, second) = (invocations.begin(), invocations.begin());
    assert_eq!(counts(&invocations), (2, 2));
    drop(first);
    assert_eq!(counts(&invocations), (1, 2));
    drop(second);
    assert_eq!(counts(&invocations), (0, 2));
}

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
