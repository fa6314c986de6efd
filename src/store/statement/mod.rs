//! Statements with named parameters.
//!
//! A statement's text names its parameters (`:invoice`), and a struct has a field for each. The compiler
//! numbers them in the order of the fields ([`numbered`]), so the databases prepare constant text with `$1`,
//! `$2`, …, and a call only moves values. It does not compile if the text names an unknown field or leaves a
//! field out, or if a value is missing, given twice or of the wrong type.
//!
//! ```text
//! params! {
//!     struct Postpone { due_at_ms: Option<Timestamp>, id: PaymentId }
//! }
//!
//! const POSTPONE: Statement<Postpone> = statement!(
//!     Postpone,
//!     "postpone a payment",
//!     "-- payment.postpone\nupdate payments set due_at_ms = :due_at_ms where id = :id"
//! );
//!
//! tx.execute(POSTPONE.bind(Postpone { due_at_ms: None, id })).await?;
//! ```

use std::{fmt, marker::PhantomData};

pub mod numbered;
mod value;

pub use value::Value;

/// A statement as sent to the database: constant text that begins with its name in a comment.
#[derive(Clone, Copy, Debug)]
pub struct Sql {
    /// What the statement does, for errors: "could not …".
    pub doing: &'static str,
    /// The name for spans: the first line of the text, without the `-- `.
    pub name: &'static str,
    /// The text, with parameters as `$1`, `$2`, … for both databases.
    pub text: &'static str,
}

/// The values of a statement's parameters. Implemented by `params!`.
pub trait Params {
    /// The names of the parameters, in the order of their numbers.
    const NAMES: &'static [&'static str];

    /// The values in the same order.
    fn into_values<'v>(self) -> Vec<Value<'v>>
    where
        Self: 'v;
}

impl Params for () {
    const NAMES: &'static [&'static str] = &[];

    fn into_values<'v>(self) -> Vec<Value<'v>>
    where
        Self: 'v,
    {
        Vec::new()
    }
}

/// A statement that takes the parameters `P`. Made by `statement!`.
pub struct Statement<P> {
    /// The text and its names.
    pub sql: Sql,
    params: PhantomData<fn() -> P>,
}

impl<P> Statement<P> {
    /// Takes text whose parameters are already numbered in the order of `P`'s names. For `statement!`.
    pub const fn numbered(doing: &'static str, text: &'static str) -> Self {
        Self { sql: Sql { doing, name: numbered::name(text), text }, params: PhantomData }
    }
}

impl<P: Params> Statement<P> {
    /// The statement with the values of its parameters.
    pub fn bind<'v>(self, params: P) -> BoundStatement<'v>
    where
        P: 'v,
    {
        BoundStatement { sql: self.sql, values: params.into_values() }
    }
}

impl<P> Clone for Statement<P> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<P> Copy for Statement<P> {}

impl<P> fmt::Debug for Statement<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Statement").field(&self.sql.name).finish()
    }
}

/// A statement and its values, in the order of their numbers.
pub struct BoundStatement<'v> {
    /// The statement to run.
    pub sql: Sql,
    /// The values to bind.
    pub values: Vec<Value<'v>>,
}

/// Omits the values, which include invoices and hashes of secrets.
impl fmt::Debug for BoundStatement<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("BoundStatement").field(&self.sql.name).finish_non_exhaustive()
    }
}

/// Declares the parameters of statements: structs with a field for each parameter, in the order of the
/// parameters' numbers.
macro_rules! params {
    ($(
        $(#[$meta:meta])*
        $vis:vis struct $name:ident $(<$life:lifetime>)? {
            $($(#[$field_meta:meta])* $field:ident: $type:ty),+ $(,)?
        }
    )+) => {$(
        $(#[$meta])*
        $vis struct $name $(<$life>)? {
            $($(#[$field_meta])* $vis $field: $type),+
        }

        impl $(<$life>)? $crate::store::statement::Params for $name $(<$life>)? {
            const NAMES: &'static [&'static str] = &[$(stringify!($field)),+];

            fn into_values<'v>(self) -> Vec<$crate::store::statement::Value<'v>>
            where
                Self: 'v,
            {
                vec![$($crate::store::statement::Value::from(self.$field)),+]
            }
        }
    )+};
}

/// Makes a `Statement` from what it does (for errors: "could not …") and its text. The struct of its
/// parameters, if any, comes first.
macro_rules! statement {
    ($doing:literal, $text:expr $(,)?) => {
        statement!((), $doing, $text)
    };
    ($params:ty, $doing:literal, $text:expr $(,)?) => {{
        use $crate::store::statement::{Params, Statement, numbered};
        const NAMES: &[&str] = <$params as Params>::NAMES;
        const LENGTH: usize = numbered::length($text, NAMES);
        const BYTES: [u8; LENGTH] = numbered::bytes($text, NAMES);
        Statement::<$params>::numbered($doing, numbered::text(&BYTES))
    }};
}

/// `insert into table (columns) values (values)`: each column takes the parameter of its own name, or the
/// expression given after `=`.
macro_rules! insert_into {
    (
        $table:literal,
        $column:ident $(= $value:literal)? $(, $more:ident $(= $expression:literal)?)* $(,)?
    ) => {
        concat!(
            "insert into ", $table, " (", stringify!($column), $(", ", stringify!($more),)*
            ") values (",
            inserted!($column $(= $value)?), $(", ", inserted!($more $(= $expression)?),)* ")"
        )
    };
}

/// The value of a column in `insert_into!`.
macro_rules! inserted {
    ($column:ident) => {
        concat!(":", stringify!($column))
    };
    ($column:ident = $value:literal) => {
        $value
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    params! {
        struct Sample<'a> {
            size: i64,
            name: &'a str,
        }
    }

    const INSERT: Statement<Sample> = statement!(
        Sample,
        "write a sample",
        concat!("-- sample.create\n", insert_into!("samples", name, kind = "'NEW'", size))
    );

    #[test]
    fn each_column_takes_its_value_whatever_the_order() {
        let name = "third".to_owned();
        let bound = INSERT.bind(Sample { name: &name, size: 3 });
        assert_eq!(
            bound.sql.text,
            "-- sample.create\ninsert into samples (name, kind, size) values ($2, 'NEW', $1)"
        );
        assert_eq!(bound.sql.name, "sample.create");
        assert!(
            matches!(&bound.values[..], [Value::Int(Some(3)), Value::Text(Some(text))] if text == "third")
        );
    }

    #[test]
    fn bound_values_are_not_printed() {
        let bound = INSERT.bind(Sample { name: "lnbc1secret", size: 3 });
        assert_eq!(format!("{bound:?}"), "BoundStatement(\"sample.create\", ..)");
    }
}
