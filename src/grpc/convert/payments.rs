//! Converts messages about payments, and operators' requests, to domain values and back.

use std::fmt::Display;

use super::{
    actor::actor,
    times::{read_bound, wire_time},
};
use crate::{
    domain::{
        CommonField, Millis, Payment, PaymentField, PaymentHash, Principal, State, Violation,
        WithdrawId, invoice,
        payment::{
            Answer, FailureReason, OperatorReason, OutcomeDraft, PaymentEntry, PaymentFilter,
            PaymentView, ResolutionDraft, Send, StateKind,
        },
    },
    pb,
    service::PaymentPageRequest,
};

/// Collects what cannot be read, while the other fields are still read.
#[derive(Default)]
struct Findings(Vec<Violation>);

impl Findings {
    fn keep<T>(&mut self, field: PaymentField, read: Result<Option<T>, impl Display>) -> Option<T> {
        read.unwrap_or_else(|rule| {
            self.0.push(Violation::new(field, rule));
            None
        })
    }
}

/// The requested page, as far as it can be read, and what cannot be read.
pub fn page(request: pb::ListPaymentsRequest) -> (PaymentPageRequest, Vec<Violation>) {
    let mut found = Findings::default();
    let state = found.keep(PaymentField::State, state(request.state));
    let withdraw = match request.withdraw_id.as_str() {
        "" => None,
        id => found.keep(PaymentField::WithdrawId, WithdrawId::parse(id).map(Some)),
    };
    let payment_hash = match (request.payment_hash.as_str(), request.invoice.as_str()) {
        ("", "") => None,
        (hash, "") => found.keep(PaymentField::PaymentHash, read_hash(hash)),
        ("", text) => found.keep(PaymentField::Invoice, hash_of(text)),
        (_, _) => {
            found.keep(PaymentField::Invoice, Err("must not be given together with payment_hash"))
        }
    };
    let age = request.open_longer_than.map(|age| read_age(&age)).transpose();
    let open_longer_than = found.keep(PaymentField::OpenLongerThan, age);
    let mut time = |field, given| read_bound(field, given, &mut found.0);
    let filter = PaymentFilter {
        state,
        withdraw,
        payment_hash,
        created_after: time(CommonField::CreatedAfter, request.created_after),
        created_before: time(CommonField::CreatedBefore, request.created_before),
        open_longer_than,
        late_success: request.late_success,
    };
    let (page_size, page_token) = (request.page_size, request.page_token);
    (PaymentPageRequest { page_size, page_token, filter }, found.0)
}

fn state(wire: i32) -> Result<Option<StateKind>, &'static str> {
    use pb::payment::State as Wire;
    match Wire::try_from(wire) {
        Ok(Wire::Unspecified) => Ok(None),
        Ok(Wire::Reserved) => Ok(Some(StateKind::Reserved)),
        Ok(Wire::Sending) => Ok(Some(StateKind::Sending)),
        Ok(Wire::InFlight) => Ok(Some(StateKind::InFlight)),
        Ok(Wire::Paid) => Ok(Some(StateKind::Paid)),
        Ok(Wire::Failed) => Ok(Some(StateKind::Failed)),
        Ok(Wire::NeedsOperator) => Ok(Some(StateKind::NeedsOperator)),
        Err(_) => Err("must be one of Payment.State, or absent for any"),
    }
}

fn read_hash(hex: &str) -> Result<Option<PaymentHash>, &'static str> {
    PaymentHash::parse(hex).map(Some).ok_or("must be 32 bytes in hex")
}

/// The payment hash of an invoice, even of one that could not be claimed with.
fn hash_of(text: &str) -> Result<Option<PaymentHash>, &'static str> {
    let parsed = invoice::normalise(text).and_then(|text| invoice::parse(&text));
    parsed
        .map(|parsed| Some(invoice::payment_hash(&parsed)))
        .map_err(|_| "must be a BOLT11 invoice")
}

/// Rounds up to whole milliseconds, so that no younger payment is listed.
fn read_age(age: &prost_types::Duration) -> Result<Millis, &'static str> {
    let in_range =
        (0..=315_576_000_000).contains(&age.seconds) && (0..1_000_000_000).contains(&age.nanos);
    if !in_range {
        return Err("must be a duration of 0 s to 10,000 years");
    }
    let rest = i64::from(age.nanos).div_euclid(1_000_000) + i64::from(age.nanos % 1_000_000 != 0);
    Ok(Millis::from_secs(age.seconds).plus(Millis::from_ms(rest)))
}

/// An operator's decision.
pub fn resolution(caller: Principal, request: pb::ResolvePaymentRequest) -> ResolutionDraft {
    use pb::resolve_payment_request::Outcome as Wire;

    let outcome = request.outcome.map(|outcome| match outcome {
        Wire::Paid(paid) => OutcomeDraft::Paid { preimage: paid.preimage, fee_msat: paid.fee_msat },
        Wire::Failed(_) => OutcomeDraft::Failed {
            node_unreachable: request.confirm_node_unreachable,
            payee_unpaid: request.confirm_payee_unpaid,
            stranded: request.confirm_stranded,
        },
    });
    let actor = actor(caller, request.operator, request.reason);
    ResolutionDraft { id: request.id, actor, outcome }
}

