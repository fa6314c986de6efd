//! `create`, `get`, `list` and `deactivate`: a client of the gRPC service.

use clap::Args;
use qrcode::{EcLevel, QrCode, render::unicode::Dense1x2};

use super::printable;
use crate::client::{Client, Instant, NewWithdraw, Page, Withdraw, time_text, to_json};

#[derive(Debug, Args)]
pub(super) struct Server {
    /// The service's gRPC address: http://HOST:PORT, HOST:PORT, or https:// if a proxy terminates TLS.
    #[arg(long, default_value = "http://127.0.0.1:50051", env = "WITHDRAWD_SERVER")]
    server: String,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

impl Server {
    pub(super) fn address(&self) -> &str {
        &self.server
    }

    pub(super) const fn json(&self) -> bool {
        self.json
    }
}

#[derive(Debug, Args)]
pub(super) struct CreateArgs {
    /// The largest amount that can be withdrawn, in satoshis.
    #[arg(long)]
    max_amount: String,
    /// The smallest amount that can be withdrawn. Default: equal to --max-amount.
    #[arg(long)]
    min_amount: Option<String>,
    /// Text that wallets show and write into the invoice: at most 639 bytes, no tab or newline.
    #[arg(long)]
    memo: Option<String>,
    /// How long it can be claimed, in seconds: 180 to 31536000. Default: 600.
    #[arg(long)]
    ttl_s: Option<i64>,
    /// An id that you choose. Repeating the command with the same id returns the same request.
    #[arg(long)]
    request_id: Option<String>,
    /// A note about the account: at most 255 bytes, no tab or newline.
    #[arg(long)]
    statement_descriptor: Option<String>,
    /// Your own data, returned with the request: a JSON object, such as '{"order": 17}'.
    #[arg(long)]
    pass_thru: Option<String>,
    #[command(flatten)]
    server: Server,
}

#[derive(Debug, Args)]
pub(super) struct OneArgs {
    /// The request's id (wr_…).
    id: String,
    #[command(flatten)]
    server: Server,
}

#[derive(Debug, Args)]
pub(super) struct ListArgs {
    /// Only this status: ACTIVE, PAID or DEACTIVATED.
    #[arg(long)]
    status: Option<String>,
    /// Only requests that can (true) or cannot (false) be claimed now.
    #[arg(long)]
    claimable: Option<bool>,
    /// Only the request created with this --request-id.
    #[arg(long)]
    request_id: Option<String>,
    /// Only requests created at this time or later, such as 2026-11-21T00:00:00Z.
    #[arg(long)]
    created_after: Option<Instant>,
    /// Only requests created before this time.
    #[arg(long)]
    created_before: Option<Instant>,
    /// Requests per page: 50 by default, at most 1000.
    #[arg(long)]
    page_size: Option<i32>,
    /// The `next_page_token` of the previous page.
    #[arg(long)]
    page_token: Option<String>,
    #[command(flatten)]
    server: Server,
}

pub(super) async fn create(args: CreateArgs) -> anyhow::Result<()> {
    let mut client = Client::connect(&args.server.server).await?;
    let new = NewWithdraw {
        request_id: args.request_id.unwrap_or_default(),
        min_amount: args.min_amount.unwrap_or_default(),
        max_amount: args.max_amount,
        ttl_s: args.ttl_s,
        memo: args.memo.unwrap_or_default(),
        statement_descriptor: args.statement_descriptor.unwrap_or_default(),
        pass_thru: args.pass_thru.unwrap_or_default(),
        ..NewWithdraw::default()
    };
    let withdraw = client.create(new).await?;
    if args.server.json {
        say!("{}", to_json(&withdraw)?);
        return Ok(());
    }
    say!("{}", qr(&withdraw.withdraw_request)?);
    say!("{}", withdraw.withdraw_request);
    say!("{}", withdraw.id);
    Ok(())
}

/// A QR code, two modules per character, with the quiet zone that cameras need.
fn qr(lnurl: &str) -> anyhow::Result<String> {
    let code = QrCode::with_error_correction_level(lnurl, EcLevel::L)?;
    // Most terminals have a dark background, so the light modules are drawn.
    Ok(code.render::<Dense1x2>().dark_color(Dense1x2::Light).light_color(Dense1x2::Dark).build())
}

pub(super) async fn get(args: OneArgs) -> anyhow::Result<()> {
    let withdraw = Client::connect(&args.server.server).await?.get(&args.id).await?;
    show(&withdraw, args.server.json)
}

pub(super) async fn deactivate(args: OneArgs) -> anyhow::Result<()> {
    let withdraw = Client::connect(&args.server.server).await?.deactivate(&args.id).await?;
    show(&withdraw, args.server.json)
}

pub(super) async fn list(args: ListArgs) -> anyhow::Result<()> {
    let page = Page {
        size: args.page_size.unwrap_or_default(),
        token: args.page_token.unwrap_or_default(),
        status: args.status.unwrap_or_default(),
        claimable: args.claimable,
        request_id: args.request_id.unwrap_or_default(),
        created_after: args.created_after,
        created_before: args.created_before,
    };
    let filtered = page.is_filtered();
    let page = Client::connect(&args.server.server).await?.list(page).await?;
    if args.server.json {
        say!("{}", to_json(&page)?);
        return Ok(());
    }
    if page.withdraws.is_empty() {
        say!("{}", if filtered { "no such withdraw requests" } else { "no withdraw requests" });
    }
    for withdraw in &page.withdraws {
        say!("{}", line(withdraw));
    }
    if !page.next_page_token.is_empty() {
        say!("more: --page-token {}", page.next_page_token);
    }
    Ok(())
}

/// `wr_…  ACTIVE  10–20 SATS  claimable  until 2026-11-21T20:34:02Z  coffee`
fn line(withdraw: &Withdraw) -> String {
    let state =
        if withdraw.claimable { "claimable" } else { withdraw.unclaimable_reason().as_str_name() };
    format!(
        "{}  {:<11}  {:>20}  {:<19}  until {}  {}",
        withdraw.id,
        withdraw.status().as_str_name(),
        amount(withdraw),
        state,
        expiry(withdraw),
        printable(&withdraw.memo)
    )
}

/// The expiry without milliseconds.
fn expiry(withdraw: &Withdraw) -> String {
    time_text(withdraw.expires_at.map(|mut at| {
        at.nanos = 0;
        at
    }))
}

fn amount(withdraw: &Withdraw) -> String {
    let (min, max) = (&withdraw.min_amount, &withdraw.max_amount);
    if min == max {
        format!("{max} {}", withdraw.currency)
    } else {
        format!("{min}–{max} {}", withdraw.currency)
    }
}

fn show(withdraw: &Withdraw, json: bool) -> anyhow::Result<()> {
    if json {
        say!("{}", to_json(withdraw)?);
        return Ok(());
    }
    say!("{}", line(withdraw));
    say!("  {}", withdraw.withdraw_request);
    say!("  expires {}", time_text(withdraw.expires_at));
    if let Some(payment) = &withdraw.payment {
        say!("  {}  {}  {} msat", payment.id, payment.state().as_str_name(), payment.amount_msat);
        if !payment.preimage.is_empty() {
            say!("  preimage {}  fee {} msat", payment.preimage, payment.fee_msat());
        }
        if payment.failure_reason != 0 {
            say!("  failed: {}", payment.failure_reason().as_str_name());
        }
        if payment.operator_reason != 0 {
            say!("  needs an operator: {}", payment.operator_reason().as_str_name());
        }
    }
    Ok(())
}
