//! Ids as text.

use super::*;

#[test]
fn ids_are_written_as_they_are_shown() {
    let id = InvocationId::from_number(0x0192_3f00_dead_beef_0000_0000_0000_0001);
    let mut text = [0; InvocationId::LEN];
    assert_eq!(id.write(&mut text), id.to_string());
    for number in [0, 1, u128::MAX, 0x0192_3f00_dead_beef_0000_0000_0000_00a1] {
        let trace = TraceId::from(number);
        assert_eq!(trace.digits().as_slice(), trace.to_string().as_bytes());
        let json = serde_json::to_string(&trace).unwrap();
        assert_eq!(json, format!("\"{number:032x}\""));
        assert_eq!(serde_json::from_str::<TraceId>(&json).unwrap(), trace);
    }
}
