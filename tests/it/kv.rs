//! `kv` as functions see it: every operation, its bounds, and who sees what for how long.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::StreamExt;
use reqwest::Method;
use serde_json::{Value, json};

use crate::server::{Answer, Options, PATIENCE, Server};

const CALL: &str = include_str!("../functions/kv_call.js");

/// A tenant's kv, through a function that does what it is told.
struct Kv<'a> {
    server: &'a Server,
    tenant: &'static str,
}

impl<'a> Kv<'a> {
    async fn of(server: &'a Server, tenant: &'static str) -> Self {
        let request = server.deploy_request(tenant, "kv", "index.js", CALL, &json!({}));
        assert_eq!(Answer::of(request).await.status, 201);
        Self { server, tenant }
    }

    async fn call(&self, op: &str, args: Value) -> Value {
        let path = format!("/invoke/@{}/kv", self.tenant);
        let request = self
            .server
            .request(Method::POST, &path)
            .header("content-type", "application/json")
            .body(json!({ "op": op, "args": args }).to_string());
        let answer = Answer::of(request).await;
        assert_eq!(answer.status, 200, "{op}: {}", answer.text());
        answer.json()
    }

    /// What an operation answers: a value, which is never undefined.
    async fn value(&self, op: &str, args: Value) -> Value {
        let answer = self.call(op, args.clone()).await;
        let value = answer.get("value");
        value
            .unwrap_or_else(|| panic!("{op}({args}): {answer}"))
            .clone()
    }

    /// The name and code of the error that an operation is refused with.
    async fn refusal(&self, op: &str, args: Value) -> (String, String) {
        let answer = self.call(op, args.clone()).await;
        let error = &answer["error"];
        assert!(error.is_object(), "{op}({args}): {answer}");
        let text = |name: &str| error[name].as_str().unwrap_or_default().to_owned();
        (text("name"), text("code"))
    }

