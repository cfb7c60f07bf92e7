//! QuickJS has shorter ways for what is common (ADR 0022, ADR 0029). They and the long ones have to agree.

use serde_json::{Value, json};

use crate::server::{Answer, Server};

const PATTERNS: &str = include_str!("../functions/regexp_both_ways.js");
const OPERATORS: &str = include_str!("../functions/operators_both_ways.js");
const COPIES: &str = include_str!("../functions/copies.js");
const PROGRAMS: &str = include_str!("../functions/programs_both_ways.js");
const DEFINITIONS: &str = include_str!("../functions/definitions_both_ways.js");
const PAIRS: &str = include_str!("../functions/pairs_both_ways.js");
const SHAPES: &str = include_str!("../functions/shapes_both_ways.js");
const QUERIES: &str = include_str!("../functions/queries_both_ways.js");
const LOGGED: &str = include_str!("../functions/values_logged.js");

#[tokio::test(flavor = "multi_thread")]
async fn a_regular_expression_finds_the_same_on_all_ways() {
    let server = Server::start().await;
    server.deploy("f", PATTERNS).await;
    for seed in 1..=40 {
        let body = json!({"seed": seed, "count": 80}).to_string();
        let request = server.post("f").header("content-type", "application/json");
        let answer = Answer::of(request.body(body)).await;
        assert_eq!(answer.status, 200, "{}", server.log_text("f").await);
        assert_eq!(answer.json(), json!({"agreed": 80}), "seed {seed}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_says_the_same_on_all_ways() {
    let server = Server::start().await;
    server.deploy("f", OPERATORS).await;
    let answer = Answer::of(server.post("f")).await;
    assert_eq!(answer.status, 200, "{}", server.log_text("f").await);
    let expected = json!({"values": 41, "operators": [], "elements": []});
    assert_eq!(answer.json(), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_are_copied_moved_and_filled_whole() {
    let server = Server::start().await;
    server.deploy("f", COPIES).await;
    let answer = Answer::of(server.post("f")).await;
    assert_eq!(answer.status, 200, "{}", server.log_text("f").await);
    assert_eq!(answer.json(), json!({"different": []}));
}

/// Pairs that refer to each other and to what the snapshot holds, more than memory has room for.
const CYCLES: &str = r"
    const held = new Map();
    const shared = { name: 'shared' };
    module.exports = (req, res) => {
        for (let i = 0; i < 400_000; i++) {
            const one = { i, shared };
            const other = { one, of: held };
            one.other = other;
            held.set('last', one);
        }
        res.json({ size: held.size, last: held.get('last').other.one.i, name: shared.name });
    };";

#[tokio::test(flavor = "multi_thread")]
async fn cycles_are_collected_beside_what_the_snapshot_holds() {
    let expected = json!({"size": 1, "last": 399_999, "name": "shared"});
    assert_answers_within_48_mib(CYCLES, &expected).await;
}

/// A function answers this, and again, with as little memory.
async fn assert_answers_within_48_mib(source: &str, expected: &Value) {
    let server = Server::start().await;
    let limits = json!({"limits": {"memory_bytes": 48 << 20}});
    server.deploy_with("f", source, limits).await;
    for _ in 0..2 {
        let answer = Answer::of(server.post("f")).await;
        assert_eq!(answer.status, 200, "{}", server.log_text("f").await);
        assert_eq!(&answer.json(), expected);
    }
}

/// Prototypes with much behind them, each of three objects: more than memory has room for.
const PROTOTYPES: &str = r"
    module.exports = (req, res) => {
        let made = 0;
        for (let i = 0; i < 100; i++) {
            const prototype = { text: 'x'.repeat(2_000_000) + i };
            for (const object of [Object.create(prototype), Object.create(prototype), Object.create(prototype)]) {
                object.one = object.text.length;
                made += object.one > 0 ? 1 : 0;
            }
        }
        res.json({ made });
    };";

#[tokio::test(flavor = "multi_thread")]
async fn a_shape_that_is_kept_keeps_no_prototype_of_its_own() {
    assert_answers_within_48_mib(PROTOTYPES, &json!({"made": 300})).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_pushed_comes_after_what_an_array_only_says_that_it_has() {
    const GROWN: &str = "
        const grown = (array, length) => { array.length = length; array.push('x'); return array; };
        module.exports = (req, res) => res.json([
          grown([], 3), grown([1, 2, 3].slice(0, 1), 3), grown([{}, {}], 1), 2 in grown([], 3),
          grown([[], [], []].map(() => []).slice(1), 4),
        ]);";
    let server = Server::start().await;
    server.deploy("f", GROWN).await;
    let answer = Answer::of(server.post("f")).await;
    assert_eq!(answer.status, 200, "{}", server.log_text("f").await);
    let expected = json!([
        [null, null, null, "x"],
        [1, null, null, "x"],
        [{}, "x"],
        false,
        [[], [], null, null, "x"],
    ]);
    assert_eq!(answer.json(), expected);
}

/// What `call` makes of a function's source in a QuickJS as it comes, without a sandbox and without our
/// amendments.
fn elsewhere<T: for<'js> rquickjs::FromJs<'js>>(source: &str, call: &str) -> T {
    let runtime = rquickjs::Runtime::new().unwrap();
    let context = rquickjs::Context::full(&runtime).unwrap();
    context.with(|ctx| {
        ctx.eval::<(), _>("globalThis.module = { exports: null };")
            .unwrap();
        ctx.eval::<(), _>(source).unwrap();
        ctx.eval(call).unwrap()
    })
}

/// What programs make there.
fn outcomes_elsewhere(from: u32, count: u32) -> Vec<String> {
    let each = format!("Array.from({{ length: {count} }}, (_, i) => outcome({from} + i))");
    elsewhere(PROGRAMS, &each)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_does_what_it_does_in_a_quickjs_without_shortcuts() {
    const EACH: u32 = 50;
    let server = Server::start().await;
    server.deploy("f", PROGRAMS).await;
    for from in (1..=20 * EACH).step_by(EACH as usize) {
        let body = json!({"from": from, "count": EACH}).to_string();
        let request = server.post("f").header("content-type", "application/json");
        let answer = Answer::of(request.body(body)).await;
        assert_eq!(answer.status, 200, "{}", server.log_text("f").await);
        let here: Vec<String> = serde_json::from_str(&answer.text()).unwrap();
        let elsewhere = outcomes_elsewhere(from, EACH);
        assert_eq!(here.len(), elsewhere.len());
        for (i, (here, elsewhere)) in here.iter().zip(&elsewhere).enumerate() {
            assert_eq!(here, elsewhere, "seed {}", from + u32::try_from(i).unwrap());
        }
    }
}

/// Each of a function's `outcomes()`, by its name, is what it is in a QuickJS without shortcuts; their
/// number.
async fn assert_outcomes_agree(source: &str) -> usize {
    let elsewhere: String = elsewhere(source, "outcomes()");
    let elsewhere: serde_json::Map<String, Value> = serde_json::from_str(&elsewhere).unwrap();
    let server = Server::start().await;
    server.deploy("f", source).await;
    let answer = Answer::of(server.post("f")).await;
    assert_eq!(answer.status, 200, "{}", server.log_text("f").await);
    let here = answer.json();
    for (case, expected) in &elsewhere {
        assert_eq!(&here[case], expected, "{case}");
    }
    elsewhere.len()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_property_is_defined_as_it_is_in_a_quickjs_without_shortcuts() {
    assert_outcomes_agree(DEFINITIONS).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn operations_that_look_ahead_do_what_each_of_the_two_does() {
    let count = assert_outcomes_agree(PAIRS).await;
    assert!(count > 280, "{count}");
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_and_arrays_become_what_they_do_in_a_quickjs_without_shortcuts() {
    assert_eq!(assert_outcomes_agree(SHAPES).await, 52);
}

/// A field that cannot be read is where it stands, also if the variable before it was looked at for it.
#[tokio::test(flavor = "multi_thread")]
async fn a_field_of_nothing_is_told_where_it_stands() {
    const NOTHING: &str = "module.exports = (req, res) => {
  const places = [];
  const nothing = null;
  try {
    places.push(nothing
      .field);
  } catch (error) {
    places.push(error.stack.split('\\n')[1].trim());
  }
  const bad = { get field() {
    throw new Error('got'); } };
  try {
    if (bad
        .field === 1) places.push('never');
  } catch (error) {
    places.push(...error.stack.split('\\n').slice(1, 3).map((line) => line.trim()));
  }
  res.json(places);
};";
    let server = Server::start().await;
    server.deploy("f", NOTHING).await;
    let answer = Answer::of(server.post("f")).await;
    let expected = json!([
        "at /app/index.js:6:8",
        "at get field (/app/index.js:11:15)",
        "at /app/index.js:14:10",
    ]);
    assert_eq!(answer.json(), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_is_read_the_same_on_both_ways() {
    let server = Server::start().await;
    server.deploy("f", QUERIES).await;
    for seed in 1..=5 {
        let body = json!({"seed": seed, "count": 400}).to_string();
        let request = server.post("f").header("content-type", "application/json");
        let answer = Answer::of(request.body(body)).await;
        assert_eq!(answer.status, 200, "{}", server.log_text("f").await);
        assert_eq!(answer.json(), json!({"different": [], "many": 1000}));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_is_logged_as_inspect_shows_it() {
    let server = Server::start().await;
    let runs = (1..=20).map(|seed| (seed, ""));
    let changed = ["custom", "tag", "constructor"].map(|added| (21, added));
    for (seed, added) in runs.chain(changed) {
        let name = format!("f{seed}{added}");
        let limits = json!({"limits": {"fuel": 4_000_000_000_u64, "wall_ms": 20_000}});
        server.deploy_with(&name, LOGGED, limits).await;
        let body = json!({"seed": seed, "count": 40, "added": added}).to_string();
        let request = server
            .post(&name)
            .header("content-type", "application/json");
        let answer = Answer::of(request.body(body)).await;
        assert_eq!(answer.status, 200, "{}", server.log_text(&name).await);
        let answer = answer.json();
        let expected = answer.as_array().unwrap();
        let last = expected.last().unwrap().as_str().unwrap();
        let lines = server.log_with(&name, last).await;
        let logged: Vec<_> = lines.iter().map(|line| line["message"].clone()).collect();
        assert_eq!(&logged, expected, "seed {seed} {added}");
    }
}

/// Texts of which some are JSON: pieces one after the other, and JSON with a character changed.
fn json_or_not(seed: u32) -> String {
    const PIECES: [&str; 36] = [
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "\"",
        "\"a\"",
        "\"é\\u00e9\"",
        "\"\\",
        "\\u12",
        "\\x",
        "\"\t\"",
        "0",
        "-",
        "01",
        "1",
        "-1.5e+3",
        ".5",
        "1.",
        "1e",
        "E5",
        "true",
        "tru",
        "null",
        "nul",
        "false",
        " ",
        "\n",
        "\u{feff}",
        "//",
        "'a'",
        "NaN",
        "{\"k\":",
        "[1,",
        "\u{1}",
    ];
    const WHOLE: &str =
        r#" {"a": [1, -2.5e3, "x\"\\\/\b\u0041é", {"b": {}}, []], "c": null, "d": true} "#;
    let mut state = seed;
    let mut at = |below: usize| {
        state = (state ^ (state >> 15))
            .wrapping_mul(0x2c1b_3c6d)
            .wrapping_add(0x6d2b_79f5);
        (state ^ (state >> 13)) as usize % below
    };
    if at(2) == 0 {
        let count = 1 + at(6);
        return (0..count).map(|_| PIECES[at(PIECES.len())]).collect();
    }
    let mut text: Vec<char> = WHOLE.chars().collect();
    let place = at(text.len());
    match at(4) {
        0 => drop(text.remove(place)),
        1 => text.insert(place, text[at(text.len())]),
        2 => text[place] = text[at(text.len())],
        _ => text.truncate(place + 1),
    }
    text.into_iter().collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_is_refused_where_json_parse_refuses_it_also_if_nobody_reads_it() {
    let runtime = rquickjs::Runtime::new().unwrap();
    let context = rquickjs::Context::full(&runtime).unwrap();
    let server = Server::start().await;
    let ignoring = "module.exports = (req, res) => res.send('ran');";
    let reading = "module.exports = (req, res) => res.json([req.rawBody.length, req.body]);";
    server.deploy("ignoring", ignoring).await;
    server.deploy("reading", reading).await;
    let (mut taken, mut refused) = (0, 0);
    for seed in 1..=400 {
        let text = json_or_not(seed);
        let expected: Option<String> = context.with(|ctx| {
            // A byte order mark before the text is taken away.
            let source = text.strip_prefix('\u{feff}').unwrap_or(&text);
            let value = ctx.json_parse(source).ok()?;
            let told = ctx.json_stringify(value).ok()??;
            told.to_string().ok()
        });
        // What is short is read at once, what is longer is only looked at.
        let longer = text.clone() + &" ".repeat(512);
        for body in [text, longer] {
            let len = body.len();
            for function in ["ignoring", "reading"] {
                let request = server
                    .post(function)
                    .header("content-type", "application/json");
                let answer = Answer::of(request.body(body.clone())).await;
                match &expected {
                    None => assert_eq!(answer.status, 400, "{function} {body:?}"),
                    Some(_) if function == "ignoring" => drop(answer.expect(200, "ran")),
                    Some(json) => drop(answer.expect(200, &format!("[{len},{json}]"))),
                }
            }
        }
        *if expected.is_some() {
            &mut taken
        } else {
            &mut refused
        } += 1;
    }
    assert!(
        taken > 30 && refused > 200,
        "{taken} taken, {refused} refused"
    );
}
