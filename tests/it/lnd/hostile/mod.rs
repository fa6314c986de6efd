//! A hostile lnd: each thing that a node can do to a payment, and what must become of the attempt
//! by the table of `domain::payment`. The real payer plays it with the real backend, over TLS,
//! HTTP/2 and a real store.

mod broken_answers;
mod errors;
mod payment_states;
mod row;
mod scenarios;
mod test_invoice;

use futures_util::{StreamExt, stream};

use row::Row;
use test_invoice::InvoiceUnderTest;

/// How many rows are played at a time.
const TOGETHER: usize = 12;

/// Plays all rows, prints them as a table, and fails with those that came out otherwise.
async fn come_out_as_the_table_says(title: &str, rows: fn(&InvoiceUnderTest) -> Vec<Row>) {
    let test_invoice = InvoiceUnderTest::new();
    let rows = rows(&test_invoice);
    let played: Vec<[String; 2]> = stream::iter(rows.iter().map(|row| row.play(&test_invoice)))
        .buffered(TOGETHER)
        .collect()
        .await;

    let mut wrong = Vec::new();
    eprintln!("{title}\n{:82} {:52} in the end", "what the node does", "soon");
    for (row, [soon, end]) in rows.iter().zip(&played) {
        eprintln!("{:82} {:52} {end}", row.does, soon);
        if (row.soon, row.end) != (soon, end) {
            let (does, must) = (&row.does, [row.soon, row.end]);
            wrong.push(format!("{does}\n    must:  {must:?}\n    found: {:?}", [soon, end]));
        }
    }
    assert!(wrong.is_empty(), "{} of {} rows:\n{}", wrong.len(), rows.len(), wrong.join("\n"));
}

#[tokio::test]
async fn payment_states_decide_only_when_they_are_definite() {
    come_out_as_the_table_says("lnd says how the payment stands", payment_states::rows).await;
}

#[tokio::test]
async fn no_error_means_that_nothing_was_paid() {
    come_out_as_the_table_says("lnd answers with an error", errors::rows).await;
}

#[tokio::test]
async fn a_broken_answer_proves_nothing() {
    come_out_as_the_table_says("the answer breaks off", broken_answers::rows).await;
}
