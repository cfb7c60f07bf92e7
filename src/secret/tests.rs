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

#[test]
fn what_is_sealed_opens_with_the_same_key_in_the_same_place_only() {
    let key = MasterKey::new(&[7; 32]);
    let sealed = key.seal("here", b"a secret").unwrap();
    assert_eq!(key.open("here", sealed.clone()).unwrap(), b"a secret");
    assert!(!sealed.windows(6).any(|window| window == b"secret"));
    assert_ne!(
        sealed,
        key.seal("here", b"a secret").unwrap(),
        "each seal is another"
    );
    assert_eq!(key.open("there", sealed.clone()), Err(NotOpened));
    let other = MasterKey::new(&[8; 32]);
    assert_eq!(other.open("here", sealed.clone()), Err(NotOpened));
    for at in 0..sealed.len() {
        let mut damaged = sealed.clone();
        damaged[at] ^= 1;
        assert_eq!(key.open("here", damaged), Err(NotOpened), "byte {at}");
        assert_eq!(
            key.open("here", sealed[..at].to_vec()),
            Err(NotOpened),
            "cut at {at}"
        );
    }
}

#[test]
fn text_is_sealed_alike_where_it_is_the_same_and_nowhere_else() {
    let key = MasterKey::new(&[7; 32]);
    let seal = |place: &str, text: &str| key.seal_text(place, &Plain::from(text.to_owned()));
    let sealed = seal("here", "é");
    assert_eq!(key.open_text("here", &sealed).unwrap().reveal(), "é");
    assert_eq!(key.open_text("there", &sealed), Err(NotOpened));
    assert_eq!(sealed, seal("here", "é"));
    assert_ne!(sealed, seal("there", "é"));
    assert_ne!(sealed, seal("here", "e"));
    // Place and text are told apart.
    assert_ne!(seal("ab", "c"), seal("a", "bc"));
    let other = MasterKey::new(&[8; 32]);
    assert_ne!(
        sealed,
        other.seal_text("here", &Plain::from("é".to_owned()))
    );
}

#[test]
fn the_file_of_the_master_key_is_made_once_and_for_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("master.key");
    let sealed = MasterKey::in_file(&path).unwrap().seal("x", b"y").unwrap();
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(
        MasterKey::in_file(&path)
            .unwrap()
            .open("x", sealed)
            .unwrap(),
        b"y"
    );
    std::fs::write(&path, "nonsense").unwrap();
    assert!(matches!(
        MasterKey::in_file(&path),
        Err(MasterKeyError::Damaged(_))
    ));
}

#[test]
fn a_master_key_is_64_digits_and_nothing_shows_it() {
    let text = "0123456789abcdef".repeat(4);
    let key: MasterKey = text.parse().unwrap();
    assert!(!format!("{key:?}").contains("0123"));
    for bad in [
        "",
        "abc",
        &text[1..],
        &format!("{text}0"),
        &text.to_uppercase(),
    ] {
        assert!(bad.parse::<MasterKey>().is_err(), "{bad}");
    }
    assert!(!format!("{:?}", Plain::from("hidden".to_owned())).contains("hidden"));
}
