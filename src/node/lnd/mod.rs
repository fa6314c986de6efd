//! lnd over gRPC.
//!
//! - `GetInfo` is the first call on every connection. No answer counts without the identity shown there.
//!   Nothing is retried, hedged or reconnected.
//! - Every `SendPaymentV2` carries a macaroon that lnd refuses from the send's deadline on.
//! - No error means that a payment failed.
//!
//! Two fields of `SendPaymentV2` are never set: an amount beside an invoice, which contains it, and
//! `cancelable`, since a payment must survive its client.

mod errors;
mod health;
mod htlcs;
mod listing;
mod options;
mod permissions;
mod proto;
mod records;
mod sends;
mod transport;

#[cfg(test)]
mod lab_tests;

use std::time::Duration;

use async_trait::async_trait;

use self::{
    options::PaymentTerms,
    proto::{
        lnrpc::{GetInfoRequest, ListChannelsRequest, Payment, PendingChannelsRequest},
        routerrpc::TrackPaymentRequest,
    },
    transport::{Connector, CredentialStore, LndConnection, with_macaroon, with_timeout},
};
pub use self::{
    options::{InvalidLndOption, LndOptions, check_endpoint},
    transport::{CredentialFiles, InvalidMacaroon, Macaroon},
};
use crate::{
    domain::PaymentHash,
    ports::{
        Introduction, LightningNode, LookupReply, NodeError, NodeHealth, NodeTraits, PaymentsPage,
        PaymentsQuery, SendOrder, SendStream, WitnessOrder,
    },
};

/// An lnd.
pub struct LndNode {
    connector: Connector,
    terms: PaymentTerms,
    call_timeout: Duration,
}

impl LndNode {
    /// Checks the options, and does not connect yet. With `files`, the credentials are read again before
    /// every connection.
    pub fn new(
        options: &LndOptions,
        files: Option<CredentialFiles>,
    ) -> Result<Self, InvalidLndOption> {
        let credentials = CredentialStore::new(options.credentials()?, files);
        Ok(Self {
            connector: Connector::new(options.target()?, credentials),
            terms: options.payment_terms()?,
            call_timeout: options.call_timeout,
        })
    }

    /// The payment in lnd's database, if there is one.
    async fn find_payment(
        &self,
        connection: &LndConnection,
        hash: PaymentHash,
    ) -> Result<Option<Payment>, NodeError> {
        let request = TrackPaymentRequest {
            payment_hash: hash.as_bytes().to_vec(),
            no_inflight_updates: false,
        };
        let request = with_macaroon(request, connection.macaroon())?;
        let mut router = connection.router();
        // The first message is the current state. The stream is dropped after it.
        let first = async { router.track_payment_v2(request).await?.into_inner().message().await };
        let first = with_timeout(self.call_timeout, first)
            .await
            .map_err(|error| connection.retire_on(error))?;
        match first {
            Ok(Some(payment)) => Ok(Some(payment)),
            Ok(None) => Err(errors::garbled("a lookup without an answer")),
            Err(status) => errors::confirm_not_found(&status)
                .map(|()| None)
                .map_err(|error| connection.retire_on(error)),
        }
    }

    /// The answer to a call without effects.
    async fn query<T>(
        &self,
        connection: &LndConnection,
        name: &'static str,
        call: impl Future<Output = Result<tonic::Response<T>, tonic::Status>>,
    ) -> Result<T, NodeError> {
        let answer = with_timeout(self.call_timeout, call)
            .await
            .map_err(|error| connection.retire_on(error))?;
        answer
            .map(tonic::Response::into_inner)
            .map_err(|status| connection.retire_on(errors::call_error(&status, name)))
    }
}

#[async_trait]
impl LightningNode for LndNode {
    fn traits(&self) -> NodeTraits {
        NodeTraits {
            backend: "lnd",
            simulated: false,
            refuses_late_sends: true,
            refuses_expired_invoices: true,
            dedupes_by_hash: true,
        }
    }

    async fn introduce(&self) -> Result<Introduction, NodeError> {
        Ok(self.connector.connection().await?.introduction().clone())
    }

    async fn look_up(&self, hash: PaymentHash) -> Result<LookupReply, NodeError> {
        let connection = self.connector.connection().await?;
        let payment = self.find_payment(&connection, hash).await?;
        let record = payment.as_ref().map(records::record).transpose()?;
        let Introduction { id, connection, .. } = connection.introduction().clone();
        Ok(LookupReply { record, node: id, connection })
    }

    async fn health(&self) -> Result<NodeHealth, NodeError> {
        let connection = self.connector.connection().await?;
        let mut node = connection.lightning();
        let request = with_macaroon(GetInfoRequest {}, connection.macaroon())?;
        let info = self.query(&connection, "GetInfo", node.get_info(request)).await?;
        let request =
            with_macaroon(ListChannelsRequest { active_only: true }, connection.macaroon())?;
        let listed = self.query(&connection, "ListChannels", node.list_channels(request)).await;
        let channels = self.reload_if_not_permitted(&connection, listed).await?.channels;
        let introduction = connection.confirm_identity(&info)?;
        Ok(health::node_health(introduction, info.synced_to_chain, &channels))
    }

    async fn try_permissions(&self) -> Result<(), NodeError> {
        self.check_permissions().await
    }

    async fn has_htlc(&self, hash: PaymentHash) -> Result<bool, NodeError> {
        let connection = self.connector.connection().await?;
        let mut node = connection.lightning();
        // The order matters. An attempt made after the first answer shows in a channel, and a channel that
        // begins to close after the second shows in the third.
        let payment = self.find_payment(&connection, hash).await?;
        let request =
            with_macaroon(ListChannelsRequest { active_only: false }, connection.macaroon())?;
        let channels =
            self.query(&connection, "ListChannels", node.list_channels(request)).await?.channels;
        let request = with_macaroon(PendingChannelsRequest {}, connection.macaroon())?;
        let pending =
            self.query(&connection, "PendingChannels", node.pending_channels(request)).await?;
        Ok(htlcs::may_be_in_flight(hash, payment.as_ref(), &channels, &pending))
    }

    async fn payments(&self, query: PaymentsQuery) -> Result<PaymentsPage, NodeError> {
        let connection = self.connector.connection().await?;
        let mut node = connection.lightning();
        let mut after_index = query.after_index;
        let payments = loop {
            // lnd refuses such bounds.
            if query.created_from > query.created_to {
                break Vec::new();
            }
            let request =
                with_macaroon(listing::request(&query, after_index), connection.macaroon())?;
            let page = self.query(&connection, "ListPayments", node.list_payments(request)).await?;
            let Some(last) = page.payments.last() else { break Vec::new() };
            after_index = listing::next_after(after_index, last)?;
            let payments = listing::matching(&query, &page.payments)?;
            // lnd's bounds are whole seconds: a page may contain no match and still not be the last.
            if !payments.is_empty() {
                break payments;
            }
        };
        let Introduction { id, connection, .. } = connection.introduction().clone();
        Ok(PaymentsPage { payments, node: id, connection })
    }

    async fn send(&self, order: SendOrder) -> SendStream {
        self.send_order(order).await
    }

    async fn witness(&self, order: WitnessOrder) -> SendStream {
        self.send_witness(order).await
    }
}
