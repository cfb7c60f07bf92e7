//! The parameters of a function: what they may be, and what they are when nobody says.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// One parameter, as it is checked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Parameter {
    /// The variable that the body finds.
    pub(super) name: String,
    /// What its value may be; empty for anything.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) types: Vec<Type>,
    /// JSON text of the value that it has when none is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) default: Option<String>,
}

/// The types of JSON Schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Type {
    /// Text.
    String,
    /// Any number.
    Number,
    /// A number without a fraction.
    Integer,
    /// True or false.
    Boolean,
    /// An object that is no array.
    Object,
    /// An array.
    Array,
    /// Null.
    Null,
}

impl Type {
    const ALL: [(&'static str, Self); 7] = [
        ("string", Self::String),
        ("number", Self::Number),
        ("integer", Self::Integer),
        ("boolean", Self::Boolean),
        ("object", Self::Object),
        ("array", Self::Array),
        ("null", Self::Null),
    ];

    fn named(name: &str) -> Option<Self> {
        let mut all = Self::ALL.iter();
        all.find(|(known, _)| *known == name).map(|(_, kind)| *kind)
    }

    fn as_str(self) -> &'static str {
        let mut all = Self::ALL.iter();
        all.find(|(_, kind)| *kind == self)
            .map_or("", |(name, _)| name)
    }

    fn fits(self, value: &Value) -> bool {
        match self {
            Self::String => value.is_string(),
            Self::Number => value.is_number(),
            Self::Integer => value
                .as_f64()
                .is_some_and(|number| number.fract() == 0.0 && number.is_finite()),
            Self::Boolean => value.is_boolean(),
            Self::Object => value.is_object(),
            Self::Array => value.is_array(),
            Self::Null => value.is_null(),
        }
    }
}

/// What a value is, in the words of JSON Schema.
fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

impl Parameter {
    /// Reads the schema of a parameter: `type`, one or several, and `default`. Whatever else is in
    /// it describes the parameter to people.
    ///
    /// # Errors
    /// With what is wrong.
    pub(super) fn parse(name: &str, schema: &Value) -> Result<Self, String> {
        let fault = |what: &str| format!("parameter {}: {what}", super::definition::shown(name));
        let members = match schema {
            Value::Null => &Map::new(),
            Value::Object(members) => members,
            _ => return Err(fault("its schema must be an object")),
        };
        let type_of = |value: &Value| value.as_str().and_then(Type::named);
        let types = match members.get("type") {
            None => Some(Vec::new()),
            Some(Value::Array(types)) => types.iter().map(type_of).collect(),
            Some(one) => type_of(one).map(|one| vec![one]),
        };
        let Some(types) = types else {
            let known = Type::ALL.map(|(name, _)| name).join(", ");
            return Err(fault(&format!("type must be one of {known}")));
        };
        let parameter = Self {
            name: name.to_owned(),
            types,
            default: members.get("default").map(Value::to_string),
        };
        match members.get("default") {
            Some(default) => parameter
                .check(default)
                .map(|()| parameter)
                .map_err(|detail| fault(&format!("its default {detail}"))),
            None => Ok(parameter),
        }
    }

    /// Whether a value may be given.
    ///
    /// # Errors
    /// With what it must be and is.
    fn check(&self, value: &Value) -> Result<(), String> {
        if self.types.is_empty() || self.types.iter().any(|one| one.fits(value)) {
            return Ok(());
        }
        let types: Vec<&str> = self.types.iter().map(|one| one.as_str()).collect();
        let types = types.join(" or ");
        Err(format!("must be {types}, not {}", kind_of(value)))
    }
}

/// Checks what a function is run with. What is not declared plays no part.
///
/// # Errors
/// Names the first parameter that is something else than its type.
pub(super) fn check(parameters: &[Parameter], given: &Map<String, Value>) -> Result<(), String> {
    for parameter in parameters {
        if let Some(value) = given.get(&parameter.name) {
            let checked = parameter.check(value);
            checked.map_err(|detail| format!("parameter {:?} {detail}", parameter.name))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn parse(schema: &Value) -> Result<Parameter, String> {
        Parameter::parse("p", schema)
    }

    #[test]
    fn each_type_takes_its_own_values() {
        let values = [
            json!("a"),
            json!(1.5),
            json!(2),
            json!(true),
            json!({}),
            json!([]),
            json!(null),
        ];
        for (kind, fitting) in [
            ("string", vec![0]),
            ("number", vec![1, 2]),
            ("integer", vec![2]),
            ("boolean", vec![3]),
            ("object", vec![4]),
            ("array", vec![5]),
            ("null", vec![6]),
        ] {
            let parameter = parse(&json!({ "type": kind })).unwrap();
            for (at, value) in values.iter().enumerate() {
                let fits = parameter.check(value).is_ok();
                assert_eq!(fits, fitting.contains(&at), "{kind} and {value}");
            }
        }
        let whole = parse(&json!({ "type": "integer" })).unwrap();
        assert!(whole.check(&json!(2.0)).is_ok() && whole.check(&json!(1e300)).is_ok());
    }

    #[test]
    fn a_parameter_may_have_several_types_or_none() {
        let several = parse(&json!({ "type": ["string", "null"] })).unwrap();
        assert!(several.check(&json!(null)).is_ok());
        let told = several.check(&json!(1)).unwrap_err();
        assert_eq!(told, "must be string or null, not a number");
        let any = parse(&json!({ "description": "anything" })).unwrap();
        assert!(any.check(&json!([1])).is_ok());
        assert!(parse(&json!(null)).unwrap().types.is_empty());
    }

    #[test]
    fn schemas_that_mean_nothing_are_refused() {
        for schema in [
            json!("string"),
            json!({ "type": "date" }),
            json!({ "type": 1 }),
            json!({ "type": ["string", "date"] }),
            json!({ "type": "string", "default": 1 }),
        ] {
            assert!(parse(&schema).is_err(), "{schema}");
        }
        let number = parse(&json!({ "type": "number", "default": 1.50 })).unwrap();
        assert_eq!(number.default.as_deref(), Some("1.5"));
    }

    #[test]
    fn only_declared_parameters_are_looked_at() {
        let declared = [parse(&json!({ "type": "string" })).unwrap()];
        let given = |value: Value| value.as_object().unwrap().clone();
        assert!(check(&declared, &given(json!({ "p": "a", "other": 1 }))).is_ok());
        assert!(check(&declared, &given(json!({}))).is_ok());
        let told = check(&declared, &given(json!({ "p": 1 }))).unwrap_err();
        assert_eq!(told, "parameter \"p\" must be string, not a number");
    }
}
