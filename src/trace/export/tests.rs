//! Which traces are recorded, and what subrequests carry on.

use super::*;
use crate::id::InvocationId;

const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0";

fn context(sampled: Option<bool>) -> Context {
    let parent = sampled.map(|sampled| format!("{PARENT}{}", u8::from(sampled)));
    let id = InvocationId::new(1_700_000_000_000);
    Context::of_request(id, parent.as_deref(), Some("a=1"), None)
}

fn tracer(sampler: Sampler) -> (Arc<Tracer>, Exports) {
    let config = TraceConfig {
        endpoint: "http://127.0.0.1:9/v1/traces".to_owned(),
        service: "s".to_owned(),
        sampler,
    };
    Tracer::new(&config).unwrap()
}

#[test]
fn samplers_are_read_by_their_names() {
    for (name, argument, parent_based, ratio) in [
        ("always_on", None, false, 1.0),
        ("always_off", Some("1"), false, 0.0),
        ("traceidratio", Some("0.25"), false, 0.25),
        ("traceidratio", None, false, 1.0),
        ("parentbased_always_on", None, true, 1.0),
        ("parentbased_traceidratio", Some("0"), true, 0.0),
    ] {
        let sampler = Sampler {
            parent_based,
            ratio,
        };
        assert_eq!(Sampler::parse(name, argument), Ok(sampler), "{name}");
    }
    for (name, argument) in [
        ("", None),
        ("sometimes", None),
        ("parentbased_", None),
        ("traceidratio", Some("2")),
        ("traceidratio", Some("-0.1")),
        ("traceidratio", Some("NaN")),
        ("traceidratio", Some("many")),
    ] {
        assert!(
            Sampler::parse(name, argument).is_err(),
            "{name} {argument:?}"
        );
    }
}

#[test]
fn a_share_of_traces_is_taken() {
    let sampler = Sampler {
        parent_based: true,
        ratio: 0.25,
    };
    let taken = (0..4000).filter(|_| sampler.takes(&context(None))).count();
    assert!((800..1200).contains(&taken), "{taken}");
    assert!(sampler.takes(&context(Some(true))));
    assert!(!sampler.takes(&context(Some(false))));
}

#[tokio::test]
async fn subrequests_carry_the_trace_on_unless_the_function_says_otherwise() {
    let sampler = Sampler {
        parent_based: true,
        ratio: 1.0,
    };
    let (tracer, mut exports) = tracer(sampler);
    let recorded = context(Some(true));
    let recording = tracer.record(&recorded);
    let carried = Carried::new(recorded, recording);
    let mut headers = Vec::new();
    let span = carried.subrequest("GET", "https://u:p@example.com/s?k=1", &mut headers);
    let text = String::from_utf8(headers[0].1.clone()).unwrap();
    assert!(
        text.starts_with("00-4bf92f3577b34da6a3ce929d0e0e4736-"),
        "{text}"
    );
    assert!(
        text.ends_with("-01") && !text.contains("00f067aa0ba902b7"),
        "{text}"
    );
    assert_eq!(headers[1], ("tracestate".to_owned(), b"a=1".to_vec()));
    span.unwrap().answered(200);
    let exported = exports.queue.try_recv().unwrap();
    let told = format!("{:?}", exported.attributes);
    assert!(
        told.contains("example.com") && !told.contains("k=1"),
        "{told}"
    );
    let mut own = vec![("TraceParent".to_owned(), b"mine".to_vec())];
    drop(carried.subrequest("GET", "http://a/", &mut own));
    assert_eq!(own.len(), 1);
    assert_eq!(
        exports.queue.try_recv().unwrap().status,
        Status::error("cancelled")
    );
}

#[test]
fn what_is_not_recorded_is_passed_on_as_it_came() {
    let carried = Carried::new(context(Some(false)), None);
    let mut headers = Vec::new();
    assert!(
        carried
            .subrequest("GET", "http://a/", &mut headers)
            .is_none()
    );
    assert_eq!(headers[0].1, format!("{PARENT}0").into_bytes());
    let mut headers = Vec::new();
    let nothing = Carried::new(context(None), None);
    assert!(
        nothing
            .subrequest("GET", "http://a/", &mut headers)
            .is_none()
    );
    assert_eq!(headers, []);
}

#[tokio::test]
async fn a_full_queue_drops_and_counts() {
    let sampler = Sampler {
        parent_based: false,
        ratio: 1.0,
    };
    let (tracer, _exports) = tracer(sampler);
    let recording = tracer.record(&context(None)).unwrap();
    let period = Period {
        from: clock::now(),
        to: clock::now(),
    };
    for _ in 0..SPANS_QUEUE_LEN + 3 {
        recording.load(period, None, false);
    }
    assert_eq!(tracer.dropped(), 3);
    let subrequests = (0..SPANS_PER_INVOCATION_MAX + 1)
        .filter(|_| recording.subrequest("GET", "http://a/").is_some());
    assert_eq!(subrequests.count(), SPANS_PER_INVOCATION_MAX);
}
