//! Random operations of the control plane against a simple model of it, on the real binary, which
//! is stopped and killed on the way.
//!
//! `SEED=…` repeats a run; `STEPS=…` makes it longer or shorter. A failure prints both and the
//! last steps.

mod policies;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use reqwest::{Method, RequestBuilder};
use rustix::process::Signal;
use serde_json::{Value, json};

use self::policies::{Policies, Scope};
use crate::process::Serving;
use crate::server::Answer;
use crate::versions::with_json;

const STEPS: u64 = 3000;
/// One of so many steps ends the server, in order or by `kill -9`.
const STEPS_PER_END: u64 = 300;
/// Steps that are shown when one fails.
const SHOWN: usize = 25;
const NAMES: [&str; 3] = ["a", "b", "c"];

/// splitmix64: small, and the same everywhere.
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    fn one_in(&mut self, bound: u64) -> bool {
        self.below(bound) == 0
    }
}

/// What a version is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Content {
    code: u64,
    x: Option<u64>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Function {
    versions: BTreeMap<u64, Content>,
    active: Option<u64>,
    history: Vec<u64>,
    split: Option<(u64, u64)>,
    disabled: bool,
    description: String,
    schedules: BTreeSet<String>,
    first: u64,
    revision: u64,
}

impl Function {
    fn activate(&mut self, version: u64) {
        if self.active == Some(version) && self.split.is_none() {
            return;
        }
        self.revision += 1;
        self.put_active(version);
    }

    fn put_active(&mut self, version: u64) {
        self.split = None;
        if self.active != Some(version) {
            self.history.extend(self.active);
            // What is remembered has an end.
            let surplus = self.history.len().saturating_sub(100);
            self.history.drain(..surplus);
            self.active = Some(version);
        }
    }

    fn find(&self, content: Content) -> Option<u64> {
        let mut versions = self.versions.iter();
        versions
            .find(|(_, one)| **one == content)
            .map(|(version, _)| *version)
    }

    fn tag(&self) -> String {
        format!("\"f{}-{}\"", self.first, self.revision)
    }
}

