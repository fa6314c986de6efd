//! The store itself: its keys, its health, this process in it.

use crate::store::{driver::Sql, sql::sql};

/// Steps from key to key through the index instead of reading every request.
pub const KEYS_IN_USE: Sql = sql(
    "read which keys are in use",
    "-- withdraw.keys_in_use
     with recursive used (key_id) as (
         select min(key_id) from withdraws where status = 'ACTIVE'
         union all
         select (select min(w.key_id) from withdraws w
                  where w.status = 'ACTIVE' and w.key_id > used.key_id)
           from used where used.key_id is not null
     )
     select key_id from used where key_id is not null",
);

pub const ANY_WITHDRAW: Sql =
    sql("look for any withdraw request", "-- withdraw.any\nselect id from withdraws limit 1");

pub const DERIVING_KEY: Sql = sql(
    "read which key new requests derive from",
    "-- key.deriving\nselect key_id from deriving where key_id is not null",
);

pub const SEE_KEY: Sql = sql(
    "record a master key",
    "-- key.see
     insert into master_keys (key_id, first_seen_ms) values ($1, $2) on conflict (key_id) do nothing",
);

/// By a process that holds the key of before.
pub const DERIVE_FROM: Sql = sql(
    "record the key that new requests derive from",
    "-- key.derive_from
     update deriving set key_id = $1 where coalesce(key_id, '') = $2",
);

pub const FORGET_WRITER: Sql =
    sql("forget this process", "-- writer.leave\ndelete from writers where writer = $1");

pub const PROVE_WRITE: Sql = sql(
    "prove that the database takes writes",
    "-- write.prove\nupdate write_proof set proven_ms = $1",
);

pub const SCHEMA: Sql = sql(
    "read the schema's version",
    "-- schema\nselect max(version) as version from _sqlx_migrations where success",
);
