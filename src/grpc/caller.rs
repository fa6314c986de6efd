//! Who calls: stored in each request by the layer around the services, read by its handler.

use tonic::Request;

use crate::domain::Principal;

/// The caller that the layer stored; unnamed if there is none.
pub fn of<T>(request: &Request<T>) -> Principal {
    request.extensions().get().copied().unwrap_or(Principal::Unnamed)
}
