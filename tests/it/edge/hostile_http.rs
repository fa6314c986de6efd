//! The public side against clients that mean harm, or know no better: always an answer, never a
//! 5xx, nothing changed by anything but a GET on the callback, and an honest wallet served all the
//! while. What is hardly HTTP stands in `hostile_bytes.rs`, slow and vanishing clients in
//! `hostile_load.rs`.

use serde_json::json;
use withdrawd::pb::Withdraw;

use crate::{
    bench::http::{self, Answer},
    bench::{Bench, StoreKind, reason},
};

/// Headers of every answer that we ourselves make.
fn assert_ours(answer: &Answer) {
    for (name, value) in [
        ("access-control-allow-origin", "*"),
        ("cache-control", "no-store"),
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
    ] {
        assert_eq!(answer.header(name).as_deref(), Some(value), "{answer:?}");
    }
}

/// An ERROR as wallets can read it.
fn assert_error(answer: &Answer) {
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_ours(answer);
    let body = answer.json();
    assert!(!reason(&body).is_empty());
    assert_eq!(body.as_object().unwrap().len(), 2, "{body}");
}

/// An honest wallet comes by.
pub async fn assert_serves(bench: &Bench) {
    let withdraw = bench.create(10, 20).await;
    assert_eq!(bench.offer(&withdraw).await["tag"], "withdrawRequest");
    bench.claim_ok(&withdraw, &bench.invoice(15)).await;
}

pub async fn assert_unclaimed(bench: &Bench, withdraw: &Withdraw) {
    assert_eq!(bench.events_of(&withdraw.id).await, ["created"]);
}

