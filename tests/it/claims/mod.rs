//! Withdraw requests and claims: made, listed, raced for.

pub mod expiry;
pub mod lists;
pub mod races;
pub mod replicas;
pub mod requests;
pub mod short_invoices;
