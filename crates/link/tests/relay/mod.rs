//! What stands between a process and its server: connections that can be held, or cut for good.

use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::Notify;
use tokio::sync::watch;

/// A relay to a port of this machine, on a thread of its own.
pub(crate) struct Relay {
    port: u16,
    died: Arc<Notify>,
    held: watch::Sender<bool>,
}

impl Relay {
    pub(crate) fn start(server: u16) -> Relay {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        listener.set_nonblocking(true).unwrap();
        let (died, held) = (Arc::new(Notify::new()), watch::Sender::new(false));
        let (ended, holding) = (died.clone(), held.subscribe());
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async move {
                let listener = TcpListener::from_std(listener).unwrap();
                loop {
                    tokio::select! {
                        biased;
                        () = ended.notified() => return,
                        client = listener.accept() => {
                            let (client, _) = client.unwrap();
                            if let Ok(server) = narrow(server).await {
                                tokio::spawn(carry(client, server, holding.clone()));
                            }
                        }
                    }
                }
            });
        });
        Relay { port, died, held }
    }

    pub(crate) fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// Lets nothing from the server through, or lets it go on.
    pub(crate) fn hold(&self, is_held: bool) {
        self.held.send_replace(is_held);
    }

    /// Closes everything for good.
    pub(crate) fn kill(&self) {
        self.died.notify_one();
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A connection to the server that takes in little: what is held stays with the server, and not between the two.
async fn narrow(server: u16) -> std::io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.set_recv_buffer_size(16 << 10)?;
    socket.connect(([127, 0, 0, 1], server).into()).await
}

async fn carry(client: TcpStream, server: TcpStream, mut held: watch::Receiver<bool>) {
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let up = async {
        let mut buffer = vec![0; 65536];
        loop {
            match from_client.read(&mut buffer).await {
                Ok(count) if count > 0 => {
                    if to_server.write_all(&buffer[..count]).await.is_err() {
                        return;
                    }
                }
                _ => return,
            }
        }
    };
    let down = async {
        let mut buffer = vec![0; 4096];
        loop {
            if held.wait_for(|is_held| !is_held).await.is_err() {
                return;
            }
            match from_server.read(&mut buffer).await {
                Ok(count) if count > 0 => {
                    if to_client.write_all(&buffer[..count]).await.is_err() {
                        return;
                    }
                }
                _ => return,
            }
        }
    };
    tokio::select! {
        () = up => {}
        () = down => {}
    }
}
