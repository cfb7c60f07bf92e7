//! The model's part about network policies: what is stored for each scope, and what it decides.

use std::collections::BTreeMap;

use ampoule::policies::Policy as Stored;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use super::{Chance, Expected, differ};
use crate::process::Serving;
use crate::server::Answer;
use crate::versions::with_json;

/// `None` is the global policy.
pub(super) type Scope = Option<&'static str>;

pub(super) const SCOPES: [Scope; 3] = [None, Some("default"), Some("other")];
/// Few, so that rules meet the connections that are asked about, and each other.
const TARGETS: [&str; 8] = [
    "*",
    "*.example.com",
    "api.example.com",
    "example.com",
    "10.0.0.0/8",
    "10.1.2.3",
    "192.0.2.0/24",
    "2001:db8::/32",
];
const HOSTS: [&str; 4] = ["api.example.com", "example.com", "other.test", ""];
/// The last one is the second, as networks that translate addresses have it (RFC 6052).
const ADDRESSES: [&str; 6] = [
    "10.9.9.9",
    "10.1.2.3",
    "192.0.2.9",
    "203.0.113.5",
    "2001:db8::1",
    "64:ff9b::a01:203",
];
const PORTS: [u16; 3] = [80, 443, 8080];
const PROTOCOLS: [&str; 4] = ["http", "https", "ws", "wss"];

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Rule {
    allows: bool,
    target: &'static str,
    /// Both ends included.
    ports: Option<(u16, u16)>,
    protocol: Option<&'static str>,
    priority: u64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Policy {
    rules: Vec<Rule>,
    allows: bool,
}

/// What a change expects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Guard {
    Nothing,
    /// That something is stored: `*`.
    Something,
    /// That what is in force is what was seen a moment ago.
    AsItIs,
    /// That it is what nobody ever stored.
    AsItNeverWas,
}

/// A connection to ask about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Asked {
    /// Empty for the address itself.
    host: &'static str,
    address: &'static str,
    port: u16,
    protocol: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Operation {
    Put(Policy, Guard),
    /// A policy with a rule of no known form.
    PutWrong,
    Delete(Guard),
    Ask(Asked),
}

/// What is stored.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Policies(BTreeMap<Scope, Policy>);

fn one_of<T: Copy>(chance: &mut Chance, all: &[T]) -> T {
    all[usize::try_from(chance.below(all.len() as u64)).unwrap()]
}

fn action(allows: bool) -> &'static str {
    if allows { "allow" } else { "deny" }
}

impl Rule {
    fn random(chance: &mut Chance) -> Self {
        let (first, last) = (one_of(chance, &PORTS), one_of(chance, &PORTS));
        let ports = Some((first.min(last), first.max(last)));
        let protocol = Some(one_of(chance, &PROTOCOLS));
        Self {
            allows: chance.one_in(2),
            target: one_of(chance, &TARGETS),
            ports: ports.filter(|_| chance.one_in(3)),
            protocol: protocol.filter(|_| chance.one_in(3)),
            priority: chance.below(3),
        }
    }

    fn json(&self) -> Value {
        let mut rule = json!({ "action": action(self.allows), "target": self.target });
        match self.ports {
            Some((first, last)) if first == last => rule["ports"] = json!([first]),
            Some((first, last)) => rule["ports"] = json!([format!("{first}-{last}")]),
            None => {}
        }
        if let Some(protocol) = self.protocol {
            rule["protocols"] = json!([protocol]);
        }
        rule["priority"] = json!(self.priority);
        rule
    }

    fn matches(&self, asked: &Asked) -> bool {
        let (host, address) = (asked.host, asked.address);
        // What is denied is denied in disguise as well.
        let address = match address {
            "64:ff9b::a01:203" if !self.allows => "10.1.2.3",
            address => address,
        };
        let is_target = match self.target {
            "*" => true,
            "*.example.com" => host.ends_with(".example.com"),
            "10.0.0.0/8" => address.starts_with("10."),
            "192.0.2.0/24" => address.starts_with("192.0.2."),
            "2001:db8::/32" => address.starts_with("2001:db8:"),
            one => one == host || one == address,
        };
        let is_port = self
            .ports
            .is_none_or(|(first, last)| (first..=last).contains(&asked.port));
        is_target && is_port && self.protocol.is_none_or(|one| one == asked.protocol)
    }
}

impl Policy {
    /// What is in force where none is stored.
    fn preset() -> Self {
        Self {
            rules: Vec::new(),
            allows: true,
        }
    }

    fn random(chance: &mut Chance) -> Self {
        let rules = 0..chance.below(6);
        Self {
            rules: rules.map(|_| Rule::random(chance)).collect(),
            allows: chance.one_in(2),
        }
    }

    fn json(&self) -> Value {
        let rules: Vec<Value> = self.rules.iter().map(Rule::json).collect();
        json!({ "rules": rules, "default": action(self.allows) })
    }

    fn tag(&self) -> String {
        let stored = Stored::parse(self.json().to_string().as_bytes()).unwrap();
        format!("\"{}\"", stored.tag())
    }

    fn first_match(&self, asked: &Asked) -> Option<(usize, &Rule)> {
        let rules = self.rules.iter().enumerate();
        let matching = rules.filter(|(_, rule)| rule.matches(asked));
        matching.min_by_key(|(index, rule)| (rule.priority, *index))
    }
}

impl Asked {
    fn random(chance: &mut Chance) -> Self {
        Self {
            host: one_of(chance, &HOSTS),
            address: one_of(chance, &ADDRESSES),
            port: one_of(chance, &PORTS),
            protocol: one_of(chance, &PROTOCOLS),
        }
    }

