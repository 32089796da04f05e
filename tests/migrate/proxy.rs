//! What stands between a client and its server in the field: something that forwards, and may forget a connection without telling
//! either side, or meet another server behind the same address.

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use secrecy::{ExposeSecret as _, SecretString};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

pub(crate) struct Proxy {
    port: u16,
    server: Arc<AtomicU16>,
    /// Connections of an earlier age are forgotten.
    age: watch::Sender<u64>,
    /// Connections that were there before the last of these are hung up on.
    cuts: watch::Sender<u64>,
}

impl Proxy {
    pub(crate) async fn before(server: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (age, cuts) = (watch::Sender::new(0), watch::Sender::new(0));
        let server = Arc::new(AtomicU16::new(server));
        let (ages, ends, target) = (age.clone(), cuts.clone(), Arc::clone(&server));
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let Ok(server) = TcpStream::connect(("127.0.0.1", target.load(Ordering::SeqCst))).await
                else {
                    continue;
                };
                let ((from_client, to_client), (from_server, to_server)) =
                    (client.into_split(), server.into_split());
                let born = *ages.borrow();
                for (from, to) in [(from_client, to_server), (from_server, to_client)] {
                    let (age, mut cut) = (ages.subscribe(), ends.subscribe());
                    tokio::spawn(async move {
                        tokio::select! {
                            () = pump(from, to, born, age) => {}
                            _ = cut.changed() => {}
                        }
                    });
                }
            }
        });
        Self { port, server, age, cuts }
    }

    /// Forgets every connection there is: nothing more passes, and nobody is told.
    pub(crate) fn forget(&self) {
        self.age.send_modify(|age| *age += 1);
    }

    /// Ends every connection there is, and both sides are told. Later ones pass again.
    pub(crate) fn cut(&self) {
        self.cuts.send_modify(|cuts| *cuts += 1);
    }

    /// Leads new connections to another server.
    pub(crate) fn lead_to(&self, server: u16) {
        self.server.store(server, Ordering::SeqCst);
    }

    /// The address of the server, by way of the proxy.
    pub(crate) fn url(&self, direct: &SecretString) -> SecretString {
        let mut url = url::Url::parse(direct.expose_secret()).unwrap();
        url.set_port(Some(self.port)).unwrap();
        SecretString::from(url.to_string())
    }
}

async fn pump(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, born: u64, age: watch::Receiver<u64>) {
    let mut bytes = vec![0; 16 * 1024];
    loop {
        let read = from.read(&mut bytes).await;
        let forgotten = *age.borrow() != born;
        match read {
            Ok(count) if count > 0 && forgotten => {}
            Ok(count) if count > 0 => {
                if to.write_all(&bytes[..count]).await.is_err() {
                    return;
                }
            }
            // A forgotten connection is never closed: that would tell.
            _ if forgotten => return std::future::pending().await,
            _ => return,
        }
    }
}
