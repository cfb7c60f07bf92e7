//! Interface `binding`: functions of the platform, as far as they are granted.

use wasmtime::bail;

use super::State;
use super::bindings::ampoule::host::binding;
use super::operations::{Outcome, Work};
use crate::binding::Refused;
use crate::limits::BINDING_ARGUMENTS_BYTES_MAX;

impl binding::Host for State {
    fn names(&mut self) -> wasmtime::Result<Vec<String>> {
        let grant = self.grants.bindings.as_ref();
        Ok(grant.map(crate::binding::Grant::names).unwrap_or_default())
    }

    fn begin(&mut self, name: String, arguments: String) -> wasmtime::Result<u32> {
        self.count_host_call();
        let work: Work = match self.prepare_call(&name, arguments) {
            Ok(work) => work,
            Err(refused) => Box::pin(async { Outcome::Called(Err(refused)) }),
        };
        self.operations.begin(work)
    }

    fn finish(&mut self, operation: u32) -> wasmtime::Result<Result<String, binding::Error>> {
        match self.operations.take(operation)? {
            Outcome::Called(result) => Ok(result.map_err(|refused| binding::Error {
                code: refused.code,
                message: refused.message,
            })),
            _ => bail!("operation {operation} is not a call of a binding"),
        }
    }
}

impl State {
    fn prepare_call(&mut self, name: &str, arguments: String) -> Result<Work, Refused> {
        let Some(grant) = self.grants.bindings.clone() else {
            return Err(Refused::new(
                "binding_not_found",
                "this function has no bindings",
            ));
        };
        if arguments.len() > BINDING_ARGUMENTS_BYTES_MAX {
            let message =
                format!("{name}: more than {BINDING_ARGUMENTS_BYTES_MAX} bytes of arguments");
            return Err(Refused::new("arguments_too_large", message));
        }
        self.take_subrequest()
            .map_err(|(code, message)| Refused::new(code, message))?;
        let call = grant.call(name, arguments);
        Ok(Box::pin(async move { Outcome::Called(call.await) }))
    }
}
