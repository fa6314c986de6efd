//! Rows about the whole instance: its switches, its node's heartbeat, and what it knows of the node.

use crate::{
    domain::{
        Act, FenceReason, Halt, Heartbeat, Msat, NodeId, NodeTrouble, PaymentId, Standing,
        Timestamp, TroubleKind,
    },
    store::driver::Cells,
    store::sql::reader::{Parsed, Reader, known},
};

/// The instance's standing, from `instance.standing`, from `tally.spent_since` if that was asked, and from
/// what this process has seen of its database.
pub fn standing<R: Cells>(
    row: Option<&R>,
    spent: Option<&R>,
    (verified, writable): (bool, bool),
) -> Parsed<Standing> {
    let row = Reader(known("only_row", row)?);
    let paused = match row.opt_time("paused_at_ms")? {
        None => None,
        Some(at) => {
            Some(Act { operator: row.text("paused_by")?, reason: row.text("pause_reason")?, at })
        }
    };
    let fenced = match row.opt_time("fenced_at_ms")? {
        None => None,
        Some(at) => Some((at, row.named("fence_reason", FenceReason::parse)?)),
    };
    let node = row.opt_named("node_id", |id| NodeId::parse(id).ok())?;
    let heartbeat = match (&node, row.opt_time("heartbeat_at_ms")?) {
        (Some(node), Some(at)) => Some(heartbeat(&row, node.clone(), at)?),
        (None, _) | (_, None) => None,
    };
    let trouble = match row.opt_named("trouble", TroubleKind::parse)? {
        None => None,
        Some(kind) => Some(NodeTrouble { kind, subject: row.text("trouble_subject")? }),
    };
    let (not_out, just_out) = (row.int("not_out_msat")?, row.int("just_out_msat")?);
    // What went out and failed, after a clock that was ahead had let it be forgotten, is less than nothing.
    let unseen = not_out.saturating_add(just_out).max(0);
    Ok(Standing {
        paused,
        fenced,
        verified,
        writable,
        node,
        heartbeat,
        trouble,
        unseen: Msat::new(unseen).unwrap_or(Msat::MAX),
        in_flight: row.int("in_flight")?,
        spent_24h: self::spent(spent)?,
    })
}

fn heartbeat(row: &Reader<'_, impl Cells>, node: NodeId, at: Timestamp) -> Parsed<Heartbeat> {
    Ok(Heartbeat {
        node,
        alias: row.text("alias")?,
        network: row.named("network", |name| name.parse().ok())?,
        at,
        synced: row.bool("synced")?,
        remembers: row.bool("remembers")?,
        answers_sends: row.bool("answers_sends")?,
        can_send: row.msat("can_send_msat")?,
        active_channels: row.int("active_channels")?,
        busiest_channel_htlcs: row.int("busiest_channel_htlcs")?,
    })
}

/// What `tally.spent_since` added up; nothing if it was not asked.
pub fn spent<R: Cells>(row: Option<&R>) -> Parsed<Msat> {
    let spent = row.map_or(Ok(0), |row| Reader(row).int("spent_msat"))?;
    Ok(Msat::new(spent.max(0)).unwrap_or(Msat::MAX))
}

/// Why nothing is accepted or sent, from the instance's switches, and the server that says so.
pub fn halt<R: Cells>(row: Option<&R>) -> Parsed<(Option<Halt>, i64)> {
    let row = Reader(known("only_row", row)?);
    let paused = row.opt_int("paused_at_ms")?.is_some();
    let fenced = row.opt_int("fenced_at_ms")?.is_some();
    Ok((Halt::by_switches(paused, fenced), row.int("server")?))
}

/// When the instance was fenced, from the same row.
pub fn fenced_at<R: Cells>(row: Option<&R>) -> Parsed<Option<Timestamp>> {
    Reader(known("only_row", row)?).opt_time("fenced_at_ms")
}

/// Whether the server that answers is the one that was verified, from the same row.
pub fn verified<R: Cells>(row: Option<&R>) -> Parsed<bool> {
    let row = Reader(known("only_row", row)?);
    Ok(row.opt_int("verified_server")? == Some(row.int("server")?))
}

/// Since when the instance knows the node's payments: first start, last acknowledgement, newest
/// attempt.
pub fn known_from<R: Cells>(row: Option<&R>) -> Parsed<[Option<Timestamp>; 3]> {
    let row = Reader(known("only_row", row)?);
    let newest = row.opt_uuid("newest_id")?.map(|id| PaymentId::from_uuid(id).created());
    Ok([row.opt_time("first_started_at_ms")?, row.opt_time("acknowledged_at_ms")?, newest])
}

/// When the newest attempt was committed, or earlier: by its id, or by what else is known of it.
pub fn newest_written<R: Cells>(row: &R) -> Parsed<Timestamp> {
    let row = Reader(row);
    let claimed = PaymentId::from_uuid(row.uuid("newest_id")?).created();
    Ok(row.opt_time("written_at_ms")?.map_or(claimed, |written| claimed.min(written)))
}
