//! Reads the instance's status: whether it may pay now, and how much.

use crate::{
    domain::{
        Act, Actor, FenceReason, Heartbeat, InstanceStatus, Millis, Msat, NodeId, NodeTrouble,
        Timestamp, TroubleKind,
    },
    ports::StoreError,
    store::{
        driver::Cells,
        sql::{
            Database, SqlStore,
            reader::{Parsed, Reader, only},
            tallies,
        },
        statement::{BoundStatement, Statement},
    },
};

params! {
    pub struct Now {
        clock_skew_ms: Millis,
    }
}

/// The sums read a few rows of tallies, however many payments are open. A payment that was known to be in
/// flight before the heartbeat is already reflected in it; only later ones are added.
///
/// The subqueries are uncorrelated on purpose. Postgres has no statistics for so small a table, would expect
/// hundreds of outer rows, and would JIT-compile the statement for about a second at each execution.
pub const STATUS: Statement<Now> = statement!(
    Now,
    "read the instance's status",
    "-- instance.status
     select i.paused_at_ms, i.paused_by, i.pause_reason, i.fenced_at_ms, i.fence_reason,
            n.node_id, n.alias, n.network, n.heartbeat_at_ms, n.synced, n.remembers, n.answers_sends,
            n.can_send_msat, n.active_channels, n.busiest_channel_htlcs,
            (select t.kind from node_trouble t) as trouble,
            (select t.subject from node_trouble t) as trouble_subject,
            cast((select coalesce(sum(t.msat), 0) from tallies t
                   where t.kind = 'OPEN') as bigint) as not_out_msat,
            cast((select coalesce(sum(t.msat), 0) from tallies t
                   where t.kind = 'OUT'
                     and t.slot >= ((select c.heartbeat_at_ms from nodes c
                                      where c.is_current) - :clock_skew_ms) / 1000) as bigint) as just_out_msat,
            cast((select coalesce(sum(t.payments), 0) from tallies t
                   where t.kind = 'OPEN') as bigint) as in_flight
       from instance i left join nodes n on n.is_current"
);

/// What this process knows about its database.
#[derive(Clone, Copy)]
struct DatabaseView {
    verified: bool,
    writable: bool,
}

impl<D: Database> SqlStore<D> {
    /// Reads the status with `fetch`, and adds what this process knows about its database.
    pub(in crate::store::sql) async fn read_instance_status<F>(
        &self,
        clock_skew: Millis,
        spent_since: Option<Timestamp>,
        fetch: impl Fn(BoundStatement<'static>) -> F + Send,
    ) -> Result<InstanceStatus, StoreError>
    where
        F: Future<Output = Result<Vec<D::Row>, StoreError>> + Send,
    {
        let found = fetch(STATUS.bind(Now { clock_skew_ms: clock_skew })).await?;
        let spent = match spent_since {
            None => None,
            Some(at) => fetch(tallies::spent_since(at)).await?.pop(),
        };
        self.settle_lost_answers().await?;
        let verified = self.memory.is_verified() && !self.marks.is_suspect();
        let seen = DatabaseView { verified, writable: self.memory.is_writable() };
        read(&found, spent.as_ref(), seen)
    }
}

/// The instance's status, from the rows of `instance.status` and `tally.spent_since` (if that was read),
/// and from what this process knows about its database.
fn read<R: Cells>(rows: &[R], spent: Option<&R>, seen: DatabaseView) -> Parsed<InstanceStatus> {
    let row = only(rows)?;
    let paused = match row.opt_time("paused_at_ms")? {
        None => None,
        Some(at) => {
            let by = Actor::unnamed(row.text("paused_by")?, row.text("pause_reason")?);
            Some(Act { by, at })
        }
    };
    let fenced = match row.opt_time("fenced_at_ms")? {
        None => None,
        Some(at) => Some((at, row.named::<FenceReason>("fence_reason")?)),
    };
    let node = row.opt_named::<NodeId>("node_id")?;
    let heartbeat = match (&node, row.opt_time("heartbeat_at_ms")?) {
        (Some(node), Some(at)) => Some(heartbeat(&row, node.clone(), at)?),
        (None, _) | (_, None) => None,
    };
    let trouble = match row.opt_named::<TroubleKind>("trouble")? {
        None => None,
        Some(kind) => Some(NodeTrouble { kind, subject: row.text("trouble_subject")? }),
    };
    let (not_out, just_out) = (row.int("not_out_msat")?, row.int("just_out_msat")?);
    // Negative if a tally was deleted too early, since a clock was ahead, and its payment failed afterwards.
    let unseen = not_out.saturating_add(just_out).max(0);
    Ok(InstanceStatus {
        paused,
        fenced,
        verified: seen.verified,
        writable: seen.writable,
        node,
        heartbeat,
        trouble,
        unseen: Msat::new(unseen).unwrap_or(Msat::MAX),
        in_flight: row.int("in_flight")?,
        spent_24h: tallies::spent(spent)?,
    })
}

fn heartbeat(row: &Reader<'_, impl Cells>, node: NodeId, at: Timestamp) -> Parsed<Heartbeat> {
    Ok(Heartbeat {
        node,
        alias: row.text("alias")?,
        network: row.named("network")?,
        at,
        synced: row.bool("synced")?,
        remembers: row.bool("remembers")?,
        answers_sends: row.bool("answers_sends")?,
        can_send: row.msat("can_send_msat")?,
        active_channels: row.int("active_channels")?,
        busiest_channel_htlcs: row.int("busiest_channel_htlcs")?,
    })
}
