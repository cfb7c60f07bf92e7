//! What is taken out of the logs of each deployment, kept ready.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use crate::deploy::Images;
use crate::id::DeploymentId;
use crate::limits::REDACTORS_MAX;
use crate::redact::Redactor;
use crate::secret::Plain;
use crate::store::Deployment;

/// The redactors of deployments that have secrets; all others share one.
#[derive(Default)]
pub(super) struct Redactors {
    by_deployment: Mutex<HashMap<DeploymentId, Arc<Redactor>>>,
}

static WITHOUT_SECRETS: LazyLock<Arc<Redactor>> = LazyLock::new(Arc::default);

impl Redactors {
    /// The redactor of a deployment, made when it is first asked for.
    pub(super) fn of(&self, deployment: &Deployment, images: &Images) -> Arc<Redactor> {
        if deployment.secrets.is_empty() {
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
        // What cannot be opened was not in the sandbox either.
        let secrets = images.secrets(deployment).unwrap_or_default();
        let redactor = Redactor::new(secrets.values().map(Plain::reveal));
        let redactor = Arc::new(redactor);
        kept.insert(deployment.id, Arc::clone(&redactor));
        redactor
    }
}
