//! What is taken out of the logs of each deployment, kept ready.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use crate::id::DeploymentId;
use crate::limits::REDACTORS_MAX;
use crate::redact::Redactor;
use crate::store::Deployment;

/// The redactors of deployments that have secrets; all others share one.
#[derive(Default)]
pub(super) struct Redactors {
    by_deployment: Mutex<HashMap<DeploymentId, Arc<Redactor>>>,
}

static WITHOUT_SECRETS: LazyLock<Arc<Redactor>> = LazyLock::new(Arc::default);

impl Redactors {
    /// The redactor of a deployment, made when it is first asked for.
    pub(super) fn of(&self, deployment: &Deployment) -> Arc<Redactor> {
        let mut secrets = secrets_of(deployment).peekable();
        if secrets.peek().is_none() {
            return Arc::clone(&WITHOUT_SECRETS);
        }
        let kept = self.by_deployment.lock();
        let mut kept = kept.unwrap_or_else(PoisonError::into_inner);
        if let Some(redactor) = kept.get(&deployment.id) {
            return Arc::clone(redactor);
        }
        if kept.len() >= REDACTORS_MAX {
            // Any of them: they are made again when they are needed.
            kept.clear();
        }
        let redactor = Arc::new(Redactor::new(secrets));
        kept.insert(deployment.id, Arc::clone(&redactor));
        redactor
    }
}

/// The values that must not appear in a deployment's log.
fn secrets_of(_deployment: &Deployment) -> impl Iterator<Item = &str> {
    std::iter::empty()
}
