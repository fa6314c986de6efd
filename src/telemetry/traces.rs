//! Where spans go: to a collector over OTLP if one is named, and nowhere otherwise.

use std::path::Path;

use opentelemetry::{Key, KeyValue};
use opentelemetry_otlp::tonic_types::transport::{Certificate, ClientTlsConfig, Identity};
use opentelemetry_otlp::{SpanExporter, WithTonicConfig};
use opentelemetry_sdk::{
    Resource,
    trace::{Sampler, SdkTracerProvider},
};

use super::InvalidVariable;
use super::{exporter::LoggingExporter, variables::Variables};

const SERVICE_NAME: &str = "service.name";
const SERVICE_VERSION: &str = "service.version";

/// Makes spans, and exports them in a thread of its own. What does not fit into its queue while the
/// collector is away is dropped, so that no call waits for it.
pub fn provider() -> Result<SdkTracerProvider, InvalidVariable> {
    let variables = Variables::read()?;
    let Some((name, endpoint)) = &variables.endpoint else {
        // Only for trace ids in the log.
        return Ok(SdkTracerProvider::builder().with_sampler(Sampler::AlwaysOff).build());
    };
    if !endpoint.starts_with("http://") && !endpoint.starts_with("https://") {
        return Err(InvalidVariable::new(name, "must be http://HOST:PORT or https://HOST:PORT"));
    }
    let mut exporter = SpanExporter::builder().with_tonic();
    if endpoint.starts_with("https://") {
        exporter = exporter.with_tls_config(tls(&variables)?);
    }
    // The error may repeat the URL, and with it a password.
    let exporter = exporter
        .build()
        .map_err(|_| InvalidVariable::new(name, "cannot be used for an exporter of traces"))?;
    let provider = SdkTracerProvider::builder()
        .with_resource(resource())
        .with_batch_exporter(LoggingExporter::new(exporter));
    Ok(provider.build())
}

/// The certificates to trust, and our own identity.
fn tls(variables: &Variables) -> Result<ClientTlsConfig, InvalidVariable> {
    let read = |(name, path): &(&'static str, _)| read(name, path);
    let tls = match &variables.certificate {
        Some(file) => ClientTlsConfig::new().ca_certificate(Certificate::from_pem(read(file)?)),
        None => ClientTlsConfig::new().with_webpki_roots(),
    };
    let Some([certificate, key]) = &variables.identity else {
        return Ok(tls);
    };
    Ok(tls.identity(Identity::from_pem(read(certificate)?, read(key)?)))
}

fn read(name: &'static str, path: impl AsRef<Path>) -> Result<Vec<u8>, InvalidVariable> {
    let path = path.as_ref();
    std::fs::read(path)
        .map_err(|error| InvalidVariable::new(name, format!("{}: {error}", path.display())))
}

/// The resource of all spans, with the service name from the environment, or else our own.
fn resource() -> Resource {
    let said = Resource::builder().build();
    let key = Key::from_static_str(SERVICE_NAME);
    let named = said.get(&key).is_some_and(|name| !name.as_str().starts_with("unknown_service"));
    let version = KeyValue::new(SERVICE_VERSION, env!("CARGO_PKG_VERSION"));
    let resource = Resource::builder().with_attribute(version);
    if named { resource.build() } else { resource.with_service_name("withdrawd").build() }
}
