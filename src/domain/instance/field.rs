//! The fields of the operators' commands to the instance.

/// A field of a command for the instance.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum InstanceField {
    /// `operator`
    Operator,
    /// `reason`
    Reason,
    /// `ids`
    Ids,
    /// `paid`: pairs of a withdraw id and a payment hash.
    Paid,
    /// `from`
    From,
    /// `to`
    To,
}
