//! What everybody recorded who took part in a round: the payee's lnd, the payer's, the service's
//! database, and what the service answers.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::join_all;
use serde_json::Value;
use sqlx::{Connection, PgConnection, SqliteConnection, sqlite::SqliteConnectOptions};
use withdrawd::pb::Withdraw;

use super::round::Round;

/// By payment hash, in hex.
pub type ByHash<T> = BTreeMap<String, T>;

/// An attempt, as the service's database has it.
#[derive(Clone, Debug)]
pub struct Attempt {
    pub hash: String,
    pub state: String,
    pub preimage: Option<String>,
    /// Why it failed, or is in doubt.
    pub reason: Option<String>,
    pub sends: i64,
}

/// Its columns, in their order.
type Columns = (String, String, Option<String>, Option<String>, i64);

impl Attempt {
    fn of((hash, state, preimage, reason, sends): Columns) -> Self {
        Self { hash, state, preimage, reason, sends }
    }
}

pub struct Records {
    /// The truth.
    pub payee: ByHash<Value>,
    pub payer: ByHash<Value>,
    /// Of them, those that will be in flight for ever.
    pub stranded: BTreeSet<String>,
    pub wedged: bool,
    pub attempts: ByHash<Attempt>,
    /// How many requests the database has.
    pub requests: i64,
    /// As gRPC shows them, in the order of the offers.
    pub shown: Vec<Withdraw>,
}

const REQUESTS: &str = "select count(*) from withdraws";

const ATTEMPTS_POSTGRES: &str = "
    select encode(payment_hash, 'hex') as hash, state, encode(preimage, 'hex') as preimage,
           coalesce(failure_reason, operator_reason) as reason,
           (select count(*) from sends where payment_id = payments.id) as sends
      from payments";

const ATTEMPTS_SQLITE: &str = "
    select lower(hex(payment_hash)) as hash, state,
           case when preimage is not null then lower(hex(preimage)) end as preimage,
           coalesce(failure_reason, operator_reason) as reason,
           (select count(*) from sends where payment_id = payments.id) as sends
      from payments";

impl Records {
    /// None while one of them cannot be read.
    pub async fn read(round: &Round) -> Option<Self> {
        let since = round.marks.clone();
        let nodes = round.environment.blocking(move |environment| {
            environment.payee_invoices(&since).zip(environment.payer_payments(&since))
        });
        let (invoices, payments) = nodes.await?;
        let stranded = round.stranded().await?;
        let (requests, attempts) = database(round).await.ok()?;
        let shown = round.offers.iter().map(|offer| round.get(offer.withdraw()));
        Some(Self {
            payee: by_hash(invoices, "r_hash"),
            payer: by_hash(payments, "payment_hash"),
            stranded,
            wedged: round.is_wedged().await,
            attempts: attempts.into_iter().map(|attempt| (attempt.hash.clone(), attempt)).collect(),
            requests,
            shown: join_all(shown).await.into_iter().collect::<Option<_>>()?,
        })
    }
}

fn by_hash(entries: Vec<Value>, key: &str) -> ByHash<Value> {
    entries.into_iter().map(|entry| (entry[key].as_str().unwrap().to_owned(), entry)).collect()
}

/// The number of requests, and all attempts.
pub async fn database(round: &Round) -> sqlx::Result<(i64, Vec<Attempt>)> {
    if round.database_url.is_empty() {
        let file = round.replicas[0].path().join("data/withdrawd.sqlite");
        let options = SqliteConnectOptions::new().filename(file).read_only(true);
        let mut connection = SqliteConnection::connect_with(&options).await?;
        let requests = sqlx::query_scalar(REQUESTS).fetch_one(&mut connection).await?;
        let attempts = sqlx::query_as(ATTEMPTS_SQLITE).fetch_all(&mut connection).await?;
        connection.close().await?;
        return Ok((requests, attempts.into_iter().map(Attempt::of).collect()));
    }
    let mut connection = PgConnection::connect(&round.database_url).await?;
    let requests = sqlx::query_scalar(REQUESTS).fetch_one(&mut connection).await?;
    let attempts = sqlx::query_as(ATTEMPTS_POSTGRES).fetch_all(&mut connection).await?;
    connection.close().await?;
    Ok((requests, attempts.into_iter().map(Attempt::of).collect()))
}
