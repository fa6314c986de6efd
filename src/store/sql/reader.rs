//! Rows become values of the domain here, once; inside, types hold.

#[path = "rows/marks.rs"]
pub mod marks;
#[path = "rows/values.rs"]
mod values;

use uuid::Uuid;

use crate::{
    domain::{
        Amount, Attempt, Event, EventKind, FailureReason, Hold, KeyId, Msat, NodeId, Operator,
        OperatorReason, PassThru, Payment, PaymentHash, PaymentId, Preimage, Sat, SecretHash,
        Sends, State, Status, Terms, Timestamp, TraceContext, Withdraw, WithdrawId, WithdrawView,
        payment::{Answer, LateSuccess, PaymentEntry, PaymentView, Send, StateKind},
    },
    ports::{BoxError, OpenPayments, StoreError},
    store::driver::Cells,
};

pub use values::{new_withdraw, payment_standing, trace_parent, withdraw_standing};

/// Why a row makes no sense: it was written by other hands, or by a newer version.
#[derive(Debug, thiserror::Error)]
#[error("column {column} holds what no version of this program writes")]
struct BadCell {
    column: &'static str,
}

pub type Parsed<T> = Result<T, StoreError>;

/// Reads cells and turns what is wrong with them into one kind of error.
pub struct Reader<'r, R>(pub &'r R);

pub fn bad(source: impl Into<BoxError>) -> StoreError {
    StoreError::Failed { doing: "read a row", source: source.into() }
}

pub fn known<T>(column: &'static str, value: Option<T>) -> Parsed<T> {
    value.ok_or_else(|| bad(BadCell { column }))
}

impl<R: Cells> Reader<'_, R> {
    pub fn opt_int(&self, column: &'static str) -> Parsed<Option<i64>> {
        self.0.int(column).map_err(bad)
    }

    pub fn int(&self, column: &'static str) -> Parsed<i64> {
        known(column, self.opt_int(column)?)
    }

    pub fn bool(&self, column: &'static str) -> Parsed<bool> {
        self.0.bool(column).map_err(bad)
    }

    pub fn opt_text(&self, column: &'static str) -> Parsed<Option<String>> {
        self.0.text(column).map_err(bad)
    }

    pub fn text(&self, column: &'static str) -> Parsed<String> {
        known(column, self.opt_text(column)?)
    }

    pub fn opt_uuid(&self, column: &'static str) -> Parsed<Option<Uuid>> {
        self.0.uuid(column).map_err(bad)
    }

    pub fn uuid(&self, column: &'static str) -> Parsed<Uuid> {
        known(column, self.opt_uuid(column)?)
    }

    pub fn opt_bytes32(&self, column: &'static str) -> Parsed<Option<[u8; 32]>> {
        match self.0.bytes(column).map_err(bad)? {
            None => Ok(None),
            Some(bytes) => known(column, bytes.try_into().ok()).map(Some),
        }
    }

    pub fn bytes32(&self, column: &'static str) -> Parsed<[u8; 32]> {
        known(column, self.opt_bytes32(column)?)
    }

    pub fn amount(&self, column: &'static str) -> Parsed<Amount> {
        self.0.decimal(column).map(Amount::from_decimal).map_err(bad)
    }

    pub fn sat(&self, column: &'static str) -> Parsed<Sat> {
        known(column, Sat::new(self.int(column)?))
    }

    pub fn msat(&self, column: &'static str) -> Parsed<Msat> {
        known(column, Msat::new(self.int(column)?))
    }

    pub fn opt_time(&self, column: &'static str) -> Parsed<Option<Timestamp>> {
        Ok(self.opt_int(column)?.map(Timestamp::from_ms))
    }

    pub fn time(&self, column: &'static str) -> Parsed<Timestamp> {
        self.int(column).map(Timestamp::from_ms)
    }

    /// A name that one of the domain's `parse` functions knows.
    pub fn named<T>(&self, column: &'static str, parse: fn(&str) -> Option<T>) -> Parsed<T> {
        known(column, parse(&self.text(column)?))
    }

    pub fn opt_named<T>(
        &self,
        column: &'static str,
        parse: fn(&str) -> Option<T>,
    ) -> Parsed<Option<T>> {
        match self.opt_text(column)? {
            None => Ok(None),
            Some(name) => known(column, parse(&name)).map(Some),
        }
    }
}

