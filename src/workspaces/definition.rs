//! What a workspace is: its definition as the caller writes it, checked, and merged with others.
//!
//! The definition is kept and answered as it came. Members that mean nothing here are kept with
//! the rest, because clients of this surface send some of their own.

use serde_json::{Map, Value};

use super::schema::Parameter;
use crate::error::{Code, Error};
use crate::limits::{WORKSPACE_FUNCTIONS_MAX, WORKSPACE_NAME_CHARS_MAX, WORKSPACE_PARAMETERS_MAX};

/// A definition that was checked.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Definition {
    /// As it was written.
    pub(super) written: Value,
    /// Its functions, in their order.
    pub(super) functions: Vec<Function>,
}

/// One function of a workspace.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Function {
    /// By which it is run, and called by its siblings if a variable can have that name.
    pub(super) name: String,
    /// The body of an async function.
    pub(super) code: String,
    /// What the body finds as variables, in the order of positional arguments.
    pub(super) parameters: Vec<Parameter>,
}

fn invalid(detail: impl Into<String>) -> Error {
    Error::new(Code::WorkspaceInvalid, detail)
}

impl Definition {
    /// Checks a definition.
    ///
    /// # Errors
    /// `workspace_invalid`, naming the function; `language_unsupported`.
    pub(super) fn parse(written: Value) -> Result<Self, Error> {
        let Value::Object(members) = &written else {
            return Err(invalid("a workspace is an object with functions"));
        };
        let Some(Value::Object(functions)) = members.get("functions") else {
            return Err(invalid("functions must be an object of functions by name"));
        };
        if functions.len() > WORKSPACE_FUNCTIONS_MAX {
            let max = WORKSPACE_FUNCTIONS_MAX;
            return Err(invalid(format!("more than {max} functions")));
        }
        let functions = functions
            .iter()
            .map(|(name, written)| function(name, written))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Self { written, functions })
    }
}

fn function(name: &str, written: &Value) -> Result<Function, Error> {
    if !is_name(name) {
        let (shown, max) = (shown(name), WORKSPACE_NAME_CHARS_MAX);
        return Err(invalid(format!(
            "{shown} is not a name for a function: use 1 to {max} letters, digits, '-', '_', '.' \
             and '$', not starting with '.' or '-'"
        )));
    }
    let fault = |detail: &str| invalid(format!("function {name:?}: {detail}"));
    let Value::Object(members) = written else {
        return Err(fault("must be an object with code"));
    };
    match members.get("language").map(Value::as_str) {
        None | Some(Some("nodejs" | "javascript")) => {}
        Some(Some("python")) => {
            let detail = format!(
                "function {name:?} is written in Python, for which this server has no engine yet"
            );
            return Err(Error::new(Code::LanguageUnsupported, detail));
        }
        Some(_) => return Err(fault("language must be nodejs")),
    }
    let Some(Value::String(code)) = members.get("code") else {
        return Err(fault("code must be a string"));
    };
    let parameters = match members.get("parameters") {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::Object(parameters)) => {
            if parameters.len() > WORKSPACE_PARAMETERS_MAX {
                let max = WORKSPACE_PARAMETERS_MAX;
                return Err(fault(&format!("more than {max} parameters")));
            }
            let parsed = parameters
                .iter()
                .map(|(name, schema)| Parameter::parse(name, schema));
            parsed
                .collect::<Result<_, String>>()
                .map_err(|detail| fault(&detail))?
        }
        Some(_) => return Err(fault("parameters must be an object of schemas by name")),
    };
    Ok(Function {
        name: name.to_owned(),
        code: code.clone(),
        parameters,
    })
}

/// Whether a function may have this name. It stands in places of stack traces and at the end of a
/// path, so nothing that means something there is allowed.
fn is_name(name: &str) -> bool {
    let is_fine = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | '$');
    let count = name.chars().count();
    (1..=WORKSPACE_NAME_CHARS_MAX).contains(&count)
        && name.chars().all(is_fine)
        && !name.starts_with(['.', '-'])
}

/// A name that need not be one, fit to show.
pub(super) fn shown(name: &str) -> String {
    const CHARS_MAX: usize = 80;
    let mut cut: String = name.chars().take(CHARS_MAX).collect();
    if cut.len() < name.len() {
        cut.push('…');
    }
    format!("{cut:?}")
}

