//! guest/artifact/manifest.json: what the artifacts were built from, and with what.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::iter::Peekable;
use std::str::Chars;

use crate::shell::Outcome;

/// Names, each with a hash or a version.
pub(crate) type Table = BTreeMap<String, String>;

/// The record that is kept beside the artifacts.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Manifest {
    /// Hash over the path and contents of every source file of the guest.
    pub(crate) sources_sha256: String,
    /// Hash of each artifact, by file name.
    pub(crate) artifacts: Table,
    /// Version of each tool that decides which bytes come out, as the tool says it.
    pub(crate) tools: Table,
}

impl Manifest {
    /// The manifest as it is kept: JSON, sorted, one entry a line.
    pub(crate) fn to_json(&self) -> String {
        let sources = quoted(&self.sources_sha256);
        let mut text = format!("{{\n  \"sources_sha256\": {sources}");
        for (name, table) in [("artifacts", &self.artifacts), ("tools", &self.tools)] {
            let _ = write!(text, ",\n  {}: {{", quoted(name));
            for (index, (key, value)) in table.iter().enumerate() {
                let comma = if index == 0 { "" } else { "," };
                let _ = write!(text, "{comma}\n    {}: {}", quoted(key), quoted(value));
            }
            text.push_str("\n  }");
        }
        text.push_str("\n}\n");
        text
    }

    /// Reads what [`Self::to_json`] wrote. Members that it does not know are passed over.
    ///
    /// # Errors
    /// When the text is not JSON made of objects and strings, or a member is missing.
    pub(crate) fn from_json(text: &str) -> Outcome<Self> {
        let mut reader = Reader {
            rest: text.chars().peekable(),
        };
        let mut sources_sha256 = None;
        let (mut artifacts, mut tools) = (None, None);
        for (key, value) in reader.object(Reader::value)? {
            match (key.as_str(), value) {
                ("sources_sha256", Value::Text(hash)) => sources_sha256 = Some(hash),
                ("artifacts", Value::Table(table)) => artifacts = Some(table),
                ("tools", Value::Table(table)) => tools = Some(table),
                _ => {}
            }
        }
        let missing = |name: &str| format!("\"{name}\" is missing");
        Ok(Self {
            sources_sha256: sources_sha256.ok_or_else(|| missing("sources_sha256"))?,
            artifacts: artifacts.ok_or_else(|| missing("artifacts"))?,
            tools: tools.ok_or_else(|| missing("tools"))?,
        })
    }
}

fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for character in text.chars() {
        match character {
            '"' | '\\' => quoted.extend(['\\', character]),
            control if control.is_control() => {
                let _ = write!(quoted, "\\u{:04x}", u32::from(control));
            }
            other => quoted.push(other),
        }
    }
    quoted.push('"');
    quoted
}

enum Value {
    Text(String),
    Table(Table),
}

/// As much of a JSON reader as the manifest needs.
struct Reader<'a> {
    rest: Peekable<Chars<'a>>,
}

impl Reader<'_> {
    fn value(&mut self) -> Outcome<Value> {
        if self.next_is('{') {
            self.object(Self::string).map(Value::Table)
        } else {
            self.string().map(Value::Text)
        }
    }

    fn object<T>(&mut self, member: fn(&mut Self) -> Outcome<T>) -> Outcome<BTreeMap<String, T>> {
        let mut members = BTreeMap::new();
        self.take('{')?;
        if self.next_is('}') {
            self.take('}')?;
            return Ok(members);
        }
        loop {
            let key = self.string()?;
            self.take(':')?;
            members.insert(key, member(self)?);
            if !self.next_is(',') {
                self.take('}')?;
                return Ok(members);
            }
            self.take(',')?;
        }
    }

    fn string(&mut self) -> Outcome<String> {
        self.take('"')?;
        let mut text = String::new();
        loop {
            match self.rest.next() {
                Some('"') => return Ok(text),
                Some('\\') => text.push(self.escaped()?),
                Some(other) => text.push(other),
                None => return Err("a string does not end".to_owned()),
            }
        }
    }

    fn escaped(&mut self) -> Outcome<char> {
        match self.rest.next() {
            Some(plain @ ('"' | '\\' | '/')) => Ok(plain),
            Some('u') => {
                let digits: String = self.rest.by_ref().take(4).collect();
                let code = u32::from_str_radix(&digits, 16).ok();
                code.and_then(char::from_u32)
                    .ok_or_else(|| format!("\\u{digits} is not a character"))
            }
            _ => Err("an escape is not known".to_owned()),
        }
    }

    fn next_is(&mut self, wanted: char) -> bool {
        while self.rest.next_if(|next| next.is_whitespace()).is_some() {}
        self.rest.peek() == Some(&wanted)
    }

    fn take(&mut self, wanted: char) -> Outcome {
        if self.next_is(wanted) {
            self.rest.next();
            return Ok(());
        }
        match self.rest.peek() {
            Some(found) => Err(format!("'{wanted}' was expected, not '{found}'")),
            None => Err(format!("'{wanted}' was expected, not the end")),
        }
    }
}

#[cfg(test)]
mod tests;
