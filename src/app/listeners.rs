//! The addresses that a process listens on: bound before anything else, and written to a file for whoever
//! started the process.

use std::net::SocketAddr;

use serde::Serialize;
use tokio::net::{TcpListener, TcpSocket};

use super::StartError;
use crate::{config::Settings, domain::PublicUrl};

/// How many connections may wait to be accepted. The system resets those beyond it, and the usual 128 are
/// fewer than the wallets that scan one code at the same moment.
const BACKLOG: u32 = 4096;

/// Where the process listens; also the content of `listen.json`. What its roles do not serve is absent.
#[derive(Clone, Debug, Serialize)]
pub struct Listening {
    /// gRPC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grpc: Option<SocketAddr>,
    /// The public side.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lnurl: Option<SocketAddr>,
    /// Probes and Prometheus.
    pub admin: SocketAddr,
    /// The URL that LNURLs carry.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub public_url: Option<String>,
}

/// The sockets of a process, by its roles.
pub struct Listeners {
    pub grpc: Option<TcpListener>,
    pub lnurl: Option<TcpListener>,
    pub admin: TcpListener,
    /// Where wallets reach the public side, in this process or another. None if no role needs it.
    pub public_url: Option<PublicUrl>,
}

impl Listeners {
    /// Binds all of them.
    pub fn bind(settings: &Settings) -> Result<(Self, Listening), StartError> {
        let roles = settings.roles;
        let grpc = roles.grpc.then(|| bind("grpc.listen (--grpc-listen)", settings.grpc.listen));
        let lnurl =
            roles.lnurl.then(|| bind("lnurl.listen (--lnurl-listen)", settings.lnurl.listen));
        let (grpc, lnurl) = (grpc.transpose()?, lnurl.transpose()?);
        let admin = bind("admin.listen (--admin-listen)", settings.admin)?;
        let address =
            |listener: &TcpListener, asked: SocketAddr| listener.local_addr().unwrap_or(asked);
        let lnurl_address = lnurl.as_ref().map(|listener| address(listener, settings.lnurl.listen));
        let public_url = (roles.grpc || roles.lnurl)
            .then(|| settings.public_url.resolve(lnurl_address.unwrap_or(settings.lnurl.listen)))
            .transpose()
            .map_err(StartError::PublicUrl)?;
        let listening = Listening {
            grpc: grpc.as_ref().map(|listener| address(listener, settings.grpc.listen)),
            lnurl: lnurl_address,
            admin: address(&admin, settings.admin),
            public_url: public_url.as_ref().map(ToString::to_string),
        };
        write(settings, &listening)?;
        Ok((Self { grpc, lnurl, admin, public_url }, listening))
    }
}

fn bind(option: &'static str, address: SocketAddr) -> Result<TcpListener, StartError> {
    let listen = || {
        let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
        // A restart must not wait for connections of the previous process.
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        socket.listen(BACKLOG)
    };
    listen().map_err(|source| StartError::Listen { option, address, source })
}

/// Writes `listen.json` for whoever started the process with port 0: whole, or not at all.
fn write(settings: &Settings, listening: &Listening) -> Result<(), StartError> {
    let path = settings.data_dir.join("listen.json");
    let temporary = settings.data_dir.join("listen.json.new");
    let text = serde_json::to_string(listening).map_err(std::io::Error::from);
    let written = text
        .and_then(|text| std::fs::write(&temporary, text))
        .and_then(|()| std::fs::rename(&temporary, &path));
    written.map_err(|source| StartError::File { doing: "write the addresses", path, source })
}
