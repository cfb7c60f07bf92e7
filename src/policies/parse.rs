//! Reads a policy strictly: whatever is not understood is refused, and said where it is.

use serde_json::{Map, Value};

use super::target::Target;
use super::{Action, Compiled, Document, Policy, Ports, Protocol, Rule};
use crate::limits::{POLICY_BYTES_MAX, POLICY_DESCRIPTION_BYTES_MAX, POLICY_PRIORITY_MAX};
use crate::limits::{POLICY_PORTS_MAX, POLICY_RULES_MAX};

/// Why a policy was refused: where in the document, and what is allowed there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Invalid(String);

type Checked<T> = Result<T, Invalid>;

fn invalid<T>(text: impl Into<String>) -> Checked<T> {
    Err(Invalid(text.into()))
}

impl Policy {
    /// Reads the JSON of a policy, of at most [`POLICY_BYTES_MAX`].
    ///
    /// # Errors
    /// [`Invalid`], which names the rule by its place, as in `rules[2].target`.
    pub fn parse(json: &[u8]) -> Result<Self, Invalid> {
        if json.len() > POLICY_BYTES_MAX {
            return invalid(format!("a policy has at most {POLICY_BYTES_MAX} bytes"));
        }
        let value: Value = serde_json::from_slice(json)
            .map_err(|error| Invalid(format!("the policy is not JSON: {error}")))?;
        let Value::Object(mut members) = value else {
            return invalid("a policy is an object with `rules` and `default`");
        };
        let Some(Value::Array(rules)) = members.remove("rules") else {
            return invalid("`rules` is missing, or is not a list");
        };
        let Some(default) = members.remove("default") else {
            return invalid("`default` is missing: say \"allow\" or \"deny\"");
        };
        let default = action("default", &default)?;
        none_left("the policy", "rules, default", &members)?;
        if rules.len() > POLICY_RULES_MAX {
            let found = rules.len();
            return invalid(format!(
                "a policy has at most {POLICY_RULES_MAX} rules, not {found}"
            ));
        }
        let mut written = Vec::with_capacity(rules.len());
        let mut compiled = Vec::with_capacity(rules.len());
        for (index, value) in rules.into_iter().enumerate() {
            let (rule, ready) = rule(index, value)?;
            written.push(rule);
            compiled.push(ready);
        }
        let document = Document {
            rules: written,
            default,
        };
        Ok(Self::new(document, compiled))
    }
}

fn rule(index: usize, value: Value) -> Checked<(Rule, Compiled)> {
    let place = format!("rules[{index}]");
    let Value::Object(mut members) = value else {
        return invalid(format!("{place} is not an object"));
    };
    let mut take = |name: &str| members.remove(name).filter(|value| !value.is_null());
    let Some(action_value) = take("action") else {
        return invalid(format!(
            "{place}.action is missing: say \"allow\" or \"deny\""
        ));
    };
    let action = action(&format!("{place}.action"), &action_value)?;
    let Some(Value::String(target)) = take("target") else {
        return invalid(format!("{place}.target is missing, or is not a string"));
    };
    let ready = Target::parse(&target)
        .map_err(|why| Invalid(format!("{place}.target: {target:?} {why}")))?;
    let (ports, port_ranges) = ports(&format!("{place}.ports"), take("ports"))?;
    let protocols = protocols(&format!("{place}.protocols"), take("protocols"))?;
    let priority = priority(&format!("{place}.priority"), take("priority"))?;
    let description = description(&format!("{place}.description"), take("description"))?;
    const KNOWN: &str = "action, target, ports, protocols, priority, description";
    none_left(&place, KNOWN, &members)?;
    let compiled = Compiled {
        index,
        action,
        target: ready,
        ports: port_ranges,
        protocols: protocols.clone().unwrap_or_default(),
    };
    let rule = Rule {
        action,
        target,
        ports,
        protocols,
        priority,
        description,
    };
    Ok((rule, compiled))
}

