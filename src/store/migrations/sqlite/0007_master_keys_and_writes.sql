-- Which master keys the withdraw requests derive from. A process that does not hold the one in `deriving`
-- would show the others' requests without their LNURLs, and they its own: it does not start. Two processes
-- that start at once on an empty database, each with a key of its own, meet at that row, and one gives way.

create table master_keys (
    key_id        text primary key,
    first_seen_ms integer not null
) strict;
create table deriving (
    only_row integer primary key default 1 check (only_row = 1),
    -- What new requests derive from; none before the first start.
    key_id   text references master_keys
) strict;
insert into deriving default values;

-- What a process writes every few seconds, to know whether the database takes writes. Nobody reads it, and
-- nothing else waits for its lock.
create table write_proof (
    only_row  integer primary key default 1 check (only_row = 1),
    proven_ms integer not null default 0
) strict;
insert into write_proof default values;
