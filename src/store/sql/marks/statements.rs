//! Writers' marks, and the server that was verified.

/// The statements about marks, from a database's words for the server that answers and for its clock.
macro_rules! marks_dialect {
    ($server:expr, $now_ms:literal) => {
        $crate::store::driver::MarksDialect {
            advance: $crate::store::driver::Sql {
                doing: "move a mark",
                // No row: it is not there, or it is older. It never goes back: the process may be the one
                // that was put back to a snapshot.
                text: concat!(
                    "-- mark.advance
                     update marks set value = case when value < $3 then $3 else value end
                      where writer = $1 and lane = $2 and value >= $4
                     returning (select ",
                    $server,
                    " from instance) as server"
                ),
            },
            begin: $crate::store::driver::Sql {
                doing: "begin a lane of marks",
                text: concat!(
                    "-- mark.begin
                     insert into marks (writer, lane, value) values ($1, $2, $3)
                     on conflict (writer, lane) do update
                       set value = case when marks.value < excluded.value
                                        then excluded.value else marks.value end
                     returning (select ",
                    $server,
                    " from instance) as server"
                ),
            },
            read: $crate::store::driver::Sql {
                doing: "read the marks of this process",
                text: concat!(
                    "-- mark.read\nselect ",
                    $server,
                    " as server, m.lane as lane, m.value as value
                        from instance left join marks m on m.writer = $1"
                ),
            },
            introduce: $crate::store::driver::Sql {
                doing: "make this process known to the database",
                text: concat!(
                    "-- writer.introduce
                     insert into writers (writer, seen_at_ms, server)
                     select $1, ",
                    $now_ms,
                    ", ",
                    $server,
                    " from instance where true on conflict (writer) do nothing"
                ),
            },
            found_all: $crate::store::driver::Sql {
                doing: "write that the marks were found",
                text: concat!(
                    "-- writer.found_all
                     insert into writers (writer, seen_at_ms, server)
                     select $1, ",
                    $now_ms,
                    ", ",
                    $server,
                    " from instance where ",
                    $server,
                    " = $2 on conflict (writer) do update
                       set seen_at_ms = excluded.seen_at_ms, server = excluded.server"
                ),
            },
            yet_to_read: $crate::store::driver::Sql {
                doing: "count the processes that have yet to look for their marks",
                text: concat!(
                    "-- writer.yet_to_read
                     select count(*) as writers from writers
                      where writer <> $1 and server <> $2 and seen_at_ms >= ",
                    $now_ms,
                    " - $3"
                ),
            },
            forget: $crate::store::driver::Sql {
                doing: "forget the writers of long ago",
                // Before `found_all`: by when this process itself looked last, since the clock may have
                // jumped since.
                text: "-- writer.forget
                     delete from writers where writer in
                         (select w.writer from writers w join writers own on own.writer = $1
                           where w.writer <> $1 and w.seen_at_ms < own.seen_at_ms - $2
                           order by w.seen_at_ms limit $3)",
            },
            verify: $crate::store::driver::Sql {
                doing: "write that the database server is verified",
                text: concat!(
                    "-- instance.verify
                     update instance set verified_server = $1, verified_by = $2,
                                         verified_at_ms = $3, verified_timeline = $4
                      where ",
                    $server,
                    " = $1"
                ),
            },
        }
    };
}

pub(in crate::store) use marks_dialect;
