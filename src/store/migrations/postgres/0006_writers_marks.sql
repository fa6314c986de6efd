-- What each process was told is durable, and which life of a database server may be trusted.
--
-- A process is a writer. Each commit that a caller is told of moves one of its writer's marks, in the same
-- transaction. A database that lost such a commit (restored, or promoted without the last of them) has an
-- older mark than the one that the process remembers, or none.

create table writers (
    -- Random: a process draws it when it starts.
    writer     uuid   primary key,
    -- By the database's clock.
    seen_at_ms bigint not null,
    -- The server on which it last found all of its marks.
    server     bigint not null
);
-- Writers that have been silent for long are removed, with their marks.
create index writers_by_seen on writers (seen_at_ms);

create table marks (
    writer uuid   not null references writers (writer) on delete cascade,
    -- A transaction has a lane of its own while it lasts, so that none waits for another one's row.
    lane   bigint not null check (lane >= 0),
    -- Only ever grows.
    value  bigint not null check (value >= 1),
    primary key (writer, lane)
) with (fillfactor = 50);

-- The server that was found to have lost nothing, and by which writer: claims and sends compare it with the
-- one that answers them. A backup carries an old one, of a server that started at another time.
alter table instance
    add column verified_server      bigint,
    add column verified_by          uuid,
    -- By the clock of that process.
    add column verified_at_ms       bigint,
    -- For people: it adds nothing to what is compared, and not every server tells it.
    add column verified_timeline    bigint,
    add constraint instance_verification_is_whole
        check ((verified_server is null) = (verified_by is null)
               and (verified_server is null) = (verified_at_ms is null));