#[tokio::test]
async fn every_method_is_answered_and_only_get_claims() {
    let bench = Bench::new(StoreKind::Sqlite).await;
    let withdraw = bench.create(10, 20).await;
    let offer = format!("/w/{}", withdraw.ott);
    let claim = format!("/cb?k1={}&pr={}", withdraw.ott, bench.invoice(15));

    for target in [&offer, &claim] {
        for method in ["POST", "PUT", "DELETE", "PATCH", "TRACE", "PROPFIND", "get"] {
            let answer = http::request(bench.lnurl(), method, target).await;
            assert_error(&answer);
            assert_eq!(reason(&answer.json()), "please use GET");
        }
        let head = http::request(bench.lnurl(), "HEAD", target).await;
        assert_eq!((head.status, head.body.as_str()), (200, ""));
        assert_ours(&head);
        let options = http::request(bench.lnurl(), "OPTIONS", target).await;
        assert_eq!((options.status, options.body.as_str()), (200, ""));
        assert_ours(&options);
        let allowed = options.header("access-control-allow-methods");
        assert_eq!(allowed.as_deref(), Some("GET, HEAD, OPTIONS"));
    }
    assert_unclaimed(&bench, &withdraw).await;

    let (head, get) = (
        http::request(bench.lnurl(), "HEAD", &offer).await,
        http::get(bench.lnurl(), &offer).await,
    );
    assert_eq!(head.header("content-length"), get.header("content-length"));
    assert_ours(&get);
    let claimed = http::get(bench.lnurl(), &claim).await;
    assert_eq!((claimed.status, claimed.body.as_str()), (200, r#"{"status":"OK"}"#));
    assert_eq!(claimed.header("content-type").as_deref(), Some("application/json"));
    assert_ours(&claimed);
}

#[tokio::test]
async fn an_offer_has_exactly_the_keys_of_lud_03() {
    let bench = Bench::new(StoreKind::Sqlite).await;
    let withdraw = bench.create(10, 20).await;
    let expected = json!({
        "tag": "withdrawRequest",
        "callback": format!("http://{}/cb", bench.lnurl()),
        "k1": withdraw.ott,
        "defaultDescription": "",
        "minWithdrawable": 10_000,
        "maxWithdrawable": 20_000,
    });
    assert_eq!(bench.offer(&withdraw).await, expected);
    // Looking changes nothing, however often.
    assert_eq!(bench.offer(&withdraw).await, expected);
    assert_unclaimed(&bench, &withdraw).await;
}

#[tokio::test]
async fn unknown_paths_are_404_and_unknown_secrets_are_not() {
    let bench = Bench::new(StoreKind::Sqlite).await;
    let withdraw = bench.create(10, 20).await;
    let ott = &withdraw.ott;
    for path in [
        "/",
        "/cb2",
        "/cb/x",
        "/wx",
        "/favicon.ico",
        "/.git/config",
        "/../w/x",
        "/w/../cb",
        "/w/%2e%2E/cb",
        "/w/..%2f..%2fetc%2fpasswd",
        "/%2577/x",
    ] {
        let answer = http::get(bench.lnurl(), path).await;
        assert_eq!(answer.status, 404, "{path}: {answer:?}");
        assert_ours(&answer);
        reason(&answer.json());
    }
    for path in ["/w", "/w/", "//w", "/w?q=1", "/W/x"] {
        let answer = http::get(bench.lnurl(), path).await;
        assert_eq!(reason(&answer.json()), "this withdrawal link is unknown", "{path}");
    }
    for secret in [
        "",
        "a",
        &"a".repeat(26),
        &"a".repeat(7_000),
        &ott[1..],
        &format!("{ott}a"),
        &format!("{ott}/x"),
        &format!("x/{ott}"),
        &format!("{ott}%00"),
        &format!("{ott}%2520"),
        "%ff%fe",
        "'%20or%201=1--",
    ] {
        let answer = http::get(bench.lnurl(), &format!("/w/{secret}")).await;
        assert_error(&answer);
        assert_eq!(reason(&answer.json()), "this withdrawal link is unknown", "{secret}");
        let pr = bench.invoice(15);
        let claim = http::get(bench.lnurl(), &format!("/cb?k1={secret}&pr={pr}")).await;
        assert_error(&claim);
    }
    assert_serves(&bench).await;
}

#[tokio::test]
async fn queries_that_are_off_claim_nothing() {
    let bench = Bench::new(StoreKind::Sqlite).await;
    let withdraw = bench.create(10, 20).await;
    let (k1, pr) = (&withdraw.ott, bench.invoice(15));
    for query in [
        String::new(),
        "?".to_owned(),
        format!("?k1={k1}"),
        format!("?pr={pr}"),
        format!("?k1=&pr={pr}"),
        format!("?k1={k1}&pr="),
        format!("?k1={k1}&k1={k1}&pr={pr}"),
        format!("?k1={k1}&pr={pr}&pr={pr}"),
        format!("?k1={k1}&pr={pr}&%70r={pr}"),
        format!("?K1={k1}&k1={k1}&PR={pr}"),
        format!("?k1={k1};pr={pr}"),
        format!("?k1={k1}&pr={pr}%00"),
        format!("?k1={k1}%00&pr={pr}"),
        format!("?k1={k1}&pr=%ff%fe"),
        format!("?k1={k1}&pr=%"),
        format!("?k1={k1}&pr=%zz"),
        format!("?k1={k1}&pr=+++"),
        format!("?k1={k1}&pr=lnbcrt1"),
        format!("?k1={k1}&pr={}", "1".repeat(4_000)),
        format!("?k1={k1}&pr=lnbcrt1{}", "q".repeat(4_000)),
        format!("?k1={k1}&pr={}", &pr[..pr.len() - 1]),
        format!("?k1={k1}&pr={}", "%F0%9F%92%A9".repeat(50)),
        format!("?k1[]={k1}&pr[]={pr}"),
        format!("?{}", "&".repeat(8_000)),
        format!("?k1={k1}&pr={pr}&x={}", "y".repeat(9_000)),
    ] {
        let answer = http::get(bench.lnurl(), &format!("/cb{query}")).await;
        assert_error(&answer);
        assert!(!answer.body.contains(k1.as_str()), "it repeats the secret: {answer:?}");
    }
    assert_unclaimed(&bench, &withdraw).await;

    // What is odd and yet clear, is taken: encoded, in upper case, with extras, as a link.
    let shouted = format!("/w/{}", k1.to_uppercase());
    let offer = http::get(bench.lnurl(), &shouted).await.json();
    assert_eq!(offer["k1"], k1.as_str());
    let encoded = k1.bytes().fold(String::new(), |text, byte| format!("{text}%{byte:02X}"));
    let odd = format!("/cb?x=%ff&%6b1={encoded}&pr={}&y", pr.to_uppercase());
    let answer = http::get(bench.lnurl(), &odd).await;
    assert_eq!(answer.json(), json!({ "status": "OK" }));
    let again = format!("/cb?k1={k1}&pr=lightning%3A{pr}");
    let again = http::get(bench.lnurl(), &again).await;
    assert_eq!(again.json(), json!({ "status": "OK" }));
}

/// Proxies, QR codes and careless string building write one URL in many ways.
#[tokio::test]
async fn one_url_is_understood_however_it_is_written() {
    let settings = [("public_url", "https://x.example/pay")];
    let bench = Bench::with(StoreKind::Sqlite, &settings).await;
    for (offer, claim) in [
        ("//w/{k1}", "//cb?k1={k1}&pr={pr}"),
        ("/w/{k1}/", "/cb/?k1={k1}&pr={pr}"),
        ("/w//{k1}//", "///cb//?k1={k1}&pr={pr}"),
        ("/%77/{encoded}", "/%63%62?%6B1={encoded}&p%72={pr}"),
        ("/w/{k1}%20", "/cb?&k1={k1}&&pr={pr}&"),
        ("/W/{K1}", "/CB?K1={K1}&PR={PR}"),
        ("/PAY/W/{K1}", "/PAY/CB?K1={K1}&PR={PR}"),
        ("//pay//w/{k1}?", "/pay//cb/?k1={k1}&pr=lightning:{PR}"),
        ("/w/{k1}?lightning=x", "/cb?x=1?k1={k1}?pr={pr}"),
        ("/w/{k1}%3Fx=y", "/cb%3Fk1={k1}&pr={pr}"),
        ("/p%61y/w%2F{k1}", "/cb?k1={k1}&amp;pr={pr}"),
        ("http://x.example//pay/w/{k1}", "http://x.example//pay//cb??k1={k1}&pr={pr}%0A"),
    ] {
        let withdraw = bench.create(10, 20).await;
        let (k1, pr) = (&withdraw.ott, bench.invoice(15));
        let encoded = k1.bytes().fold(String::new(), |text, byte| format!("{text}%{byte:02x}"));
        let written = |form: &str| {
            let form = form.replace("{K1}", &k1.to_uppercase()).replace("{PR}", &pr.to_uppercase());
            form.replace("{encoded}", &encoded).replace("{k1}", k1).replace("{pr}", &pr)
        };
        let offered = http::get(bench.lnurl(), &written(offer)).await;
        assert_eq!(offered.json()["k1"], k1.as_str(), "{offer}: {offered:?}");
        let claimed = http::get(bench.lnurl(), &written(claim)).await;
        assert_eq!(claimed.json(), json!({ "status": "OK" }), "{claim}");
        assert_eq!(bench.events_of(&withdraw.id).await[..2], ["created", "claimed"]);
    }
}

/// Whoever forwards or lies about the host: the callback is what the operator configured.
#[tokio::test]
async fn nothing_of_the_request_gets_into_the_offer() {
    let settings = [("public_url", "https://pay.example.com")];
    let bench = Bench::with(StoreKind::Sqlite, &settings).await;
    let withdraw = bench.create(10, 20).await;
    let (ott, lies) = (
        &withdraw.ott,
        "Host: evil.example\r\nX-Forwarded-Host: evil.example\r\n\
         X-Forwarded-Proto: gopher\r\nX-Forwarded-Prefix: /evil\r\nX-Original-URL: /evil\r\n\
         X-Rewrite-URL: /evil\r\nForwarded: host=evil.example;proto=http\r\nOrigin: https://evil.example\r\n\
         Referer: https://evil.example/\r\nConnection: close\r\n\r\n",
    );
    for target in [
        format!("/w/{ott}"),
        format!("http://evil.example/w/{ott}"),
        format!("http://evil.example:99/w/{ott}?callback=https://evil.example"),
    ] {
        let request = format!("GET {target} HTTP/1.1\r\n{lies}");
        let answer = http::raw(bench.lnurl(), request.as_bytes()).await.unwrap();
        assert_eq!(answer.json()["callback"], "https://pay.example.com/cb");
        assert!(!(answer.head + &answer.body).contains("evil"));
    }
}

#[tokio::test]
async fn a_public_url_with_a_path_works_behind_either_kind_of_proxy() {
    let settings = [("public_url", "https://x.example/pay/out/")];
    let bench = Bench::with(StoreKind::Sqlite, &settings).await;
    for prefix in ["/pay/out", ""] {
        let withdraw = bench.create(10, 20).await;
        assert!(withdraw.lnurlw.starts_with("lnurlw://x.example/pay/out/w/"));
        let target = format!("{prefix}/w/{}", withdraw.ott);
        let offer = http::get(bench.lnurl(), &target).await.json();
        assert_eq!(offer["callback"], "https://x.example/pay/out/cb");
        let claim = format!("{prefix}/cb?k1={}&pr={}", withdraw.ott, bench.invoice(15));
        let claimed = http::get(bench.lnurl(), &claim).await.json();
        assert_eq!(claimed, json!({ "status": "OK" }));
    }
    for path in ["/pay", "/pay/out", "/pay/outcb", "/pay/w/x", "/out/cb"] {
        assert_eq!(http::get(bench.lnurl(), path).await.status, 404, "{path}");
    }
}
