//! Clients that others wrote, against the real binary: what they accept is what the world accepts.

use std::{
    io::Write,
    path::Path,
    process::{Command, Stdio},
};

use lnurl::{LnUrlResponse, Response, lnurl::LnUrl};
use serde_json::{Value, json};
use withdrawd::domain::Timestamp;

use crate::{
    bench::binary::{CommandOutput, Home, Service, test_variable},
    bench::invoices::InvoiceDraft,
};

/// An invoice that the simulated node pays, made now.
fn invoice(sat: u64) -> String {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let now = Timestamp::from_ms(now.as_millis().try_into().unwrap());
    InvoiceDraft::new(sat * 1000, now).build()
}

fn offer_of_10_to_20(service: &Service) -> Value {
    let args = ["create", "--min-amount", "10", "--max-amount", "20", "--memo", "für Dich"];
    service.json(&args)
}

/// A script of tests/clients, in the Python of the tests.
pub fn script(python: &str, name: &str) -> Command {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients").join(name);
    let mut command = Command::new(python);
    command.arg(path);
    command
}

fn python_wallet(python: &str, lnurl: &Value, invoice: &str) -> Value {
    let mut wallet = script(python, "wallet.py");
    wallet.args([lnurl.as_str().unwrap(), invoice]);
    let said = CommandOutput::of(wallet.output().unwrap());
    serde_json::from_str(said.ok()).unwrap()
}

