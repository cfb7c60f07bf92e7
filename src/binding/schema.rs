//! What the arguments of a binding have to look like, in JSON Schema.
//!
//! Both sides are hostile: a tenant writes the schema, and its functions the arguments. So a
//! schema has no references, with which it could grow without end, and its patterns are matched
//! in time that is linear in the text. What is left costs at most its size times that of the
//! arguments.

use jsonschema::{PatternOptions, Validator};
use serde_json::Value;

use crate::limits::{BINDING_PARAMETERS_MAX, BINDING_SCHEMA_BYTES_MAX};

/// Most patterns in a schema; each takes memory once it is compiled.
const PATTERNS_MAX: usize = 16;
/// Most memory of one compiled pattern, in bytes.
const PATTERN_BYTES_MAX: usize = 256 << 10;
/// Keywords that lead out of where they stand.
const REFERENCES: [&str; 3] = ["$ref", "$dynamicRef", "$recursiveRef"];
/// Longest reason for which arguments are refused, in bytes.
const REASON_BYTES_MAX: usize = 500;

/// The parameters of a binding, in order.
pub(super) struct Parameters {
    each: Vec<Parameter>,
}

struct Parameter {
    validator: Validator,
    /// What is used when the argument is not given; without one it has to be.
    default: Option<Value>,
}

impl Parameters {
    /// `schema`: a list with a schema for each parameter, or the schema of the only one.
    ///
    /// # Errors
    /// Why it cannot be used.
    pub(super) fn new(schema: &Value) -> Result<Self, String> {
        if schema.to_string().len() > BINDING_SCHEMA_BYTES_MAX {
            return Err(format!(
                "more than {BINDING_SCHEMA_BYTES_MAX} bytes of schema"
            ));
        }
        let mut patterns = 0;
        walk(schema, &mut patterns)?;
        let schemas = match schema {
            Value::Array(schemas) => schemas.as_slice(),
            Value::Object(_) => std::slice::from_ref(schema),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
                return Err("parameters must be a list of schemas, or one schema".to_owned());
            }
        };
        if schemas.len() > BINDING_PARAMETERS_MAX {
            return Err(format!("more than {BINDING_PARAMETERS_MAX} parameters"));
        }
        let each = schemas.iter().map(Parameter::new);
        Ok(Self {
            each: each.collect::<Result<_, _>>()?,
        })
    }

    /// The arguments, with the defaults of those that are missing.
    ///
    /// # Errors
    /// Why they do not fit.
    pub(super) fn check(&self, mut arguments: Vec<Value>) -> Result<Vec<Value>, String> {
        let (most, given) = (self.each.len(), arguments.len());
        if given > most {
            return Err(format!("at most {most} arguments, not {given}"));
        }
        for (parameter, number) in self.each.iter().zip(1..) {
            let Some(argument) = arguments.get(number - 1) else {
                match &parameter.default {
                    Some(default) => arguments.push(default.clone()),
                    None => return Err(format!("argument {number} is missing")),
                }
                continue;
            };
            if let Err(error) = parameter.validator.validate(argument) {
                let place = error.instance_path().to_string();
                let mut reason = format!("argument {number}{place}: {error}");
                reason.truncate(reason.floor_char_boundary(REASON_BYTES_MAX));
                return Err(reason);
            }
        }
        Ok(arguments)
    }
}

impl Parameter {
    fn new(schema: &Value) -> Result<Self, String> {
        let patterns = PatternOptions::regex()
            .size_limit(PATTERN_BYTES_MAX)
            .dfa_size_limit(PATTERN_BYTES_MAX);
        let validator = jsonschema::options()
            .with_pattern_options(patterns)
            .build(schema)
            .map_err(|error| error.to_string())?;
        Ok(Self {
            validator,
            default: schema.get("default").cloned(),
        })
    }
}

