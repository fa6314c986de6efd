//! The gRPC client that the command line uses.

mod connect;
mod json;
mod operations;
mod payments;
mod reconcile;

use prost_types::Timestamp;
use tonic::{Code, Status, transport::Channel};
use tonic_types::StatusExt;

use connect::channel;

use crate::pb::{
    CreateWithdrawRequest, DeactivateWithdrawRequest, GetWithdrawRequest, ListWithdrawsRequest,
    ListWithdrawsResponse, withdraw::Status as WireStatus,
    withdraw_service_client::WithdrawServiceClient,
};

pub use crate::pb::{Instance, NodePayment, Payment, ReconcileLine, Withdraw};
pub use json::to_json;
pub use operations::{Operations, Pair, Signed};
pub use payments::{Ending, PaymentClient, PaymentPage, Resolving};
pub use reconcile::{HEADER, Instant};

/// Why a call failed, for a person.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// `--server` is no URL.
    #[error("--server must be an address such as http://127.0.0.1:50051")]
    Server,
    /// `--status` is none.
    #[error("--status must be ACTIVE, PAID or DEACTIVATED")]
    Status,
    /// `--state` is none.
    #[error("--state must be RESERVED, SENDING, IN_FLIGHT, PAID, FAILED or NEEDS_OPERATOR")]
    State,
    /// `--pass-thru` is none.
    #[error("--pass-thru must be a JSON object, such as '{{\"order\": 17}}' ({0})")]
    PassThru(String),
    /// A message has no JSON: a time beyond the year 9999, say.
    #[error("the answer cannot be written as JSON: {0}")]
    Json(String),
    /// Nobody answers, or not as a gRPC server does.
    #[error("cannot reach {server}: {why}; {advice}")]
    Unreachable {
        /// Where.
        server: String,
        /// What went wrong there.
        why: String,
        /// What to try.
        advice: &'static str,
    },
    /// The service said no.
    #[error("{code}: {text}")]
    Refused {
        /// The gRPC code and the reason.
        code: String,
        /// With every bad field.
        text: String,
    },
}

/// What `withdrawd create` asks for.
#[derive(Clone, Debug, Default)]
pub struct NewWithdraw {
    /// Empty for none.
    pub request_id: String,
    /// Empty for a fixed amount.
    pub min_amount: String,
    /// Required.
    pub max_amount: String,
    /// Empty for SATS.
    pub currency: String,
    /// Absent for the default.
    pub ttl_s: Option<i64>,
    /// Shown by wallets.
    pub memo: String,
    /// A note about the account.
    pub statement_descriptor: String,
    /// The creator's own data, a JSON object; empty for none.
    pub pass_thru: String,
}

/// What `withdrawd list` asks for.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// 0 for the default.
    pub size: i32,
    /// Empty for the first page.
    pub token: String,
    /// ACTIVE, PAID or DEACTIVATED; empty for any.
    pub status: String,
    /// Only those that can, or cannot, be claimed.
    pub claimable: Option<bool>,
    /// Only the one made with this request id; empty for any.
    pub request_id: String,
    /// Only those made then or later.
    pub created_after: Option<Instant>,
    /// Only those made before.
    pub created_before: Option<Instant>,
}

impl Page {
    /// Whether it asks for less than all from the first on.
    pub fn is_filtered(&self) -> bool {
        let Self { token, status, claimable, request_id, created_after, created_before, .. } = self;
        [token, status, request_id].iter().any(|text| !text.is_empty())
            || claimable.is_some()
            || created_after.is_some()
            || created_before.is_some()
    }
}

/// A connection to a running service.
#[derive(Clone, Debug)]
pub struct Client(WithdrawServiceClient<Channel>);

impl Client {
    /// Connects to `http://HOST:PORT`.
    pub async fn connect(server: &str) -> Result<Self, ClientError> {
        Ok(Self(WithdrawServiceClient::new(channel(server).await?)))
    }

