//! A row of `payments`, read as `p_…`.

use crate::{
    domain::{
        FailureReason, OperatorReason, Payment, PaymentHash, PaymentId, Preimage, Sends, State,
        WithdrawId,
        payment::{LateSuccess, PaymentEntry, PaymentView},
    },
    store::{
        driver::Cells,
        sql::reader::{Parsed, Reader, bad_cell},
    },
};

/// The columns that [`payment_view`], [`payment_entry`] and [`payment`] read.
macro_rules! payment_columns {
    () => {
        "p.id as p_id, p.version as p_version, p.withdraw_id as p_withdraw_id, p.invoice as p_invoice,
         p.payment_hash as p_payment_hash, p.amount_msat as p_amount_msat,
         p.fee_limit_msat as p_fee_limit_msat,
         p.invoice_expires_at_ms as p_invoice_expires_at_ms, p.send_until_ms as p_send_until_ms,
         p.state as p_state, p.state_at_ms as p_state_at_ms, p.noted_reason as p_noted_reason,
         p.preimage as p_preimage, p.fee_msat as p_fee_msat,
         p.failure_reason as p_failure_reason, p.operator_reason as p_operator_reason,
         p.late_preimage as p_late_preimage, p.late_fee_msat as p_late_fee_msat,
         p.late_at_ms as p_late_at_ms, p.epoch as p_epoch, p.looks as p_looks,
         p.trace_parent as p_trace_parent"
    };
}

pub(in crate::store::sql) use payment_columns;

/// What callers see of an attempt.
pub fn payment_view(row: &impl Cells) -> Parsed<PaymentView> {
    let state = state(row)?;
    let row = Reader(row);
    Ok(PaymentView {
        id: PaymentId::from_uuid(row.uuid("p_id")?),
        withdraw: WithdrawId::from_uuid(row.uuid("p_withdraw_id")?),
        invoice: row.text("p_invoice")?,
        payment_hash: PaymentHash::from_bytes(row.bytes32("p_payment_hash")?),
        amount: row.msat("p_amount_msat")?,
        fee_limit: row.msat("p_fee_limit_msat")?,
        state,
    })
}

/// An attempt as an operator's list shows it.
pub fn payment_entry(row: &impl Cells) -> Parsed<PaymentEntry> {
    let view = payment_view(row)?;
    let row = Reader(row);
    Ok(PaymentEntry {
        view,
        noted: row.opt_named::<FailureReason>("p_noted_reason")?,
        send_until: row.time("p_send_until_ms")?,
        invoice_expires_at: row.time("p_invoice_expires_at_ms")?,
    })
}

/// An attempt with the sends that were read for it.
pub fn payment(row: &impl Cells, sends: Sends) -> Parsed<Payment> {
    let PaymentEntry { view, noted, send_until, invoice_expires_at } = payment_entry(row)?;
    let row = Reader(row);
    Ok(Payment {
        id: view.id,
        version: row.int("p_version")?,
        withdraw: view.withdraw,
        invoice: view.invoice,
        payment_hash: view.payment_hash,
        amount: view.amount,
        fee_limit: view.fee_limit,
        invoice_expires_at,
        send_until,
        state: view.state,
        noted,
        sends,
        trace_parent: row.trace_parent("p_trace_parent")?,
    })
}

fn state(row: &impl Cells) -> Parsed<State> {
    let row = Reader(row);
    let at = || row.time("p_state_at_ms");
    match row.text("p_state")?.as_str() {
        "RESERVED" => Ok(State::Reserved),
        "SENDING" => Ok(State::Sending),
        "IN_FLIGHT" => Ok(State::InFlight),
        "PAID" => Ok(State::Paid {
            preimage: Preimage::from_bytes(row.bytes32("p_preimage")?),
            fee: row.msat("p_fee_msat")?,
            at: at()?,
        }),
        "FAILED" => Ok(State::Failed {
            reason: row.named::<FailureReason>("p_failure_reason")?,
            at: at()?,
            late: late_success(&row)?,
        }),
        "NEEDS_OPERATOR" => Ok(State::NeedsOperator {
            reason: row.named::<OperatorReason>("p_operator_reason")?,
            at: at()?,
        }),
        _ => Err(bad_cell("p_state")),
    }
}

fn late_success<R: Cells>(row: &Reader<'_, R>) -> Parsed<Option<LateSuccess>> {
    let Some(preimage) = row.opt_bytes32("p_late_preimage")? else {
        return Ok(None);
    };
    Ok(Some(LateSuccess {
        preimage: Preimage::from_bytes(preimage),
        fee: row.msat("p_late_fee_msat")?,
        at: row.time("p_late_at_ms")?,
    }))
}
