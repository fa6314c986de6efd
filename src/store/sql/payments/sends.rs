//! Sends: each is written before the node is asked to pay, and its answer is added later.

use crate::{
    domain::{
        NodeId, PaymentId, Timestamp,
        payment::{Answer, Send},
    },
    store::{
        driver::{Cells, Fault, Tx},
        sql::reader::{Parsed, Reader, known},
        statement::Statement,
    },
};

params! {
    struct Create<'a> {
        payment_id: PaymentId,
        number: i64,
        epoch: i64,
        node_id: &'a NodeId,
        sent_at_ms: Timestamp,
        begun_at_ms: Timestamp,
        send_deadline_ms: Timestamp,
    }

    struct SetAnswer<'a> {
        answer: &'a str,
        payment_id: PaymentId,
        number: i64,
        epoch: i64,
    }

    pub struct OneSend {
        payment_id: PaymentId,
        number: i64,
        epoch: i64,
    }

    pub struct OfPayment {
        payment_id: PaymentId,
    }
}

const CREATE: Statement<Create> = statement!(
    Create,
    "write a send",
    concat!(
        "-- send.create\n",
        insert_into!(
            "sends",
            payment_id,
            number,
            epoch,
            node_id,
            sent_at_ms,
            begun_at_ms,
            send_deadline_ms,
        )
    )
);

const SET_ANSWER: Statement<SetAnswer> = statement!(
    SetAnswer,
    "write how a send was answered",
    "-- send.answer
     update sends set answer = :answer
      where payment_id = :payment_id and number = :number and epoch = :epoch
        and (answer is null or :answer = 'FINAL')"
);

pub const EXISTS: Statement<OneSend> = statement!(
    OneSend,
    "read back a send",
    "-- send.exists
     select payment_id from sends
      where payment_id = :payment_id and number = :number and epoch = :epoch"
);

pub const OF_PAYMENT: Statement<OfPayment> = statement!(
    OfPayment,
    "read the sends of a payment",
    "-- send.of_payment
     select number, epoch, node_id, sent_at_ms, begun_at_ms, send_deadline_ms, answer, sequence
       from sends where payment_id = :payment_id order by number"
);

/// Writes a send.
pub async fn create<T: Tx>(tx: &mut T, payment: PaymentId, send: &Send) -> Result<(), Fault> {
    let create = Create {
        payment_id: payment,
        number: send.number,
        epoch: send.fencing_token,
        node_id: &send.node,
        sent_at_ms: send.sent_at,
        begun_at_ms: send.begun_at,
        send_deadline_ms: send.send_deadline,
    };
    tx.execute(CREATE.bind(create)).await?;
    Ok(())
}

/// Records a send's answer. The first answer is kept, unless a FINAL one replaces it.
pub async fn set_answer<T: Tx>(tx: &mut T, send: OneSend, answer: Answer) -> Result<(), Fault> {
    let OneSend { payment_id, number, epoch } = send;
    let answer = SetAnswer { answer: answer.name(), payment_id, number, epoch };
    tx.execute(SET_ANSWER.bind(answer)).await?;
    Ok(())
}

/// Reads a send.
pub fn send(row: &impl Cells) -> Parsed<Send> {
    let row = Reader(row);
    Ok(Send {
        number: row.int("number")?,
        fencing_token: row.int("epoch")?,
        node: known("node_id", NodeId::parse(&row.text("node_id")?).ok())?,
        sent_at: row.time("sent_at_ms")?,
        begun_at: row.time("begun_at_ms")?,
        send_deadline: row.time("send_deadline_ms")?,
        answer: row.opt_named::<Answer>("answer")?,
        sequence: Some(row.int("sequence")?),
    })
}
