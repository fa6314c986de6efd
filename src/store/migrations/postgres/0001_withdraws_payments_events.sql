-- Withdraw requests, the attempts to pay them, what was sent for each attempt, what happened, and
-- the nodes that were seen. The invariants of the domain are repeated here as constraints, so that
-- a bug, or a hand with psql, meets them as well.
--
-- Times are milliseconds since the Unix epoch (`_ms`), amounts satoshis (`_sat`) or millisatoshis
-- (`_msat`). Names of states and reasons are those of the proto.

create table withdraws (
    -- A UUIDv7: its time is the request's `created`, so the key serves order, pages and time filters.
    id                   uuid    primary key,
    -- Raised by every change; every write names the version that it has read.
    version              bigint  not null check (version >= 1),
    -- Who made it. One unnamed caller until access keys exist.
    caller               text    not null default '',
    request_id           text    check (length(request_id) between 1 and 128),
    min_amount           numeric(24, 8) not null check (min_amount > 0),
    max_amount           numeric(24, 8) not null check (max_amount >= min_amount),
    currency             text    not null,
    target_currency      text    not null,
    exchange_rate        numeric(24, 8) not null check (exchange_rate > 0),
    ttl_s                bigint  not null check (ttl_s between 180 and 31536000),
    target_min_sat       bigint  not null check (target_min_sat >= 1),
    target_max_sat       bigint  not null
                         check (target_max_sat between target_min_sat and 2100000000000000),
    memo                 text    not null,
    statement_descriptor text,
    -- JSON as text: jsonb would reorder it and refuse what JSON allows.
    pass_thru            text,
    -- Which master key derives the secret. The secret itself is nowhere in this database.
    key_id               text    not null,
    secret_sha256        bytea   not null check (length(secret_sha256) = 32),
    status               text    not null check (status in ('ACTIVE', 'PAID', 'DEACTIVATED')),
    expires_at_ms        bigint  not null,
    claimable_until_ms   bigint  not null check (claimable_until_ms >= expires_at_ms),
    reopens_at_ms        bigint,
    -- A mark for the index, kept by every change and by the expiry pass; claims do not rest on it.
    claimable            boolean not null,
    -- The open or last attempt.
    payment_id           uuid,
    payment_hold         text    check (payment_hold in ('RELEASED', 'OPEN', 'IN_DOUBT')),
    -- A closed attempt turned out to be paid: the request is not free, whatever else fails.
    late_success         boolean not null default false,
    -- Made before the database was restored: not claimable until an operator has looked.
    withheld             boolean not null default false,
    modified_at_ms       bigint  not null,

    constraint withdraws_request_id_unique unique (caller, request_id),
    constraint withdraws_secret_unique unique (secret_sha256),
    constraint withdraws_hold_of_a_payment check ((payment_id is null) = (payment_hold is null)),
    constraint withdraws_held_is_active
        check (status = 'ACTIVE' or payment_hold is null or payment_hold = 'RELEASED'),
    constraint withdraws_withheld_is_active check (not withheld or status = 'ACTIVE'),
    constraint withdraws_paid_by_a_payment check (status <> 'PAID' or payment_id is not null),
    constraint withdraws_claimable_is_free
        check (not claimable or (status = 'ACTIVE' and reopens_at_ms is null and not late_success
                                 and not withheld
                                 and (payment_hold is null or payment_hold = 'RELEASED')))
);

-- ListWithdraws: one index per combination of filters; the primary key serves the list of all.
create index withdraws_by_status on withdraws (status, id);
create index withdraws_claimable on withdraws (id) where claimable;
create index withdraws_unclaimable on withdraws (id) where not claimable;
create index withdraws_unclaimable_active on withdraws (id)
    where not claimable and status = 'ACTIVE';
