//! Calls of bindings: functions of the platform that a tenant's event functions reach by name,
//! over HTTP.
//!
//! What is bound is read when an invocation begins, so that a change takes effect with the next
//! one. An invocation gets a [`Grant`] and cannot name anything else. A tenant decides where its
//! bindings lead; so calls go out through the tenant's own network grant, and reach what its
//! functions could reach with `fetch` and nothing more.

mod definition;
mod schema;

use std::collections::{BTreeMap, HashMap};
use std::future::Future;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};

pub use definition::{check, is_binding_name};

use crate::id::{FunctionName, InvocationId, TenantId};
use crate::limits::{BINDING_ARGUMENTS_BYTES_MAX, BINDING_RESULT_BYTES_MAX};
use crate::outbound::{Body, Client, NetworkGrant, Redirect, Request, RequestBody};
use crate::secret::{MasterKey, NotOpened, Plain, Sealed};
use crate::store::{Binding, Store};

use schema::Parameters;

/// Most tenants whose bindings are in memory; when there are more, all are read anew.
const CACHE_LEN_MAX: usize = 1000;
/// Arguments of more bytes are checked away from the threads that run functions.
const QUICK_BYTES_MAX: usize = 4 << 10;
/// Longest message of a platform's error that is handed on, in bytes.
const MESSAGE_BYTES_MAX: usize = 4 << 10;
/// Longest code of a platform's error, in bytes.
const CODE_BYTES_MAX: usize = 64;

/// The bindings of all tenants, ready to be called. Cheap to clone.
#[derive(Clone)]
pub struct Bindings {
    shared: Arc<Cache>,
}

struct Cache {
    store: Arc<Store>,
    client: Arc<Client>,
    master: Arc<MasterKey>,
    tenants: RwLock<HashMap<TenantId, Arc<OfTenant>>>,
}

/// One tenant's bindings as they were at some time.
struct OfTenant {
    generation: u64,
    /// By name.
    bindings: Vec<Arc<Callable>>,
}

struct Callable {
    binding: Binding,
    /// Its headers, open; an error if they were sealed under another master key.
    headers: Result<BTreeMap<String, Plain>, NotOpened>,
    /// What its arguments have to look like; an error if its schema can no longer be used.
    parameters: Option<Result<Parameters, String>>,
}

/// The bindings that one invocation may call.
#[derive(Clone)]
pub struct Grant {
    client: Arc<Client>,
    network: NetworkGrant,
    bindings: Vec<Arc<Callable>>,
    caller: Arc<Caller>,
}

/// Who calls, as the platform is told.
struct Caller {
    tenant: TenantId,
    function: FunctionName,
    invocation: InvocationId,
}

/// Why a call has no result: a stable code of ours, or the platform's own, and a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// See `wit/binding.wit`.
    pub code: String,
    /// For the function.
    pub message: String,
}

impl Refused {
    pub(crate) fn new(code: &str, message: impl Into<String>) -> Self {
        Self {
            code: code.to_owned(),
            message: message.into(),
        }
    }
}

impl Bindings {
    /// The bindings in `store`, called through `client`; their headers are sealed under `master`.
    pub fn new(store: Arc<Store>, client: Arc<Client>, master: Arc<MasterKey>) -> Self {
        Self {
            shared: Arc::new(Cache {
                store,
                client,
                master,
                tenants: RwLock::default(),
            }),
        }
    }

    /// What this invocation may call. Reads no table unless bindings have changed.
    ///
    /// # Errors
    /// Those of [`crate::store::Bindings::list`].
    pub fn grant(
        &self,
        tenant: &TenantId,
        function: &FunctionName,
        invocation: InvocationId,
    ) -> Result<Grant, crate::store::Error> {
        let all = self.shared.of_tenant(tenant)?;
        let is_granted = |one: &&Arc<Callable>| {
            let functions = one.binding.functions.as_ref();
            functions.is_none_or(|functions| functions.contains(function))
        };
        Ok(Grant {
            client: Arc::clone(&self.shared.client),
            network: self.shared.client.grant(tenant),
            bindings: all.bindings.iter().filter(is_granted).cloned().collect(),
            caller: Arc::new(Caller {
                tenant: tenant.clone(),
                function: function.clone(),
                invocation,
            }),
        })
    }
}

