//! The response streams of `SendPaymentV2`.
//!
//! lnd sends nothing, not even headers, before it has stored the payment; its database may keep it
//! waiting for any time. The call is never given up: what it will do it does, and its answer is the best
//! proof there is of that. Only the *connection* is not used for further calls when an answer is overdue.

use std::{sync::Arc, time::Duration};

use futures_util::{FutureExt, StreamExt, stream};
use tonic::{Request, Status, Streaming};

use super::{
    answers,
    proto::{lnrpc::Payment, routerrpc::SendPaymentRequest},
    transport::Link,
};
use crate::ports::{NodeError, SendStream, SendUpdate};

/// The stream of a call that was not made.
pub(super) fn unsent(error: NodeError) -> SendStream {
    Box::pin(stream::iter([SendUpdate::Unsent(error)]))
}

/// Makes the call, and tells what lnd says, up to the first item that ends it.
pub(super) fn stream(
    link: Arc<Link>,
    request: Request<SendPaymentRequest>,
    call_timeout: Duration,
) -> SendStream {
    let messages = async move {
        match begin(&link, request, call_timeout).await {
            Ok(messages) => updates(link, messages),
            Err(status) => {
                let update = ended(&link, &status);
                Box::pin(stream::iter([update])) as SendStream
            }
        }
    };
    Box::pin(messages.into_stream().flatten())
}

async fn begin(
    link: &Link,
    request: Request<SendPaymentRequest>,
    call_timeout: Duration,
) -> Result<Streaming<Payment>, Status> {
    let mut router = link.router();
    let mut call = std::pin::pin!(router.send_payment_v2(request));
    let answer = match tokio::time::timeout(call_timeout, &mut call).await {
        Ok(answer) => answer,
        Err(_overdue) => {
            link.heed(NodeError::Timeout);
            call.await
        }
    };
    answer.map(tonic::Response::into_inner)
}

fn updates(link: Arc<Link>, messages: Streaming<Payment>) -> SendStream {
    Box::pin(stream::unfold(Some(messages), move |messages| {
        let link = Arc::clone(&link);
        async move {
            let mut messages = messages?;
            let update = match messages.message().await {
                Ok(Some(payment)) => answers::update(&payment),
                Ok(None) => {
                    SendUpdate::Lost(answers::garbled("the stream ended before the payment"))
                }
                Err(status) => ended(&link, &status),
            };
            let rest = (!answers::ends_stream(&update)).then_some(messages);
            Some((update, rest))
        }
    }))
}

fn ended(link: &Link, status: &Status) -> SendUpdate {
    match answers::send_refusal(status) {
        SendUpdate::Lost(error) => SendUpdate::Lost(link.heed(error)),
        update => update,
    }
}