/// What an operation answers.
#[derive(Debug, PartialEq, Eq)]
enum Expected {
    Version(u16, u64, Content, bool),
    Function,
    Empty,
    /// A schedule, with this status.
    Schedule(u16),
    Refused(u16, &'static str),
    /// One of these versions ran.
    Ran(Vec<(u64, Content)>),
    /// The policy that is in force.
    Policy(Scope),
    /// What is decided about a connection.
    Decided(Value),
}

const NO_FUNCTION: Expected = Expected::Refused(404, "function_not_found");
const NO_SCHEDULE: Expected = Expected::Refused(404, "schedule_not_found");
const NO_VERSION: Expected = Expected::Refused(404, "version_not_found");

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Model {
    functions: BTreeMap<&'static str, Function>,
    /// The last number ever given to a version.
    numbers: BTreeMap<&'static str, u64>,
    /// Invocations so far, as the functions count them in kv.
    runs: u64,
    policies: Policies,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Operation {
    Deploy(Content, bool),
    Activate(u64),
    RollBack,
    DeleteVersion(u64),
    DeleteFunction,
    EditEnv(Option<u64>, Option<u64>),
    Split(u64, u64),
    EndSplit,
    Change(bool, String),
    /// A change that expects the function to be as it is now, or as it was.
    Guarded(bool),
    PutSchedule(String),
    DeleteSchedule(String),
    Invoke,
    Test(u64),
    /// One on network policies, which have nothing to do with the step's function.
    Policy(Scope, policies::Operation),
}

impl Operation {
    /// Whether it changes nothing but how often functions ran.
    fn only_looks(&self) -> bool {
        use policies::Operation::Ask;
        matches!(self, Self::Invoke | Self::Test(_) | Self::Policy(_, Ask(_)))
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Step {
    name: &'static str,
    operation: Operation,
}

impl Model {
    fn random(&self, chance: &mut Chance) -> Step {
        let name = NAMES[usize::try_from(chance.below(3)).unwrap()];
        let last = self.numbers.get(name).copied().unwrap_or(0);
        // Mostly versions that are there, or were.
        let number = |chance: &mut Chance| 1 + last.saturating_sub(chance.below(8));
        let x = |chance: &mut Chance| Some(chance.below(4)).filter(|x| *x > 0);
        if chance.one_in(6) {
            let scope = policies::SCOPES[usize::try_from(chance.below(3)).unwrap()];
            let operation = Operation::Policy(scope, policies::Operation::random(chance));
            return Step { name, operation };
        }
        let operation = match chance.below(100) {
            0..20 => {
                let code = chance.below(6);
                let content = Content { code, x: x(chance) };
                Operation::Deploy(content, !chance.one_in(3))
            }
            20..32 => Operation::Activate(number(chance)),
            32..42 => Operation::RollBack,
            42..50 => Operation::DeleteVersion(number(chance)),
            50..52 => Operation::DeleteFunction,
            52..62 => {
                let version = Some(number(chance)).filter(|_| chance.one_in(3));
                Operation::EditEnv(version, x(chance))
            }
            62..68 => Operation::Split(number(chance), 1 + chance.below(99)),
            68..70 => Operation::EndSplit,
            70..74 => Operation::Change(chance.one_in(3), format!("d{}", chance.below(9))),
            74..78 => Operation::Guarded(chance.one_in(2)),
            78..80 => Operation::PutSchedule(format!("s{}", chance.below(3))),
            80..82 => Operation::DeleteSchedule(format!("s{}", chance.below(3))),
            82..86 => Operation::Test(number(chance)),
            _ => Operation::Invoke,
        };
        Step { name, operation }
    }

    fn apply(&mut self, step: &Step) -> Expected {
        let name = step.name;
        match &step.operation {
            Operation::Deploy(content, activate) => return self.store(name, *content, *activate),
            Operation::Policy(scope, operation) => return self.policies.apply(*scope, operation),
            _ => {}
        }
        let Some(function) = self.functions.get_mut(name) else {
            return match step.operation {
                Operation::DeleteSchedule(_) => NO_SCHEDULE,
                _ => NO_FUNCTION,
            };
        };
        match &step.operation {
            Operation::Deploy(..) | Operation::Policy(..) => unreachable!("see above"),
            Operation::Activate(version) => {
                let Some(content) = function.versions.get(version).copied() else {
                    return NO_VERSION;
                };
                function.activate(*version);
                Expected::Version(200, *version, content, true)
            }
            Operation::RollBack => {
                let Some(version) = function.history.pop() else {
                    return NO_VERSION;
                };
                function.revision += 1;
                (function.active, function.split) = (Some(version), None);
                Expected::Version(200, version, function.versions[&version], true)
            }
            Operation::DeleteVersion(version) => self.delete_version(name, *version),
            Operation::DeleteFunction => {
                self.functions.remove(name);
                Expected::Empty
            }
            Operation::EditEnv(version, x) => {
                let newest = function.versions.keys().next_back().copied();
                let base = version.or(function.active).or(newest).unwrap();
                let Some(content) = function.versions.get(&base) else {
                    return NO_VERSION;
                };
                let content = Content { x: *x, ..*content };
                let is_active = function.active == Some(base);
                self.store(name, content, is_active)
            }
            Operation::Split(version, weight) => {
                if !function.versions.contains_key(version) {
                    return NO_VERSION;
                }
                if function.active.is_none() || function.active == Some(*version) {
                    return Expected::Refused(400, "body_invalid");
                }
                function.revision += 1;
                function.split = Some((*version, *weight));
                Expected::Function
            }
            Operation::EndSplit => {
                function.revision += 1;
                function.split = None;
                Expected::Function
            }
            Operation::Change(disabled, description) => {
                function.revision += 1;
                function.disabled = *disabled;
                function.description.clone_from(description);
                Expected::Function
            }
            Operation::Guarded(true) => {
                function.revision += 1;
                "guarded".clone_into(&mut function.description);
                Expected::Function
            }
            Operation::Guarded(false) => Expected::Refused(412, "precondition_failed"),
            Operation::PutSchedule(schedule) => {
                let is_new = function.schedules.insert(schedule.clone());
                Expected::Schedule(if is_new { 201 } else { 200 })
            }
            Operation::DeleteSchedule(schedule) => match function.schedules.remove(schedule) {
                true => Expected::Empty,
                false => NO_SCHEDULE,
            },
            Operation::Invoke => {
                let split = function.split.map(|(version, _)| version);
                let chosen = function.active.into_iter().chain(split);
                let chosen: Vec<_> = chosen.map(|one| (one, function.versions[&one])).collect();
                if chosen.is_empty() || function.disabled {
                    return NO_FUNCTION;
                }
                self.runs += 1;
                Expected::Ran(chosen)
            }
            Operation::Test(version) => {
                let Some(content) = function.versions.get(version).copied() else {
                    return NO_VERSION;
                };
                self.runs += 1;
                Expected::Ran(vec![(*version, content)])
            }
        }
    }

    fn store(&mut self, name: &'static str, content: Content, activate: bool) -> Expected {
        let found = self.functions.get(name).and_then(|one| one.find(content));
        if let Some(version) = found {
            let function = self.functions.get_mut(name).unwrap();
            if activate {
                function.activate(version);
            }
            let is_active = function.active == Some(version);
            return Expected::Version(200, version, content, is_active);
        }
        let number = self.numbers.entry(name).or_default();
        *number += 1;
        let first = Function {
            first: *number,
            ..Function::default()
        };
        let function = self.functions.entry(name).or_insert(first);
        function.versions.insert(*number, content);
        function.revision += 1;
        if activate {
            function.put_active(*number);
        }
        Expected::Version(201, *number, content, activate)
    }

    fn delete_version(&mut self, name: &'static str, version: u64) -> Expected {
        let function = self.functions.get_mut(name).unwrap();
        if !function.versions.contains_key(&version) {
            return NO_VERSION;
        }
        let is_split = function.split.is_some_and(|(other, _)| other == version);
        if function.active == Some(version) || is_split {
            return Expected::Refused(409, "version_active");
        }
        function.versions.remove(&version);
        function.revision += 1;
        // Rolling back never leads to the version that is active already.
        let mut history: Vec<u64> = Vec::new();
        for past in function.history.iter().filter(|past| **past != version) {
            if history.last() != Some(past) {
                history.push(*past);
            }
        }
        if history.last().copied() == function.active {
            history.pop();
        }
        function.history = history;
        if function.versions.is_empty() {
            self.functions.remove(name);
        }
        Expected::Empty
    }
}

/// Counts itself, and says what it is.
fn source(code: u64) -> String {
    format!(
        "module.exports = async (req, res) => res.json({{ \
         code: {code}, x: process.env.X ?? null, runs: await kv.increment('runs') }});"
    )
}

fn path(name: &str, rest: &str) -> String {
    format!("/api/v1/tenants/default/functions/{name}{rest}")
}

fn env(x: Option<u64>) -> Value {
    json!({ "X": x.map(|x| x.to_string()) })
}

/// The request of a step; `before` is the model that it meets.
fn request(serving: &Serving, before: &Model, step: &Step) -> RequestBuilder {
    let name = step.name;
    let to = |method, rest: &str| serving.request(method, &path(name, rest));
    match &step.operation {
        Operation::Deploy(content, activate) => {
            let mut settings = json!({ "activate": activate });
            if content.x.is_some() {
                settings["env"] = env(content.x);
            }
            to(Method::PUT, "")
                .header("content-type", "application/javascript")
                .header("x-ampoule-settings", settings.to_string())
                .body(source(content.code))
        }
        Operation::Activate(version) => to(Method::POST, &format!("/versions/{version}/activate")),
        Operation::RollBack => to(Method::POST, "/rollback"),
        Operation::DeleteVersion(version) => to(Method::DELETE, &format!("/versions/{version}")),
        Operation::DeleteFunction => to(Method::DELETE, ""),
        Operation::EditEnv(version, x) => {
            let query = version.map(|version| format!("?version={version}"));
            let rest = format!("/env{}", query.unwrap_or_default());
            with_json(to(Method::PATCH, &rest), &json!({ "env": env(*x) }))
        }
        Operation::Split(version, weight) => {
            let body = json!({ "version": version, "weight_percent": weight });
            with_json(to(Method::PUT, "/split"), &body)
        }
        Operation::EndSplit => to(Method::DELETE, "/split"),
        Operation::Change(disabled, description) => {
            let body = json!({ "enabled": !disabled, "description": description });
            with_json(to(Method::PATCH, ""), &body)
        }
        Operation::Guarded(is_now) => {
            let mut function = before.functions.get(name).cloned().unwrap_or_default();
            if !is_now {
                function.revision = function.revision.saturating_sub(1);
            }
            let request = with_json(to(Method::PATCH, ""), &json!({"description": "guarded"}));
            request.header("if-match", function.tag())
        }
        Operation::PutSchedule(schedule) => {
            // Once a year, and not while this runs.
            let body = json!({ "cron": "0 0 1 1 *", "enabled": false });
            with_json(to(Method::PUT, &format!("/schedules/{schedule}")), &body)
        }
        Operation::DeleteSchedule(schedule) => {
            to(Method::DELETE, &format!("/schedules/{schedule}"))
        }
        Operation::Invoke => serving.invoke(name),
        Operation::Test(version) => to(Method::GET, &format!("/versions/{version}/test/")),
        Operation::Policy(scope, operation) => before.policies.request(serving, *scope, operation),
    }
}

/// Says what is different, if something is.
fn differ(what: &str, found: &Value, expected: &Value) -> Result<(), String> {
    if found == expected {
        return Ok(());
    }
    Err(format!("{what} is {found}, not {expected}"))
}

/// Holds an answer against what the model expects; `model` is the one after the step.
fn hold(model: &Model, name: &str, answer: &Answer, expected: &Expected) -> Result<(), String> {
    let status = |wanted: u16| match answer.status == wanted {
        true => Ok(()),
        false => Err(format!(
            "{}, not {wanted}: {}",
            answer.status,
            answer.text()
        )),
    };
    match expected {
        Expected::Refused(wanted, code) => {
            status(*wanted)?;
            differ("the code", &answer.json()["code"], &json!(code))
        }
        Expected::Empty => status(204),
        Expected::Schedule(wanted) => status(*wanted),
        Expected::Policy(scope) => {
            status(200)?;
            model.policies.hold(*scope, answer)
        }
        Expected::Decided(decided) => {
            status(200)?;
            policies::hold_decision(&answer.json(), decided)
        }
        Expected::Function => {
            status(200)?;
            hold_function(&model.functions[name], answer)
        }
        Expected::Version(wanted, version, content, active) => {
            status(*wanted)?;
            let said = answer.json();
            differ("the version", &said["version"], &json!(version))?;
            differ("active", &said["active"], &json!(active))?;
            let names = content.x.map_or(json!([]), |_| json!(["X"]));
            differ("env", &said["env"], &names)?;
            let tag = model.functions[name].tag();
            differ("the tag", &json!(answer.header("etag")), &json!(tag))
        }
        Expected::Ran(chosen) => {
            status(200)?;
            let said = answer.json();
            let version = answer.header("x-ampoule-version").unwrap_or_default();
            let found = chosen.iter().find(|(one, _)| one.to_string() == version);
            let Some((_, content)) = found else {
                return Err(format!("version {version} answered, not one of {chosen:?}"));
            };
            let x = content.x.map(|x| x.to_string());
            let wanted = json!({ "code": content.code, "x": x, "runs": model.runs });
            differ("the answer", &said, &wanted)
        }
    }
}

fn hold_function(function: &Function, answer: &Answer) -> Result<(), String> {
    let said = answer.json();
    let split = function
        .split
        .map(|(version, weight)| json!({ "version": version, "weight_percent": weight }));
    for (member, wanted) in [
        ("active_version", json!(function.active)),
        ("versions", json!(function.versions.len())),
        ("previous_version", json!(function.history.last())),
        ("split", json!(split)),
        ("enabled", json!(!function.disabled)),
        ("description", json!(function.description)),
    ] {
        differ(member, &said[member], &wanted)?;
    }
    differ(
        "the tag",
        &json!(answer.header("etag")),
        &json!(function.tag()),
    )
}

/// Holds everything that can be looked at against the model.
async fn hold_all(serving: &Serving, model: &Model) -> Result<(), String> {
    let get = |path: String| Answer::of(serving.request(Method::GET, &path));
    let listed = get("/api/v1/tenants/default/functions".to_owned())
        .await
        .json();
    let names = listed["functions"].as_array().unwrap().iter();
    let names: Vec<&str> = names.map(|one| one["name"].as_str().unwrap()).collect();
    let expected: Vec<&str> = model.functions.keys().copied().collect();
    differ("the list", &json!(names), &json!(expected))?;
    for (name, function) in &model.functions {
        let of = |error: String| format!("of {name}: {error}");
        hold_function(function, &get(path(name, "")).await).map_err(of)?;
        let listed = get(path(name, "/versions")).await.json();
        let listed = listed["versions"].as_array().unwrap().iter();
        let numbers: Vec<u64> = listed.map(|one| one["version"].as_u64().unwrap()).collect();
        let expected: Vec<u64> = function.versions.keys().rev().copied().collect();
        differ("the versions", &json!(numbers), &json!(expected)).map_err(of)?;
        let listed = get(path(name, "/schedules")).await.json();
        let listed = listed["schedules"].as_array().unwrap().iter();
        let names: Vec<&str> = listed.map(|one| one["name"].as_str().unwrap()).collect();
        differ("the schedules", &json!(names), &json!(function.schedules)).map_err(of)?;
    }
    model.policies.hold_all(serving).await
}

/// What happened, told when the test fails.
struct Trace {
    seed: u64,
    steps: Vec<String>,
}

impl Trace {
    fn add(&mut self, step: impl std::fmt::Debug) {
        self.steps.push(format!("{step:?}"));
    }
}

impl Drop for Trace {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            return;
        }
        let (seed, count) = (self.seed, self.steps.len());
        let mut text = format!("\nSEED={seed} STEPS={count} repeats it. The last steps:\n");
        let shown = self.steps.iter().enumerate();
        for (number, step) in shown.skip(count.saturating_sub(SHOWN)) {
            let _ = writeln!(text, "  {number}: {step}");
        }
        eprintln!("{text}");
    }
}

fn number_of(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("{variable} is a number, not {text}")),
    )
}