-- The expiry pass, and the few claimable rows that it has not marked yet.
create index withdraws_to_expire on withdraws (claimable_until_ms) where claimable;
create index withdraws_withheld on withdraws (id) where withheld;
create index withdraws_to_reopen on withdraws (reopens_at_ms) where reopens_at_ms is not null;

-- Which keys must be there to show the LNURLs of open requests; read at start.
create index withdraws_keys on withdraws (key_id) where status = 'ACTIVE';

create table payments (
    -- A UUIDv7: its time is when the invoice was accepted.
    id                    uuid    primary key,
    version               bigint  not null check (version >= 1),
    withdraw_id           uuid    not null references withdraws (id),
    invoice               text    not null,
    payment_hash          bytea   not null check (length(payment_hash) = 32),
    amount_msat           bigint  not null check (amount_msat > 0),
    fee_limit_msat        bigint  not null check (fee_limit_msat >= 0),
    invoice_expires_at_ms bigint  not null,
    send_until_ms         bigint  not null,
    state                 text    not null check (state in
                          ('RESERVED', 'SENDING', 'IN_FLIGHT', 'PAID', 'FAILED', 'NEEDS_OPERATOR')),
    -- When it became PAID, FAILED or NEEDS_OPERATOR.
    state_at_ms           bigint,
    -- A failure heard of while a send may still arrive.
    noted_reason          text,
    preimage              bytea   check (length(preimage) = 32),
    fee_msat              bigint  check (fee_msat >= 0),
    failure_reason        text,
    operator_reason       text,
    -- Paid after it was closed as failed, when the request was no longer free.
    late_preimage         bytea   check (length(late_preimage) = 32),
    late_fee_msat         bigint,
    late_at_ms            bigint,
    -- The node that was asked last.
    node_id               text,
    -- When the node was first seen to know it as in flight or paid. As long as the node knows the
    -- newest of these, its word that it does not know another one counts. Cleared only where an
    -- operator ends a doubt without the node's word that it was paid.
    known_at_ms           bigint,
    -- Of the last lease. Leases save work; correctness rests on `version`.
    epoch                 bigint  not null default 0,
    looks                 bigint  not null default 0,
    -- When somebody should look at it next; a lease moves it on. Null: never again.
    due_at_ms             bigint,

    -- The one rule that no crash may break: an invoice is paid for one claim only.
    constraint payments_hash_unique unique (payment_hash),
    constraint payments_paid_has_proof check ((state = 'PAID') = (preimage is not null)
                                              and (state = 'PAID') = (fee_msat is not null)),
    constraint payments_failed_has_reason check ((state = 'FAILED') = (failure_reason is not null)),
    constraint payments_doubt_has_reason
        check ((state = 'NEEDS_OPERATOR') = (operator_reason is not null)),
    constraint payments_ended_has_time
        check ((state in ('PAID', 'FAILED', 'NEEDS_OPERATOR')) = (state_at_ms is not null)),
    constraint payments_late_is_failed check (late_at_ms is null or state = 'FAILED'),
    -- PAID without a send of ours: the node's proof ended a doubt about a send that was lost.
    constraint payments_sent_has_node
        check (node_id is not null or state not in ('SENDING', 'IN_FLIGHT'))
);

-- At most one open attempt per request, whatever the code believes.
create unique index payments_one_open on payments (withdraw_id)
    where state in ('RESERVED', 'SENDING', 'IN_FLIGHT', 'NEEDS_OPERATOR');
create unique index payments_one_paid on payments (withdraw_id) where state = 'PAID';
create index payments_of_withdraw on payments (withdraw_id, id);
-- ListPayments: one index per combination of filters; the primary key serves the list of all.
create index payments_by_state on payments (state, id);
create index payments_open on payments (id)
    where state in ('RESERVED', 'SENDING', 'IN_FLIGHT', 'NEEDS_OPERATOR');
create index payments_late on payments (id) where late_at_ms is not null;
create index payments_due_fresh on payments (due_at_ms)
    where state = 'RESERVED' and due_at_ms is not null;
