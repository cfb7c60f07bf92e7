//! Tokens there and back, and what is not one.

use super::*;

fn token() -> Token {
    Token::new(KeyId::new(1_732_185_600_000)).unwrap()
}

#[test]
fn a_token_is_read_as_it_was_shown() {
    let token = token();
    let text = token.reveal();
    assert_eq!(text.len(), "amp_".len() + 26 + 1 + 64);
    let read: Token = text.parse().unwrap();
    assert_eq!(read.id(), token.id());
    assert!(read.digest().matches(&token.digest()));
    assert!(!read.digest().matches(&self::token().digest()));
}

#[test]
fn what_is_not_a_token_is_refused() {
    let good = token().reveal();
    let bad = [
        String::new(),
        "amp_".to_owned(),
        good[..good.len() - 1].to_owned(),
        format!("{good}0"),
        format!("{good}_"),
        format!(" {good}"),
        good.to_lowercase(),
        good.to_uppercase(),
        good.replacen("amp_", "amq_", 1),
        good.replacen('_', "-", 2),
        format!("amp_{}é{}", &good[4..30], &good[31..]),
    ];
    for bad in bad {
        assert!(bad.parse::<Token>().is_err(), "{bad}");
    }
}

#[test]
fn a_digest_survives_being_stored_and_says_nothing_of_the_secret() {
    let token = token();
    let json = serde_json::to_string(&token.digest()).unwrap();
    let stored: Digest = serde_json::from_str(&json).unwrap();
    assert!(stored.matches(&token.digest()));
    let secret = token.reveal().rsplit_once('_').unwrap().1.to_owned();
    assert!(!json.contains(&secret));
    for text in [format!("{token:?}"), format!("{stored:?}")] {
        assert!(!text.contains(&secret[..8]), "{text}");
    }
    assert!(serde_json::from_str::<Digest>("\"abc\"").is_err());
}
