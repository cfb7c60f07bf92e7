//! Order, matching and what is refused.

use serde_json::{Value, json};

use super::*;

fn policy(document: &Value) -> Policy {
    Policy::parse(document.to_string().as_bytes()).unwrap()
}

fn refused(document: &Value) -> String {
    Policy::parse(document.to_string().as_bytes())
        .unwrap_err()
        .to_string()
}

fn asked<'a>(protocol: Protocol, host: &'a str, address: &str) -> Connection<'a> {
    Connection {
        protocol,
        host,
        address: address.parse().unwrap(),
    }
}

fn allows(policy: &Policy, host: &str, address: &str) -> bool {
    let connection = asked(Protocol::Https, host, address);
    decide(policy, None, &connection).action == Action::Allow
}

#[test]
fn the_first_match_by_priority_decides_and_then_the_default() {
    let policy = policy(&json!({ "rules": [
        { "action": "allow", "target": "10.1.0.0/16", "priority": 10 },
        { "action": "deny", "target": "10.1.2.3", "priority": 1 },
        { "action": "deny", "target": "10.0.0.0/8", "priority": 10 },
        { "action": "allow", "target": "10.9.9.9", "priority": 10 },
    ], "default": "allow" }));
    let decides = |address: &str| {
        let decision = decide(&policy, None, &asked(Protocol::Http, "h", address));
        (decision.action, decision.decider)
    };
    use Action::{Allow, Deny};
    use Decider::{GlobalDefault, GlobalRule};
    assert_eq!(decides("10.1.2.3:80"), (Deny, GlobalRule(1)));
    assert_eq!(decides("10.1.2.4:80"), (Allow, GlobalRule(0)));
    // Of equals, the one that is written first.
    assert_eq!(decides("10.9.9.9:80"), (Deny, GlobalRule(2)));
    assert_eq!(decides("192.0.2.1:80"), (Allow, GlobalDefault));
}

#[test]
fn global_rules_come_first_and_the_stricter_default_holds() {
    let document = |rules: Value, default: &str| json!({ "rules": rules, "default": default });
    let deny_ten = json!([{ "action": "deny", "target": "10.0.0.0/8", "priority": 1000 }]);
    let allow_all = json!([{ "action": "allow", "target": "*", "priority": 0 }]);
    let connection = asked(Protocol::Http, "h", "10.0.0.1:80");
    let elsewhere = asked(Protocol::Http, "h", "192.0.2.1:80");
    let global = policy(&document(deny_ten, "deny"));
    let open = policy(&document(allow_all, "allow"));
    let decision = decide(&global, Some(&open), &connection);
    assert_eq!(decision.decider, Decider::GlobalRule(0));
    assert_eq!(decision.action, Action::Deny);
    let decision = decide(&global, Some(&open), &elsewhere);
    assert_eq!(decision.decider, Decider::TenantRule(0));
    assert_eq!(decision.action, Action::Allow);
    for (of_global, of_tenant, decider, action) in [
        ("allow", "allow", Decider::TenantDefault, Action::Allow),
        ("allow", "deny", Decider::TenantDefault, Action::Deny),
        ("deny", "allow", Decider::GlobalDefault, Action::Deny),
        ("deny", "deny", Decider::GlobalDefault, Action::Deny),
    ] {
        let global = policy(&document(json!([]), of_global));
        let tenant = policy(&document(json!([]), of_tenant));
        let decision = decide(&global, Some(&tenant), &elsewhere);
        assert_eq!((decision.decider, decision.action), (decider, action));
    }
}

#[test]
fn a_name_that_is_allowed_first_is_allowed_wherever_it_leads() {
    let name = json!({ "action": "allow", "target": "api.example.com" });
    let deny = json!({ "action": "deny", "target": "10.0.0.0/8" });
    let first = policy(&json!({ "rules": [name, deny], "default": "deny" }));
    let last = policy(&json!({ "rules": [deny, name], "default": "deny" }));
    assert!(allows(&first, "api.example.com", "10.0.0.1:443"));
    assert!(!allows(&last, "api.example.com", "10.0.0.1:443"));
    assert!(allows(&last, "API.example.com.", "192.0.2.1:443"));
    assert!(!allows(&last, "example.com", "192.0.2.1:443"));
}

