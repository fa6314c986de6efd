//! A row of `withdraws`, read as `w_…`, also beside its open or last attempt.

use crate::{
    domain::{
        Attempt, Hold, KeyId, PassThru, PaymentId, SecretHash, Status, Terms, Withdraw, WithdrawId,
        WithdrawView,
    },
    store::{
        driver::Cells,
        sql::{
            payments::row::payment_view,
            reader::{Parsed, Reader},
        },
    },
};

/// The columns that [`withdraw`] reads.
macro_rules! withdraw_columns {
    () => {
        "w.id as w_id, w.version as w_version, w.request_id as w_request_id,
         w.caller as w_caller,
         w.min_amount as w_min_amount, w.max_amount as w_max_amount, w.currency as w_currency,
         w.target_currency as w_target_currency, w.exchange_rate as w_exchange_rate,
         w.ttl_s as w_ttl_s, w.target_min_sat as w_target_min_sat,
         w.target_max_sat as w_target_max_sat, w.memo as w_memo,
         w.statement_descriptor as w_statement_descriptor, w.pass_thru as w_pass_thru,
         w.key_id as w_key_id, w.secret_sha256 as w_secret_sha256, w.status as w_status,
         w.expires_at_ms as w_expires_at_ms, w.claimable_until_ms as w_claimable_until_ms,
         w.reopens_at_ms as w_reopens_at_ms, w.claimable as w_claimable,
         w.payment_id as w_payment_id, w.payment_hold as w_payment_hold,
         w.late_success as w_late_success, w.withheld as w_withheld,
         w.modified_at_ms as w_modified_at_ms, w.trace_parent as w_trace_parent"
    };
}

/// `select` of requests with their open or last attempts, for [`view`].
macro_rules! select_views {
    ($name:literal, $rest:literal) => {
        concat!(
            "-- ",
            $name,
            "\nselect ",
            $crate::store::sql::withdraws::row::withdraw_columns!(),
            ", ",
            $crate::store::sql::payments::row::payment_columns!(),
            " from withdraws w left join payments p on p.id = w.payment_id ",
            $rest
        )
    };
}

pub(in crate::store::sql) use {select_views, withdraw_columns};

/// A request.
pub fn withdraw(row: &impl Cells) -> Parsed<Withdraw> {
    let row = Reader(row);
    let attempt = match row.opt_uuid("w_payment_id")? {
        None => None,
        Some(id) => Some(Attempt {
            id: PaymentId::from_uuid(id),
            hold: row.named::<Hold>("w_payment_hold")?,
        }),
    };
    Ok(Withdraw {
        id: WithdrawId::from_uuid(row.uuid("w_id")?),
        version: row.int("w_version")?,
        request_id: row.opt_text("w_request_id")?,
        caller: row.text("w_caller")?,
        terms: terms(&row)?,
        key: KeyId::from_text(row.text("w_key_id")?),
        secret_hash: SecretHash::from_bytes(row.bytes32("w_secret_sha256")?),
        status: row.named::<Status>("w_status")?,
        expires_at: row.time("w_expires_at_ms")?,
        claimable_until: row.time("w_claimable_until_ms")?,
        reopens_at: row.opt_time("w_reopens_at_ms")?,
        claimable: row.bool("w_claimable")?,
        attempt,
        late_success: row.bool("w_late_success")?,
        withheld: row.bool("w_withheld")?,
        modified: row.time("w_modified_at_ms")?,
        trace_parent: row.trace_parent("w_trace_parent")?,
    })
}

fn terms<R: Cells>(row: &Reader<'_, R>) -> Parsed<Terms> {
    Ok(Terms {
        min_amount: row.amount("w_min_amount")?,
        max_amount: row.amount("w_max_amount")?,
        currency: row.named("w_currency")?,
        target_currency: row.named("w_target_currency")?,
        exchange_rate: row.amount("w_exchange_rate")?,
        ttl_s: row.int("w_ttl_s")?,
        target_min: row.sat("w_target_min_sat")?,
        target_max: row.sat("w_target_max_sat")?,
        memo: row.text("w_memo")?,
        statement_descriptor: row.opt_text("w_statement_descriptor")?,
        pass_thru: row.opt_text("w_pass_thru")?.map(PassThru::from_text),
    })
}

/// A request with its open or last attempt, from an outer join.
pub fn view(row: &impl Cells) -> Parsed<WithdrawView> {
    let payment = match Reader(row).opt_uuid("p_id")? {
        None => None,
        Some(_) => Some(payment_view(row)?),
    };
    Ok(WithdrawView { withdraw: withdraw(row)?, payment })
}