/// Looks for what would make a schema cost more than its size. It does not know which objects are
/// schemas, and so refuses some that are harmless.
fn walk(value: &Value, patterns: &mut usize) -> Result<(), String> {
    match value {
        Value::Array(items) => items.iter().try_for_each(|item| walk(item, patterns)),
        Value::Object(entries) => entries.iter().try_for_each(|(name, value)| {
            if REFERENCES.contains(&name.as_str()) {
                return Err(format!("{name} cannot be used: write the schema out"));
            }
            *patterns += match (name.as_str(), value) {
                ("pattern", Value::String(_)) => 1,
                ("patternProperties", Value::Object(entries)) => entries.len(),
                _ => 0,
            };
            if *patterns > PATTERNS_MAX {
                return Err(format!("more than {PATTERNS_MAX} patterns"));
            }
            walk(value, patterns)
        }),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(schema: Value, arguments: Value) -> Result<Value, String> {
        let Value::Array(arguments) = arguments else {
            panic!("arguments are a list");
        };
        Parameters::new(&schema)?.check(arguments).map(Value::Array)
    }

    #[test]
    fn each_argument_has_its_schema_and_may_have_a_default() {
        let schema =
            json!([{ "type": "string", "minLength": 1 }, { "type": "integer", "default": 5 }]);
        assert_eq!(
            check(schema.clone(), json!(["a"])).unwrap(),
            json!(["a", 5])
        );
        assert_eq!(
            check(schema.clone(), json!(["a", 1])).unwrap(),
            json!(["a", 1])
        );
        for (arguments, why) in [
            (json!([]), "argument 1 is missing"),
            (json!([""]), "argument 1: "),
            (json!(["a", 1.5]), "argument 2: "),
            (json!(["a", 1, 2]), "at most 2 arguments, not 3"),
        ] {
            let reason = check(schema.clone(), arguments).unwrap_err();
            assert!(reason.starts_with(why), "{reason}");
        }
        let object = json!({ "type": "object", "required": ["sql"], "additionalProperties": false,
            "properties": { "sql": { "type": "string" } } });
        assert!(check(object.clone(), json!([{ "sql": "x" }])).is_ok());
        let reason = check(object, json!([{ "sql": 1 }])).unwrap_err();
        assert!(reason.starts_with("argument 1/sql: "), "{reason}");
        assert_eq!(check(json!([]), json!([])).unwrap(), json!([]));
    }

    #[test]
    fn what_would_cost_more_than_its_size_is_refused() {
        let patterns = |count: usize| {
            let each = json!({ "type": "string", "pattern": "^a$" });
            Value::Array(vec![each; count])
        };
        assert!(Parameters::new(&patterns(PATTERNS_MAX)).is_ok());
        assert!(Parameters::new(&patterns(PATTERNS_MAX + 1)).is_err());
        for schema in [
            json!({ "$ref": "#" }),
            json!([{ "properties": { "a": { "$ref": "#/x" } } }]),
            json!({ "$dynamicRef": "#a" }),
            json!({ "type": "no such type" }),
            json!({ "pattern": "(((a{1000}){1000}){1000})" }),
            json!({ "pattern": "(" }),
            json!("string"),
            json!({ "description": "x".repeat(BINDING_SCHEMA_BYTES_MAX) }),
            Value::Array(vec![json!({}); BINDING_PARAMETERS_MAX + 1]),
        ] {
            assert!(Parameters::new(&schema).is_err(), "{schema}");
        }
    }

    #[test]
    fn patterns_take_time_that_is_linear_in_the_text() {
        let schema = json!([{ "type": "string", "pattern": "^(a+)+$" }]);
        let text = format!("{}!", "a".repeat(50_000));
        assert!(check(schema, json!([text])).is_err());
    }

    #[test]
    fn a_reason_is_short_whatever_the_arguments_are() {
        let reason = check(json!([{ "type": "number" }]), json!(["é".repeat(10_000)])).unwrap_err();
        assert!(reason.len() <= REASON_BYTES_MAX, "{}", reason.len());
    }
}
