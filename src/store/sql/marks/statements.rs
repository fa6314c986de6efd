//! Statements about writers' marks and the verified server.

use uuid::Uuid;

use super::counters::Found;
use crate::{
    domain::{Millis, Timestamp},
    store::{
        driver::Cells,
        sql::reader::{Parsed, Reader, known},
        statement::Statement,
    },
};

params! {
    pub struct Advance {
        writer: Uuid,
        lane: i64,
        value: i64,
        required: i64,
    }

    pub struct Begin {
        writer: Uuid,
        lane: i64,
        value: i64,
    }

    pub struct OfWriter {
        writer: Uuid,
    }

    pub struct FoundAll {
        writer: Uuid,
        server: i64,
    }

    pub struct YetToRead {
        writer: Uuid,
        server: i64,
        window_ms: Millis,
    }

    pub struct Forget {
        writer: Uuid,
        silent_ms: Millis,
        limit: i64,
    }

    pub struct Verify {
        server: i64,
        verified_by: Uuid,
        verified_at_ms: Timestamp,
        timeline: Option<i64>,
    }
}

pub const LEAVE: Statement<OfWriter> = statement!(
    OfWriter,
    "remove this process from the writers",
    "-- writer.leave\ndelete from writers where writer = :writer"
);

/// The statements about marks. Each database has its own expressions for its current server and its clock.
#[derive(Debug)]
pub struct MarksDialect {
    /// Advances a lane's mark, unless it is behind the acknowledged value.
    pub advance: Statement<Advance>,
    /// Advances the mark of a lane on which nothing was acknowledged yet.
    pub begin: Statement<Begin>,
    /// Reads a writer's marks: at least one row, which names the server.
    pub read: Statement<OfWriter>,
    /// Registers the writer.
    pub introduce: Statement<OfWriter>,
    /// Records that the writer has found all of its marks on this server.
    pub found_all: Statement<FoundAll>,
    /// Counts other writers that were seen recently and have not checked their marks on this server.
    pub yet_to_read: Statement<YetToRead>,
    /// Deletes writers that have been silent for long.
    pub forget: Statement<Forget>,
    /// Records that this server is verified, if it is still the current one.
    pub verify: Statement<Verify>,
}

/// The statements about marks, given a database's expressions for its current server and for its clock.
macro_rules! marks_dialect {
    ($server:expr, $now_ms:literal) => {
        $crate::store::sql::marks::MarksDialect {
            advance: statement!(
                $crate::store::sql::marks::Advance,
                "advance a mark",
                // No row: the mark is missing or behind. A mark never decreases: it may be this process that
                // was reverted to a snapshot.
                concat!(
                    "-- mark.advance
                     update marks set value = case when value < :value then :value else value end
                      where writer = :writer and lane = :lane and value >= :required
                     returning (select ",
                    $server,
                    " from instance) as server"
                )
            ),
            begin: statement!(
                $crate::store::sql::marks::Begin,
                "begin a lane of marks",
                concat!(
                    "-- mark.begin
                     insert into marks (writer, lane, value) values (:writer, :lane, :value)
                     on conflict (writer, lane) do update
                       set value = case when marks.value < excluded.value
                                        then excluded.value else marks.value end
                     returning (select ",
                    $server,
                    " from instance) as server"
                )
            ),
            read: statement!(
                $crate::store::sql::marks::OfWriter,
                "read the marks of this process",
                concat!(
                    "-- mark.read\nselect ",
                    $server,
                    " as server, m.lane as lane, m.value as value
                        from instance left join marks m on m.writer = :writer"
                )
            ),
            introduce: statement!(
                $crate::store::sql::marks::OfWriter,
                "register this process as a writer",
                concat!(
                    "-- writer.introduce
                     insert into writers (writer, seen_at_ms, server)
                     select :writer, ",
                    $now_ms,
                    ", ",
                    $server,
                    " from instance where true on conflict (writer) do nothing"
                )
            ),
            found_all: statement!(
                $crate::store::sql::marks::FoundAll,
                "record that all marks were found",
                concat!(
                    "-- writer.found_all
                     insert into writers (writer, seen_at_ms, server)
                     select :writer, ",
                    $now_ms,
                    ", ",
                    $server,
                    " from instance where ",
                    $server,
                    " = :server on conflict (writer) do update
                       set seen_at_ms = excluded.seen_at_ms, server = excluded.server"
                )
            ),
            yet_to_read: statement!(
                $crate::store::sql::marks::YetToRead,
                "count the processes that have yet to check their marks",
                concat!(
                    "-- writer.yet_to_read
                     select count(*) as writers from writers
                      where writer <> :writer and server <> :server and seen_at_ms >= ",
                    $now_ms,
                    " - :window_ms"
                )
            ),
            forget: statement!(
                $crate::store::sql::marks::Forget,
                "delete writers that have long been silent",
                // Runs before `found_all`, and measures silence from the last check of this process, not from
                // now: the clock may have jumped since.
                "-- writer.forget
                     delete from writers where writer in
                         (select w.writer from writers w join writers own on own.writer = :writer
                           where w.writer <> :writer and w.seen_at_ms < own.seen_at_ms - :silent_ms
                           order by w.seen_at_ms limit :limit)"
            ),
            verify: statement!(
                $crate::store::sql::marks::Verify,
                "record that the database server is verified",
                concat!(
                    "-- instance.verify
                     update instance set verified_server = :server, verified_by = :verified_by,
                                         verified_at_ms = :verified_at_ms, verified_timeline = :timeline
                      where ",
                    $server,
                    " = :server"
                )
            ),
        }
    };
}

pub(in crate::store) use marks_dialect;

/// The server that advanced a mark.
pub fn server<R: Cells>(row: &R) -> Parsed<i64> {
    Reader(row).int("server")
}

/// The current server, and a writer's marks on it. A writer without marks still has one row, without a lane.
pub fn read_marks<R: Cells>(rows: &[R]) -> Parsed<(i64, Found)> {
    let server = server(known("server", rows.first())?)?;
    let mut found = Found::new();
    for row in rows.iter().map(Reader) {
        if let Some(lane) = row.opt_int("lane")? {
            found.insert(lane, row.int("value")?);
        }
    }
    Ok((server, found))
}
