-- What each process was told is durable, and which life of a database server may be trusted.
--
-- A process is a writer. Each commit that a caller is told of moves one of its writer's marks, in the same
-- transaction. A database that lost such a commit (an older file in its place) has an older mark than the
-- one that the process remembers, or none.

create table writers (
    -- Random: a process draws it when it starts.
    writer     blob    primary key,
    -- By the system's clock.
    seen_at_ms integer not null,
    -- The life of the database in which it last found all of its marks.
    server     integer not null
) strict;
-- Writers that have been silent for long are removed, with their marks.
create index writers_by_seen on writers (seen_at_ms);

create table marks (
    writer blob    not null references writers (writer) on delete cascade,
    -- A transaction has a lane of its own while it lasts.
    lane   integer not null check (lane >= 0),
    -- Only ever grows.
    value  integer not null check (value >= 1),
    primary key (writer, lane)
) strict;

-- The life that was found to have lost nothing, and by which writer: claims and sends compare it with the
-- one that they are in. A backup carries both, but the next process that opens it begins another life.
alter table instance add column verified_server integer;
alter table instance add column verified_by blob;
-- By the clock of that process.
alter table instance add column verified_at_ms integer;
-- For people, where the database tells it.
alter table instance add column verified_timeline integer;
-- Random, and drawn anew by each process that opens the file: only one can.
alter table instance add column life integer not null default 0;
