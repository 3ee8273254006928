//! From a url to a WebSocket.

use crate::error::ClientError;
use crate::tls::{Tls, cause};
use rustls::pki_types::ServerName;
use std::error::Error as StdError;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::tungstenite::http::Uri;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{WebSocketStream, client_async_with_config};
use tokio_util::either::Either;

/// A client's connection.
pub(crate) type Socket = WebSocketStream<Either<TcpStream, Box<TlsStream<TcpStream>>>>;

/// Bots come by the thousand: the library's own 128 KiB would be felt.
const READ_BYTES: usize = 4 * 1024;
/// The largest frame that is taken from a proxy.
const FRAME_BYTES: usize = 64 << 20;

/// Connects to `url`; how long it may take is the caller's.
pub(crate) async fn connect(url: &str, tls: Option<&Tls>) -> Result<Socket, ClientError> {
    let unreachable = |why: String| ClientError::Unreachable { url: url.to_owned(), why };
    let (host, port, is_secure) = parse(url).map_err(|why| unreachable(why.to_owned()))?;
    let tcp = TcpStream::connect((bare(&host), port)).await;
    let tcp = tcp.map_err(|error| unreachable(error.to_string()))?;
    let _ = tcp.set_nodelay(true);
    let stream = if is_secure {
        let config = tls.cloned().unwrap_or_else(Tls::of_system).config();
        let config = config.map_err(|why| ClientError::Tls { url: url.to_owned(), why })?;
        let name = ServerName::try_from(bare(&host).to_owned());
        let name = name.map_err(|_| unreachable(format!("`{host}` is no name of a host")))?;
        let secured = TlsConnector::from(config).connect(name, tcp).await;
        Either::Right(Box::new(secured.map_err(|error| failed(url, &error))?))
    } else {
        Either::Left(tcp)
    };
    let config = WebSocketConfig::default()
        .read_buffer_size(READ_BYTES)
        .max_message_size(Some(FRAME_BYTES))
        .max_frame_size(Some(FRAME_BYTES));
    let opened = client_async_with_config(url, stream, Some(config)).await;
    opened.map(|(socket, _)| socket).map_err(|error| failed(url, &error))
}

/// What went wrong on a connection: TLS by its own name, since trying again changes nothing about it.
pub(crate) fn failed(url: &str, error: &(dyn StdError + 'static)) -> ClientError {
    match cause(error) {
        Some(why) => ClientError::Tls { url: url.to_owned(), why },
        None => ClientError::Unreachable { url: url.to_owned(), why: error.to_string() },
    }
}

/// Host, port, and whether TLS is wanted.
fn parse(url: &str) -> Result<(String, u16, bool), &'static str> {
    let uri: Uri = url.parse().map_err(|_| "this is no url")?;
    let is_secure = match uri.scheme_str() {
        Some("ws") => false,
        Some("wss") => true,
        _ => return Err("a url of a proxy begins with ws:// or wss://"),
    };
    let host = uri.host().filter(|host| !host.is_empty()).ok_or("there is no host in this url")?;
    Ok((host.to_owned(), uri.port_u16().unwrap_or(if is_secure { 443 } else { 80 }), is_secure))
}

/// An IPv6 address without the brackets that it has in a url.
fn bare(host: &str) -> &str {
    host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_that_leads_nowhere_says_why() {
        assert_eq!(parse("wss://play.example.com"), Ok(("play.example.com".to_owned(), 443, true)));
        let (host, port, _) = parse("ws://[::1]:9000/x").unwrap();
        assert_eq!((bare(&host), port), ("::1", 9000));
        for wrong in ["", "play.example.com:9000", "http://a", "ws://"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