impl Cache {
    fn of_tenant(&self, tenant: &TenantId) -> Result<Arc<OfTenant>, crate::store::Error> {
        let stored = self.store.bindings();
        // Before the read: what changes after this makes what is read old.
        let generation = stored.generation();
        {
            let tenants = self.tenants.read().unwrap_or_else(PoisonError::into_inner);
            if let Some(known) = tenants.get(tenant)
                && known.generation == generation
            {
                return Ok(Arc::clone(known));
            }
        }
        let bindings = stored.list(tenant)?;
        let fresh = Arc::new(OfTenant {
            generation,
            bindings: bindings
                .into_iter()
                .map(|binding| Callable::new(tenant, binding, &self.master))
                .collect(),
        });
        let mut tenants = self.tenants.write().unwrap_or_else(PoisonError::into_inner);
        if tenants.len() >= CACHE_LEN_MAX {
            tenants.clear();
        }
        tenants.insert(tenant.clone(), Arc::clone(&fresh));
        Ok(fresh)
    }
}

impl Callable {
    fn new(tenant: &TenantId, binding: Binding, master: &MasterKey) -> Arc<Self> {
        let parameters = binding.parameters.as_ref();
        let owner = owner_of(tenant, &binding.name);
        Arc::new(Self {
            parameters: parameters.map(Parameters::new),
            headers: master.open_all(&owner, &binding.headers),
            binding,
        })
    }
}

impl Grant {
    /// The names, ascending.
    pub fn names(&self) -> Vec<String> {
        let names = self.bindings.iter().map(|one| one.binding.name.clone());
        names.collect()
    }

    /// Calls a binding; answers the JSON text of what the platform said, at most
    /// [`BINDING_RESULT_BYTES_MAX`] bytes of UTF-8.
    ///
    /// `arguments`: a JSON array of at most [`BINDING_ARGUMENTS_BYTES_MAX`] bytes; they are
    /// checked before anything is sent.
    ///
    /// # Cancel safety
    /// Dropping the future closes the connection; what had been sent by then stays sent.
    pub fn call(
        &self,
        name: &str,
        arguments: String,
    ) -> impl Future<Output = Result<String, Refused>> + Send + 'static + use<> {
        let found = self.bindings.iter().find(|one| one.binding.name == name);
        let (found, name) = (found.map(Arc::clone), name.to_owned());
        let (client, network) = (Arc::clone(&self.client), self.network.clone());
        let caller = Arc::clone(&self.caller);
        async move {
            let Some(callable) = found else {
                let message = format!("there is no binding {name}");
                return Err(Refused::new("binding_not_found", message));
            };
            let binding = &callable.binding;
            let timeout = Duration::from_millis(binding.timeout_ms);
            let call = async {
                let arguments = checked(&callable, arguments).await?;
                let request = request(&callable, &caller, arguments)?;
                let answer = client.send(&network, request).await;
                let answer = answer
                    .map_err(|error| Refused::new(error.code(), format!("{name}: {error}")))?;
                let body = read(&name, answer.body).await?;
                answered(&name, answer.status, &body)
            };
            tokio::time::timeout(timeout, call)
                .await
                .unwrap_or_else(|_elapsed| {
                    let message = format!("{name} did not answer in {} ms", binding.timeout_ms);
                    Err(Refused::new("timeout", message))
                })
        }
    }
}

/// Seals the headers of a binding.
pub fn seal(
    tenant: &TenantId,
    name: &str,
    headers: &BTreeMap<String, Plain>,
    master: &MasterKey,
) -> BTreeMap<String, Sealed> {
    master.seal_all(&owner_of(tenant, name), headers)
}

/// Whose the values of a binding's headers are, and nobody else's.
fn owner_of(tenant: &TenantId, binding: &str) -> String {
    format!("binding {tenant}/{binding}")
}