    fn json(&self) -> Value {
        let (port, protocol) = (self.port, self.protocol);
        let mut question = json!({ "host": self.host, "port": port, "protocol": protocol });
        match self.host {
            "" => question["host"] = json!(self.address),
            _ => question["address"] = json!(self.address),
        }
        question
    }
}

impl Operation {
    pub(super) fn random(chance: &mut Chance) -> Self {
        let guard = |chance: &mut Chance| match chance.below(8) {
            0 => Guard::Something,
            1 | 2 => Guard::AsItIs,
            3 => Guard::AsItNeverWas,
            _ => Guard::Nothing,
        };
        match chance.below(10) {
            0..3 => Self::Put(Policy::random(chance), guard(chance)),
            3 => Self::Delete(guard(chance)),
            4 if chance.one_in(3) => Self::PutWrong,
            _ => Self::Ask(Asked::random(chance)),
        }
    }
}

impl Policies {
    fn in_force(&self, scope: Scope) -> Policy {
        let stored = self.0.get(&scope).cloned();
        stored.unwrap_or_else(Policy::preset)
    }

    fn allows(&self, scope: Scope, guard: Guard) -> bool {
        match guard {
            Guard::Nothing | Guard::AsItIs => true,
            Guard::Something => self.0.contains_key(&scope),
            Guard::AsItNeverWas => false,
        }
    }

    pub(super) fn apply(&mut self, scope: Scope, operation: &Operation) -> Expected {
        const CHANGED: Expected = Expected::Refused(412, "precondition_failed");
        match operation {
            Operation::Put(_, guard) | Operation::Delete(guard) if !self.allows(scope, *guard) => {
                CHANGED
            }
            Operation::Put(policy, _) => {
                self.0.insert(scope, policy.clone());
                Expected::Policy(scope)
            }
            Operation::PutWrong => Expected::Refused(400, "policy_invalid"),
            Operation::Delete(_) => {
                self.0.remove(&scope);
                Expected::Empty
            }
            Operation::Ask(asked) => Expected::Decided(self.decide(scope, asked)),
        }
    }

    /// What decides, and how: the first rule of the global policy that matches, or that of the
    /// tenant's, or the stricter one of their defaults.
    fn decide(&self, scope: Scope, asked: &Asked) -> Value {
        let global = self.in_force(None);
        let own = self.in_force(scope);
        let by_global = global.first_match(asked).map(|found| ("global", found));
        let by_tenant = || own.first_match(asked).map(|found| ("tenant", found));
        match by_global.or_else(|| scope.and_then(|_| by_tenant())) {
            Some((policy, (index, rule))) => json!({
                "allowed": rule.allows, "policy": policy, "rule_index": index,
                "rule": rule.json(),
            }),
            None => json!({
                "allowed": global.allows && own.allows, "policy": "default",
                "rule_index": null, "rule": null,
            }),
        }
    }

    /// The request of an operation.
    pub(super) fn request(
        &self,
        serving: &Serving,
        scope: Scope,
        operation: &Operation,
    ) -> RequestBuilder {
        let to = |method, rest: &str| serving.request(method, &(path(scope) + rest));
        let guarded = |request: RequestBuilder, guard: Guard| match guard {
            Guard::Nothing => request,
            Guard::Something => request.header("if-match", "*"),
            Guard::AsItIs => request.header("if-match", self.in_force(scope).tag()),
            Guard::AsItNeverWas => request.header("if-match", "\"0123\""),
        };
        match operation {
            Operation::Put(policy, guard) => {
                guarded(with_json(to(Method::PUT, ""), &policy.json()), *guard)
            }
            Operation::PutWrong => {
                let rule = json!({ "action": "allow", "target": "10.0.0.1/8" });
                let policy = json!({ "rules": [rule], "default": "allow" });
                with_json(to(Method::PUT, ""), &policy)
            }
            Operation::Delete(guard) => guarded(to(Method::DELETE, ""), *guard),
            Operation::Ask(asked) => with_json(to(Method::POST, "/test"), &asked.json()),
        }
    }

    /// Holds an answer with a policy against what is in force.
    pub(super) fn hold(&self, scope: Scope, answer: &Answer) -> Result<(), String> {
        let policy = self.in_force(scope);
        differ("the policy", &answer.json(), &policy.json())?;
        let tag = json!(answer.header("etag"));
        differ("the policy's tag", &tag, &json!(policy.tag()))
    }

    /// Holds everything that can be looked at against the model.
    pub(super) async fn hold_all(&self, serving: &Serving) -> Result<(), String> {
        for scope in SCOPES {
            let answer = Answer::of(serving.request(Method::GET, &path(scope))).await;
            self.hold(scope, &answer)
                .map_err(|error| format!("of {scope:?}: {error}"))?;
        }
        Ok(())
    }
}

fn path(scope: Scope) -> String {
    match scope {
        None => "/api/v1/network-policy".to_owned(),
        Some(tenant) => format!("/api/v1/tenants/{tenant}/network-policy"),
    }
}

/// Holds what is said about a connection, as a whole and for its only address, against what the
/// model decides.
pub(super) fn hold_decision(said: &Value, decided: &Value) -> Result<(), String> {
    let addresses = said["addresses"].as_array().map_or(0, Vec::len);
    differ("addresses", &json!(addresses), &json!(1))?;
    for (member, wanted) in decided.as_object().unwrap() {
        differ(member, &said[member], wanted)?;
        differ(member, &said["addresses"][0][member], wanted)?;
    }
    Ok(())
}
