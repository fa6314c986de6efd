//! lnd over gRPC.
//!
//! - A connection is opened explicitly and its first call is `GetInfo`; no answer counts without
//!   the identity that was shown on its connection. Nothing is retried, hedged or reconnected.
//! - Every `SendPaymentV2` carries a macaroon that lnd refuses from the send's deadline on.
//! - No error means that a payment failed.
//!
//! Absent on purpose: an amount beside an invoice (which carries it) and `cancelable` (a payment must
//! survive its client).

mod answers;
mod health;
mod htlcs;
mod listing;
mod options;
mod proto;
mod sends;
mod transport;

#[cfg(test)]
mod lab_tests;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;

use self::{
    options::PaymentTerms,
    proto::{
        lnrpc::{GetInfoRequest, ListChannelsRequest, Payment, PendingChannelsRequest},
        routerrpc::{SendPaymentRequest, TrackPaymentRequest},
    },
    transport::{Connector, Keeper, Link, authorised, within},
};
pub use self::{
    options::{InvalidLndOption, LndOptions},
    transport::{CredentialFiles, InvalidMacaroon, Macaroon},
};
use crate::{
    domain::{NodeId, PaymentHash, Timestamp, TroubleKind},
    ports::{
        Connection, Introduction, LightningNode, LookUp, NodeError, NodeHealth, NodeTraits,
        PaymentsPage, PaymentsQuery, SendOrder, SendStream, WitnessOrder,
    },
};

/// What a write witness asks for, in vain: a satoshi.
const WITNESS_MSAT: i64 = 1000;

/// How lnd says that a payment may lock money for longer than its `max-cltv-expiry`.
const ABOVE_ITS_LIMIT: &str = "total time lock of ";
/// The hash of no payment.
const NO_PAYMENT: PaymentHash = PaymentHash::from_bytes(*b"withdrawd asks if it may look up");

/// An lnd.
pub struct LndNode {
    connector: Connector,
    terms: PaymentTerms,
    call_timeout: Duration,
}

impl LndNode {
    /// Checks the options. Connects to nothing yet. With `files` the credentials are read again when
    /// lnd does not take them any more.
    pub fn new(
        options: &LndOptions,
        files: Option<CredentialFiles>,
    ) -> Result<Self, InvalidLndOption> {
        let keeper = Keeper::new(options.credentials()?, files);
        Ok(Self {
            connector: Connector::new(options.target()?, keeper),
            terms: options.payment_terms()?,
            call_timeout: options.call_timeout,
        })
    }

    /// What lnd knows of a payment, if it knows it.
    async fn known(&self, link: &Link, hash: PaymentHash) -> Result<Option<Payment>, NodeError> {
        let request = TrackPaymentRequest {
            payment_hash: hash.as_bytes().to_vec(),
            no_inflight_updates: false,
        };
        let request = authorised(request, link.macaroon())?;
        let first = within(self.call_timeout, self.track(link, request))
            .await
            .map_err(|error| link.heed(error))?;
        match first {
            Ok(Some(payment)) => Ok(Some(payment)),
            Ok(None) => Err(answers::garbled("a look-up without an answer")),
            Err(status) => {
                answers::look_up_refusal(&status).map(|()| None).map_err(|error| link.heed(error))
            }
        }
    }

    /// The first message is the payment as it stands; the stream is dropped after it.
    async fn track(
        &self,
        link: &Link,
        request: tonic::Request<TrackPaymentRequest>,
    ) -> Result<Option<Payment>, tonic::Status> {
        let mut messages = link.router().track_payment_v2(request).await?.into_inner();
        messages.message().await
    }

    /// The answer to a call that says nothing of a payment under way.
    async fn answer<T>(
        &self,
        link: &Link,
        name: &'static str,
        call: impl Future<Output = Result<tonic::Response<T>, tonic::Status>>,
    ) -> Result<T, NodeError> {
        let answer = within(self.call_timeout, call).await.map_err(|error| link.heed(error))?;
        answer
            .map(tonic::Response::into_inner)
            .map_err(|status| link.heed(answers::call_error(&status, name)))
    }

    /// What is not permitted, and has to be, may be permitted by a newer macaroon.
    async fn needed<T>(&self, link: &Link, answer: Result<T, NodeError>) -> Result<T, NodeError> {
        if matches!(answer, Err(NodeError::NotPermitted(_))) && self.connector.refresh().await {
            link.retire();
        }
        answer
    }

    /// Asks lnd to pay nothing to nobody, on the terms of all payments: it checks the macaroon first, then
    /// the terms, and then refuses before it stores anything (v0.21: "invalid vertex length of 0, want
    /// 33").
    async fn try_to_send(&self, link: &Link) -> Result<(), NodeError> {
        let nothing = SendPaymentRequest {
            cltv_limit: self.terms.cltv_limit,
            ..SendPaymentRequest::default()
        };
        let ask = authorised(nothing, link.macaroon())?;
        let mut router = link.router();
        let refused = async {
            match router.send_payment_v2(ask).await {
                Err(status) => Some(status),
                Ok(messages) => messages.into_inner().message().await.err(),
            }
        };
        let refused = within(self.call_timeout, refused).await.map_err(|error| link.heed(error))?;
        match refused.map(|status| answers::call_error(&status, "SendPaymentV2")) {
            Some(NodeError::Refused(why)) if why.contains(ABOVE_ITS_LIMIT) => {
                Err(NodeError::Barred(TroubleKind::CltvLimit.into()))
            }
            None | Some(NodeError::Refused(_)) => Ok(()),
            Some(error) => Err(link.heed(error)),
        }
    }