    /// Waits until a key has expired.
    async fn gone(&self, key: &str) {
        let gone = async {
            while self.value("has", json!([key])).await == json!(true) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let waited = tokio::time::timeout(PATIENCE, gone).await;
        waited.unwrap_or_else(|_| panic!("{key} does not expire"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_operation_answers_as_the_manual_says() {
    let server = Server::start().await;
    let kv = Kv::of(&server, "default").await;
    assert_eq!(kv.value("get", json!(["a"])).await, Value::Null);
    assert_eq!(kv.value("has", json!(["a"])).await, false);
    assert_eq!(kv.value("delete", json!(["a"])).await, false);
    assert_eq!(kv.value("set", json!(["a", { "x": [1] }])).await, true);
    assert_eq!(kv.value("get", json!(["a"])).await, json!({ "x": [1] }));
    assert_eq!(kv.value("has", json!(["a"])).await, true);
    assert_eq!(kv.value("set", json!(["a", 2])).await, true);
    assert_eq!(kv.value("get", json!(["a"])).await, 2);
    assert_eq!(kv.value("delete", json!(["a"])).await, true);
    assert_eq!(kv.value("get", json!(["a"])).await, Value::Null);
    assert_eq!(kv.value("increment", json!(["n"])).await, 1);
    assert_eq!(kv.value("increment", json!(["n", 2.5])).await, 3.5);
    assert_eq!(kv.value("increment", json!(["n", -4])).await, -0.5);
    assert_eq!(kv.value("get", json!(["n"])).await, -0.5);
    let page = kv.value("list", json!([])).await;
    assert_eq!(page, json!({ "keys": ["n"], "cursor": null }));
    let swapped = kv.value("compareAndSet", json!(["n", -0.5, "new"])).await;
    assert_eq!(swapped, true);
    assert_eq!(kv.value("get", json!(["n"])).await, "new");
    kv.value("set", json!(["m", 1])).await;
    assert_eq!(kv.value("clear", json!([])).await, 2);
    assert_eq!(kv.value("clear", json!([])).await, 0);
    let page = kv.value("list", json!([])).await;
    assert_eq!(page, json!({ "keys": [], "cursor": null }));
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_json_can_hold_comes_back_as_it_was() {
    let server = Server::start().await;
    let kv = Kv::of(&server, "default").await;
    let values = json!([
        null,
        false,
        0,
        -1.5,
        1e300,
        "",
        "a\u{0}é\u{1F600}",
        [],
        {},
        { "b": 1, "a": { "": [null] } }
    ]);
    for value in values.as_array().unwrap() {
        kv.value("set", json!(["key", value])).await;
        let found = kv.value("get", json!(["key"])).await;
        assert_eq!(found.to_string(), value.to_string());
        assert_eq!(kv.value("has", json!(["key"])).await, true);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_and_values_out_of_bounds_are_refused_and_nothing_is_written() {
    let server = Server::start().await;
    let kv = Kv::of(&server, "default").await;
    let type_error = |code: &str| ("TypeError".to_owned(), code.to_owned());
    let invalid = ("Error".to_owned(), "kv_invalid".to_owned());
    for op in ["get", "has", "set", "delete", "increment", "compareAndSet"] {
        for key in [json!(null), json!(7), json!(""), json!({})] {
            let refusal = kv.refusal(op, json!([key, 1])).await;
            assert_eq!(refusal, type_error("ERR_INVALID_ARG_TYPE"), "{op}");
        }
        let arguments = json!(["é".repeat(256) + "x", 1, 1]);
        assert_eq!(kv.refusal(op, arguments).await, invalid, "{op}");
    }
    // A value that is left out is undefined.
    let refusal = kv.refusal("set", json!(["key"])).await;
    assert_eq!(refusal, type_error("ERR_INVALID_ARG_TYPE"));
    // As JSON text, a string has two bytes more.
    let large = |bytes: usize| "x".repeat(bytes - 2);
    let refusal = kv
        .refusal("set", json!(["key", large((1 << 20) + 1)]))
        .await;
    assert_eq!(refusal, invalid);
    for by in [json!("1"), json!({})] {
        let refusal = kv.refusal("increment", json!(["key", by])).await;
        assert_eq!(refusal, type_error("ERR_INVALID_ARG_TYPE"));
    }
    for limit in [json!(0), json!(1001), json!("7")] {
        let refusal = kv.refusal("list", json!([{ "limit": limit }])).await;
        assert_eq!(refusal, type_error("ERR_INVALID_ARG_VALUE"));
    }
    let page = kv.value("list", json!([])).await;
    assert_eq!(page, json!({ "keys": [], "cursor": null }));
    let longest = "é".repeat(256);
    let largest = large(1 << 20);
    kv.value("set", json!([longest, largest])).await;
    assert_eq!(kv.value("get", json!([longest])).await, json!(largest));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_time_to_live_is_in_seconds() {
    let server = Server::start().await;
    let kv = Kv::of(&server, "default").await;
    let begun = tokio::time::Instant::now();
    kv.value("set", json!(["a minute", 1, 60])).await;
    kv.value("set", json!(["an hour", 1, { "ttl": 3600 }]))
        .await;
    kv.value("set", json!(["for good", 1, 0])).await;
    kv.value("set", json!(["a second", 1, 1])).await;
    kv.value("set", json!(["half", 1, { "ttlMs": 500 }])).await;
    kv.value("set", json!(["fraction", 1, 0.5])).await;
    kv.value("set", json!(["past", 1, { "expiresAt": 1000 }]))
        .await;
    kv.gone("past").await;
    kv.gone("half").await;
    kv.gone("fraction").await;
    assert!(begun.elapsed() >= Duration::from_millis(500));
    kv.gone("a second").await;
    assert!(begun.elapsed() >= Duration::from_secs(1));
    // A second has passed: were they milliseconds, all would be gone by now but one.
    let page = kv.value("list", json!([])).await;
    let kept = json!(["a minute", "an hour", "for good"]);
    assert_eq!(page, json!({ "keys": kept, "cursor": null }));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_key_is_as_if_it_had_never_been() {
    let server = Server::start().await;
    let kv = Kv::of(&server, "default").await;
    let short = json!({ "ttlMs": 1 });
    kv.value("set", json!(["a", 7, short])).await;
    kv.value("set", json!(["n", 7, short])).await;
    kv.value("set", json!(["lock", 7, short])).await;
    kv.value("set", json!(["cleared", 7, short])).await;
    for key in ["a", "n", "lock", "cleared"] {
        kv.gone(key).await;
    }
    assert_eq!(kv.value("get", json!(["a"])).await, Value::Null);
    assert_eq!(kv.value("delete", json!(["a"])).await, false);
    let page = kv.value("list", json!([])).await;
    assert_eq!(page["keys"], json!([]));
    assert_eq!(kv.value("clear", json!([])).await, 0);
    assert_eq!(kv.value("increment", json!(["n", 2])).await, 2);
    let taken = kv.value("compareAndSet", json!(["lock", null, "me"])).await;
    assert_eq!(taken, true);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plain_write_clears_an_older_time_to_live_and_an_increment_keeps_it() {
    let server = Server::start().await;
    let kv = Kv::of(&server, "default").await;
    let short = json!({ "ttlMs": 300 });
    kv.value("set", json!(["written", 1, short])).await;
    kv.value("set", json!(["written", 2])).await;
    kv.value("set", json!(["swapped", 1, short])).await;
    kv.value("compareAndSet", json!(["swapped", 1, 2])).await;
    kv.value("set", json!(["counted", 1, short])).await;
    kv.value("increment", json!(["counted"])).await;
    kv.value("compareAndSet", json!(["taken", null, 1, short]))
        .await;
    kv.gone("counted").await;
    kv.gone("taken").await;
    assert_eq!(kv.value("get", json!(["written"])).await, 2);
    assert_eq!(kv.value("get", json!(["swapped"])).await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_time_to_live_is_refused() {
    let server = Server::start().await;
    let source = "module.exports = async (req, res) => {
        const wrong = [-1, NaN, Infinity, '60', true, { ttl: -1 }, { ttlMs: NaN }, { ttl: {} },
            { expiresAt: 'tomorrow' }];
        const names = [];
        for (const ttl of wrong) {
            names.push(await kv.set('key', 1, ttl).then(() => 'written', (error) => error.name));
        }
        names.push(await kv.set('key', 1, 1e12).then(() => 'written', (error) => error.code));
        res.json({ names, left: await kv.get('key') });
    };";
    server.deploy("wrong", source).await;
    let answer = Answer::of(server.invoke("wrong")).await.json();
    let mut expected = vec!["TypeError"; 9];
    expected.push("kv_invalid");
    assert_eq!(answer, json!({ "names": expected, "left": null }));
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_listed_in_byte_order_page_by_page() {
    let server = Server::start().await;
    let kv = Kv::of(&server, "default").await;
    for key in ["é", "b", "job", "B", "job:", "joc", "z"] {
        kv.value("set", json!([key, 1])).await;
    }
    for number in 0..20 {
        kv.value("set", json!([format!("job:{number:02}"), 1]))
            .await;
    }
    let page = kv.value("list", json!(["jo", { "limit": 2 }])).await;
    assert_eq!(page["keys"], json!(["job", "job:"]));
    let mut found = Vec::new();
    let mut pages = 0;
    let mut cursor = Value::Null;
    loop {
        let options = json!({ "prefix": "job:", "limit": 7, "cursor": cursor });
        let page = kv.value("list", json!([options])).await;
        let keys = page["keys"].as_array().unwrap();
        assert!(keys.len() <= 7);
        found.extend(keys.iter().map(|key| key.as_str().unwrap().to_owned()));
        cursor = page["cursor"].clone();
        pages += 1;
        if cursor.is_null() || pages == 10 {
            break;
        }
        // A page goes on where the last one ended, even if that key is gone meanwhile.
        let last = found.last().unwrap();
        assert_eq!(kv.value("delete", json!([last])).await, true);
    }
    assert_eq!(pages, 3);
    let mut expected = vec!["job:".to_owned()];
    expected.extend((0..20).map(|number| format!("job:{number:02}")));
    assert_eq!(found, expected);
    let all = kv.value("list", json!([{ "limit": 1000 }])).await;
    let keys = all["keys"].as_array().unwrap();
    assert_eq!((keys[0].as_str(), keys[1].as_str()), (Some("B"), Some("b")));
    assert_eq!(keys.last().unwrap(), "é");
    assert_eq!((keys.len(), all["cursor"].is_null()), (25, true));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_last_page_has_no_cursor() {
    let server = Server::start().await;
    let kv = Kv::of(&server, "default").await;
    for number in 0..4 {
        kv.value("set", json!([format!("k{number}"), 1])).await;
    }
    let first = kv.value("list", json!([{ "limit": 2 }])).await;
    let options = json!({ "limit": 2, "cursor": first["cursor"] });
    let second = kv.value("list", json!([options])).await;
    assert_eq!(second, json!({ "keys": ["k2", "k3"], "cursor": null }));
}

#[tokio::test(flavor = "multi_thread")]
async fn increments_at_once_lose_nothing() {
    let server = Server::start().await;
    let source = "module.exports = async (req, res) => {
        const five = Array.from({ length: 5 }, () => kv.increment('visits'));
        res.json(await Promise.all(five));
    };";
    server.deploy("visit", source).await;
    let answers = futures_util::stream::iter(0..40)
        .map(|_| Answer::of(server.invoke("visit")))
        .buffer_unordered(20)
        .collect::<Vec<_>>()
        .await;
    let mut sums = BTreeSet::new();
    for answer in answers {
        assert_eq!(answer.status, 200, "{}", answer.text());
        for sum in answer.json().as_array().unwrap() {
            assert!(sums.insert(sum.as_u64().unwrap()), "{sum} twice");
        }
    }
    assert_eq!(sums, (1..=200).collect());
    let kv = Kv::of(&server, "default").await;
    assert_eq!(kv.value("get", json!(["visits"])).await, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_a_number_cannot_be_incremented() {
    let server = Server::start().await;
    let kv = Kv::of(&server, "default").await;
    kv.value("set", json!(["name", "Ada"])).await;
    let refusal = kv.refusal("increment", json!(["name"])).await;
    assert_eq!(refusal, ("Error".into(), "kv_not_a_number".into()));
    assert_eq!(kv.value("get", json!(["name"])).await, "Ada");
}

#[tokio::test(flavor = "multi_thread")]
async fn compare_and_set_writes_only_over_what_it_expects() {
    let server = Server::start().await;
    let kv = Kv::of(&server, "default").await;
    let swap = |expected: Value, value: Value| {
        let kv = &kv;
        async move {
            let arguments = json!(["key", expected, value]);
            kv.value("compareAndSet", arguments).await == json!(true)
        }
    };
    assert!(!swap(json!("a"), json!("b")).await);
    assert_eq!(kv.value("has", json!(["key"])).await, false);
    assert!(swap(Value::Null, json!({ "v": 1 })).await);
    assert!(!swap(Value::Null, json!("b")).await);
    assert!(!swap(json!({ "v": 2 }), json!("b")).await);
    assert_eq!(kv.value("get", json!(["key"])).await, json!({ "v": 1 }));
    assert!(swap(json!({ "v": 1 }), json!("b")).await);
    assert_eq!(kv.value("get", json!(["key"])).await, "b");
    // Without a value it deletes.
    let wrong = kv.value("compareAndSet", json!(["key", "a"])).await;
    assert_eq!(wrong, false);
    let right = kv.value("compareAndSet", json!(["key", "b"])).await;
    assert_eq!(right, true);
    assert_eq!(kv.value("has", json!(["key"])).await, false);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_that_compare_and_set_at_once_exactly_one_wins() {
    let server = Server::start().await;
    let source = "module.exports = async (req, res) => {
        const won = await kv.compareAndSet('lock', null, req.query.me);
        let tries = 0;
        for (let done = false; !done && tries < 1000; tries++) {
            const seen = await kv.get('count');
            done = await kv.compareAndSet('count', seen, (seen ?? 0) + 1);
        }
        res.json({ me: req.query.me, won });
    };";
    server.deploy("race", source).await;
    let answers = futures_util::stream::iter(0..20)
        .map(|me| Answer::of(server.invoke(&format!("race?me={me}"))))
        .buffer_unordered(20)
        .collect::<Vec<_>>()
        .await;
    let answers: Vec<Value> = answers.iter().map(Answer::json).collect();
    let winners: Vec<&Value> = answers.iter().filter(|one| one["won"] == true).collect();
    assert_eq!(winners.len(), 1, "{answers:?}");
    let kv = Kv::of(&server, "default").await;
    assert_eq!(kv.value("get", json!(["lock"])).await, winners[0]["me"]);
    assert_eq!(kv.value("get", json!(["count"])).await, 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn tenants_do_not_see_each_others_keys() {
    let server = Server::start().await;
    let acme = Kv::of(&server, "acme").await;
    // The name of one begins with that of the other, as their keys might on disk.
    let neighbour = Kv::of(&server, "acme-two").await;
    acme.value("set", json!(["secret", "of acme"])).await;
    acme.value("set", json!(["n", 1])).await;
    assert_eq!(neighbour.value("get", json!(["secret"])).await, Value::Null);
    assert_eq!(neighbour.value("has", json!(["secret"])).await, false);
    let page = neighbour.value("list", json!([])).await;
    assert_eq!(page["keys"], json!([]));
    assert_eq!(neighbour.value("delete", json!(["secret"])).await, false);
    assert_eq!(neighbour.value("increment", json!(["n"])).await, 1);
    let taken = json!(["secret", null, "of the other"]);
    assert_eq!(neighbour.value("compareAndSet", taken).await, true);
    assert_eq!(neighbour.value("clear", json!([])).await, 2);
    assert_eq!(acme.value("get", json!(["secret"])).await, "of acme");
    assert_eq!(acme.value("get", json!(["n"])).await, 1);
    let page = acme.value("list", json!([])).await;
    assert_eq!(page["keys"], json!(["n", "secret"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn functions_of_one_tenant_share_its_keys() {
    let server = Server::start().await;
    let kv = Kv::of(&server, "default").await;
    kv.value("set", json!(["shared", 7])).await;
    let source = "module.exports = async (req, res) => res.json(await kv.get('shared'));";
    server.deploy("reader", source).await;
    Answer::of(server.invoke("reader")).await.expect(200, "7");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_written_survives_a_restart_and_its_expiry_too() {
    let server = Server::start().await;
    let kv = Kv::of(&server, "default").await;
    kv.value("set", json!(["kept", { "a": 1 }])).await;
    kv.value("set", json!(["an hour", 1, 3600])).await;
    kv.value("set", json!(["short", 1, { "ttlMs": 50 }])).await;
    kv.value("set", json!(["deleted", 1])).await;
    kv.value("delete", json!(["deleted"])).await;
    kv.value("increment", json!(["n", 41])).await;
    let data = Some(server.stop().await);
    let server = Server::with(Options {
        data,
        ..Options::default()
    })
    .await;
    // The function is still deployed as well.
    let kv = Kv {
        server: &server,
        tenant: "default",
    };
    kv.gone("short").await;
    let page = kv.value("list", json!([])).await;
    assert_eq!(page["keys"], json!(["an hour", "kept", "n"]));
    assert_eq!(kv.value("get", json!(["kept"])).await, json!({ "a": 1 }));
    assert_eq!(kv.value("increment", json!(["n"])).await, 42);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_was_answered_stays_though_the_invocation_fails() {
    let server = Server::start().await;
    let source = "module.exports = async () => {
        await kv.set('before', 1);
        throw new Error('after that');
    };";
    server.deploy("fails", source).await;
    let answer = Answer::of(server.invoke("fails")).await;
    answer.expect_problem(500, "function_threw");
    let kv = Kv::of(&server, "default").await;
    assert_eq!(kv.value("get", json!(["before"])).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_commands_at_once_queue_in_order() {
    let server = Server::start().await;
    let source = "module.exports = async (req, res) => {
        const all = Array.from({ length: 1000 }, (_, i) => i);
        await Promise.all(all.map((i) => kv.set('k' + i, i)));
        const order = [];
        const read = async (i) => {
            const value = await kv.get('k' + i);
            order.push(i);
            return value;
        };
        const values = await Promise.all(all.map(read));
        const isWhole = values.every((value, i) => value === i);
        res.json([isWhole, order.every((value, i) => value === i), await kv.get('k999')]);
    };";
    server.deploy("many", source).await;
    let answer = Answer::of(server.invoke("many")).await;
    answer.expect(200, "[true,true,999]");
}
