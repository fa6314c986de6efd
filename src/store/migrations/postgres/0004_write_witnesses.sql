-- A send that was never answered is over only when a write witness was seen: a later send to the same
-- node, begun after the time of the first had passed, that the node answered in a way that had to pass
-- the storing of a payment. So sends have an order, and the time at which each counts as begun; and an
-- error of the node itself (REFUSED) is told apart from silence (no answer). What stood here as ERROR may
-- have been either: it counts as silence.

alter table sends
    -- The order in which sends were written: a witness of a send comes after it.
    add column sequence bigint generated always as identity,
    -- By the earlier of the clocks of process and database.
    add column begun_at_ms bigint;
update sends set begun_at_ms = sent_at_ms;
alter table sends alter column begun_at_ms set not null;

alter table sends drop constraint sends_answer_check;
update sends set answer = null where answer = 'ERROR';
alter table sends add constraint sends_answer_check
    check (answer in ('UNSENT', 'REFUSED', 'ALREADY_EXISTS', 'STORED', 'FINAL'));

create unique index sends_sequence on sends (sequence);
create index sends_witnesses on sends (node_id, begun_at_ms)
    where answer in ('STORED', 'FINAL');
create index sends_unanswered on sends (node_id, begun_at_ms) where answer is null;

-- The last witness that was made for its own sake: a payment that no route can reach.
alter table nodes
    -- When its request counts as begun, and the last send before it.
    add column witnessed_at_ms bigint,
    add column witnessed_after bigint,
    -- Not before then is another one made; a lease, since there is never more than one at a time.
    add column witness_due_at_ms bigint,
    -- Since when all of them were in vain.
    add column witness_in_vain_since_ms bigint,
    -- How often they were asked for, or waited for anew, since then.
    add column witness_in_vain bigint not null default 0,
    add constraint nodes_witness_is_whole
        check ((witnessed_at_ms is null) = (witnessed_after is null));

-- Whether its last sends were answered when it last spoke: no claim is accepted while several in a row
-- were not.
alter table nodes add column answers_sends boolean not null default true;
