//! Sends a payment, and follows it on the stream of `SendPaymentV2`.
//!
//! lnd answers nothing, not even headers, before it has stored the payment, and its database may delay that
//! for any time. The call is never cancelled: that would undo nothing, and its answer is the best evidence of
//! what it did. When the answer is overdue, the connection is retired: new calls use another one, and this
//! call goes on.

use std::{sync::Arc, time::Duration};

use futures_util::{FutureExt, StreamExt, stream};
use tonic::{Request, Status, Streaming};

use super::{
    LndNode, errors,
    proto::{lnrpc::Payment, routerrpc::SendPaymentRequest},
    records,
    transport::{LndConnection, with_macaroon},
};
use crate::{
    domain::{NodeId, Timestamp},
    ports::{Connection, NodeError, SendOrder, SendStream, SendUpdate, WitnessOrder},
};

/// What a write witness asks lnd to pay.
const WITNESS_MSAT: i64 = 1000;

impl LndNode {
    pub(super) async fn send_order(&self, order: SendOrder) -> SendStream {
        let request = SendPaymentRequest {
            payment_request: order.invoice,
            fee_limit_msat: order.fee_limit.get(),
            ..self.payment_request()
        };
        let connection = Some(order.connection);
        self.send_payment(request, &order.node, connection, order.send_deadline).await
    }

    pub(super) async fn send_witness(&self, order: WitnessOrder) -> SendStream {
        let request = SendPaymentRequest {
            dest: [&[2][..], &order.keys.payee].concat(),
            payment_hash: order.keys.payment_hash.as_bytes().to_vec(),
            amt_msat: WITNESS_MSAT,
            ..self.payment_request()
        };
        self.send_payment(request, &order.node, None, order.send_deadline).await
    }

    /// The fields that all payments share.
    pub(super) const fn payment_request(&self) -> SendPaymentRequest {
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

    /// Sends only to this `node`, and only on this `connection` if one is given.
    async fn send_payment(
        &self,
        request: SendPaymentRequest,
        node: &NodeId,
        connection: Option<Connection>,
        deadline: Timestamp,
    ) -> SendStream {
        let prepared = async {
            let connection = self.connection_to(node, connection).await?;
            let request = with_macaroon(request, &connection.macaroon().until(deadline))?;
            Ok((connection, request))
        };
        match prepared.await {
            Ok((connection, request)) => follow(connection, request, self.call_timeout),
            Err(error) => Box::pin(stream::iter([SendUpdate::Unsent(error)])),
        }
    }

    async fn connection_to(
        &self,
        node: &NodeId,
        number: Option<Connection>,
    ) -> Result<Arc<LndConnection>, NodeError> {
        let connection = self.connector.connection().await?;
        let shown = connection.introduction();
        if shown.id != *node {
            return Err(NodeError::OtherNode { found: shown.id.clone(), expected: node.clone() });
        }
        if number.is_some_and(|number| number != shown.connection) {
            return Err(NodeError::OtherConnection);
        }
        Ok(connection)
    }
}

/// Makes the call, and yields lnd's updates up to the first final one.
fn follow(
    connection: Arc<LndConnection>,
    request: Request<SendPaymentRequest>,
    call_timeout: Duration,
) -> SendStream {
    let messages = async move {
        match first_answer(&connection, request, call_timeout).await {
            Ok(messages) => updates(connection, messages),
            Err(status) => {
                let update = error_update(&connection, &status);
                Box::pin(stream::iter([update])) as SendStream
            }
        }
    };
    Box::pin(messages.into_stream().flatten())
}

async fn first_answer(
    connection: &LndConnection,
    request: Request<SendPaymentRequest>,
    call_timeout: Duration,
) -> Result<Streaming<Payment>, Status> {
    let mut router = connection.router();
    let mut call = std::pin::pin!(router.send_payment_v2(request));
    let answer = match tokio::time::timeout(call_timeout, &mut call).await {
        Ok(answer) => answer,
        Err(_overdue) => {
            connection.retire_on(NodeError::Timeout);
            call.await
        }
    };
    answer.map(tonic::Response::into_inner)
}

fn updates(connection: Arc<LndConnection>, messages: Streaming<Payment>) -> SendStream {
    Box::pin(stream::unfold(Some(messages), move |messages| {
        let connection = Arc::clone(&connection);
        async move {
            let mut messages = messages?;
            let update = match messages.message().await {
                Ok(Some(payment)) => records::update(&payment),
                Ok(None) => {
                    SendUpdate::Lost(errors::garbled("the stream ended before the payment"))
                }
                Err(status) => error_update(&connection, &status),
            };
            let rest = (!records::is_final(&update)).then_some(messages);
            Some((update, rest))
        }
    }))
}

fn error_update(connection: &LndConnection, status: &Status) -> SendUpdate {
    match errors::send_update(status) {
        SendUpdate::Lost(error) => SendUpdate::Lost(connection.retire_on(error)),
        update => update,
    }
}