create index payments_due_follow on payments (due_at_ms)
    where state <> 'RESERVED' and due_at_ms is not null;
-- What the node's last heartbeat cannot have counted yet, and what fills its channels for long.
create index payments_not_out on payments (state) where state in ('RESERVED', 'SENDING');
create index payments_in_flight on payments (known_at_ms) where state = 'IN_FLIGHT';
create index payments_newest_known on payments (node_id, known_at_ms)
    where known_at_ms is not null and state <> 'FAILED';

create table sends (
    payment_id       uuid   not null references payments (id),
    number           bigint not null check (number >= 1),
    -- Of the lease under which it was committed: tells two workers' rows apart.
    epoch            bigint not null,
    node_id          text   not null,
    sent_at_ms       bigint not null,
    -- The instant after which the node itself refuses the request.
    send_deadline_ms bigint not null,
    answer           text   check (answer in ('ERROR', 'ALREADY_EXISTS', 'FINAL')),
    primary key (payment_id, number)
);

-- Append-only: what happened to a request, in the transaction that made it so.
create table events (
    withdraw_id uuid   not null references withdraws (id),
    -- The request's version after the change.
    version     bigint not null,
    kind        text   not null,
    payment_id  uuid,
    detail      text,
    at_ms       bigint not null,
    -- Who decided it, where a person did, and what they said to it.
    operator    text,
    note        text,
    primary key (withdraw_id, version),
    constraint events_operator_says_why check ((operator is null) = (note is null))
);

create table nodes (
    -- The public key, hex.
    node_id          text    primary key,
    alias            text    not null,
    network          text    not null,
    backend          text    not null,
    first_seen_at_ms bigint  not null,
    -- What it last said of itself: it is down when this is old, whoever asked.
    heartbeat_at_ms  bigint,
    synced           boolean,
    -- Over its active channels, less their reserves.
    can_send_msat    bigint check (can_send_msat >= 0),
    active_channels  bigint,
    -- HTLCs on the channel that has most of ours.
    busiest_channel_htlcs bigint,
    -- The one that pays.
    is_current       boolean not null,
    constraint nodes_heartbeat_is_whole
        check ((heartbeat_at_ms is null) = (synced is null)
               and (heartbeat_at_ms is null) = (can_send_msat is null)
               and (heartbeat_at_ms is null) = (active_channels is null)
               and (heartbeat_at_ms is null) = (busiest_channel_htlcs is null))
);
create unique index nodes_one_current on nodes (is_current) where is_current;

-- What holds for every replica at once: one row. Every claim and every send reads it under a lock in its
-- own transaction, so that nothing is accepted or sent after a pause or a fence was committed.
create table instance (
    only_row      boolean primary key default true check (only_row),
    paused_at_ms  bigint,
    paused_by     text,
    pause_reason  text,
    -- The database may have lost commits: nothing is accepted or sent until an operator has looked.
    fenced_at_ms  bigint,
    fence_reason  text check (fence_reason in ('MARK_LOST', 'UNKNOWN_PAYMENTS', 'BY_HAND')),
    -- Payments that the node made before were no business of this database.
    first_started_at_ms bigint,
    -- What the node made before, an operator has looked at.
    acknowledged_at_ms bigint,
    constraint instance_pause_is_whole check ((paused_at_ms is null) = (paused_by is null)
                                              and (paused_at_ms is null) = (pause_reason is null)),
    constraint instance_fence_is_whole check ((fenced_at_ms is null) = (fence_reason is null))
);
insert into instance default values;

-- Append-only: what operators did to the whole instance, and what it did to itself (`withdrawd`).
create table operator_actions (
    id       bigint generated always as identity primary key,
    at_ms    bigint not null,
    action   text not null check (action in ('PAUSE', 'RESUME', 'FENCE', 'ACKNOWLEDGE')),
    operator text not null,
    reason   text not null
);
