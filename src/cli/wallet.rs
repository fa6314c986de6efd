//! `withdrawd claim`: a wallet for regtest, whose invoices the simulated node settles.

use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;
use secp256k1::SecretKey;
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use url::Url;

use super::printable;
use crate::{
    domain::{InvoiceCurrency, Msat, NewInvoice, Sat, lnurl},
    http::client::{self, ClientOptions, Hosts},
    node::simulated,
    runtime::{Clock, Entropy, SystemClock, SystemEntropy},
};

/// Bytes that an invoice's description can hold.
const MAX_DESCRIPTION: usize = 639;

const LIMITS: ClientOptions = ClientOptions {
    timeout: Duration::from_secs(10),
    max_body_bytes: 64 * 1024,
    hosts: Hosts::Any,
};

#[derive(Debug, Args)]
pub(super) struct ClaimArgs {
    /// LNURL1… or lnurlw://…
    lnurl: SecretString,
    /// How much to withdraw, in satoshis. Default: the largest amount offered.
    #[arg(long)]
    amount: Option<i64>,
    /// Claim with this invoice (of a real node) instead of making one that only the simulated node pays.
    #[arg(long, conflicts_with = "amount")]
    invoice: Option<String>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

struct Offer {
    callback: Url,
    k1: String,
    max: Msat,
    description: String,
}

pub(super) async fn claim(args: ClaimArgs) -> anyhow::Result<()> {
    let url =
        lnurl::decode(args.lnurl.expose_secret()).map_err(|fault| anyhow::anyhow!("{fault}"))?;
    let offer = offer(&fetch(&url).await?)?;
    let invoice = if let Some(invoice) = args.invoice {
        invoice
    } else {
        let amount = match args.amount {
            Some(sat) => Sat::new(sat).context("--amount must be satoshis")?.to_msat(),
            None => offer.max,
        };
        make_invoice(amount, &offer.description)?
    };
    let mut callback = offer.callback;
    callback.query_pairs_mut().append_pair("k1", &offer.k1).append_pair("pr", &invoice);
    accepted(&fetch(&callback).await?)?;
    if args.json {
        say!("{}", serde_json::json!({ "status": "OK", "invoice": invoice }));
    } else {
        say!("accepted: the invoice is being paid");
        say!("{invoice}");
    }
    Ok(())
}

fn offer(answer: &Value) -> anyhow::Result<Offer> {
    accepted(answer)?;
    let text = |key: &str| answer[key].as_str().with_context(|| format!("the answer has no {key}"));
    if text("tag")? != "withdrawRequest" {
        bail!("this LNURL is not for withdrawing");
    }
    let max = answer["maxWithdrawable"].as_i64().and_then(Msat::new);
    Ok(Offer {
        callback: Url::parse(text("callback")?)?,
        k1: text("k1")?.to_owned(),
        max: max.context("the answer has no maxWithdrawable")?,
        description: text("defaultDescription")?.to_owned(),
    })
}

async fn fetch(url: &Url) -> anyhow::Result<Value> {
    let (_, body) = client::get(url, LIMITS).await?;
    serde_json::from_slice(&body).context("the answer is not JSON")
}

/// Fails with the reason of an LNURL ERROR, which is written for the wallet's user.
fn accepted(answer: &Value) -> anyhow::Result<()> {
    match answer["status"].as_str() {
        Some("ERROR") => bail!("{}", printable(answer["reason"].as_str().unwrap_or("refused"))),
        Some(_) | None => Ok(()),
    }
}

/// A regtest invoice signed with a fresh key. Its preimage follows the rule by which the simulated node
/// settles.
pub fn make_invoice(amount: Msat, description: &str) -> anyhow::Result<String> {
    let mut secret = [0; 32];
    SystemEntropy.fill(&mut secret);
    let mut key = [0; 32];
    SystemEntropy.fill(&mut key);
    let key = SecretKey::from_slice(&key).context("the random key is invalid, please try again")?;
    let hash = simulated::preimage_of(&secret).hash();
    let now_s = u64::try_from(SystemClock::new().now().as_ms())? / 1_000;
    let invoice = NewInvoice {
        currency: InvoiceCurrency::Regtest,
        msat: u64::try_from(amount.get())?,
        made_at_s: now_s,
        payment_hash: hash.as_bytes(),
        payment_secret: &secret,
        description: &description[..description.floor_char_boundary(MAX_DESCRIPTION)],
        final_cltv: 80,
    };
    Ok(invoice.sign(&key)?)
}
