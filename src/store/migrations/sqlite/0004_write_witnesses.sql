-- A send that was never answered is over only when a write witness was seen: a later send to the same
-- node, begun after the time of the first had passed, that the node answered in a way that had to pass
-- the storing of a payment. So sends have an order, and the time at which each counts as begun; and an
-- error of the node itself (REFUSED) is told apart from silence (no answer). What stood here as ERROR may
-- have been either: it counts as silence.

create table sends_ordered (
    -- The order in which sends were written: a witness of a send comes after it.
    sequence         integer primary key autoincrement,
    payment_id       blob    not null references payments (id),
    number           integer not null check (number >= 1),
    -- Of the lease under which it was committed: tells two workers' rows apart.
    epoch            integer not null,
    node_id          text    not null,
    sent_at_ms       integer not null,
    -- By the earlier of the clocks of process and database.
    begun_at_ms      integer not null,
    -- The instant after which the node itself refuses the request.
    send_deadline_ms integer not null,
    answer           text    check (answer in ('UNSENT', 'REFUSED', 'ALREADY_EXISTS', 'STORED', 'FINAL')),
    unique (payment_id, number)
) strict;
insert into sends_ordered
    (payment_id, number, epoch, node_id, sent_at_ms, begun_at_ms, send_deadline_ms, answer)
    select payment_id, number, epoch, node_id, sent_at_ms, sent_at_ms, send_deadline_ms,
           case when answer = 'ERROR' then null else answer end
      from sends order by sent_at_ms;
drop table sends;
alter table sends_ordered rename to sends;

create index sends_witnesses on sends (node_id, begun_at_ms)
    where answer in ('STORED', 'FINAL');
create index sends_unanswered on sends (node_id, begun_at_ms) where answer is null;

-- The last witness that was made for its own sake: a payment that no route can reach.
-- When its request counts as begun, and the last send before it.
alter table nodes add column witnessed_at_ms integer;
alter table nodes add column witnessed_after integer;
-- Not before then is another one made; a lease, since there is never more than one at a time.
alter table nodes add column witness_due_at_ms integer;
-- Since when all of them were in vain.
alter table nodes add column witness_in_vain_since_ms integer;
-- How often they were asked for, or waited for anew, since then.
alter table nodes add column witness_in_vain integer not null default 0;

-- Whether its last sends were answered when it last spoke: no claim is accepted while several in a row
-- were not.
alter table nodes add column answers_sends integer not null default 1;
