//! The one rule: what a route and a method need.
//!
//! | path | method | needs |
//! |---|---|---|
//! | outside of a tenant, `/tenants` and `/keys` included | any | `admin` of the server |
//! | `/tenants/{tenant}` | GET | `read` |
//! | `/tenants/{tenant}` | other | `admin` of the server: quotas are its |
//! | `/tenants/{tenant}/keys…` | any | `admin` of the tenant |
//! | `/tenants/{tenant}/…/versions/{version}/test…`, `…/invoke` | any | `deploy` |
//! | `/tenants/{tenant}/…/invoke` | any | `invoke` |
//! | `/tenants/{tenant}/schedules/preview` | any | `read` |
//! | `/tenants/{tenant}/…` | GET | `read` |
//! | `/tenants/{tenant}/…` | other | `deploy` |
//! | `/v2/functions/{workspace}/run/…` | any | `invoke` in the key's own tenant |
//! | `/v2/functions/{workspace}…` | GET | `read` there |
//! | `/v2/functions/{workspace}…` | other | `deploy` there |
//!
//! `admin` implies the others, and `deploy` implies `read` and `invoke`. For a key of another
//! tenant nothing inside a tenant is there. A version that is invoked by its number may not be
//! active yet, so that needs `deploy`.

use axum::http::Method;

use super::Principal;
use crate::error::{Code, Error};
use crate::http::path::Params;
use crate::id::FunctionName;
use crate::store::Scope;

/// Where every route of a tenant is.
const TENANT: &str = "/api/v1/tenants/{tenant}";
/// Where every route of a workspace is; its tenant is that of the key.
const WORKSPACE: &str = "/v2/functions/{workspace}";
/// Where their functions are run.
const RUN: &str = "/run/{function}";
/// Ways to run functions, which change nothing that is managed here.
const INVOKE: &str = "/invoke";

/// Runs a version that need not be active.
const TEST: &str = "/versions/{version}/test";

/// Shows the next times of a timetable: a question with a body.
const PREVIEW: &str = "/schedules/preview";

/// What a request needs.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Need {
    /// To be somebody: there is nothing at this path, which is for the router to say.
    Nothing,
    /// All rights on the server.
    ServerAdmin {
        /// The tenant, if the path names one.
        tenant: Option<String>,
    },
    /// A scope inside a tenant.
    OfTenant {
        /// The tenant as the path has it, whether or not that is a name.
        tenant: String,
        /// The function, if the path names one.
        function: Option<FunctionName>,
        scope: Scope,
    },
    /// A scope inside the principal's own tenant.
    OfOwnTenant {
        /// The workspace, if the path names one.
        function: Option<FunctionName>,
        scope: Scope,
    },
}

impl Need {
    /// What `method` on a route needs; `params`: what the path has in place of its parameters.
    pub(super) fn of(method: &Method, route: Option<&str>, params: &Params) -> Self {
        let Some(route) = route else {
            return Self::Nothing;
        };
        let reads = matches!(*method, Method::GET | Method::HEAD);
        if let Some(rest) = route.strip_prefix(WORKSPACE) {
            let scope = match rest {
                RUN => Scope::Invoke,
                _ if reads => Scope::Read,
                _ => Scope::Deploy,
            };
            let function = params.get("workspace").parse().ok();
            return Self::OfOwnTenant { function, scope };
        }
        let Some(rest) = route.strip_prefix(TENANT) else {
            return Self::ServerAdmin { tenant: None };
        };
        if rest.is_empty() && !reads {
            let tenant = Some(params.get("tenant").to_owned());
            return Self::ServerAdmin { tenant };
        }
        Self::OfTenant {
            tenant: params.get("tenant").to_owned(),
            function: params.get("function").parse().ok(),
            scope: scope(rest, reads),
        }
    }

    /// Whether what comes of it is written down: whatever may change something.
    pub(super) fn is_audited(&self, method: &Method) -> bool {
        let changes = !matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS);
        let manages_nothing = matches!(
            self,
            Self::OfTenant { scope, .. } | Self::OfOwnTenant { scope, .. }
                if matches!(scope, Scope::Invoke | Scope::Read)
        );
        changes && !manages_nothing && *self != Self::Nothing
    }

    /// Lets a principal pass, or says what is missing. `path` is named where nothing is to be
    /// seen.
    ///
    /// # Errors
    /// `not_found` inside of another tenant, `forbidden`.
    pub(super) fn check(&self, principal: &Principal, path: &str) -> Result<(), Error> {
        let Principal::Key(key) = principal else {
            return Ok(());
        };
        let (tenant, allowed, needed) = match self {
            Self::Nothing => return Ok(()),
            Self::ServerAdmin { tenant } => {
                let needed = "this needs an admin key of the server".to_owned();
                (tenant.as_ref(), key.is_server_admin(), needed)
            }
            Self::OfOwnTenant { function, scope } => {
                let needed = format!("this needs a key with the scope {}", scope.as_str());
                (None, key.grants(*scope, function.as_ref()), needed)
            }
            Self::OfTenant {
                tenant,
                function,
                scope,
            } => {
                let needed = format!("this needs a key with the scope {}", scope.as_str());
                let allowed = key.grants(*scope, function.as_ref());
                (Some(tenant), allowed, needed)
            }
        };
        let is_another = |tenant: &String| {
            key.tenant
                .as_ref()
                .is_some_and(|own| own.as_str() != tenant)
        };
        if tenant.is_some_and(is_another) {
            let detail = format!("there is nothing at {path}");
            return Err(Error::new(Code::NotFound, detail));
        }
        if allowed {
            return Ok(());
        }
        Err(Error::new(Code::Forbidden, needed))
    }
}

fn scope(rest: &str, reads: bool) -> Scope {
    let is_below = |folder: &str| {
        let below = rest.strip_prefix(folder);
        below.is_some_and(|below| below.is_empty() || below.starts_with('/'))
    };
    if is_below("/keys") {
        Scope::Admin
    } else if rest.ends_with(INVOKE) && !rest.contains("/versions/") {
        Scope::Invoke
    } else if rest == PREVIEW || (reads && !rest.contains(TEST)) {
        Scope::Read
    } else {
        Scope::Deploy
    }
}
