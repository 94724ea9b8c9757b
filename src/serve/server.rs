//! The server: takes connections, bounds what each may cost, and ends in order.

use super::{Notice, ServeError, Service, routes};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio_io_timeout::TimeoutStream;

/// Connections that are open at once; more wait to be taken.
const CONNECTIONS: usize = 1024;
/// Bytes of a request's head.
const HEAD: usize = 16 << 10;
/// For a head to come, counted from the one before it: what is idle longer is closed.
const HEAD_TIME: Duration = Duration::from_secs(30);
/// For a client to read on: who asks and does not read is cut.
const READ_ON_TIME: Duration = Duration::from_secs(30);
/// For what was begun to end, once the server is told to.
const DRAIN_TIME: Duration = Duration::from_secs(10);
/// Before it is tried again, where the system has no more sockets.
const PAUSE: Duration = Duration::from_millis(50);

/// The wish that the server end, which may come from a signal.
#[derive(Clone, Debug, Default)]
pub struct Stop {
    inner: Arc<StopInner>,
}

#[derive(Debug)]
struct StopInner {
    told: Mutex<bool>,
    came: Condvar,
    /// The same for those who wait without a thread.
    sender: watch::Sender<bool>,
}

impl Default for StopInner {
    fn default() -> Self {
        Self {
            told: Mutex::default(),
            came: Condvar::default(),
            sender: watch::Sender::new(false),
        }
    }
}

impl Stop {
    /// Tells it; returns whether it had been told.
    pub fn tell(&self) -> bool {
        let before = std::mem::replace(
            &mut *self.inner.told.lock().unwrap_or_else(PoisonError::into_inner),
            true,
        );
        self.inner.came.notify_all();
        self.inner.sender.send_replace(true);
        before
    }

    /// Waits so long at the most; returns whether it was told.
    pub fn within(&self, time: Duration) -> bool {
        let told = self.inner.told.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.inner.came.wait_timeout_while(told, time, |told| !*told);
        *waited.unwrap_or_else(PoisonError::into_inner).0
    }

    async fn told(&self) {
        // The sender lives as long as this does.
        let _ = self.inner.sender.subscribe().wait_for(|told| *told).await;
    }
}

/// Takes connections until `stop` is told, then lets those that are open end.
pub async fn run(service: Arc<Service>, address: SocketAddr, stop: Stop) -> Result<(), ServeError> {
    let failed = |source| ServeError::Listen { address, source };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    let run = service.served().origin.run.clone();
    let router = routes::router(service.clone());
    let free = Arc::new(Semaphore::new(CONNECTIONS));
    (service.listener)(Notice::Listening { address, run });
    let mut told = pin!(stop.told());
    loop {
        let taken = tokio::select! {
            () = &mut told => break,
            taken = take(&listener, &free) => taken,
        };
        let (stream, permit) = match taken {
            Ok(taken) => taken,
            Err(_) => {
                // The peer has gone, or the system has no more sockets, which others give back.
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        // An answer of one packet need not wait for another.
        let _ = stream.set_nodelay(true);
        let (router, stop) = (router.clone(), stop.clone());
        tokio::spawn(async move {
            let mut builder = http1::Builder::new();
            builder
                .timer(TokioTimer::new())
                .header_read_timeout(HEAD_TIME)
                .max_buf_size(HEAD);
            let mut stream = TimeoutStream::new(stream);
            stream.set_write_timeout(Some(READ_ON_TIME));
            let connection = builder.serve_connection(TokioIo::new(Box::pin(stream)), TowerToHyperService::new(router));
            let mut connection = pin!(connection);
            // A connection that breaks is the client's affair.
            tokio::select! {
                _ = connection.as_mut() => {}
                () = stop.told() => {
                    connection.as_mut().graceful_shutdown();
                    let _ = connection.await;
                }
            }
            drop(permit);
        });
    }
    drop(listener);
    (service.listener)(Notice::Draining);
    // All of them: nobody has a connection any more. What takes longer is cut.
    let _ = tokio::time::timeout(DRAIN_TIME, free.acquire_many(CONNECTIONS as u32)).await;
    Ok(())
}

async fn take(
    listener: &TcpListener,
    free: &Arc<Semaphore>,
) -> std::io::Result<(TcpStream, tokio::sync::OwnedSemaphorePermit)> {
    let permit = free.clone().acquire_owned().await.expect("nobody closes the semaphore");
    let (stream, _) = listener.accept().await?;
    Ok((stream, permit))
}
