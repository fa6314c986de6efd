//! Why the node cannot be used, in sentences for operators. They contain no text from the node or a
//! library, since they are stored and leave the process.

use strum::{EnumString, IntoStaticStr, VariantArray};

use std::fmt;

/// What prevents us from using the node.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, EnumString, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "SCREAMING_SNAKE_CASE")]
pub enum TroubleKind {
    /// The host name in `lnd.endpoint` does not resolve.
    UnknownHost,
    /// The connection is refused.
    NobodyListens,
    /// The server at the endpoint does not speak TLS with HTTP/2.
    NoTls,
    /// The connection fails for another reason, or was lost.
    Unreachable,
    /// No answer in time.
    Silent,
    /// The node presents a certificate other than the configured one.
    OtherCertificate,
    /// No certificate is configured, and no public authority has signed the node's.
    UntrustedCertificate,
    /// The macaroon belongs to another node, its root key was deleted, or one of its caveats does not
    /// hold.
    MacaroonRefused,
    /// The macaroon has a time limit, which has passed.
    MacaroonExpired,
    /// The macaroon does not permit a call that paying needs.
    NotPermitted,
    /// The node refuses all payments on our terms: `payments.cltv_limit` is above its own limit.
    CltvLimit,
    /// The node's wallet is locked.
    WalletLocked,
    /// The node is still starting.
    Starting,
    /// The node is on another network.
    OtherNetwork,
    /// A node answers that is not the one that pays.
    OtherNode,
    /// The node answers with errors.
    Failing,
    /// The node's responses are invalid.
    Garbled,
}

impl TroubleKind {
    /// The name that SQL and logs use.
    pub fn name(self) -> &'static str {
        self.into()
    }

    /// Whether every payment fails until an operator acts: corrects the credentials or an option, or
    /// unlocks the wallet. Such an error says nothing about the invoice.
    pub const fn needs_operator(self) -> bool {
        match self {
            Self::OtherCertificate
            | Self::UntrustedCertificate
            | Self::MacaroonRefused
            | Self::MacaroonExpired
            | Self::NotPermitted
            | Self::CltvLimit
            | Self::WalletLocked => true,
            Self::UnknownHost
            | Self::NobodyListens
            | Self::NoTls
            | Self::Unreachable
            | Self::Silent
            | Self::Starting
            | Self::OtherNetwork
            | Self::OtherNode
            | Self::Failing
            | Self::Garbled => false,
        }
    }
}

/// What is wrong, and with which address or call.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NodeTrouble {
    /// What is wrong.
    pub kind: TroubleKind,
    /// `HOST:PORT` if a connection fails, the call if one is not permitted, else empty.
    pub subject: String,
}

impl NodeTrouble {
    /// A trouble with an address or a call.
    pub fn with(kind: TroubleKind, subject: impl Into<String>) -> Self {
        Self { kind, subject: subject.into() }
    }
}

impl From<TroubleKind> for NodeTrouble {
    fn from(kind: TroubleKind) -> Self {
        Self::with(kind, "")
    }
}

impl fmt::Display for NodeTrouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let subject = &self.subject;
        match self.kind {
            TroubleKind::UnknownHost => write!(f, "the host name of {subject} does not resolve"),
            TroubleKind::NobodyListens => {
                write!(f, "the connection is refused: nothing listens at {subject}")
            }
            TroubleKind::NoTls => {
                write!(f, "{subject} does not speak gRPC over TLS: is it lnd's gRPC port?")
            }
            TroubleKind::Unreachable => f.write_str("the node cannot be reached"),
            TroubleKind::Silent => f.write_str("the node did not answer in time"),
            TroubleKind::OtherCertificate => f.write_str(
                "lnd's certificate is not the one in lnd.tls_cert: if lnd renewed it, copy it there",
            ),
            TroubleKind::UntrustedCertificate => {
                f.write_str("lnd's certificate is not trusted: set lnd.tls_cert to lnd's tls.cert")
            }
            TroubleKind::MacaroonRefused => f.write_str(
                "lnd refuses lnd.macaroon: it is of a different node, its root key was deleted, or a \
                 caveat is not met; make a new one (lncli bakemacaroon)",
            ),
            TroubleKind::MacaroonExpired => {
                f.write_str("lnd.macaroon has expired: make a new one (lncli bakemacaroon)")
            }
            TroubleKind::NotPermitted => {
                let advice = "make one that does (lncli bakemacaroon)";
                write!(f, "lnd.macaroon does not permit {subject}: {advice}")
            }
            TroubleKind::CltvLimit => f.write_str(
                "lnd refuses all payments: payments.cltv_limit is above lnd's own max-cltv-expiry; \
                 lower it",
            ),
            TroubleKind::WalletLocked => {
                f.write_str("lnd's wallet is locked: unlock it (lncli unlock)")
            }
            TroubleKind::Starting => f.write_str("lnd is starting"),
            TroubleKind::OtherNetwork => f.write_str(
                "the node is on a different network: correct the option network, or lnd.endpoint",
            ),
            TroubleKind::OtherNode => f.write_str(
                "a different node answers: correct lnd.endpoint, or set node.expected_identity",
            ),
            TroubleKind::Failing => f.write_str("the node answers with errors, see the log"),
            TroubleKind::Garbled => f.write_str("the node's responses are invalid, see the log"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_kinds_parse_from_their_names() {
        for kind in TroubleKind::VARIANTS {
            assert_eq!(kind.name().parse(), Ok(*kind));
        }
        assert_eq!(TroubleKind::CltvLimit.name(), "CLTV_LIMIT");
    }

    #[test]
    fn sentences_name_what_to_check() {
        let lacks = NodeTrouble::with(TroubleKind::NotPermitted, "SendPaymentV2");
        assert_eq!(
            lacks.to_string(),
            "lnd.macaroon does not permit SendPaymentV2: make one that does (lncli bakemacaroon)"
        );
        let refused = NodeTrouble::with(TroubleKind::NobodyListens, "127.0.0.1:10009");
        assert!(refused.to_string().ends_with("nothing listens at 127.0.0.1:10009"));
    }
}
