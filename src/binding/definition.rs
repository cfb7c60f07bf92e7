//! What a binding may be: every bound is checked before it is stored.

use std::collections::BTreeMap;

use url::Url;

use super::schema::Parameters;
use crate::error::{Code, Error};
use crate::limits::{
    BINDING_DESCRIPTION_BYTES_MAX, BINDING_FUNCTIONS_MAX, BINDING_HEADERS_BYTES_MAX,
    BINDING_HEADERS_MAX, BINDING_TIMEOUT_MS_MAX, BINDING_URL_BYTES_MAX, NAME_BYTES_MAX,
};
use crate::secret::Plain;
use crate::store::Binding;

/// What a call may be sent with: a method whose requests have a body.
const METHODS: [&str; 3] = ["POST", "PUT", "PATCH"];
/// Header fields that are ours, or that only the client sets.
const FIXED_FIELDS: [&str; 11] = [
    "accept-encoding",
    "connection",
    "content-length",
    "content-type",
    "expect",
    "host",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];
/// Words that JavaScript keeps for itself, and globals that cannot be put aside.
const RESERVED: [&str; 50] = [
    "arguments",
    "await",
    "break",
    "case",
    "catch",
    "class",
    "const",
    "continue",
    "debugger",
    "default",
    "delete",
    "do",
    "else",
    "enum",
    "eval",
    "export",
    "extends",
    "false",
    "finally",
    "for",
    "function",
    "globalThis",
    "if",
    "implements",
    "import",
    "in",
    "Infinity",
    "instanceof",
    "interface",
    "let",
    "NaN",
    "new",
    "null",
    "package",
    "private",
    "protected",
    "public",
    "return",
    "static",
    "super",
    "switch",
    "this",
    "throw",
    "true",
    "try",
    "typeof",
    "undefined",
    "var",
    "void",
    "while",
];

/// Whether a function can call a binding of this name: an identifier of ASCII.
pub fn is_binding_name(name: &str) -> bool {
    let is_first = |b: u8| b.is_ascii_alphabetic() || matches!(b, b'_' | b'$');
    let mut bytes = name.bytes();
    let is_identifier = bytes.next().is_some_and(is_first)
        && bytes.all(|b| is_first(b) || b.is_ascii_digit())
        && name.len() <= NAME_BYTES_MAX;
    is_identifier && !RESERVED.contains(&name) && !["with", "yield"].contains(&name)
}

fn invalid(detail: impl Into<String>) -> Error {
    Error::new(Code::BindingInvalid, detail)
}

/// Checks every bound of a binding with these headers, of which it has the sealed values only.
///
/// # Errors
/// `binding_invalid`, with what is wrong.
pub fn check(binding: &Binding, headers: &BTreeMap<String, Plain>) -> Result<(), Error> {
    if !is_binding_name(&binding.name) {
        return Err(invalid(format!(
            "{:?} cannot be called: a name is an identifier of at most {NAME_BYTES_MAX} ASCII \
             characters, and no reserved word",
            binding.name
        )));
    }
    check_url(&binding.url)?;
    if !METHODS.contains(&binding.method.as_str()) {
        let methods = METHODS.join(", ");
        return Err(invalid(format!("method must be one of {methods}")));
    }
    check_headers(headers)?;
    if let Some(parameters) = &binding.parameters {
        Parameters::new(parameters).map_err(|why| invalid(format!("parameters: {why}")))?;
    }
    if !(1..=BINDING_TIMEOUT_MS_MAX).contains(&binding.timeout_ms) {
        return Err(invalid(format!(
            "timeout_ms must be 1 to {BINDING_TIMEOUT_MS_MAX}"
        )));
    }
    if binding.description.len() > BINDING_DESCRIPTION_BYTES_MAX {
        let max = BINDING_DESCRIPTION_BYTES_MAX;
        return Err(invalid(format!("description may have {max} bytes")));
    }
    let functions = binding
        .functions
        .as_ref()
        .map(std::collections::BTreeSet::len);
    if functions.is_some_and(|len| len == 0 || len > BINDING_FUNCTIONS_MAX) {
        return Err(invalid(format!(
            "functions must name 1 to {BINDING_FUNCTIONS_MAX} functions, or be left out for all"
        )));
    }
    Ok(())
}

fn check_url(text: &str) -> Result<(), Error> {
    if text.len() > BINDING_URL_BYTES_MAX {
        return Err(invalid(format!(
            "url may have {BINDING_URL_BYTES_MAX} bytes"
        )));
    }
    let is_fine = Url::parse(text).is_ok_and(|url| {
        matches!(url.scheme(), "http" | "https")
            && url.has_host()
            && url.username().is_empty()
            && url.password().is_none()
    });
    if is_fine {
        Ok(())
    } else {
        Err(invalid(
            "url must be an absolute http or https URL without user name and password; what is \
             secret belongs into headers",
        ))
    }
}

fn check_headers(headers: &BTreeMap<String, Plain>) -> Result<(), Error> {
    let bytes: usize = headers
        .iter()
        .map(|(name, value)| name.len() + value.len())
        .sum();
    if headers.len() > BINDING_HEADERS_MAX || bytes > BINDING_HEADERS_BYTES_MAX {
        return Err(invalid(format!(
            "at most {BINDING_HEADERS_MAX} headers of {BINDING_HEADERS_BYTES_MAX} bytes together"
        )));
    }
    for (name, value) in headers {
        let is_token = !name.is_empty()
            && name
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b));
        let is_ours = FIXED_FIELDS
            .iter()
            .any(|fixed| name.eq_ignore_ascii_case(fixed));
        if !is_token || is_ours {
            return Err(invalid(format!("the header {name:?} cannot be set")));
        }
        if !value
            .reveal()
            .bytes()
            .all(|b| b == b'\t' || (b' '..=b'~').contains(&b))
        {
            return Err(invalid(format!(
                "the value of {name} must be printable ASCII"
            )));
        }
    }
    Ok(())
}