/// A request, from the `w_…` columns.
pub fn withdraw(row: &impl Cells) -> Parsed<Withdraw> {
    let row = Reader(row);
    let attempt = match row.opt_uuid("w_payment_id")? {
        None => None,
        Some(id) => Some(Attempt {
            id: PaymentId::from_uuid(id),
            hold: row.named("w_payment_hold", Hold::parse)?,
        }),
    };
    Ok(Withdraw {
        id: WithdrawId::from_uuid(row.uuid("w_id")?),
        version: row.int("w_version")?,
        request_id: row.opt_text("w_request_id")?,
        terms: terms(&row)?,
        key: KeyId::from_text(row.text("w_key_id")?),
        secret_hash: SecretHash::from_bytes(row.bytes32("w_secret_sha256")?),
        status: row.named("w_status", Status::parse)?,
        expires_at: row.time("w_expires_at_ms")?,
        claimable_until: row.time("w_claimable_until_ms")?,
        reopens_at: row.opt_time("w_reopens_at_ms")?,
        claimable: row.bool("w_claimable")?,
        attempt,
        late_success: row.bool("w_late_success")?,
        withheld: row.bool("w_withheld")?,
        modified: row.time("w_modified_at_ms")?,
        trace_parent: traced(&row, "w_trace_parent")?,
    })
}

fn terms<R: Cells>(row: &Reader<'_, R>) -> Parsed<Terms> {
    Ok(Terms {
        min_amount: row.amount("w_min_amount")?,
        max_amount: row.amount("w_max_amount")?,
        currency: row.text("w_currency")?,
        target_currency: row.text("w_target_currency")?,
        exchange_rate: row.amount("w_exchange_rate")?,
        ttl_s: row.int("w_ttl_s")?,
        target_min: row.sat("w_target_min_sat")?,
        target_max: row.sat("w_target_max_sat")?,
        memo: row.text("w_memo")?,
        statement_descriptor: row.opt_text("w_statement_descriptor")?,
        pass_thru: row.opt_text("w_pass_thru")?.map(PassThru::from_text),
    })
}

/// A request with its open or last attempt, from the `w_…` and `p_…` columns of an outer join.
pub fn view(row: &impl Cells) -> Parsed<WithdrawView> {
    let payment = match Reader(row).opt_uuid("p_id")? {
        None => None,
        Some(_) => Some(payment_view(row)?),
    };
    Ok(WithdrawView { withdraw: withdraw(row)?, payment })
}

fn payment_view(row: &impl Cells) -> Parsed<PaymentView> {
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
        noted: row.opt_named("p_noted_reason", FailureReason::parse)?,
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
        trace_parent: traced(&row, "p_trace_parent")?,
    })
}

/// It decides nothing: one that cannot be read is none.
fn traced<R: Cells>(row: &Reader<'_, R>, column: &'static str) -> Parsed<Option<TraceContext>> {
    Ok(row.opt_text(column)?.as_deref().and_then(TraceContext::parse))
}

/// An attempt's lease: its epoch, and the looks so far.
pub fn lease(row: &impl Cells) -> Parsed<(i64, i64)> {
    let row = Reader(row);
    Ok((row.int("p_epoch")?, row.int("p_looks")?))
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
            reason: row.named("p_failure_reason", FailureReason::parse)?,
            at: at()?,
            late: late_success(&row)?,
        }),
        "NEEDS_OPERATOR" => Ok(State::NeedsOperator {
            reason: row.named("p_operator_reason", OperatorReason::parse)?,
            at: at()?,
        }),
        _ => Err(bad(BadCell { column: "p_state" })),
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

