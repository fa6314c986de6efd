//! `payments`, `payment` and `resolve`: what operators do about payments.

use clap::{ArgGroup, Args};

use secrecy::{ExposeSecret, SecretString};

use super::requests::Server;
use crate::{
    client::{Ending, Payment, PaymentClient, PaymentPage, Resolving, time_text, to_json},
    runtime::{Clock, SystemClock},
};

#[derive(Debug, Args)]
pub(super) struct PaymentsArgs {
    /// Only payments in doubt, which wait for `withdrawd resolve`.
    #[arg(long, conflicts_with = "state")]
    needs_operator: bool,
    /// Only this state: RESERVED, SENDING, IN_FLIGHT, PAID, FAILED or NEEDS_OPERATOR.
    #[arg(long)]
    state: Option<String>,
    /// Only payments of this withdraw request (wr_…).
    #[arg(long)]
    withdraw: Option<String>,
    /// Only the payment with this payment hash.
    #[arg(long)]
    payment_hash: Option<String>,
    /// Only the payment of this invoice.
    #[arg(long, conflicts_with = "payment_hash")]
    invoice: Option<String>,
    /// Only open payments whose claim was accepted at least this long ago, such as 90s, 10m, 2h or 3d.
    #[arg(long, value_parser = read_age)]
    older_than: Option<i64>,
    /// Only failed payments that the node paid after all.
    #[arg(long)]
    late_success: bool,
    /// Payments per page: 50 by default, at most 1000.
    #[arg(long)]
    page_size: Option<i32>,
    /// The `next_page_token` of the previous page.
    #[arg(long)]
    page_token: Option<String>,
    #[command(flatten)]
    server: Server,
}

#[derive(Debug, Args)]
pub(super) struct PaymentArgs {
    /// The payment's id (pay_…).
    id: String,
    #[command(flatten)]
    server: Server,
}

#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "flags, each given or not")]
#[command(group = ArgGroup::new("outcome").required(true).args(["paid", "failed"]))]
pub(super) struct ResolveArgs {
    /// The payment's id (pay_…).
    payment: String,
    /// The payee has the money. Requires --preimage, which proves it.
    #[arg(long, requires = "preimage")]
    paid: bool,
    /// The payee was not paid and will not be. The request can then be claimed again.
    #[arg(long)]
    failed: bool,
    /// The proof of payment: 64 hex digits that hash to the payment hash.
    #[arg(long, conflicts_with = "failed")]
    preimage: Option<SecretString>,
    /// The routing fee, if the node does not know it.
    #[arg(long, conflicts_with = "failed")]
    fee_msat: Option<i64>,
    /// Your name; it is recorded.
    #[arg(long)]
    operator: String,
    /// The reason for your decision; it is recorded.
    #[arg(long)]
    reason: String,
    /// You know that the node that was asked is gone for good, with no HTLC of this payment in flight.
    #[arg(long, conflicts_with = "paid")]
    node_is_unreachable: bool,
    /// You confirm that the payee says that this invoice was not paid.
    #[arg(long, conflicts_with = "paid")]
    payee_was_not_paid: bool,
    /// The node reports it in flight for ever: end it if none of the node's channels holds its HTLC.
    #[arg(long, conflicts_with = "paid")]
    is_stranded: bool,
    #[command(flatten)]
    server: Server,
}

/// `10m` as seconds.
fn read_age(text: &str) -> Result<i64, String> {
    const RULE: &str = "must be a whole number and s, m, h or d, such as 10m";
    let unit = text.chars().next_back().ok_or(RULE)?;
    let seconds: i64 = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        'd' => 24 * 3600,
        _ => return Err(RULE.to_owned()),
    };
    // Digits alone: no sign.
    let count = text.trim_end_matches(unit);
    let count: u32 = count.parse().ok().filter(|_| !count.starts_with('+')).ok_or(RULE)?;
    Ok(seconds * i64::from(count))
}

pub(super) async fn list(args: PaymentsArgs) -> anyhow::Result<()> {
    let in_doubt = args.needs_operator.then(|| "NEEDS_OPERATOR".to_owned());
    let page = PaymentPage {
        size: args.page_size.unwrap_or_default(),
        token: args.page_token.unwrap_or_default(),
        state: args.state.or(in_doubt).unwrap_or_default(),
        withdraw: args.withdraw.unwrap_or_default(),
        payment_hash: args.payment_hash.unwrap_or_default(),
        invoice: args.invoice.unwrap_or_default(),
        open_for_s: args.older_than,
        late_success: args.late_success,
    };
    let mut client = PaymentClient::connect(args.server.address()).await?;
    let page = client.list(page).await?;
    if args.server.json() {
        say!("{}", to_json(&page)?);
        return Ok(());
    }
    if page.payments.is_empty() {
        say!("no such payments");
        return Ok(());
    }
    say!("{:<30}  {:<14}  {:>14}  {:>5}  WHY", "PAYMENT", "STATE", "MSAT", "AGE");
    let now_s = SystemClock::new().now().as_ms() / 1000;
    for payment in &page.payments {
        say!(
            "{:<30}  {:<14}  {:>14}  {:>5}  {}",
            payment.id,
            payment.state().as_str_name(),
            payment.amount_msat,
            age(now_s - payment.created.map_or(now_s, |created| created.seconds)),
            why(payment)
        );
    }
    if !page.next_page_token.is_empty() {
        say!("more: --page-token {}", page.next_page_token);
    }
    Ok(())
}

