//! What is remembered of activations, and what a split may be.

use super::*;

fn entry(activations: &[u64]) -> Entry {
    let mut entry = Entry::new(1);
    for version in activations {
        entry.activate(*version);
    }
    entry
}

#[test]
fn rolling_back_goes_through_what_was_active_before() {
    let mut entry = entry(&[1, 2, 2, 5, 2]);
    for expected in [5, 2, 1] {
        assert_eq!(entry.roll_back(), Some(expected));
        assert_eq!(entry.active, expected);
    }
    assert_eq!(entry.roll_back(), None);
    assert_eq!(entry.active, 1);
}

#[test]
fn the_oldest_activations_are_forgotten() {
    let kept = u64::try_from(limits::ACTIVATIONS_KEPT).unwrap();
    let activations: Vec<u64> = (1..=kept + 5).collect();
    let mut entry = entry(&activations);
    assert_eq!(entry.state.history.len(), limits::ACTIVATIONS_KEPT);
    while entry.roll_back().is_some() {}
    assert_eq!(entry.active, 5);
}

#[test]
fn a_version_that_is_deleted_is_not_rolled_back_to() {
    let mut entry = entry(&[1, 3, 1, 2, 3]);
    assert!(matches!(
        entry.forget(3),
        Err(Error::VersionActive { version: 3 })
    ));
    entry.forget(2).unwrap();
    assert_eq!(entry.roll_back(), Some(1));
    assert_eq!(entry.roll_back(), Some(3));
    // Without it, what is before is what is active.
    let mut entry = self::entry(&[1, 3, 1]);
    entry.forget(3).unwrap();
    assert_eq!(entry.roll_back(), None);
}

fn change(version: u64, weight_percent: u8) -> FunctionChange {
    let split = Split {
        version,
        weight_percent,
    };
    FunctionChange {
        split: Some(Some(split)),
        ..FunctionChange::default()
    }
}

#[test]
fn a_split_is_between_two_versions_and_ends_with_an_activation() {
    let mut entry = entry(&[1, 2]);
    for (version, weight) in [(1, 0), (1, 100), (1, 255), (2, 50)] {
        let refused = entry.change(change(version, weight));
        assert!(matches!(refused, Err(Error::SplitInvalid)), "{weight}");
    }
    assert!(Entry::new(1).change(change(1, 50)).is_err());
    for end in [Entry::roll_back, |entry: &mut Entry| {
        entry.activate(2);
        None
    }] {
        let mut entry = entry.clone();
        entry.change(change(1, 99)).unwrap();
        assert!(!entry.is_settled_on(2));
        let refused = entry.forget(1);
        assert!(matches!(refused, Err(Error::VersionSplit { version: 1 })));
        end(&mut entry);
        assert_eq!(entry.state.split, None);
    }
    entry.change(change(1, 1)).unwrap();
    let end = FunctionChange {
        split: Some(None),
        ..FunctionChange::default()
    };
    entry.change(end).unwrap();
    assert!(entry.is_settled_on(2));
}

#[test]
fn what_is_expected_is_held_against_what_there_is() {
    let these = |tags: &[&str]| {
        let tags = tags.iter().map(|tag| (*tag).to_owned());
        Some(Tags::These(tags.collect()))
    };
    let cases = [
        (None, None, &["a"][..], true),
        (None, None, &[], true),
        (Some(Tags::Any), None, &["a"], true),
        (Some(Tags::Any), None, &[], false),
        (None, Some(Tags::Any), &[], true),
        (None, Some(Tags::Any), &["a"], false),
        (these(&["b", "a"]), None, &["a"], true),
        (these(&["b", "a"]), None, &["c", "b"], true),
        (these(&["b"]), None, &["a"], false),
        (these(&[]), None, &["a"], false),
        (these(&["a"]), None, &[], false),
        (None, these(&["a"]), &["a"], false),
        (None, these(&["b"]), &["a"], true),
        (these(&["a"]), these(&["a"]), &["a"], false),
    ];
    for (one_of, none_of, present, fits) in cases {
        let expected = Expected { one_of, none_of };
        let present: Vec<String> = present.iter().map(|tag| (*tag).to_owned()).collect();
        assert_eq!(expected.check(&present).is_ok(), fits, "{expected:?}");
    }
}
