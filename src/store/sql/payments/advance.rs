//! A state transition of an attempt: writes its row, its request, its sends, the tallies and the event, all
//! or nothing.

use super::sends;
use crate::{
    domain::{
        FailureReason, HaltReason, Msat, NodeId, Payment, PaymentId, Preimage, State, Timestamp,
        payment::{Advance, LateSuccess},
    },
    ports::StoreError,
    store::{
        driver::{Fault, Tx},
        sql::{
            Database, SqlStore,
            marks::CommitLabel,
            tallies,
            withdraws::{OfVersion, write_change},
        },
        statement::Statement,
    },
};

params! {
    struct Update<'a> {
        state: &'a str,
        state_at_ms: Option<Timestamp>,
        noted_reason: Option<&'a str>,
        preimage: Option<Preimage>,
        fee_msat: Option<Msat>,
        failure_reason: Option<&'a str>,
        operator_reason: Option<&'a str>,
        late_preimage: Option<Preimage>,
        late_fee_msat: Option<Msat>,
        late_at_ms: Option<Timestamp>,
        node_id: Option<&'a NodeId>,
        no_witness: bool,
        known_at_ms: Option<Timestamp>,
        due_at_ms: Option<Timestamp>,
        looks: i64,
        id: PaymentId,
        read_version: i64,
    }
}

const ADVANCE: Statement<Update> = statement!(
    Update,
    "advance a payment",
    "-- payment.advance
     update payments
        set state = :state, state_at_ms = :state_at_ms, noted_reason = :noted_reason,
            preimage = :preimage, fee_msat = :fee_msat, failure_reason = :failure_reason,
            operator_reason = :operator_reason, late_preimage = :late_preimage,
            late_fee_msat = :late_fee_msat, late_at_ms = :late_at_ms, node_id = :node_id,
            known_at_ms = case when :no_witness then null
                               else coalesce(known_at_ms, :known_at_ms) end,
            due_at_ms = :due_at_ms, looks = :looks, version = version + 1, tallied = version + 1
      where id = :id and version = :read_version"
);

impl<D: Database> SqlStore<D> {
    pub(super) async fn advance_once(&self, advance: &Advance) -> Result<(), Fault> {
        let mut tx = self.driver().begin().await?;
        let payment = &advance.payment;
        if advance.closes() && advance.decided_on != Some(self.server_of(&mut tx).await?) {
            return Err(StoreError::Halted(HaltReason::Unverified).into());
        }
        // Reads the switches before it takes any other lock: an operator's command waits for this
        // transaction.
        if advance.send_on_version.is_some()
            && let Some(halt) = self.halted(&mut tx).await?
        {
            return Err(StoreError::Halted(halt).into());
        }
        if let Some(change) = &advance.change
            && !write_change(&mut tx, change).await?
        {
            return Err(StoreError::Stale.into());
        }
        if let Some(version) = advance.send_on_version {
            // A send goes out only if the request has not changed since it was decided.
            let request = OfVersion { id: payment.withdraw, version };
            let hold = self.driver().dialect().hold_withdraw;
            if tx.fetch(hold.bind(request)).await?.is_empty() {
                return Err(StoreError::Stale.into());
            }
        }
        tallies::stepped(&mut tx, advance).await?;
        if tx.execute(ADVANCE.bind(Update::of(advance))).await? != 1 {
            return Err(StoreError::Stale.into());
        }
        if let Some(send) = &advance.new_send {
            sends::create(&mut tx, payment.id, send).await?;
        }
        if let Some((number, epoch, answer)) = advance.answered {
            let send = sends::OneSend { payment_id: payment.id, number, epoch };
            sends::set_answer(&mut tx, send, answer).await?;
        }
        self.commit(tx, CommitLabel::of_payment(label_of(advance), payment.id)).await
    }
}

impl<'a> Update<'a> {
    fn of(advance: &'a Advance) -> Self {
        let payment = &advance.payment;
        let StateColumns { at, preimage, fee, failure, doubt, late } = StateColumns::of(payment);
        Self {
            state: payment.state.name(),
            state_at_ms: at,
            noted_reason: payment.noted.map(FailureReason::name),
            preimage,
            fee_msat: fee,
            failure_reason: failure,
            operator_reason: doubt,
            late_preimage: late.map(|late| late.preimage),
            late_fee_msat: late.map(|late| late.fee),
            late_at_ms: late.map(|late| late.at),
            node_id: payment.node(),
            no_witness: advance.unknown_to_node,
            known_at_ms: advance.known_at,
            due_at_ms: advance.due_at,
            looks: advance.lookups,
            id: payment.id,
            read_version: payment.version - 1,
        }
    }
}

/// The columns that a state fills; the others are null.
#[derive(Default)]
struct StateColumns<'a> {
    at: Option<Timestamp>,
    preimage: Option<Preimage>,
    fee: Option<Msat>,
    failure: Option<&'static str>,
    doubt: Option<&'static str>,
    late: Option<&'a LateSuccess>,
}

impl<'a> StateColumns<'a> {
    fn of(payment: &'a Payment) -> Self {
        let none = Self::default();
        match &payment.state {
            State::Reserved | State::Sending | State::InFlight => none,
            State::Paid { preimage, fee, at } => {
                Self { preimage: Some(*preimage), fee: Some(*fee), at: Some(*at), ..none }
            }
            State::Failed { reason, at, late } => {
                Self { failure: Some(reason.name()), at: Some(*at), late: late.as_ref(), ..none }
            }
            State::NeedsOperator { reason, at } => {
                Self { doubt: Some(reason.name()), at: Some(*at), ..none }
            }
        }
    }
}

/// How the log names a state transition whose commit is lost.
fn label_of(advance: &Advance) -> &'static str {
    match (&advance.new_send, &advance.change) {
        (Some(_), _) => "sent",
        (None, Some(change)) => change.event.kind.name(),
        (None, None) => "updated",
    }
}