/// The arguments as they are sent, with defaults filled in.
async fn checked(callable: &Arc<Callable>, text: String) -> Result<Value, Refused> {
    if text.len() > BINDING_ARGUMENTS_BYTES_MAX {
        let name = &callable.binding.name;
        let message = format!("{name}: more than {BINDING_ARGUMENTS_BYTES_MAX} bytes of arguments");
        return Err(Refused::new("arguments_too_large", message));
    }
    if text.len() <= QUICK_BYTES_MAX {
        return callable.check(&text);
    }
    let callable = Arc::clone(callable);
    let done = tokio::task::spawn_blocking(move || callable.check(&text)).await;
    done.unwrap_or_else(|_panicked| {
        Err(Refused::new(
            "arguments_invalid",
            "the arguments cannot be checked",
        ))
    })
}

impl Callable {
    fn check(&self, text: &str) -> Result<Value, Refused> {
        let invalid = |why: String| {
            let message = format!("{}: {why}", self.binding.name);
            Refused::new("arguments_invalid", message)
        };
        let arguments: Value =
            serde_json::from_str(text).map_err(|error| invalid(error.to_string()))?;
        let Value::Array(arguments) = arguments else {
            return Err(invalid("the arguments are no list".to_owned()));
        };
        match &self.parameters {
            None => Ok(Value::Array(arguments)),
            Some(parameters) => {
                let parameters = parameters.as_ref().map_err(|why| invalid(why.clone()))?;
                let checked = parameters.check(arguments).map_err(invalid)?;
                Ok(Value::Array(checked))
            }
        }
    }
}

fn request(callable: &Callable, caller: &Caller, arguments: Value) -> Result<Request, Refused> {
    let binding = &callable.binding;
    let body = json!({
        "binding": binding.name,
        "tenant": caller.tenant,
        "function": caller.function,
        "invocation": caller.invocation.to_string(),
        "arguments": arguments,
    });
    let Ok(own) = &callable.headers else {
        let message = format!(
            "{}: its headers were sealed under another master key; write the binding again",
            binding.name
        );
        return Err(Refused::new("binding_failed", message));
    };
    let own = own.iter();
    let own = own.map(|(name, value)| (name.clone(), value.reveal().as_bytes().to_vec()));
    let json = (String::from("content-type"), b"application/json".to_vec());
    Ok(Request {
        method: binding.method.clone(),
        url: binding.url.clone(),
        headers: own.chain([json]).collect(),
        body: RequestBody::Whole(Bytes::from(body.to_string())),
        // The headers are for this server and no other.
        redirect: Redirect::Error,
        decompress: true,
    })
}

async fn read(name: &str, mut body: Body) -> Result<String, Refused> {
    let mut whole = Vec::new();
    while let Some(chunk) = body.chunk().await {
        let chunk =
            chunk.map_err(|error| Refused::new(error.code(), format!("{name}: {error}")))?;
        if whole.len() + chunk.len() > BINDING_RESULT_BYTES_MAX {
            let message =
                format!("{name}: the answer has more than {BINDING_RESULT_BYTES_MAX} bytes");
            return Err(Refused::new("result_too_large", message));
        }
        whole.extend_from_slice(&chunk);
    }
    String::from_utf8(whole).map_err(|_| {
        Refused::new(
            "binding_failed",
            format!("{name}: the answer is not UTF-8 text"),
        )
    })
}

/// What the platform answers when it has no result.
#[derive(Deserialize)]
struct ErrorAnswer {
    error: PlatformError,
}

#[derive(Deserialize)]
struct PlatformError {
    message: String,
    #[serde(default)]
    code: Option<String>,
}

/// The guest parses what succeeded; an error is read here, so that it has the same form whatever
/// the status.
fn answered(name: &str, status: u16, body: &str) -> Result<String, Refused> {
    if let Ok(ErrorAnswer { error }) = serde_json::from_str(body) {
        let code = error.code.unwrap_or_else(|| "binding_failed".to_owned());
        return Err(Refused {
            code: cut(code, CODE_BYTES_MAX),
            message: cut(error.message, MESSAGE_BYTES_MAX),
        });
    }
    if (200..300).contains(&status) {
        Ok(body.to_owned())
    } else {
        let message = format!("{name}: the platform answered {status}");
        Err(Refused::new("binding_failed", message))
    }
}

fn cut(mut text: String, bytes_max: usize) -> String {
    text.truncate(text.floor_char_boundary(bytes_max));
    text
}

#[cfg(test)]
mod tests;
