//! `withdrawd decode`: what an LNURL or an invoice says.

use clap::Args;

use secrecy::{ExposeSecret, SecretString};

use super::printable;
use crate::domain::{Msat, invoice, lnurl};

#[derive(Debug, Args)]
pub(super) struct DecodeArgs {
    /// LNURL1…, lnurlw://… or ln…
    text: SecretString,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub(super) fn decode(args: &DecodeArgs) -> anyhow::Result<()> {
    match lnurl::decode(args.text.expose_secret()) {
        Ok(url) if args.json => say!("{}", serde_json::json!({ "url": url.as_str() })),
        Ok(url) => say!("{url}"),
        Err(lnurl::InvalidLnurl::NotAnLnurl) => decode_invoice(args)?,
        Err(fault) => anyhow::bail!("{fault}"),
    }
    Ok(())
}

fn decode_invoice(args: &DecodeArgs) -> anyhow::Result<()> {
    let parsed =
        invoice::normalise(args.text.expose_secret()).and_then(|text| invoice::parse(&text));
    let Ok(parsed) = parsed else { anyhow::bail!("this is neither an LNURL nor an invoice") };
    let amount = parsed.msat.and_then(|msat| i64::try_from(msat).ok());
    let amount = amount.and_then(Msat::new);
    let value = serde_json::json!({
        "network": parsed.currency.to_string(),
        "amount_msat": amount.map(Msat::get),
        "payment_hash": invoice::payment_hash(&parsed).to_string(),
        "payee": parsed.payee.to_string(),
        "description": parsed.description,
        "created_ms": parsed.made_at_s.saturating_mul(1_000),
        "expires_at_ms": invoice::expires_at(&parsed).as_ms(),
        "blinded_paths": parsed.paths.len(),
        "min_final_cltv_expiry_delta": parsed.final_cltv,
    });
    if args.json {
        say!("{value}");
        return Ok(());
    }
    let fields = value.as_object().into_iter().flatten();
    for (name, field) in fields {
        let text = field.as_str().map_or_else(|| field.to_string(), printable);
        say!("{name:<28} {text}");
    }
    Ok(())
}