#[test]
fn ports_and_protocols_narrow_a_rule() {
    let policy = policy(&json!({ "rules": [
        { "action": "allow", "target": "*", "ports": [443, "8000-8100"], "protocols": ["https", "wss"] },
    ], "default": "deny" }));
    let allowed = |protocol, address: &str| {
        decide(&policy, None, &asked(protocol, "h", address)).action == Action::Allow
    };
    for port in [443, 8000, 8050, 8100] {
        assert!(allowed(Protocol::Https, &format!("192.0.2.1:{port}")));
        assert!(allowed(Protocol::Wss, &format!("192.0.2.1:{port}")));
        assert!(!allowed(Protocol::Http, &format!("192.0.2.1:{port}")));
        assert!(!allowed(Protocol::Ws, &format!("192.0.2.1:{port}")));
    }
    for port in [80, 444, 7999, 8101] {
        assert!(!allowed(Protocol::Https, &format!("192.0.2.1:{port}")));
    }
}

#[test]
fn what_is_denied_is_denied_in_every_disguise() {
    let policy = Preset::PublicOnly.policy();
    for denied in [
        "0.0.0.0",
        "0.1.2.3",
        "10.0.0.1",
        "100.64.0.1",
        "127.0.0.1",
        "169.254.169.254",
        "172.16.0.1",
        "172.31.255.255",
        "192.168.1.1",
        "192.0.0.1",
        "198.18.0.1",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::127.0.0.1",
        "::ffff:10.0.0.1",
        "::ffff:169.254.169.254",
        "64:ff9b::10.0.0.1",
        "64:ff9b::a9fe:a9fe",
        "64:ff9b:1::1",
        "2002:a00:1::1",
        "2002:7f00:1::",
        "2001:0:4136:e378:8000:63bf:3fff:fdd2",
        "fc00::1",
        "fd12:3456::1",
        "fe80::1",
        "febf::1",
        "fec0::1",
        "ff02::1",
        "2001:db8::1",
    ] {
        let address = SocketAddr::new(denied.parse().unwrap(), 443).to_string();
        assert!(!allows(&policy, "name.example", &address), "{denied}");
    }
    for allowed in [
        "1.1.1.1",
        "9.255.255.255",
        "11.0.0.0",
        "100.63.255.255",
        "100.128.0.0",
        "126.255.255.255",
        "128.0.0.1",
        "169.253.255.255",
        "172.15.255.255",
        "172.32.0.0",
        "192.167.255.255",
        "223.255.255.255",
        "2606:4700::1111",
        "2002:101:101::1",
        "64:ff9b::1.1.1.1",
        "::ffff:1.1.1.1",
    ] {
        let address = SocketAddr::new(allowed.parse().unwrap(), 443).to_string();
        assert!(allows(&policy, "name.example", &address), "{allowed}");
    }
}

#[test]
fn what_is_allowed_is_not_allowed_in_disguise() {
    let rule = json!({ "action": "allow", "target": "1.2.3.4" });
    let policy = policy(&json!({ "rules": [rule], "default": "deny" }));
    assert!(allows(&policy, "h", "1.2.3.4:443"));
    // The same address (RFC 4291, 2.5.5.2), so not a disguise.
    assert!(allows(&policy, "h", "[::ffff:1.2.3.4]:443"));
    for other in [
        "[2002:102:304::1]:443",
        "[64:ff9b::1.2.3.4]:443",
        "[::1.2.3.4]:443",
    ] {
        assert!(!allows(&policy, "h", other), "{other}");
    }
}

#[test]
fn a_teredo_address_is_its_client_as_well() {
    // 192.0.2.45 with its bits turned.
    let rule = json!({ "action": "deny", "target": "192.0.2.45" });
    let policy = policy(&json!({ "rules": [rule], "default": "allow" }));
    assert!(!allows(
        &policy,
        "h",
        "[2001:0:4136:e378:8000:63bf:3fff:fdd2]:443"
    ));
}

