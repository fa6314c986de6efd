//! Finds out what a macaroon permits, by calls without effect.

use super::{
    LndNode, errors,
    proto::routerrpc::SendPaymentRequest,
    transport::{LndConnection, with_macaroon, with_timeout},
};
use crate::{
    domain::{PaymentHash, TroubleKind},
    ports::NodeError,
};

/// lnd's error when `cltv_limit` exceeds its own `max-cltv-expiry`.
const ABOVE_MAX_CLTV: &str = "total time lock of ";
/// The hash of no payment.
const UNKNOWN_HASH: PaymentHash = PaymentHash::from_bytes(*b"withdrawd asks if it may look up");

impl LndNode {
    /// Checks the permissions for sends and lookups, once per connection.
    pub(super) async fn check_permissions(&self) -> Result<(), NodeError> {
        let connection = self.connector.connection().await?;
        // What a macaroon permits never changes.
        if connection.is_permitted() {
            return Ok(());
        }
        let checked = self.check_send(&connection).await;
        self.reload_if_not_permitted(&connection, checked).await?;
        let checked = self.find_payment(&connection, UNKNOWN_HASH).await;
        self.reload_if_not_permitted(&connection, checked).await?;
        connection.set_permitted();
        Ok(())
    }

    /// Reloads the credentials if `answer` is not permitted: a newer macaroon may permit it.
    pub(super) async fn reload_if_not_permitted<T>(
        &self,
        connection: &LndConnection,
        answer: Result<T, NodeError>,
    ) -> Result<T, NodeError> {
        if matches!(answer, Err(NodeError::NotPermitted(_)))
            && self.connector.reload_credentials().await
        {
            connection.retire();
        }
        answer
    }

    /// Sends a request without a payee.
    ///
    /// lnd checks first the macaroon and then the limits. Then it refuses the request before it stores
    /// anything (v0.21: "invalid vertex length of 0, want 33").
    async fn check_send(&self, connection: &LndConnection) -> Result<(), NodeError> {
        let without_payee = SendPaymentRequest {
            cltv_limit: self.terms.cltv_limit,
            ..SendPaymentRequest::default()
        };
        let request = with_macaroon(without_payee, connection.macaroon())?;
        let mut router = connection.router();
        let error = async {
            match router.send_payment_v2(request).await {
                Err(status) => Some(status),
                Ok(messages) => messages.into_inner().message().await.err(),
            }
        };
        let error = with_timeout(self.call_timeout, error)
            .await
            .map_err(|error| connection.retire_on(error))?;
        match error.map(|status| errors::call_error(&status, "SendPaymentV2")) {
            Some(NodeError::Refused(why)) if why.contains(ABOVE_MAX_CLTV) => {
                Err(NodeError::Barred(TroubleKind::CltvLimit.into()))
            }
            None | Some(NodeError::Refused(_)) => Ok(()),
            Some(error) => Err(connection.retire_on(error)),
        }
    }
}
