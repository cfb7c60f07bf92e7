//! Editing the environment: a new version with the same files.

use std::collections::BTreeMap;

use super::{Deploy, Deployed, archive, blocking, digest, from_store, settings};
use crate::clock;
use crate::error::{Code, Error};
use crate::id::{DeploymentId, FunctionName, TenantId};
use crate::secret::Plain;
use crate::store::{Base, Deployment, Evaluation, Expected, NewDeployment};

/// How often an edit is made again because another one came first.
const ATTEMPTS_MAX: usize = 8;

/// A change of an environment.
#[derive(Debug, Clone)]
pub struct EnvEdit {
    /// Of the variables that are no secrets.
    pub env: Edit<String>,
    /// Of those that are.
    pub secrets: Edit<Plain>,
}

/// A change of variables of one sort.
#[derive(Debug, Clone)]
pub enum Edit<T> {
    /// These variables and no others.
    Replace(BTreeMap<String, T>),
    /// These variables besides those that are there; `None` takes one away.
    Merge(BTreeMap<String, Option<T>>),
}

impl<T: Clone> Edit<T> {
    fn of(&self, variables: &BTreeMap<String, T>) -> BTreeMap<String, T> {
        match self {
            Self::Replace(with) => with.clone(),
            Self::Merge(changes) => {
                let mut variables = variables.clone();
                for (name, value) in changes {
                    match value {
                        Some(value) => drop(variables.insert(name.clone(), value.clone())),
                        None => drop(variables.remove(name)),
                    }
                }
                variables
            }
        }
    }
}

/// Whose environment is edited.
#[derive(Debug, Clone)]
pub struct EnvTarget {
    /// The owner.
    pub tenant: TenantId,
    /// The function.
    pub function: FunctionName,
    /// The version; otherwise the active one, or the newest while none is active.
    pub version: Option<u64>,
    /// What the function has to be beforehand.
    pub expected: Expected,
}

impl Deploy {
    /// Makes a version that has another environment and is else like the one edited; it becomes
    /// active if that one was. An environment that is the same makes no version.
    ///
    /// # Errors
    /// `function_not_found`, `version_not_found`, `settings_invalid`, `precondition_failed`, and
    /// those of [`Deploy::deploy`] that loading has: the modules may need a variable.
    /// # Cancel safety
    /// As [`Deploy::deploy`].
    pub async fn edit_env(&self, target: EnvTarget, edit: EnvEdit) -> Result<Deployed, Error> {
        // Who expects nothing gets their edit on top of whatever came first.
        let mut attempts = if target.expected == Expected::default() {
            ATTEMPTS_MAX
        } else {
            1
        };
        loop {
            attempts -= 1;
            match self.edit_env_once(&target, &edit).await {
                Err(error) if error.code == Code::PreconditionFailed && attempts > 0 => {}
                done => return done,
            }
        }
    }

    async fn edit_env_once(&self, target: &EnvTarget, edit: &EnvEdit) -> Result<Deployed, Error> {
        let (functions, wanted) = (self.store.functions(), target.clone());
        let (base, is_active) = blocking(move || {
            let (tenant, function) = (&wanted.tenant, &wanted.function);
            functions
                .check(tenant, function, &wanted.expected)
                .map_err(from_store)?;
            let active = functions.active(tenant, function).map_err(from_store)?;
            let base = match (wanted.version, &active) {
                (None, Some(active)) => Deployment::clone(active),
                (Some(version), _) => functions
                    .version(tenant, function, version)
                    .map_err(from_store)?,
                (None, None) => functions
                    .versions(tenant, function, u64::MAX, 1)
                    .map_err(from_store)?
                    .pop()
                    .ok_or_else(|| Error::internal("a function without a version"))?,
            };
            let is_active = active.is_some_and(|active| active.version == base.version);
            Ok((base, is_active))
        })
        .await?;
        let env = edit.env.of(&base.env);
        let secrets = edit.secrets.of(&self.images.secrets(&base)?);
        settings::check_env(&env, &secrets)?;
        let limits = base.limits_in_force();
        let (functions, id) = (self.store.functions(), base.id);
        let files = blocking(move || {
            let bundle = functions.bundle(&id).map_err(from_store)?;
            // Whoever deleted it came first.
            let bundle = bundle.ok_or_else(|| Error::new(Code::PreconditionFailed, "gone"))?;
            archive::unpack_stored(&bundle).map_err(Error::internal)
        })
        .await?;
        let files_digest = digest::of_files(&files);
        let draft = NewDeployment {
            id: DeploymentId::new(clock::now_ms()),
            digest: digest::of_version(
                &files_digest,
                base.kind,
                &base.entry,
                base.route.as_deref(),
                &base.limits,
            ),
            files_digest,
            created_ms: clock::now_ms(),
            env,
            secrets: self.images.seal((&base.tenant, &base.function), &secrets),
            requires_key: base.requires_key,
            evaluation: Evaluation::Snapshot,
            snapshot_bytes: 0,
            activate: is_active,
            expected: target.expected.clone(),
            base: Some(Base {
                version: base.version,
                active: is_active,
            }),
            tenant: base.tenant,
            function: base.function,
            entry: base.entry,
            limits: base.limits,
            route: base.route,
            kind: base.kind,
            files: base.files,
            source_bytes: base.source_bytes,
        };
        self.make(draft, files, limits).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        pairs.iter().map(owned).collect()
    }

    #[test]
    fn an_edit_replaces_or_merges() {
        let before = env(&[("A", "1"), ("B", "2")]);
        let replaced = Edit::Replace(env(&[("C", "3")]));
        assert_eq!(replaced.of(&before), env(&[("C", "3")]));
        let changes = [("A", None), ("B", Some("3")), ("C", Some("")), ("D", None)];
        let changes = changes.map(|(name, value)| (name.to_owned(), value.map(str::to_owned)));
        let merged = Edit::Merge(BTreeMap::from(changes));
        assert_eq!(merged.of(&before), env(&[("B", "3"), ("C", "")]));
    }
}
