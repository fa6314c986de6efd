//! SQLite's versions of the statements that differ between the two databases.

use crate::store::sql::{
    Dialect, LEASED_SENDS_SQLITE, LEASED_SQLITE, Lease, OfVersion, marks_dialect,
};

/// Reads the instance's switches, the server that was verified, and the current one: the file's `life`.
macro_rules! read_switches {
    ($name:literal) => {
        concat!(
            "-- ",
            $name,
            "\nselect paused_at_ms, fenced_at_ms, verified_server, life as server from instance"
        )
    };
}

pub static DIALECT: Dialect = Dialect {
    lease_fresh: statement!(
        Lease,
        "lease reserved payments",
        "-- payment.lease_fresh
               update payments set epoch = max(epoch + 1, :now), due_at_ms = :until
                where id in (select id from payments
                              where state = 'RESERVED' and due_at_ms <= :now
                              order by due_at_ms limit :limit)
               returning id"
    ),
    lease_follow: statement!(
        Lease,
        "lease payments to follow",
        "-- payment.lease_follow
               update payments set epoch = max(epoch + 1, :now), due_at_ms = :until
                where id in (select id from payments
                              where state <> 'RESERVED' and due_at_ms <= :now
                              order by due_at_ms limit :limit)
               returning id"
    ),
    leased: LEASED_SQLITE,
    leased_sends: LEASED_SENDS_SQLITE,
    hold_withdraw: statement!(
        OfVersion,
        "lock a withdraw request",
        // No row lock: the single writer already holds the whole database.
        "-- withdraw.hold
               select id from withdraws where id = :id and version = :version"
    ),
    hold_instance: statement!(
        "read and lock the instance's switches",
        // No row lock: the single writer already holds the whole database.
        read_switches!("instance.hold")
    ),
    see_instance: statement!(
        "read which database server answers",
        read_switches!("instance.see")
    ),
    newest_written: statement!(
        "read when the newest payment was written",
        // SQLite has no clock of its own, but an order: any lost commit came after the last send that is
        // still there. So this cap is too late only if the clock was ahead when that send was written.
        "-- payment.newest_written
               select p.id as newest_id,
                      (select s.sent_at_ms from sends s order by s.rowid desc limit 1) as written_at_ms
                 from payments p where p.state <> 'PAID' or p.node_id is not null
                order by p.id desc limit 1"
    ),
    pass_limit: statement!(
        "lock the limit gate",
        // No gate: the single writer already holds the whole database.
        "-- limit.pass\nselect only_row from instance"
    ),
    marks: marks_dialect!("instance.life", "cast(unixepoch('subsec') * 1000 as integer)"),
};
