//! The command line: `serve` (the default), `migrate`, a client, and a test wallet.

/// Prints a line. Unlike `println!`, it does not panic on a closed pipe (`| head`): what the command has done
/// is done.
macro_rules! say {
    ($($part:tt)*) => {{
        use std::io::Write;
        let _ = writeln!(std::io::stdout(), $($part)*);
    }};
}

mod decode;
mod health;
mod operations;
mod payments;
mod reconcile;
mod requests;
mod serve;
mod start;
mod wallet;

use std::pin::Pin;

use clap::{CommandFactory, Parser, Subcommand};

use crate::config::variables;

/// Pays people out over the Lightning Network with LNURL-withdraw: exactly once.
#[derive(Debug, Parser)]
#[command(name = "withdrawd", version, args_conflicts_with_subcommands = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    serve: serve::ServeArgs,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the service (also without any command).
    Serve(serve::ServeArgs),
    /// Bring the database's schema up to date.
    Migrate(serve::ServeArgs),
    /// Ask a running service whether it is live, ready or started.
    Health(health::HealthArgs),
    /// Create a withdraw request: prints a QR code, the LNURL and the id.
    Create(requests::CreateArgs),
    /// Show a withdraw request.
    Get(requests::OneArgs),
    /// List withdraw requests, newest first.
    List(requests::ListArgs),
    /// End a withdraw request.
    Deactivate(requests::OneArgs),
    /// Show whether the instance accepts claims, and if not, why.
    Instance(operations::InstanceArgs),
    /// Stop claims and sends on all replicas; payments that were sent are followed to their end.
    Pause(operations::CommandArgs),
    /// End a pause.
    Resume(operations::CommandArgs),
    /// Stop claims and sends because the database has lost commits; only acknowledge-restore ends it.
    Fence(operations::CommandArgs),
    /// List the node's payments that the database does not know; with --operator, end the fence: requests
    /// given with --paid become PAID, all other active ones are withheld until `release`.
    AcknowledgeRestore(operations::AcknowledgeArgs),
    /// Make requests claimable again that were withheld after a fence.
    Release(operations::ReleaseArgs),
    /// List payments, newest first.
    Payments(payments::PaymentsArgs),
    /// Show a payment, with every send and the node's answer.
    Payment(payments::PaymentArgs),
    /// Resolve a payment in doubt: it was paid, or it failed.
    Resolve(payments::ResolveArgs),
    /// Compare the node's payments of a period with the database's.
    Reconcile(reconcile::ReconcileArgs),
    /// Act as a wallet: claim an LNURL with an invoice that the simulated node can pay, or with --invoice.
    Claim(wallet::ClaimArgs),
    /// Show what an LNURL or an invoice contains.
    Decode(decode::DecodeArgs),
}

impl Cli {
    /// Reads the command line; ends the process on `--help` and on mistakes.
    pub fn read() -> Self {
        Self::parse()
    }

    /// Runs the command.
    ///
    /// Boxed, so that the future is compiled once, in this crate. An `async fn` would be compiled in the
    /// binary, three times over: once for each way in which tokio's `block_on` polls.
    pub fn run(self) -> Pin<Box<dyn Future<Output = anyhow::Result<()>>>> {
        Box::pin(self.dispatch())
    }

    async fn dispatch(self) -> anyhow::Result<()> {
        check_variables()?;
        match self.command {
            None => serve::serve(self.serve).await,
            Some(Command::Serve(args)) => serve::serve(args).await,
            Some(Command::Migrate(args)) => serve::migrate(args).await,
            Some(Command::Health(args)) => health::health(args).await,
            Some(Command::Create(args)) => requests::create(args).await,
            Some(Command::Get(args)) => requests::get(args).await,
            Some(Command::List(args)) => requests::list(args).await,
            Some(Command::Deactivate(args)) => requests::deactivate(args).await,
            Some(Command::Instance(args)) => operations::instance(args).await,
            Some(Command::Pause(args)) => operations::pause(args).await,
            Some(Command::Resume(args)) => operations::resume(args).await,
            Some(Command::Fence(args)) => operations::fence(args).await,
            Some(Command::AcknowledgeRestore(args)) => operations::acknowledge(args).await,
            Some(Command::Release(args)) => operations::release(args).await,
            Some(Command::Payments(args)) => payments::list(args).await,
            Some(Command::Payment(args)) => payments::get(args).await,
            Some(Command::Resolve(args)) => payments::resolve(args).await,
            Some(Command::Reconcile(args)) => reconcile::reconcile(args).await,
            Some(Command::Claim(args)) => wallet::claim(args).await,
            Some(Command::Decode(args)) => decode::decode(&args),
        }
    }
}

/// Refuses unknown `WITHDRAWD_` variables, whatever the command: a client whose `WITHDRAWD_SERVER` is
/// mistyped would call another service.
fn check_variables() -> Result<(), variables::UnreadVariables> {
    let command = Cli::command();
    let commands = std::iter::once(&command).chain(command.get_subcommands());
    let arguments = commands.flat_map(clap::Command::get_arguments);
    let names: Vec<&str> = arguments.filter_map(|argument| argument.get_env()?.to_str()).collect();
    let lossy = |text: std::ffi::OsString| text.to_string_lossy().into_owned();
    variables::check(names, std::env::vars_os().map(|(name, value)| (lossy(name), lossy(value))))
}

/// Text from outside, without control characters, which a terminal would obey.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}
