//! A function besides its versions: which of them answers, which did before, and how it is set.

use std::sync::Arc;

use redb::{ReadTransaction, ReadableTable};
use serde::{Deserialize, Serialize};

use super::{Activation, Deployment, FunctionSummary, Serving, parse};
use crate::id::{FunctionName, TenantId};
use crate::limits;
use crate::store::schema::{FUNCTION_STATES, FUNCTIONS, Tables};
use crate::store::{Error, Fault};

/// The active version of a function that has none.
pub(super) const NONE_ACTIVE: u64 = 0;

/// A version that answers a part of the invocations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Split {
    /// Its number; never that of the active version.
    pub version: u64,
    /// How many of a hundred invocations it answers, 1 to 99.
    pub weight_percent: u8,
}

/// A change of what a function is besides its versions; `None` leaves a part as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FunctionChange {
    /// What it is, for people.
    pub description: Option<String>,
    /// Whether it may be invoked.
    pub enabled: Option<bool>,
    /// A split, or its end.
    pub split: Option<Option<Split>>,
}

/// What a caller expects something with a tag to be before a change, such as a function.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Expected {
    /// One of these has to be its tag.
    pub one_of: Option<Tags>,
    /// None of these may be its tag.
    pub none_of: Option<Tags>,
}

/// Tags, without the quotes that entity tags have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tags {
    /// Whatever exists has one of them.
    Any,
    /// These.
    These(Vec<String>),
}

impl Tags {
    fn hold(&self, is_stored: bool, present: &[String]) -> bool {
        match self {
            Self::Any => is_stored,
            Self::These(tags) => tags.iter().any(|tag| present.contains(tag)),
        }
    }
}

impl Expected {
    /// Holds it against the tags that there are; none, if there is nothing.
    ///
    /// # Errors
    /// [`Error::PreconditionFailed`].
    pub(in crate::store) fn check(&self, present: &[String]) -> Result<(), Error> {
        self.check_stored(!present.is_empty(), present)
    }

    /// [`Expected::check`] for what has a tag also while nothing is stored: that of what is in
    /// force instead. Only what is stored exists.
    ///
    /// # Errors
    /// [`Error::PreconditionFailed`].
    pub(in crate::store) fn check_stored(
        &self,
        is_stored: bool,
        present: &[String],
    ) -> Result<(), Error> {
        let holds = |tags: &Tags| tags.hold(is_stored, present);
        let has_one = self.one_of.as_ref().is_none_or(holds);
        let has_other = self.none_of.as_ref().is_some_and(holds);
        if has_one && !has_other {
            return Ok(());
        }
        Err(Error::PreconditionFailed)
    }
}

/// What is stored of a function besides the active version and their count.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
struct State {
    /// The first version since the function was made: tells apart functions of the same name.
    first_version: u64,
    /// Writes since the function was made.
    revision: u64,
    /// Versions that were active before, the last one last. All of them are kept.
    history: Vec<u64>,
    split: Option<Split>,
    description: String,
    disabled: bool,
}

/// A function in the tables, besides its versions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    /// The active version, or [`NONE_ACTIVE`].
    pub(super) active: u64,
    /// Versions kept.
    pub(super) versions: u64,
    state: State,
}

impl Entry {
    /// A function that `version` will be the first of.
    pub(super) fn new(version: u64) -> Self {
        Self {
            active: NONE_ACTIVE,
            versions: 0,
            state: State {
                first_version: version,
                ..State::default()
            },
        }
    }

    /// Reads it from a snapshot.
    pub(super) fn read(
        transaction: &ReadTransaction,
        tenant: &TenantId,
        function: &FunctionName,
    ) -> Result<Option<Self>, Fault> {
        let functions = transaction.open_table(FUNCTIONS)?;
        let states = transaction.open_table(FUNCTION_STATES)?;
        Self::find(&functions, &states, tenant, function)
    }

    /// Reads it within a write transaction.
    pub(super) fn load(
        tables: &Tables<'_>,
        tenant: &TenantId,
        function: &FunctionName,
    ) -> Result<Option<Self>, Fault> {
        Self::find(&tables.functions, &tables.function_states, tenant, function)
    }

    fn find(
        functions: &impl ReadableTable<(&'static str, &'static str), (u64, u64)>,
        states: &impl ReadableTable<(&'static str, &'static str), &'static [u8]>,
        tenant: &TenantId,
        function: &FunctionName,
    ) -> Result<Option<Self>, Fault> {
        let name = (tenant.as_str(), function.as_str());
        let Some(row) = functions.get(name)? else {
            return Ok(None);
        };
        let (active, versions) = row.value();
        let state = match states.get(name)? {
            Some(json) => serde_json::from_slice(json.value()).map_err(Fault::Record)?,
            None => State::default(),
        };
        Ok(Some(Self {
            active,
            versions,
            state,
        }))
    }