/// Puts a merge patch (RFC 7396) onto a definition: `null` takes away, objects are merged.
pub(super) fn merge(target: &mut Value, patch: Value) {
    let Value::Object(patch) = patch else {
        *target = patch;
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Value::Object(target) = target else {
        return;
    };
    for (name, value) in patch {
        if value.is_null() {
            target.shift_remove(&name);
        } else {
            merge(target.entry(name).or_insert(Value::Null), value);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn refused(written: Value) -> Error {
        Definition::parse(written).expect_err("it is refused")
    }

    #[test]
    fn a_definition_is_kept_as_it_is_written() {
        let written = json!({
            "name": "mine",
            "functions": {
                "z": { "code": "return 1", "description": "one" },
                "a": { "code": "", "parameters": { "y": { "type": "string" }, "x": {} } },
            },
        });
        let definition = Definition::parse(written.clone()).unwrap();
        assert_eq!(definition.written.to_string(), written.to_string());
        let names = definition.functions.iter().map(|one| one.name.as_str());
        assert_eq!(names.collect::<Vec<_>>(), ["z", "a"]);
        assert_eq!(definition.functions[1].parameters[0].name, "y");
        assert!(
            Definition::parse(json!({ "functions": {} }))
                .unwrap()
                .functions
                .is_empty()
        );
    }

    #[test]
    fn what_is_no_definition_is_named() {
        for (written, says) in [
            (json!([]), "an object"),
            (json!({}), "functions must be"),
            (json!({ "functions": [] }), "functions must be"),
            (json!({ "functions": { "f": "return 1" } }), "\"f\""),
            (json!({ "functions": { "f": {} } }), "\"f\": code"),
            (json!({ "functions": { "f": { "code": 1 } } }), "code"),
            (
                json!({ "functions": { "f": { "code": "", "parameters": [] } } }),
                "parameters",
            ),
            (
                json!({ "functions": { "f": { "code": "", "language": "ruby" } } }),
                "language",
            ),
            (
                json!({ "functions": { "f": { "code": "", "parameters": { "p": { "type": "date" } } } } }),
                "\"p\"",
            ),
        ] {
            let error = refused(written.clone());
            assert_eq!(error.code, Code::WorkspaceInvalid, "{written}");
            assert!(error.detail.contains(says), "{written}: {}", error.detail);
        }
        let python = json!({ "functions": { "f": { "code": "", "language": "python" } } });
        assert_eq!(refused(python).code, Code::LanguageUnsupported);
    }

    #[test]
    fn names_are_of_letters_and_a_few_marks() {
        for name in [
            "hello",
            "my-func",
            "a.b",
            "__proto__",
            "constructor",
            "cache",
            "class",
            "é1",
            "$",
        ] {
            assert!(is_name(name), "{name}");
        }
        let long = "a".repeat(WORKSPACE_NAME_CHARS_MAX + 1);
        for name in [
            "", ".", "..", "-a", "a/b", "a b", "a:b", "a\n", "a'", "a\"", "`", &long,
        ] {
            assert!(!is_name(name), "{name:?}");
        }
        assert!(is_name(&long[1..]));
    }

    #[test]
    fn too_many_functions_or_parameters_are_refused() {
        let functions = |count: usize| -> Value {
            let one = |i| (format!("f{i}"), json!({ "code": "" }));
            json!({ "functions": (0..count).map(one).collect::<Map<_, _>>() })
        };
        Definition::parse(functions(WORKSPACE_FUNCTIONS_MAX)).unwrap();
        refused(functions(WORKSPACE_FUNCTIONS_MAX + 1));
        let parameters = |count: usize| -> Value {
            let parameters: Map<_, _> = (0..count).map(|i| (format!("p{i}"), json!({}))).collect();
            json!({ "functions": { "f": { "code": "", "parameters": parameters } } })
        };
        Definition::parse(parameters(WORKSPACE_PARAMETERS_MAX)).unwrap();
        refused(parameters(WORKSPACE_PARAMETERS_MAX + 1));
    }

    #[test]
    fn a_merge_is_that_of_rfc_7396() {
        for (target, patch, merged) in [
            (json!({"a":"b"}), json!({"a":"c"}), json!({"a":"c"})),
            (json!({"a":"b"}), json!({"b":"c"}), json!({"a":"b","b":"c"})),
            (
                json!({"a":"b","b":"c"}),
                json!({"a":null}),
                json!({"b":"c"}),
            ),
            (json!({"a":["b"]}), json!({"a":"c"}), json!({"a":"c"})),
            (
                json!({"a":{"b":"c"}}),
                json!({"a":{"b":"d","c":null}}),
                json!({"a":{"b":"d"}}),
            ),
            (
                json!({}),
                json!({"a":{"bb":{"ccc":null}}}),
                json!({"a":{"bb":{}}}),
            ),
            (json!({"e":null}), json!({"a":1}), json!({"e":null,"a":1})),
            (json!([1, 2]), json!({"a":"b","c":null}), json!({"a":"b"})),
        ] {
            let mut whole = target.clone();
            merge(&mut whole, patch.clone());
            assert_eq!(
                whole.to_string(),
                merged.to_string(),
                "{target} and {patch}"
            );
        }
    }
}
