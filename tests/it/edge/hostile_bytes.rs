//! Bytes that are hardly HTTP, on the public side: refused by hyper's parser or answered, and no
//! harm done.

use std::net::SocketAddr;

use crate::{
    bench::binary::Home,
    bench::http,
    bench::{Bench, StoreKind},
    edge::hostile_http::{assert_serves, assert_unclaimed},
};

/// A name, bytes, and the statuses that may be answered (0 is a connection that was closed).
type Oddity = (&'static str, Vec<u8>, &'static [u16]);

/// A request for the offer whose headers are still open.
fn get(ott: &str) -> String {
    format!("GET /w/{ott} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n")
}

fn no_http() -> Vec<Oddity> {
    let noise = (0..=255).cycle().take(2_000).collect();
    let tls = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec();
    vec![
        ("blank lines", b"\r\n\r\n\r\n\r\n".to_vec(), &[0, 400]),
        ("no target", b"GET\r\n\r\n".to_vec(), &[400]),
        ("zeros", vec![0; 512], &[400]),
        ("noise", noise, &[400]),
        ("TLS", tls, &[400]),
        ("HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(), &[0, 400]),
    ]
}

/// Requests that somebody might mean.
fn strange_heads(ott: &str) -> Vec<Oddity> {
    let get = get(ott);
    let options = "OPTIONS * HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".to_owned();
    let connect = "CONNECT a:443 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".to_owned();
    let texts: Vec<(_, _, &'static [u16])> = vec![
        ("HTTP/9", format!("GET /w/{ott} HTTP/9.9\r\n\r\n"), &[400]),
        ("HTTP/1.0", format!("GET /w/{ott} HTTP/1.0\r\n\r\n"), &[200]),
        ("no host", get.replace("Host: a\r\n", "") + "\r\n", &[200]),
        ("a raw space", get.replace(ott, &format!("{ott} x")) + "\r\n", &[400]),
        ("raw UTF-8", get.replace(ott, &format!("ü{ott}")) + "\r\n", &[200, 400]),
        ("bare newlines", get.replace('\r', "") + "\n", &[200, 400]),
        ("a broken header", get.clone() + "no colon\r\n\r\n", &[400]),
        ("a folded header", get.clone() + "a: b\r\n c\r\n\r\n", &[200, 400]),
        ("zeros in a header", get.clone() + "a: \0\r\n\r\n", &[400]),
        ("an upgrade", get.clone() + "Upgrade: websocket\r\n\r\n", &[200]),
        ("100-continue", get + "Expect: 100-continue\r\n\r\n", &[200]),
        ("OPTIONS *", options, &[404]),
        ("CONNECT", connect, &[400, 404]),
    ];
    as_bytes(texts)
}

fn too_much(ott: &str) -> Vec<Oddity> {
    let get = get(ott);
    let url = |length| get.replace(ott, &"a".repeat(length)) + "\r\n";
    let headers = |count| get.clone() + &"a: b\r\n".repeat(count) + "\r\n";
    let texts: Vec<(_, _, &'static [u16])> = vec![
        ("65 headers", headers(65), &[431]),
        ("a flood of headers", headers(50_000), &[431]),
        ("a header of 20 kB", get.clone() + "a: " + &"b".repeat(20_000) + "\r\n\r\n", &[431]),
        ("a URL of 9 kB", url(9_000), &[200]),
        ("a URL of 70 kB", url(70_000), &[414, 431]),
        ("a URL of 1 MB", url(1_000_000), &[0, 414, 431]),
        ("a method of 5 kB", get.replace("GET", &"G".repeat(5_000)) + "\r\n", &[200, 400]),
    ];
    as_bytes(texts)
}

fn bodies(ott: &str) -> Vec<Oddity> {
    let get = get(ott);
    let length = |length: &str, body: &str| format!("{get}Content-Length: {length}\r\n\r\n{body}");
    let chunks = |body: &str| format!("{get}Transfer-Encoding: chunked\r\n\r\n{body}");
    let smuggled =
        get.clone() + "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET ";
    let texts: Vec<(_, _, &'static [u16])> = vec![
        ("two lengths", length("1\r\nContent-Length: 2", "ab"), &[400]),
        ("a negative length", length("-1", ""), &[400]),
        ("an endless length", length(&"9".repeat(30), ""), &[400]),
        ("a body on GET", length("5", "hello"), &[200]),
        ("a body that never comes", length("5000", ""), &[200]),
        ("a long POST", length("1000000", &"x".repeat(1_000_000)).replace("GET", "POST"), &[200]),
        ("a chunked body", chunks("5\r\nhello\r\n0\r\n\r\n"), &[200]),
        ("broken chunks", chunks("zz\r\n"), &[200]),
        ("length and chunks", smuggled, &[200, 400]),
    ];
    as_bytes(texts)
}

fn as_bytes(texts: Vec<(&'static str, String, &'static [u16])>) -> Vec<Oddity> {
    let texts = texts.into_iter();
    texts.map(|(name, text, allowed)| (name, text.into_bytes(), allowed)).collect()
}

async fn suffer(lnurl: SocketAddr, ott: &str) {
    let all = [no_http(), strange_heads(ott), too_much(ott), bodies(ott)];
    for (name, bytes, allowed) in all.concat() {
        let status = http::raw(lnurl, &bytes).await.map_or(0, |answer| answer.status);
        assert!(allowed.contains(&status), "{name}: {status}");
    }
}

#[tokio::test]
async fn what_is_hardly_http_is_refused_and_does_no_harm() {
    let bench = Bench::new(StoreKind::Sqlite).await;
    let withdraw = bench.create(10, 20).await;
    suffer(bench.lnurl(), &withdraw.ott).await;
    assert_unclaimed(&bench, &withdraw).await;
    assert_serves(&bench).await;
}

/// The same on the real process, whose log would show a panic.
#[tokio::test(flavor = "multi_thread")]
async fn the_real_process_does_not_panic() {
    let home = Home::new();
    let mut service = home.serve_with(&[], &[("WITHDRAWD__LOG__LEVEL", "debug")]);
    let made = service.create("1000");
    suffer(service.lnurl, made["ott"].as_str().unwrap()).await;
    service.json(&["claim", made["lnurlw"].as_str().unwrap()]);
    service.paid(&made["id"]);
    assert_eq!(service.terminate().code(), Some(0));
    let log = service.log();
    for word in ["panic", "\"level\":\"ERROR\"", made["ott"].as_str().unwrap()] {
        let line = log.lines().find(|line| line.contains(word));
        assert_eq!(line, None);
    }
}
