-- What is asked of the whole instance for each claim and each first GET, kept as values instead of summed
-- again: what is open and not out yet, what went out lately, and what was accepted within 24 hours. Each
-- step of a payment moves them in its own transaction.

create table tallies (
    -- OPEN: amounts and fee limits of what is RESERVED or SENDING, and how many are IN_FLIGHT.
    -- OUT: amounts and fee limits of what went out within the second of the slot.
    -- SPENT: what was accepted within the quarter of an hour of the slot and did not fail: amount and fee
    -- limit while it is open, amount and fee once it is paid. These rows stay, since a late success still finds
    -- its slot: at most 1,536 a day, and reads are bounded by the slot.
    kind     text   not null check (kind in ('OPEN', 'OUT', 'SPENT')),
    -- Time since the epoch, in seconds (OUT) or quarters of an hour (SPENT). 0 for OPEN.
    slot     bigint not null,
    -- The last hexadecimal digit of the payment's id: so many can be written at the same moment.
    shard    bigint not null check (shard between 0 and 15),
    msat     bigint not null,
    payments bigint not null,
    primary key (kind, slot, shard)
) with (fillfactor = 50);

-- Held by a claim within a limit until it is committed, and taken before any other lock: one at a time.
create table limit_gate (
    only_row boolean primary key default true check (only_row)
);
insert into limit_gate default values;

-- The version of the payment that the tallies have seen. Without it a program of an earlier version, which
-- may still run for a while, would move payments and not their tallies.
alter table payments add column tallied bigint;
update payments set tallied = version;
alter table payments alter column tallied set not null;
alter table payments add constraint payments_tallied check (tallied = version);

-- When it was written, by the database's own clock: an id's time is that of a process, which may have been
-- ahead. Null for what was there before.
alter table payments add column written_at_ms bigint;
alter table payments alter column written_at_ms
    set default cast(extract(epoch from clock_timestamp()) * 1000 as bigint);

insert into tallies (kind, slot, shard, msat, payments)
select 'OPEN', 0, ('x' || right(cast(id as text), 1))::bit(4)::int,
       sum(case when state <> 'IN_FLIGHT' then amount_msat + fee_limit_msat else 0 end),
       sum(case when state = 'IN_FLIGHT' then 1 else 0 end)
  from payments where state in ('RESERVED', 'SENDING', 'IN_FLIGHT') group by 1, 2, 3;

-- Older ones are reflected in the next heartbeat.
insert into tallies (kind, slot, shard, msat, payments)
select 'OUT', known_at_ms / 1000, ('x' || right(cast(id as text), 1))::bit(4)::int,
       sum(amount_msat + fee_limit_msat), 0
  from payments
 where known_at_ms >= (select max(heartbeat_at_ms) from nodes) - 60000
   and state not in ('SENDING', 'FAILED')
 group by 1, 2, 3;

insert into tallies (kind, slot, shard, msat, payments)
select 'SPENT',
       ('x0000' || substr(replace(cast(id as text), '-', ''), 1, 12))::bit(64)::bigint / 900000,
       ('x' || right(cast(id as text), 1))::bit(4)::int,
       sum(amount_msat + case when state = 'PAID' then fee_msat
                              when state = 'FAILED' then coalesce(late_fee_msat, 0)
                              else fee_limit_msat end),
       0
  from payments where state <> 'FAILED' or late_at_ms is not null group by 1, 2, 3;
