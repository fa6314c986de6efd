//! The client of `PaymentService`: what operators ask on the command line.

use tonic::transport::Channel;

use super::{ClientError, answer, channel};
use crate::pb::{
    GetPaymentRequest, ListPaymentsRequest, ListPaymentsResponse, Payment, ResolvePaymentRequest,
    payment::State as WireState,
    payment_service_client::PaymentServiceClient,
    resolve_payment_request::{Failed, Outcome as WireOutcome, Paid},
};

/// What `withdrawd payments` asks for. Empty is any.
#[derive(Clone, Debug, Default)]
pub struct PaymentPage {
    /// 0 for the default.
    pub size: i32,
    /// Empty for the first page.
    pub token: String,
    /// The name of a state.
    pub state: String,
    /// Of this withdraw request.
    pub withdraw: String,
    /// In hex.
    pub payment_hash: String,
    /// BOLT11.
    pub invoice: String,
    /// Open ones, accepted at least so many seconds ago.
    pub open_for_s: Option<i64>,
    /// Failed ones that were paid after all.
    pub late_success: bool,
}

/// What `withdrawd resolve` asks for.
#[derive(Clone, Debug)]
pub struct Resolving {
    /// `pay_…`
    pub payment: String,
    /// How it ended.
    pub ending: Ending,
    /// Who decides.
    pub operator: String,
    /// Why.
    pub reason: String,
}

/// How a payment ended, as the operator says.
#[derive(Clone)]
pub enum Ending {
    /// It was paid.
    Paid {
        /// The proof, in hex.
        preimage: String,
        /// What routing cost.
        fee_msat: Option<i64>,
    },
    /// It was not.
    Failed {
        /// The node is gone.
        node_unreachable: bool,
        /// The payee says so too.
        payee_unpaid: bool,
        /// No channel holds what the node calls in flight.
        stranded: bool,
    },
}

/// Until the payment is settled everywhere, its proof is a secret.
impl std::fmt::Debug for Ending {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Paid { .. } => f.write_str("Paid"),
            Self::Failed { .. } => f.write_str("Failed"),
        }
    }
}

/// A connection to a running service, for operators.
#[derive(Clone, Debug)]
pub struct PaymentClient(PaymentServiceClient<Channel>);

impl PaymentClient {
    /// Connects to `http://HOST:PORT`.
    pub async fn connect(server: &str) -> Result<Self, ClientError> {
        Ok(Self(PaymentServiceClient::new(channel(server).await?)))
    }

    /// Shows one, with its sends.
    pub async fn get(&mut self, id: &str) -> Result<Payment, ClientError> {
        answer(self.0.get_payment(GetPaymentRequest { id: id.to_owned() }).await)
    }

    /// A page and the token of the next one.
    pub async fn list(&mut self, page: PaymentPage) -> Result<ListPaymentsResponse, ClientError> {
        let state = match page.state.as_str() {
            "" => WireState::Unspecified,
            name => WireState::from_str_name(&name.to_ascii_uppercase())
                .filter(|state| *state != WireState::Unspecified)
                .ok_or(ClientError::State)?,
        };
        let age = |seconds| prost_types::Duration { seconds, nanos: 0 };
        let request = ListPaymentsRequest {
            page_size: page.size,
            page_token: page.token,
            state: state.into(),
            withdraw_id: page.withdraw,
            payment_hash: page.payment_hash,
            invoice: page.invoice,
            open_longer_than: page.open_for_s.map(age),
            late_success: page.late_success,
            ..ListPaymentsRequest::default()
        };
        answer(self.0.list_payments(request).await)
    }

    /// Ends one that is in doubt.
    pub async fn resolve(&mut self, resolving: Resolving) -> Result<Payment, ClientError> {
        let (outcome, confirmed) = match resolving.ending {
            Ending::Paid { preimage, fee_msat } => {
                (WireOutcome::Paid(Paid { preimage, fee_msat }), [false; 3])
            }
            Ending::Failed { node_unreachable, payee_unpaid, stranded } => {
                (WireOutcome::Failed(Failed {}), [node_unreachable, payee_unpaid, stranded])
            }
        };
        let [confirm_node_unreachable, confirm_payee_unpaid, confirm_stranded] = confirmed;
        let request = ResolvePaymentRequest {
            id: resolving.payment,
            operator: resolving.operator,
            reason: resolving.reason,
            outcome: Some(outcome),
            confirm_node_unreachable,
            confirm_payee_unpaid,
            confirm_stranded,
        };
        answer(self.0.resolve_payment(request).await)
    }
}