fn none_left(place: &str, known: &str, members: &Map<String, Value>) -> Checked<()> {
    match members.keys().next() {
        Some(name) => invalid(format!(
            "{place} has the unknown member {name:?}; known: {known}"
        )),
        None => Ok(()),
    }
}

fn action(place: &str, value: &Value) -> Checked<Action> {
    match value.as_str() {
        Some("allow") => Ok(Action::Allow),
        Some("deny") => Ok(Action::Deny),
        _ => invalid(format!(
            "{place} must be \"allow\" or \"deny\", not {value}"
        )),
    }
}

/// The items of a list that may be absent, but not empty.
fn list(place: &str, value: Option<Value>, max: usize) -> Checked<Option<Vec<Value>>> {
    match value {
        None => Ok(None),
        Some(Value::Array(items)) if items.is_empty() => invalid(format!(
            "{place} is empty: leave it out to mean all of them"
        )),
        Some(Value::Array(items)) if items.len() > max => invalid(format!(
            "{place} has at most {max} items, not {}",
            items.len()
        )),
        Some(Value::Array(items)) => Ok(Some(items)),
        Some(_) => invalid(format!("{place} is not a list")),
    }
}

type PortRanges = Vec<(u16, u16)>;

fn ports(place: &str, value: Option<Value>) -> Checked<(Option<Vec<Ports>>, PortRanges)> {
    let Some(items) = list(place, value, POLICY_PORTS_MAX)? else {
        return Ok((None, Vec::new()));
    };
    let (mut written, mut ranges) = (Vec::new(), Vec::new());
    for item in items {
        let refuse = || {
            let form = "a port is a number from 1 to 65535, a range a string like \"8000-8100\"";
            Invalid(format!("{place}: {item} is no port: {form}"))
        };
        let port = |number: u64| u16::try_from(number).ok().filter(|port| *port > 0);
        if let Some(number) = item.as_u64() {
            let port = port(number).ok_or_else(refuse)?;
            written.push(Ports::One(port));
            ranges.push((port, port));
            continue;
        }
        let text = item.as_str().ok_or_else(refuse)?;
        let end = |text: &str| {
            let digits = text.bytes().all(|b| b.is_ascii_digit());
            digits.then(|| text.parse().ok().and_then(port)).flatten()
        };
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        let range = end(first)
            .zip(end(last))
            .filter(|(first, last)| first <= last);
        ranges.push(range.ok_or_else(refuse)?);
        written.push(Ports::Range(text.to_owned()));
    }
    Ok((Some(written), ranges))
}

fn protocols(place: &str, value: Option<Value>) -> Checked<Option<Vec<Protocol>>> {
    let Some(items) = list(place, value, Protocol::ALL.len())? else {
        return Ok(None);
    };
    let mut found = Vec::new();
    for item in items {
        match item.as_str().and_then(Protocol::of) {
            Some(protocol) if found.contains(&protocol) => {
                return invalid(format!("{place} has {item} twice"));
            }
            Some(protocol) => found.push(protocol),
            None => {
                let known = "http, https, ws, wss";
                return invalid(format!("{place}: {item} is no protocol; known: {known}"));
            }
        }
    }
    Ok(Some(found))
}

fn priority(place: &str, value: Option<Value>) -> Checked<u32> {
    let Some(value) = value else { return Ok(0) };
    let number = value.as_u64().and_then(|number| u32::try_from(number).ok());
    match number {
        Some(number) if number <= POLICY_PRIORITY_MAX => Ok(number),
        _ => invalid(format!(
            "{place} must be a whole number from 0 to {POLICY_PRIORITY_MAX}, not {value}"
        )),
    }
}

fn description(place: &str, value: Option<Value>) -> Checked<Option<String>> {
    match value {
        None => Ok(None),
        Some(Value::String(text)) if text.len() <= POLICY_DESCRIPTION_BYTES_MAX => Ok(Some(text)),
        Some(_) => invalid(format!(
            "{place} must be a string of at most {POLICY_DESCRIPTION_BYTES_MAX} bytes"
        )),
    }
}
