//! TLS to lnd. Trusts exactly the certificate that the operator copied from the node, or the public roots.
//!
//! lnd's certificate is self-signed and marked as a CA, which rustls refuses (`CaUsedAsEndEntity`). A pinned
//! certificate proves more: the peer holds its key. Its names and dates then mean nothing. When lnd
//! renews it, the operator must copy it again.

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

/// The ALPN protocol: gRPC speaks only HTTP/2.
pub(super) const H2: &[u8] = b"h2";

/// Trusts only the certificates in `pinned_pem`, or the public roots without it.
///
/// The error says what is wrong with `pinned_pem`.
pub(super) fn client_config(pinned_pem: Option<&[u8]>) -> Result<ClientConfig, String> {
    // Not the process-wide provider, which would have to be installed first.
    let provider = Arc::new(crypto::ring::default_provider());
    let algorithms = provider.signature_verification_algorithms;
    let versions = ClientConfig::builder_with_provider(provider as Arc<CryptoProvider>)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    let verified = match pinned_pem {
        Some(pem) => versions.dangerous().with_custom_certificate_verifier(Arc::new(
            PinnedCertificates::parse(pem, algorithms)?,
        )),
        None => versions.with_root_certificates(RootCertStore {
            roots: webpki_roots::TLS_SERVER_ROOTS.to_vec(),
        }),
    };
    let mut config = verified.with_no_client_auth();
    config.alpn_protocols = vec![H2.to_vec()];
    // A resumed session would not show its certificate.
    config.resumption = Resumption::disabled();
    Ok(config)
}

/// Trusts these certificates and no others.
#[derive(Debug)]
struct PinnedCertificates {
    certificates: Vec<CertificateDer<'static>>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl PinnedCertificates {
    fn parse(pem: &[u8], algorithms: WebPkiSupportedAlgorithms) -> Result<Self, String> {
        let certificates = CertificateDer::pem_slice_iter(pem)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| error.to_string())?;
        if certificates.is_empty() {
            return Err("contains no certificate".to_owned());
        }
        Ok(Self { certificates, algorithms })
    }
}

impl ServerCertVerifier for PinnedCertificates {
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

    // A certificate is public. These two prove that the peer holds its key.
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
    fn a_file_without_a_certificate_is_an_error() {
        let key = rcgen::KeyPair::generate().unwrap().serialize_pem();
        for pem in [b"".as_slice(), b"not PEM", key.as_bytes()] {
            assert_eq!(client_config(Some(pem)).unwrap_err(), "contains no certificate");
        }
        let broken = b"-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n";
        assert!(client_config(Some(broken)).is_err());
    }

    #[test]
    fn without_a_pinned_certificate_the_public_roots_are_trusted() {
        assert_eq!(client_config(None).unwrap().alpn_protocols, [H2]);
    }
}
