//! Who calls: put into each request by the layer around the services, read by its handler.

use tonic::Request;

use crate::domain::Principal;

/// Who calls, as the layer found; without a word of it nobody that has a name.
pub fn of<T>(request: &Request<T>) -> Principal {
    request.extensions().get().copied().unwrap_or(Principal::Unnamed)
}