    /// Makes one.
    pub async fn create(&mut self, new: NewWithdraw) -> Result<Withdraw, ClientError> {
        let pass_thru = Some(new.pass_thru).filter(|text| !text.is_empty());
        let pass_thru = pass_thru.map(|text| json::read_object(&text)).transpose()?;
        let request = CreateWithdrawRequest {
            request_id: new.request_id,
            min_amount: new.min_amount,
            max_amount: new.max_amount,
            currency: new.currency,
            ttl: new.ttl_s.map(|seconds| prost_types::Duration { seconds, nanos: 0 }),
            memo: new.memo,
            statement_descriptor: new.statement_descriptor,
            pass_thru,
        };
        answer(self.0.create_withdraw(request).await)
    }

    /// Shows one.
    pub async fn get(&mut self, id: &str) -> Result<Withdraw, ClientError> {
        answer(self.0.get_withdraw(GetWithdrawRequest { id: id.to_owned() }).await)
    }

    /// Ends one.
    pub async fn deactivate(&mut self, id: &str) -> Result<Withdraw, ClientError> {
        let request = DeactivateWithdrawRequest { id: id.to_owned() };
        answer(self.0.deactivate_withdraw(request).await)
    }

    /// A page and the token of the next one.
    pub async fn list(&mut self, page: Page) -> Result<ListWithdrawsResponse, ClientError> {
        let status = match page.status.as_str() {
            "" => WireStatus::Unspecified,
            name => {
                let status = WireStatus::from_str_name(&name.to_ascii_uppercase());
                status.ok_or(ClientError::Status)?
            }
        };
        let request = ListWithdrawsRequest {
            page_size: page.size,
            page_token: page.token,
            status: status.into(),
            claimable: page.claimable,
            request_id: page.request_id,
            created_after: page.created_after.map(Instant::to_wire),
            created_before: page.created_before.map(Instant::to_wire),
        };
        answer(self.0.list_withdraws(request).await)
    }
}

/// RFC 3339; empty if there is none.
pub fn time_text(time: Option<Timestamp>) -> String {
    time.map(|time| time.to_string()).unwrap_or_default()
}

fn answer<T>(answer: Result<tonic::Response<T>, Status>) -> Result<T, ClientError> {
    answer.map(tonic::Response::into_inner).map_err(|status| refused(&status))
}

fn refused(status: &Status) -> ClientError {
    let details = status.get_error_details();
    let reason = details.error_info().map(|info| info.reason.as_str());
    let code = code_name(status.code());
    let fields = details.bad_request().map_or(&[][..], |bad| &bad.field_violations);
    let text = if fields.len() > 1 {
        let lines = fields.iter().map(|field| format!("\n  {} {}", field.field, field.description));
        lines.collect()
    } else {
        // What tonic says of a broken connection hides what broke it.
        format!("{}{}", chain(status), hint(status))
    };
    let code = reason.map_or_else(|| code.clone(), |reason| format!("{code} ({reason})"));
    ClientError::Refused { code, text }
}

/// The message of a status with its causes.
fn chain(status: &Status) -> String {
    let mut text = status.message().to_owned();
    if let Some(cause) = std::error::Error::source(status) {
        let cause = crate::report::chain(cause);
        if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text
}

/// The admin port answers gRPC health, too, and knows no other call.
fn hint(status: &Status) -> &'static str {
    match status.code() {
        Code::Unimplemented => {
            " (the server has no such call: an older withdrawd, or another of its ports? --server takes \
             that of grpc.listen, 50051 by default)"
        }
        _ => "",
    }
}

/// `InvalidArgument` as it is written everywhere else: `INVALID_ARGUMENT`.
fn code_name(code: Code) -> String {
    let mut name = String::new();
    for letter in format!("{code:?}").chars() {
        if letter.is_ascii_uppercase() && !name.is_empty() {
            name.push('_');
        }
        name.push(letter.to_ascii_uppercase());
    }
    name
}
