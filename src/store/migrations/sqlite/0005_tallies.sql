-- What is asked of the whole instance for each claim and each first GET, kept as values instead of summed
-- again: what is open and not out yet, what went out lately, and what was accepted within 24 hours. Each
-- step of a payment moves them in its own transaction.

create table tallies (
    -- OPEN: amounts and fee limits of what is RESERVED or SENDING, and how many are IN_FLIGHT.
    -- OUT: amounts and fee limits of what went out within the second of the slot.
    -- SPENT: what was accepted within the quarter of an hour of the slot and did not fail: amount and fee
    -- limit while it is open, amount and fee once it is paid. These rows stay, since a late success still finds
    -- its slot: at most 1,536 a day, and reads are bounded by the slot.
    kind     text    not null check (kind in ('OPEN', 'OUT', 'SPENT')),
    -- Time since the epoch, in seconds (OUT) or quarters of an hour (SPENT). 0 for OPEN.
    slot     integer not null,
    -- The last hexadecimal digit of the payment's id.
    shard    integer not null check (shard between 0 and 15),
    msat     integer not null,
    payments integer not null,
    primary key (kind, slot, shard)
) strict, without rowid;

-- The version of the payment that the tallies have counted. Nullable: SQLite adds no NOT NULL column without a
-- default, and only one program can have the file open.
alter table payments add column tallied integer
    constraint payments_tallied check (tallied = version);
update payments set tallied = version;

insert into tallies (kind, slot, shard, msat, payments)
select 'OPEN', 0, instr('123456789ABCDEF', substr(hex(id), 32, 1)),
       sum(case when state <> 'IN_FLIGHT' then amount_msat + fee_limit_msat else 0 end),
       sum(case when state = 'IN_FLIGHT' then 1 else 0 end)
  from payments where state in ('RESERVED', 'SENDING', 'IN_FLIGHT') group by 1, 2, 3;

-- Older ones are reflected in the next heartbeat.
insert into tallies (kind, slot, shard, msat, payments)
select 'OUT', known_at_ms / 1000, instr('123456789ABCDEF', substr(hex(id), 32, 1)),
       sum(amount_msat + fee_limit_msat), 0
  from payments
 where known_at_ms >= (select max(heartbeat_at_ms) from nodes) - 60000
   and state not in ('SENDING', 'FAILED')
 group by 1, 2, 3;

-- The first 48 bits of the id are its time.
insert into tallies (kind, slot, shard, msat, payments)
select 'SPENT',
       (((instr('123456789ABCDEF', substr(hex(id), 1, 1))) << 44)
        + ((instr('123456789ABCDEF', substr(hex(id), 2, 1))) << 40)
        + ((instr('123456789ABCDEF', substr(hex(id), 3, 1))) << 36)
        + ((instr('123456789ABCDEF', substr(hex(id), 4, 1))) << 32)
        + ((instr('123456789ABCDEF', substr(hex(id), 5, 1))) << 28)
        + ((instr('123456789ABCDEF', substr(hex(id), 6, 1))) << 24)
        + ((instr('123456789ABCDEF', substr(hex(id), 7, 1))) << 20)
        + ((instr('123456789ABCDEF', substr(hex(id), 8, 1))) << 16)
        + ((instr('123456789ABCDEF', substr(hex(id), 9, 1))) << 12)
        + ((instr('123456789ABCDEF', substr(hex(id), 10, 1))) << 8)
        + ((instr('123456789ABCDEF', substr(hex(id), 11, 1))) << 4)
        + ((instr('123456789ABCDEF', substr(hex(id), 12, 1))) << 0)) / 900000,
       instr('123456789ABCDEF', substr(hex(id), 32, 1)),
       sum(amount_msat + case when state = 'PAID' then fee_msat
                              when state = 'FAILED' then coalesce(late_fee_msat, 0)
                              else fee_limit_msat end),
       0
  from payments where state <> 'FAILED' or late_at_ms is not null group by 1, 2, 3;
