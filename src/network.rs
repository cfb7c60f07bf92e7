//! The network policies in force: what is stored, put to the question that connections ask.

use std::net::SocketAddr;
use std::sync::Arc;

use crate::id::TenantId;
use crate::outbound::{self, Denied, OwnAddresses};
use crate::policies::{self, Action, Connection, Decision, Policy, Preset, Scope};
use crate::store::{self, Policies};

/// Decides by the service's own addresses, the global policy, and the tenant's.
pub struct Network {
    own: OwnAddresses,
    stored: Policies,
    /// The global policy as long as none is stored.
    preset: Arc<Policy>,
}

/// What one connection comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It would lead to the service itself, which no policy allows.
    Service,
    /// The policies decide.
    Decided(Decision),
}

impl Network {
    /// `listening`: the service's own addresses, see [`OwnAddresses`]; `preset` is the global
    /// policy as long as none is stored.
    pub fn new(listening: Vec<SocketAddr>, stored: Policies, preset: Preset) -> Self {
        Self {
            own: OwnAddresses::new(listening),
            stored,
            preset: Arc::new(preset.policy()),
        }
    }

    /// The policy in force in a scope; a tenant without one has one without rules that allows, which
    /// changes nothing.
    ///
    /// # Errors
    /// Those of the store.
    pub fn policy(&self, scope: &Scope) -> Result<Arc<Policy>, store::Error> {
        let stored = self.stored.find(scope)?.policy;
        Ok(stored.unwrap_or_else(|| self.preset(scope)))
    }

    /// The policy that is in force in a scope as long as none is stored.
    pub fn preset(&self, scope: &Scope) -> Arc<Policy> {
        match scope {
            Scope::Global => Arc::clone(&self.preset),
            Scope::Tenant(_) => Arc::new(Preset::AllowAll.policy()),
        }
    }

    /// What a connection of this tenant's comes to; without a tenant, by the global policy alone.
    ///
    /// # Errors
    /// Those of the store.
    pub fn verdict(
        &self,
        tenant: Option<&TenantId>,
        connection: &Connection<'_>,
    ) -> Result<Verdict, store::Error> {
        if self.own.is_own(connection.address) {
            return Ok(Verdict::Service);
        }
        let global = self.policy(&Scope::Global)?;
        let own = match tenant {
            Some(tenant) => self.stored.find(&Scope::Tenant(tenant.clone()))?.policy,
            None => None,
        };
        let decision = policies::decide(&global, own.as_deref(), connection);
        Ok(Verdict::Decided(decision))
    }
}

impl outbound::Policy for Network {
    fn allows(&self, tenant: &TenantId, connection: &Connection<'_>) -> Result<(), Denied> {
        let reason = match self.verdict(Some(tenant), connection) {
            Ok(Verdict::Service) => return self.own.allows(tenant, connection),
            Ok(Verdict::Decided(decision)) if decision.action == Action::Allow => return Ok(()),
            Ok(Verdict::Decided(decision)) => format!("{} denies it", decision.decider),
            // What cannot be asked has not said yes.
            Err(error) => {
                let error: &dyn std::error::Error = &error;
                tracing::error!(error, %tenant, "a network policy cannot be read");
                "the network policy cannot be read".to_owned()
            }
        };
        Err(Denied { reason })
    }

    fn revision(&self, tenant: &TenantId) -> u64 {
        let global = self.stored.find(&Scope::Global);
        let own = self.stored.find(&Scope::Tenant(tenant.clone()));
        match (global, own) {
            (Ok(global), Ok(own)) => global.revision.max(own.revision),
            // No policy has this one, so it is asked again.
            _ => u64::MAX,
        }
    }
}
