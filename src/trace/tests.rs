//! Which trace a request belongs to.

use super::*;

const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

fn of(traceparent: &str) -> Context {
    let id = InvocationId::new(1);
    Context::of_request(id, Some(traceparent), Some("a=1,b=2"), None)
}

#[test]
fn a_valid_traceparent_is_gone_on_with() {
    let context = of(PARENT);
    assert_eq!(
        context.trace_id(),
        0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736
    );
    assert_eq!(context.parent(), Some(0x00f0_67aa_0ba9_02b7));
    assert_eq!(context.parent_sampled(), Some(true));
    assert_eq!(context.state(), Some("a=1,b=2"));
    assert_eq!(context.passed_on().as_deref(), Some(PARENT));
    let later = of(&format!("{}-more", PARENT.replacen("00", "cc", 1)));
    assert_eq!(later.parent(), context.parent());
}

#[test]
fn an_invalid_traceparent_begins_a_trace_of_its_own() {
    for text in [
        "",
        "00",
        "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
        "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
        "00-+bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    ] {
        let context = of(text);
        assert_eq!((context.parent(), context.state()), (None, None), "{text}");
        assert_ne!(context.trace_id(), 0);
    }
}

#[test]
fn a_trace_without_a_caller_has_the_id_of_its_invocation() {
    let id = InvocationId::new(1_700_000_000_000);
    assert_eq!(Context::new(id).trace_id(), id.to_number());
    let named = Context::of_request(id, None, None, Some(&"ab".repeat(16)));
    assert_eq!(format!("{:x}", named.trace_id()), "ab".repeat(16));
    let zero = Context::of_request(id, None, None, Some(&"00".repeat(16)));
    assert_eq!(zero.trace_id(), id.to_number());
}

#[test]
fn a_state_that_is_too_long_is_left_out() {
    let id = InvocationId::new(1);
    for (bytes, kept) in [(STATE_BYTES_MAX, true), (STATE_BYTES_MAX + 1, false)] {
        let state = "s".repeat(bytes);
        let context = Context::of_request(id, Some(PARENT), Some(&state), None);
        assert_eq!(context.state().is_some(), kept);
    }
}
