//! TLS to lnd: exactly the certificate that the operator copied from the node, or the public roots.
//!
//! lnd signs its certificate itself and marks it as an authority's, which rustls refuses by itself.
//! A pin asks less and proves more: the other end holds the key of this very certificate. Names and
//! dates in it mean nothing then; lnd makes a new one when it expires, and that must be copied anew.

use std::sync::Arc;

use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
    client::{
        Resumption,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{self, CryptoProvider, WebPkiSupportedAlgorithms},
    pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject},
};

/// What both ends must agree on: gRPC speaks nothing but HTTP/2.
pub(super) const H2: &[u8] = b"h2";

/// Trusts the certificates of `pinned_pem` alone, or the public roots where there is none.
///
/// Fails with what is wrong with the pin.
pub(super) fn client_config(pinned_pem: Option<&[u8]>) -> Result<ClientConfig, String> {
    // Given by hand, since a process-wide provider would be one more thing to set up in the right
    // order.
    let provider = Arc::new(crypto::ring::default_provider());
    let algorithms = provider.signature_verification_algorithms;
    let versions = ClientConfig::builder_with_provider(provider as Arc<CryptoProvider>)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    let verified = match pinned_pem {
        Some(pem) => versions
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Pin::read(pem, algorithms)?)),
        None => versions.with_root_certificates(RootCertStore {
            roots: webpki_roots::TLS_SERVER_ROOTS.to_vec(),
        }),
    };
    let mut config = verified.with_no_client_auth();
    config.alpn_protocols = vec![H2.to_vec()];
    // Every connection shows its certificate.
    config.resumption = Resumption::disabled();
    Ok(config)
}

/// Trusts these certificates and no other.
#[derive(Debug)]
struct Pin {
    certificates: Vec<CertificateDer<'static>>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl Pin {
    fn read(pem: &[u8], algorithms: WebPkiSupportedAlgorithms) -> Result<Self, String> {
        let certificates = CertificateDer::pem_slice_iter(pem)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| error.to_string())?;
        if certificates.is_empty() {
            return Err("holds no certificate".to_owned());
        }
        Ok(Self { certificates, algorithms })
    }
}

impl ServerCertVerifier for Pin {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if self.certificates.contains(end_entity) {
            Ok(ServerCertVerified::assertion())
        } else {
            Err(CertificateError::ApplicationVerificationFailure.into())
        }
    }

    // A certificate is public: only these two prove that the other end holds its key.
    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        crypto::verify_tls12_signature(message, cert, dss, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        crypto::verify_tls13_signature(message, cert, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pin_without_a_certificate_is_an_error() {
        let key = rcgen::KeyPair::generate().unwrap().serialize_pem();
        for pem in [b"".as_slice(), b"not PEM", key.as_bytes()] {
            assert_eq!(client_config(Some(pem)).unwrap_err(), "holds no certificate");
        }
        let broken = b"-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n";
        assert!(client_config(Some(broken)).is_err());
    }

    #[test]
    fn without_a_pin_the_public_roots_are_trusted() {
        assert_eq!(client_config(None).unwrap().alpn_protocols, [H2]);
    }
}