/// A payment as operators see it, with its sends.
pub fn full(payment: Payment) -> pb::Payment {
    let (payment, sends) = payment.into_entry();
    pb::Payment { sends: sends.iter().map(send).collect(), ..entry(payment) }
}

fn send(send: &Send) -> pb::payment::Send {
    use pb::payment::send::Answer as Wire;

    let answer = match send.answer {
        None => Wire::Unspecified,
        Some(Answer::Unsent) => Wire::Unsent,
        Some(Answer::Refused) => Wire::Refused,
        Some(Answer::Stored) => Wire::Stored,
        Some(Answer::AlreadyExists) => Wire::AlreadyExists,
        Some(Answer::Final) => Wire::Final,
    };
    pb::payment::Send {
        number: send.number,
        node_id: send.node.to_string(),
        sent_at: Some(wire_time(send.sent_at)),
        send_deadline: Some(wire_time(send.send_deadline)),
        answer: answer.into(),
    }
}

/// A payment as operators see it in a list.
pub fn entry(payment: PaymentEntry) -> pb::Payment {
    let noted = payment.noted.map_or(pb::payment::FailureReason::Unspecified, failure_reason);
    let late = match payment.view.state {
        State::Failed { late, .. } => late,
        State::Reserved
        | State::Sending
        | State::InFlight
        | State::Paid { .. }
        | State::NeedsOperator { .. } => None,
    };
    pb::Payment {
        noted_failure: noted.into(),
        late_success: late.map(|late| pb::payment::LateSuccess {
            preimage: late.preimage.to_string(),
            fee_msat: late.fee.get(),
            at: Some(wire_time(late.at)),
        }),
        send_until: Some(wire_time(payment.send_until)),
        invoice_expires_at: Some(wire_time(payment.invoice_expires_at)),
        ..view(payment.view)
    }
}

/// A payment as all callers see it.
pub fn view(payment: PaymentView) -> pb::Payment {
    use pb::payment::{FailureReason as WireFailure, OperatorReason as WireDoubt, State as Wire};

    let mut wire = pb::Payment {
        id: payment.id.to_string(),
        withdraw_id: payment.withdraw.to_string(),
        payment_hash: payment.payment_hash.to_string(),
        amount_msat: payment.amount.get(),
        fee_limit_msat: payment.fee_limit.get(),
        created: Some(wire_time(payment.id.created())),
        finished: payment.finished().map(wire_time),
        invoice: payment.invoice,
        failure_reason: WireFailure::Unspecified.into(),
        operator_reason: WireDoubt::Unspecified.into(),
        ..pb::Payment::default()
    };
    let state = match payment.state {
        State::Reserved => Wire::Reserved,
        State::Sending => Wire::Sending,
        State::InFlight => Wire::InFlight,
        State::Paid { preimage, fee, .. } => {
            wire.preimage = preimage.to_string();
            wire.fee_msat = Some(fee.get());
            Wire::Paid
        }
        State::Failed { reason, .. } => {
            wire.failure_reason = failure_reason(reason).into();
            Wire::Failed
        }
        State::NeedsOperator { reason, .. } => {
            wire.operator_reason = operator_reason(reason).into();
            Wire::NeedsOperator
        }
    };
    wire.state = state.into();
    wire
}

const fn failure_reason(reason: FailureReason) -> pb::payment::FailureReason {
    use pb::payment::FailureReason as Wire;
    match reason {
        FailureReason::NoRoute => Wire::NoRoute,
        FailureReason::Timeout => Wire::Timeout,
        FailureReason::InsufficientBalance => Wire::InsufficientBalance,
        FailureReason::IncorrectPaymentDetails => Wire::IncorrectPaymentDetails,
        FailureReason::NodeError => Wire::NodeError,
        FailureReason::Canceled => Wire::Canceled,
        FailureReason::InvoiceKnownToNode => Wire::InvoiceKnownToNode,
        FailureReason::NodeRefused => Wire::NodeRefused,
        FailureReason::NotSent => Wire::NotSent,
        FailureReason::ResolvedByOperator => Wire::ResolvedByOperator,
    }
}

const fn operator_reason(reason: OperatorReason) -> pb::payment::OperatorReason {
    use pb::payment::OperatorReason as Wire;
    match reason {
        OperatorReason::KnownBeforeSend => Wire::KnownBeforeSend,
        OperatorReason::Foreign => Wire::Foreign,
        OperatorReason::WrongPreimage => Wire::WrongPreimage,
        OperatorReason::AnswerMismatch => Wire::AnswerMismatch,
        OperatorReason::RefusedAfterRepeats => Wire::RefusedAfterRepeats,
        OperatorReason::Vanished => Wire::Vanished,
        OperatorReason::NodeChanged => Wire::NodeChanged,
        OperatorReason::NodeForgot => Wire::NodeForgot,
        OperatorReason::SendUnanswered => Wire::SendUnanswered,
        OperatorReason::ResultLost => Wire::ResultLost,
    }
}