/// An age in one unit: seconds, minutes, hours below two days, then days.
fn age(seconds: i64) -> String {
    match seconds.max(0) {
        s @ 0..60 => format!("{s}s"),
        s @ 60..3600 => format!("{}m", s / 60),
        s @ 3600..172_800 => format!("{}h", s / 3600),
        s => format!("{}d", s / 86_400),
    }
}

/// Why it failed or is in doubt; empty if neither.
fn why(payment: &Payment) -> &'static str {
    if payment.late_success.is_some() {
        "LATE_SUCCESS"
    } else if payment.operator_reason != 0 {
        payment.operator_reason().as_str_name()
    } else if payment.failure_reason != 0 {
        payment.failure_reason().as_str_name()
    } else {
        ""
    }
}

pub(super) async fn get(args: PaymentArgs) -> anyhow::Result<()> {
    let payment = PaymentClient::connect(args.server.address()).await?.get(&args.id).await?;
    show(&payment, args.server.json())
}

pub(super) async fn resolve(args: ResolveArgs) -> anyhow::Result<()> {
    let ending = match (args.paid, args.preimage) {
        (true, Some(preimage)) => {
            Ending::Paid { preimage: preimage.expose_secret().to_owned(), fee_msat: args.fee_msat }
        }
        (false, None) => Ending::Failed {
            node_unreachable: args.node_is_unreachable,
            payee_unpaid: args.payee_was_not_paid,
            stranded: args.is_stranded,
        },
        (true, None) | (false, Some(_)) => {
            anyhow::bail!("--paid requires --preimage; --failed does not take it")
        }
    };
    let (operator, reason) = (args.operator, args.reason);
    let resolving = Resolving { payment: args.payment, ending, operator, reason };
    let mut client = PaymentClient::connect(args.server.address()).await?;
    let payment = client.resolve(resolving).await.map_err(|error| with_flag_names(&error))?;
    show(&payment, args.server.json())
}

/// The service's messages name its fields; names the command's flags instead.
fn with_flag_names(error: &dyn std::error::Error) -> anyhow::Error {
    let text = error.to_string();
    let text = text.replace("confirm_payee_unpaid", "--payee-was-not-paid");
    anyhow::Error::msg(text.replace("confirm_node_unreachable", "--node-is-unreachable"))
}

fn show(payment: &Payment, json: bool) -> anyhow::Result<()> {
    if json {
        say!("{}", to_json(payment)?);
        return Ok(());
    }
    let field = |name: &str, value: &str| {
        if !value.is_empty() {
            say!("{name:<18}  {value}");
        }
    };
    let noted = payment.noted_failure();
    field("id", &payment.id);
    field("withdraw", &payment.withdraw_id);
    field("state", payment.state().as_str_name());
    field("why", why(payment));
    field("noted failure", if payment.noted_failure == 0 { "" } else { noted.as_str_name() });
    field("amount", &format!("{} msat", payment.amount_msat));
    field("fee limit", &format!("{} msat", payment.fee_limit_msat));
    field("fee", &payment.fee_msat.map(|fee| format!("{fee} msat")).unwrap_or_default());
    field("payment hash", &payment.payment_hash);
    field("preimage", &payment.preimage);
    field("accepted", &time_text(payment.created));
    field("finished", &time_text(payment.finished));
    field("no send after", &time_text(payment.send_until));
    field("invoice expires", &time_text(payment.invoice_expires_at));
    if let Some(late) = &payment.late_success {
        field("paid late", &time_text(late.at));
        field("late fee", &format!("{} msat", late.fee_msat));
        field("late preimage", &late.preimage);
    }
    for send in &payment.sends {
        let answer = if send.answer == 0 { "no answer" } else { send.answer().as_str_name() };
        let (sent, deadline) = (time_text(send.sent_at), time_text(send.send_deadline));
        field(&format!("send {}", send.number), &format!("{sent}, until {deadline}: {answer}"));
        field("  to", &send.node_id);
    }
    field("invoice", &payment.invoice);
    Ok(())
}
