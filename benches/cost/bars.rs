//! Figures that have a bar, and what a part of the benches found.

use std::fmt;

use serde_json::{Value, json};

/// How far a figure may go.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Bar {
    AtLeast(f64),
    AtMost(f64),
}

/// A figure with its bar.
#[derive(Debug, Clone)]
pub(crate) struct Measure {
    name: String,
    /// `µs`; empty for a ratio.
    unit: &'static str,
    bar: Bar,
    value: f64,
    /// Between these are half of the rounds, if there were rounds.
    quartiles: Option<(f64, f64)>,
}

impl Measure {
    /// A figure that was measured once.
    pub(crate) fn new(name: impl Into<String>, unit: &'static str, bar: Bar, value: f64) -> Self {
        Self {
            name: name.into(),
            unit,
            bar,
            value,
            quartiles: None,
        }
    }

    /// The median of a figure that every round has.
    pub(crate) fn over_rounds(
        name: impl Into<String>,
        unit: &'static str,
        bar: Bar,
        mut all: Vec<f64>,
    ) -> Self {
        let quartiles = (quantile(&mut all, 0.25), quantile(&mut all, 0.75));
        Self {
            quartiles: Some(quartiles),
            ..Self::new(name, unit, bar, median(&mut all))
        }
    }

    /// Whether the bar is met.
    pub(crate) fn holds(&self) -> bool {
        match self.bar {
            Bar::AtLeast(bar) => self.value >= bar,
            Bar::AtMost(bar) => self.value <= bar,
        }
    }

    /// For programs.
    pub(crate) fn to_json(&self) -> Value {
        let (kind, bar) = match self.bar {
            Bar::AtLeast(bar) => ("at_least", bar),
            Bar::AtMost(bar) => ("at_most", bar),
        };
        json!({
            "name": self.name,
            "unit": self.unit,
            "value": rounded(self.value),
            "quartiles": self.quartiles.map(|(low, high)| [rounded(low), rounded(high)]),
            kind: bar,
            "holds": self.holds(),
        })
    }
}

impl fmt::Display for Measure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, bar) = match self.bar {
            Bar::AtLeast(bar) => ("at least", bar),
            Bar::AtMost(bar) => ("at most", bar),
        };
        let Self { unit, value, .. } = self;
        write!(f, "{:<64} {value:>8.2} {unit:<4}", self.name)?;
        match self.quartiles {
            Some((low, high)) => write!(f, " {:<18}", format!("({low:.2} to {high:.2})"))?,
            None => write!(f, " {:<18}", "")?,
        }
        let word = if self.holds() { "" } else { "  MISSED" };
        write!(f, " {kind} {bar}{word}")
    }
}

/// What a part of the benches found.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    /// For people.
    pub(crate) text: String,
    /// For programs, without the measures.
    pub(crate) json: Value,
    /// Everything that has a bar.
    pub(crate) measures: Vec<Measure>,
    /// What is wrong whatever the figures say.
    pub(crate) faults: Vec<String>,
}

impl Findings {
    /// All of it as one document.
    pub(crate) fn to_json(&self) -> Value {
        let mut all = self.json.clone();
        all["bars"] = self.measures.iter().map(Measure::to_json).collect();
        all["faults"] = json!(self.faults);
        all
    }
}

impl fmt::Display for Findings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.text)?;
        writeln!(f)?;
        for measure in &self.measures {
            writeln!(f, "{measure}")?;
        }
        Ok(())
    }
}

/// The median; 0 of nothing.
pub(crate) fn median(values: &mut [f64]) -> f64 {
    quantile(values, 0.5)
}

/// The value that a share of all values does not exceed (nearest rank); sorts them.
pub(crate) fn quantile(values: &mut [f64], share: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let rank = (share * values.len() as f64).ceil().max(1.0);
    let found = (1..)
        .zip(values.iter())
        .find(|(at, _)| f64::from(*at) >= rank);
    found.map_or(0.0, |(_, value)| *value)
}

/// Two decimals.
pub(crate) fn rounded(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

/// Microseconds since then.
pub(crate) fn micros(begun: std::time::Instant) -> f64 {
    begun.elapsed().as_secs_f64() * 1e6
}