/// A send.
pub fn send(row: &impl Cells) -> Parsed<Send> {
    let row = Reader(row);
    Ok(Send {
        number: row.int("number")?,
        epoch: row.int("epoch")?,
        node: known("node_id", NodeId::parse(&row.text("node_id")?).ok())?,
        sent_at: row.time("sent_at_ms")?,
        begun_at: row.time("begun_at_ms")?,
        send_deadline: row.time("send_deadline_ms")?,
        answer: row.opt_named("answer", Answer::parse)?,
        sequence: Some(row.int("sequence")?),
    })
}

/// A place in the store's order of sends, from a row of one.
pub fn sequence<R: Cells>(row: Option<&R>) -> Parsed<i64> {
    Reader(known("sequence", row)?).int("sequence")
}

/// Since when a node stores nothing.
pub fn in_vain_since<R: Cells>(row: &R) -> Parsed<Timestamp> {
    Reader(row).time("witness_in_vain_since_ms")
}

/// How many, from a row that counts.
pub fn counted<R: Cells>(row: Option<&R>) -> Parsed<i64> {
    Reader(known("counted", row)?).int("counted")
}

/// An event of this request. Its detail is one of the reasons' names.
pub fn event(row: &impl Cells) -> Parsed<Event> {
    let row = Reader(row);
    let detail = match row.opt_text("detail")? {
        None => None,
        Some(name) => Some(known("detail", reason_name(&name))?),
    };
    Ok(Event {
        withdraw: WithdrawId::from_uuid(row.uuid("withdraw_id")?),
        version: row.int("version")?,
        kind: row.named("kind", EventKind::parse)?,
        payment: row.opt_uuid("payment_id")?.map(PaymentId::from_uuid),
        detail,
        at: row.time("at_ms")?,
        by: operator(&row)?,
    })
}

fn operator<R: Cells>(row: &Reader<'_, R>) -> Parsed<Option<Operator>> {
    let Some(name) = row.opt_text("operator")? else {
        return Ok(None);
    };
    Ok(Some(Operator { name, note: row.text("note")? }))
}

fn reason_name(name: &str) -> Option<&'static str> {
    let failure = FailureReason::parse(name).map(FailureReason::name);
    failure.or_else(|| OperatorReason::parse(name).map(OperatorReason::name))
}

/// A column of one row that holds an id, a hash or a text, for the short statements.
pub fn one_uuid(row: &impl Cells, column: &'static str) -> Parsed<Uuid> {
    Reader(row).uuid(column)
}

/// A number.
pub fn one_int(row: &impl Cells, column: &'static str) -> Parsed<i64> {
    Reader(row).int(column)
}

/// A 32-byte column.
pub fn one_bytes32(row: &impl Cells, column: &'static str) -> Parsed<[u8; 32]> {
    Reader(row).bytes32(column)
}

/// A state's line of `payment.open_by_state`.
pub fn open_payments(row: &impl Cells) -> Parsed<OpenPayments> {
    let row = Reader(row);
    let open = |name: &str| StateKind::OPEN.into_iter().find(|state| state.name() == name);
    Ok(OpenPayments {
        state: row.named("state", open)?,
        number: row.int("number")?,
        oldest: row.opt_uuid("oldest_id")?.map(|id| PaymentId::from_uuid(id).created()),
    })
}

/// The newest migration that has run.
pub fn schema<R: Cells>(row: Option<&R>) -> Parsed<i64> {
    Ok(Reader(known("version", row)?).opt_int("version")?.unwrap_or(0))
}

/// A text column.
pub fn one_text(row: &impl Cells, column: &'static str) -> Parsed<String> {
    Reader(row).text(column)
}

/// A node's identity.
pub fn node_id(row: &impl Cells) -> Parsed<NodeId> {
    known("node_id", NodeId::parse(&one_text(row, "node_id")?).ok())
}