#[test]
fn a_refusal_names_the_rule() {
    let rule = |rule: Value| {
        refused(&json!({ "rules": [
        { "action": "deny", "target": "*" }, rule,
    ], "default": "allow" }))
    };
    for (given, expected) in [
        (json!([]), "rules[1] is not an object"),
        (json!({}), "rules[1].action is missing"),
        (json!({ "action": "block" }), "rules[1].action must be"),
        (json!({ "action": "deny" }), "rules[1].target is missing"),
        (
            json!({ "action": "deny", "target": "a b" }),
            "rules[1].target: \"a b\" is neither",
        ),
        (
            json!({ "action": "deny", "target": "*", "port": 1 }),
            "rules[1] has the unknown member \"port\"",
        ),
        (
            json!({ "action": "deny", "target": "*", "ports": [] }),
            "rules[1].ports is empty",
        ),
        (
            json!({ "action": "deny", "target": "*", "ports": [0] }),
            "rules[1].ports: 0 is no port",
        ),
        (
            json!({ "action": "deny", "target": "*", "ports": [65536] }),
            "rules[1].ports: 65536",
        ),
        (
            json!({ "action": "deny", "target": "*", "ports": ["9-1"] }),
            "rules[1].ports: \"9-1\"",
        ),
        (
            json!({ "action": "deny", "target": "*", "ports": ["1-"] }),
            "rules[1].ports: \"1-\"",
        ),
        (
            json!({ "action": "deny", "target": "*", "ports": ["+1-2"] }),
            "rules[1].ports",
        ),
        (
            json!({ "action": "deny", "target": "*", "protocols": ["ftp"] }),
            "rules[1].protocols: \"ftp\"",
        ),
        (
            json!({ "action": "deny", "target": "*", "protocols": ["ws", "ws"] }),
            "twice",
        ),
        (
            json!({ "action": "deny", "target": "*", "priority": -1 }),
            "rules[1].priority must be",
        ),
        (
            json!({ "action": "deny", "target": "*", "priority": 1.5 }),
            "rules[1].priority must be",
        ),
        (
            json!({ "action": "deny", "target": "*", "priority": 1_000_001 }),
            "rules[1].priority",
        ),
        (
            json!({ "action": "deny", "target": "*", "description": 1 }),
            "rules[1].description",
        ),
    ] {
        let told = rule(given.clone());
        assert!(told.contains(expected), "{given}: {told}");
    }
    assert!(refused(&json!([])).contains("is an object"));
    assert!(refused(&json!({ "rules": [] })).contains("`default` is missing"));
    assert!(refused(&json!({ "default": "deny" })).contains("`rules` is missing"));
    let more = json!({ "rules": [], "default": "deny", "preset": "x" });
    assert!(refused(&more).contains("\"preset\""));
}

#[test]
fn there_are_so_many_rules_and_no_more() {
    let rules = |count: usize| {
        let rule = json!({ "action": "deny", "target": "*" });
        json!({ "rules": vec![rule; count], "default": "deny" })
    };
    let max = crate::limits::POLICY_RULES_MAX;
    assert_eq!(policy(&rules(max)).document().rules.len(), max);
    assert!(refused(&rules(max + 1)).contains("at most"));
    let long = "x".repeat(crate::limits::POLICY_BYTES_MAX);
    assert!(refused(&json!({ "rules": [], "default": long })).contains("bytes"));
}

#[test]
fn a_tag_tells_documents_apart() {
    let [open, public] = Preset::ALL.map(Preset::policy);
    assert_ne!(open.tag(), public.tag());
    let again = serde_json::to_vec(public.document()).unwrap();
    let again = Policy::parse(&again).unwrap();
    assert_eq!(again.tag(), public.tag());
    assert_eq!(again.document(), public.document());
    assert_eq!(open.tag().len(), 32);
}
