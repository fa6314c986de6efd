//! A wallet's side of the callback, as rude as wallets are.

use std::{net::SocketAddr, time::Duration};

use serde_json::Value;
use tokio::{io::AsyncWriteExt, net::TcpStream};

use crate::bench::http;

/// Far longer than the service takes for any answer.
const PATIENCE: Duration = Duration::from_mins(1);

/// What a wallet knows after a tap.
#[derive(Debug, PartialEq, Eq)]
pub enum WalletAnswer {
    Ok,
    Refused(String),
    /// The service was killed, or the wallet did not wait.
    Nothing,
}

pub async fn claim(door: SocketAddr, k1: &str, invoice: &str) -> WalletAnswer {
    let answer = tokio::time::timeout(PATIENCE, http::raw(door, &request(k1, invoice))).await;
    let answer = answer.expect("the callback was not answered and not cut off");
    let body: Option<Value> =
        answer.ok().and_then(|answer| serde_json::from_str(&answer.body).ok());
    match body {
        None => WalletAnswer::Nothing,
        Some(body) if body["status"] == "OK" => WalletAnswer::Ok,
        Some(body) => WalletAnswer::Refused(body["reason"].as_str().unwrap().to_owned()),
    }
}

/// Whether the service takes it all the same is not known.
pub async fn claim_and_hang_up(door: SocketAddr, k1: &str, invoice: &str) -> WalletAnswer {
    if let Ok(mut stream) = TcpStream::connect(door).await {
        let _ = stream.write_all(&request(k1, invoice)).await;
    }
    WalletAnswer::Nothing
}

fn request(k1: &str, invoice: &str) -> Vec<u8> {
    let target = format!("/cb?k1={k1}&pr={invoice}");
    format!("GET {target} HTTP/1.1\r\nHost: wallet.example\r\nConnection: close\r\n\r\n")
        .into_bytes()
}