#[test]
fn python_lnurl_withdraws_from_either_form_of_the_link() {
    let Some(python) = test_variable("WITHDRAWD_TEST_PYTHON") else {
        return;
    };
    let home = Home::new();
    let service = home.serve(&[]);
    for form in ["withdraw_request", "lnurlw"] {
        let made = offer_of_10_to_20(&service);
        let done = python_wallet(&python, &made[form], &invoice(15));
        let expected = json!({
            "description": "für Dich", "min_msat": 10_000, "max_msat": 20_000, "status": "OK",
        });
        assert_eq!(done, expected, "{form}");
        let paid = service.paid(&made["id"]);
        assert_eq!(paid["payment"]["amount_msat"], "15000");

        // Another wallet is told why it cannot claim.
        let late = python_wallet(&python, &made[form], &invoice(15));
        assert_eq!(late, json!({ "error": "this withdrawal has already been paid" }));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lnurl_rs_withdraws() {
    let home = Home::new();
    let service = home.serve(&[]);
    let made = offer_of_10_to_20(&service);
    let wallet = lnurl::Builder::default().build_async().unwrap();
    let link: LnUrl = made["withdraw_request"].as_str().unwrap().parse().unwrap();

    let LnUrlResponse::LnUrlWithdrawResponse(offer) = wallet.make_request(&link.url).await.unwrap()
    else {
        panic!("no offer")
    };
    assert_eq!((offer.min_withdrawable, offer.max_withdrawable), (Some(10_000), 20_000));
    assert_eq!(offer.default_description, "für Dich");

    let refused = wallet.do_withdrawal(&offer, &invoice(21)).await.unwrap();
    let Response::Error { reason } = refused else { panic!("{refused:?}") };
    assert!(reason.contains("10") && reason.contains("20"), "{reason}");
    let invoice = invoice(20);
    // The second is the phone that taps again, maybe after it is paid.
    for _ in 0..2 {
        let done = wallet.do_withdrawal(&offer, &invoice).await.unwrap();
        assert!(matches!(done, Response::Ok { .. }), "{done:?}");
        service.paid(&made["id"]);
    }
}

/// Calls by a Python grpcio client, each answered by what that client could decode.
fn python_calls(python: &str, service: &Service, calls: &[Value]) -> Vec<Value> {
    python_calls_with(python, service, calls, &[])
}

fn python_calls_with(python: &str, service: &Service, calls: &[Value], how: &[&str]) -> Vec<Value> {
    let mut client = script(python, "errors.py");
    let mut client = client
        .arg(service.grpc.to_string())
        .args(how)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = client.stdin.take().unwrap();
    for call in calls {
        writeln!(stdin, "{call}").unwrap();
    }
    drop(stdin);
    let said = CommandOutput::of(client.wait_with_output().unwrap());
    assert_eq!(said.code, Some(0), "{said:?}");
    let lines = said.out.lines();
    lines.map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn python_grpcio_reads_the_details_of_errors() {
    let Some(python) = test_variable("WITHDRAWD_TEST_PYTHON") else {
        return;
    };
    let home = Home::new();
    let service = home.serve(&[]);
    let call = |method: &str, request: Value| json!({ "method": method, "request": request });
    let bad_entry =
        json!({ "max_amount": "x".repeat(2_000), "min_amount": "?", "currency": "EUR" });
    let answers = python_calls(
        &python,
        &service,
        &[
            call(
                "CreateWithdraw",
                json!({ "max_amount": "5", "request_id": "a", "pass_thru": { "n": 1 } }),
            ),
            call("CreateWithdraw", json!({ "max_amount": "6", "request_id": "a" })),
            call("CreateWithdraw", json!({ "max_amount": "5,5", "currency": "EUR", "ttl": "1s" })),
            call("GetWithdraw", json!({ "id": "wr_00000000000000000000000000" })),
            call("BatchCreateWithdraws", json!({ "requests": vec![bad_entry; 1_000] })),
            call(
                "BatchCreateWithdraws",
                json!({ "requests": [{ "max_amount": "1" }, { "max_amount": "7", "request_id": "a" }] }),
            ),
        ],
    );
    assert_eq!(answers[0]["ok"]["pass_thru"], json!({ "n": 1.0 }));
    assert_eq!(answers[0]["ok"]["status"], "ACTIVE");

    let info = |answer: &Value| answer["details"][0]["ErrorInfo"].clone();
    let fields = |answer: &Value| -> Vec<String> {
        let fields = answer["details"][1]["BadRequest"]["field_violations"].as_array();
        let fields = fields.unwrap().iter();
        fields.map(|field| field["field"].as_str().unwrap().to_owned()).collect()
    };
    for (answer, code, reason) in [
        (&answers[1], "ALREADY_EXISTS", "REQUEST_ID_CONFLICT"),
        (&answers[2], "INVALID_ARGUMENT", "INVALID_FIELDS"),
        (&answers[3], "NOT_FOUND", "WITHDRAW_NOT_FOUND"),
        (&answers[4], "INVALID_ARGUMENT", "INVALID_FIELDS"),
        (&answers[5], "ALREADY_EXISTS", "REQUEST_ID_CONFLICT"),
    ] {
        assert_eq!(answer["code"], code, "{answer}");
        assert_eq!(info(answer)["reason"], reason, "{answer}");
        assert_eq!(info(answer)["domain"], "withdrawd", "{answer}");
    }
    let mut named = fields(&answers[2]);
    named.sort();
    assert_eq!(named, ["currency", "max_amount", "ttl"]);

    // A thousand bad entries: 25 of them, the total, and all of it below what clients take.
    let batch = &answers[4];
    assert_eq!(fields(batch).len(), 25);
    assert!(fields(batch)[0].starts_with("requests[0]."), "{batch}");
    assert_eq!(info(batch)["metadata"]["violations"], "3000");
    assert!(batch["bytes"].as_u64().unwrap() < 6 * 1024, "{batch}");
    assert_eq!(info(&answers[5])["metadata"]["index"], "1");
}

/// Its channel compresses every message, those of reflection too.
#[test]
fn python_grpcio_speaks_gzip() {
    let Some(python) = test_variable("WITHDRAWD_TEST_PYTHON") else {
        return;
    };
    let home = Home::new();
    let service = home.serve(&[]);
    let memo = "x".repeat(639);
    let calls = [
        json!({ "method": "CreateWithdraw", "request": { "max_amount": "5", "memo": memo } }),
        json!({ "method": "CreateWithdraw", "request": { "max_amount": "5,5" } }),
        json!({ "method": "ListWithdraws", "request": {} }),
    ];
    let answers = python_calls_with(&python, &service, &calls, &["gzip"]);
    assert_eq!(answers[0]["ok"]["memo"], memo.as_str(), "{}", answers[0]);
    assert_eq!(answers[1]["details"][0]["ErrorInfo"]["reason"], "INVALID_FIELDS");
    assert_eq!(answers[2]["ok"]["withdraws"][0]["id"], answers[0]["ok"]["id"]);
}

#[test]
fn grpcurl_probes_describes_and_shows_details() {
    let Some(grpcurl) = test_variable("WITHDRAWD_TEST_GRPCURL") else {
        return;
    };
    let home = Home::new();
    let service = home.serve(&[]);
    let address = service.grpc.to_string();
    let call = |before: &[&str], after: &[&str]| {
        let mut command = Command::new(&grpcurl);
        command.arg("-plaintext").args(before).arg(&address).args(after);
        CommandOutput::of(command.output().unwrap())
    };
    let check = "grpc.health.v1.Health/Check";

    for name in ["", "withdraw.v1.WithdrawService", "withdrawd.liveness"] {
        let health = call(&["-d", &json!({ "service": name }).to_string()], &[check]);
        let health: Value = serde_json::from_str(health.ok()).unwrap();
        assert_eq!(health, json!({ "status": "SERVING" }), "{name}");
    }
    let unknown = call(&["-d", r#"{"service": "nobody"}"#], &[check]);
    assert!(unknown.err.contains("NotFound"), "{unknown:?}");

    // This one asks over v1; the Python client above over v1alpha.
    let services = call(&[], &["list"]);
    for name in [
        "grpc.health.v1.Health",
        "grpc.reflection.v1.ServerReflection",
        "withdraw.v1.WithdrawService",
    ] {
        assert!(services.ok().lines().any(|line| line == name), "{name}: {services:?}");
    }
    let described = call(&[], &["describe", "withdraw.v1.WithdrawService.ListWithdraws"]);
    assert!(described.ok().contains("returns ( .withdraw.v1.ListWithdrawsResponse )"));
    let described = call(&[], &["describe", "google.rpc.BadRequest"]);
    assert!(described.ok().contains("message FieldViolation"), "{described:?}");

    let refused = call(
        &["-format-error", "-d", r#"{"max_amount": "1.5"}"#],
        &["withdraw.v1.WithdrawService/CreateWithdraw"],
    );
    let error: Value = serde_json::from_str(&refused.err).unwrap();
    let [info, bad] = &error["details"].as_array().unwrap()[..] else { panic!("{error}") };
    assert_eq!(info["@type"], "type.googleapis.com/google.rpc.ErrorInfo");
    assert_eq!((&info["reason"], &info["domain"]), (&json!("INVALID_FIELDS"), &json!("withdrawd")));
    assert_eq!(bad["fieldViolations"][0]["field"], "max_amount", "{error}");
}