    /// The connection to ask for a payment on: to this node, and on this connection if it matters.
    async fn link_to(
        &self,
        node: &NodeId,
        connection: Option<Connection>,
    ) -> Result<Arc<Link>, NodeError> {
        let link = self.connector.link().await?;
        let found = link.introduction();
        if found.id != *node {
            return Err(NodeError::OtherNode { found: found.id.clone(), expected: node.clone() });
        }
        if connection.is_some_and(|connection| connection != found.connection) {
            return Err(NodeError::OtherConnection);
        }
        Ok(link)
    }

    /// Asks for a payment, unless the wrong node is at the other end.
    async fn start(
        &self,
        request: SendPaymentRequest,
        (node, connection): (&NodeId, Option<Connection>),
        send_deadline: Timestamp,
    ) -> Result<SendStream, NodeError> {
        let link = self.link_to(node, connection).await?;
        let request = authorised(request, &link.macaroon().until(send_deadline))?;
        Ok(sends::stream(link, request, self.call_timeout))
    }

    /// What all payments have in common.
    const fn request(&self) -> SendPaymentRequest {
        SendPaymentRequest {
            dest: Vec::new(),
            payment_hash: Vec::new(),
            payment_request: String::new(),
            timeout_seconds: self.terms.timeout_seconds,
            cltv_limit: self.terms.cltv_limit,
            amt_msat: 0,
            fee_limit_msat: 0,
            max_parts: self.terms.max_parts,
            no_inflight_updates: false,
            cancelable: false,
        }
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
        Ok(self.connector.link().await?.introduction().clone())
    }

    async fn look_up(&self, hash: PaymentHash) -> Result<LookUp, NodeError> {
        let link = self.connector.link().await?;
        let found = self.known(&link, hash).await?;
        let record = found.as_ref().map(answers::record).transpose()?;
        let Introduction { id, connection, .. } = link.introduction().clone();
        Ok(LookUp { record, node: id, connection })
    }

    async fn health(&self) -> Result<NodeHealth, NodeError> {
        let link = self.connector.link().await?;
        let mut node = link.lightning();
        let ask = authorised(GetInfoRequest {}, link.macaroon())?;
        let info = self.answer(&link, "GetInfo", node.get_info(ask)).await?;
        let ask = authorised(ListChannelsRequest { active_only: true }, link.macaroon())?;
        let listed = self.answer(&link, "ListChannels", node.list_channels(ask)).await;
        let channels = self.needed(&link, listed).await?.channels;
        Ok(health::of(link.introduced_again(&info)?, info.synced_to_chain, &channels))
    }

    async fn try_permissions(&self) -> Result<(), NodeError> {
        let link = self.connector.link().await?;
        // A macaroon permits what it did when it was baked.
        if link.is_permitted() {
            return Ok(());
        }
        let tried = self.try_to_send(&link).await;
        self.needed(&link, tried).await?;
        let tried = self.known(&link, NO_PAYMENT).await;
        self.needed(&link, tried).await?;
        link.permit();
        Ok(())
    }

    async fn has_htlc(&self, hash: PaymentHash) -> Result<bool, NodeError> {
        let link = self.connector.link().await?;
        let mut node = link.lightning();
        // In this order: what is tried meanwhile shows in a channel, and no channel is missed that
        // begins to close meanwhile.
        let payment = self.known(&link, hash).await?;
        let ask = authorised(ListChannelsRequest { active_only: false }, link.macaroon())?;
        let channels = self.answer(&link, "ListChannels", node.list_channels(ask)).await?.channels;
        let ask = authorised(PendingChannelsRequest {}, link.macaroon())?;
        let pending = self.answer(&link, "PendingChannels", node.pending_channels(ask)).await?;
        Ok(htlcs::may_be_out(hash, payment.as_ref(), &channels, &pending))
    }

    async fn payments(&self, query: PaymentsQuery) -> Result<PaymentsPage, NodeError> {
        let link = self.connector.link().await?;
        let mut node = link.lightning();
        let mut after_index = query.after_index;
        let payments = loop {
            // lnd calls that an error.
            if query.created_from > query.created_to {
                break Vec::new();
            }
            let ask = authorised(listing::request(&query, after_index), link.macaroon())?;
            let listed =
                self.answer(&link, "ListPayments", node.list_payments(ask)).await?.payments;
            let Some(last) = listed.last() else { break Vec::new() };
            after_index = listing::next_after(after_index, last)?;
            let payments = listing::within(&query, &listed)?;
            // lnd counts in seconds: a page may hold nothing that was asked for, and not be the last.
            if !payments.is_empty() {
                break payments;
            }
        };
        let Introduction { id, connection, .. } = link.introduction().clone();
        Ok(PaymentsPage { payments, node: id, connection })
    }

    async fn send(&self, order: SendOrder) -> SendStream {
        let request = SendPaymentRequest {
            payment_request: order.invoice,
            fee_limit_msat: order.fee_limit.get(),
            ..self.request()
        };
        let to = (&order.node, Some(order.connection));
        self.start(request, to, order.send_deadline).await.unwrap_or_else(sends::unsent)
    }

    async fn witness(&self, order: WitnessOrder) -> SendStream {
        let request = SendPaymentRequest {
            dest: [&[2][..], &order.keys.payee].concat(),
            payment_hash: order.keys.payment_hash.as_bytes().to_vec(),
            amt_msat: WITNESS_MSAT,
            ..self.request()
        };
        let to = (&order.node, None);
        self.start(request, to, order.send_deadline).await.unwrap_or_else(sends::unsent)
    }
}