/// Ends the server as it comes, and starts it again on the same data; `model` goes along with
/// what a write that was cut off has come to.
async fn end_and_start(
    serving: Serving,
    data: &Path,
    model: &mut Model,
    chance: &mut Chance,
    trace: &mut Trace,
) -> Serving {
    if chance.one_in(2) {
        trace.add("stop and start");
        serving.stop().await.expect(0);
        return Serving::start(data).await;
    }
    let mut step = model.random(chance);
    while step.operation.only_looks() {
        step = model.random(chance);
    }
    trace.add(("kill -9 during", &step));
    let mut after = model.clone();
    let expected = after.apply(&step);
    let sent = tokio::spawn(request(&serving, model, &step).send());
    for _ in 0..chance.below(200) {
        tokio::task::yield_now().await;
    }
    serving.running.signal(Signal::KILL);
    serving.running.ended().await;
    let is_acknowledged = sent.await.unwrap().is_ok();
    let serving = Serving::start(data).await;
    match hold_all(&serving, &after).await {
        Ok(()) => *model = after,
        Err(error) if is_acknowledged => panic!("{expected:?} was acknowledged, but: {error}"),
        Err(error) => {
            let before = hold_all(&serving, model).await;
            before.unwrap_or_else(|other| panic!("neither done ({error}) nor not ({other})"));
        }
    }
    serving
}

#[tokio::test(flavor = "multi_thread")]
async fn random_operations_do_what_a_simple_model_does() {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let seed = number_of("SEED").unwrap_or(u64::from(now.subsec_nanos()));
    let steps = number_of("STEPS").unwrap_or(STEPS);
    let mut trace = Trace {
        seed,
        steps: Vec::new(),
    };
    let folder = tempfile::tempdir().unwrap();
    let mut serving = Serving::start(folder.path()).await;
    let (mut model, mut chance) = (Model::default(), Chance(seed));
    for number in 1..=steps {
        if number % STEPS_PER_END == 0 {
            let data = folder.path();
            serving = end_and_start(serving, data, &mut model, &mut chance, &mut trace).await;
            continue;
        }
        let step = model.random(&mut chance);
        trace.add(&step);
        let request = request(&serving, &model, &step);
        let expected = model.apply(&step);
        let answer = Answer::of(request).await;
        if let Err(error) = hold(&model, step.name, &answer, &expected) {
            panic!("{step:?}: {error}");
        }
        if number % 20 == 0 {
            hold_all(&serving, &model)
                .await
                .unwrap_or_else(|error| panic!("{error}"));
        }
    }
}