    /// Writes it; from the commit on, the function's name resolves accordingly.
    pub(super) fn save(
        &mut self,
        tables: &mut Tables<'_>,
        tenant: &TenantId,
        function: &FunctionName,
    ) -> Result<(), Fault> {
        self.state.revision += 1;
        let name = (tenant.as_str(), function.as_str());
        let json = serde_json::to_vec(&self.state).map_err(Fault::Record)?;
        tables
            .functions
            .insert(name, (self.active, self.versions))?;
        tables.function_states.insert(name, json.as_slice())?;
        if let Some(serving) = self.serving(&tables.deployments, tenant, function)? {
            tables.activations.push(Activation::To(Arc::new(serving)));
        }
        Ok(())
    }

    /// What the function's name resolves to; `None` while no version is active.
    pub(super) fn serving(
        &self,
        deployments: &impl ReadableTable<(&'static str, &'static str, u64), &'static [u8]>,
        tenant: &TenantId,
        function: &FunctionName,
    ) -> Result<Option<Serving>, Fault> {
        if self.active == NONE_ACTIVE {
            return Ok(None);
        }
        let find = |version: u64| -> Result<Arc<Deployment>, Fault> {
            let found = deployments.get((tenant.as_str(), function.as_str(), version))?;
            let found = found.ok_or(Fault::Inconsistent("a version in use is not stored"))?;
            Ok(Arc::new(parse(found.value())?))
        };
        let split = match self.state.split {
            Some(split) => Some((find(split.version)?, split.weight_percent)),
            None => None,
        };
        Ok(Some(Serving {
            active: find(self.active)?,
            split,
            enabled: !self.state.disabled,
        }))
    }

    /// See [`FunctionSummary::tag`].
    pub(super) fn tag(&self) -> String {
        format!("f{}-{}", self.state.first_version, self.state.revision)
    }

    /// The tags that a change of `version` may expect: the function's, and the version's own.
    pub(super) fn tags_with(&self, deployment: &Deployment) -> [String; 2] {
        let is_active = deployment.version == self.active;
        [self.tag(), deployment.tag(is_active)]
    }

    /// The function as callers see it.
    pub(super) fn summary(
        &self,
        function: FunctionName,
        active: Option<Arc<Deployment>>,
    ) -> FunctionSummary {
        FunctionSummary {
            function,
            versions: self.versions,
            active,
            previous: self.state.history.last().copied(),
            split: self.state.split,
            description: self.state.description.clone(),
            enabled: !self.state.disabled,
            tag: self.tag(),
        }
    }

    /// Whether activating `version` would change nothing.
    pub(super) fn is_settled_on(&self, version: u64) -> bool {
        self.active == version && self.state.split.is_none()
    }

    /// Makes a version active, and remembers the one before.
    pub(super) fn activate(&mut self, version: u64) {
        self.state.split = None;
        if self.active == version {
            return;
        }
        if self.active != NONE_ACTIVE {
            let history = &mut self.state.history;
            history.push(self.active);
            let surplus = history.len().saturating_sub(limits::ACTIVATIONS_KEPT);
            history.drain(..surplus);
        }
        self.active = version;
    }

    /// Makes the version active that was so before, and answers it; `None` if there is none.
    pub(super) fn roll_back(&mut self) -> Option<u64> {
        let previous = self.state.history.pop()?;
        self.state.split = None;
        self.active = previous;
        Some(previous)
    }

    /// Takes a version out of what is remembered.
    ///
    /// # Errors
    /// [`Error::VersionActive`], [`Error::VersionSplit`]: it is in use.
    pub(super) fn forget(&mut self, version: u64) -> Result<(), Error> {
        if self.active == version && version != NONE_ACTIVE {
            return Err(Error::VersionActive { version });
        }
        if self
            .state
            .split
            .is_some_and(|split| split.version == version)
        {
            return Err(Error::VersionSplit { version });
        }
        let history = &mut self.state.history;
        history.retain(|past| *past != version);
        // What was between two of the same is gone: rolling back has to lead elsewhere.
        history.dedup();
        if history.last() == Some(&self.active) {
            history.pop();
        }
        Ok(())
    }

    /// Carries out a change; the version of a split is known to exist.
    ///
    /// # Errors
    /// [`Error::SplitInvalid`].
    pub(super) fn change(&mut self, change: FunctionChange) -> Result<(), Error> {
        if let Some(Some(split)) = change.split {
            let is_share = (1..=99).contains(&split.weight_percent);
            if !is_share || self.active == NONE_ACTIVE || self.active == split.version {
                return Err(Error::SplitInvalid);
            }
        }
        if let Some(description) = change.description {
            self.state.description = description;
        }
        if let Some(enabled) = change.enabled {
            self.state.disabled = !enabled;
        }
        if let Some(split) = change.split {
            self.state.split = split;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
