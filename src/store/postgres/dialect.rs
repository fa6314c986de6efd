//! Postgres's versions of the statements that differ between the two databases.

use crate::store::{
    sql::{Dialect, LEASED_POSTGRES, LEASED_SENDS_POSTGRES, Lease, OfVersion, marks_dialect},
    statement::Statement,
};

/// Identifies one run of the server, from the instance's row: the server's start time (which differs after a
/// restart, on a standby, on restored files), mixed with the table's OID (which differs after a dump was
/// restored into the running server). Reverting the whole machine to a snapshot keeps both; the marks detect
/// that.
///
/// The timeline would add nothing: it changes only on a server that has restarted or accepted no writes
/// before. Not every compatible database permits reading it.
macro_rules! server {
    () => {
        "cast(extract(epoch from pg_postmaster_start_time()) * 1000000 as bigint)
             # (cast(instance.tableoid as bigint) << 20)"
    };
}

/// Reads the instance's switches, the server that was verified, and the current one.
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
        "lock a withdraw request",
        "-- withdraw.hold
               select id from withdraws where id = :id and version = :version for share"
    ),
    hold_instance: statement!(
        "read and lock the instance's switches",
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
        "lock the limit gate",
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
