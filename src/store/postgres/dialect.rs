//! Postgres's spelling of the statements that the two databases spell differently.

use crate::store::{
    sql::{Dialect, LEASED_POSTGRES, LEASED_SENDS_POSTGRES, Lease, OfVersion, marks_dialect},
    statement::Statement,
};

/// Identifies one run of the server, read with the instance's row: its start time (another one after a
/// restart, on a standby, on restored files), mixed with the table's OID (another one after a dump was
/// restored into the running server). A revert of a whole machine to a snapshot keeps both; the marks
/// detect that.
///
/// The timeline would add nothing, as no server changes it without being another one by its start, or
/// one that took no writes before; and not every compatible database lets it be read.
macro_rules! server {
    () => {
        "cast(extract(epoch from pg_postmaster_start_time()) * 1000000 as bigint)
             # (cast(instance.tableoid as bigint) << 20)"
    };
}

/// The instance's switches, the server that was verified, and the one that answers.
macro_rules! read_switches {
    ($name:literal, $lock:literal) => {
        concat!(
            "-- ",
            $name,
            "\nselect paused_at_ms, fenced_at_ms, verified_server, ",
            server!(),
            " as server from instance ",
            $lock
        )
    };
}

pub static DIALECT: Dialect = Dialect {
    lease_fresh: statement!(
        Lease,
        "lease reserved payments",
        "-- payment.lease_fresh
               update payments set epoch = greatest(epoch + 1, :now), due_at_ms = :until
                where id in (select id from payments
                              where state = 'RESERVED' and due_at_ms <= :now
                              order by due_at_ms limit :limit for update skip locked)
               returning id"
    ),
    lease_follow: statement!(
        Lease,
        "lease payments to follow",
        "-- payment.lease_follow
               update payments set epoch = greatest(epoch + 1, :now), due_at_ms = :until
                where id in (select id from payments
                              where state <> 'RESERVED' and due_at_ms <= :now
                              order by due_at_ms limit :limit for update skip locked)
               returning id"
    ),
    leased: LEASED_POSTGRES,
    leased_sends: LEASED_SENDS_POSTGRES,
    hold_withdraw: statement!(
        OfVersion,
        "hold a withdraw request",
        "-- withdraw.hold
               select id from withdraws where id = :id and version = :version for share"
    ),
    hold_instance: statement!(
        "read whether the instance is halted",
        read_switches!("instance.hold", "for share")
    ),
    see_instance: statement!(
        "read which database server answers",
        read_switches!("instance.see", "")
    ),
    newest_written: statement!(
        "read when the newest payment was written",
        "-- payment.newest_written
               select p.id as newest_id, p.written_at_ms as written_at_ms
                 from payments p where p.state <> 'PAID' or p.node_id is not null
                order by p.id desc limit 1"
    ),
    pass_limit: statement!(
        "count what a limit leaves",
        "-- limit.pass\nselect only_row from limit_gate for update"
    ),
    marks: marks_dialect!(
        server!(),
        "cast(extract(epoch from clock_timestamp()) * 1000 as bigint)"
    ),
};

pub const CLOCK: Statement<()> = statement!(
    "read the database's clock",
    "-- clock\nselect (extract(epoch from clock_timestamp()) * 1000)::bigint as now_ms"
);

pub const TIMELINE: Statement<()> = statement!(
    "read the server's timeline",
    "-- timeline\nselect timeline_id::bigint as timeline from pg_control_checkpoint()"
);
